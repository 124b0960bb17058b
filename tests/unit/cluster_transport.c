/* The transport between nodes that behave: what is sent arrives, once, in order, whole; streams
 * come back, move, and are replaced; queues have an end. */
#include "tests/unit/cluster_transport_rig.h"

/* ---- Messages that tell by themselves which they are ---- */

enum { DELIVERIES = 10000, LARGE = 20 * 1024 * 1024 };

static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
}

static size_t size_of_message(uint64_t seed, size_t number) {
    uint64_t dice = mix(seed + number);

    if (number == DELIVERIES / 3 || number == DELIVERIES - 1) {
        return LARGE;
    }
    if (dice % 500 == 0) {
        return 1 + (size_t)(mix(dice) % (2 * 1024 * 1024));
    }
    if (dice % 20 == 0) {
        return 1 + (size_t)(mix(dice) % (64 * 1024));
    }
    return 1 + (size_t)(mix(dice) % 600);
}

static uint8_t *scratch; /* LARGE bytes */

static struct core_bytes make_message(uint64_t seed, size_t number) {
    size_t len = size_of_message(seed, number);

    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = mix(seed + (number << 24) + i);
        memcpy(scratch + i, &word, len - i < 8 ? len - i : 8);
    }
    return (struct core_bytes){scratch, len};
}

static uint64_t delivery_seed;
static size_t delivered[RIG_NODES + 1];
static bool is_sending; /* nothing may be delivered out of transport_send */

static void on_numbered(struct rig_node *node, uint64_t from, struct core_bytes message) {
    struct core_bytes expected = make_message(delivery_seed + node->id, delivered[node->id]);

    assert_false(is_sending);
    assert_int_equal(message.len, expected.len);
    if (memcmp(message.data, expected.data, expected.len) != 0) {
        fail_msg("message %zu is another one", delivered[node->id]);
    }
    delivered[node->id]++;
}

/* As many as the queue takes; what it refuses is sent again later. */
static void send_numbered(struct rig_node *node, uint64_t to, size_t *next, uint64_t *refused) {
    for (int i = 0; i < 200 && *next < DELIVERIES; i++) {
        struct core_bytes message = make_message(delivery_seed + to, *next);
        bool is_sent;
        is_sending = true;
        is_sent = transport_send(node->transport, to, message);
        is_sending = false;
        if (!is_sent) {
            (*refused)++;
            return;
        }
        (*next)++;
    }
}

static void test_all_arrives_in_order(void **state) {
    const char *given = getenv("REDOUBT_SEED");
    struct rig_node nodes[2] = {{.id = 0}, {.id = 0}};
    size_t next[2] = {0, 0};
    uint64_t refused[2] = {0, 0};

    delivery_seed =
        given != NULL ? strtoull(given, NULL, 0) : (uint64_t)world_wall_ms(world_system());
    print_message("REDOUBT_SEED=%llu\n", (unsigned long long)delivery_seed);
    scratch = malloc(LARGE + 8);
    assert_non_null(scratch);
    memset(delivered, 0, sizeof(delivered));
    rig_open();
    for (size_t i = 0; i < 2; i++) {
        rig_start(&nodes[i], i + 1);
        nodes[i].on_message = on_numbered;
    }
    rig_introduce(nodes, 2);
    RIG_UNTIL(rig_is_connected(&nodes[0], 2) && rig_is_connected(&nodes[1], 1));
    while (delivered[1] < DELIVERIES || delivered[2] < DELIVERIES) {
        size_t before = delivered[1] + delivered[2];
        send_numbered(&nodes[0], 2, &next[0], &refused[0]);
        send_numbered(&nodes[1], 1, &next[1], &refused[1]);
        RIG_UNTIL(delivered[1] + delivered[2] > before);
    }
    rig_wait(20);
    assert_int_equal(delivered[1], DELIVERIES); /* and no more */
    assert_int_equal(delivered[2], DELIVERIES);
    for (size_t i = 0; i < 2; i++) {
        struct transport_peer peer = rig_peer(&nodes[i], 2 - i);
        assert_int_equal(peer.dropped, refused[i]);
        assert_int_equal(peer.queued_bytes, 0);
        assert_true(peer.is_accepted);
    }
    rig_stop(&nodes[0]);
    rig_stop(&nodes[1]);
    rig_close();
    free(scratch);
}

