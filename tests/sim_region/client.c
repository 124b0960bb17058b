#include "region.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE_MS = 700,
    HOPS = 3, /* a request is passed on at most so often */
    TRIES = 6,
    PROOF_TRIES = 12,
    READS_PER_MILLE = 380,
    STALE_PER_MILLE = 90,
    LEADER_PER_MILLE = 250,
    REPLY_LOST_PER_MILLE = 20,
};
static const int64_t day_ms = 24LL * 60 * 60 * 1000;

struct attempt *attempt_at(struct region *region, uint64_t id) {
    CHECK(id > 0 && id <= region->attempts.n);
    return &region->attempts.items[id - 1];
}

static uint64_t attempt_new(struct region *region, const struct attempt *from) {
    struct attempts *attempts = &region->attempts;

    if (attempts->n == attempts->room) {
        attempts->room = attempts->room == 0 ? 256 : attempts->room * 2;
        attempts->items = reallocarray(attempts->items, attempts->room, sizeof(attempts->items[0]));
        CHECK(attempts->items != NULL);
    }
    attempts->items[attempts->n++] = *from;
    return attempts->n;
}

/* ---- what a client may want ---- */

static const char *const labels[] = {"AWSCURRENT", "AWSPREVIOUS", "AWSPENDING",
                                     "blue",       "green",       "red"};

static const char *any_label(struct region *region) {
    return labels[dice_roll(&region->dice, 0, ARRAY_LEN(labels) - 1)];
}

/* A version of the secret, as far as anybody knows; sometimes one that never was. */
static void any_version(struct region *region, unsigned name, char ret[DEED_ID]) {
    const struct model_secret *secret = &region->audit.model.secrets[name];

    if (secret->n_versions == 0 || dice_chance(&region->dice, 60)) {
        (void)snprintf(ret, DEED_ID, "no-such-version");
        return;
    }
    size_t at = dice_roll(&region->dice, 0, secret->n_versions - 1);
    (void)snprintf(ret, DEED_ID, "%s", secret->versions[at].id);
}

static void new_token(struct region *region, struct deed *deed) {
    (void)snprintf(deed->token, sizeof(deed->token), "00000000-0000-0000-0000-%012" PRIx64,
                   ++region->next_name);
}

static void new_value(struct region *region, struct deed *deed) {
    (void)snprintf(deed->text, sizeof(deed->text), "value%" PRIu64, ++region->next_name);
    deed->is_binary = dice_chance(&region->dice, 200);
}

static void some_tags(struct region *region, struct deed *deed) {
    deed->n_tags = (unsigned)dice_roll(&region->dice, 0, DEED_TAGS);
    for (unsigned i = 0; i < deed->n_tags; i++) {
        (void)snprintf(deed->tags[i][0], DEED_WORD, "k%u",
                       (unsigned)dice_roll(&region->dice, 0, 5) + 6 * i);
        (void)snprintf(deed->tags[i][1], DEED_WORD, "%u",
                       (unsigned)dice_roll(&region->dice, 0, 99));
    }
}

static void want_stage(struct region *region, struct deed *deed) {
    const struct model_secret *secret = &region->audit.model.secrets[deed->name];

    (void)snprintf(deed->label, sizeof(deed->label), "%s", any_label(region));
    if (dice_chance(&region->dice, 800)) {
        any_version(region, deed->name, deed->move_to);
    }
    /* Mostly where the label is: otherwise hardly any would move. */
    for (size_t i = 0; i < secret->n_versions && dice_chance(&region->dice, 990); i++) {
        for (unsigned k = 0; k < secret->versions[i].n_labels; k++) {
            if (strcmp(secret->versions[i].labels[k], deed->label) == 0) {
                (void)snprintf(deed->remove_from, DEED_ID, "%s", secret->versions[i].id);
            }
        }
    }
    if (dice_chance(&region->dice, 100)) {
        any_version(region, deed->name, deed->remove_from);
    }
}

