/* What nodes of a region hand to their leader besides requests: first reads of a day, and batches
 * of other regions. Over the same fakes as api_pipeline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/touches.h"
#include "base/limits.h"
#include "tests/unit/api_pipeline_rig.h"

/* --- touches --- */

static struct touches *touching(void) {
    struct touches *touches = touches_new("us-east-1", NULL, NULL, &world);

    assert_non_null(touches);
    service.touches = touches;
    fake.leaves_after = true;
    fake.leader = OTHER;
    return touches;
}

/* Another request over the same fakes, stale so that it needs nobody. */
static void read_of(const char *name) {
    char body[64];

    memset(&exchange, 0, sizeof(exchange));
    exchange.peer_region = "";
    (void)snprintf(body, sizeof(body), "{\"SecretId\":\"%s\"}", name);
    handle("GetSecretValue", "us-east-1", "x-redoubt-consistency: stale\r\n", body);
    assert_int_equal(exchange.status, 200);
}

static size_t items_sent(void) {
    const struct buf *body = &fake.pending_call->body;
    Redoubt__SecretsTouch *message = redoubt__secrets_touch__unpack(NULL, body->len, body->data);
    size_t n;

    assert_non_null(message);
    n = message->n_items;
    redoubt__secrets_touch__free_unpacked(message, NULL);
    return n;
}

static void test_touch_is_sent_once(void **state) {
    struct touches *touches = touching();

    for (int i = 0; i < 1000; i++) {
        read_of("db");
    }
    assert_int_equal(fake.called, 1);
    assert_int_equal(fake.proposed, 0);
    assert_int_equal(fake.pending_call->node, OTHER);
    assert_string_equal(fake.pending_call->path, "/v1/touch");
    assert_int_equal(items_sent(), 1);
    call_back(OK, false, 200, "taken");
    read_of("db");
    assert_int_equal(fake.called, 1);
    now_ms += 10 * 1000; /* still to be written: it was lost */
    read_of("db");
    assert_int_equal(fake.called, 2);
    call_back(OK, false, 421, "not the leader");
    read_of("db"); /* at once: it was not taken */
    assert_int_equal(fake.called, 3);
    call_back(ERR_REGION_UNREACHABLE, false, 0, "");
    fake.call = ERR_BUSY;
    read_of("db");
    read_of("db");
    assert_int_equal(fake.called, 5);
    fake.leader = 0; /* nobody to send it to */
    read_of("db");
    assert_int_equal(fake.called, 5);
    touches_free(touches);
}

static void test_touches_are_gathered(void **state) {
    struct touches *touches = touching();
    char name[16];

    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "db%d", i);
        read_of(name);
    }
    assert_int_equal(fake.called, 1);
    assert_int_equal(items_sent(), 1);
    call_back(OK, false, 200, "taken");
    assert_int_equal(fake.called, 2);
    assert_int_equal(items_sent(), LIMIT_BATCH_GET);
    read_of("db99"); /* was dropped: there was no room */
    call_back(OK, false, 200, "taken");
    assert_int_equal(fake.called, 3);
    assert_int_equal(items_sent(), 1);
    call_back(OK, false, 200, "taken");
    touches_free(touches);
}

/* A node that leads writes by itself; one without a place for touches drops them. */
static void test_touch_needs_no_call(void **state) {
    struct touches *touches = touching();

    fake.is_follower = false;
    read_of("db");
    assert_int_equal(fake.called, 0);
    assert_int_equal(fake.proposals[0]->type, COMMAND_SECRET_TOUCH);
    finish(OK, OK, NULL);
    fake.is_follower = true;
    service.touches = NULL;
    read_of("db");
    assert_int_equal(fake.called, 0);
    touches_free(touches);
}

static void touch_post(const char *region, const void *body, size_t len) {
    char head[128];
    char text[65536];
    int n = snprintf(head, sizeof(head),
                     "POST /v1/touch HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", len);

    assert_true((size_t)n + len <= sizeof(text));
    memcpy(text, head, (size_t)n);
    memcpy(text + n, body, len);
    exchange.peer_region = region;
    exchange.peer_node = OTHER;
    assert_int_equal(peer_door_parse((const uint8_t *)text, (size_t)n + len, &exchange.request),
                     OK);
    peer_handle(&exchange, &service);
}

