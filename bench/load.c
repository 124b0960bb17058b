/* A closed-loop HTTP load generator: C connections, one request in flight on each, for S seconds;
 * prints rate and latencies.
 *
 *   load HOST PORT WHAT CONNECTIONS SECONDS [SECRETS [BYTES of a value [FOLDER of the names]]]
 *
 * WHAT: file (GET /file), etcd-put, etcd-range (JSON gateway), prepare (create SECRETS secrets),
 * get, put. One secret written again and again would meet the limit of versions, so put spreads
 * over SECRETS. Redoubt's requests are signed one by one, with a signing key that is derived once,
 * as an SDK does. Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Every answer
 * must be 200: anything else is counted and makes the exit status 1. */
#include "base/bytes.h"
#include "base/check.h"
#include "base/world.h"
#include "crypto/digest.h"
#include "crypto/sigv4.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    VALUE_BYTES = 200, /* as everything beside it carries */
    VALUE_MAX = 2048,
    BODY_MAX = VALUE_MAX + 1024,
    REQUEST_MAX = BODY_MAX + 1024,
    RESPONSE_MAX = 64 * 1024,
    CONNECTIONS_MAX = 1024,
    SAMPLES_MAX = 20 * 1000 * 1000,
    WARM_UP_MS = 500,
};

struct connection {
    int fd;
    uint64_t sent_ns;
    size_t sent, request_len, received;
    char request[REQUEST_MAX];
    char response[RESPONSE_MAX];
};

struct load {
    const char *host;
    const char *what;
    unsigned port;
    uint64_t secrets;
    uint64_t next; /* number of the next request */
    uint64_t last; /* prepare: stop after this one; 0: until the time is over */
    uint64_t failures;
    uint32_t *samples_us;
    size_t n_samples;
    const char *folder; /* of the names */
    const char *key_id;
    struct secret secret_key;
    char value[VALUE_MAX + 1];
    char signing_date[9];
    uint8_t signing_key[32];
};

