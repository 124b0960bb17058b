#include "api/telemetry.h"

#include "api/health.h"
#include "api/request_metrics.h"
#include "api/response.h"
#include "base/log.h"
#include "crypto/tls.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

enum { NODE_TEXT = 17, STATUS_MAX = 256 * 1024 };

static void node_text(uint64_t id, char out[NODE_TEXT]) {
    (void)snprintf(out, NODE_TEXT, "%016" PRIx64, id);
}

void telemetry_disk(const char *folder, struct telemetry_disk *ret) {
    struct statvfs fs;

    *ret = (struct telemetry_disk){.free_bytes = UINT64_MAX};
    if (folder != NULL && statvfs(folder, &fs) == 0) {
        ret->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
        ret->size_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    }
}

/* --- the collector --- */

static void collect_members(const struct node_status *status) {
    static const enum metric gauges[] = {METRIC_MEMBER_LIVE, METRIC_MEMBER_MATCH,
                                         METRIC_MEMBER_INSTALLING, METRIC_MEMBER_CONNECTED,
                                         METRIC_MEMBER_QUEUE};
    bool leads = strcmp(status->role, "leader") == 0;
    int64_t voters = 0, live = 0;

    for (size_t i = 0; i < ARRAY_LEN(gauges); i++) {
        metric_unset(gauges[i]);
    }
    for (unsigned i = 0; i < LIMIT_PEERS; i++) {
        const struct node_member *member = &status->members[i];
        char text[NODE_TEXT];
        if (i >= status->n_members) {
            metrics_label(METRIC_BY_MEMBER, i, NULL);
            continue;
        }
        node_text(member->id, text);
        metrics_label(METRIC_BY_MEMBER, i, text);
        voters += member->is_voter ? 1 : 0;
        live += member->is_voter && (member->is_live || member->is_self) ? 1 : 0;
        metric_set_at(METRIC_MEMBER_LIVE, i, member->is_live || member->is_self);
        metric_set_at(METRIC_MEMBER_INSTALLING, i, member->is_installing);
        if (leads) {
            metric_set_at(METRIC_MEMBER_MATCH, i, (int64_t)member->match);
        }
        if (!member->is_self) {
            metric_set_at(METRIC_MEMBER_CONNECTED, i, member->is_connected);
            metric_set_at(METRIC_MEMBER_QUEUE, i, (int64_t)member->queued_bytes);
        }
        metric_set_at(METRIC_MEMBER_DROPPED, i, (int64_t)member->dropped);
    }
    metric_set(METRIC_RAFT_MEMBERS, (int64_t)status->n_members);
    metric_set(METRIC_RAFT_VOTERS, voters);
    metric_unset(METRIC_RAFT_VOTERS_LIVE);
    if (leads) {
        metric_set(METRIC_RAFT_VOTERS_LIVE, live);
    }
}

static void collect_node(const struct node_status *status) {
    static const char *const roles[] = {[METRIC_ROLE_FOLLOWER] = "follower",
                                        [METRIC_ROLE_CANDIDATE] = "candidate",
                                        [METRIC_ROLE_LEADER] = "leader"};

    for (unsigned i = 0; i < ARRAY_LEN(roles); i++) {
        metric_set_at(METRIC_RAFT_ROLE, i, strcmp(status->role, roles[i]) == 0);
    }
    metric_set(METRIC_NODE_READY, status->ready);
    metric_set(METRIC_NODE_LEVEL, status->level);
    metric_set(METRIC_RAFT_TERM, (int64_t)status->term);
    metric_set(METRIC_RAFT_LEADER_KNOWN, status->leader != 0);
    metric_set(METRIC_RAFT_VOTER, status->is_voter);
    metric_set(METRIC_RAFT_COMMIT, (int64_t)status->commit);
    metric_set(METRIC_RAFT_APPLIED, (int64_t)status->applied);
    metric_set(METRIC_RAFT_LAG,
               status->commit > status->applied ? (int64_t)(status->commit - status->applied) : 0);
    metric_unset(METRIC_RAFT_AGE);
    if (status->age_ms != UINT64_MAX) {
        metric_set(METRIC_RAFT_AGE, (int64_t)status->age_ms);
    }
    metric_set(METRIC_LOG_FIRST, (int64_t)status->first);
    metric_set(METRIC_LOG_LAST, (int64_t)status->last);
    metric_set(METRIC_LOG_ENTRIES, (int64_t)(status->last + 1 - status->first));
    metric_set(METRIC_LOG_BYTES, (int64_t)status->log_bytes);
    metric_set(METRIC_SNAPSHOT_INDEX, (int64_t)status->snapshot);
    metric_set(METRIC_PROPOSALS_BYTES, (int64_t)status->queued_bytes);
    metric_set(METRIC_DISK_FULL, status->is_disk_full);
    collect_members(status);
}

static void collect_install(const struct installer *installer) {
    struct installer_status status = {.is_running = false};

    if (installer != NULL) {
        installer_status(installer, &status);
    }
    metric_set(METRIC_INSTALL_RUNNING, status.is_running);
    metric_unset(METRIC_INSTALL_BYTES);
    metric_unset(METRIC_INSTALL_SIZE);
    if (status.is_running) {
        metric_set(METRIC_INSTALL_BYTES, (int64_t)status.bytes);
        metric_set(METRIC_INSTALL_SIZE, (int64_t)status.bytes_total);
    }
}

