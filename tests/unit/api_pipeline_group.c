/* The pipeline at a node of a region of several: reads that ask, writes that look for the leader,
 * and all orders in which what they wait for can come back. Over the same fakes as api_pipeline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "tests/unit/api_pipeline_rig.h"

#define NOT_NOW     UNAVAILABLE "The service is temporarily unavailable. Try again.\"}"
#define OVERLOADED  UNAVAILABLE "The service is overloaded. Try again.\"}"
#define NO_MAJORITY UNAVAILABLE "The nodes of the region that can be reached are no majority.\"}"
#define NOT_CURRENT                                                                                \
    UNAVAILABLE "Whether this node's state is current cannot be told now. Try again, or accept "   \
                "an older state with the header x-redoubt-consistency: stale.\"}"
#define EXISTS                                                                                     \
    "{\"__type\":\"ResourceExistsException\",\"Message\":\"A resource with the ID you requested "  \
    "already exists.\"}"
#define WRITTEN "{\"Name\":\"written\"}"

/* --- reads --- */

static void test_read(void **state) {
    now_ms = 1000;
    ask("GetSecretValue");
    assert_int_equal(fake.tickets[0]->kind, TICKET_READ);
    assert_int_equal(fake.tickets[0]->deadline_ms, 1000 + LIMIT_ELECTION_WAIT_MS);
    assert_string_equal(fake.seen_id, ""); /* a view made before the answer could be old */
    told_now(OK, 0);
    answered(200, NULL, "{\"Name\":\"db\"}");
    assert_int_equal(fake.asked, 1);
}

static void test_read_unanswered(void **state) {
    static const struct {
        enum errc code;
        const char *body;
    } cases[] = {
        {ERR_UNAVAILABLE, NOT_CURRENT}, {ERR_NO_QUORUM, NOT_CURRENT}, {ERR_BUSY, OVERLOADED}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)follower(state);
        ask("GetSecretValue");
        told_now(cases[i].code, 0);
        answered(503, "ServiceUnavailable", cases[i].body);
        (void)follower(state);
        fake.ask = cases[i].code; /* refused at once */
        ask("GetSecretValue");
        answered(503, "ServiceUnavailable", cases[i].body);
    }
}

/* Without a quorum, reads go on only as stale reads that say so. */
static void test_stale_read(void **state) {
    fake.age_ms = 12345;
    handle("GetSecretValue", "us-east-1", "x-redoubt-consistency: stale\r\n",
           "{\"SecretId\":\"db\"}");
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.headers, REQUEST_ID STALE_HEADERS("12345"));
    assert_int_equal(fake.asked, 0);
}

/* What a follower without room has is old, and no index of the leader's would ever be applied. */
static void test_read_without_room(void **state) {
    fake.lacks_room = true;
    ask("GetSecretValue");
    assert_int_equal(fake.tickets[0]->kind, TICKET_LEADER);
    told_now(OK, OTHER);
    back_now(OK, false, 200, "HTTP/1.1 200 OK\r\n\r\n");
    assert_string_equal(exchange.body, "HTTP/1.1 200 OK\r\n\r\n");
    /* It leads by now, so its state is the newest there is; but that is confirmed. */
    (void)follower(state);
    fake.lacks_room = true;
    ask("GetSecretValue");
    fake.is_follower = false;
    told_now(OK, SELF);
    assert_int_equal(fake.tickets[0]->kind, TICKET_READ);
    told_now(OK, 0);
    answered(200, NULL, "{\"Name\":\"db\"}");
    (void)follower(state);
    fake.lacks_room = true;
    fake.age_ms = 12345;
    handle("GetSecretValue", "us-east-1", "x-redoubt-consistency: stale\r\n",
           "{\"SecretId\":\"db\"}");
    assert_string_equal(exchange.headers, REQUEST_ID STALE_HEADERS("12345"));
    assert_int_equal(fake.asked, 0);
}

/* --- writes at a follower --- */