static void test_touch_is_taken(void **state) {
    /* Two items, empty but for a day: field 1 of field 3. */
    static const uint8_t two[] = {0x0a, 2, 0x18, 9, 0x0a, 2, 0x18, 9};
    uint8_t many[(LIMIT_BATCH_GET + 1) * 2];
    static const struct {
        const char *region;
        bool is_follower;
        size_t len;
        int status;
    } cases[] = {{"eu-west-1", false, sizeof(two), 403}, /* another region has no say here */
                 {"us-east-1", true, sizeof(two), 421},
                 {"us-east-1", false, 0, 400},
                 {"us-east-1", false, sizeof(two) - 1, 400}};

    touch_post("us-east-1", two, sizeof(two));
    assert_int_equal(exchange.status, 200);
    assert_int_equal(fake.proposals[0]->type, COMMAND_SECRETS_TOUCH);
    assert_int_equal(fake.proposed_touches, 2);
    finish(OK, OK, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)leader(state);
        fake.is_follower = cases[i].is_follower;
        touch_post(cases[i].region, two, cases[i].len);
        assert_int_equal(exchange.status, cases[i].status);
        assert_int_equal(fake.proposed, 0);
    }
    for (size_t i = 0; i < sizeof(many); i += 2) {
        many[i] = 0x0a;
        many[i + 1] = 0;
    }
    (void)leader(state);
    touch_post("us-east-1", many, sizeof(many));
    assert_int_equal(exchange.status, 400);
    (void)leader(state);
    fake.propose = ERR_BUSY;
    touch_post("us-east-1", two, sizeof(two));
    assert_int_equal(exchange.status, 503);
}

/* --- batches of other regions --- */

#define FOR_PATH "/v1/replicate/for?region="

static void replicate(void) {
    peer_post("eu-west-1", "/v1/replicate", "batch");
}

static void replicate_for(const char *by, const char *path) {
    exchange.peer_node = OTHER;
    peer_post(by, path, "batch");
}

/* Verdicts are answers. */
static void test_replicate_at_the_leader(void **state) {
    fake.inbound_preludes = 1;
    replicate();
    assert_int_equal(fake.tickets[0]->kind, TICKET_READ);
    assert_int_equal(fake.proposed, 0);
    told_now(OK, 0);
    commit(OK, OK, NULL);
    commit(OK, OK, NULL);
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.body, "verdicts");
    assert_int_equal(fake.asked, 1);
    (void)leader(state);
    replicate();
    told_now(ERR_NO_QUORUM, 0);
    assert_int_equal(exchange.status, 503);
    (void)leader(state);
    fake.ask = ERR_BUSY;
    replicate();
    assert_int_equal(exchange.status, 503);
    assert_int_equal(fake.proposed, 0);
}

static void test_replicate_goes_to_the_leader(void **state) {
    static const struct {
        enum errc code;
        int status;
        const char *body;
        int answered;
    } cases[] = {
        {OK, 200, "verdicts", 200},           {OK, 403, "no", 403}, {OK, 503, "not now", 503},
        {OK, 421, "not the leader", 503}, /* which a shipper would take for a refusal */
        {ERR_REGION_UNREACHABLE, 0, "", 503},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)follower(state);
        replicate();
        assert_int_equal(fake.tickets[0]->kind, TICKET_LEADER);
        told_now(OK, OTHER);
        assert_int_equal(fake.pending_call->node, OTHER);
        assert_string_equal(fake.pending_call->region, "us-east-1");
        assert_string_equal(fake.pending_call->path, FOR_PATH "eu-west-1");
        assert_false(fake.pending_call->is_forward);
        assert_int_equal(fake.pending_call->body.len, 5);
        assert_memory_equal(fake.pending_call->body.data, "batch", 5);
        back_now(cases[i].code, false, cases[i].status, cases[i].body);
        assert_int_equal(exchange.status, cases[i].answered);
        if (cases[i].answered == cases[i].status) {
            assert_string_equal(exchange.body, cases[i].body);
        }
        assert_int_equal(fake.proposed, 0);
        assert_int_equal(fake.called, 1);
        assert_false(is_timed(true));
    }
    (void)follower(state);
    replicate();
    told_now(ERR_UNAVAILABLE, 0);
    assert_int_equal(exchange.status, 503);
    (void)follower(state);
    fake.call = ERR_BUSY;
    replicate();
    told_now(OK, OTHER);
    assert_int_equal(exchange.status, 503);
    (void)follower(state);
    replicate();
    fake.is_follower = false; /* it has become the leader meanwhile */
    told_now(OK, SELF);
    told_now(OK, 0);
    commit(OK, OK, NULL);
    assert_string_equal(exchange.body, "verdicts");
}

