/* One thread, one curl multi handle. Other threads only push calls into the mailbox, whose eventfd
 * curl polls together with its sockets; nothing of curl is touched elsewhere. A call is in exactly
 * one place: the mailbox, the list of active transfers, or back with its owner. */
#include "cluster/peer_client.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/wipe.h"
#include "base/world.h"
#include "cluster/peer_identity.h"
#include "cluster/peer_route.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

enum {
    IDLE_TRANSFERS = 64, /* easy handles kept for the next call */
    WAIT_MAX_MS = 1000,
    /* A kept connection is given up well before the other side's idle limit does it, because a
       request sent into a closing connection has an unknown outcome. */
    CONNECTION_IDLE_S = LIMIT_HTTP_IDLE_MS / 2000,
};

struct transfer {
    CURL *easy; /* owned */
    struct transfer *next_idle;
    unsigned identity;             /* the number of the one that it has */
    size_t at;                     /* index in `active` */
    struct peer_call *call;        /* NULL while idle */
    struct curl_slist *headers;    /* owned, of this call */
    struct curl_slist *connect_to; /* owned, of this attempt */
    struct route_region *region;   /* NULL: a call to a node */
    size_t first;                  /* the region's address that was tried first */
    size_t tried;                  /* addresses before the present one */
    uint64_t deadline_ms;
    bool is_begun;   /* a connection stands: from here on something may have been sent */
    size_t sent;     /* bytes of the body so far */
    size_t head_len; /* bytes of response head so far */
    bool is_over_limit;
    char error[CURL_ERROR_SIZE];
};

struct peer_client {
    /* Any thread. */
    struct mailbox *box;
    atomic_size_t n_calls; /* admitted and not completed */
    atomic_bool stopping;
    atomic_bool woken;
    atomic_bool has_cancelled;        /* a call among those that run, or that wait in the box */
    atomic_uint_fast64_t reloaded_ms; /* 0: never */
    _Atomic(struct peer_identity *) fresh; /* owned; of a reload, not taken yet */
    struct routes routes;
    /* Constant after peer_client_start. */
    char *ca_path, *cert_path, *key_path; /* owned */
    void (*tick)(void *arg, unsigned *ret_wait_ms);
    void *tick_arg;
    pthread_t thread;
    bool started, closed;
    /* The client's thread. */
    CURLM *multi;
    struct peer_identity *identity; /* owned */
    unsigned identity_number;       /* it changes with it */
    uint64_t tick_due_ms;
    struct transfer *idle;
    size_t n_idle;
    struct transfer *active[LIMIT_PEER_CALLS];
    size_t n_active;
};

struct peer_call *peer_call_new(void) {
    struct peer_call *call = calloc(1, sizeof(*call));

    if (call != NULL) {
        buf_init(&call->body, LIMIT_PEER_BODY);
        buf_init(&call->response, LIMIT_PEER_BODY);
    }
    return call;
}

void peer_call_free(struct peer_call *call) {
    if (call == NULL) {
        return;
    }
    buf_fini(&call->body);
    buf_fini(&call->response);
    free(call);
}

/* ---- Transfers: one easy handle each, with what never changes set once. ---- */

static size_t take_body(char *data, size_t size, size_t n, void *arg) {
    struct transfer *transfer = arg;

    buf_append(&transfer->call->response, data, size * n);
    if (transfer->call->response.failed) {
        transfer->is_over_limit = true;
        return 0;
    }
    return size * n;
}

static size_t take_head(char *data, size_t size, size_t n, void *arg) {
    struct transfer *transfer = arg;

    (void)data;
    transfer->head_len += size * n;
    if (transfer->head_len > LIMIT_HTTP_HEAD) {
        transfer->is_over_limit = true;
        return 0;
    }
    return size * n;
}

/* The body, straight from the call. There is no way back on purpose: when a kept connection breaks
 * under a request, curl would send it again on another, unasked, though it may have been applied. A
 * body that cannot be rewound makes it an error of the call. */
