/* The part of view.h on what is due, and how many secrets there are. */
#include "base/bytes.h"
#include "base/limits.h"
#include "storage/index.h"
#include "storage/view.h"
#include "storage/view_inner.h"

#include <string.h>

enum errc view_secret_count(const struct view *view, const char *account, uint64_t *ret) {
    struct held held = {.data = NULL};
    struct key key;
    enum errc code = OK;

    if (index_key_count(&key, account)) {
        code = view_hold(view, FAMILY_INDEX, &key, &held);
    }
    if (code == OK && held.data != NULL && held.len != sizeof(*ret)) {
        code = ERR_CORRUPT;
    }
    if (code == OK) {
        *ret = held.data != NULL ? get_le64(held.data) : 0;
    }
    view_release(&held);
    return view_outcome(view, code, "counting secrets");
}

enum errc view_each_due(const struct view *view, int64_t now_ms, const struct due *after,
                        bool (*each)(void *arg, const struct due *due), void *arg) {
    struct key prefix;
    struct key from;
    struct scan scan;
    const uint8_t *key;
    size_t key_len;
    bool wants_more = true;
    enum errc code = OK;
    enum errc end_code;

    if (after != NULL) {
        CHECK(index_key_due(&from, after));
        from.data[from.len++] = 0; /* the first key behind this one */
    }
    index_key_due_prefix(&prefix);
    scan_begin_in(&scan, view, FAMILY_INDEX, &prefix, after != NULL ? &from : NULL, false);
    for (; code == OK && wants_more && scan_get(&scan, &key, &key_len); scan_next(&scan)) {
        char account[LIMIT_ACCOUNT + 1];
        char name[LIMIT_NAME + 1];
        struct due due;
        if (!index_parse_due(key, key_len, &due, account, name)) {
            code = ERR_CORRUPT;
        } else {
            wants_more = due.due_ms <= now_ms && each(arg, &due);
        }
    }
    end_code = scan_end(&scan);
    return view_outcome(view, code == OK ? end_code : code, "reading what is due");
}
