#include "sim_disk.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

enum { BLOB_MAX = 64 * 1024, CRC = 4, FIRST_ROOM = 64, MANIFEST_MAGIC = 0x51 };

/* A blob of what was written to `out`, with its checksum behind it. */
static struct sim_blob seal(struct buf *out) {
    buf_append_le32(out, crc32c(0, out->data, out->len));
    CHECK(!out->failed);
    struct sim_blob blob = {.data = malloc(out->len), .len = out->len};
    CHECK(blob.data != NULL);
    memcpy(blob.data, out->data, out->len);
    buf_fini(out);
    return blob;
}

/* The content without the checksum; empty when nothing was ever written. */
static struct core_bytes open_blob(const struct sim_blob *blob) {
    if (blob->len == 0) {
        return (struct core_bytes){0};
    }
    CHECK(blob->len >= CRC);
    size_t len = blob->len - CRC;
    CHECK(get_le32(blob->data + len) == crc32c(0, blob->data, len));
    return (struct core_bytes){blob->data, len};
}

static void replace(struct sim_blob *blob, struct buf *out) {
    free(blob->data);
    *blob = seal(out);
}

void sim_disk_init(struct sim_disk *disk) {
    *disk = (struct sim_disk){.first = 1};
}

static void cut_rows(struct sim_disk *disk, uint64_t from) {
    while (disk->n_rows > 0 && disk->first + disk->n_rows - 1 >= from) {
        free(disk->rows[--disk->n_rows].data);
    }
}

void sim_disk_fini(struct sim_disk *disk) {
    cut_rows(disk, 0);
    free(disk->rows);
    free(disk->vote.data);
    free(disk->snapshot.data);
    free(disk->state.data);
    sim_disk_init(disk);
}

void sim_disk_vote(struct sim_disk *disk, uint64_t term, uint64_t voted_for) {
    struct buf out;
    buf_init(&out, BLOB_MAX);
    buf_append_le64(&out, term);
    buf_append_le64(&out, voted_for);
    replace(&disk->vote, &out);
}

struct sim_blob sim_row(const struct core_entry *entry) {
    struct buf out;
    buf_init(&out, BLOB_MAX);
    buf_append_le64(&out, entry->term);
    buf_append_u8(&out, (uint8_t)entry->type);
    buf_append(&out, entry->data, entry->len);
    return seal(&out);
}

const struct sim_blob *sim_disk_row(const struct sim_disk *disk, uint64_t index) {
    if (index < disk->first || index - disk->first >= disk->n_rows) {
        return NULL;
    }
    return &disk->rows[index - disk->first];
}

void sim_disk_entries(struct sim_disk *disk, uint64_t first, const struct sim_blob *rows,
                      size_t n) {
    cut_rows(disk, first);
    if (disk->n_rows == 0) {
        disk->first = first;
    }
    CHECK(first == disk->first + disk->n_rows);
    if (disk->n_rows + n > disk->room) {
        disk->room = disk->n_rows + n + (disk->room == 0 ? (size_t)FIRST_ROOM : disk->room);
        disk->rows = reallocarray(disk->rows, disk->room, sizeof disk->rows[0]);
        CHECK(disk->rows != NULL);
    }
    for (size_t i = 0; i < n; i++) {
        struct sim_blob *row = &disk->rows[disk->n_rows++];
        *row = (struct sim_blob){.data = malloc(rows[i].len), .len = rows[i].len};
        CHECK(row->data != NULL);
        memcpy(row->data, rows[i].data, rows[i].len);
    }
}

static void write_snapshot(struct sim_disk *disk, const struct core_snapshot *snapshot) {
    struct buf out;
    buf_init(&out, BLOB_MAX);
    buf_append_le64(&out, snapshot->index);
    buf_append_le64(&out, snapshot->term);
    buf_append_le64(&out, snapshot->configuration_index);
    buf_append_le32(&out, (uint32_t)snapshot->configuration.len);
    buf_append(&out, snapshot->configuration.data, snapshot->configuration.len);
    buf_append(&out, snapshot->manifest.data, snapshot->manifest.len);
    replace(&disk->snapshot, &out);
}

