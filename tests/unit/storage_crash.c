/* Killed at any moment, the store keeps what it promised: every log write whose commit returned,
 * and a state that is never ahead of the log.
 *
 * The test runs itself as the victim: the child appends to the log, applies to the state and says
 * over a pipe what it was promised, until it is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/world.h"
#include "storage/log_store.h"
#include "storage/txn.h"
#include "storage_scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACCOUNT "123456789012"

enum { ROUNDS = 10, LIFE_MS_MAX = 120, BATCH_MAX = 8, BULK = 2000 };

static const char *program;

static uint64_t roll(uint64_t *seed, uint64_t sides) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed % sides;
}

/* What entry `index` holds: its number, and bulk that fills blocks of the write-ahead log. */
static size_t entry_text(uint64_t index, char out[BULK + 32]) {
    size_t bulk = (size_t)(index * 2654435761U % BULK);
    int len = snprintf(out, 32, "%" PRIu64 " ", index);

    memset(out + len, 'a' + (int)(index % 26), bulk);
    return (size_t)len + bulk;
}

/* The victim. */

static void victim_apply(struct txn *txn, uint64_t index) {
    char key_id[32];
    char alias[32];

    (void)snprintf(key_id, sizeof(key_id), "%" PRIu64, index);
    (void)snprintf(alias, sizeof(alias), "alias/%" PRIu64, index);
    txn_put_alias(txn, ACCOUNT, alias, key_id);
    txn_put_alias(txn, ACCOUNT, "alias/last", key_id);
    txn_commit(txn, index);
}

static bool promise(uint64_t index) {
    return write(STDOUT_FILENO, &index, sizeof(index)) == (ssize_t)sizeof(index);
}

static int victim(const char *path, uint64_t seed) {
    static char texts[BATCH_MAX][BULK + 32];
    struct log_entry entries[BATCH_MAX];
    struct engine *engine = scratch_open(path);
    struct log_image *image = NULL;
    struct log_batch *batch = log_batch_new(engine);
    struct txn *txn = txn_new(engine);
    uint64_t last;
    uint64_t applied = 0;
    uint64_t lag;
    struct err err;

    if (log_store_load(engine, &image, &err) != OK || view_applied(txn_view(txn), &applied) != OK) {
        return 3;
    }
    last = image->first_index + image->n_entries - 1;
    log_image_free(image);
    for (uint64_t i = 0;; i++) {
        size_t n = (size_t)roll(&seed, BATCH_MAX) + 1;
        for (size_t k = 0; k < n; k++) {
            entries[k] = (struct log_entry){.term = 1, .type = 1};
            entries[k].len = entry_text(last + 1 + k, texts[k]);
            entries[k].data = (const uint8_t *)texts[k];
        }
        log_batch_append(batch, last + 1, entries, n);
        if (last > 100 && roll(&seed, 20) == 0) {
            const struct log_snapshot snapshot = {.index = applied, .term = 1};
            log_batch_snapshot(batch, &snapshot, applied - roll(&seed, 50));
        }
        if (log_batch_commit(batch, &err) != OK) {
            return 4;
        }
        last += n;
        if (!promise(last)) {
            return 5;
        }
        /* The state follows the log, now closer, now further behind. */
        lag = roll(&seed, 3);
        while (applied + lag < last) {
            victim_apply(txn, ++applied);
        }
    }
}

/* The witness. */

