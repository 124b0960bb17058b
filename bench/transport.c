/* What a message between two nodes costs: two transports on one loop of one thread, real sockets
 * and TLS, messages of one size from the first to the second. Printed: messages and bytes a second,
 * and the processor time that one message takes at both ends together.
 *
 *     transport [SECONDS [NUMBER OF ONE LOAD, FROM 0]] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/world.h"
#include "cluster/transport.h"

enum { PATH = 128, SECONDS = 2, LARGEST = 1024 * 1024 };

struct side {
    struct transport *transport;
    uint64_t received;
    bool is_echo; /* sends back what comes */
};

/* How many messages a turn of the loop sends; 0: one message that goes to and fro. */
struct load {
    size_t size;
    unsigned together;
};

static uv_loop_t loop;
static struct side sides[2];

static void must(bool good, const char *what) {
    if (!good) {
        (void)fprintf(stderr, "transport: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static void on_message(void *arg, uint64_t from, struct core_bytes message) {
    struct side *side = arg;

    side->received++;
    if (side->is_echo) {
        (void)transport_send(side->transport, from, message);
    }
}

static void on_hello(void *arg, const struct transport_hello *hello) {
}

static void on_closed(void *arg) {
}

static void make_sides(const char *folder) {
    static const char *const doors[] = {"127.0.0.1:17601", "127.0.0.1:17602"};
    static const struct core_server members[] = {{1, "127.0.0.1:17601,x:1"},
                                                 {2, "127.0.0.1:17602,x:1"}};
    char ca[PATH], ca_key[PATH], cert[PATH], key[PATH];
    struct err err;

    (void)snprintf(ca, sizeof(ca), "%s/ca.crt", folder);
    (void)snprintf(ca_key, sizeof(ca_key), "%s/ca.key", folder);
    must(tls_ca_create(ca, ca_key, &err) == OK, "no authority");
    for (uint64_t i = 0; i < 2; i++) {
        (void)snprintf(cert, sizeof(cert), "%s/%" PRIu64 ".crt", folder, i);
        (void)snprintf(key, sizeof(key), "%s/%" PRIu64 ".key", folder, i);
        must(tls_cert_create(ca, ca_key, "bench", i + 1, cert, key, &err) == OK, "no certificate");
        const struct transport_options options = {.loop = &loop,
                                                  .world = world_system(),
                                                  .region = "bench",
                                                  .self = i + 1,
                                                  .listen = doors[i],
                                                  .address = members[i].address,
                                                  .tls = {ca, cert, key},
                                                  .message_cb = on_message,
                                                  .hello_cb = on_hello,
                                                  .arg = &sides[i]};
        must(transport_new(&options, &sides[i].transport, &err) == OK, "no transport");
        (void)unlink(cert);
        (void)unlink(key);
    }
    (void)unlink(ca);
    (void)unlink(ca_key);
    for (int i = 0; i < 2; i++) {
        transport_set_members(sides[i].transport, members, 2);
    }
}

static bool is_connected(const struct side *side) {
    struct transport_peer peer;

    return transport_peers(side->transport, &peer, 1) == 1 && peer.is_connected;
}

/* The socket has taken what was sent. */
static bool is_idle(const struct side *side) {
    struct transport_peer peer;

    return transport_peers(side->transport, &peer, 1) == 1 && peer.queued_bytes == 0;
}

static double cpu_seconds(void) {
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void measure(const struct load *load, unsigned seconds) {
    static uint8_t bytes[LARGEST];
    const struct core_bytes message = {bytes, load->size};
    uint64_t begin, end, sent = 0;
    double cpu = cpu_seconds(), rate;

    sides[0].received = 0;
    sides[1].received = 0;
    sides[0].is_echo = load->together == 0;
    sides[1].is_echo = load->together == 0;
    begin = world_mono_ms(world_system());
    end = begin + (uint64_t)seconds * 1000;
    if (load->together == 0) {
        (void)transport_send(sides[0].transport, 2, message);
    }
    while (world_mono_ms(world_system()) < end) {
        for (unsigned i = 0, n = is_idle(&sides[0]) ? load->together : 0; i < n; i++) {
            sent += transport_send(sides[0].transport, 2, message);
        }
        (void)uv_run(&loop, load->together == 0 ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    }
    while (load->together > 0 && sides[1].received < sent) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    rate = (double)(sides[0].received + sides[1].received) * 1000 /
           (double)(world_mono_ms(world_system()) - begin);
    cpu = (cpu_seconds() - cpu) / (double)(sides[0].received + sides[1].received);
    (void)printf("%8zu bytes, %4u a turn: %9.0f messages/s %8.1f MB/s %7.2f us of CPU each\n",
                 load->size, load->together, rate, rate * (double)load->size / 1e6, cpu * 1e6);
    sides[0].is_echo = sides[1].is_echo = false;
    for (int i = 0; i < 200; i++) {
        (void)uv_run(&loop, UV_RUN_NOWAIT); /* what is under way */
        (void)usleep(500);
    }
}

int main(int argc, char **argv) {
    static const struct load loads[] = {{200, 0},        {200, 1},       {200, 16},
                                        {200, 256},      {64 * 1024, 0}, {64 * 1024, 1},
                                        {64 * 1024, 16}, {LARGEST, 4}};
    size_t only = argc > 2 ? strtoul(argv[2], NULL, 10) : ARRAY_LEN(loads);
    unsigned seconds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : SECONDS;
    char folder[] = "/tmp/redoubt-bench-XXXXXX";

    tls_global_init();
    log_setup(LOG_LEVEL_WARN, "bench");
    must(mkdtemp(folder) != NULL, "no folder");
    must(uv_loop_init(&loop) == 0, "no loop");
    make_sides(folder);
    (void)rmdir(folder);
    while (!is_connected(&sides[0]) || !is_connected(&sides[1])) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
        if (only == ARRAY_LEN(loads) || only == i) {
            measure(&loads[i], seconds);
        }
    }
    for (int i = 0; i < 2; i++) {
        transport_close(sides[i].transport, on_closed);
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 2; i++) {
        transport_free(sides[i].transport);
    }
    return uv_loop_close(&loop) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