static uint64_t now_ns(void) {
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* ---- requests ---- */

static size_t plain_request(const struct load *load, char *out, const char *method,
                            const char *path, const char *body) {
    int len =
        snprintf(out, REQUEST_MAX, "%s %s HTTP/1.1\r\nHost: %s:%u\r\nContent-Length: %zu\r\n\r\n%s",
                 method, path, load->host, load->port, strlen(body), body);
    CHECK(len > 0 && len < REQUEST_MAX);
    return (size_t)len;
}

static void fill_signing_key(struct load *load, const char *date) {
    if (strcmp(load->signing_date, date) != 0) {
        memcpy(load->signing_date, date, sizeof(load->signing_date));
        sigv4_signing_key(&load->secret_key, date, "us-east-1", "secretsmanager",
                          load->signing_key);
    }
}

static size_t signed_request(struct load *load, char *out, const char *operation,
                             const char *body) {
    static const char signed_names[] = "content-type;host;x-amz-date;x-amz-target";
    struct sigv4_claim claim = {.region = "us-east-1", .service = "secretsmanager"};
    char host[64], target[64], authorization[512];
    time_t seconds = time(NULL);
    struct tm utc;
    int len;

    CHECK(gmtime_r(&seconds, &utc) != NULL);
    (void)strftime(claim.timestamp, sizeof(claim.timestamp), "%Y%m%dT%H%M%SZ", &utc);
    (void)strftime(claim.date, sizeof(claim.date), "%Y%m%d", &utc);
    (void)snprintf(claim.access_key_id, sizeof(claim.access_key_id), "%s", load->key_id);
    claim.signed_headers = signed_names;
    claim.signed_headers_len = sizeof(signed_names) - 1;
    fill_signing_key(load, claim.date);
    (void)snprintf(host, sizeof(host), "%s:%u", load->host, load->port);
    (void)snprintf(target, sizeof(target), "secretsmanager.%s", operation);
    const struct sigv4_header headers[] = {
        {"content-type", 12, "application/x-amz-json-1.1", 26},
        {"host", 4, host, strlen(host)},
        {"x-amz-date", 10, claim.timestamp, strlen(claim.timestamp)},
        {"x-amz-target", 12, target, strlen(target)},
    };
    const struct sigv4_request request = {.method = "POST",
                                          .path = "/",
                                          .path_len = 1,
                                          .query = "",
                                          .headers = headers,
                                          .n_headers = ARRAY_LEN(headers),
                                          .body = (const uint8_t *)body,
                                          .body_len = strlen(body)};
    CHECK(sigv4_sign(&request, &claim, load->signing_key, authorization, sizeof(authorization)));
    len = snprintf(
        out, REQUEST_MAX,
        "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Date: "
        "%s\r\nX-Amz-Target: %s\r\nAuthorization: %s\r\nContent-Length: %zu\r\n\r\n%s",
        host, claim.timestamp, target, authorization, strlen(body), body);
    CHECK(len > 0 && len < REQUEST_MAX);
    return (size_t)len;
}

static size_t redoubt_request(struct load *load, char *out, uint64_t number) {
    char body[BODY_MAX], token[UUID_TEXT];
    uint64_t secret = number % load->secrets;

    if (strcmp(load->what, "get") == 0) {
        (void)snprintf(body, sizeof(body), "{\"SecretId\":\"%s/%06llu\"}", load->folder,
                       (unsigned long long)secret);
        return signed_request(load, out, "GetSecretValue", body);
    }
    world_uuid(world_system(), token);
    (void)snprintf(body, sizeof(body),
                   "{\"%s\":\"%s/%06llu\",\"ClientRequestToken\":\"%s\",\"SecretString\":\"%s\"}",
                   load->last ? "Name" : "SecretId", load->folder, (unsigned long long)secret,
                   token, load->value);
    return signed_request(load, out, load->last ? "CreateSecret" : "PutSecretValue", body);
}

static size_t etcd_request(const struct load *load, char *out, uint64_t number) {
    char key[32], body[BODY_MAX];
    struct buf key64, value64;
    size_t len;

    (void)snprintf(key, sizeof(key), "bench/%06llu", (unsigned long long)(number % load->secrets));
    buf_init(&key64, 128);
    buf_init(&value64, 2 * VALUE_MAX);
    base64_encode(&key64, key, strlen(key));
    base64_encode(&value64, load->value, strlen(load->value));
    if (strcmp(load->what, "etcd-put") == 0) {
        (void)snprintf(body, sizeof(body), "{\"key\":\"%.*s\",\"value\":\"%.*s\"}", (int)key64.len,
                       (const char *)key64.data, (int)value64.len, (const char *)value64.data);
        len = plain_request(load, out, "POST", "/v3/kv/put", body);
    } else {
        (void)snprintf(body, sizeof(body), "{\"key\":\"%.*s\"}", (int)key64.len,
                       (const char *)key64.data);
        len = plain_request(load, out, "POST", "/v3/kv/range", body);
    }
    buf_fini(&key64);
    buf_fini(&value64);
    return len;
}

static size_t make_request(struct load *load, char *out) {
    uint64_t number = load->next++;

    if (strcmp(load->what, "file") == 0) {
        return plain_request(load, out, "GET", "/file", "");
    }
    if (strncmp(load->what, "etcd", 4) == 0) {
        return etcd_request(load, out, number);
    }
    return redoubt_request(load, out, number);
}

/* ---- connections ---- */

static void open_connection(const struct load *load, struct connection *connection) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load->port)};
    int one = 1;

    CHECK(inet_pton(AF_INET, load->host, &address.sin_addr) == 1);
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connection->fd >= 0);
    if (connect(connection->fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)fprintf(stderr, "load: cannot connect to %s:%u: %s\n", load->host, load->port,
                      strerror(errno));
        exit(1);
    }
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void send_next(struct load *load, struct connection *connection) {
    connection->request_len = make_request(load, connection->request);
    connection->received = 0;
    connection->sent_ns = now_ns();
    CHECK(send(connection->fd, connection->request, connection->request_len, 0) ==
          (ssize_t)connection->request_len);
}

/* The length of the whole answer, 0 while its head is incomplete. */
static size_t answer_length(const struct connection *connection) {
    const char *end = memmem(connection->response, connection->received, "\r\n\r\n", 4);
    const char *length;
    size_t head;

    if (end == NULL) {
        return 0;
    }
    head = (size_t)(end - connection->response) + 4;
    length = strcasestr(connection->response, "\r\nContent-Length:");
    CHECK(length != NULL && length < end); /* all three servers send one for these requests */
    return head + strtoul(length + 17, NULL, 10);
}

/* True when an answer is complete. */
static bool receive(struct load *load, struct connection *connection, bool warm) {
    ssize_t got = recv(connection->fd, connection->response + connection->received,
                       RESPONSE_MAX - 1 - connection->received, 0);
    size_t whole;

    if (got <= 0) {
        (void)fprintf(stderr, "load: the server closed a connection\n");
        exit(1);
    }
    connection->received += (size_t)got;
    connection->response[connection->received] = '\0';
    whole = answer_length(connection);
    if (whole == 0 || connection->received < whole) {
        return false;
    }
    if (strncmp(connection->response, "HTTP/1.1 200", 12) != 0) {
        if (load->failures++ == 0) {
            (void)fprintf(stderr, "load: %s\n", connection->response);
        }
    } else if (warm && load->n_samples < SAMPLES_MAX) {
        load->samples_us[load->n_samples++] = (uint32_t)((now_ns() - connection->sent_ns) / 1000);
    }
    return true;
}