static void test_write_goes_to_the_leader(void **state) {
    char *text = signed_text("PutSecretValue", "us-east-1", "", "{\"SecretId\":\"db\"}");

    now_ms = 1000;
    handle_text(text);
    assert_int_equal(fake.tickets[0]->kind, TICKET_LEADER);
    assert_int_equal(fake.tickets[0]->deadline_ms, 1000 + LIMIT_ELECTION_WAIT_MS);
    told_now(OK, OTHER);
    assert_int_equal(fake.pending_call->node, OTHER);
    assert_string_equal(fake.pending_call->region, "us-east-1");
    assert_string_equal(fake.pending_call->path, "/v1/forward");
    assert_true(fake.pending_call->is_forward);
    assert_int_equal(fake.pending_call->timeout_ms, LIMIT_REQUEST_MS + LIMIT_PEER_CONNECT_MS);
    assert_int_equal(fake.pending_call->body.len, strlen(text));
    assert_memory_equal(fake.pending_call->body.data, text, strlen(text));
    free(text);
    assert_false(is_timed(true)); /* the call has its own deadline */
    back_now(OK, false, 200, "HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_int_equal(exchange.status, -1); /* as it came */
    assert_string_equal(exchange.body, "HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_int_equal(fake.prepared, 0);
}

static void test_write_finds_itself(void **state) {
    ask("PutSecretValue");
    fake.is_follower = false;
    told_now(OK, SELF);
    commit(OK, OK, NULL);
    answered(200, NULL, WRITTEN);
}

static void test_write_finds_nobody(void **state) {
    static const struct {
        enum errc code;
        const char *body;
    } cases[] = {{ERR_UNAVAILABLE, NOT_NOW}, {ERR_NO_QUORUM, NO_MAJORITY}, {ERR_BUSY, OVERLOADED}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)follower(state);
        ask("PutSecretValue");
        told_now(cases[i].code, 0);
        answered(503, "ServiceUnavailable", cases[i].body);
        (void)follower(state);
        fake.ask = cases[i].code;
        ask("PutSecretValue");
        answered(503, "ServiceUnavailable", cases[i].body);
    }
}

/* Whoever says that nothing happened is taken at his word, and the leader is looked for again. */
static void again_by(const char *how) {
    if (strcmp(how, "misdirected") == 0) {
        back_now(OK, false, 421, "not the leader");
    } else if (strcmp(how, "unsent") == 0) {
        back_now(ERR_REGION_UNREACHABLE, true, 0, "");
    }
}

static void test_write_tries_again(void **state) {
    static const char *const hows[] = {"misdirected", "unsent", "unknown node"};

    for (size_t i = 0; i < ARRAY_LEN(hows); i++) {
        (void)follower(state);
        fake.call = i == 2 ? ERR_INVALID_PARAMETER : OK;
        ask("PutSecretValue");
        told_now(OK, OTHER);
        again_by(hows[i]);
        assert_int_equal(exchange.replies, 0);
        assert_null(fake.pending_call);
        assert_int_equal(fake.asked, 1); /* not at once: that would be a busy loop */
        fake.call = OK;
        pause_over();
        assert_int_equal(fake.asked, 2);
        assert_int_equal(fake.tickets[0]->deadline_ms, 1 + LIMIT_ELECTION_WAIT_MS); /* as before */
        told_now(OK, THIRD);
        assert_int_equal(fake.pending_call->node, THIRD);
        assert_true(fake.pending_call->body.len > 0);
        back_now(OK, false, 200, "HTTP/1.1 200 OK\r\n\r\n");
        assert_string_equal(exchange.body, "HTTP/1.1 200 OK\r\n\r\n");
        assert_int_equal(fake.called, 2);
    }
    /* And again it may be this one. */
    (void)follower(state);
    ask("PutSecretValue");
    told_now(OK, OTHER);
    back_now(OK, false, 421, "not the leader");
    pause_over();
    fake.is_follower = false;
    told_now(OK, SELF);
    commit(OK, OK, NULL);
    answered(200, NULL, WRITTEN);
}

static void test_search_ends(void **state) {
    ask("PutSecretValue");
    for (int i = 0; i < 3; i++) {
        told_now(OK, OTHER);
        back_now(OK, false, 421, "not the leader");
        pause_over();
        now_ms += LIMIT_ELECTION_WAIT_MS / 3;
    }
    told_now(OK, OTHER);
    now_ms = 1 + LIMIT_ELECTION_WAIT_MS;
    back_now(ERR_REGION_UNREACHABLE, true, 0, "");
    answered(503, "ServiceUnavailable", NOT_NOW);
}

/* Sent, and no answer: nobody knows. */
static void test_write_is_lost(void **state) {
    static const struct {
        enum errc code;
        int status;
        const char *body;
    } cases[] = {{ERR_REGION_UNREACHABLE, 0, NOT_KNOWN},
                 {OK, 503, NOT_KNOWN},
                 {OK, 502, NOT_KNOWN},
                 {OK, 403, NOT_NOW},
                 {OK, 404, NOT_NOW},
                 {ERR_BUSY, 0, OVERLOADED}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)follower(state);
        ask("PutSecretValue");
        told_now(OK, OTHER);
        back_now(cases[i].code, false, cases[i].status, "");
        answered(503, "ServiceUnavailable", cases[i].body);
        assert_int_equal(fake.called, 1);
    }
    (void)follower(state);
    fake.call = ERR_BUSY;
    ask("PutSecretValue");
    told_now(OK, OTHER);
    answered(503, "ServiceUnavailable", OVERLOADED);
}