/* ---- Hello ---- */

static void test_hellos_tell_levels_and_addresses(void **state) {
    struct rig_node nodes[3] = {{.id = 0}, {.id = 0}, {.id = 0}};
    struct transport_options options;
    struct err err;

    rig_open();
    rig_start(&nodes[0], 1);
    rig_start(&nodes[1], 2);
    nodes[2] = (struct rig_node){.id = 3};
    options = rig_options(&nodes[2], NODE_3);
    options.listen = NULL; /* only dials */
    options.address = "[2001:db8::1]:7600,[2001:db8::1]:7500,learner";
    options.level_min = 2;
    options.level_max = 9;
    assert_int_equal(transport_new(&options, &nodes[2].transport, &err), OK);
    transport_set_members(nodes[2].transport, (const struct core_server[]){{1, nodes[0].address}},
                          1);
    RIG_UNTIL(nodes[0].n_hellos == 1 && nodes[2].n_hellos == 1);
    assert_int_equal(nodes[0].hello.node, 3);
    assert_int_equal(nodes[0].hello.level_min, 2);
    assert_int_equal(nodes[0].hello.level_max, 9);
    assert_string_equal(nodes[0].hello_address, options.address);
    assert_int_equal(nodes[2].hello.node, 1);
    assert_int_equal(nodes[2].hello.level_min, 1); /* this release's */
    assert_true(nodes[2].hello.level_max >= 2);
    assert_string_equal(nodes[2].hello_address, nodes[0].address);
    /* Who is no member is heard, but not dialled. */
    assert_int_equal(rig_peer(&nodes[0], 3).node, 0);
    assert_false(rig_say(&nodes[0], 3, "you are nobody"));
    assert_true(rig_say(&nodes[2], 1, "hear me"));
    RIG_UNTIL(nodes[0].n_messages == 1);
    assert_string_equal(nodes[0].last, "hear me");
    for (size_t i = 0; i < 3; i++) {
        rig_stop(&nodes[i]);
    }
    rig_close();
}

static void start_with_levels(struct rig_node *node, uint64_t id, uint16_t min, uint16_t max) {
    struct transport_options options;
    struct err err;

    rig_start(node, id);
    options = rig_options(node, (enum identity)(id - 1));
    rig_stop(node);
    node->is_closed = false;
    options.level_min = min;
    options.level_max = max;
    assert_int_equal(transport_new(&options, &node->transport, &err), OK);
}

/* Whichever of the two dials, both know and say why, and no message gets through. */
static void test_nodes_without_a_common_level_refuse_each_other(void **state) {
    struct rig_node nodes[2] = {{.id = 0}, {.id = 0}};

    rig_open();
    start_with_levels(&nodes[0], 1, 2, 4);
    start_with_levels(&nodes[1], 2, 5, 9);
    for (size_t dialler = 0; dialler < 2; dialler++) {
        struct rig_node *from = &nodes[dialler], *to = &nodes[1 - dialler];
        const struct core_server members[] = {{to->id, to->address}};
        from->n_hellos = to->n_hellos = 0;
        transport_set_members(from->transport, members, 1);
        RIG_UNTIL(from->n_hellos > 0 && to->n_hellos > 0);
        assert_true(from->hello.is_refused && to->hello.is_refused);
        assert_int_equal(nodes[0].hello.level_min, 5);
        assert_int_equal(nodes[1].hello.level_max, 4);
        assert_non_null(strstr(rig_peer(from, to->id).error,
                               dialler == 0 ? "this release is too old for it: it needs level 5"
                                            : "its release is too old: it knows levels up to 4"));
        assert_false(rig_is_connected(from, to->id));
        assert_false(rig_say(from, to->id, "hear me"));
        transport_set_members(from->transport, NULL, 0);
    }
    assert_int_equal(nodes[0].n_messages + nodes[1].n_messages, 0);
    rig_stop(&nodes[0]);
    rig_stop(&nodes[1]);
    rig_close();
}

