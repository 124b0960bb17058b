/* What a region does, said a second time: one account's secrets as a sequence of deeds in the order
 * of the log makes them. Written from the documented behaviour, sharing nothing with the code under
 * test but the numbers of refusals. It remembers what every secret looked like at every index. */
#ifndef TESTS_SIM_REGION_MODEL_H
#define TESTS_SIM_REGION_MODEL_H

#include "deed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_LABELS = 10, MODEL_TAGS = 16, MODEL_ANSWER = 256 };

struct model_version {
    char id[DEED_ID];
    char cipher[DEED_CIPHER]; /* "": a version without a value */
    char text[DEED_WORD];
    bool is_binary;
    int64_t created_ms;
    int64_t day; /* -1: never read */
    uint64_t revision;
    char labels[MODEL_LABELS][DEED_WORD];
    unsigned n_labels;
};

struct model_secret {
    bool exists;
    char suffix[LIMIT_ARN_SUFFIX + 1];
    char description[DEED_WORD];
    char policy[DEED_WORD];
    char tags[MODEL_TAGS][2][DEED_WORD];
    unsigned n_tags;
    bool tags_were_set;
    int64_t created_ms;
    int64_t changed_ms;
    int64_t deletion_ms; /* -1: not scheduled */
    int64_t day;         /* -1: never read */
    uint64_t revision;
    uint64_t seq;
    struct model_version *versions; /* owned */
    size_t n_versions;
};

struct model_moment {
    uint64_t index;
    char *text; /* owned; NULL: no such secret */
};

struct model_history {
    struct model_moment *moments; /* owned */
    size_t n;
    size_t room;
};

struct model {
    uint64_t named; /* index of the region's first command; 0: it has no name yet */
    struct model_secret secrets[DEED_NAMES];
    struct model_history history[DEED_NAMES];
};

void model_fini(struct model *model);
/* The deed is done at this index and place of the log. `ret` becomes the answer as a text, of the
 * form of audit_answer_text. */
void model_apply(struct model *model, const struct deed *deed, uint64_t index, unsigned place,
                 char ret[MODEL_ANSWER]);
/* How the secret looks once the log up to `index` is applied; NULL: it does not exist. Of the form
 * of audit_secret_text. */
const char *model_at(const struct model *model, unsigned name, uint64_t index);

/* Appends to `text` of `size` bytes; what does not fit is an abort. */
void text_add(char *text, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum { MODEL_TEXT = 64 * 1024 };

#endif
