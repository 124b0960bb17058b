/* One thread that sleeps until it is told to fetch. A job is what it was told last; its number
 * tells whether the one that runs is still wanted. Everything of a job's files is the thread's
 * alone. */
#include "cluster/installer.h"

#include "base/crashpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "storage/checkpoint.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A snapshot with its own memory. */
struct job {
    struct core_snapshot snapshot;
    uint8_t *bytes; /* owned: configuration, then manifest */
    struct checkpoint_manifest *manifest;
};

struct installer {
    char *data; /* owned */
    struct peer_client *peers;
    const struct world *world;
    void (*ready_cb)(void *arg);
    void *arg;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* monotonic clock */
    bool stopping;
    uint64_t told;    /* jobs so far */
    struct job *next; /* owned; not begun */
    struct job *done; /* owned; fetched whole */
    struct installer_status status;
};

/* How a job, or one step of it, ended. */
enum outcome {
    GOES_ON,
    FETCHED,
    AGAIN,    /* this node's fault, or nobody's: later */
    NO_WORD,  /* the other node does not answer: later, but not for ever */
    DAMAGED,  /* a file has another digest: a few times */
    GONE,     /* the checkpoint is no more */
    REPLACED, /* another job waits, or the end */
};

static void job_free(struct job *job) {
    if (job != NULL) {
        checkpoint_manifest_free(job->manifest);
        free(job->bytes);
        free(job);
    }
}

static enum errc job_new(const struct core_snapshot *snapshot, struct job **ret) {
    struct job *job = calloc(1, sizeof(*job));
    size_t split = snapshot->configuration.len;
    enum errc code;

    if (job == NULL) {
        return ERR_NO_MEMORY;
    }
    job->snapshot = *snapshot;
    job->bytes = malloc(split + snapshot->manifest.len + 1);
    if (job->bytes == NULL) {
        job_free(job);
        return ERR_NO_MEMORY;
    }
    if (split > 0) {
        memcpy(job->bytes, snapshot->configuration.data, split);
    }
    if (snapshot->manifest.len > 0) {
        memcpy(job->bytes + split, snapshot->manifest.data, snapshot->manifest.len);
    }
    job->snapshot.configuration.data = job->bytes;
    job->snapshot.manifest.data = job->bytes + split;
    code = checkpoint_manifest_decode(job->snapshot.manifest.data, job->snapshot.manifest.len,
                                      &job->manifest);
    if (code == OK && job->manifest->applied != snapshot->index) {
        code = ERR_MALFORMED;
    }
    if (code != OK) {
        job_free(job);
        return code;
    }
    *ret = job;
    return OK;
}

/* ---- Waiting ---- */

/* Under the lock. */
static bool is_wanted(const struct installer *installer, uint64_t number) {
    return !installer->stopping && installer->told == number;
}

/* Under the lock; returns when something changed or `ms` are over. */
static void wait_a_while(struct installer *installer, unsigned ms) {
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&installer->changed, &installer->lock, &until);
}

/* False when the job is not wanted any more. */
static bool pause_job(struct installer *installer, uint64_t number, unsigned ms) {
    uint64_t until_ms = world_mono_ms(installer->world) + ms;
    uint64_t now_ms;
    bool wanted;

    (void)pthread_mutex_lock(&installer->lock);
    while ((wanted = is_wanted(installer, number)) &&
           (now_ms = world_mono_ms(installer->world)) < until_ms) {
        wait_a_while(installer, (unsigned)(until_ms - now_ms));
    }
    (void)pthread_mutex_unlock(&installer->lock);
    return wanted;
}

/* ---- Calls ---- */

/* One call, with a lock of its own: it may come back when nobody waits, and the installer is gone.
 */
struct fetch {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* monotonic clock */
    bool is_done;
    bool is_left;
    struct peer_call *call;
};

static bool condition_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    bool good;

    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(condition, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return good;
}

static void fetch_free(struct fetch *fetch) {
    (void)pthread_cond_destroy(&fetch->changed);
    (void)pthread_mutex_destroy(&fetch->lock);
    peer_call_free(fetch->call);
    free(fetch);
}

static void fetch_done(struct peer_call *call) {
    struct fetch *fetch = call->arg;
    bool is_left;

    (void)pthread_mutex_lock(&fetch->lock);
    fetch->is_done = true;
    is_left = fetch->is_left;
    (void)pthread_cond_signal(&fetch->changed);
    (void)pthread_mutex_unlock(&fetch->lock);
    if (is_left) {
        fetch_free(fetch);
    }
}

