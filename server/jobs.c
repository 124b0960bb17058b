/* One table of what can be due, one loop over what is: read a batch of rows, propose what they ask
 * for, wait for the results, go on behind the last row. A row that needs nothing is passed over
 * without a command, so that what is stuck costs no log. */
#include "server/jobs.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cluster/commands/secret_ops.h"
#include "storage/view.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS_REST_FACTOR = 9 };

/* What a row names, copied out of the view's walk. */
struct task {
    enum due_kind kind;
    int64_t due_ms;
    char account[LIMIT_ACCOUNT + 1];
    char name[LIMIT_NAME + 1];
};

struct batch {
    struct task tasks[LIMIT_JOBS_BATCH];
    size_t n;
};

struct jobs {
    struct jobs_options options;
    struct mailbox *back; /* proposals that the node has answered; also what wakes the thread */
    atomic_bool stopping;
    atomic_bool woken;
    pthread_t thread;
    bool has_thread;
    /* The thread's. */
    unsigned under_way;
    struct jobs_report report; /* of this look */
    struct batch batch;
    bool has_looked;
    int64_t last_wall_ms; /* of the look before */
    uint64_t last_mono_ms;
};

/* ---- The table ---- */

/* The command that `secret` needs now; NULL: none (any more), or no memory. `ref` is the secret's,
 * with its suffix. */
typedef struct proposal *job_fn(const struct jobs *jobs, const Redoubt__Secret *secret,
                                Redoubt__SecretRef *ref, int64_t now_ms);

static struct proposal *propose_purge(const struct jobs *jobs, const Redoubt__Secret *secret,
                                      Redoubt__SecretRef *ref, int64_t now_ms) {
    Redoubt__SecretPurge purge = REDOUBT__SECRET_PURGE__INIT;

    if (secret->replica_of != NULL || !secret->has_deletion_ms || secret->deletion_ms > now_ms) {
        return NULL;
    }
    purge.ref = ref;
    purge.has_deletion_ms = true;
    purge.deletion_ms = secret->deletion_ms;
    purge.has_now_ms = true;
    purge.now_ms = now_ms;
    return proposal_new(COMMAND_SECRET_PURGE, &purge.base);
}

static struct proposal *propose_prune(const struct jobs *jobs, const Redoubt__Secret *secret,
                                      Redoubt__SecretRef *ref, int64_t now_ms) {
    const struct quotas *quotas = jobs->options.quotas;
    Redoubt__VersionsPrune prune = REDOUBT__VERSIONS_PRUNE__INIT;
    Redoubt__Quotas message;

    if (secret->replica_of != NULL || secret->has_deletion_ms ||
        versions_prunable(secret, now_ms, (size_t)quotas->versions_kept) == 0) {
        return NULL;
    }
    command_quotas(quotas, &message);
    prune.ref = ref;
    prune.has_now_ms = true;
    prune.now_ms = now_ms;
    prune.quotas = &message;
    return proposal_new(COMMAND_VERSIONS_PRUNE, &prune.base);
}

static job_fn *const job_table[] = {
    [DUE_PURGE] = propose_purge,
    [DUE_PRUNE] = propose_prune,
};

/* ---- Proposals ---- */

/* Raft thread. */
static void proposal_done(struct proposal *proposal) {
    struct jobs *jobs = proposal->arg;

    mailbox_push_reply(jobs->back, &proposal->letter);
}

/* A command that did something names the secret in its result. */
static void settle(struct jobs *jobs, struct proposal *proposal) {
    jobs->under_way--;
    if (proposal->code != OK) {
        jobs->report.failed++;
    } else if (proposal->result->code != OK) {
        LOG_ERROR("jobs.refused",
                  F_STR("command", command_kind_find((uint16_t)proposal->type)->name),
                  F_STR("error", errc_name((enum errc)proposal->result->code)));
    } else if (proposal->result->name != NULL) {
        jobs->report.purged += proposal->type == COMMAND_SECRET_PURGE ? 1 : 0;
        jobs->report.pruned += proposal->type == COMMAND_VERSIONS_PRUNE ? 1 : 0;
    }
    proposal_free(proposal);
}