static void want_details(struct region *region, struct deed *deed) {
    const struct model_secret *secret = &region->audit.model.secrets[deed->name];

    switch (deed->kind) {
    case DEED_CREATE:
    case DEED_PUT:
        new_token(region, deed);
        if (deed->kind == DEED_PUT || dice_chance(&region->dice, 850)) {
            new_value(region, deed);
        }
        if (deed->kind == DEED_CREATE) {
            some_tags(region, deed);
            (void)snprintf(deed->description, sizeof(deed->description), "d%" PRIu64,
                           region->next_name);
            return;
        }
        if (dice_chance(&region->dice, 120)) { /* a token that may be in use, for another value */
            any_version(region, deed->name, deed->token);
        }
        deed->n_labels =
            dice_chance(&region->dice, 600) ? 0 : (unsigned)dice_roll(&region->dice, 1, 3);
        for (unsigned i = 0; i < deed->n_labels; i++) {
            (void)snprintf(deed->labels[i], DEED_WORD, "%s", any_label(region));
        }
        break;
    case DEED_UPDATE:
        new_token(region, deed);
        deed->has_description = dice_chance(&region->dice, 700);
        if (deed->has_description && dice_chance(&region->dice, 800)) {
            (void)snprintf(deed->description, sizeof(deed->description), "u%" PRIu64,
                           region->next_name);
        }
        if (dice_chance(&region->dice, 500)) {
            new_value(region, deed);
        }
        break;
    case DEED_STAGE:
        want_stage(region, deed);
        break;
    case DEED_DELETE:
        deed->force = dice_chance(&region->dice, 350);
        deed->deletion_ms = (int64_t)dice_roll(&region->dice, 0, 30) * day_ms;
        break;
    case DEED_TAG:
    case DEED_UNTAG:
        some_tags(region, deed);
        break;
    case DEED_POLICY:
        if (dice_chance(&region->dice, 700)) {
            (void)snprintf(deed->policy, sizeof(deed->policy), "{\"p\":%" PRIu64 "}",
                           ++region->next_name);
        }
        break;
    case DEED_TOUCH:
        any_version(region, deed->name, deed->token);
        deed->day = 19000 + (int64_t)dice_roll(&region->dice, 0, 60);
        break;
    case DEED_PURGE:
    case DEED_PRUNE:
        (void)snprintf(deed->suffix, sizeof(deed->suffix), "%s",
                       secret->exists ? secret->suffix : "abcdef");
        deed->deletion_ms = secret->deletion_ms < 0 ? 0 : secret->deletion_ms;
        break;
    case DEED_REGION:
    case DEED_KEY:
    case DEED_RESTORE:
    case DEED_KINDS:
        break;
    }
}

static void want(struct region *region, struct deed *deed) {
    static const enum deed_kind often[] = {
        DEED_CREATE, DEED_CREATE, DEED_CREATE, DEED_PUT,   DEED_PUT,   DEED_PUT,    DEED_PUT,
        DEED_PUT,    DEED_UPDATE, DEED_UPDATE, DEED_STAGE, DEED_STAGE, DEED_DELETE, DEED_RESTORE,
        DEED_TAG,    DEED_UNTAG,  DEED_POLICY, DEED_TOUCH, DEED_PURGE, DEED_PRUNE,  DEED_KEY};

    memset(deed, 0, sizeof(*deed));
    deed->kind = often[dice_roll(&region->dice, 0, ARRAY_LEN(often) - 1)];
    deed->name = (unsigned)dice_roll(&region->dice, 0, DEED_NAMES - 1);
    want_details(region, deed);
    /* By its ARN: as it is known, which may be a former secret's by the time that it arrives. */
    if (deed->kind > DEED_CREATE && deed->suffix[0] == '\0' && dice_chance(&region->dice, 250)) {
        const struct model_secret *secret = &region->audit.model.secrets[deed->name];
        (void)snprintf(deed->suffix, sizeof(deed->suffix), "%s",
                       secret->exists ? secret->suffix : "fedcba");
    }
}

/* ---- sending and waiting ---- */

static void turn_at(struct region *region, struct client *client, uint64_t at_us) {
    queue_push(&region->queue, (struct event){.time_us = at_us,
                                              .kind = EVENT_CLIENT,
                                              .id = client->id,
                                              .epoch = ++client->wait});
}

