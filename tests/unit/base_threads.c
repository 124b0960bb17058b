/* base/: mailboxes between threads, the system's world, logging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/errc.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/world.h"

enum { SENDERS = 4, LETTERS = 20000 };

struct numbered {
    struct letter letter;
    unsigned sender;
    unsigned number;
};

static struct mailbox *box;

static void *send_many(void *arg) {
    unsigned sender = *(unsigned *)arg;

    for (unsigned i = 0; i < LETTERS; i++) {
        struct numbered *mail = malloc(sizeof(*mail));
        CHECK(mail != NULL);
        mail->sender = sender;
        mail->number = i;
        while (mailbox_push(box, &mail->letter) != OK) {
            (void)sched_yield(); /* full: bounded by the capacity */
        }
    }
    return NULL;
}

/* Every letter arrives once, each sender's in order, and no wake-up is lost. */
static void test_mailbox_between_threads(void **state) {
    pthread_t threads[SENDERS];
    unsigned ids[SENDERS], next[SENDERS] = {0}, received = 0;

    box = mailbox_new(100);
    assert_non_null(box);
    for (unsigned i = 0; i < SENDERS; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &ids[i]), 0);
    }
    while (received < SENDERS * LETTERS) {
        struct pollfd poll_fd = {.fd = mailbox_fd(box), .events = POLLIN};
        unsigned got = 0;
        assert_int_equal(poll(&poll_fd, 1, 10000), 1);
        for (struct letter *at = mailbox_drain(box); at != NULL;) {
            struct numbered *mail = CONTAINER_OF(at, struct numbered, letter);
            at = at->next;
            assert_int_equal(mail->number, next[mail->sender]);
            next[mail->sender]++;
            free(mail);
            got++;
        }
        assert_true(got <= 100);
        received += got;
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    mailbox_free(box);
}

static void test_mailbox_refuses_at_its_capacity_and_when_closed(void **state) {
    struct letter letters[4];

    box = mailbox_new(2);
    assert_int_equal(mailbox_push(box, &letters[0]), OK);
    assert_int_equal(mailbox_push(box, &letters[1]), OK);
    assert_int_equal(mailbox_push(box, &letters[2]), ERR_BUSY);
    mailbox_push_reply(box, &letters[2]); /* an answer is never refused */
    mailbox_close(box);
    assert_int_equal(mailbox_push(box, &letters[3]), ERR_UNAVAILABLE);
    assert_ptr_equal(mailbox_drain(box), &letters[0]);
    assert_ptr_equal(letters[1].next, &letters[2]);
    assert_null(mailbox_drain(box));
    mailbox_free(box);
}

static void test_uuid(void **state) {
    char a[UUID_TEXT], b[UUID_TEXT];

    world_uuid(world_system(), a);
    world_uuid(world_system(), b);
    assert_int_equal(strlen(a), 36);
    assert_string_not_equal(a, b);
    assert_int_equal(a[14], '4');
    assert_non_null(strchr("89ab", a[19]));
    assert_true(a[8] == '-' && a[13] == '-' && a[18] == '-' && a[23] == '-');
}

static void test_random_is_not_repeated(void **state) {
    enum { DRAWS = 2000 };
    static uint64_t seen[DRAWS];
    uint8_t large[1000], other[1000];

    for (int i = 0; i < DRAWS; i++) {
        world_random(world_system(), &seen[i], sizeof(seen[i]));
        for (int k = 0; k < i; k++) {
            assert_true(seen[i] != seen[k]);
        }
    }
    world_random(world_system(), large, sizeof(large));
    world_random(world_system(), other, sizeof(other));
    assert_memory_not_equal(large, other, sizeof(large));
}

/* The pool of random bytes is not shared with a child. */
static void test_random_after_fork(void **state) {
    uint64_t mine, theirs = 0;
    int pipe_fds[2];
    pid_t child;

    world_random(world_system(), &mine, sizeof(mine)); /* fills the pool */
    assert_int_equal(pipe(pipe_fds), 0);
    child = fork();
    assert_true(child >= 0);
    world_random(world_system(), &mine, sizeof(mine));
    if (child == 0) {
        _exit(write(pipe_fds[1], &mine, sizeof(mine)) == (ssize_t)sizeof(mine) ? 0 : 1);
    }
    assert_int_equal(read(pipe_fds[0], &theirs, sizeof(theirs)), sizeof(theirs));
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(mine != theirs);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
}

static void test_errors(void **state) {
    struct err err;

    assert_int_equal(err_set(&err, ERR_RESOURCE_NOT_FOUND, "no %s", "x"), ERR_RESOURCE_NOT_FOUND);
    assert_string_equal(err.message, "no x");
    assert_string_equal(errc_name(ERR_RESOURCE_NOT_FOUND), "ResourceNotFoundException");
    assert_int_equal(errc_http_status(ERR_RESOURCE_NOT_FOUND), 400);
    assert_true(errc_is_modelled(ERR_RESOURCE_NOT_FOUND));
    assert_false(errc_is_modelled(ERR_VALIDATION));
    assert_false(errc_is_modelled(OK));
    assert_int_equal(err_default(NULL, ERR_BUSY), ERR_BUSY);
    assert_int_equal(errc_http_status((enum errc)9999), 500);
    assert_false(errc_is_known(9999));
    assert_true(errc_is_known(OK));
}

/* What `body` writes to standard error. */
static void capture(void (*body)(void), char *out, size_t size) {
    int pipe_fds[2], saved = dup(STDERR_FILENO);
    ssize_t len;

    assert_int_equal(pipe(pipe_fds), 0);
    assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
    body();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(pipe_fds[1]);
    len = read(pipe_fds[0], out, size - 1);
    (void)close(pipe_fds[0]);
    out[len > 0 ? len : 0] = '\0';
}

static char long_text[5000];

static void log_some(void) {
    log_setup(LOG_LEVEL_INFO, "us-east-1");
    LOG_DEBUG("not.shown");
    LOG_INFO("an.event", F_STR("text", "a \"b\"\n\x1b[31m"), F_U64("n", 7), F_I64("i", -7));
    LOG_WARN("a.long.one", F_STR("text", long_text), F_STR("again", long_text));
}

static void test_log(void **state) {
    char out[8192];

    memset(long_text, 'x', sizeof(long_text) - 1);
    capture(log_some, out, sizeof(out));
    assert_null(strstr(out, "not.shown"));
    assert_non_null(strstr(out, "level=info origin=us-east-1 event=an.event "
                                "text=\"a \\\"b\\\"??[31m\" n=7 i=-7\n"));
    assert_non_null(strstr(out, "xxx...\""));
    assert_true(strlen(out) < 3 * LIMIT_LOG_LINE);
    assert_int_equal(out[strlen(out) - 1], '\n');
}

static void test_check_aborts(void **state) {
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(0);
        }
        (void)signal(SIGABRT, SIG_DFL);
        CHECK(1 == 2);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mailbox_between_threads),
        cmocka_unit_test(test_mailbox_refuses_at_its_capacity_and_when_closed),
        cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_random_is_not_repeated),
        cmocka_unit_test(test_random_after_fork),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_check_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
