/* Changes that operators ask for: one runs, others wait. See node_change in cluster/node.h. */
#include "cluster/node_internal.h"

#include "base/log.h"
#include "base/metrics.h"
#include "cluster/member.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum errc node_change_ask(struct node *node, struct node_change *change) {
    return mailbox_push(node->changes_box, &change->letter);
}

static void answer(struct node *node, struct node_change *change, enum errc code) {
    if (node->change.request == change) {
        node->change.request = NULL;
    }
    if (code != OK && change->reason[0] == '\0') {
        (void)snprintf(change->reason, sizeof(change->reason), "%s", errc_sentence(code));
    }
    change->code = code;
    change->leader = core_leader_id(node->core);
    change->done_cb(change);
}

PRINTF_LIKE(3, 4)
static enum errc because(struct node_change *change, enum errc code, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(change->reason, sizeof(change->reason), format, arguments);
    va_end(arguments);
    return code;
}

enum errc node_transfer(struct node *node, uint64_t target) {
    enum errc code = core_transfer(node->core, node_now(node), target);

    if (code == OK) {
        metric_add(METRIC_RAFT_TRANSFERS, 1);
    }
    return code;
}

/* ---- each kind: begin gives OK when it runs or is done already; is_done says when ---- */

static enum errc core_change_explained(struct node *node, struct node_change *change,
                                       enum core_change kind, const char *address) {
    enum errc code = core_change(node->core, node_now(node), kind, change->id, address);

    if (code == ERR_NO_QUORUM) {
        return because(change, code,
                       "too few of the voters that would be left can be reached; bring them back "
                       "first, or the region would stop");
    }
    if (code == ERR_INVALID_PARAMETER) {
        return because(change, code, "no such change of this node is possible now");
    }
    return code;
}

static enum errc begin_add(struct node *node, struct node_change *change) {
    struct core_member member;

    if (!node_member_find(node, change->id, &member)) {
        return core_change_explained(node, change, CORE_ADD_SPARE, change->address);
    }
    if (strcmp(member.address, change->address) == 0) {
        return OK;
    }
    return core_change_explained(node, change, CORE_READDRESS, change->address);
}

static bool level_is_high_enough(struct node *node, uint64_t id) {
    const struct node_peer *peer = node_peer_find(node, id);

    return peer != NULL && peer->level_max >= fsm_level(node->fsm);
}

static enum errc begin_promote(struct node *node, struct node_change *change) {
    struct member_address address;
    struct core_member member;
    char text[LIMIT_ADDRESS + 1];

    if (!node_member_find(node, change->id, &member)) {
        return because(change, ERR_INVALID_PARAMETER, "no such node is a member of this region");
    }
    if (member.role == CORE_VOTER) {
        return OK;
    }
    if (!level_is_high_enough(node, change->id)) {
        return because(change, ERR_UNAVAILABLE,
                       "the node is not connected, or it runs a release that is too old for this "
                       "region's data");
    }
    if (member_address_parse(member.address, &address) == OK && address.is_learner) {
        address.is_learner = false;
        if (member_address_format(&address, text) != OK) {
            return ERR_INVALID_PARAMETER;
        }
        return core_change_explained(node, change, CORE_READDRESS, text); /* then promoted */
    }
    return core_change_explained(node, change, CORE_PROMOTE, NULL);
}

static enum errc begin_remove(struct node *node, struct node_change *change) {
    struct core_member member;

    if (!node_member_find(node, change->id, &member)) {
        return OK;
    }
    if (change->id == node->options.id) {
        /* A leader cannot take its own vote. It hands over, and the next one is asked. */
        enum errc code = node_transfer(node, 0);
        return code == ERR_UNAVAILABLE
                   ? because(change, code, "this node leads and nobody can take over from it")
                   : code;
    }
    return core_change_explained(node, change, CORE_REMOVE, NULL);
}

static enum errc begin_transfer(struct node *node, struct node_change *change) {
    enum errc code;

    if (change->id == node->options.id) {
        return OK;
    }
    code = node_transfer(node, change->id);
    if (code == ERR_INVALID_PARAMETER) {
        return because(change, code, "no such node votes in this region");
    }
    if (code == ERR_UNAVAILABLE) {
        return because(change, code, "no other voter that can take over is reached");
    }
    return code;
}

static void raise_done(struct proposal *proposal) {
    proposal_free(proposal);
}

struct node_levels node_levels(struct node *node) {
    struct node_levels levels = {.lowest = command_levels.newest,
                                 .lowest_id = node->options.id,
                                 .highest = command_levels.newest};

    for (unsigned i = 0; i < core_members_count(node->core); i++) {
        struct core_member member;
        const struct node_peer *peer;
        core_member_at(node->core, i, &member);
        if (member.id == node->options.id) {
            continue;
        }
        peer = node_peer_find(node, member.id);
        if (peer == NULL || peer->level_max == 0 || member.heard_ms == 0 ||
            node_now(node) - member.heard_ms >= node->election_ms) {
            levels.silent_id = member.id;
        }
        if (peer == NULL || peer->level_max == 0) {
            continue;
        }
        if (peer->level_max < levels.lowest) {
            levels.lowest = peer->level_max;
            levels.lowest_id = member.id;
        }
        levels.highest = peer->level_max > levels.highest ? peer->level_max : levels.highest;
    }
    return levels;
}

static enum errc begin_raise(struct node *node, struct node_change *change) {
    Redoubt__SetLevel command = REDOUBT__SET_LEVEL__INIT;
    const struct node_levels levels = node_levels(node);
    struct proposal *proposal;
    enum errc code;

