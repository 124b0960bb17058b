/* The options of a subcommand: "--name VALUE", in any order. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* One `--name VALUE` of a subcommand. */
struct option_slot {
    const char *name;
    const char **value; /* borrowed from argv */
    bool required;
};

enum { OPTIONS_MAX = 12 };

/* Reads only options that take a value; false and a message otherwise. argv[0] is passed over. */
bool read_options(int argc, char **argv, const struct option_slot *slots, size_t n);

#endif