static size_t give_body(char *out, size_t size, size_t n, void *arg) {
    struct transfer *transfer = arg;
    const struct buf *body = &transfer->call->body;
    size_t left = body->len - transfer->sent;
    size_t len = left < size * n ? left : size * n;

    if (len > 0) {
        memcpy(out, body->data + transfer->sent, len);
        transfer->sent += len;
    }
    return len;
}

/* Called when a connection stands and nothing of this request has been written to it, and never
 * again before it is. */
static int note_begin(void *arg, char *local_ip, char *remote_ip, int local_port, int remote_port) {
    struct transfer *transfer = arg;

    (void)local_ip, (void)remote_ip, (void)local_port, (void)remote_port;
    transfer->is_begun = true;
    return CURL_PREREQFUNC_OK;
}

static bool set_blob(CURL *easy, CURLoption option, const struct buf *bytes) {
    struct curl_blob blob = {.data = bytes->data, .len = bytes->len, .flags = CURL_BLOB_COPY};

    return curl_easy_setopt(easy, option, &blob) == CURLE_OK;
}

/* A connection that was made with another certificate or authority is not used with this one. */
static bool transfer_set_identity(const struct peer_client *client, struct transfer *transfer) {
    if (transfer->identity == client->identity_number) {
        return true;
    }
    transfer->identity = client->identity_number;
    return set_blob(transfer->easy, CURLOPT_CAINFO_BLOB, &client->identity->ca) &&
           set_blob(transfer->easy, CURLOPT_SSLCERT_BLOB, &client->identity->cert) &&
           set_blob(transfer->easy, CURLOPT_SSLKEY_BLOB, &client->identity->key);
}

static bool transfer_set_security(CURL *easy) {
    /* The built-in CA file and folder must go, or every public authority would be trusted besides
       ours. No resumed sessions and no cached authorities: each new connection verifies anew, so
       that changed certificates count at once. */
    return curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK;
}

static bool transfer_set_protocol(CURL *easy) {
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)CONNECTION_IDLE_S) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)LIMIT_PEER_CONNECT_MS) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)LIMIT_PEER_BODY) ==
               CURLE_OK;
}

static bool transfer_set_callbacks(struct transfer *transfer) {
    return curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, transfer->error) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_PREREQFUNCTION, note_begin) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_PREREQDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_READFUNCTION, give_body) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_READDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_HEADERFUNCTION, take_head) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_HEADERDATA, transfer) == CURLE_OK;
}

static void transfer_free(struct transfer *transfer) {
    if (transfer->easy != NULL) {
        curl_easy_cleanup(transfer->easy);
    }
    curl_slist_free_all(transfer->headers);
    curl_slist_free_all(transfer->connect_to);
    free(transfer);
}

static struct transfer *transfer_new(void) {
    struct transfer *transfer = calloc(1, sizeof(*transfer));

    if (transfer == NULL) {
        return NULL;
    }
    transfer->easy = curl_easy_init();
    if (transfer->easy == NULL || !transfer_set_security(transfer->easy) ||
        !transfer_set_protocol(transfer->easy) || !transfer_set_callbacks(transfer)) {
        transfer_free(transfer);
        return NULL;
    }
    return transfer;
}

static struct transfer *transfer_take(struct peer_client *client) {
    struct transfer *transfer = client->idle;

    if (transfer == NULL) {
        return transfer_new();
    }
    client->idle = transfer->next_idle;
    client->n_idle--;
    transfer->next_idle = NULL;
    return transfer;
}

static void transfer_give_back(struct peer_client *client, struct transfer *transfer) {
    curl_slist_free_all(transfer->headers);
    curl_slist_free_all(transfer->connect_to);
    transfer->headers = NULL;
    transfer->connect_to = NULL;
    transfer->call = NULL;
    if (client->n_idle >= IDLE_TRANSFERS) {
        transfer_free(transfer);
        return;
    }
    transfer->next_idle = client->idle;
    client->idle = transfer;
    client->n_idle++;
}