static uint64_t kill_after(const char *path, uint64_t life_ms, uint64_t seed) {
    char seed_text[32];
    uint64_t promised = 0;
    uint64_t index;
    const struct world *world = world_system();
    uint64_t end = 0;
    int pipes[2];
    int status = 0;
    pid_t child;

    (void)snprintf(seed_text, sizeof(seed_text), "%" PRIu64, seed);
    assert_int_equal(pipe(pipes), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(pipes[1], STDOUT_FILENO);
        (void)close(pipes[0]);
        (void)close(pipes[1]);
        (void)execl(program, program, "victim", path, seed_text, (char *)NULL);
        _exit(127);
    }
    (void)close(pipes[1]);
    /* Its time begins with its first promise: starting is slow under sanitizers. Every fourth life
       ends somewhere in the start itself. */
    for (;;) {
        struct pollfd poll_in = {.fd = pipes[0], .events = POLLIN};
        uint64_t now = world_mono_ms(world);
        int wait_ms = -1;
        if (end == 0 && seed % 4 == 0) {
            end = now + life_ms;
        }
        if (end != 0) {
            wait_ms = now < end ? (int)(end - now) : 0;
        }
        if (poll(&poll_in, 1, wait_ms) == 0) {
            break;
        }
        if (read(pipes[0], &index, sizeof(index)) != (ssize_t)sizeof(index)) {
            break; /* it died on its own: seen below */
        }
        promised = index;
        end = end == 0 ? world_mono_ms(world) + life_ms : end;
    }
    (void)kill(child, SIGKILL);
    while (read(pipes[0], &index, sizeof(index)) == (ssize_t)sizeof(index)) {
        promised = index;
    }
    (void)close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        fail_msg("the victim ended by itself: %d", status);
    }
    return promised;
}

static void assert_log(const struct log_image *image, uint64_t promised, uint64_t *ret_last) {
    char text[BULK + 32];

    *ret_last = image->first_index + image->n_entries - 1;
    assert_true(*ret_last >= promised);
    for (size_t i = 0; i < image->n_entries; i++) {
        size_t len = entry_text(image->first_index + i, text);
        assert_int_equal(image->entries[i].len, len);
        assert_memory_equal(image->entries[i].data, text, len);
    }
}

static void assert_alias(const struct view *view, const char *alias, uint64_t index,
                         bool is_there) {
    char expected[32];
    char *key_id = NULL;

    assert_int_equal(view_alias(view, ACCOUNT, alias, &key_id), OK);
    (void)snprintf(expected, sizeof(expected), "%" PRIu64, index);
    if (is_there) {
        assert_non_null(key_id);
        assert_string_equal(key_id, expected);
    } else {
        assert_null(key_id);
    }
    free(key_id);
}

/* Exactly what was applied up to the applied index, each transaction whole. */
static void assert_state(const struct view *view, uint64_t last, uint64_t *ret_applied) {
    uint64_t applied = 0;
    char alias[32];

    assert_int_equal(view_applied(view, &applied), OK);
    assert_true(applied <= last);
    for (uint64_t index = 1; index <= last; index++) {
        (void)snprintf(alias, sizeof(alias), "alias/%" PRIu64, index);
        assert_alias(view, alias, index, index <= applied);
    }
    assert_alias(view, "alias/last", applied, applied > 0);
    *ret_applied = applied;
}

static void test_kill(void **state) {
    char folder[SCRATCH_PATH];
    char path[SCRATCH_PATH + 16];
    const char *given = getenv("REDOUBT_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 0;
    uint64_t promised = 0;

    if (seed == 0) {
        world_random(world_system(), &seed, sizeof(seed));
        seed = seed >> 16 | 1;
    }
    print_message("REDOUBT_TEST_SEED=%" PRIu64 "\n", seed);
    scratch_make(folder);
    (void)snprintf(path, sizeof(path), "%s/db", folder);
    for (int round = 0; round < ROUNDS; round++) {
        struct engine *engine;
        struct log_image *image = NULL;
        struct view *view;
        uint64_t said = kill_after(path, roll(&seed, LIFE_MS_MAX), roll(&seed, 1000000));
        uint64_t last = 0;
        uint64_t applied = 0;
        struct err err = {.message = ""};

        promised = said > promised ? said : promised;
        engine = scratch_open(path);
        if (log_store_load(engine, &image, &err) != OK) {
            fail_msg("%s", err.message);
        }
        assert_log(image, promised, &last);
        log_image_free(image);
        view = view_new(engine);
        assert_state(view, last, &applied);
        view_free(view);
        engine_close(engine);
        print_message("killed: %" PRIu64 " promised, %" PRIu64 " in the log, %" PRIu64 " applied\n",
                      promised, last, applied);
    }
    assert_true(promised > 0);
    scratch_remove(folder);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};

    if (argc == 4 && strcmp(argv[1], "victim") == 0) {
        return victim(argv[2], strtoull(argv[3], NULL, 10) + 1);
    }
    program = "/proc/self/exe";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