static struct fetch *fetch_new(const struct job *job, const char *file, uint64_t offset,
                               size_t len) {
    struct checkpoint_request request = {.offset = offset, .len = (uint32_t)len};
    struct fetch *fetch = calloc(1, sizeof(*fetch));

    if (fetch == NULL) {
        return NULL;
    }
    CHECK(pthread_mutex_init(&fetch->lock, NULL) == 0 && condition_init(&fetch->changed));
    fetch->call = peer_call_new();
    if (fetch->call == NULL) {
        fetch_free(fetch);
        return NULL;
    }
    memcpy(request.id, job->manifest->id, sizeof(request.id));
    (void)snprintf(request.file, sizeof(request.file), "%s", file);
    checkpoint_request_encode(&request, &fetch->call->body);
    (void)!buf_reserve(&fetch->call->response, len); /* at once, not by growing; failed says so */
    fetch->call->node = job->manifest->node;
    fetch->call->path = "/v1/snapshot";
    fetch->call->content_type = "application/octet-stream";
    fetch->call->timeout_ms = LIMIT_SNAPSHOT_CALL_MS;
    fetch->call->done_cb = fetch_done;
    fetch->call->arg = fetch;
    return fetch;
}

/* True with the answer in fetch->call; false when the job is not wanted any more, and then the call
 * frees itself. */
static bool fetch_wait(struct installer *installer, uint64_t number, struct fetch *fetch) {
    enum { LOOK_MS = 50 };
    bool is_done;
    bool wanted = true;

    (void)pthread_mutex_lock(&fetch->lock);
    while (!(is_done = fetch->is_done) && wanted) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_cond_timedwait(&fetch->changed, &fetch->lock, &until) != 0) {
            (void)pthread_mutex_lock(&installer->lock);
            wanted = is_wanted(installer, number);
            (void)pthread_mutex_unlock(&installer->lock);
        }
    }
    fetch->is_left = !is_done;
    (void)pthread_mutex_unlock(&fetch->lock);
    return is_done;
}

static void note_error(struct installer *installer, const char *error) {
    (void)pthread_mutex_lock(&installer->lock);
    (void)snprintf(installer->status.error, sizeof(installer->status.error), "%s", error);
    (void)pthread_mutex_unlock(&installer->lock);
    LOG_DEBUG("installer.attempt", F_STR("error", error));
}

static void note_bytes(struct installer *installer, const struct incoming *incoming) {
    (void)pthread_mutex_lock(&installer->lock);
    installer->status.bytes = incoming_bytes(incoming);
    installer->status.bytes_total = incoming_bytes_total(incoming);
    (void)pthread_mutex_unlock(&installer->lock);
}

/* ---- A job ---- */

static enum outcome take_answer(struct installer *installer, struct incoming *incoming,
                                const struct peer_call *call) {
    struct err err = {.message = ""};
    enum errc code;

    if (call->code != OK) {
        note_error(installer, call->error);
        return NO_WORD;
    }
    if (call->status != 200) {
        (void)err_set(&err, ERR_UNAVAILABLE, "the node answered %d: %.*s", call->status,
                      call->response.len < 100 ? (int)call->response.len : 100,
                      call->response.len > 0 ? (const char *)call->response.data : "");
        note_error(installer, err.message);
        return call->status == 404 ? GONE : NO_WORD;
    }
    code = incoming_write(incoming, call->response.data, call->response.len, &err);
    note_bytes(installer, incoming);
    if (code == OK) {
        return GOES_ON;
    }
    note_error(installer, err.message);
    if (code == ERR_CORRUPT) {
        return DAMAGED;
    }
    return code == ERR_MALFORMED ? NO_WORD : AGAIN;
}