/* The head fields of one call. "Expect:" without a value takes curl's own away: waiting for a 100
 * would cost a round. */
static bool transfer_set_headers(struct transfer *transfer, const char *content_type) {
    char line[256];
    struct curl_slist *list;
    int len = snprintf(line, sizeof(line), "Content-Type: %s", content_type);

    if (len < 0 || (size_t)len >= sizeof(line)) {
        return false;
    }
    transfer->headers = curl_slist_append(NULL, line);
    if (transfer->headers == NULL) {
        return false;
    }
    list = curl_slist_append(transfer->headers, "Expect:");
    return list != NULL &&
           curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK;
}

/* Connections that stood before the last reload are not used any more: by their age, which curl
 * counts in whole seconds, so that the youngest of them may be for two more. */
static long connection_age_s(const struct peer_client *client) {
    uint64_t reloaded_ms = atomic_load(&client->reloaded_ms);
    uint64_t age_s;

    if (reloaded_ms == 0) {
        return 0; /* any */
    }
    age_s = (world_mono_ms(world_system()) - reloaded_ms) / 1000;
    return age_s == 0 ? 1 : age_s > INT32_MAX ? INT32_MAX : (long)age_s;
}

/* What is of one attempt: whom to connect to, and for how long. */
static bool transfer_set_route(const struct peer_client *client, struct transfer *transfer,
                               const struct route *route) {
    char url[1024];
    char line[ROUTE_NAME + ROUTE_ADDRESS + 64];
    uint64_t now_ms = world_mono_ms(world_system());
    int len = snprintf(url, sizeof(url), "https://%s.redoubt:%u%s", route->name, route->port,
                       transfer->call->path);

    if (len < 0 || (size_t)len >= sizeof(url) || now_ms >= transfer->deadline_ms) {
        return false;
    }
    len = snprintf(line, sizeof(line), "%s.redoubt:%u:%s:%u", route->name, route->port, route->host,
                   route->port);
    CHECK(len > 0 && (size_t)len < sizeof(line));
    curl_slist_free_all(transfer->connect_to);
    transfer->connect_to = curl_slist_append(NULL, line);
    transfer->error[0] = '\0';
    return transfer->connect_to != NULL && transfer_set_identity(client, transfer) &&
           curl_easy_setopt(transfer->easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_CONNECT_TO, transfer->connect_to) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_MAXLIFETIME_CONN, connection_age_s(client)) ==
               CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS,
                            (long)(transfer->deadline_ms - now_ms)) == CURLE_OK;
}

static bool transfer_set_call(struct transfer *transfer, struct peer_call *call) {
    unsigned timeout_ms = call->timeout_ms == 0 ? LIMIT_PEER_CALL_MS : call->timeout_ms;

    transfer->call = call;
    transfer->sent = 0;
    transfer->head_len = 0;
    transfer->is_over_limit = false;
    transfer->is_begun = false;
    transfer->region = NULL;
    transfer->tried = 0;
    transfer->deadline_ms = world_mono_ms(world_system()) + timeout_ms;
    return transfer_set_headers(transfer, call->content_type) &&
           curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t)call->body.len) == CURLE_OK;
}

/* ---- Calls ---- */

/* The one place where a call ends. */
static void call_complete(struct peer_client *client, struct peer_call *call, enum errc code,
                          bool is_unsent, int status, const char *error) {
    buf_fini(&call->body);
    if (code != OK) {
        buf_fini(&call->response);
    }
    call->code = code;
    call->is_unsent = code != OK && is_unsent;
    call->status = status;
    (void)snprintf(call->error, sizeof(call->error), "%s", error);
    (void)atomic_fetch_sub(&client->n_calls, 1);
    metric_add(METRIC_PEER_CALLS, -1);
    metric_add_at(METRIC_PEER_CALLS_DONE, code == OK ? METRIC_OUTCOME_OK : METRIC_OUTCOME_FAILED,
                  1);
    call->done_cb(call);
}

