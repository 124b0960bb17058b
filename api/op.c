#include "api/op.h"

#include <string.h>

/* The table is in the order of file names, which is not that of the operations' names; with two
 * dozen rows, looking at each is as quick as anything. */
const struct op *op_find(const char *name, size_t len) {
    for (size_t i = 0; i < op_table_len; i++) {
        const struct op *op = op_table[i];
        if (strlen(op->name) == len && memcmp(op->name, name, len) == 0) {
            return op;
        }
    }
    return NULL;
}