static void test_a_level_that_rises_ends_the_streams_of_those_below(void **state) {
    struct rig_node nodes[3] = {{.id = 0}, {.id = 0}, {.id = 0}};

    rig_open();
    start_with_levels(&nodes[0], 1, 1, 9);
    start_with_levels(&nodes[1], 2, 1, 9);
    start_with_levels(&nodes[2], 3, 1, 3);
    rig_introduce(nodes, 3);
    RIG_UNTIL(rig_is_connected(&nodes[0], 2) && rig_is_connected(&nodes[0], 3) &&
              rig_is_connected(&nodes[2], 1));
    transport_set_level(nodes[0].transport, 3);
    assert_true(rig_is_connected(&nodes[0], 3));
    transport_set_level(nodes[0].transport, 4);
    assert_false(rig_is_connected(&nodes[0], 3));
    assert_false(rig_peer(&nodes[0], 3).is_accepted);
    assert_true(rig_is_connected(&nodes[0], 2));
    transport_set_level(nodes[0].transport, 2); /* it never falls */
    RIG_UNTIL(nodes[2].hello.is_refused);
    assert_int_equal(nodes[2].hello.level_min, 4);
    assert_false(rig_is_connected(&nodes[2], 1));
    assert_true(rig_say(&nodes[0], 2, "hear me"));
    RIG_UNTIL(nodes[1].n_messages == 1);
    for (size_t i = 0; i < 3; i++) {
        rig_stop(&nodes[i]);
    }
    rig_close();
}

/* ---- From inside a callback ---- */

static unsigned echoes_inside;

static void on_echo(struct rig_node *node, uint64_t from, struct core_bytes message) {
    assert_int_equal(echoes_inside, 0);
    echoes_inside++;
    if (node->n_messages < 1000) {
        /* Back, and on to the third. */
        assert_true(transport_send(node->transport, from, message));
        assert_true(transport_send(node->transport, 6 - from - node->id, message));
    }
    echoes_inside--;
}

static void test_sending_out_of_a_callback(void **state) {
    struct rig_node nodes[3] = {{.id = 0}, {.id = 0}, {.id = 0}};

    rig_open();
    for (size_t i = 0; i < 3; i++) {
        rig_start(&nodes[i], i + 1);
        nodes[i].on_message = on_echo;
    }
    rig_introduce(nodes, 3);
    RIG_UNTIL(rig_is_connected(&nodes[0], 2) && rig_is_connected(&nodes[1], 1) &&
              rig_is_connected(&nodes[0], 3) && rig_is_connected(&nodes[2], 1) &&
              rig_is_connected(&nodes[2], 2) && rig_is_connected(&nodes[1], 3));
    assert_true(rig_say(&nodes[0], 2, "ball"));
    assert_true(rig_say(&nodes[0], 3, "ball"));
    RIG_UNTIL(nodes[0].n_messages >= 1000 && nodes[1].n_messages >= 1000 &&
              nodes[2].n_messages >= 1000);
    for (size_t i = 0; i < 3; i++) {
        rig_stop(&nodes[i]);
    }
    rig_close();
}

/* ---- Coming back ---- */

static void test_a_restarted_node_is_found_again(void **state) {
    struct rig_node nodes[2] = {{.id = 0}, {.id = 0}};
    uint64_t gone_ms, back_ms;

    rig_open();
    rig_start(&nodes[0], 1);
    rig_start(&nodes[1], 2);
    rig_introduce(nodes, 2);
    RIG_UNTIL(rig_is_connected(&nodes[0], 2) && rig_peer(&nodes[0], 2).is_accepted);
    rig_wait(1100); /* long enough that it worked */
    for (int i = 0; i < 3; i++) {
        assert_true(rig_say(&nodes[0], 2, "before"));
        rig_stop(&nodes[1]);
        RIG_UNTIL(!rig_is_connected(&nodes[0], 2));
        assert_false(rig_peer(&nodes[0], 2).is_accepted);
        assert_false(rig_say(&nodes[0], 2, "nobody hears this"));
        assert_int_equal(rig_peer(&nodes[0], 2).dropped, i + 1);
        RIG_UNTIL(rig_peer(&nodes[0], 2).error[0] != '\0');
        rig_wait(400);
        gone_ms = world_mono_ms(world_system());
        rig_start(&nodes[1], 2); /* it listens, and dials nobody */
        if (i == 1) {
            /* Its own first call brings ours at once. */
            transport_set_members(nodes[1].transport,
                                  (const struct core_server[]){{1, nodes[0].address}}, 1);
        }
        RIG_UNTIL(rig_is_connected(&nodes[0], 2));
        back_ms = world_mono_ms(world_system());
        assert_true(back_ms - gone_ms <= 3 * LIMIT_TRANSPORT_RETRY_MS_MAX);
        assert_string_equal(rig_peer(&nodes[0], 2).error, "");
        assert_true(rig_say(&nodes[0], 2, "after"));
        RIG_UNTIL(nodes[1].n_messages > 0);
        assert_string_equal(nodes[1].last, "after"); /* and nothing from before */
        assert_int_equal(nodes[1].n_messages, 1);
    }
    rig_stop(&nodes[0]);
    rig_stop(&nodes[1]);
    rig_close();
}