static void wait_for_letters(struct jobs *jobs, int timeout_ms) {
    struct pollfd box = {.fd = mailbox_fd(jobs->back), .events = POLLIN};
    struct letter *letter;

    (void)poll(&box, 1, timeout_ms);
    letter = mailbox_drain(jobs->back);
    while (letter != NULL) {
        struct proposal *proposal = CONTAINER_OF(letter, struct proposal, letter);
        letter = letter->next;
        settle(jobs, proposal);
    }
}

/* False: this look is over, the node takes nothing now. */
static bool propose(struct jobs *jobs, const struct task *task, const Redoubt__Secret *secret,
                    int64_t now_ms) {
    Redoubt__SecretRef ref = REDOUBT__SECRET_REF__INIT;
    struct proposal *proposal;

    ref.account = (char *)(uintptr_t)task->account;
    ref.name = secret->name;
    ref.suffix = secret->suffix;
    proposal = job_table[task->kind](jobs, secret, &ref, now_ms);
    if (proposal == NULL) {
        return true;
    }
    proposal->done_cb = proposal_done;
    proposal->arg = jobs;
    jobs->under_way++;
    if (node_propose(jobs->options.node, proposal) != OK) {
        jobs->under_way--;
        jobs->report.failed++;
        proposal_free(proposal);
        return false;
    }
    return true;
}

/* ---- A look ---- */

static bool read_task(void *arg, const struct due *due) {
    struct batch *batch = arg;
    struct task *task = &batch->tasks[batch->n++];

    task->kind = due->kind;
    task->due_ms = due->due_ms;
    (void)snprintf(task->account, sizeof(task->account), "%s", due->account);
    (void)snprintf(task->name, sizeof(task->name), "%s", due->name);
    return batch->n < LIMIT_JOBS_BATCH;
}

static bool kind_is_known(enum due_kind kind) {
    return (size_t)kind < ARRAY_LEN(job_table) && job_table[kind] != NULL;
}

/* Propose what the batch's rows need; false when the look is over. */
static bool run_batch(struct jobs *jobs, const struct view *view, int64_t now_ms) {
    bool goes_on = true;

    for (size_t i = 0; goes_on && i < jobs->batch.n; i++) {
        const struct task *task = &jobs->batch.tasks[i];
        Redoubt__Secret *secret = NULL;
        enum errc code = view_secret(view, task->account, task->name, &secret);
        if (code != OK) {
            LOG_ERROR("jobs.read", F_STR("error", errc_sentence(code)));
            return false;
        }
        if (secret != NULL && kind_is_known(task->kind)) {
            goes_on = !atomic_load(&jobs->stopping) && propose(jobs, task, secret, now_ms);
        }
        redoubt__secret__free_unpacked(secret, NULL);
    }
    return goes_on;
}

/* The rows behind `after` (NULL: all), and what they need. False when the look is over. */
static bool look_behind(struct jobs *jobs, const struct due *after, int64_t now_ms) {
    struct view *view = view_new(jobs->options.engine);
    enum errc code;
    bool goes_on;

    jobs->batch.n = 0;
    code =
        view == NULL ? ERR_NO_MEMORY : view_each_due(view, now_ms, after, read_task, &jobs->batch);
    if (code != OK) {
        LOG_ERROR("jobs.read", F_STR("error", errc_sentence(code)));
    }
    goes_on = code == OK && run_batch(jobs, view, now_ms);
    view_free(view);
    while (jobs->under_way > 0) {
        wait_for_letters(jobs, -1);
    }
    return goes_on && jobs->report.failed == 0 && jobs->batch.n == LIMIT_JOBS_BATCH &&
           node_is_leader(jobs->options.node);
}

/* A secret that is gone is gone: a wall clock that is suddenly far ahead of the monotonic one is
 * not believed at once. */
static bool clock_jumped(struct jobs *jobs, int64_t wall_ms) {
    uint64_t mono_ms = world_mono_ms(jobs->options.world);
    int64_t ahead = wall_ms - jobs->last_wall_ms - (int64_t)(mono_ms - jobs->last_mono_ms);
    bool jumped = jobs->has_looked && ahead > LIMIT_JOBS_JUMP_MS;

    jobs->has_looked = true;
    jobs->last_wall_ms = wall_ms;
    jobs->last_mono_ms = mono_ms;
    if (jumped) {
        LOG_WARN("jobs.clock_jumped", F_I64("ahead_ms", ahead));
    }
    return jumped;
}

