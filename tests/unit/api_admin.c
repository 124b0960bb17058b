/* The administrator's door and the leader's part of joining, from a request to its answer, over
 * fakes of the HTTP door, the node, the peer client and the store: who may ask for what, where it
 * is done, what is said, and that every errand is answered once and freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/admin_door.h"
#include "api/admin_wire.h"
#include "api/peer_door.h"
#include "base/bytes.h"
#include "base/wipe.h"
#include "crypto/digest.h"
#include "crypto/tls.h"
#include "tests/unit/api_admin_fakes.h"

/* --- driving it --- */

static const char *const peers[] = {"eu-west-1"};
static struct service service;
static struct exchange exchange;
static struct { char folder[64], ca[96], ca_key[96], key[96]; } pki;

static int setup_all(void **state) {
    struct err err;

    (void)snprintf(pki.folder, sizeof(pki.folder), "/tmp/redoubt-admin-XXXXXX");
    if (mkdtemp(pki.folder) == NULL) {
        return 1;
    }
    (void)snprintf(pki.ca, sizeof(pki.ca), "%s/ca.pem", pki.folder);
    (void)snprintf(pki.ca_key, sizeof(pki.ca_key), "%s/ca.key", pki.folder);
    (void)snprintf(pki.key, sizeof(pki.key), "%s/node.key", pki.folder);
    return tls_ca_create(pki.ca, pki.ca_key, &err) != OK;
}

static int teardown_all(void **state) {
    (void)unlink(pki.ca);
    (void)unlink(pki.ca_key);
    (void)unlink(pki.key);
    return rmdir(pki.folder);
}

static int setup(void **state) {
    memset(&fake, 0, sizeof(fake));
    memset(&exchange, 0, sizeof(exchange));
    exchange.peer_region = "";
    service = (struct service){.region = "us-east-1",
                               .world = &world,
                               .peer_names = peers,
                               .n_peers = 1,
                               .peer_ca = pki.ca,
                               .peer_ca_key = pki.ca_key};
    fake.status = (struct node_status){.role = "leader",
                                       .id = SELF,
                                       .leader = SELF,
                                       .term = 7,
                                       .age_ms = UINT64_MAX,
                                       .level = 3,
                                       .is_voter = true,
                                       .disk_free = UINT64_MAX,
                                       .n_members = 2};
    fake.status.members[0] = (struct node_member){.id = SELF,
                                                  .address = "a:1,a:2",
                                                  .is_voter = true,
                                                  .is_self = true,
                                                  .is_leader = true,
                                                  .is_live = true,
                                                  .match = 99};
    fake.status.members[1] = (struct node_member){.id = OTHER,
                                                  .address = "b:1,b:2",
                                                  .is_voter = true,
                                                  .is_disk_full = true,
                                                  .heard_ago_ms = UINT64_MAX};
    return 0;
}

static int teardown(void **state) {
    assert_int_equal(exchange.replies, 1);
    assert_null(fake.posted);
    assert_null(fake.ticket);
    assert_null(fake.change);
    assert_null(fake.proposal);
    assert_null(fake.call);
    assert_int_equal(fake.views, 0);
    assert_false(fake.timer_runs);
    assert_false(fake.again_runs);
    return 0;
}

static void load(const char *method, const char *path, const char *body) {
    char text[32 * 1024];

    (void)snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s",
                   method, path, strlen(body), body);
    assert_int_equal(peer_door_parse((const uint8_t *)text, strlen(text), &exchange.request), OK);
}

/* At the administrator's door. */
static void ask(const char *method, const char *path, const char *body) {
    load(method, path, body);
    admin_handle(&exchange, &service);
}

/* At the peer door, as a node of a region; "" and 0: without a certificate. */
static void knock(const char *region, uint64_t node, const char *method, const char *path,
                  const char *body) {
    load(method, path, body);
    exchange.peer_region = region;
    exchange.peer_node = node;
    peer_handle(&exchange, &service);
}

static void run_posted(void) {
    struct worker_task *task = fake.posted;

    assert_non_null(task);
    fake.posted = NULL;
    task->run(task);
}

static void leader_is(enum errc code, uint64_t leader) {
    struct ticket *ticket = fake.ticket;

    assert_non_null(ticket);
    fake.ticket = NULL;
    ticket->code = code;
    ticket->leader = leader;
    ticket->is_self = leader == SELF;
    ticket->done_cb(ticket);
    run_posted();
}

