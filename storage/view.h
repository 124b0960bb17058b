/* Reading the state machine: one set of getters over a snapshot of the database or over a
 * transaction that is being built.
 *
 * Records come back unpacked and owned by the caller, who frees each with its protobuf free
 * function (or record_free). Absent is OK with *ret = NULL. ERR_CORRUPT and ERR_IO otherwise. A
 * view is used by one thread at a time; any thread may make one. */
#ifndef STORAGE_VIEW_H
#define STORAGE_VIEW_H

#include "base/errc.h"
#include "base/limits.h"
#include "storage/engine.h"
#include "storage/record.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct view;

/* A consistent picture as of now. Returns owned; NULL without memory. */
struct view *view_new(struct engine *engine);
void view_free(struct view *view);

MUSTCHECK enum errc view_secret(const struct view *view, const char *account, const char *name,
                                Redoubt__Secret **ret);
MUSTCHECK enum errc view_value(const struct view *view, const char *account, const char *name,
                               const char *version_id, Redoubt__Sealed **ret);
MUSTCHECK enum errc view_link(const struct view *view, const char *account, const char *name,
                              const char *region, Redoubt__Link **ret);
MUSTCHECK enum errc view_outbox(const struct view *view, const char *region, const char *account,
                                const char *name, const char *suffix, Redoubt__Outbox **ret);
MUSTCHECK enum errc view_grave(const struct view *view, const char *account, const char *name,
                               const char *suffix, Redoubt__Grave **ret);
MUSTCHECK enum errc view_key(const struct view *view, const char *account, const char *key_id,
                             Redoubt__Key **ret);
/* The key id behind an alias such as "alias/aws/secretsmanager"; *ret owned (free), NULL if there
 * is none. */
MUSTCHECK enum errc view_alias(const struct view *view, const char *account, const char *alias,
                               char **ret);
MUSTCHECK enum errc view_region(const struct view *view, Redoubt__Region **ret);
/* The level of commands that may be proposed in this region: that of its record, where it has none
 * (or there is no record yet) VIEW_LEVEL_FIRST. */
enum { VIEW_LEVEL_FIRST = 2 };
MUSTCHECK enum errc view_level(const struct view *view, unsigned *ret);
MUSTCHECK enum errc view_join_tokens(const struct view *view, Redoubt__JoinTokens **ret);
/* The index of the last applied log entry, 0 at first. */
MUSTCHECK enum errc view_applied(const struct view *view, uint64_t *ret);

/* All links of a secret in order of region. *ret and its elements are owned: view_links_free. */
struct view_links {
    Redoubt__Link **items;
    size_t n;
};
MUSTCHECK enum errc view_links(const struct view *view, const char *account, const char *name,
                               struct view_links *ret);
void view_links_free(struct view_links *links);

/* The secrets of an account in order of creation (created_seq), from the first behind `after_seq`
 * on (0: from the start), until the callback says false or there are no more. The callback borrows.
 */
MUSTCHECK enum errc view_each_secret(const struct view *view, const char *account,
                                     uint64_t after_seq,
                                     bool (*each)(void *arg, const Redoubt__Secret *secret),
                                     void *arg);

/* How many secrets the account has in this region, replicas and scheduled ones included. */
MUSTCHECK enum errc view_secret_count(const struct view *view, const char *account, uint64_t *ret);

/* --- Lists: an order, and terms that narrow it down ------------------------------------------ */

enum list_order {
    LIST_BY_CREATED,  /* created_seq */
    LIST_BY_CHANGED,  /* changed_ms, created_seq */
    LIST_BY_ACCESSED, /* last_accessed_day (never: before all days), created_seq */
    LIST_BY_NAME,
};

/* Where a list stands: at a secret, as it was when it was shown. Of the two fields those that the
 * order does not use are zero and "". All zero and not is_set: before the first. */
struct list_position {
    bool is_set;
    int64_t when; /* changed_ms, or the day; INT64_MIN: never accessed */
    uint64_t seq;
    char name[LIMIT_NAME + 1];
};

enum list_field { LIST_NAME, LIST_TAG_KEY, LIST_TAG_VALUE, LIST_WORD, LIST_PRIMARY_REGION };

/* Secrets that have, in this field, a text that begins with `prefix` (LIST_WORD: a word of
 * model/words.h in name, description, tag keys or tag values; given in small letters). */
struct list_term {
    enum list_field field;
    const char *prefix; /* not empty */
};
/* Secrets that satisfy all of these terms. */
struct list_terms {
    const struct list_term *terms;
    size_t n;
};
/* Secrets that satisfy at least one of these. */
struct list_clause {
    const struct list_terms *any;
    size_t n;
};

struct list_query {
    enum list_order order;
    bool descending;
    const struct list_clause *clauses; /* all of them; borrowed */
    size_t n_clauses;
};

/* Secrets of an account in the query's order, from behind `after` on, until the callback says false
 * or there are no more. The clauses are hints: what is called back satisfies the order, but may
 * include secrets that do not satisfy them, so the caller decides on each (model/filter.h); none
 * that does is left out. With selective clauses the cost is that of what is called back, not of the
 * account; the callback counts what it sees and ends the walk (LIMIT_LIST_SCAN). The callback
 * borrows. */
MUSTCHECK enum errc view_list(const struct view *view, const char *account,
                              const struct list_query *query, const struct list_position *after,
                              bool (*each)(void *arg, const Redoubt__Secret *secret), void *arg);
/* The position of a secret in that order. */
void list_position_of(enum list_order order, const Redoubt__Secret *secret,
                      struct list_position *ret);

/* --- What is due: the end of recovery windows, and versions to prune -------------------------- */

enum due_kind { DUE_PURGE = 1, DUE_PRUNE };
struct due {
    enum due_kind kind;
    int64_t
        due_ms; /* PURGE: deletion_ms. PRUNE: when the oldest version that may go is a day old */
    const char *account;
    const char *name;
};
/* All that is due at `now_ms`, the oldest first, from behind `after` on (NULL: from the start),
 * until the callback says false. The callback borrows. */
MUSTCHECK enum errc view_each_due(const struct view *view, int64_t now_ms, const struct due *after,
                                  bool (*each)(void *arg, const struct due *due), void *arg);

/* The outbox entries towards a region, tombstones first, from behind `after` on (NULL: from the
 * start). */
struct outbox_key {
    char account[13];
    char name[513];
    char suffix[7];
    Redoubt__OutboxKind kind;
};
MUSTCHECK enum errc view_each_outbox(
    const struct view *view, const char *region, const struct outbox_key *after,
    bool (*each)(void *arg, const struct outbox_key *key, const Redoubt__Outbox *entry), void *arg);

/* Does the outbox towards `region` hold a tombstone or a notice of this name, of whatever suffix?
 * They go first. */
MUSTCHECK enum errc view_outbox_has_notice(const struct view *view, const char *region,
                                           const char *account, const char *name, bool *ret);

/* Names of all regions that have outbox entries, each once. */
MUSTCHECK enum errc view_each_outbox_region(const struct view *view,
                                            bool (*each)(void *arg, const char *region), void *arg);

/* A running hash over all keys and values of the state except the applied index: equal on two nodes
 * at equal applied index. Slow: tests and anti-entropy. */
MUSTCHECK enum errc view_state_hash(const struct view *view, uint64_t *ret);

#endif
