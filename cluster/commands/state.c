#include "cluster/commands/state.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The state below is damaged or its disk is: the process stops before it answers anything. */
static void must_read(enum errc code, const char *what, const char *account, const char *name) {
    if (code == OK) {
        return;
    }
    (void)fprintf(stderr, "apply: cannot read the %s of \"%.512s\" in account \"%.12s\": %s\n",
                  what, name, account, errc_sentence(code));
    (void)fflush(stderr);
    abort();
}

Redoubt__Secret *state_secret(struct txn *txn, const char *account, const char *name) {
    Redoubt__Secret *secret = NULL;

    must_read(view_secret(txn_view(txn), account, name, &secret), "secret", account, name);
    return secret;
}

Redoubt__Sealed *state_value(struct txn *txn, const char *account, const char *name,
                             const char *version_id) {
    Redoubt__Sealed *sealed = NULL;

    must_read(view_value(txn_view(txn), account, name, version_id, &sealed), "value", account,
              name);
    return sealed;
}

Redoubt__Link *state_link(struct txn *txn, const char *account, const char *name,
                          const char *region) {
    Redoubt__Link *link = NULL;

    must_read(view_link(txn_view(txn), account, name, region, &link), "link", account, name);
    return link;
}

Redoubt__Outbox *state_outbox(struct txn *txn, const char *region, const char *account,
                              const Redoubt__Secret *secret) {
    return state_outbox_of(txn, region, account, secret->name, secret->suffix);
}

Redoubt__Outbox *state_outbox_of(struct txn *txn, const char *region, const char *account,
                                 const char *name, const char *suffix) {
    Redoubt__Outbox *entry = NULL;

    must_read(view_outbox(txn_view(txn), region, account, name, suffix, &entry), "outbox entry",
              account, name);
    return entry;
}

Redoubt__Grave *state_grave(struct txn *txn, const char *account, const char *name,
                            const char *suffix) {
    Redoubt__Grave *grave = NULL;

    must_read(view_grave(txn_view(txn), account, name, suffix, &grave), "grave", account, name);
    return grave;
}

Redoubt__Key *state_key(struct txn *txn, const char *account, const char *key_id) {
    Redoubt__Key *key = NULL;

    must_read(view_key(txn_view(txn), account, key_id, &key), "key", account, key_id);
    return key;
}

char *state_alias(struct txn *txn, const char *account, const char *alias) {
    char *key_id = NULL;

    must_read(view_alias(txn_view(txn), account, alias, &key_id), "alias", account, alias);
    return key_id;
}

Redoubt__Region *state_region(struct txn *txn) {
    Redoubt__Region *region = NULL;

    must_read(view_region(txn_view(txn), &region), "region record", "", "");
    return region;
}

Redoubt__JoinTokens *state_join_tokens(struct txn *txn) {
    Redoubt__JoinTokens *tokens = NULL;

    must_read(view_join_tokens(txn_view(txn), &tokens), "join tokens", "", "");
    if (tokens == NULL) {
        tokens = must_calloc(1, sizeof(*tokens));
        redoubt__join_tokens__init(tokens);
    }
    return tokens;
}

uint64_t state_secret_count(struct txn *txn, const char *account) {
    uint64_t count = 0;

    must_read(view_secret_count(txn_view(txn), account, &count), "number of secrets", account, "");
    return count;
}

struct view_links state_links(struct txn *txn, const char *account, const char *name) {
    struct view_links links = {0};

    must_read(view_links(txn_view(txn), account, name, &links), "links", account, name);
    return links;
}

void secret_release(Redoubt__Secret **secret) {
    redoubt__secret__free_unpacked(*secret, NULL);
}

void sealed_release(Redoubt__Sealed **sealed) {
    redoubt__sealed__free_unpacked(*sealed, NULL);
}

void link_release(Redoubt__Link **link) {
    redoubt__link__free_unpacked(*link, NULL);
}

void outbox_release(Redoubt__Outbox **entry) {
    redoubt__outbox__free_unpacked(*entry, NULL);
}

void grave_release(Redoubt__Grave **grave) {
    redoubt__grave__free_unpacked(*grave, NULL);
}

void key_release(Redoubt__Key **key) {
    redoubt__key__free_unpacked(*key, NULL);
}

void region_release(Redoubt__Region **region) {
    redoubt__region__free_unpacked(*region, NULL);
}

void join_tokens_release(Redoubt__JoinTokens **tokens) {
    redoubt__join_tokens__free_unpacked(*tokens, NULL);
}

void text_release(char **text) {
    free(*text);
}

void *must_calloc(size_t count, size_t size) {
    void *ptr = calloc(count, size);

    CHECK(ptr != NULL);
    return ptr;
}

void *must_realloc(void *ptr, size_t count, size_t size) {
    void *moved = reallocarray(ptr, count, size);

    CHECK(moved != NULL);
    return moved;
}

char *text_dup(const char *text) {
    char *copy = strdup(text);

    CHECK(copy != NULL);
    return copy;
}

void text_set(char **field, const char *text) {
    char *copy = text == NULL ? NULL : text_dup(text);

    free(*field);
    *field = copy;
}

void bytes_set(ProtobufCBinaryData *field, const ProtobufCBinaryData *bytes) {
    uint8_t *copy = NULL;

    if (bytes->len > 0) {
        copy = must_calloc(1, bytes->len);
        memcpy(copy, bytes->data, bytes->len);
    }
    free(field->data);
    field->data = copy;
    field->len = bytes->len;
}

void *message_copy(const ProtobufCMessage *message) {
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = must_calloc(1, size + 1);
    ProtobufCMessage *copy;

    CHECK(protobuf_c_message_pack(message, packed) == size);
    copy = protobuf_c_message_unpack(message->descriptor, NULL, size, packed);
    CHECK(copy != NULL);
    free(packed);
    return copy;
}