/* Attempts at a door that opens and shuts at once are not made without rest. */
static void test_attempts_have_pauses(void **state) {
    struct rig_node node = {.id = 0};
    unsigned port = rig_port();
    int listener = raw_listen(port), fd;
    uint64_t end = world_mono_ms(world_system()) + 2000;
    char address[64];
    unsigned attempts = 0;

    rig_open();
    rig_start(&node, 1);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u,127.0.0.1:1", port);
    transport_set_members(node.transport, (const struct core_server[]){{2, address}}, 1);
    while (world_mono_ms(world_system()) < end) {
        rig_turn();
        fd = accept(listener, NULL, NULL);
        if (fd >= 0) {
            attempts++;
            (void)close(fd);
        }
    }
    /* With waits of at least 50 ms there are at most 40; with 50 to 1000, doubled, a few. */
    assert_in_range(attempts, 3, 20);
    assert_string_not_equal(rig_peer(&node, 2).error, "");
    rig_stop(&node);
    (void)close(listener);
    rig_close();
}

/* ---- Members ---- */

/* What is lost on the way there is not waited for as TCP would, longer each time: a listener whose
 * queue is full loses the packets of further connections. */
static void test_lost_attempts_are_short(void **state) {
    enum { FILL = 8, SILENCE_MS = 1000 };
    struct rig_node node = {.id = 1, .port = rig_port()};
    struct transport_options options;
    struct core_server member = {2, NULL};
    unsigned port = rig_port();
    int listener = raw_listen(port), fill[FILL];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct err err;
    char address[64];
    uint64_t begin_ms;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(listen(listener, 0), 0);
    for (size_t i = 0; i < FILL; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (const struct sockaddr *)&to, sizeof(to));
    }
    rig_open();
    (void)snprintf(node.door, sizeof(node.door), "127.0.0.1:%u", node.port);
    (void)snprintf(node.address, sizeof(node.address), "127.0.0.1:%u,127.0.0.1:1", node.port);
    options = rig_options(&node, NODE_1);
    options.silence_ms = SILENCE_MS;
    assert_int_equal(transport_new(&options, &node.transport, &err), OK);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u,127.0.0.1:1", port);
    member.address = address;
    begin_ms = world_mono_ms(world_system());
    transport_set_members(node.transport, &member, 1);
    RIG_UNTIL(strcmp(rig_peer(&node, 2).error, "no answer") == 0);
    assert_in_range(world_mono_ms(world_system()) - begin_ms, SILENCE_MS / 2, SILENCE_MS + 1000);
    rig_wait(3 * SILENCE_MS);
    /* The way is open: whoever knocks is heard within an attempt and a pause. */
    for (size_t i = 0; i < FILL; i++) {
        (void)close(fill[i]);
    }
    (void)close(listener);
    listener = raw_listen(port);
    begin_ms = world_mono_ms(world_system());
    struct raw raw = raw_accept(listener, NODE_2);
    assert_in_range(world_mono_ms(world_system()) - begin_ms, 0, 2 * SILENCE_MS);
    raw_close(&raw);
    (void)close(listener);
    rig_stop(&node);
    rig_close();
}

