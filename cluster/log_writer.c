#include "cluster/log_writer.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/world.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct log_writer {
    struct engine *engine;
    pthread_t thread;
    int fd;

    /* The Raft thread's. */
    struct log_batch *open;
    struct log_batch *spare; /* the batch of the last write, empty, to be used again */
    bool open_is_dirty;
    struct log_written open_holds;

    /* Shared, under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct log_batch *in_flight; /* handed over; the thread's until `done` */
    struct log_written holds;
    bool done;
    bool stopping;
};

static void commit_or_die(struct log_batch *batch) {
    struct err err;

    if (log_batch_commit(batch, &err) != OK) {
        LOG_ERROR("log.write_failed", F_STR("error", err.message));
        abort();
    }
}

static void *writer_main(void *arg) {
    struct log_writer *writer = arg;
    uint64_t one = 1;
    uint64_t began_us;

    CHECK(pthread_mutex_lock(&writer->lock) == 0);
    for (;;) {
        while (!writer->stopping && (writer->in_flight == NULL || writer->done)) {
            CHECK(pthread_cond_wait(&writer->changed, &writer->lock) == 0);
        }
        if (writer->in_flight == NULL || writer->done) {
            break; /* stopping, and nothing left to write */
        }
        CHECK(pthread_mutex_unlock(&writer->lock) == 0);
        began_us = metric_clock_us();
        commit_or_die(writer->in_flight);
        metric_observe_us(METRIC_LOG_SYNC_SECONDS, metric_clock_us() - began_us);
        if (writer->holds.snapshot) {
            metric_set(METRIC_SNAPSHOT_TIME, world_wall_ms(world_system()));
        }
        CHECK(pthread_mutex_lock(&writer->lock) == 0);
        writer->done = true;
        CHECK(pthread_cond_broadcast(&writer->changed) == 0);
        CHECK(write(writer->fd, &one, sizeof(one)) == (ssize_t)sizeof(one) || errno == EAGAIN);
    }
    CHECK(pthread_mutex_unlock(&writer->lock) == 0);
    return NULL;
}

enum errc log_writer_start(struct engine *engine, struct log_writer **ret, struct err *err) {
    struct log_writer *writer = calloc(1, sizeof(*writer));

    if (writer == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    writer->engine = engine;
    writer->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (writer->fd < 0) {
        free(writer);
        return err_set(err, ERR_IO, "cannot make an eventfd for the log writer");
    }
    CHECK(pthread_mutex_init(&writer->lock, NULL) == 0);
    CHECK(pthread_cond_init(&writer->changed, NULL) == 0);
    CHECK(pthread_create(&writer->thread, NULL, writer_main, writer) == 0);
    (void)pthread_setname_np(writer->thread, "log-writer");
    *ret = writer;
    return OK;
}

void log_writer_stop(struct log_writer *writer) {
    if (writer == NULL) {
        return;
    }
    CHECK(pthread_mutex_lock(&writer->lock) == 0);
    writer->stopping = true;
    CHECK(pthread_cond_broadcast(&writer->changed) == 0);
    CHECK(pthread_mutex_unlock(&writer->lock) == 0);
    CHECK(pthread_join(writer->thread, NULL) == 0);
    log_batch_free(writer->open);
    log_batch_free(writer->spare);
    log_batch_free(writer->in_flight);
    CHECK(pthread_cond_destroy(&writer->changed) == 0);
    CHECK(pthread_mutex_destroy(&writer->lock) == 0);
    (void)close(writer->fd);
    free(writer);
}

struct log_batch *log_writer_open(struct log_writer *writer) {
    if (writer->open == NULL) {
        writer->open = writer->spare ? writer->spare : log_batch_new(writer->engine);
        writer->spare = NULL;
        CHECK(writer->open != NULL);
    }
    return writer->open;
}

/* Gives the open batch to the thread if that one is idle. Lock held. */
static void hand_over(struct log_writer *writer) {
    if (writer->in_flight != NULL || !writer->open_is_dirty) {
        return;
    }
    writer->in_flight = writer->open;
    writer->holds = writer->open_holds;
    writer->done = false;
    writer->open = NULL;
    writer->open_is_dirty = false;
    writer->open_holds = (struct log_written){.write_id = 0};
    CHECK(pthread_cond_broadcast(&writer->changed) == 0);
}

void log_writer_submit(struct log_writer *writer, uint64_t write_id, bool snapshot) {
    writer->open_is_dirty = true;
    if (write_id != 0) {
        writer->open_holds.write_id = write_id;
    }
    writer->open_holds.snapshot = writer->open_holds.snapshot || snapshot;
    CHECK(pthread_mutex_lock(&writer->lock) == 0);
    hand_over(writer);
    CHECK(pthread_mutex_unlock(&writer->lock) == 0);
}

int log_writer_fd(const struct log_writer *writer) {
    return writer->fd;
}

bool log_writer_collect(struct log_writer *writer, struct log_written *ret) {
    uint64_t count;
    bool collected = false;

    (void)!read(writer->fd, &count, sizeof(count));
    CHECK(pthread_mutex_lock(&writer->lock) == 0);
    if (writer->in_flight != NULL && writer->done) {
        *ret = writer->holds;
        log_batch_free(writer->spare);
        writer->spare = writer->in_flight;
        writer->in_flight = NULL;
        writer->done = false;
        collected = true;
        hand_over(writer);
    }
    CHECK(pthread_mutex_unlock(&writer->lock) == 0);
    return collected;
}

void log_writer_vote(struct log_writer *writer, uint64_t term, uint64_t voted_for) {
    struct log_batch *batch = log_batch_new(writer->engine);
    uint64_t began_us = metric_clock_us();

    CHECK(batch != NULL);
    /* Wait for the batch in flight, so that there is one writer at any time; its completion is
     * collected as usual later. */
    CHECK(pthread_mutex_lock(&writer->lock) == 0);
    while (writer->in_flight != NULL && !writer->done) {
        CHECK(pthread_cond_wait(&writer->changed, &writer->lock) == 0);
    }
    CHECK(pthread_mutex_unlock(&writer->lock) == 0);
    log_batch_vote(batch, term, voted_for);
    CRASHPOINT(VOTE_BEFORE_WRITE);
    commit_or_die(batch);
    CRASHPOINT(VOTE_WRITTEN);
    log_batch_free(batch);
    metric_observe_us(METRIC_LOG_VOTE_SECONDS, metric_clock_us() - began_us);
}