/* The moment after which the next leader is asked. */
static void some_time_passes(void) {
    assert_true(fake.again_runs);
    fake.again_runs = false;
    fake.again.run(fake.again.arg);
}

static void changed(enum errc code, const char *reason) {
    struct node_change *change = fake.change;

    assert_non_null(change);
    fake.change = NULL;
    change->code = code;
    (void)snprintf(change->reason, sizeof(change->reason), "%s", reason);
    change->done_cb(change);
    run_posted();
}

static void committed(enum errc code, int result, const char *message) {
    struct proposal *proposal = fake.proposal;

    assert_non_null(proposal);
    fake.proposal = NULL;
    proposal->code = code;
    if (code == OK) {
        proposal->result = malloc(sizeof(*proposal->result));
        assert_non_null(proposal->result);
        redoubt__result__init(proposal->result);
        proposal->result->code = (uint32_t)result;
        proposal->result->message = (char *)(uintptr_t)message;
    }
    proposal->done_cb(proposal);
    run_posted();
}

static void answered(enum errc code, int status, const char *body) {
    struct peer_call *call = fake.call;

    assert_non_null(call);
    fake.call = NULL;
    call->code = code;
    call->status = status;
    buf_init(&call->response, 4096);
    buf_append_str(&call->response, body);
    call->done_cb(call);
    run_posted();
}

static void expect(int status, const char *part) {
    assert_int_equal(exchange.replies, 1);
    if (exchange.status != status || strstr(exchange.body, part) == NULL) {
        fail_msg("expected %d with %s, got %d: %s", status, part, exchange.status, exchange.body);
    }
}

static bool call_has(const char *text) {
    return memmem(fake.call->body.data, fake.call->body.len, text, strlen(text)) != NULL;
}

/* --- at the administrator's door --- */

static void test_status(void **state) {
    struct admin_picture picture;

    ask("GET", "/v1/status", "");
    expect(200, "\"role\":\"leader\"");
    assert_int_equal(
        admin_picture_read((const uint8_t *)exchange.body, strlen(exchange.body), &picture), OK);
    assert_string_equal(picture.region, "us-east-1");
    assert_string_equal(picture.status.role, "leader");
    assert_int_equal(picture.status.id, SELF);
    assert_int_equal(picture.status.leader, SELF);
    assert_int_equal(picture.status.term, 7);
    assert_int_equal(picture.status.level, 3);
    assert_true(picture.status.age_ms == UINT64_MAX && picture.status.disk_free == UINT64_MAX);
    assert_int_equal(picture.status.n_members, 2);
    assert_true(picture.status.members[0].is_leader && picture.status.members[0].is_live);
    assert_int_equal(picture.status.members[0].match, 99);
    assert_true(picture.status.members[1].heard_ago_ms == UINT64_MAX);
    assert_true(picture.status.members[1].is_disk_full && !picture.status.members[0].is_disk_full);
    assert_string_equal(picture.status.members[1].address, "b:1,b:2");
}

static void test_members_are_the_leaders_view(void **state) {
    fake.status.leader = OTHER;
    ask("GET", "/v1/members", "");
    assert_non_null(fake.call);
    assert_int_equal(fake.call->node, OTHER);
    assert_string_equal(fake.call->region, "us-east-1");
    assert_string_equal(fake.call->path, "/v1/admin");
    answered(OK, 200, "{\"from\":\"the leader\"}");
    expect(200, "the leader");
}

static void test_members_without_the_leader(void **state) {
    fake.status.leader = OTHER;
    ask("GET", "/v1/members", "");
    answered(ERR_REGION_UNREACHABLE, 0, "");
    expect(200, "0000000000000022");
}

static void test_a_change_at_the_leader(void **state) {
    ask("POST", "/v1/members/promote", "{\"id\":\"0000000000000033\"}");
    leader_is(OK, SELF);
    assert_int_equal(fake.change->kind, NODE_PROMOTE);
    assert_int_equal(fake.change->id, NEW);
    changed(OK, "");
    expect(200, "{\"done\":true}");
}

static void test_a_refused_change_says_why(void **state) {
    ask("POST", "/v1/members/remove", "{\"id\":\"0000000000000022\"}");
    leader_is(OK, SELF);
    assert_int_equal(fake.change->kind, NODE_REMOVE);
    changed(ERR_NO_QUORUM, "one of two voters is not heard");
    expect(409, "{\"error\":\"no_quorum\",\"reason\":\"one of two voters is not heard\"}");
}

