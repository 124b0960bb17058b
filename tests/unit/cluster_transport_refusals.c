/* The transport between nodes and those who do not behave: who is not let in, what ends a stream,
 * and that closing is clean at every moment. */
#include "tests/unit/cluster_transport_rig.h"

/* ---- Identities ---- */

static void assert_refused(enum identity identity, const char *region, uint64_t self,
                           enum errc expected, const char *words) {
    struct rig_node node = {.id = self};
    struct transport_options options = rig_options(&node, identity);
    struct transport *transport = NULL;
    struct err err;

    options.region = region;
    options.listen = NULL;
    assert_int_equal(transport_new(&options, &transport, &err), expected);
    assert_int_equal(err.code, expected);
    assert_non_null(strstr(err.message, words));
    assert_null(transport);
}

static void test_a_node_is_what_its_certificate_says(void **state) {
    struct rig_node node = {.id = 0}, other = {.id = 2};
    struct transport_options options;
    struct transport *transport = NULL;
    struct err err;

    rig_open();
    assert_refused(NODE_1, REGION, 2, ERR_INVALID_PARAMETER, "another node");
    assert_refused(NODE_1, "eu-west-1", 1, ERR_INVALID_PARAMETER, "region us-east-1");
    assert_refused(NO_NODE, REGION, 2, ERR_INVALID_PARAMETER, "no node");
    rig_start(&node, 1);
    options = rig_options(&other, NODE_2);
    options.listen = node.door;
    assert_int_equal(transport_new(&options, &transport, &err), ERR_IO);
    assert_non_null(strstr(err.message, "another process listens there"));
    options.listen = "nowhere";
    assert_int_equal(transport_new(&options, &transport, &err), ERR_IO);
    options.listen = "nowhere.invalid:7600";
    assert_int_equal(transport_new(&options, &transport, &err), ERR_IO);
    options.listen = NULL;
    options.tls.key_path = rig_key[NODE_3];
    assert_int_equal(transport_new(&options, &transport, &err), ERR_CRYPTO);
    rig_stop(&node);
    rig_close(); /* nothing is left on the loop */
}

static void test_strangers_are_not_let_in(void **state) {
    static const enum identity strangers[] = {STRANGER, ELSEWHERE, NO_NODE, NODE_1 /* itself */};
    struct rig_node node = {.id = 0};
    struct frame_hello hello = raw_hello(2, 1);

    rig_open();
    rig_start(&node, 1);
    for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
        struct raw raw = raw_connect(&node, strangers[i]);
        uint8_t frame[FRAME_HEADER + FRAME_HELLO_MAX];
        struct err err;
        RIG_UNTIL(raw.has_ended || raw_is_open(&raw) || raw_has_ended(&raw));
        /* A client of TLS 1.3 is through before it is judged. */
        if (!raw.has_ended) {
            size_t len = frame_hello_encode(&hello, frame);
            assert_int_equal(tls_stream_write(raw.tls, frame, len, &err), OK);
            raw_flush(&raw);
        }
        RIG_UNTIL(raw_has_ended(&raw));
        assert_int_equal(raw.got.len, 0);
        raw_close(&raw);
    }
    assert_int_equal(node.n_hellos, 0);
    assert_int_equal(node.n_messages, 0);
    rig_stop(&node);
    rig_close();
}

/* Whoever answers at a member's address must be that member. */
static void dial_and_fail(enum identity answers, const char *words) {
    struct rig_node node = {.id = 0};
    unsigned port = rig_port();
    int listener = raw_listen(port);
    char address[64];
    struct raw raw;

    rig_open();
    rig_start(&node, 1);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u,127.0.0.1:1", port);
    transport_set_members(node.transport, (const struct core_server[]){{2, address}}, 1);
    raw = raw_accept(listener, answers);
    RIG_UNTIL(raw_has_ended(&raw));
    RIG_UNTIL(rig_peer(&node, 2).error[0] != '\0');
    if (strstr(rig_peer(&node, 2).error, words) == NULL) {
        fail_msg("%s", rig_peer(&node, 2).error);
    }
    assert_int_equal(node.n_hellos, 0);
    assert_false(rig_say(&node, 2, "nobody there"));
    raw_close(&raw);
    (void)close(listener);
    rig_stop(&node);
    rig_close();
}

