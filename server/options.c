#include "server/options.h"

#include "base/check.h"

#include <getopt.h>
#include <stdio.h>

bool read_options(int argc, char **argv, const struct option_slot *slots, size_t n) {
    struct option options[OPTIONS_MAX + 1] = {{0}};
    int at = 0;

    CHECK(n <= OPTIONS_MAX);
    for (size_t i = 0; i < n; i++) {
        options[i] = (struct option){slots[i].name, required_argument, NULL, 0};
    }
    optind = 0;
    for (;;) {
        int got = getopt_long(argc, argv, "", options, &at);
        if (got == -1) {
            break;
        }
        if (got != 0) {
            return false;
        }
        *slots[at].value = optarg;
    }
    if (optind != argc) {
        (void)fprintf(stderr, "redoubt: unexpected argument '%s'\n", argv[optind]);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (slots[i].required && *slots[i].value == NULL) {
            (void)fprintf(stderr, "redoubt: --%s is missing\n", slots[i].name);
            return false;
        }
    }
    return true;
}