static void test_transfer_to_any_and_raise(void **state) {
    ask("POST", "/v1/members/transfer", "");
    leader_is(OK, SELF);
    assert_int_equal(fake.change->kind, NODE_TRANSFER);
    assert_int_equal(fake.change->id, 0);
    changed(ERR_BUSY, "");
    expect(503, "\"error\":\"busy\"");
    assert_int_equal(setup(NULL), 0);
    ask("POST", "/v1/level/raise", "{}");
    leader_is(OK, SELF);
    assert_int_equal(fake.change->kind, NODE_RAISE_LEVEL);
    changed(OK, "");
    expect(200, "done");
}

static void test_a_change_goes_to_the_leader(void **state) {
    ask("POST", "/v1/members/promote", "{\"id\":\"0000000000000033\"}");
    leader_is(OK, OTHER);
    assert_int_equal(fake.call->node, OTHER);
    assert_memory_equal(fake.call->body.data, "POST /v1/members/promote HTTP/1.1\r\n", 35);
    assert_true(call_has("\r\n\r\n{\"id\":\"0000000000000033\"}"));
    answered(OK, 409, "{\"error\":\"busy\",\"reason\":\"another change runs\"}");
    expect(409, "another change runs");
}

static void test_what_comes_back_without_an_answer(void **state) {
    static const struct {
        enum errc code;
        bool is_unsent;
        int status;
        int expected;
    } cases[] = {
        {OK, false, 403, 503}, /* its door does not know us: no JSON */
        {ERR_REGION_UNREACHABLE, true, 0, 503},
        {ERR_REGION_UNREACHABLE, false, 0, 504},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(setup(NULL), 0);
        ask("POST", "/v1/members/transfer", "{}");
        leader_is(OK, OTHER);
        fake.call->is_unsent = cases[i].is_unsent;
        answered(cases[i].code, cases[i].status, "no");
        expect(cases[i].expected, "reason");
    }
}

/* A leader that is to be removed hands over, and says that it does not lead: the next one is asked.
 */
static void test_the_next_leader_is_asked(void **state) {
    ask("POST", "/v1/members/remove", "{\"id\":\"0000000000000022\"}");
    leader_is(OK, OTHER);
    answered(OK, 421, "{\"error\":\"not_leader\"}");
    assert_int_equal(exchange.replies, 0);
    some_time_passes();
    leader_is(OK, SELF);
    changed(ERR_NOT_LEADER, "");
    assert_int_equal(exchange.replies, 0);
    some_time_passes();
    leader_is(OK, OTHER);
    answered(OK, 200, "{\"done\":true}");
    expect(200, "done");
}

static void test_not_for_ever(void **state) {
    unsigned tries = 1;

    ask("POST", "/v1/members/transfer", "{}");
    leader_is(OK, OTHER);
    answered(OK, 421, "{\"error\":\"not_leader\"}");
    while (exchange.replies == 0) {
        some_time_passes();
        leader_is(OK, OTHER);
        answered(OK, 421, "{\"error\":\"not_leader\"}");
        tries++;
    }
    expect(503, "\"error\":\"unavailable\"");
    assert_in_range(tries, 2, 20);
    assert_int_equal(setup(NULL), 0);
    ask("POST", "/v1/members/transfer", "{}");
    leader_is(OK, OTHER);
    answered(OK, 421, "{\"error\":\"not_leader\"}");
    fake.timer_runs = false; /* the deadline comes first */
    fake.timer.run(fake.timer.arg);
    expect(504, "outcome_unknown");
}

static void test_without_a_leader(void **state) {
    ask("POST", "/v1/members/transfer", "{}");
    leader_is(ERR_UNAVAILABLE, 0);
    expect(503, "no leader");
    assert_int_equal(setup(NULL), 0);
    ask("POST", "/v1/members/transfer", "{}");
    leader_is(ERR_NO_QUORUM, 0);
    expect(409, "no_quorum");
    assert_int_equal(setup(NULL), 0);
    fake.refuse = ERR_BUSY;
    ask("POST", "/v1/members/transfer", "{}");
    expect(503, "busy");
}