static void test_the_dialled_side_is_checked(void **state) {
    dial_and_fail(NODE_3, "mismatch");
    dial_and_fail(NO_NODE, "mismatch");
    dial_and_fail(ELSEWHERE, "mismatch");
    dial_and_fail(STRANGER, "certificate");
}

/* ---- Hellos ---- */

struct fault {
    const char *what;
    void (*spoil)(struct frame_hello *hello);
};

static void other_node(struct frame_hello *hello) {
    hello->node = 3;
}
static void other_target(struct frame_hello *hello) {
    hello->target = 3;
}
static void other_region(struct frame_hello *hello) {
    (void)snprintf(hello->region, sizeof(hello->region), "us-west-2");
}
static void newer_version(struct frame_hello *hello) {
    hello->version_min = FRAME_VERSION + 1;
    hello->version_max = FRAME_VERSION + 2;
}

static const struct fault hello_faults[] = {
    {"another node", other_node},
    {"another target", other_target},
    {"another region", other_region},
    {"only newer versions", newer_version},
};

static void test_a_hello_must_fit(void **state) {
    struct rig_node node = {.id = 0};
    struct frame_hello answer;

    rig_open();
    rig_start(&node, 1);
    for (size_t i = 0; i < ARRAY_LEN(hello_faults); i++) {
        struct raw raw = raw_connect(&node, NODE_2);
        struct frame_hello hello = raw_hello(2, 1);
        hello_faults[i].spoil(&hello);
        RIG_UNTIL(raw_is_open(&raw));
        raw_say_hello(&raw, &hello);
        RIG_UNTIL(raw_has_ended(&raw));
        assert_int_equal(raw.got.len, 0);
        if (node.n_hellos != 0) {
            fail_msg("let in: %s", hello_faults[i].what);
        }
        raw_close(&raw);
    }
    /* One that speaks newer versions, too, is welcome. */
    struct raw raw = raw_connect(&node, NODE_2);
    struct frame_hello hello = raw_hello(2, 1);
    hello.version_max = FRAME_VERSION + 7;
    RIG_UNTIL(raw_is_open(&raw));
    raw_say_hello(&raw, &hello);
    RIG_UNTIL(raw_has_hello(&raw, &answer));
    assert_int_equal(answer.node, 1);
    assert_int_equal(answer.target, 2);
    assert_string_equal(answer.region, REGION);
    assert_string_equal(answer.address, node.address);
    assert_int_equal(node.n_hellos, 1);
    assert_int_equal(node.hello.level_max, 7);
    raw_say(&raw, "welcome");
    RIG_UNTIL(node.n_messages == 1);
    raw_close(&raw);
    rig_stop(&node);
    rig_close();
}

static void test_the_dialled_sides_hello_must_fit(void **state) {
    struct rig_node node = {.id = 0};
    unsigned port = rig_port();
    int listener = raw_listen(port);
    char address[64];

    rig_open();
    rig_start(&node, 1);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u,127.0.0.1:1", port);
    transport_set_members(node.transport, (const struct core_server[]){{2, address}}, 1);
    /* And at the end with a message, which only the side that dials may send. */
    for (size_t i = 0; i <= ARRAY_LEN(hello_faults); i++) {
        struct raw raw = raw_accept(listener, NODE_2);
        struct frame_hello hello;
        RIG_UNTIL(raw_has_hello(&raw, &hello));
        assert_int_equal(hello.node, 1);
        assert_int_equal(hello.target, 2);
        hello = raw_hello(2, 1);
        if (i < ARRAY_LEN(hello_faults)) {
            hello_faults[i].spoil(&hello);
        }
        raw_say_hello(&raw, &hello);
        if (i == ARRAY_LEN(hello_faults)) {
            RIG_UNTIL(rig_is_connected(&node, 2));
            raw_say(&raw, "I must not");
        }
        RIG_UNTIL(raw_has_ended(&raw));
        RIG_UNTIL(!rig_is_connected(&node, 2));
        assert_int_equal(node.n_hellos, i == ARRAY_LEN(hello_faults));
        raw_close(&raw);
    }
    assert_int_equal(node.n_messages, 0);
    (void)close(listener);
    rig_stop(&node);
    rig_close();
}

/* ---- Frames ---- */

static void put_frame(uint8_t out[FRAME_HEADER + 1], uint32_t len, uint8_t kind, uint8_t zero) {
    put_le32(out, len);
    out[4] = kind;
    out[5] = zero;
    out[6] = out[7] = 0;
    out[FRAME_HEADER] = 'x';
}