/* Asks OTHER for a write and looks once, as long as it still leads. */
static struct peer_call *ask_other(void **state) {
    struct peer_call *call;

    (void)follower(state);
    fake.leader = OTHER;
    ask("PutSecretValue");
    told_now(OK, OTHER);
    look();
    call = fake.pending_call;
    assert_false(atomic_load(&call->is_cancelled));
    return call;
}

/* A leader that is asked and sleeps is not waited for when another one leads. What has reached it
 * is never sent to the other one as well; what has not is. */
static void test_leader_is_replaced(void **state) {
    struct peer_call *call = ask_other(state);

    fake.leader = THIRD;
    look();
    assert_true(atomic_load(&call->is_cancelled));
    assert_int_equal(exchange.replies, 0);
    back_now(ERR_REGION_UNREACHABLE, false, 0, "");
    answered(503, "ServiceUnavailable", NOT_KNOWN);
    assert_int_equal(fake.called, 1);

    call = ask_other(state);
    fake.leader = THIRD;
    look();
    assert_true(atomic_load(&call->is_cancelled));
    back_now(ERR_REGION_UNREACHABLE, true, 0, "");
    pause_over();
    told_now(OK, THIRD);
    assert_int_equal(fake.pending_call->node, THIRD);
    back_now(OK, false, 200, "HTTP/1.1 200 OK\r\n\r\n");
    assert_string_equal(exchange.body, "HTTP/1.1 200 OK\r\n\r\n");
    assert_int_equal(fake.called, 2);

    (void)ask_other(state);
    call_back(OK, false, 200, "HTTP/1.1 200 OK\r\n\r\n");
    fake.leader = THIRD;
    look(); /* just before its answer is looked at */
    run_posted();
    assert_string_equal(exchange.body, "HTTP/1.1 200 OK\r\n\r\n");
}

/* Nobody leads, as far as this node knows: an election, after which the old one may go on; or this
 * node is cut off. */
static void test_leader_is_lost(void **state) {
    struct peer_call *call = ask_other(state);

    fake.leader = 0;
    look();
    now_ms += 900;
    look();
    fake.leader = OTHER;
    look();
    fake.leader = 0;
    look();
    now_ms += 900;
    look();
    assert_false(atomic_load(&call->is_cancelled));
    now_ms += 100;
    look();
    assert_true(atomic_load(&call->is_cancelled));
    back_now(ERR_REGION_UNREACHABLE, false, 0, "");
    answered(503, "ServiceUnavailable", NOT_KNOWN);
}

/* --- writes at a leader --- */

static void test_leader_writes_without_asking(void **state) {
    ask("PutSecretValue");
    commit(OK, OK, NULL);
    answered(200, NULL, WRITTEN);
    assert_int_equal(fake.asked, 0);
}

static void test_leadership_is_lost(void **state) {
    static const enum errc codes[] = {ERR_NOT_LEADER, ERR_UNAVAILABLE};

    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        (void)leader(state);
        ask("PutSecretValue");
        fake.is_follower = true;
        commit(codes[i], -1, NULL); /* nothing happened */
        told_now(OK, OTHER);
        back_now(OK, false, 200, "HTTP/1.1 200 OK\r\n\r\n");
        assert_string_equal(exchange.body, "HTTP/1.1 200 OK\r\n\r\n");
        (void)leader(state);
        fake.propose = codes[i]; /* the same, refused at once */
        ask("PutSecretValue");
        told_now(ERR_UNAVAILABLE, 0);
        answered(503, "ServiceUnavailable", NOT_NOW);
    }
    (void)leader(state);
    ask("PutSecretValue");
    fake.is_follower = true;
    commit(ERR_OUTCOME_UNKNOWN, -1, NULL); /* it may have */
    answered(503, "ServiceUnavailable", NOT_KNOWN);
    assert_int_equal(fake.asked, 0);
    (void)leader(state);
    fake.preludes = 1;
    ask("PutSecretValue");
    fake.is_follower = true;
    commit(ERR_OUTCOME_UNKNOWN, -1, NULL); /* a prelude, which does no harm twice */
    told_now(OK, OTHER);
    back_now(OK, false, 200, "HTTP/1.1 200 OK\r\n\r\n");
    assert_int_equal(exchange.status, -1);
}