static void test_the_deadline_answers(void **state) {
    struct node_change *change;

    ask("POST", "/v1/members/promote", "{\"id\":\"0000000000000033\"}");
    leader_is(OK, SELF);
    change = fake.change;
    fake.change = NULL;
    fake.timer_runs = false;
    fake.timer.run(fake.timer.arg);
    expect(504, "outcome_unknown");
    change->done_cb(change);
    run_posted(); /* and what comes later finds nobody, and frees */
}

static void test_bad_requests(void **state) {
    static const char *const bodies[] = {"[]",
                                         "{",
                                         "{\"id\":1}",
                                         "{\"id\":\"33\"}",
                                         "{\"id\":\"0000000000000000\"}",
                                         "{\"id\":\"000000000000003g\"}",
                                         "{}",
                                         "{\"id\":\"0000000000000033\",\"lifetime\":-1}"};

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        assert_int_equal(setup(NULL), 0);
        ask("POST", "/v1/members/promote", bodies[i]);
        expect(400, "malformed");
    }
    assert_int_equal(setup(NULL), 0);
    ask("GET", "/v1/members/promote", "");
    expect(404, "not_found");
    assert_int_equal(setup(NULL), 0);
    ask("POST", "/v1/join", "{}"); /* not here */
    expect(404, "not_found");
}

static void test_a_token_is_shown_once_and_stored_as_digest(void **state) {
    char token[ADMIN_TOKEN_TEXT + 1];
    uint8_t digest[DIGEST_SIZE];
    char fingerprint[65];
    struct buf text;
    struct err err;

    memset(token, 'a', sizeof(token));
    for (size_t i = 1; i < ADMIN_TOKEN_TEXT; i += 2) {
        token[i] = 'b';
    }
    token[ADMIN_TOKEN_TEXT] = '\0';
    ask("POST", "/v1/tokens", "{\"lifetime\":90}");
    leader_is(OK, SELF);
    assert_int_equal(fake.type, COMMAND_JOIN_TOKEN_SET);
    assert_int_equal(fake.lifetime_ms, 90 * 1000);
    digest_sha256(token, ADMIN_TOKEN_TEXT, digest);
    assert_memory_equal(fake.digest, digest, DIGEST_SIZE);
    committed(OK, OK, NULL);
    assert_int_equal(tls_fingerprint(pki.ca, fingerprint, &err), OK);
    expect(200, fingerprint);
    buf_init(&text, 256);
    assert_int_equal(
        admin_text_read((const uint8_t *)exchange.body, strlen(exchange.body), "token", &text), OK);
    assert_int_equal(text.len, ADMIN_TOKEN_TEXT);
    assert_memory_equal(text.data, token, ADMIN_TOKEN_TEXT);
    buf_fini(&text);
}

static void test_no_token(void **state) {
    ask("POST", "/v1/tokens", "");
    leader_is(OK, SELF);
    assert_int_equal(fake.lifetime_ms, 60 * 60 * 1000);
    committed(OK, ERR_LIMIT_EXCEEDED, "too many of them");
    expect(409, "too many of them");
    assert_int_equal(setup(NULL), 0);
    fake.status.level = 2;
    ask("POST", "/v1/tokens", "");
    leader_is(OK, SELF);
    expect(409, "raise-level");
    assert_int_equal(setup(NULL), 0);
    ask("POST", "/v1/tokens", "{\"lifetime\":10000000}");
    expect(400, "lifetime");
    assert_int_equal(setup(NULL), 0);
    ask("POST", "/v1/tokens", "");
    leader_is(OK, SELF);
    committed(ERR_OUTCOME_UNKNOWN, 0, NULL);
    expect(504, "outcome_unknown");
}

/* --- at the peer door --- */

static void test_who_may_use_what(void **state) {
    static const struct {
        const char *region;
        uint64_t node;
        const char *method, *path;
        int status;
    } cases[] = {
        {"", 0, "POST", "/v1/admin", 403},
        {"", 0, "POST", "/v1/rejoin", 403},
        {"", 0, "POST", "/v1/forward", 403},
        {"", 0, "POST", "/v1/replicate", 403},
        {"", 0, "GET", "/v1/join", 403},
        {"", 0, "POST", "/v1/nothing", 403},
        {"", 0, "GET", "/health", 403},
        {"us-east-1", 0, "POST", "/v1/admin", 403}, /* the region's certificate, of no node */
        {"us-east-1", 0, "POST", "/v1/rejoin", 403},
        {"us-east-1", OTHER, "POST", "/v1/replicate", 403},
        {"us-east-1", OTHER, "POST", "/v1/nothing", 404},
        {"eu-west-1", OTHER, "POST", "/v1/admin", 403},
        {"eu-west-1", OTHER, "POST", "/v1/rejoin", 403},
        {"ap-south-1", OTHER, "POST", "/v1/admin", 403},
        {"ap-south-1", OTHER, "POST", "/v1/forward", 403},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(setup(NULL), 0);
        knock(cases[i].region, cases[i].node, cases[i].method, cases[i].path, "{}");
        expect(cases[i].status, "");
        assert_null(fake.ticket);
    }
}