/* One piece. */
static enum outcome fetch_piece(struct installer *installer, uint64_t number, const struct job *job,
                                struct incoming *incoming) {
    const char *file;
    uint64_t offset;
    size_t len;
    struct fetch *fetch;
    enum outcome outcome;
    enum errc code;

    if (!incoming_next(incoming, &file, &offset, &len)) {
        return FETCHED;
    }
    fetch = fetch_new(job, file, offset, len);
    if (fetch == NULL || fetch->call->body.failed || fetch->call->response.failed) {
        note_error(installer, errc_sentence(ERR_NO_MEMORY));
        if (fetch != NULL) {
            fetch_free(fetch);
        }
        return AGAIN;
    }
    code = peer_client_call(installer->peers, fetch->call);
    if (code != OK) {
        fetch_free(fetch);
        note_error(installer, code == ERR_INVALID_PARAMETER
                                  ? "the node that holds the snapshot is not known here"
                                  : errc_sentence(code));
        return code == ERR_INVALID_PARAMETER ? NO_WORD : AGAIN;
    }
    if (!fetch_wait(installer, number, fetch)) {
        return REPLACED;
    }
    outcome = take_answer(installer, incoming, fetch->call);
    fetch_free(fetch);
    return outcome;
}

/* How long to go on without an answer, and how often to be sent wrong bytes. */
struct patience {
    uint64_t silent_since_ms; /* 0: not silent */
    unsigned damaged;
    unsigned wait_ms;
};

static bool is_exhausted(const struct installer *installer, struct patience *patience,
                         enum outcome outcome) {
    uint64_t now_ms = world_mono_ms(installer->world);

    if (outcome == NO_WORD && patience->silent_since_ms == 0) {
        patience->silent_since_ms = now_ms;
    }
    patience->damaged += outcome == DAMAGED ? 1 : 0;
    return outcome == GONE || patience->damaged >= LIMIT_SNAPSHOT_DAMAGED ||
           (patience->silent_since_ms != 0 &&
            now_ms - patience->silent_since_ms >= LIMIT_SNAPSHOT_STALL_MS);
}

/* The next piece. Opens what is there of it when *incoming is NULL, and closes it after trouble on
 * this side. */
static enum outcome step(struct installer *installer, uint64_t number, const struct job *job,
                         struct incoming **incoming) {
    struct err err;
    enum outcome outcome;

    if (*incoming == NULL) {
        enum errc code = incoming_open(installer->data, job->manifest, incoming, &err);
        if (code != OK) {
            *incoming = NULL;
            note_error(installer, err.message);
            return code == ERR_CORRUPT ? DAMAGED : AGAIN;
        }
        note_bytes(installer, *incoming);
    }
    outcome = fetch_piece(installer, number, job, *incoming);
    if (outcome == AGAIN) {
        incoming_close(*incoming);
        *incoming = NULL;
    }
    return outcome;
}

/* Until it is fetched, given up (GONE) or REPLACED. */
static enum outcome run_job(struct installer *installer, uint64_t number, const struct job *job) {
    struct patience patience = {.wait_ms = LIMIT_SNAPSHOT_RETRY_MS_MIN};
    struct incoming *incoming = NULL;
    enum outcome outcome;

    do {
        unsigned wait_ms = 0;
        outcome = step(installer, number, job, &incoming);
        if (outcome == GOES_ON) {
            patience.silent_since_ms = 0;
            patience.wait_ms = LIMIT_SNAPSHOT_RETRY_MS_MIN;
        } else if (outcome == FETCHED || outcome == REPLACED) {
            break;
        } else if (is_exhausted(installer, &patience, outcome)) {
            /* Not at once: what is offered next may be the same. */
            outcome = GONE;
            wait_ms = LIMIT_SNAPSHOT_RETRY_MS_MAX;
        } else {
            wait_ms = patience.wait_ms;
            patience.wait_ms = wait_ms * 2 > LIMIT_SNAPSHOT_RETRY_MS_MAX
                                   ? LIMIT_SNAPSHOT_RETRY_MS_MAX
                                   : wait_ms * 2;
        }
        if (!pause_job(installer, number, wait_ms)) {
            outcome = REPLACED;
        }
    } while (outcome != GONE && outcome != REPLACED);
    incoming_close(incoming);
    return outcome;
}

/* The end of a job, unless another one has come; takes it. */
static void end_job(struct installer *installer, uint64_t number, struct job *job,
                    enum outcome outcome) {
    char error[sizeof(installer->status.error)];
    bool wanted;

    (void)pthread_mutex_lock(&installer->lock);
    wanted = is_wanted(installer, number);
    if (wanted) {
        installer->status.is_running = false;
        if (outcome == FETCHED) {
            installer->status.error[0] = '\0';
            installer->done = job;
            job = NULL;
        }
    }
    (void)snprintf(error, sizeof(error), "%s", installer->status.error);
    (void)pthread_mutex_unlock(&installer->lock);
    job_free(job);
    if (!wanted) {
        return;
    }
    if (outcome == FETCHED) {
        CRASHPOINT(INCOMING_FETCHED);
        LOG_INFO("installer.fetched");
    } else {
        LOG_WARN("installer.gave_up", F_STR("error", error));
    }
    installer->ready_cb(installer->arg);
}

