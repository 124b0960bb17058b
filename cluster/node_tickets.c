/* Questions of other threads to the group: may I read, and who leads? See cluster/node.h.
 *
 * All reads that arrive together share one id of the core, and through it one confirmed round. */
#include "cluster/node_internal.h"

#include "base/metrics.h"

static void answer(struct ticket *ticket, enum errc code) {
    ticket->code = code;
    ticket->done_cb(ticket);
}

enum errc node_ask(struct node *node, struct ticket *ticket) {
    return mailbox_push(node->tickets_box, &ticket->letter);
}

void node_tickets_take(struct node *node) {
    struct letter *chain = mailbox_drain(node->tickets_box);
    bool has_reads = false;
    uint64_t read_id = 0;

    for (struct letter *at = chain; at != NULL; at = at->next) {
        has_reads = has_reads || CONTAINER_OF(at, struct ticket, letter)->kind == TICKET_READ;
    }
    if (has_reads) {
        enum errc code = core_read(node->core, node_now(node), &read_id);
        metric_add(METRIC_RAFT_READS, 1);
        if (code != OK) {
            node_die("read", code);
        }
    }
    while (chain != NULL) {
        struct ticket *ticket = CONTAINER_OF(chain, struct ticket, letter);
        chain = chain->next;
        ticket->read_id = read_id;
        letter_list_push(ticket->kind == TICKET_READ ? &node->reads : &node->leaders,
                         &ticket->letter);
    }
    if (has_reads) {
        node_turn(node, "read", OK);
    } else {
        node_tickets_look(node);
    }
}

void node_tickets_read(struct node *node, uint64_t read_id) {
    while (node->reads.first != NULL &&
           CONTAINER_OF(node->reads.first, struct ticket, letter)->read_id <= read_id) {
        answer(CONTAINER_OF(letter_list_pop(&node->reads), struct ticket, letter), OK);
    }
}

void node_tickets_look(struct node *node) {
    uint64_t leader = core_leader_id(node->core);
    bool is_self = core_is_current_leader(node->core) && fsm_has_region(node->fsm) &&
                   !core_is_transferring(node->core);
    struct letter *letter;

    if (!is_self && (leader == 0 || leader == node->options.id)) {
        return; /* an own leadership that is not confirmed yet, or on its way out */
    }
    while ((letter = letter_list_pop(&node->leaders)) != NULL) {
        struct ticket *ticket = CONTAINER_OF(letter, struct ticket, letter);
        ticket->leader = leader;
        ticket->is_self = is_self;
        answer(ticket, OK);
    }
}

static void expire(struct node *node, struct letter_list *list, bool all) {
    struct letter_list kept;
    enum errc code = ERR_UNAVAILABLE;
    struct letter *letter;

    if (!all && core_leader_id(node->core) == 0) {
        code = ERR_NO_QUORUM;
    }
    letter_list_init(&kept);
    while ((letter = letter_list_pop(list)) != NULL) {
        struct ticket *ticket = CONTAINER_OF(letter, struct ticket, letter);
        if (all || ticket->deadline_ms <= node_now(node)) {
            answer(ticket, code);
        } else {
            letter_list_push(&kept, letter);
        }
    }
    while ((letter = letter_list_pop(&kept)) != NULL) {
        letter_list_push(list, letter);
    }
}

void node_tickets_expire(struct node *node, bool all) {
    if (all) {
        struct letter *chain = mailbox_drain(node->tickets_box);
        while (chain != NULL) {
            struct letter *letter = chain;
            chain = chain->next;
            letter_list_push(&node->leaders, letter);
        }
    }
    expire(node, &node->reads, all);
    expire(node, &node->leaders, all);
}