static void test_a_member_moves(void **state) {
    struct rig_node nodes[3] = {{.id = 0}, {.id = 0}, {.id = 0}};
    unsigned old_port;

    rig_open();
    for (size_t i = 0; i < 3; i++) {
        rig_start(&nodes[i], i + 1);
    }
    rig_introduce(nodes, 3);
    RIG_UNTIL(rig_is_connected(&nodes[0], 2) && rig_is_connected(&nodes[0], 3) &&
              rig_peer(&nodes[0], 3).is_accepted && rig_peer(&nodes[0], 2).is_accepted);
    rig_stop(&nodes[1]);
    old_port = nodes[1].port;
    RIG_UNTIL(!rig_is_connected(&nodes[0], 2));
    assert_false(rig_say(&nodes[0], 2, "lost"));
    nodes[1].port = 0;
    rig_start(&nodes[1], 2);
    assert_int_not_equal(nodes[1].port, old_port);
    nodes[2].n_hellos = 0;
    rig_introduce(nodes, 3);
    RIG_UNTIL(rig_is_connected(&nodes[0], 2));
    assert_int_equal(rig_peer(&nodes[0], 2).dropped, 1); /* of the node, not of the address */
    assert_true(rig_is_connected(&nodes[0], 3));
    assert_true(rig_say(&nodes[0], 2, "found"));
    RIG_UNTIL(nodes[1].n_messages == 1);
    assert_string_equal(nodes[1].last, "found");
    RIG_UNTIL(rig_is_connected(&nodes[2], 2) && rig_is_connected(&nodes[1], 3) &&
              rig_is_connected(&nodes[1], 1));
    assert_int_equal(nodes[2].n_hellos, 2); /* from and to node 2; that with node 1 went on */
    /* A list without it, and with what makes no sense, ends the stream. */
    transport_set_members(nodes[0].transport,
                          (const struct core_server[]){{2, "self"}, {3, nodes[2].address}}, 2);
    assert_false(rig_say(&nodes[0], 2, "gone"));
    assert_int_equal(rig_peer(&nodes[0], 2).node, 0);
    RIG_UNTIL(!rig_peer(&nodes[1], 1).is_accepted);
    assert_true(rig_is_connected(&nodes[0], 3));
    for (size_t i = 0; i < 3; i++) {
        rig_stop(&nodes[i]);
    }
    rig_close();
}

static void connect_at(const char *host) {
    struct rig_node nodes[2] = {{.id = 0}, {.id = 0}};

    rig_open();
    rig_start_at(&nodes[0], 1, host);
    rig_start_at(&nodes[1], 2, host);
    rig_introduce(nodes, 2);
    RIG_UNTIL(rig_is_connected(&nodes[0], 2) && rig_is_connected(&nodes[1], 1));
    assert_true(rig_say(&nodes[1], 1, host));
    RIG_UNTIL(nodes[0].n_messages == 1);
    assert_string_equal(nodes[0].last, host);
    rig_stop(&nodes[0]);
    rig_stop(&nodes[1]);
    rig_close();
}

static void test_names_and_ipv6(void **state) {
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has_ipv6 = fd >= 0 && bind(fd, (const struct sockaddr *)&loopback, sizeof(loopback)) == 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    connect_at("localhost");
    if (has_ipv6) {
        connect_at("[::1]");
    } else {
        print_message("this machine has no IPv6\n");
    }
}

/* Of a name's several addresses, one that answers is enough. */
static void test_a_name_with_an_address_where_nobody_listens(void **state) {
    struct rig_node nodes[2] = {{.id = 0}, {.id = 0}};
    char address[64];

    rig_open();
    rig_start(&nodes[0], 1);
    rig_start(&nodes[1], 2); /* at 127.0.0.1 alone */
    (void)snprintf(address, sizeof(address), "localhost:%u,localhost:1", nodes[1].port);
    transport_set_members(nodes[0].transport, (const struct core_server[]){{2, address}}, 1);
    RIG_UNTIL(rig_is_connected(&nodes[0], 2));
    (void)snprintf(address, sizeof(address), "nowhere.invalid:%u,x:1", nodes[1].port);
    transport_set_members(nodes[0].transport, (const struct core_server[]){{2, address}}, 1);
    RIG_UNTIL(rig_peer(&nodes[0], 2).error[0] != '\0');
    rig_stop(&nodes[0]);
    rig_stop(&nodes[1]);
    rig_close();
}

/* ---- Bounds ---- */

enum { FULL_MESSAGE = 64 * 1024 };

