#include "region.h"

#include "base/wipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_BACKLOG_US = 5000 * MS, DOUBLED_PER_MILLE = 5 };

/* ---- the network ---- */

static void schedule(struct region *region, unsigned from, unsigned to, struct core_bytes message) {
    struct stream *stream = &region->streams[from][to];
    uint64_t at = region->now_us + dice_roll(&region->dice, 50, 2500);

    if (region->now_us < stream->slow_until_us) {
        at += stream->slow_us;
    }
    if (at <= stream->last_us) {
        at = stream->last_us + 1; /* one connection keeps its order */
    }
    stream->last_us = at;
    uint8_t *bytes = malloc(message.len + 1);
    CHECK(bytes != NULL);
    memcpy(bytes, message.data, message.len);
    queue_push(&region->queue, (struct event){.time_us = at,
                                              .kind = EVENT_MESSAGE,
                                              .node = to,
                                              .from = from,
                                              .epoch = stream->epoch,
                                              .bytes = bytes,
                                              .len = message.len});
}

void stream_send(struct region *region, unsigned from, unsigned to, struct core_bytes message) {
    struct stream *stream = &region->streams[from][to];

    CHECK(to >= 1 && to <= REGION_NODES);
    region->counts.messages++;
    if (stream->is_cut || !region->nodes[to].is_up ||
        stream->last_us > region->now_us + STREAM_BACKLOG_US ||
        dice_chance(&region->dice, region->loss_per_mille)) {
        region->counts.lost++;
        return;
    }
    schedule(region, from, to, message);
    if (!region->is_calm && dice_chance(&region->dice, DOUBLED_PER_MILLE)) {
        schedule(region, from, to, message);
    }
}

bool stream_is_open(const struct region *region, unsigned from, unsigned to) {
    return from == to || (!region->streams[from][to].is_cut && !region->streams[to][from].is_cut);
}

void stream_break(struct region *region, unsigned from, unsigned to) {
    region->streams[from][to].epoch++;
    region->streams[from][to].last_us = 0;
}

/* ---- events ---- */

static void deliver(struct region *region, struct event *event) {
    const struct stream *stream = &region->streams[event->from][event->node];

    switch (event->kind) {
    case EVENT_MESSAGE:
        if (stream->is_cut || event->epoch != stream->epoch) {
            region->counts.lost++;
            return;
        }
        node_deliver(region, &region->nodes[event->node], event);
        return;
    case EVENT_REQUEST:
        if (event->from != 0 && stream->is_cut) {
            return; /* passed on, and lost on the way */
        }
        node_deliver(region, &region->nodes[event->node], event);
        return;
    case EVENT_WAKE:
    case EVENT_LOG_WRITE:
    case EVENT_LOG_SYNCED:
    case EVENT_GATHER:
    case EVENT_CHECKPOINT:
    case EVENT_FETCH:
    case EVENT_RESTART:
        node_deliver(region, &region->nodes[event->node], event);
        return;
    case EVENT_REPLY:
        client_hear(region, event->id);
        return;
    case EVENT_CLIENT:
        client_turn(region, &region->clients[event->id], event->epoch);
        return;
    case EVENT_FAULT:
        if (!region->is_calm && !region->is_staged) {
            fault_happen(region);
            fault_schedule(region);
        }
        return;
    }
}

bool region_step(struct region *region, uint64_t end_us) {
    struct event event;

    if (!queue_pop(&region->queue, &event)) {
        return false;
    }
    if (event.time_us > end_us) {
        queue_push(&region->queue, event);
        return false;
    }
    region->now_us = event.time_us;
    deliver(region, &event);
    free(event.bytes);
    return true;
}

struct node *region_leader(struct region *region) {
    struct node *leader = NULL;
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        struct node *node = &region->nodes[id];
        if (node->is_up && core_role(node->core) == CORE_LEADER &&
            (leader == NULL || core_term(node->core) > core_term(leader->core))) {
            leader = node;
        }
    }
    return leader;
}

/* ---- the beginning and the end ---- */

static void bootstrap(struct region *region) {
    struct core_server servers[REGION_NODES];
    uint8_t *configuration = NULL;
    size_t len = 0;

    for (unsigned i = 0; i < region->voters; i++) {
        servers[i] = (struct core_server){i + 1, region->nodes[i + 1].address};
    }
    must(core_configuration_encode(servers, region->voters, &configuration, &len),
         "a configuration");
    for (unsigned id = 1; id <= region->voters; id++) {
        node_bootstrap(&region->nodes[id], configuration, len);
    }
    wipe_free(configuration);
}

void region_init(struct region *region, uint64_t seed) {
    static const unsigned voters[] = {3, 3, 5, 3, 1, 2};

    memset(region, 0, sizeof(*region));
    region->seed = seed;
    region->now_us = MS;
    dice_init(&region->dice, seed);
    trace_init(&region->trace);
    region->voters = voters[seed % ARRAY_LEN(voters)];
    region->max_inflight = 16U << dice_roll(&region->dice, 0, 3);
    region->loss_per_mille = (unsigned)dice_roll(&region->dice, 0, 25);
    region->quotas = (struct deed_quotas){
        .secrets = (unsigned)dice_roll(&region->dice, DEED_NAMES - 2, DEED_NAMES),
        .versions_kept = (unsigned)dice_roll(&region->dice, 2, 8),
        .labels = (unsigned)dice_roll(&region->dice, 3, 8),
        .tags = (unsigned)dice_roll(&region->dice, 3, 12)};
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        node_init(region, id);
    }
    bootstrap(region);
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        node_start(region, &region->nodes[id]);
    }
    for (unsigned i = 0; i < REGION_CLIENTS; i++) {
        region->clients[i].id = i;
        client_start(region, &region->clients[i],
                     region->now_us + dice_roll(&region->dice, 1, 500 * MS));
    }
    fault_schedule(region);
}

void region_fini(struct region *region) {
    for (unsigned id = 1; id <= REGION_NODES; id++) {
        node_fini(&region->nodes[id]);
    }
    queue_fini(&region->queue);
    audit_fini(&region->audit);
    free(region->attempts.items);
}