    if (levels.lowest <= fsm_level(node->fsm) && levels.highest > levels.lowest) {
        return because(change, ERR_LEVEL,
                       "node %016" PRIx64 " runs a release that knows levels up to %u, and the "
                       "region is at level %u; install the newer release there first",
                       levels.lowest_id, levels.lowest, fsm_level(node->fsm));
    }
    if (levels.silent_id != 0) {
        return because(change, ERR_UNAVAILABLE,
                       "node %016" PRIx64 " is a member and does not answer: which levels its "
                       "release knows cannot be told",
                       levels.silent_id);
    }
    node->change.level = levels.lowest;
    if (levels.lowest <= fsm_level(node->fsm)) {
        return OK;
    }
    command.has_level = 1;
    command.level = levels.lowest;
    proposal = proposal_new(COMMAND_SET_LEVEL, &command.base);
    if (proposal == NULL) {
        return ERR_NO_MEMORY;
    }
    proposal->done_cb = raise_done;
    code = node_propose(node, proposal);
    if (code != OK) {
        proposal_free(proposal);
    }
    return code;
}

struct change_kind {
    const char *name;
    enum errc (*begin)(struct node *node, struct node_change *change);
    bool (*is_done)(struct node *node, const struct node_change *change);
};

static bool add_is_done(struct node *node, const struct node_change *change) {
    struct core_member member;

    return !core_change_is_running(node->core) && node_member_find(node, change->id, &member) &&
           strcmp(member.address, change->address) == 0;
}

static bool promote_is_done(struct node *node, const struct node_change *change) {
    struct core_member member;

    return !core_change_is_running(node->core) && node_member_find(node, change->id, &member) &&
           member.role == CORE_VOTER;
}

static bool remove_is_done(struct node *node, const struct node_change *change) {
    struct core_member member;

    return !core_change_is_running(node->core) && !node_member_find(node, change->id, &member);
}

static bool transfer_is_done(struct node *node, const struct node_change *change) {
    uint64_t leader = core_leader_id(node->core);

    if (change->id != 0) {
        return leader == change->id;
    }
    return core_role(node->core) != CORE_LEADER && leader != 0 && leader != node->options.id;
}

static bool raise_is_done(struct node *node, const struct node_change *change) {
    return node->change.level != 0 && fsm_level(node->fsm) >= node->change.level;
}

static const struct change_kind change_kinds[] = {
    [NODE_ADD] = {"add", begin_add, add_is_done},
    [NODE_PROMOTE] = {"promote", begin_promote, promote_is_done},
    [NODE_REMOVE] = {"remove", begin_remove, remove_is_done},
    [NODE_TRANSFER] = {"transfer", begin_transfer, transfer_is_done},
    [NODE_RAISE_LEVEL] = {"raise", begin_raise, raise_is_done},
};

/* ---- one after another ---- */

/* A promotion that lost its catch-up to a busy moment, or had to lose its learner's mark first, is
 * begun again until its time is up. */
static void continue_running(struct node *node) {
    struct node_change *change = node->change.request;
    const struct change_kind *kind = &change_kinds[change->kind];
    enum errc code;

    if (kind->is_done(node, change)) {
        answer(node, change, OK);
        return;
    }
    if (core_role(node->core) != CORE_LEADER) {
        if (change->kind == NODE_TRANSFER && node_now(node) < node->change.deadline_ms) {
            return; /* the next leader is not known yet */
        }
        bool has_only_handed_over = change->kind == NODE_REMOVE && change->id == node->options.id;
        answer(node, change,
               node->change.is_begun && !has_only_handed_over ? ERR_OUTCOME_UNKNOWN
                                                              : ERR_NOT_LEADER);
        return;
    }
    if (node_now(node) >= node->change.deadline_ms) {
        answer(node, change, ERR_OUTCOME_UNKNOWN);
        return;
    }
    if (core_change_is_running(node->core) || core_is_transferring(node->core) ||
        !core_is_current_leader(node->core)) {
        return;
    }
    if (node->change.is_begun && change->kind == NODE_TRANSFER) {
        (void)because(change, ERR_UNAVAILABLE, "the other node did not take over in time");
        answer(node, change, ERR_UNAVAILABLE);
        return;
    }
    if (node->change.is_begun && change->kind != NODE_PROMOTE) {
        return;
    }
    code = kind->begin(node, change);
    if (code == OK) {
        node->change.is_begun = true;
    } else if (code != ERR_BUSY) {
        answer(node, change, code);
    }
    node_turn(node, kind->name, OK);
}

void node_changes_look(struct node *node) {
    struct letter *letter;

    while (node->change.request == NULL && (letter = letter_list_pop(&node->change.waiting))) {
        struct node_change *change = CONTAINER_OF(letter, struct node_change, letter);
        change->reason[0] = '\0';
        if (core_role(node->core) != CORE_LEADER) {
            answer(node, change, ERR_NOT_LEADER);
            continue;
        }
        LOG_INFO("raft.change", F_STR("kind", change_kinds[change->kind].name));
        node->change.request = change;
        node->change.deadline_ms = node_now(node) + LIMIT_CHANGE_MS;
        node->change.is_begun = false;
        node->change.level = 0;
    }
    if (node->change.request != NULL) {
        continue_running(node);
    }
}

void node_changes_take(struct node *node) {
    struct letter *chain = mailbox_drain(node->changes_box);

    while (chain != NULL) {
        struct letter *letter = chain;
        chain = chain->next;
        letter_list_push(&node->change.waiting, letter);
    }
    node_changes_look(node);
}

void node_changes_close(struct node *node) {
    struct letter *letter;

    node_changes_take(node);
    if (node->change.request != NULL) {
        answer(node, node->change.request, ERR_UNAVAILABLE);
    }
    while ((letter = letter_list_pop(&node->change.waiting)) != NULL) {
        answer(node, CONTAINER_OF(letter, struct node_change, letter), ERR_UNAVAILABLE);
    }
}