static void test_a_queue_has_an_end(void **state) {
    static uint8_t message[FULL_MESSAGE];
    struct rig_node node = {.id = 0};
    unsigned port = rig_port();
    int listener = raw_listen(port);
    uint64_t dropped = 0, begin_ms;
    uint8_t *largest;
    struct frame_hello hello;
    struct transport_peer peer;
    char address[64];
    struct raw raw;

    rig_open();
    rig_start(&node, 1);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u,127.0.0.1:1", port);
    transport_set_members(node.transport, (const struct core_server[]){{2, address}}, 1);
    raw = raw_accept(listener, NODE_2);
    RIG_UNTIL(raw_has_hello(&raw, &hello));
    hello = raw_hello(2, 1);
    raw_say_hello(&raw, &hello);
    RIG_UNTIL(rig_is_connected(&node, 2));
    /* From here on it reads nothing. What the sockets hold comes on top of the queue. */
    for (int i = 0; i < 4000; i++) {
        dropped += !transport_send(node.transport, 2, (struct core_bytes){message, FULL_MESSAGE});
        if (i % 50 == 0) {
            rig_turn();
        }
    }
    peer = rig_peer(&node, 2);
    assert_true(dropped > 2000);
    assert_int_equal(peer.dropped, dropped);
    assert_in_range(peer.queued_bytes, LIMIT_TRANSPORT_QUEUE - 2 * FULL_MESSAGE,
                    LIMIT_TRANSPORT_QUEUE + FULL_MESSAGE);
    /* A side that takes nothing at all is given up, and all of it is gone. */
    begin_ms = world_mono_ms(world_system());
    RIG_UNTIL(!rig_is_connected(&node, 2));
    assert_in_range(world_mono_ms(world_system()) - begin_ms, LIMIT_TRANSPORT_STALL_MS / 2,
                    LIMIT_TRANSPORT_STALL_MS + 5000);
    assert_int_equal(rig_peer(&node, 2).queued_bytes, 0);
    raw_close(&raw);
    /* An empty queue takes one of any size. */
    raw = raw_accept(listener, NODE_2);
    RIG_UNTIL(raw_has_hello(&raw, &hello));
    hello = raw_hello(2, 1);
    raw_say_hello(&raw, &hello);
    RIG_UNTIL(rig_is_connected(&node, 2));
    largest = calloc(1, CORE_MESSAGE_MAX);
    assert_non_null(largest);
    assert_true(transport_send(node.transport, 2, (struct core_bytes){largest, CORE_MESSAGE_MAX}));
    assert_false(rig_say(&node, 2, "x"));
    rig_turn();
    assert_true(rig_peer(&node, 2).queued_bytes > LIMIT_TRANSPORT_QUEUE);
    free(largest);
    raw_close(&raw);
    (void)close(listener);
    rig_stop(&node);
    rig_close();
}

static void on_largest(struct rig_node *node, uint64_t from, struct core_bytes message) {
    assert_int_equal(message.data[0], 'a');
    assert_int_equal(message.data[message.len - 1], 'z');
}

static void test_the_largest_message(void **state) {
    struct rig_node nodes[2] = {{.id = 0}, {.id = 0}};
    uint8_t *largest = calloc(1, CORE_MESSAGE_MAX);

    assert_non_null(largest);
    largest[0] = 'a';
    largest[CORE_MESSAGE_MAX - 1] = 'z';
    rig_open();
    rig_start(&nodes[0], 1);
    rig_start(&nodes[1], 2);
    nodes[1].on_message = on_largest;
    rig_introduce(nodes, 2);
    RIG_UNTIL(rig_is_connected(&nodes[0], 2));
    assert_true(
        transport_send(nodes[0].transport, 2, (struct core_bytes){largest, CORE_MESSAGE_MAX}));
    RIG_UNTIL(nodes[1].n_messages == 1);
    assert_int_equal(nodes[1].n_bytes, CORE_MESSAGE_MAX);
    RIG_UNTIL(rig_peer(&nodes[0], 2).queued_bytes == 0);
    rig_wait(600); /* buffers are given back; and it goes on */
    nodes[1].on_message = NULL;
    assert_true(rig_say(&nodes[0], 2, "small"));
    RIG_UNTIL(nodes[1].n_messages == 2);
    assert_string_equal(nodes[1].last, "small");
    free(largest);
    rig_stop(&nodes[0]);
    rig_stop(&nodes[1]);
    rig_close();
}

/* ---- Certificates are read again ---- */

static void copy_file(const char *from, const char *to) {
    char bytes[8192];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    size_t len;

    assert_true(in != NULL && out != NULL);
    len = fread(bytes, 1, sizeof(bytes), in);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    assert_int_equal(fclose(in) | fclose(out), 0);
}