/* To lead is enough, no read has to be confirmed: what is looked for is only proposed, its command
 * holds what it was proposed for as a precondition, and a leader that was deposed and does not know
 * it yet cannot commit. */
void jobs_look(struct jobs *jobs, struct jobs_report *ret) {
    uint64_t began_us = metric_clock_us();
    int64_t now_ms = world_wall_ms(jobs->options.world);
    struct task last;
    struct due after;
    bool goes_on = !clock_jumped(jobs, now_ms) && node_is_leader(jobs->options.node);
    bool is_first = true;

    memset(&jobs->report, 0, sizeof(jobs->report));
    while (goes_on) {
        goes_on = look_behind(jobs, is_first ? NULL : &after, now_ms);
        if (goes_on) {
            last = jobs->batch.tasks[jobs->batch.n - 1];
            after = (struct due){last.kind, last.due_ms, last.account, last.name};
            is_first = false;
        }
    }
    if (jobs->report.purged + jobs->report.pruned > 0) {
        LOG_INFO("jobs.done", F_U64("purged", jobs->report.purged),
                 F_U64("pruned", jobs->report.pruned));
    }
    metric_add(METRIC_JOBS_PURGED, jobs->report.purged);
    metric_add(METRIC_JOBS_PRUNED, jobs->report.pruned);
    metric_add(METRIC_JOBS_FAILED, jobs->report.failed);
    metric_observe_us(METRIC_JOBS_SECONDS, metric_clock_us() - began_us);
    LOG_DEBUG("jobs.look", F_I64("now_ms", now_ms), F_U64("failed", jobs->report.failed));
    *ret = jobs->report;
}

/* ---- The thread ---- */

static unsigned rest_ms(const struct jobs *jobs, uint64_t took_ms) {
    uint64_t rest = took_ms * JOBS_REST_FACTOR;

    if (rest > LIMIT_JOBS_REST_MS) {
        rest = LIMIT_JOBS_REST_MS;
    }
    return rest > jobs->options.interval_ms ? (unsigned)rest : jobs->options.interval_ms;
}

static void *run(void *arg) {
    struct jobs *jobs = arg;
    const struct world *world = jobs->options.world;

    while (!atomic_load(&jobs->stopping)) {
        uint64_t began_ms = world_mono_ms(world);
        uint64_t now_ms;
        uint64_t next_ms;
        struct jobs_report report;
        jobs_look(jobs, &report);
        now_ms = world_mono_ms(world);
        next_ms = now_ms + rest_ms(jobs, now_ms - began_ms);
        while (now_ms < next_ms && !atomic_load(&jobs->stopping) &&
               !atomic_exchange(&jobs->woken, false)) {
            wait_for_letters(jobs, (int)(next_ms - now_ms));
            now_ms = world_mono_ms(world);
        }
    }
    return NULL;
}

struct jobs *jobs_new(const struct jobs_options *options) {
    struct jobs *jobs = calloc(1, sizeof(*jobs));

    if (jobs == NULL) {
        return NULL;
    }
    jobs->options = *options;
    jobs->back = mailbox_new(1); /* replies only: no bound of its own */
    if (jobs->back == NULL) {
        free(jobs);
        return NULL;
    }
    return jobs;
}

void jobs_start(struct jobs *jobs) {
    CHECK(pthread_create(&jobs->thread, NULL, run, jobs) == 0);
    (void)pthread_setname_np(jobs->thread, "jobs");
    jobs->has_thread = true;
}

void jobs_wake(struct jobs *jobs) {
    atomic_store(&jobs->woken, true);
    mailbox_wake(jobs->back);
}

void jobs_stop(struct jobs *jobs) {
    if (jobs != NULL) {
        atomic_store(&jobs->stopping, true);
        mailbox_wake(jobs->back);
    }
}

void jobs_free(struct jobs *jobs) {
    if (jobs == NULL) {
        return;
    }
    if (jobs->has_thread) {
        CHECK(pthread_join(jobs->thread, NULL) == 0);
    }
    mailbox_free(jobs->back);
    free(jobs);
}
