#include "base/crashpoint.h"

#ifdef REDOUBT_CRASHPOINTS

#include "base/check.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 8 };

static const char *const names[] = {
#define X(name, ...) [CRASHPOINT_##name] = #name,
#include "base/crashpoint.def"
#undef X
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    enum crashpoint point;
    unsigned long left; /* passages, this one included */
} steps[STEPS];
static size_t n_steps;
static size_t at; /* the step that is waited for */

static bool read_step(const char *text, size_t len) {
    size_t name_len = strcspn(text, ":,");
    char *end = NULL;

    if (n_steps == STEPS || name_len > len) {
        return false;
    }
    steps[n_steps].left = 1;
    if (name_len < len) {
        steps[n_steps].left = strtoul(text + name_len + 1, &end, 10);
        if (end != text + len || steps[n_steps].left == 0) {
            return false;
        }
    }
    for (int i = 0; i < CRASHPOINT_COUNT; i++) {
        if (strlen(names[i]) == name_len && memcmp(names[i], text, name_len) == 0) {
            steps[n_steps++].point = (enum crashpoint)i;
            return true;
        }
    }
    return false;
}

static void read_environment(void) {
    const char *text = getenv("REDOUBT_CRASHPOINT");

    while (text != NULL && *text != '\0') {
        size_t len = strcspn(text, ",");
        if (!read_step(text, len)) {
            (void)fprintf(stderr, "REDOUBT_CRASHPOINT: no such point, or no such count: %s\n",
                          text);
            abort();
        }
        text += text[len] == ',' ? len + 1 : len;
    }
}

void crashpoint_pass(enum crashpoint point) {
    char line[64];
    int len;

    CHECK(pthread_once(&once, read_environment) == 0);
    CHECK(pthread_mutex_lock(&lock) == 0);
    if (at < n_steps && steps[at].point == point && --steps[at].left == 0 && ++at == n_steps) {
        len = snprintf(line, sizeof(line), "crashpoint: %s\n", names[point]);
        (void)!write(STDERR_FILENO, line, (size_t)len);
        (void)kill(getpid(), SIGKILL);
        for (;;) {
            (void)pause(); /* with the lock: nobody passes another one */
        }
    }
    CHECK(pthread_mutex_unlock(&lock) == 0);
}

#endif