/* False: the node is not known any more. */
static bool find_route(struct peer_client *client, struct transfer *transfer, struct route *ret) {
    const struct peer_call *call = transfer->call;

    if (call->node != 0) {
        return routes_to_node(&client->routes, call->node, ret);
    }
    transfer->region = routes_find_region(&client->routes, call->region);
    CHECK(transfer->region != NULL);
    transfer->first = transfer->region->current;
    routes_to_region(transfer->region, transfer->first, ret);
    return true;
}

static bool transfer_start(struct peer_client *client, struct transfer *transfer) {
    if (curl_multi_add_handle(client->multi, transfer->easy) != CURLM_OK) {
        return false;
    }
    CHECK(client->n_active < LIMIT_PEER_CALLS);
    transfer->at = client->n_active;
    client->active[client->n_active++] = transfer;
    return true;
}

static void call_start(struct peer_client *client, struct peer_call *call) {
    struct transfer *transfer;
    struct route route;

    if (atomic_load(&call->is_cancelled)) {
        call_complete(client, call, ERR_REGION_UNREACHABLE, true, 0, "cancelled");
        return;
    }
    transfer = transfer_take(client);
    if (transfer == NULL) {
        call_complete(client, call, ERR_BUSY, true, 0, "no memory for another transfer");
        return;
    }
    if (!transfer_set_call(transfer, call)) {
        transfer_give_back(client, transfer);
        call_complete(client, call, ERR_BUSY, true, 0, "the transfer cannot be set up");
        return;
    }
    if (!find_route(client, transfer, &route)) {
        transfer_give_back(client, transfer);
        call_complete(client, call, ERR_REGION_UNREACHABLE, true, 0, "the node is not known");
        return;
    }
    if (!transfer_set_route(client, transfer, &route) || !transfer_start(client, transfer)) {
        transfer_give_back(client, transfer);
        call_complete(client, call, ERR_BUSY, true, 0, "the transfer cannot be set up");
    }
}

/* The region has another address, and no part of the request can be on the other side. */
static bool start_at_next_address(struct peer_client *client, struct transfer *transfer) {
    struct route route;

    if (transfer->is_begun || transfer->region == NULL ||
        transfer->tried + 1 >= transfer->region->n) {
        return false;
    }
    transfer->tried++;
    routes_to_region(transfer->region, transfer->first + transfer->tried, &route);
    return transfer_set_route(client, transfer, &route) && transfer_start(client, transfer);
}

/* Off the multi handle and the list of active ones; the caller completes the call. */
static struct peer_call *transfer_detach(struct peer_client *client, struct transfer *transfer) {
    struct peer_call *call = transfer->call;

    CHECK(client->active[transfer->at] == transfer);
    client->n_active--;
    client->active[transfer->at] = client->active[client->n_active];
    client->active[transfer->at]->at = transfer->at;
    CHECK(curl_multi_remove_handle(client->multi, transfer->easy) == CURLM_OK);
    return call;
}

static void transfer_end(struct peer_client *client, struct transfer *transfer, CURLcode result) {
    char error[CURL_ERROR_SIZE];
    long status = 0;
    enum errc code = ERR_REGION_UNREACHABLE;
    struct peer_call *call = transfer_detach(client, transfer);

    bool is_unsent = !transfer->is_begun;

    if (result != CURLE_OK && start_at_next_address(client, transfer)) {
        return;
    }
    if (transfer->is_begun && transfer->region != NULL) {
        transfer->region->current = (transfer->first + transfer->tried) % transfer->region->n;
    }
    error[0] = '\0';
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (transfer->is_over_limit || result == CURLE_FILESIZE_EXCEEDED) {
        (void)snprintf(error, sizeof(error), "the answer is over the limit");
    } else if (result != CURLE_OK) {
        (void)snprintf(error, sizeof(error), "%s",
                       transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(result));
    } else if (status >= 100 && status <= 999) {
        code = OK;
    } else {
        (void)snprintf(error, sizeof(error), "the answer is not HTTP");
    }
    transfer_give_back(client, transfer);
    call_complete(client, call, code, is_unsent, code == OK ? (int)status : 0, error);
}