static int compare_samples(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t percentile(const struct load *load, double part) {
    size_t at = (size_t)(part * (double)load->n_samples);
    return load->n_samples ? load->samples_us[at < load->n_samples ? at : load->n_samples - 1] : 0;
}

static void report(struct load *load, unsigned connections, double seconds) {
    qsort(load->samples_us, load->n_samples, sizeof(uint32_t), compare_samples);
    (void)printf(
        "%-12s %4u connections %9.0f /s   p50 %6u us   p99 %6u us   p99.9 %6u us   failures %llu\n",
        load->what, connections, (double)load->n_samples / seconds, percentile(load, 0.5),
        percentile(load, 0.99), percentile(load, 0.999), (unsigned long long)load->failures);
}

static void run(struct load *load, struct connection *connections, unsigned n, double seconds) {
    int epoll = epoll_create1(0);
    uint64_t start, warm_at, end;
    unsigned busy = n;
    struct epoll_event events[64];

    CHECK(epoll >= 0);
    for (unsigned i = 0; i < n; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        open_connection(load, &connections[i]);
        CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) == 0);
    }
    start = now_ns();
    warm_at = start + (load->last ? 0 : WARM_UP_MS * 1000000ULL);
    end = load->last ? UINT64_MAX : warm_at + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < n; i++) {
        send_next(load, &connections[i]);
    }
    while (busy > 0) {
        int got = epoll_wait(epoll, events, ARRAY_LEN(events), 10000);
        if (got <= 0) {
            (void)fprintf(stderr, "load: no answer within 10 s\n");
            exit(1);
        }
        for (int i = 0; i < got; i++) {
            struct connection *connection = &connections[events[i].data.u32];
            uint64_t now = now_ns();
            if (!receive(load, connection, now >= warm_at && now < end)) {
                continue;
            }
            if (now >= end || (load->last && load->next >= load->last)) {
                busy--;
            } else {
                send_next(load, connection);
            }
        }
    }
    report(load, n, load->last ? (double)(now_ns() - start) / 1e9 : seconds);
    (void)close(epoll);
}

static const char *from_environment(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

int main(int argc, char **argv) {
    struct load load = {.secrets = 1, .folder = "bench"};
    struct connection *connections;
    size_t bytes = VALUE_BYTES;
    unsigned n;

    if (argc < 6) {
        (void)fprintf(stderr, "usage: load HOST PORT file|etcd-put|etcd-range|prepare|get|put "
                              "CONNECTIONS SECONDS [SECRETS [BYTES [FOLDER]]]\n");
        return 2;
    }
    load.host = argv[1];
    load.port = (unsigned)strtoul(argv[2], NULL, 10);
    load.what = argv[3];
    n = (unsigned)strtoul(argv[4], NULL, 10);
    if (argc > 6) {
        load.secrets = strtoull(argv[6], NULL, 10);
    }
    if (argc > 7) {
        bytes = strtoul(argv[7], NULL, 10);
    }
    if (argc > 8 && strlen(argv[8]) < BODY_MAX - VALUE_MAX - 512) {
        load.folder = argv[8];
    }
    if (n == 0 || n > CONNECTIONS_MAX || load.secrets == 0 || bytes > VALUE_MAX) {
        return 2;
    }
    for (size_t i = 0; i < bytes; i++) {
        load.value[i] = (char)('0' + i % 10);
    }
    load.last = strcmp(load.what, "prepare") == 0 ? load.secrets : 0;
    load.key_id = from_environment("AWS_ACCESS_KEY_ID");
    CHECK(secret_init_copy(&load.secret_key, from_environment("AWS_SECRET_ACCESS_KEY"),
                           strlen(from_environment("AWS_SECRET_ACCESS_KEY"))));
    load.samples_us = calloc(SAMPLES_MAX, sizeof(uint32_t));
    connections = calloc(n, sizeof(*connections));
    CHECK(load.samples_us != NULL && connections != NULL);
    run(&load, connections, n, strtod(argv[5], NULL));
    free(connections);
    free(load.samples_us);
    secret_fini(&load.secret_key);
    return load.failures != 0;
}