static void test_frames_that_are_none(void **state) {
    static const struct {
        bool after_hello;
        uint32_t len;
        uint8_t kind, zero;
    } frames[] = {
        {false, 1, FRAME_MESSAGE, 0}, /* before the hello */
        {false, FRAME_HELLO_MAX + 1, FRAME_HELLO, 0},
        {false, 1, FRAME_HELLO, 0}, /* too short to be one */
        {true, 1, FRAME_HELLO, 0},  /* a second one */
        {true, 0, FRAME_MESSAGE, 0},
        {true, CORE_MESSAGE_MAX + 1, FRAME_MESSAGE, 0},
        {true, 0xffffffff, FRAME_MESSAGE, 0},
        {true, 1, 3, 0},
        {true, 1, 0, 0},
        {true, 1, FRAME_MESSAGE, 1},
    };
    struct rig_node node = {.id = 0};
    uint8_t bytes[FRAME_HEADER + 1];
    size_t n_hellos = 0;

    rig_open();
    rig_start(&node, 1);
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        struct raw raw = raw_connect(&node, NODE_2);
        struct frame_hello hello = raw_hello(2, 1);
        RIG_UNTIL(raw_is_open(&raw));
        if (frames[i].after_hello) {
            raw_say_hello(&raw, &hello);
            n_hellos++;
        }
        put_frame(bytes, frames[i].len, frames[i].kind, frames[i].zero);
        raw_write(&raw, bytes, sizeof(bytes));
        RIG_UNTIL(raw_has_ended(&raw));
        assert_int_equal(node.n_hellos, n_hellos);
        raw_close(&raw);
    }
    assert_int_equal(node.n_messages, 0);
    rig_stop(&node);
    rig_close();
}

static void test_bytes_one_by_one(void **state) {
    struct rig_node node = {.id = 0};
    struct frame_hello hello = raw_hello(2, 1);
    uint8_t frame[FRAME_HEADER + FRAME_HELLO_MAX + FRAME_HEADER + 4];
    size_t len = frame_hello_encode(&hello, frame);
    struct raw raw;

    frame_header_encode(FRAME_MESSAGE, 4, frame + len);
    memcpy(frame + len + FRAME_HEADER, "drip", 4);
    len += FRAME_HEADER + 4;
    rig_open();
    rig_start(&node, 1);
    raw = raw_connect(&node, NODE_2);
    RIG_UNTIL(raw_is_open(&raw));
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(node.n_messages, 0);
        raw_write(&raw, frame + i, 1);
        rig_turn();
    }
    RIG_UNTIL(node.n_messages == 1);
    assert_string_equal(node.last, "drip");
    raw_close(&raw);
    rig_stop(&node);
    rig_close();
}

/* ---- No TLS, and not enough of it ---- */

static void test_garbage_and_silence(void **state) {
    static const char garbage[] = "GET / HTTP/1.1\r\nHost: nobody\r\n\r\n";
    struct rig_node node = {.id = 0};
    struct raw noise, silent, half;
    uint64_t begin_ms;

    rig_open();
    rig_start(&node, 1);
    noise = raw_connect_tcp(node.port);
    raw_send_all(&noise, (const uint8_t *)garbage, sizeof(garbage) - 1);
    RIG_UNTIL(raw_has_ended(&noise));
    raw_close(&noise);
    /* Who connects and says nothing, and who stops in the middle, has to go. */
    begin_ms = world_mono_ms(world_system());
    silent = raw_connect_tcp(node.port);
    half = raw_connect(&node, NODE_2);
    RIG_UNTIL(raw_is_open(&half)); /* but no hello */
    RIG_UNTIL(raw_has_ended(&silent) && raw_has_ended(&half));
    assert_in_range(world_mono_ms(world_system()) - begin_ms, LIMIT_TRANSPORT_HANDSHAKE_MS - 500,
                    LIMIT_TRANSPORT_HANDSHAKE_MS + 2000);
    raw_close(&silent);
    raw_close(&half);
    /* And the other way round: a member's door that does not answer. */
    unsigned port = rig_port();
    int listener = raw_listen(port);
    char address[64];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u,127.0.0.1:1", port);
    transport_set_members(node.transport, (const struct core_server[]){{2, address}}, 1);
    RIG_UNTIL(rig_peer(&node, 2).error[0] != '\0');
    assert_string_equal(rig_peer(&node, 2).error, "no handshake in time");
    (void)close(listener);
    rig_stop(&node);
    rig_close();
}