static void test_replicate_for_a_region(void **state) {
    replicate_for("us-east-1", FOR_PATH "eu-west-1");
    told_now(OK, 0);
    commit(OK, OK, NULL);
    assert_int_equal(exchange.status, 200);
    assert_string_equal(exchange.body, "verdicts");
    (void)follower(state);
    replicate_for("us-east-1", FOR_PATH "eu-west-1");
    assert_int_equal(exchange.status, 421);
    assert_int_equal(fake.asked, 0);
    (void)leader(state);
    replicate_for("us-east-1", FOR_PATH "eu-west-1");
    told_now(OK, 0);
    commit(ERR_NOT_LEADER, -1, NULL);
    assert_int_equal(exchange.status, 421);
}

/* Who may say for whom a batch is: only a node of this region, and only for a peer of it. */
static void test_replicate_for_is_guarded(void **state) {
    static const struct {
        const char *by;
        const char *path;
        uint64_t node;
    } cases[] = {
        {"eu-west-1", FOR_PATH "eu-west-1", OTHER}, /* not even for itself */
        {"eu-west-1", FOR_PATH "us-east-1", OTHER},
        {"ap-south-1", FOR_PATH "eu-west-1", OTHER},
        {"us-east-1", FOR_PATH "eu-west-1", 0}, /* no node's certificate */
        {"us-east-1", FOR_PATH "us-east-1", OTHER},
        {"us-east-1", FOR_PATH "eu-west-11", OTHER},
        {"us-east-1", FOR_PATH "eu-west-", OTHER},
        {"us-east-1", FOR_PATH, OTHER},
        {"us-east-1", "/v1/replicate/for", OTHER},
        {"us-east-1", "/v1/replicate/for?name=abc&region=eu-west-1", OTHER},
        {"us-east-1", "/v1/replicate", OTHER},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)leader(state);
        exchange.peer_node = cases[i].node;
        peer_post(cases[i].by, cases[i].path, "batch");
        assert_int_equal(exchange.status, 403);
        assert_int_equal(fake.asked, 0);
        assert_int_equal(fake.proposed, 0);
    }
}

static void test_replicate_late(void **state) {
    for (int i = 0; i < 2; i++) {
        (void)leader(state);
        replicate();
        deadline();
        assert_int_equal(exchange.status, 503);
        told_now(OK, 0);
        (void)teardown(state);
        (void)follower(state);
        replicate();
        told_now(OK, OTHER);
        deadline();
        assert_int_equal(exchange.status, 503);
        back_now(OK, false, 200, "verdicts");
        (void)teardown(state);
        (void)follower(state);
        replicate();
        told(OK, OTHER);
        deadline();
        run_posted();
        assert_int_equal(fake.called, 0);
        assert_int_equal(exchange.status, 503);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FOLLOWING(test_touch_is_sent_once),    FOLLOWING(test_touches_are_gathered),
        FOLLOWING(test_touch_needs_no_call),   LEADING(test_touch_is_taken),
        LEADING(test_replicate_at_the_leader), FOLLOWING(test_replicate_goes_to_the_leader),
        LEADING(test_replicate_for_a_region),  LEADING(test_replicate_for_is_guarded),
        LEADING(test_replicate_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