void sim_disk_snapshot(struct sim_disk *disk, const struct core_snapshot *snapshot,
                       uint64_t keep_from) {
    write_snapshot(disk, snapshot);
    size_t gone = 0;
    while (gone < disk->n_rows && disk->first + gone < keep_from) {
        free(disk->rows[gone++].data);
    }
    disk->n_rows -= gone;
    disk->first += gone;
    memmove(disk->rows, disk->rows + gone, disk->n_rows * sizeof disk->rows[0]);
}

void sim_disk_install(struct sim_disk *disk, const struct core_snapshot *snapshot) {
    write_snapshot(disk, snapshot);
    cut_rows(disk, 0);
    disk->first = snapshot->index + 1;
    sim_disk_state(disk, sim_manifest_decode(snapshot->manifest));
}

void sim_disk_state(struct sim_disk *disk, struct sim_state state) {
    struct buf out;
    buf_init(&out, BLOB_MAX);
    buf_append_le64(&out, state.applied);
    buf_append_le64(&out, state.hash);
    replace(&disk->state, &out);
}

static void load_snapshot(const struct sim_disk *disk, struct sim_image *image) {
    struct core_bytes bytes = open_blob(&disk->snapshot);
    if (bytes.len == 0) {
        return;
    }
    size_t configuration_len = get_le32(bytes.data + 24);
    image->persisted.snapshot = (struct core_snapshot){
        .index = get_le64(bytes.data),
        .term = get_le64(bytes.data + 8),
        .configuration_index = get_le64(bytes.data + 16),
        .configuration = {bytes.data + 28, configuration_len},
        .manifest = {bytes.data + 28 + configuration_len, bytes.len - 28 - configuration_len}};
}

void sim_disk_load(const struct sim_disk *disk, struct sim_image *ret) {
    *ret = (struct sim_image){0};
    struct core_bytes vote = open_blob(&disk->vote);
    if (vote.len > 0) {
        ret->persisted.term = get_le64(vote.data);
        ret->persisted.voted_for = get_le64(vote.data + 8);
    }
    struct core_bytes state = open_blob(&disk->state);
    if (state.len > 0) {
        ret->state = (struct sim_state){get_le64(state.data), get_le64(state.data + 8)};
    }
    load_snapshot(disk, ret);
    ret->entries = calloc(disk->n_rows + 1, sizeof ret->entries[0]);
    CHECK(ret->entries != NULL);
    for (size_t i = 0; i < disk->n_rows; i++) {
        struct core_bytes row = open_blob(&disk->rows[i]);
        ret->entries[i] = (struct core_entry){.term = get_le64(row.data),
                                              .type = (enum core_entry_type)row.data[8],
                                              .data = row.data + 9,
                                              .len = row.len - 9};
    }
    ret->persisted.first_index = disk->first;
    ret->persisted.entries = ret->entries;
    ret->persisted.n_entries = disk->n_rows;
    ret->persisted.applied = ret->state.applied;
}

void sim_image_fini(struct sim_image *image) {
    free(image->entries);
    *image = (struct sim_image){0};
}

void sim_manifest_encode(struct sim_state state, uint8_t out[SIM_MANIFEST]) {
    memset(out, MANIFEST_MAGIC, SIM_MANIFEST);
    put_le64(out, state.applied);
    put_le64(out + 8, state.hash);
}

struct sim_state sim_manifest_decode(struct core_bytes manifest) {
    CHECK(manifest.len == SIM_MANIFEST && manifest.data[SIM_MANIFEST - 1] == MANIFEST_MAGIC);
    return (struct sim_state){get_le64(manifest.data), get_le64(manifest.data + 8)};
}
