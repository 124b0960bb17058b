/* The part of view.h that lists secrets by an order, and what is due. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/view.h"
#include "storage/view_inner.h"

static const int64_t VERSION_KEPT_MS = 24LL * 60 * 60 * 1000;

/* Secrets in memory, with what they are sorted by. */
struct row {
    struct list_position at;
    Redoubt__Secret *secret;
    char account[LIMIT_ACCOUNT + 1];
    enum due_kind kind;
};
struct rows {
    struct row *items;
    size_t n;
    size_t room;
};

static enum errc rows_add(struct rows *rows, const struct row *row) {
    if (rows->n == rows->room) {
        size_t room = rows->room ? rows->room * 2 : 64;
        struct row *items = reallocarray(rows->items, room, sizeof(*items));
        if (items == NULL) {
            return ERR_NO_MEMORY;
        }
        rows->items = items;
        rows->room = room;
    }
    rows->items[rows->n++] = *row;
    return OK;
}

static void rows_free(struct rows *rows) {
    for (size_t i = 0; i < rows->n; i++) {
        redoubt__secret__free_unpacked(rows->items[i].secret, NULL);
    }
    free(rows->items);
}

void list_position_of(enum list_order order, const Redoubt__Secret *secret,
                      struct list_position *ret) {
    *ret = (struct list_position){.is_set = true};
    switch (order) {
    case LIST_BY_CREATED:
        ret->seq = secret->created_seq;
        break;
    case LIST_BY_CHANGED:
        ret->when = secret->changed_ms;
        ret->seq = secret->created_seq;
        break;
    case LIST_BY_ACCESSED:
        ret->when = secret->has_last_accessed_day ? secret->last_accessed_day : INT64_MIN;
        ret->seq = secret->created_seq;
        break;
    case LIST_BY_NAME:
        (void)snprintf(ret->name, sizeof(ret->name), "%s", secret->name);
        break;
    }
}

/* At most one of name and (when, seq) is not zero. */
static int position_compare(const struct list_position *a, const struct list_position *b) {
    int names = strcmp(a->name, b->name);

    if (names != 0) {
        return names;
    }
    if (a->when != b->when) {
        return a->when < b->when ? -1 : 1;
    }
    return a->seq == b->seq ? 0 : a->seq < b->seq ? -1 : 1;
}

static int row_compare(const void *a, const void *b) {
    const struct row *left = a;
    const struct row *right = b;

    return position_compare(&left->at, &right->at);
}

/* All secrets of one account, or (NULL) of all. */
static enum errc rows_read(const struct view *view, const char *account, enum list_order order,
                           struct rows *rows) {
    struct key prefix;
    struct scan scan;
    const uint8_t *key;
    size_t key_len;
    enum errc code = OK;
    enum errc end_code;

    CHECK(key_secret(&prefix, account ? account : "000000000000", "x"));
    prefix.len = account ? 1 + LIMIT_ACCOUNT : 1;
    scan_begin(&scan, view, &prefix, NULL);
    for (; code == OK && scan_get(&scan, &key, &key_len); scan_next(&scan)) {
        ProtobufCMessage *message = NULL;
        struct row row = {.kind = 0};
        size_t len;
        const uint8_t *value = scan_value(&scan, &len);
        code = record_unpack(RECORD_SECRET, value, len, &message);
        if (code == OK) {
            row.secret = (Redoubt__Secret *)(void *)message;
            memcpy(row.account, key + 1, LIMIT_ACCOUNT);
            list_position_of(order, row.secret, &row.at);
            code = rows_add(rows, &row);
        }
    }
    end_code = scan_end(&scan);
    return code == OK ? end_code : code;
}