/* No other node would take it. */
static void test_full_disks(void **state) {
    ask("PutSecretValue");
    commit(ERR_DISK_FULL, -1, NULL);
    answered(503, "ServiceUnavailable",
             UNAVAILABLE "There is too little room on disk for writes.\"}");
    assert_int_equal(fake.asked, 0);
}

/* A refusal is an answer, so it must not come from an old state. */
static void test_refusal_is_confirmed(void **state) {
    fake.prepare_code = ERR_RESOURCE_EXISTS;
    ask("PutSecretValue");
    assert_int_equal(exchange.replies, 0);
    assert_int_equal(fake.tickets[0]->kind, TICKET_READ);
    told_now(OK, 0);
    answered(400, "ResourceExistsException", EXISTS);
    assert_int_equal(fake.prepared, 2);
    assert_int_equal(fake.asked, 1);
    (void)leader(state);
    fake.prepare_code = ERR_RESOURCE_EXISTS;
    ask("PutSecretValue");
    fake.prepare_code = OK; /* it was old */
    told_now(OK, 0);
    commit(OK, OK, NULL);
    answered(200, NULL, WRITTEN);
    (void)leader(state);
    fake.prepare_code = ERR_RESOURCE_EXISTS;
    ask("PutSecretValue");
    told_now(ERR_NO_QUORUM, 0);
    answered(503, "ServiceUnavailable", NO_MAJORITY);
    (void)leader(state);
    fake.prepare_code = ERR_RESOURCE_EXISTS;
    ask("PutSecretValue");
    fake.is_follower = true; /* deposed, as it turns out */
    told_now(OK, 0);
    told_now(OK, OTHER);
    back_now(OK, false, 200, "HTTP/1.1 200 OK\r\n\r\n");
    assert_int_equal(fake.prepared, 1);
    (void)leader(state);
    fake.prepare_code = ERR_SEALED; /* no matter of state */
    ask("PutSecretValue");
    assert_int_equal(exchange.status, 503);
    assert_int_equal(fake.asked, 0);
}

/* --- hops --- */

static void forwarded_by(const char *region, uint64_t node, const char *op) {
    char *inner = signed_text(op, "us-east-1", "", "{\"SecretId\":\"db\"}");

    exchange.peer_node = node;
    peer_post(region, "/v1/forward", inner);
    free(inner);
}