static void test_anybody_sees_the_authority(void **state) {
    knock("", 0, "GET", "/v1/ca", "");
    expect(200, "-----BEGIN CERTIFICATE-----");
    assert_null(strstr(exchange.body, "PRIVATE"));
    assert_int_equal(setup(NULL), 0);
    service.peer_ca = "/nowhere/ca.pem";
    knock("eu-west-1", 0, "GET", "/v1/ca", "");
    expect(503, "");
}

static void test_forwarded_is_done_or_sent_back(void **state) {
    static const char inner[] = "POST /v1/members/remove HTTP/1.1\r\nHost: leader\r\n"
                                "Content-Length: 25\r\n\r\n{\"id\":\"0000000000000022\"}";

    knock("us-east-1", OTHER, "POST", "/v1/admin", inner);
    assert_int_equal(fake.ticket->deadline_ms, 1000); /* no waiting: the asker waits */
    leader_is(OK, SELF);
    assert_int_equal(fake.change->id, OTHER);
    changed(OK, "");
    expect(200, "done");
    assert_int_equal(setup(NULL), 0);
    knock("us-east-1", OTHER, "POST", "/v1/admin", inner);
    leader_is(OK, OTHER);
    expect(421, "not_leader");
    assert_int_equal(setup(NULL), 0);
    knock("us-east-1", OTHER, "POST", "/v1/admin", inner);
    leader_is(OK, SELF);
    changed(ERR_NOT_LEADER, "");
    expect(421, "not_leader");
    assert_int_equal(setup(NULL), 0);
    knock("us-east-1", OTHER, "POST", "/v1/admin", "{}");
    expect(400, "malformed");
}

/* --- joining --- */

#define TOKEN "abababababababababababababababababababababababababababababababab"

static char *join_body(bool with_request) {
    struct admin_ask ask = {.id = NEW, .address = DOORS, .token = TOKEN};
    struct buf request, body;
    struct err err;
    char *text;

    buf_init(&request, 8192);
    buf_init(&body, 16384);
    if (with_request) {
        (void)unlink(pki.key);
        assert_int_equal(tls_request_create(pki.key, &request, &err), OK);
        buf_append_u8(&request, '\0');
        ask.request = (char *)request.data;
    }
    admin_ask_write(&body, &ask);
    assert_false(body.failed);
    text = strndup((const char *)body.data, body.len);
    assert_non_null(text);
    buf_fini(&request);
    buf_fini(&body);
    return text;
}

static void join(bool with_request) {
    char *body = join_body(with_request);

    knock("", 0, "POST", "/v1/join", body);
    free(body);
}

static void add_new(bool is_voter, const char *address) {
    struct node_member *member = &fake.status.members[fake.status.n_members++];

    *member = (struct node_member){.id = NEW, .is_voter = is_voter};
    (void)snprintf(member->address, sizeof(member->address), "%s", address);
}

static void expect_group_and_certificate(void) {
    struct admin_picture picture;
    struct buf text;

    expect(200, "\"certificate\":\"-----BEGIN CERTIFICATE-----");
    assert_int_equal(
        admin_picture_read((const uint8_t *)exchange.body, strlen(exchange.body), &picture), OK);
    assert_string_equal(picture.region, "us-east-1");
    assert_true(picture.status.n_members >= 2);
    buf_init(&text, 8192);
    assert_int_equal(admin_text_read((const uint8_t *)exchange.body, strlen(exchange.body),
                                     "certificate", &text),
                     OK);
    assert_non_null(memmem(text.data, text.len, "-----END CERTIFICATE-----\n", 26));
    buf_fini(&text);
}