static void take_identity(struct peer_client *client) {
    struct peer_identity *fresh = atomic_exchange(&client->fresh, NULL);

    if (fresh != NULL) {
        peer_identity_free(client->identity);
        client->identity = fresh;
        client->identity_number++;
    }
}

static void start_calls(struct peer_client *client) {
    struct letter *letter = mailbox_drain(client->box);

    take_identity(client);

    while (letter != NULL) {
        struct peer_call *call = CONTAINER_OF(letter, struct peer_call, letter);
        letter = letter->next;
        call_start(client, call);
    }
}

static void end_transfers(struct peer_client *client) {
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        char *private = NULL;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CHECK(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private) == CURLE_OK);
        transfer_end(client, (struct transfer *)(void *)private, result);
    }
}

static void transfer_cancel(struct peer_client *client, struct transfer *transfer,
                            const char *why) {
    struct peer_call *call = transfer_detach(client, transfer);
    bool is_unsent = !transfer->is_begun;

    transfer_give_back(client, transfer);
    call_complete(client, call, ERR_REGION_UNREACHABLE, is_unsent, 0, why);
}

/* Behind end_transfers: what has been answered is. The last one takes the place of one that is
 * taken off. */
static void cancel_some(struct peer_client *client) {
    if (!atomic_exchange(&client->has_cancelled, false)) {
        return;
    }
    for (size_t i = client->n_active; i > 0; i--) {
        struct transfer *transfer = client->active[i - 1];
        if (atomic_load(&transfer->call->is_cancelled)) {
            transfer_cancel(client, transfer, "cancelled");
        }
    }
}

/* Everything that is admitted ends here; nobody can push any more. */
static void cancel_all(struct peer_client *client) {
    struct letter *letter = mailbox_drain(client->box);

    while (letter != NULL) {
        struct peer_call *call = CONTAINER_OF(letter, struct peer_call, letter);
        letter = letter->next;
        call_complete(client, call, ERR_REGION_UNREACHABLE, true, 0, "this node is stopping");
    }
    while (client->n_active > 0) {
        transfer_cancel(client, client->active[client->n_active - 1], "this node is stopping");
    }
    if (client->tick != NULL) {
        client->tick(client->tick_arg, NULL);
    }
}

/* ---- The thread ---- */

static void run_ticker(struct peer_client *client) {
    uint64_t now_ms = world_mono_ms(world_system());
    unsigned wait_ms = WAIT_MAX_MS;
    bool woken = atomic_exchange(&client->woken, false);

    if (client->tick != NULL && (woken || now_ms >= client->tick_due_ms)) {
        client->tick(client->tick_arg, &wait_ms);
        client->tick_due_ms = world_mono_ms(world_system()) + wait_ms;
    }
}

static int next_wait_ms(const struct peer_client *client) {
    uint64_t now_ms = world_mono_ms(world_system());

    if (atomic_load(&client->woken)) {
        return 0; /* the eventfd of that wake may be drained already */
    }
    if (client->tick == NULL || client->tick_due_ms >= now_ms + WAIT_MAX_MS) {
        return WAIT_MAX_MS;
    }
    return client->tick_due_ms <= now_ms ? 0 : (int)(client->tick_due_ms - now_ms);
}