enum errc view_list(const struct view *view, const char *account, const struct list_query *query,
                    const struct list_position *after,
                    bool (*each)(void *arg, const Redoubt__Secret *secret), void *arg) {
    struct rows rows = {.n = 0};
    enum errc code = OK;
    bool wants_more = true;

    if (strnlen(account, LIMIT_ACCOUNT + 1) == LIMIT_ACCOUNT) {
        code = rows_read(view, account, query->order, &rows);
    }
    if (code == OK && rows.n > 0) {
        qsort(rows.items, rows.n, sizeof(rows.items[0]), row_compare);
    }
    for (size_t i = 0; code == OK && wants_more && i < rows.n; i++) {
        const struct row *row = &rows.items[query->descending ? rows.n - 1 - i : i];
        int side = after->is_set ? position_compare(&row->at, after) : 0;
        if (!after->is_set || (query->descending ? side < 0 : side > 0)) {
            wants_more = each(arg, row->secret);
        }
    }
    rows_free(&rows);
    return view_outcome(view, code, "listing secrets");
}

static bool count_one(void *arg, const Redoubt__Secret *secret) {
    (void)secret;
    ++*(uint64_t *)arg;
    return true;
}

enum errc view_secret_count(const struct view *view, const char *account, uint64_t *ret) {
    uint64_t n = 0;
    enum errc code = view_each_secret(view, account, 0, count_one, &n);

    if (code == OK) {
        *ret = n;
    }
    return code;
}

/* When a secret's oldest version without a label may go; false: none may. */
static bool prune_due(const Redoubt__Secret *secret, int64_t *ret) {
    bool has = false;

    for (size_t i = 0; i < secret->n_versions; i++) {
        const Redoubt__Version *version = secret->versions[i];
        int64_t due = version->created_ms + VERSION_KEPT_MS;
        if (version->n_stages == 0 && (!has || due < *ret)) {
            *ret = due;
            has = true;
        }
    }
    return has && secret->replica_of == NULL && secret->n_versions > LIMIT_VERSIONS_KEPT;
}

static int due_compare(const struct due *a, const struct due *b) {
    int side;

    if (a->due_ms != b->due_ms) {
        return a->due_ms < b->due_ms ? -1 : 1;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    side = strcmp(a->account, b->account);
    return side != 0 ? side : strcmp(a->name, b->name);
}

static struct due due_of(const struct row *row) {
    return (struct due){.kind = row->kind,
                        .due_ms = row->at.when,
                        .account = row->account,
                        .name = row->secret->name};
}

static int row_compare_due(const void *a, const void *b) {
    struct due left = due_of(a);
    struct due right = due_of(b);

    return due_compare(&left, &right);
}

enum errc view_each_due(const struct view *view, int64_t now_ms, const struct due *after,
                        bool (*each)(void *arg, const struct due *due), void *arg) {
    struct rows rows = {.n = 0};
    struct rows all = {.n = 0};
    enum errc code = rows_read(view, NULL, LIST_BY_CHANGED, &rows);
    bool wants_more = true;

    for (size_t i = 0; code == OK && i < rows.n; i++) {
        struct row row = rows.items[i];
        const Redoubt__Secret *secret = row.secret;
        if (secret->replica_of == NULL && secret->has_deletion_ms) {
            row.kind = DUE_PURGE;
            row.at.when = secret->deletion_ms;
            code = rows_add(&all, &row);
        }
        if (code == OK && prune_due(secret, &row.at.when)) {
            row.kind = DUE_PRUNE;
            code = rows_add(&all, &row);
        }
    }
    if (code == OK && all.n > 0) {
        qsort(all.items, all.n, sizeof(all.items[0]), row_compare_due);
    }
    for (size_t i = 0; code == OK && wants_more && i < all.n; i++) {
        struct due due = due_of(&all.items[i]);
        if (due.due_ms <= now_ms && (after == NULL || due_compare(&due, after) > 0)) {
            wants_more = each(arg, &due);
        }
    }
    free(all.items); /* its secrets are those of the other */
    rows_free(&rows);
    return view_outcome(view, code, "reading what is due");
}
