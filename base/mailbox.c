#include "base/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t lock; /* held for a few instructions, never across a call that can block */
    struct letter *first;
    struct letter **last;
    size_t count;
    size_t capacity;
    bool closed;
    int fd;
};

struct mailbox *mailbox_new(size_t capacity) {
    struct mailbox *box = calloc(1, sizeof(*box));

    if (box == NULL) {
        return NULL;
    }
    box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (box->fd < 0) {
        free(box);
        return NULL;
    }
    CHECK(pthread_mutex_init(&box->lock, NULL) == 0);
    box->last = &box->first;
    box->capacity = capacity;
    return box;
}

void mailbox_free(struct mailbox *box) {
    if (box == NULL) {
        return;
    }
    CHECK(box->first == NULL);
    (void)close(box->fd);
    CHECK(pthread_mutex_destroy(&box->lock) == 0);
    free(box);
}

int mailbox_fd(const struct mailbox *box) {
    return box->fd;
}

void mailbox_wake(struct mailbox *box) {
    uint64_t one = 1;
    /* EAGAIN means that the counter is full: the receiver is awake already. */
    CHECK(write(box->fd, &one, sizeof(one)) == (ssize_t)sizeof(one) || errno == EAGAIN);
}

/* Returns whether the box was empty. Lock held. */
static bool mailbox_enqueue(struct mailbox *box, struct letter *letter) {
    bool was_empty = box->first == NULL;

    letter->next = NULL;
    *box->last = letter;
    box->last = &letter->next;
    box->count++;
    return was_empty;
}

enum errc mailbox_push(struct mailbox *box, struct letter *letter) {
    enum errc code = OK;
    bool was_empty = false;

    CHECK(pthread_mutex_lock(&box->lock) == 0);
    if (box->closed) {
        code = ERR_UNAVAILABLE;
    } else if (box->count >= box->capacity) {
        code = ERR_BUSY;
    } else {
        was_empty = mailbox_enqueue(box, letter);
    }
    CHECK(pthread_mutex_unlock(&box->lock) == 0);
    if (was_empty) {
        mailbox_wake(box);
    }
    return code;
}

void mailbox_push_reply(struct mailbox *box, struct letter *letter) {
    bool was_empty;

    CHECK(pthread_mutex_lock(&box->lock) == 0);
    was_empty = mailbox_enqueue(box, letter);
    CHECK(pthread_mutex_unlock(&box->lock) == 0);
    if (was_empty) {
        mailbox_wake(box);
    }
}

struct letter *mailbox_drain(struct mailbox *box) {
    struct letter *chain;
    uint64_t count;

    /* Clear the eventfd before taking the letters: one that arrives between finds the box empty and
     * wakes again. */
    (void)!read(box->fd, &count, sizeof(count));
    CHECK(pthread_mutex_lock(&box->lock) == 0);
    chain = box->first;
    box->first = NULL;
    box->last = &box->first;
    box->count = 0;
    CHECK(pthread_mutex_unlock(&box->lock) == 0);
    return chain;
}

void mailbox_close(struct mailbox *box) {
    CHECK(pthread_mutex_lock(&box->lock) == 0);
    box->closed = true;
    CHECK(pthread_mutex_unlock(&box->lock) == 0);
}
