/* The table of commands for tests that put a fake in the place of the node and the store. */
#ifndef TESTS_UNIT_COMMAND_TABLE_FAKE_H
#define TESTS_UNIT_COMMAND_TABLE_FAKE_H

#include "base/check.h"
#include "cluster/command.h"

/* The table without its transitions, which would bring the store. */
const struct command_kind *command_kind_find(uint16_t type) {
    static const struct command_kind kinds[] = {
#define X(number, symbol, message, required, text) {.type = (number), .level = (required)},
#include "cluster/command.def"
#undef X
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

#endif
