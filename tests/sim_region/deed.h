/* What a client wants done, resolved as a leader resolves it before it proposes: the time, random
 * suffixes, the ciphertext. Encoded as the real command; told to the auditor as it is. One thread.
 */
#ifndef TESTS_SIM_REGION_DEED_H
#define TESTS_SIM_REGION_DEED_H

#include "base/buf.h"
#include "cluster/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEED_ACCOUNT     "123456789012"
#define DEED_REGION_NAME "us-east-1"
enum { DEED_NAMES = 6, DEED_ID = 40, DEED_WORD = 24, DEED_LABELS = 3, DEED_TAGS = 3 };
extern const char *const deed_names[DEED_NAMES];

enum deed_kind {
    DEED_REGION,
    DEED_KEY,
    DEED_CREATE,
    DEED_PUT,
    DEED_UPDATE,
    DEED_STAGE,
    DEED_DELETE,
    DEED_RESTORE,
    DEED_TAG,
    DEED_UNTAG,
    DEED_POLICY,
    DEED_TOUCH,
    DEED_PURGE,
    DEED_PRUNE,
    DEED_KINDS
};
extern const char *const deed_words[DEED_KINDS];

struct deed_quotas {
    unsigned secrets, versions_kept, labels, tags;
};

struct deed {
    enum deed_kind kind;
    unsigned name;                       /* place in deed_names */
    char suffix[LIMIT_ARN_SUFFIX + 1];   /* of the ref; "": none. CREATE: the new one */
    char invented[LIMIT_ARN_SUFFIX + 1]; /* DELETE */
    char token[DEED_ID];                 /* CREATE, PUT, UPDATE, TOUCH: the version */
    char text[DEED_WORD];                /* the value; "": none */
    bool is_binary;
    uint64_t nonce; /* what makes two seals of one value differ */
    char labels[DEED_LABELS][DEED_WORD];
    unsigned n_labels;
    char label[DEED_WORD]; /* STAGE */
    char remove_from[DEED_ID];
    char move_to[DEED_ID];
    bool force; /* DELETE */
    int64_t deletion_ms;
    bool has_description;
    char description[DEED_WORD];
    char tags[DEED_TAGS][2][DEED_WORD]; /* UNTAG: keys only */
    unsigned n_tags;
    char policy[DEED_WORD]; /* "": detach */
    int64_t day;
    int64_t now_ms;
    struct deed_quotas quotas;
};

/* Appends the enveloped command. */
void deed_encode(const struct deed *deed, struct buf *out);

/* What is stored as the ciphertext of the deed's value: a text that says which. */
enum { DEED_CIPHER = 64 };
void deed_cipher(const char *text, bool is_binary, uint64_t nonce, char out[DEED_CIPHER]);

#endif