static void test_a_node_joins(void **state) {
    uint8_t digest[DIGEST_SIZE];

    join(true);
    leader_is(OK, SELF);
    assert_int_equal(fake.type, COMMAND_JOIN_TOKEN_USE);
    assert_int_equal(fake.user, NEW);
    digest_sha256(TOKEN, ADMIN_TOKEN_TEXT, digest);
    assert_memory_equal(fake.digest, digest, DIGEST_SIZE);
    committed(OK, OK, NULL);
    assert_int_equal(fake.change->kind, NODE_ADD);
    assert_int_equal(fake.change->id, NEW);
    assert_string_equal(fake.change->address, DOORS);
    changed(OK, "");
    expect_group_and_certificate();
}

static void test_a_node_joins_with_its_own_certificate(void **state) {
    service.peer_ca_key = NULL; /* not needed then */
    join(false);
    leader_is(OK, SELF);
    committed(OK, OK, NULL);
    changed(OK, "");
    expect(200, "\"members\":[");
    assert_null(strstr(exchange.body, "certificate"));
}

static void test_a_leader_that_cannot_sign(void **state) {
    service.peer_ca_key = NULL;
    join(true);
    leader_is(OK, SELF);
    expect(409, "region cert --node 0000000000000033 --region us-east-1");
    assert_null(fake.proposal); /* the token is still good */
}

static void test_a_bad_token_gets_nothing(void **state) {
    join(true);
    leader_is(OK, SELF);
    committed(OK, ERR_ACCESS_DENIED, "The join token has expired.");
    expect(403, "has expired");
    assert_null(strstr(exchange.body, "CERTIFICATE"));
    assert_null(fake.change);
}

/* The request for a certificate in the name of a member would make its holder that member. */
static void test_a_token_is_not_for_anothers_name(void **state) {
    static const struct {
        bool is_voter;
        const char *address;
        uint64_t used_by;
    } cases[] = {
        {true, DOORS, NEW}, {false, "c:1,c:2", NEW}, {false, DOORS, 0}, {false, DOORS, OTHER}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(setup(NULL), 0);
        add_new(cases[i].is_voter, cases[i].address);
        fake.used_by = cases[i].used_by;
        digest_sha256(TOKEN, ADMIN_TOKEN_TEXT, fake.digest);
        join(true);
        leader_is(OK, SELF);
        expect(409, "is a member already");
        assert_null(strstr(exchange.body, "CERTIFICATE"));
        assert_null(fake.proposal);
    }
}

static void test_joining_again_with_the_same_token(void **state) {
    add_new(false, DOORS);
    fake.used_by = NEW;
    digest_sha256(TOKEN, ADMIN_TOKEN_TEXT, fake.digest);
    join(true);
    leader_is(OK, SELF);
    committed(OK, OK, NULL);
    expect_group_and_certificate();
}

static void test_joining_at_a_follower(void **state) {
    join(true);
    leader_is(OK, OTHER);
    assert_memory_equal(fake.call->body.data, "POST /v1/join HTTP/1.1\r\n", 24);
    assert_true(call_has("\"token\":\"" TOKEN "\""));
    assert_true(call_has("CERTIFICATE REQUEST"));
    answered(OK, 200, "{\"region\":\"us-east-1\"}");
    expect(200, "us-east-1");
}

static void test_what_does_not_join(void **state) {
    static const char *const bodies[] = {"", "{}",
                                         "{\"id\":\"0000000000000033\",\"token\":\"" TOKEN "x\"}"};
    char *body;

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        assert_int_equal(setup(NULL), 0);
        knock("", 0, "POST", "/v1/join", bodies[i]);
        expect(400, "malformed");
    }
    assert_int_equal(setup(NULL), 0);
    knock("", 0, "POST", "/v1/join", "{\"id\":\"0000000000000033\",\"address\":\"self\"}");
    leader_is(OK, SELF);
    expect(400, "HOST:PORT");
    assert_int_equal(setup(NULL), 0);
    fake.status.level = 2;
    join(false);
    leader_is(OK, SELF);
    expect(409, "raise-level");
    assert_int_equal(setup(NULL), 0);
    join(false);
    leader_is(OK, SELF);
    committed(OK, OK, NULL);
    changed(ERR_BUSY, "another change runs");
    expect(503, "another change runs");
    assert_int_equal(setup(NULL), 0);
    knock("", 0, "POST", "/v1/join",
          "{\"id\":\"0000000000000033\",\"address\":\"" DOORS "\",\"token\":\"" TOKEN
          "\",\"request\":\"-----BEGIN NONSENSE-----\"}");
    leader_is(OK, SELF);
    committed(OK, OK, NULL);
    expect(400, "cannot be made");
    assert_int_equal(setup(NULL), 0);
    body = malloc(LIMIT_ADMIN_BODY + 2);
    assert_non_null(body);
    memset(body, ' ', LIMIT_ADMIN_BODY + 1);
    body[LIMIT_ADMIN_BODY + 1] = '\0';
    knock("", 0, "POST", "/v1/join", body);
    expect(400, "too long");
    free(body);
}

