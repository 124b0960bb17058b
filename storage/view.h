/* Reading the state machine: one set of getters over a snapshot of the database or over a
 * transaction that is being built.
 *
 * Records come back unpacked and owned by the caller, who frees each with its protobuf free
 * function (or record_free). Absent is OK with *ret = NULL. ERR_CORRUPT and ERR_IO otherwise. A
 * view is used by one thread at a time; any thread may make one. */
#ifndef STORAGE_VIEW_H
#define STORAGE_VIEW_H

#include "base/errc.h"
#include "storage/engine.h"
#include "storage/record.pb-c.h"

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