static void test_certificates_are_read_again(void **state) {
    char ca[RIG_PATH], cert[RIG_PATH], key[RIG_PATH], other_cert[RIG_PATH], other_key[RIG_PATH];
    struct rig_node node = {.id = 0};
    struct transport_options options;
    struct frame_hello hello = raw_hello(2, 1);
    struct raw old, next;
    struct err err;

    (void)snprintf(ca, sizeof(ca), "%s/moving-ca.crt", rig_folder);
    (void)snprintf(cert, sizeof(cert), "%s/moving.crt", rig_folder);
    (void)snprintf(key, sizeof(key), "%s/moving.key", rig_folder);
    (void)snprintf(other_cert, sizeof(other_cert), "%s/other-1.crt", rig_folder);
    (void)snprintf(other_key, sizeof(other_key), "%s/other-1.key", rig_folder);
    copy_file(rig_ca[0], ca);
    copy_file(rig_cert[NODE_1], cert);
    copy_file(rig_key[NODE_1], key);
    assert_int_equal(chmod(key, 0600), 0);
    rig_open();
    node.id = 1;
    node.port = rig_port();
    (void)snprintf(node.door, sizeof(node.door), "127.0.0.1:%u", node.port);
    options = rig_options(&node, NODE_1);
    options.tls = (struct tls_files){ca, cert, key};
    assert_int_equal(transport_new(&options, &node.transport, &err), OK);
    old = raw_connect(&node, NODE_2);
    RIG_UNTIL(raw_is_open(&old));
    raw_say_hello(&old, &hello);
    RIG_UNTIL(node.n_hellos == 1);
    /* Broken files, and good ones that are somebody else's: what was there stays. */
    copy_file(rig_key[NODE_1], cert);
    assert_int_equal(transport_reload(node.transport, &err), ERR_CRYPTO);
    copy_file(rig_cert[NODE_2], cert);
    copy_file(rig_key[NODE_2], key);
    assert_int_equal(transport_reload(node.transport, &err), ERR_INVALID_PARAMETER);
    assert_non_null(strstr(err.message, "another node"));
    next = raw_connect(&node, NODE_2);
    RIG_UNTIL(raw_is_open(&next));
    raw_close(&next);
    /* The other deployment's: new streams are of it, the old one goes on. */
    assert_int_equal(
        tls_cert_create(rig_ca[1], rig_ca_key[1], REGION, 1, other_cert, other_key, &err), OK);
    copy_file(rig_ca[1], ca);
    copy_file(other_cert, cert);
    copy_file(other_key, key);
    assert_int_equal(transport_reload(node.transport, &err), OK);
    next = raw_connect(&node, NODE_2);
    RIG_UNTIL(raw_has_ended(&next));
    assert_false(raw_is_open(&next));
    raw_close(&next);
    raw_say(&old, "still here");
    RIG_UNTIL(node.n_messages == 1);
    next = raw_connect(&node, STRANGER);
    RIG_UNTIL(raw_is_open(&next));
    raw_say_hello(&next, &hello);
    RIG_UNTIL(node.n_hellos == 2);
    raw_close(&next);
    raw_close(&old);
    rig_stop(&node);
    rig_close();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_arrives_in_order),
        cmocka_unit_test(test_hellos_tell_levels_and_addresses),
        cmocka_unit_test(test_nodes_without_a_common_level_refuse_each_other),
        cmocka_unit_test(test_a_level_that_rises_ends_the_streams_of_those_below),
        cmocka_unit_test(test_sending_out_of_a_callback),
        cmocka_unit_test(test_a_restarted_node_is_found_again),
        cmocka_unit_test(test_attempts_have_pauses),
        cmocka_unit_test(test_lost_attempts_are_short),
        cmocka_unit_test(test_a_member_moves),
        cmocka_unit_test(test_names_and_ipv6),
        cmocka_unit_test(test_a_name_with_an_address_where_nobody_listens),
        cmocka_unit_test(test_a_queue_has_an_end),
        cmocka_unit_test(test_the_largest_message),
        cmocka_unit_test(test_certificates_are_read_again),
    };

    return cmocka_run_group_tests(tests, rig_make, rig_remove);
}