static void test_a_crowd_does_not_keep_members_out(void **state) {
    enum { CROWD = LIMIT_TRANSPORT_ACCEPTED + 40 };
    static struct raw crowd[CROWD];
    struct rig_node node = {.id = 0};
    struct frame_hello hello = raw_hello(2, 1);
    struct raw first, last;
    size_t ended = 0;

    rig_open();
    rig_start(&node, 1);
    first = raw_connect(&node, NODE_3);
    RIG_UNTIL(raw_is_open(&first));
    hello.node = 3;
    raw_say_hello(&first, &hello);
    RIG_UNTIL(node.n_hellos == 1);
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = raw_connect_tcp(node.port);
        rig_turn();
    }
    last = raw_connect(&node, NODE_2);
    RIG_UNTIL(raw_is_open(&last));
    hello.node = 2;
    raw_say_hello(&last, &hello);
    RIG_UNTIL(node.n_hellos == 2);
    for (size_t i = 0; i < CROWD; i++) {
        ended += raw_has_ended(&crowd[i]);
        raw_close(&crowd[i]);
    }
    assert_int_equal(ended, CROWD + 2 - LIMIT_TRANSPORT_ACCEPTED);
    raw_say(&first, "still here");
    RIG_UNTIL(node.n_messages == 1);
    raw_close(&first);
    raw_close(&last);
    rig_stop(&node);
    rig_close();
}

/* ---- Replacement ---- */

static void test_the_newest_stream_of_a_node_counts(void **state) {
    struct rig_node node = {.id = 0};
    struct frame_hello hello = raw_hello(2, 1);
    uint8_t front[FRAME_HEADER + 3];
    struct raw old, next, other;

    rig_open();
    rig_start(&node, 1);
    old = raw_connect(&node, NODE_2);
    RIG_UNTIL(raw_is_open(&old));
    raw_say_hello(&old, &hello);
    raw_say(&old, "old");
    RIG_UNTIL(node.n_messages == 1);
    other = raw_connect(&node, NODE_3);
    RIG_UNTIL(raw_is_open(&other));
    hello.node = 3;
    raw_say_hello(&other, &hello);
    RIG_UNTIL(node.n_hellos == 2);
    /* A message of the old stream is half there; TLS alone replaces nothing yet. */
    frame_header_encode(FRAME_MESSAGE, 6, front);
    memcpy(front + FRAME_HEADER, "hal", 3);
    raw_write(&old, front, sizeof(front));
    next = raw_connect(&node, NODE_2);
    RIG_UNTIL(raw_is_open(&next));
    assert_false(raw_has_ended(&old));
    hello.node = 2;
    raw_say_hello(&next, &hello);
    raw_say(&next, "new");
    raw_write(&old, "f..", 3); /* too late, whichever is read first */
    RIG_UNTIL(raw_has_ended(&old));
    RIG_UNTIL(node.n_messages >= 2 && strcmp(node.last, "new") == 0);
    rig_wait(20);
    assert_string_equal(node.last, "new");
    raw_say(&next, "newer");
    raw_say(&other, "other");
    RIG_UNTIL(node.from[3] == 1);
    RIG_UNTIL(node.from[2] >= 3);
    raw_close(&old);
    raw_close(&next);
    raw_close(&other);
    rig_stop(&node);
    rig_close();
}

/* ---- Closing ---- */

static void test_closing_at_any_moment(void **state) {
    static uint8_t bulk[300 * 1024];

    for (int turns = 0; turns < 40; turns++) {
        struct rig_node nodes[3] = {{.id = 0}, {.id = 0}, {.id = 0}};
        size_t before;
        rig_open();
        for (size_t i = 0; i < 3; i++) {
            rig_start_at(&nodes[i], i + 1, turns % 3 == 0 ? "localhost" : "127.0.0.1");
        }
        rig_introduce(nodes, 3);
        for (int i = 0; i < turns; i++) {
            (void)transport_send(nodes[0].transport, 2, (struct core_bytes){bulk, sizeof(bulk)});
            (void)transport_send(nodes[1].transport, 1, (struct core_bytes){bulk, 1});
            (void)transport_send(nodes[2].transport, 1, (struct core_bytes){bulk, 1});
            (void)uv_run(&rig_loop, UV_RUN_NOWAIT);
        }
        before = nodes[0].n_messages;
        transport_close(nodes[0].transport, rig_on_closed);
        if (turns % 2 == 0) {
            transport_close(nodes[1].transport, rig_on_closed);
        }
        RIG_UNTIL(nodes[0].is_closed && (nodes[1].is_closed || turns % 2 == 1));
        assert_int_equal(nodes[0].n_messages, before); /* nothing after the call */
        transport_free(nodes[0].transport);
        if (turns % 2 == 0) {
            transport_free(nodes[1].transport);
        } else {
            rig_stop(&nodes[1]);
        }
        rig_stop(&nodes[2]);
        rig_close();
    }
}