static void wait_for_events(struct peer_client *client) {
    struct curl_waitfd box = {.fd = mailbox_fd(client->box), .events = CURL_WAIT_POLLIN};
    CURLMcode code = curl_multi_poll(client->multi, &box, 1, next_wait_ms(client), NULL);

    if (code != CURLM_OK) {
        /* Memory is out, most likely. Breathe, so that the loop does not spin. */
        struct pollfd fd = {.fd = mailbox_fd(client->box), .events = POLLIN};
        LOG_ERROR("peer_client.poll", F_STR("error", curl_multi_strerror(code)));
        (void)poll(&fd, 1, 10);
    }
}

static void *run(void *arg) {
    struct peer_client *client = arg;

    while (!atomic_load(&client->stopping)) {
        int running;
        CURLMcode code;
        /* The ticker before the mailbox: what it sends leaves in this round. */
        run_ticker(client);
        start_calls(client);
        code = curl_multi_perform(client->multi, &running);
        if (code != CURLM_OK) {
            LOG_ERROR("peer_client.perform", F_STR("error", curl_multi_strerror(code)));
        }
        end_transfers(client);
        cancel_some(client);
        wait_for_events(client);
    }
    cancel_all(client);
    return NULL;
}

/* ---- Construction ---- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_once_code;

static void curl_init(void) {
    /* What passes through curl's buffers is wiped when it is freed. */
    curl_once_code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, wipe_malloc, wipe_free, wipe_realloc,
                                          wipe_strdup, wipe_calloc);
}

static enum errc client_init(struct peer_client *client, const struct peer_client_options *options,
                             struct err *err) {
    enum errc code;

    client->ca_path = strdup(options->tls.ca_path);
    client->cert_path = strdup(options->tls.cert_path);
    client->key_path = strdup(options->tls.key_path);
    client->box = mailbox_new(LIMIT_PEER_CALLS);
    client->multi = curl_multi_init();
    if (client->ca_path == NULL || client->cert_path == NULL || client->key_path == NULL ||
        client->box == NULL || client->multi == NULL ||
        curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                          (long)LIMIT_PEER_CONNECTIONS) != CURLM_OK ||
        curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)LIMIT_PEER_CALLS) !=
            CURLM_OK ||
        curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) != CURLM_OK) {
        return err_default(err, ERR_NO_MEMORY);
    }
    code = peer_identity_read(&options->tls, &client->identity, err);
    client->identity_number = 1;
    for (size_t i = 0; i < options->n_peers && code == OK; i++) {
        code = routes_add_region(&client->routes, options->peers[i].region,
                                 options->peers[i].address, err);
    }
    return code;
}

static void client_free(struct peer_client *client) {
    while (client->idle != NULL) {
        transfer_free(transfer_take(client));
    }
    if (client->multi != NULL) {
        CHECK(curl_multi_cleanup(client->multi) == CURLM_OK);
    }
    routes_fini(&client->routes);
    mailbox_free(client->box);
    peer_identity_free(client->identity);
    peer_identity_free(atomic_load(&client->fresh));
    free(client->ca_path);
    free(client->cert_path);
    free(client->key_path);
    free(client);
}

enum errc peer_client_new(const struct peer_client_options *options, struct peer_client **ret,
                          struct err *err) {
    struct peer_client *client;
    enum errc code;

    CHECK(options->tls.ca_path != NULL && options->tls.cert_path != NULL &&
          options->tls.key_path != NULL);
    CHECK(pthread_once(&curl_once, curl_init) == 0);
    if (curl_once_code != CURLE_OK) {
        return err_set(err, ERR_NO_MEMORY, "libcurl: %s", curl_easy_strerror(curl_once_code));
    }
    client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    code = routes_init(&client->routes, options->own_region, err);
    if (code != OK) {
        free(client);
        return code;
    }
    code = client_init(client, options, err);
    if (code != OK) {
        client_free(client);
        return code;
    }
    *ret = client;
    return OK;
}

