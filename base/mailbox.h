/* A bounded queue between threads with an eventfd that wakes the receiver.
 *
 * Many senders, one receiver. A push transfers ownership: the sender does not touch the letter
 * again. The receiver watches mailbox_fd() in its event loop and drains when it becomes readable;
 * the eventfd is written only when the box was empty. Letters embed `struct letter` and are
 * recovered with CONTAINER_OF. */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include "base/check.h"
#include "base/errc.h"

#include <stdbool.h>
#include <stddef.h>

struct letter {
    struct letter *next;
};

struct mailbox;

/* `capacity` letters at most. NULL when the system gives no eventfd or memory. Returns owned. */
struct mailbox *mailbox_new(size_t capacity);
/* The box must be empty; no other thread may use it any more. */
void mailbox_free(struct mailbox *box);
int mailbox_fd(const struct mailbox *box);
/* Takes the letter and returns OK; ERR_BUSY at the capacity, ERR_UNAVAILABLE after mailbox_close:
 * the letter is then still the sender's. Any thread. */
MUSTCHECK enum errc mailbox_push(struct mailbox *box, struct letter *letter);
/* The same without a bound, for answers to letters that were admitted before: they are bounded by
 * what was admitted. Works after close too. */
void mailbox_push_reply(struct mailbox *box, struct letter *letter);
/* All letters in order of arrival as a chain through `next`, NULL if none; clears the eventfd.
 * Receiver's thread. Owned by the caller. */
struct letter *mailbox_drain(struct mailbox *box);
/* Refuse further pushes. Any thread. */
void mailbox_close(struct mailbox *box);
/* Wake the receiver without a letter. Any thread. */
void mailbox_wake(struct mailbox *box);

#endif