/* --- coming back without data --- */

static void test_a_member_comes_back(void **state) {
    add_new(true, "c:1,c:2");
    /* It speaks for itself alone, whatever it says. */
    knock("us-east-1", NEW, "POST", "/v1/rejoin",
          "{\"id\":\"0000000000000011\",\"address\":\"" DOORS "\"}");
    leader_is(OK, SELF);
    assert_int_equal(fake.change->kind, NODE_REMOVE);
    assert_int_equal(fake.change->id, NEW);
    changed(OK, "");
    assert_int_equal(fake.change->kind, NODE_ADD);
    assert_string_equal(fake.change->address, DOORS);
    changed(OK, "");
    expect(200, "\"region\":\"us-east-1\"");
}

static void test_a_member_comes_back_with_a_token(void **state) {
    add_new(true, "c:1,c:2");
    knock("us-east-1", NEW, "POST", "/v1/rejoin",
          "{\"address\":\"" DOORS "\",\"token\":\"" TOKEN "\"}");
    leader_is(OK, SELF);
    assert_int_equal(fake.type, COMMAND_JOIN_TOKEN_SET);
    committed(OK, OK, NULL);
    assert_int_equal(fake.user, NEW); /* the next command: of no use to another */
    committed(OK, OK, NULL);
    assert_int_equal(fake.change->kind, NODE_REMOVE); /* and on as without */
    changed(ERR_NO_QUORUM, "too few would be left");
}

static void test_who_is_no_member_does_not_come_back(void **state) {
    knock("us-east-1", NEW, "POST", "/v1/rejoin", "{\"address\":\"" DOORS "\"}");
    leader_is(OK, SELF);
    expect(403, "no member");
    assert_int_equal(setup(NULL), 0);
    add_new(true, DOORS);
    knock("us-east-1", NEW, "POST", "/v1/rejoin", "{\"address\":\"" DOORS "\"}");
    leader_is(OK, SELF);
    changed(ERR_NO_QUORUM, "too few would be left");
    expect(409, "too few would be left");
    assert_int_equal(setup(NULL), 0);
    add_new(true, DOORS);
    knock("us-east-1", NEW, "POST", "/v1/rejoin", "{}");
    leader_is(OK, SELF);
    expect(400, "address");
}

static void test_coming_back_at_a_follower(void **state) {
    knock("us-east-1", NEW, "POST", "/v1/rejoin", "{\"address\":\"" DOORS "\"}");
    leader_is(OK, OTHER);
    assert_true(call_has("{\"id\":\"0000000000000033\",\"address\":\"" DOORS "\"}"));
    answered(OK, 200, "{\"region\":\"us-east-1\"}");
    expect(200, "us-east-1");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_status),
        T(test_members_are_the_leaders_view),
        T(test_members_without_the_leader),
        T(test_a_change_at_the_leader),
        T(test_a_refused_change_says_why),
        T(test_transfer_to_any_and_raise),
        T(test_a_change_goes_to_the_leader),
        T(test_what_comes_back_without_an_answer),
        T(test_the_next_leader_is_asked),
        T(test_not_for_ever),
        T(test_without_a_leader),
        T(test_the_deadline_answers),
        T(test_bad_requests),
        T(test_a_token_is_shown_once_and_stored_as_digest),
        T(test_no_token),
        T(test_who_may_use_what),
        T(test_anybody_sees_the_authority),
        T(test_forwarded_is_done_or_sent_back),
        T(test_a_node_joins),
        T(test_a_node_joins_with_its_own_certificate),
        T(test_a_leader_that_cannot_sign),
        T(test_a_bad_token_gets_nothing),
        T(test_a_token_is_not_for_anothers_name),
        T(test_joining_again_with_the_same_token),
        T(test_joining_at_a_follower),
        T(test_what_does_not_join),
        T(test_a_member_comes_back),
        T(test_a_member_comes_back_with_a_token),
        T(test_who_is_no_member_does_not_come_back),
        T(test_coming_back_at_a_follower),
    };

    tls_global_init();
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