/* A node of this region asks the leader, or nobody. */
static void test_no_hop_behind_a_node(void **state) {
    forwarded_by("us-east-1", OTHER, "PutSecretValue");
    assert_int_equal(exchange.status, 421);
    assert_int_equal(fake.asked, 0);
    (void)leader(state);
    forwarded_by("us-east-1", OTHER, "PutSecretValue");
    commit(OK, OK, NULL);
    assert_int_equal(exchange.status, 200);
    assert_non_null(strstr(exchange.body, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(exchange.body, WRITTEN));
    (void)leader(state);
    forwarded_by("us-east-1", OTHER, "PutSecretValue");
    commit(ERR_NOT_LEADER, -1, NULL);
    assert_int_equal(exchange.status, 421);
    (void)leader(state);
    fake.propose = ERR_UNAVAILABLE; /* stopping */
    forwarded_by("us-east-1", OTHER, "PutSecretValue");
    assert_int_equal(exchange.status, 421);
    (void)leader(state);
    forwarded_by("us-east-1", OTHER, "PutSecretValue");
    commit(ERR_OUTCOME_UNKNOWN, -1, NULL); /* that is an answer, and no 421 */
    assert_int_equal(exchange.status, 200);
    assert_non_null(strstr(exchange.body, NOT_KNOWN));
}

/* Another region's node asks any node here, which goes to the leader once. */
static void test_one_hop_behind_a_region(void **state) {
    forwarded_by("eu-west-1", OTHER, "PutSecretValue");
    told_now(OK, OTHER);
    assert_int_equal(fake.pending_call->node, OTHER);
    assert_string_equal(fake.pending_call->region, "us-east-1");
    back_now(OK, false, 200, "HTTP/1.1 200 OK\r\n\r\nbody");
    assert_int_equal(exchange.status, 200); /* wrapped once, as that region expects it */
    assert_string_equal(exchange.body, "HTTP/1.1 200 OK\r\n\r\nbody");
    (void)follower(state);
    forwarded_by("eu-west-1", OTHER, "GetSecretValue");
    told_now(OK, 0);
    assert_non_null(strstr(exchange.body, "{\"Name\":\"db\"}"));
    assert_int_equal(fake.called, 0);
    (void)follower(state);
    forwarded_by("eu-west-1", OTHER, "PutSecretValue");
    told_now(ERR_NO_QUORUM, 0);
    assert_int_equal(exchange.status, 200);
    assert_non_null(strstr(exchange.body, "HTTP/1.1 503 Service Unavailable\r\n"));
}

/* The first region waits longer than the second one can take to look for its leader and ask it. */
static void test_times_fit(void **state) {
    handle("PutSecretValue", "eu-west-1", "", "{\"SecretId\":\"db\"}");
    assert_int_equal(fake.pending_call->node, 0);
    assert_true(fake.pending_call->timeout_ms >
                LIMIT_ELECTION_WAIT_MS + LIMIT_REQUEST_MS + LIMIT_PEER_CONNECT_MS);
    assert_true(fake.pending_call->timeout_ms <= LIMIT_PEER_CALL_MS);
    back_now(ERR_REGION_UNREACHABLE, true, 0, "");
    assert_int_equal(exchange.status, 503);
}

/* --- what comes back late --- */

enum place { AT_READ, AT_CONFIRM, AT_LEADER, AT_PAUSE_BETWEEN, AT_COMMIT, PLACES };

static void bring_to(void **state, enum place place) {
    (void)(place == AT_CONFIRM || place == AT_COMMIT ? leader(state) : follower(state));
    fake.prepare_code = place == AT_CONFIRM ? ERR_RESOURCE_EXISTS : OK;
    ask(place == AT_READ ? "GetSecretValue" : "PutSecretValue");
    if (place == AT_PAUSE_BETWEEN) {
        told_now(OK, OTHER);
        back_now(OK, false, 421, "not the leader");
    }
    assert_int_equal(exchange.replies, 0);
    assert_true(is_timed(true));
}

/* Only passes on. */
static void come_back(enum place place) {
    if (place == AT_COMMIT) {
        finish(OK, OK, NULL);
    } else if (place != AT_PAUSE_BETWEEN) {
        told(OK, OTHER);
    }
}

/* The worker's turn. */
static void arrive(enum place place) {
    if (place == AT_PAUSE_BETWEEN) {
        pause_over();
    } else {
        run_posted();
    }
}

static void test_deadline_everywhere(void **state) {
    static const char *const bodies[PLACES] = {[AT_READ] = NOT_CURRENT,
                                               [AT_CONFIRM] = NOT_NOW,
                                               [AT_LEADER] = NOT_NOW,
                                               [AT_PAUSE_BETWEEN] = NOT_NOW,
                                               [AT_COMMIT] = NOT_KNOWN};

    for (enum place place = 0; place < PLACES; place++) {
        /* Never answered in time. */
        bring_to(state, place);
        deadline();
        answered(503, "ServiceUnavailable", bodies[place]);
        come_back(place);
        arrive(place);
        (void)teardown(state);
        /* On its way back when the deadline strikes. */
        bring_to(state, place);
        come_back(place);
        deadline();
        answered(503, "ServiceUnavailable", bodies[place]);
        arrive(place);
        (void)teardown(state);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FOLLOWING(test_read),
        FOLLOWING(test_read_unanswered),
        FOLLOWING(test_stale_read),
        FOLLOWING(test_read_without_room),
        FOLLOWING(test_write_goes_to_the_leader),
        FOLLOWING(test_write_finds_itself),
        FOLLOWING(test_write_finds_nobody),
        FOLLOWING(test_write_tries_again),
        FOLLOWING(test_search_ends),
        FOLLOWING(test_write_is_lost),
        FOLLOWING(test_leader_is_replaced),
        FOLLOWING(test_leader_is_lost),
        LEADING(test_leader_writes_without_asking),
        LEADING(test_leadership_is_lost),
        LEADING(test_full_disks),
        LEADING(test_refusal_is_confirmed),
        FOLLOWING(test_no_hop_behind_a_node),
        FOLLOWING(test_one_hop_behind_a_region),
        LEADING(test_times_fit),
        FOLLOWING(test_deadline_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