void peer_client_set_ticker(struct peer_client *client,
                            void (*tick)(void *arg, unsigned *ret_wait_ms), void *arg) {
    CHECK(!client->started);
    client->tick = tick;
    client->tick_arg = arg;
}

enum errc peer_client_start(struct peer_client *client, struct err *err) {
    sigset_t all, before;
    int failed;

    CHECK(!client->started);
    /* Signals are for the main thread; a socket that breaks under curl must not raise SIGPIPE. */
    (void)sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    failed = pthread_create(&client->thread, NULL, run, client);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (failed != 0) {
        return err_set(err, ERR_UNAVAILABLE, "no thread for calls to peers: %s", strerror(failed));
    }
    (void)pthread_setname_np(client->thread, "peers");
    client->started = true;
    return OK;
}

void peer_client_close(struct peer_client *client) {
    if (client == NULL || client->closed) {
        return;
    }
    client->closed = true;
    mailbox_close(client->box);
    atomic_store(&client->stopping, true);
    if (client->started) {
        mailbox_wake(client->box);
        CHECK(pthread_join(client->thread, NULL) == 0);
    } else {
        cancel_all(client);
    }
}

void peer_client_stop(struct peer_client *client) {
    if (client != NULL) {
        peer_client_close(client);
        client_free(client);
    }
}

/* ---- Other threads ---- */

enum errc peer_client_call(struct peer_client *client, struct peer_call *call) {
    struct route route;
    enum errc code;

    CHECK(call->done_cb != NULL && call->path != NULL && call->path[0] == '/' &&
          call->content_type != NULL);
    if (call->node != 0 ? !routes_to_node(&client->routes, call->node, &route)
                        : !routes_know(&client->routes, call->region)) {
        return ERR_INVALID_PARAMETER;
    }
    if (atomic_fetch_add(&client->n_calls, 1) >=
        (call->is_forward ? LIMIT_PEER_CALLS_FORWARDED : LIMIT_PEER_CALLS)) {
        (void)atomic_fetch_sub(&client->n_calls, 1);
        return ERR_BUSY;
    }
    metric_add(METRIC_PEER_CALLS, 1); /* the call may be over before the push returns */
    code = mailbox_push(client->box, &call->letter);
    if (code != OK) {
        metric_add(METRIC_PEER_CALLS, -1);
        (void)atomic_fetch_sub(&client->n_calls, 1);
    }
    return code;
}

void peer_client_cancel(struct peer_client *client, struct peer_call *call) {
    atomic_store(&call->is_cancelled, true);
    if (!atomic_exchange(&client->has_cancelled, true)) {
        mailbox_wake(client->box);
    }
}

void peer_client_wake(struct peer_client *client) {
    /* One write for many wakes: the flag is taken back before the ticker runs. */
    if (!atomic_exchange(&client->woken, true)) {
        mailbox_wake(client->box);
    }
}

bool peer_client_knows(const struct peer_client *client, const char *region) {
    return routes_know(&client->routes, region);
}

void peer_client_set_node(struct peer_client *client, uint64_t node, const char *address) {
    if (!routes_set_node(&client->routes, node, address)) {
        LOG_WARN("peer_client.node", F_U64("node", node), F_STR("address", address),
                 F_STR("detail", "no address of a peer door, or too many nodes"));
    }
}

void peer_client_reload(struct peer_client *client) {
    const struct tls_files files = {client->ca_path, client->cert_path, client->key_path};
    struct peer_identity *identity = NULL;
    struct err err;

    if (peer_identity_read(&files, &identity, &err) != OK) {
        LOG_ERROR("peer_client.certificate_kept", F_STR("path", client->cert_path),
                  F_STR("error", err.message));
        return;
    }
    peer_identity_free(atomic_exchange(&client->fresh, identity));
    atomic_store(&client->reloaded_ms, world_mono_ms(world_system()));
}