static void request(struct region *region, unsigned from, unsigned node, uint64_t attempt,
                    unsigned hops) {
    queue_push(&region->queue,
               (struct event){.time_us = region->now_us + dice_roll(&region->dice, 100, 4 * MS),
                              .kind = EVENT_REQUEST,
                              .node = node,
                              .from = from,
                              .id = attempt,
                              .len = hops});
}

/* Mostly one that is a member, as far as the leader knows; now and then one that takes itself for
 * the leader, and may be wrong. */
static unsigned any_node(struct region *region) {
    const struct node *leader = region_leader(region);
    unsigned node = (unsigned)dice_roll(&region->dice, 1, REGION_NODES);

    if (dice_chance(&region->dice, LEADER_PER_MILLE)) {
        for (unsigned i = 1; i <= REGION_NODES; i++) {
            const struct node *other = &region->nodes[(node + i) % REGION_NODES + 1];
            if (other->is_up && core_role(other->core) == CORE_LEADER) {
                return other->id;
            }
        }
    }
    for (unsigned i = 0; i < REGION_NODES && leader != NULL; i++) {
        if (leader->members[node] == MEMBER_VOTER || dice_chance(&region->dice, 50)) {
            break;
        }
        node = (unsigned)dice_roll(&region->dice, 1, REGION_NODES);
    }
    return node;
}

static void send(struct region *region, struct client *client, struct attempt *attempt) {
    static const char *const words[] = {"", "read", "stale"};
    unsigned node = client->only_node != 0 ? client->only_node : any_node(region);

    attempt->floor = region->floor;
    attempt->is_over = false;
    client->attempt = attempt_new(region, attempt);
    client->tries++;
    trace_note(&region->trace, region->now_us, 0, "c%u>n%u %s%s %s #%" PRIu64, client->id, node,
               words[attempt->kind],
               attempt->kind == ATTEMPT_WRITE ? deed_words[attempt->deed.kind] : "",
               attempt->is_all ? "all" : deed_names[attempt->deed.name], client->attempt);
    request(region, 0, node, client->attempt, 0);
    turn_at(region, client, region->now_us + PATIENCE_MS * MS);
}

void client_start(struct region *region, struct client *client, uint64_t at_us) {
    client->attempt = 0;
    client->tries = 0;
    turn_at(region, client, at_us);
}

static void rest(struct region *region, struct client *client) {
    client->attempt = 0;
    client->tries = 0;
    if (client->is_proof) {
        client->is_done = true;
        client->wait++; /* no turn any more */
        return;
    }
    turn_at(region, client, region->now_us + dice_roll(&region->dice, 200, 8 * MS));
}

/* The same once more, with the same token. */
static void again(struct region *region, struct client *client) {
    struct attempt attempt = *attempt_at(region, client->attempt);

    region->counts.retries++;
    send(region, client, &attempt);
}

static void begin(struct region *region, struct client *client) {
    struct attempt attempt = {.client = client->id};
    uint64_t roll = dice_roll(&region->dice, 0, 999);

    if (region->is_calm && !client->is_proof) {
        return; /* the rest of the run is for what must come of all this */
    }
    client->tries = 0;
    want(region, &attempt.deed);
    if (roll < READS_PER_MILLE + STALE_PER_MILLE) {
        attempt.kind = roll < READS_PER_MILLE ? ATTEMPT_READ : ATTEMPT_STALE_READ;
        attempt.is_all = dice_chance(&region->dice, 120);
    }
    send(region, client, &attempt);
}

/* Nobody answered: who knows what happened. */
static void despair(struct region *region, struct client *client) {
    struct attempt *attempt = attempt_at(region, client->attempt);

    attempt->is_over = true;
    region->counts.unknown++;
    trace_note(&region->trace, region->now_us, 0, "c%u no answer #%" PRIu64, client->id,
               client->attempt);
    if (client->is_proof) {
        if (client->tries >= PROOF_TRIES) {
            region_fail("healed, and client %u gets no answer of node %u", client->id,
                        client->only_node);
        }
        again(region, client);
    } else if (client->tries < TRIES && dice_chance(&region->dice, 750)) {
        again(region, client);
    } else {
        rest(region, client);
    }
}