static void close_in_message(struct rig_node *node, uint64_t from, struct core_bytes message) {
    transport_close(node->transport, rig_on_closed);
}

static void close_in_hello(struct rig_node *node) {
    transport_close(node->transport, rig_on_closed);
}

static void forget_in_hello(struct rig_node *node) {
    transport_set_members(node->transport, NULL, 0);
}

static void test_closing_out_of_a_callback(void **state) {
    struct rig_node nodes[2] = {{.id = 0}, {.id = 0}};

    rig_open();
    rig_start(&nodes[0], 1);
    rig_start(&nodes[1], 2);
    nodes[1].on_message = close_in_message;
    rig_introduce(nodes, 2);
    RIG_UNTIL(rig_is_connected(&nodes[0], 2));
    for (int i = 0; i < 100; i++) {
        assert_true(rig_say(&nodes[0], 2, "stop"));
    }
    RIG_UNTIL(nodes[1].is_closed);
    assert_int_equal(nodes[1].n_messages, 1); /* of the hundred that came together */
    transport_free(nodes[1].transport);
    rig_start(&nodes[1], 2);
    nodes[1].on_hello = close_in_hello;
    RIG_UNTIL(nodes[1].is_closed);
    assert_int_equal(nodes[1].n_hellos, 1);
    transport_free(nodes[1].transport);
    /* The stream that it is told of is closed in the callback. */
    rig_start(&nodes[1], 2);
    nodes[1].on_hello = forget_in_hello;
    nodes[0].on_hello = forget_in_hello;
    nodes[0].n_hellos = 0;
    rig_introduce(nodes, 2);
    RIG_UNTIL(nodes[0].n_hellos > 0);
    rig_wait(50);
    assert_int_equal(rig_peer(&nodes[0], 2).node, 0);
    rig_stop(&nodes[0]);
    rig_stop(&nodes[1]);
    rig_close();
}

static void test_closing_while_a_name_is_looked_up(void **state) {
    struct core_server members[RIG_NODES];
    char addresses[RIG_NODES][64];
    struct rig_node node = {.id = 0};

    for (size_t i = 0; i < RIG_NODES; i++) {
        (void)snprintf(addresses[i], sizeof(addresses[i]), "nobody%zu.invalid:1,x:1", i);
        members[i] = (struct core_server){i + 1, addresses[i]};
    }
    for (int i = 0; i < 10; i++) {
        rig_open();
        node = (struct rig_node){.id = 0};
        rig_start(&node, 1);
        transport_set_members(node.transport, members, RIG_NODES);
        for (int turn = 0; turn < i; turn++) {
            (void)uv_run(&rig_loop, UV_RUN_NOWAIT);
        }
        if (i % 2 == 0) {
            transport_set_members(node.transport, members, 2);
        }
        rig_stop(&node);
        rig_close();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_node_is_what_its_certificate_says),
        cmocka_unit_test(test_strangers_are_not_let_in),
        cmocka_unit_test(test_the_dialled_side_is_checked),
        cmocka_unit_test(test_a_hello_must_fit),
        cmocka_unit_test(test_the_dialled_sides_hello_must_fit),
        cmocka_unit_test(test_frames_that_are_none),
        cmocka_unit_test(test_bytes_one_by_one),
        cmocka_unit_test(test_garbage_and_silence),
        cmocka_unit_test(test_a_crowd_does_not_keep_members_out),
        cmocka_unit_test(test_the_newest_stream_of_a_node_counts),
        cmocka_unit_test(test_closing_at_any_moment),
        cmocka_unit_test(test_closing_out_of_a_callback),
        cmocka_unit_test(test_closing_while_a_name_is_looked_up),
    };

    return cmocka_run_group_tests(tests, rig_make, rig_remove);
}