static void *run(void *arg) {
    struct installer *installer = arg;

    (void)pthread_mutex_lock(&installer->lock);
    while (!installer->stopping) {
        struct job *job = installer->next;
        uint64_t number = installer->told;
        if (job == NULL) {
            (void)pthread_cond_wait(&installer->changed, &installer->lock);
            continue;
        }
        installer->next = NULL;
        (void)pthread_mutex_unlock(&installer->lock);
        end_job(installer, number, job, run_job(installer, number, job));
        (void)pthread_mutex_lock(&installer->lock);
    }
    (void)pthread_mutex_unlock(&installer->lock);
    return NULL;
}

/* ---- Other threads ---- */

/* 0 or errno. */
static int start_thread(struct installer *installer) {
    sigset_t all, before;
    int failed;

    (void)sigfillset(&all); /* signals are for the main thread */
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    failed = pthread_create(&installer->thread, NULL, run, installer);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (failed == 0) {
        (void)pthread_setname_np(installer->thread, "installer");
        installer->started = true;
    }
    return failed;
}

enum errc installer_new(const struct installer_options *options, struct installer **ret,
                        struct err *err) {
    struct installer *installer = calloc(1, sizeof(*installer));
    int failed;

    CHECK(options->data != NULL && options->ready_cb != NULL);
    if (installer == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    installer->data = strdup(options->data);
    installer->peers = options->peers;
    installer->world = options->world;
    installer->ready_cb = options->ready_cb;
    installer->arg = options->arg;
    CHECK(pthread_mutex_init(&installer->lock, NULL) == 0 && condition_init(&installer->changed));
    failed = installer->data == NULL ? ENOMEM : start_thread(installer);
    if (failed != 0) {
        installer_free(installer);
        return err_set(err, ERR_UNAVAILABLE, "no thread to fetch snapshots: %s", strerror(failed));
    }
    *ret = installer;
    return OK;
}

void installer_free(struct installer *installer) {
    if (installer == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&installer->lock);
    installer->stopping = true;
    (void)pthread_cond_broadcast(&installer->changed);
    (void)pthread_mutex_unlock(&installer->lock);
    if (installer->started) {
        CHECK(pthread_join(installer->thread, NULL) == 0);
    }
    job_free(installer->next);
    job_free(installer->done);
    (void)pthread_cond_destroy(&installer->changed);
    (void)pthread_mutex_destroy(&installer->lock);
    free(installer->data);
    free(installer);
}

enum errc installer_fetch(struct installer *installer, const struct core_snapshot *snapshot) {
    struct job *job = NULL;
    enum errc code = job_new(snapshot, &job);

    if (code != OK) {
        return code;
    }
    (void)pthread_mutex_lock(&installer->lock);
    job_free(installer->next);
    job_free(installer->done);
    installer->done = NULL;
    installer->next = job;
    installer->told++;
    installer->status = (struct installer_status){.is_running = true, .index = job->snapshot.index};
    (void)pthread_cond_broadcast(&installer->changed);
    (void)pthread_mutex_unlock(&installer->lock);
    return OK;
}

const struct core_snapshot *installer_fetched(const struct installer *installer,
                                              const char **ret_id) {
    /* The lock is no part of what callers see. */
    struct installer *inner = (struct installer *)(uintptr_t)installer;
    const struct job *done;

    (void)pthread_mutex_lock(&inner->lock);
    done = inner->done;
    (void)pthread_mutex_unlock(&inner->lock);
    if (done == NULL) {
        return NULL;
    }
    *ret_id = done->manifest->id;
    return &done->snapshot;
}

void installer_status(const struct installer *installer, struct installer_status *ret) {
    struct installer *inner = (struct installer *)(uintptr_t)installer;

    (void)pthread_mutex_lock(&inner->lock);
    *ret = inner->status;
    (void)pthread_mutex_unlock(&inner->lock);
}