void client_turn(struct region *region, struct client *client, uint64_t wait) {
    if (wait != client->wait) {
        return;
    }
    if (client->attempt == 0) {
        begin(region, client);
    } else if (attempt_at(region, client->attempt)->is_over) {
        again(region, client);
    } else {
        despair(region, client);
    }
}

/* ---- at a node ---- */

static void read_stale(struct region *region, struct node *node, uint64_t id) {
    const struct attempt *attempt = attempt_at(region, id);

    region->counts.stale_reads++;
    (void)audit_read(region, node->id, attempt->is_all ? DEED_NAMES : attempt->deed.name,
                     node->engine);
    client_answer(region, id, OK, 0); /* it says nothing about what is over elsewhere */
}

static void pass_on(struct region *region, struct node *node, uint64_t id, unsigned hops) {
    unsigned leader = (unsigned)core_leader_id(node->core);

    if (leader == 0 || leader == node->id || hops >= HOPS) {
        client_answer(region, id, ERR_UNAVAILABLE, 0);
    } else if (stream_is_open(region, node->id, leader)) {
        request(region, node->id, leader, id, hops + 1);
    } else if (dice_chance(&region->dice, 500)) {
        client_answer(region, id, ERR_UNAVAILABLE, 0); /* it cannot be connected to */
    }                                                  /* else it vanishes on its way */
}

void client_arrive(struct region *region, struct node *node, uint64_t id, unsigned hops) {
    const struct attempt *attempt = attempt_at(region, id);

    switch (attempt->kind) {
    case ATTEMPT_STALE_READ:
        read_stale(region, node, id);
        break;
    case ATTEMPT_READ:
        region->counts.reads++;
        node_read(region, node, id);
        break;
    case ATTEMPT_WRITE:
        if (core_role(node->core) == CORE_LEADER) {
            region->counts.writes++;
            node_propose(
                region, node,
                &(struct proposal){.attempt = id, .floor = attempt->floor, .deed = attempt->deed});
        } else {
            pass_on(region, node, id, hops);
        }
        break;
    }
}

void client_answer(struct region *region, uint64_t id, enum errc code, uint64_t index) {
    struct attempt *attempt = attempt_at(region, id);

    attempt->code = code;
    attempt->index = index;
    if (!region->is_calm && dice_chance(&region->dice, REPLY_LOST_PER_MILLE)) {
        return;
    }
    queue_push(&region->queue,
               (struct event){.time_us = region->now_us + dice_roll(&region->dice, 100, 4 * MS),
                              .kind = EVENT_REPLY,
                              .id = id});
}

void client_hear(struct region *region, uint64_t id) {
    struct attempt *attempt = attempt_at(region, id);
    struct client *client = &region->clients[attempt->client];

    if (client->attempt != id || attempt->is_over) {
        return; /* it has given up waiting */
    }
    attempt->is_over = true;
    trace_note(&region->trace, region->now_us, 0, "c%u #%" PRIu64 ": %d at %" PRIu64, client->id,
               id, (int)attempt->code, attempt->index);
    if (attempt->code == OK) {
        if (region->floor < attempt->index) {
            region->floor = attempt->index;
        }
        rest(region, client);
        return;
    }
    region->counts.refused++;
    if (client->is_proof && client->tries >= PROOF_TRIES) {
        region_fail("healed, and node %u answers client %u with %d", client->only_node, client->id,
                    (int)attempt->code);
    }
    if (!client->is_proof && client->tries >= TRIES) {
        rest(region, client);
        return;
    }
    /* Retryable, all of them: after a while, with the same token. */
    turn_at(region, client, region->now_us + dice_roll(&region->dice, 5 * MS, 150 * MS));
}

void client_prove(struct region *region, struct client *client, unsigned node, bool is_read) {
    struct attempt attempt = {
        .kind = is_read ? ATTEMPT_READ : ATTEMPT_WRITE, .client = client->id, .is_all = is_read};

    client->is_proof = true;
    client->is_done = false;
    client->only_node = node;
    client->tries = 0;
    want(region, &attempt.deed);
    send(region, client, &attempt);
}
