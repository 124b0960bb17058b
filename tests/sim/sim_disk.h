/* What one simulated node has on disk, as bytes with checksums: term and vote, snapshot, log,
 * state.
 *
 * Each function is one synced write that happens whole or not at all; the caller decides, at a
 * crash, which of those in flight happened. A restart reads nothing but these bytes. One thread. */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include "cluster/core.h"

#include <stddef.h>
#include <stdint.h>

struct sim_blob {
    uint8_t *data; /* owned */
    size_t len;
};

/* The state machine of the simulation: a hash over everything that it applied. */
struct sim_state {
    uint64_t applied;
    uint64_t hash;
};

struct sim_disk {
    struct sim_blob vote;
    struct sim_blob snapshot;
    struct sim_blob state;
    struct sim_blob *rows; /* of the log */
    uint64_t first;        /* index of rows[0] */
    size_t n_rows;
    size_t room;
};

/* What a restarting node reads. */
struct sim_image {
    struct core_persisted persisted; /* points into the disk's bytes and into `entries` */
    struct core_entry *entries;      /* owned */
    struct sim_state state;
};

void sim_disk_init(struct sim_disk *disk);
void sim_disk_fini(struct sim_disk *disk);
void sim_disk_vote(struct sim_disk *disk, uint64_t term, uint64_t voted_for);
/* Delete the log from `first` on, then store the rows (from sim_row). Copies. */
void sim_disk_entries(struct sim_disk *disk, uint64_t first, const struct sim_blob *rows, size_t n);
/* An own snapshot's metadata, with or without a manifest, and the log before `keep_from` deleted.
 */
void sim_disk_snapshot(struct sim_disk *disk, const struct core_snapshot *snapshot,
                       uint64_t keep_from);
/* A received snapshot: metadata and state replaced, the whole log deleted. */
void sim_disk_install(struct sim_disk *disk, const struct core_snapshot *snapshot);
void sim_disk_state(struct sim_disk *disk, struct sim_state state);
/* Borrows the disk until it is written again; sim_image_fini. A checksum that does not match
 * aborts. */
void sim_disk_load(const struct sim_disk *disk, struct sim_image *ret);
void sim_image_fini(struct sim_image *image);

struct sim_blob sim_row(const struct core_entry *entry);
/* The row at `index`, NULL if there is none. Borrowed. */
const struct sim_blob *sim_disk_row(const struct sim_disk *disk, uint64_t index);

/* A snapshot's manifest holds the state itself here. */
enum { SIM_MANIFEST = 32 };
void sim_manifest_encode(struct sim_state state, uint8_t out[SIM_MANIFEST]);
struct sim_state sim_manifest_decode(struct core_bytes manifest);

#endif