static void collect_engine(const struct engine *engine) {
    struct engine_metrics store;

    engine_metrics(engine, &store);
    metric_set(METRIC_STORE_STOPPED, store.is_stopped);
    metric_set(METRIC_STORE_DELAYED, (int64_t)store.delayed_rate);
    metric_set(METRIC_STORE_PENDING, (int64_t)store.pending_bytes);
    metric_set(METRIC_STORE_COMPACTIONS, (int64_t)store.compactions);
    metric_set(METRIC_STORE_FLUSHES, (int64_t)store.flushes);
    metric_set(METRIC_STORE_LEVEL0, (int64_t)store.level0_files);
    metric_set(METRIC_STORE_LIVE, (int64_t)store.live_bytes);
    metric_set(METRIC_STORE_TOTAL, (int64_t)store.table_bytes);
    metric_set(METRIC_STORE_MEMTABLES, (int64_t)store.memtable_bytes);
    metric_set(METRIC_STORE_CACHE, (int64_t)store.cache_bytes);
    metric_set(METRIC_STORE_READERS, (int64_t)store.reader_bytes);
    metric_set(METRIC_STORE_ERRORS, (int64_t)store.errors);
    metric_set(METRIC_STORE_VIEWS, (int64_t)store.views);
}

static void collect(void *arg) {
    const struct telemetry *telemetry = arg;
    struct node_status status = {.role = ""};
    struct telemetry_disk disk;
    char text[NODE_TEXT];

    node_status(telemetry->service->node, &status);
    node_text(status.id, text);
    metrics_label(METRIC_BY_NODE, 0, text);
    collect_node(&status);
    collect_install(telemetry->installer);
    collect_engine(telemetry->service->engine);
    telemetry_disk(telemetry->data, &disk);
    metric_unset(METRIC_DISK_FREE);
    if (disk.free_bytes != UINT64_MAX) {
        metric_set(METRIC_DISK_FREE, (int64_t)disk.free_bytes);
        metric_set(METRIC_DISK_SIZE, (int64_t)disk.size_bytes);
    }
    metric_unset(METRIC_CERTIFICATE_EXPIRY);
    for (unsigned i = 0; i < TELEMETRY_CERTIFICATES; i++) {
        int64_t expiry = atomic_load(&telemetry->expiry[i]);
        if (expiry != 0) {
            metric_set_at(METRIC_CERTIFICATE_EXPIRY, i, expiry);
        }
    }
    telemetry_process();
}

/* --- life --- */

void telemetry_reload(struct telemetry *telemetry) {
    for (size_t i = 0; i < TELEMETRY_CERTIFICATES; i++) {
        int64_t expiry = 0;
        struct err err;
        if (telemetry->certificates[i] != NULL &&
            tls_cert_expiry(telemetry->certificates[i], &expiry, &err) != OK) {
            LOG_WARN("telemetry.certificate", F_STR("error", err.message));
            expiry = 0;
        }
        atomic_store(&telemetry->expiry[i], expiry);
    }
}

static void name_labels(const struct service *service) {
    request_metrics_init();
    for (size_t i = 0; i < command_kinds_len; i++) {
        metrics_label(METRIC_BY_COMMAND, command_kinds[i].type, command_kinds[i].name);
    }
    for (unsigned i = 0; i < service->n_peers; i++) {
        metrics_label(METRIC_BY_REGION, i, service->peer_names[i]);
    }
    metrics_label(METRIC_BY_VERSION, 0, REDOUBT_VERSION);
    metrics_label(METRIC_BY_HOME, 0, service->region);
    metric_set(METRIC_BUILD_INFO, 1);
    metric_set(METRIC_NODE_INFO, 1);
}

enum errc telemetry_open(struct telemetry *telemetry, struct err *err) {
    enum errc code;

    name_labels(telemetry->service);
    telemetry_process_start();
    telemetry_reload(telemetry);
    code = metrics_register_collector(collect, telemetry);
    if (code != OK) {
        return err_set(err, code, "too many collectors of metrics");
    }
    telemetry->is_open = true;
    return OK;
}

void telemetry_close(struct telemetry *telemetry) {
    if (telemetry->is_open) {
        metrics_unregister_collector(collect, telemetry);
        telemetry->is_open = false;
    }
}

/* --- the door --- */

/* Takes the buffer. */
static void answer(struct exchange *exchange, const char *type, struct buf *body) {
    const struct http_response response = {
        .status = 200, .content_type = type, .body = body->data, .body_len = body->len};

    if (body->failed) {
        response_send_text(exchange, 503, "out of memory\n");
    } else {
        exchange_reply(exchange, &response);
    }
    buf_fini(body);
}

static void answer_status(struct exchange *exchange, const struct telemetry *telemetry) {
    struct node_status status = {.role = ""};
    struct telemetry_disk disk;
    struct buf body;

    node_status(telemetry->service->node, &status);
    telemetry_disk(telemetry->data, &disk);
    buf_init(&body, STATUS_MAX);
    telemetry_status_write(&body, telemetry, &status, &disk);
    answer(exchange, "application/json", &body);
}

void telemetry_handle(struct exchange *exchange, void *arg) {
    const struct telemetry *telemetry = arg;
    const struct http_request *request = exchange_request(exchange);
    struct buf body;

    if (health_path_is(request, "/metrics")) {
        buf_init(&body, LIMIT_METRICS_TEXT);
        metrics_write(&body);
        answer(exchange, METRICS_CONTENT_TYPE, &body);
    } else if (health_path_is(request, "/status")) {
        answer_status(exchange, telemetry);
    } else if (!health_handle(exchange, telemetry->service, true)) {
        response_send_text(exchange, 404, "/metrics, /status, /livez, /readyz or /health\n");
    }
}
