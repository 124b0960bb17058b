/* Clients of the simulated region: each does one thing after another, waits for the answer as long
 * as it has patience, and says the same again with the same token when it does not know what came
 * of it. One thread. */
#ifndef TESTS_SIM_REGION_CLIENT_H
#define TESTS_SIM_REGION_CLIENT_H

#include "base/errc.h"
#include "deed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct region;
struct node;

enum { REGION_CLIENTS = 8 };

enum attempt_kind { ATTEMPT_WRITE, ATTEMPT_READ, ATTEMPT_STALE_READ };

/* One sending of a request. */
struct attempt {
    enum attempt_kind kind;
    unsigned client;
    uint64_t floor;   /* what clients had seen when it was sent */
    struct deed deed; /* WRITE: as the client says it, not resolved yet. READ: the name */
    bool is_all;      /* READ: of everything */
    bool is_over;
    enum errc code; /* of the answer that is under way */
    uint64_t index;
};

struct attempts {
    struct attempt *items; /* owned; attempt n is items[n - 1] */
    size_t n;
    size_t room;
};

struct client {
    unsigned id;
    uint64_t attempt; /* that it waits for; 0: none */
    uint64_t wait;    /* number of the wait: stale timeouts are ignored */
    unsigned tries;
    unsigned only_node; /* asks this one; 0: anybody */
    bool is_proof;      /* of liveness: nothing but OK will do */
    bool is_done;
};

void client_start(struct region *region, struct client *client, uint64_t at_us);
/* EVENT_CLIENT: the next thing to do, or the end of patience. */
void client_turn(struct region *region, struct client *client, uint64_t wait);
/* EVENT_REQUEST at a node, of a client or (hops > 0) of a node that forwards. */
void client_arrive(struct region *region, struct node *node, uint64_t attempt, unsigned hops);
/* A node's answer sets out. */
void client_answer(struct region *region, uint64_t attempt, enum errc code, uint64_t index);
/* EVENT_REPLY. */
void client_hear(struct region *region, uint64_t attempt);
/* After healing: one write and one read that must succeed through the node. */
void client_prove(struct region *region, struct client *client, unsigned node, bool is_read);

struct attempt *attempt_at(struct region *region, uint64_t id);

#endif
