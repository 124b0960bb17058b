#include "sim_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 1024 };

static const uint64_t fnv_start = UINT64_C(1469598103934665603);

static uint64_t fnv(uint64_t hash, const void *data, size_t len) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

uint64_t sim_entry_hash(const struct core_entry *entry) {
    uint32_t type = entry->type;
    uint64_t hash = fnv(fnv_start, &entry->term, sizeof entry->term);
    hash = fnv(hash, &type, sizeof type);
    return fnv(hash, entry->data, entry->len);
}

uint64_t sim_state_next(uint64_t state_hash, uint64_t entry_hash) {
    return fnv(state_hash, &entry_hash, sizeof entry_hash);
}

/* Grow to hold `count` zeroed elements more than before. */
static void *grow(void *array, size_t *room, size_t need, size_t size) {
    size_t larger = *room == 0 ? (size_t)FIRST_ROOM : *room;
    while (larger < need) {
        larger *= 2;
    }
    uint8_t *grown = reallocarray(array, larger, size);
    CHECK(grown != NULL);
    memset(grown + *room * size, 0, (larger - *room) * size);
    *room = larger;
    return grown;
}

void sim_check_init(struct sim_check *check) {
    *check = (struct sim_check){0};
}

void sim_check_fini(struct sim_check *check) {
    free(check->committed);
    free(check->state_hash);
    free(check->leader_of);
    sim_check_init(check);
}

void sim_check_leader(struct sim_check *check, unsigned node, uint64_t term) {
    if (term >= check->terms_room) {
        check->leader_of =
            grow(check->leader_of, &check->terms_room, term + 1, sizeof check->leader_of[0]);
    }
    if (check->leader_of[term] != 0 && check->leader_of[term] != node) {
        sim_fail("two leaders in term %" PRIu64 ": %u and %u", term, check->leader_of[term], node);
    }
    check->leader_of[term] = node;
}

void sim_check_applied(struct sim_check *check, unsigned node, uint64_t index, struct sim_mark mark,
                       uint64_t state_hash) {
    if (index >= check->room) {
        size_t room = check->room;
        check->committed =
            grow(check->committed, &check->room, index + 1, sizeof check->committed[0]);
        check->state_hash = grow(check->state_hash, &room, index + 1, sizeof check->state_hash[0]);
    }
    struct sim_mark *known = &check->committed[index];
    if (known->term == 0) {
        *known = mark;
        check->state_hash[index] = state_hash;
        check->committed_max = index > check->committed_max ? index : check->committed_max;
    }
    if (known->term != mark.term || known->hash != mark.hash) {
        sim_fail("node %u applied another entry at %" PRIu64 ": term %" PRIu64 ", known %" PRIu64,
                 node, index, mark.term, known->term);
    }
    if (check->state_hash[index] != state_hash) {
        sim_fail("node %u has another state after %" PRIu64, node, index);
    }
}

void sim_check_acknowledged(struct sim_check *check, uint64_t index, uint64_t hash) {
    if (index > check->committed_max || check->committed[index].hash != hash) {
        sim_fail("index %" PRIu64 " was acknowledged for another entry", index);
    }
    check->acknowledged++;
    if (index > check->acknowledged_max) {
        check->acknowledged_max = index;
    }
}

uint64_t sim_check_read_begin(const struct sim_check *check) {
    return check->acknowledged_max > check->read_max ? check->acknowledged_max : check->read_max;
}

void sim_check_read_end(struct sim_check *check, unsigned node, uint64_t must, uint64_t applied) {
    if (applied < must) {
        sim_fail("node %u answers a read from index %" PRIu64 ", when it was asked %" PRIu64
                 " had been seen",
                 node, applied, must);
    }
    check->read_max = applied > check->read_max ? applied : check->read_max;
}

static const struct sim_mark *mark_at(const struct sim_mirror *mirror, uint64_t index) {
    return &mirror->marks[index - mirror->first];
}

void sim_check_logs_match(const struct sim_mirror *a, const struct sim_mirror *b) {
    if (a->count == 0 || b->count == 0) {
        return;
    }
    uint64_t from = a->first > b->first ? a->first : b->first;
    uint64_t last_a = a->first + a->count - 1;
    uint64_t last_b = b->first + b->count - 1;
    bool must_match = false;
    for (uint64_t i = last_a < last_b ? last_a : last_b; i >= from && i > 0; i--) {
        const struct sim_mark *x = mark_at(a, i);
        const struct sim_mark *y = mark_at(b, i);
        must_match = must_match || x->term == y->term;
        if (must_match && (x->term != y->term || x->hash != y->hash)) {
            sim_fail("two logs agree on a term and differ at or before it: index %" PRIu64
                     ", terms %" PRIu64 " and %" PRIu64,
                     i, x->term, y->term);
        }
    }
}

void sim_mirror_init(struct sim_mirror *mirror) {
    *mirror = (struct sim_mirror){.first = 1};
}

void sim_mirror_fini(struct sim_mirror *mirror) {
    free(mirror->marks);
    sim_mirror_init(mirror);
}

void sim_mirror_reset(struct sim_mirror *mirror, uint64_t first) {
    mirror->first = first;
    mirror->count = 0;
}

void sim_mirror_write(struct sim_mirror *mirror, uint64_t first, const struct core_entry *entries,
                      size_t n) {
    if (first < mirror->first || first > mirror->first + mirror->count) {
        sim_fail("a write at %" PRIu64 " leaves a hole or reaches below the log", first);
    }
    mirror->count = first - mirror->first;
    if (mirror->count + n > mirror->room) {
        mirror->marks =
            grow(mirror->marks, &mirror->room, mirror->count + n, sizeof mirror->marks[0]);
    }
    for (size_t i = 0; i < n; i++) {
        mirror->marks[mirror->count++] =
            (struct sim_mark){entries[i].term, sim_entry_hash(&entries[i])};
    }
}
