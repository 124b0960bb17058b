/* The body of GET /status. */
#include "api/health.h"
#include "api/json_text.h"
#include "api/telemetry.h"

#include <inttypes.h>
#include <string.h>

static void write_text(struct buf *out, const char *key, const char *text) {
    buf_printf(out, "\"%s\":", key);
    if (text == NULL) {
        buf_append_str(out, "null");
    } else {
        json_text_string(out, text, strlen(text));
    }
}

/* Node ids are texts: a JSON number of 64 bits is not safe everywhere. */
static void write_node(struct buf *out, const char *key, uint64_t id) {
    if (id == 0) {
        buf_printf(out, "\"%s\":null", key);
    } else {
        buf_printf(out, "\"%s\":\"%016" PRIx64 "\"", key, id);
    }
}

static void write_known(struct buf *out, const char *key, uint64_t value) {
    if (value == UINT64_MAX) {
        buf_printf(out, "\"%s\":null", key);
    } else {
        buf_printf(out, "\"%s\":%" PRIu64, key, value);
    }
}

static const char *truth(bool value) {
    return value ? "true" : "false";
}

static void write_member(struct buf *out, const struct node_member *member, bool leads) {
    buf_append_u8(out, '{');
    write_node(out, "id", member->id);
    buf_append_u8(out, ',');
    write_text(out, "address", member->address);
    buf_printf(out,
               ",\"voter\":%s,\"self\":%s,\"leader\":%s,\"live\":%s,\"installing\":%s,"
               "\"disk_full\":%s,\"connected\":%s,\"level\":%u,",
               truth(member->is_voter), truth(member->is_self), truth(member->is_leader),
               truth(member->is_live || member->is_self), truth(member->is_installing),
               truth(member->is_disk_full), truth(member->is_connected), member->level_max);
    write_known(out, "match", leads ? member->match : UINT64_MAX);
    buf_append_u8(out, ',');
    write_known(out, "heard_ago_ms", member->heard_ago_ms);
    buf_append_u8(out, '}');
}

static void write_group(struct buf *out, const struct node_status *status) {
    bool leads = strcmp(status->role, "leader") == 0;

    buf_printf(out, ",\"raft\":{\"term\":%" PRIu64 ",", status->term);
    write_node(out, "leader", status->leader);
    buf_printf(out, ",\"commit\":%" PRIu64 ",\"applied\":%" PRIu64 ",\"voter\":%s,", status->commit,
               status->applied, truth(status->is_voter));
    write_known(out, "age_ms", status->age_ms);
    buf_append_str(out, ",\"members\":[");
    for (size_t i = 0; i < status->n_members; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        write_member(out, &status->members[i], leads);
    }
    buf_append_str(out, "]}");
}

static void write_certificates(struct buf *out, const struct telemetry *telemetry) {
    const char *between = "";

    buf_append_str(out, ",\"certificates\":{");
    for (unsigned i = 0; i < TELEMETRY_CERTIFICATES; i++) {
        int64_t expiry = atomic_load(&telemetry->expiry[i]);
        char name[LIMIT_METRIC_LABEL + 1];
        if (expiry != 0 && metrics_label_text(METRIC_BY_CERTIFICATE, i, name)) {
            buf_printf(out, "%s\"%s\":%" PRId64, between, name, expiry);
            between = ",";
        }
    }
    buf_append_u8(out, '}');
}

void telemetry_status_write(struct buf *out, const struct telemetry *telemetry,
                            const struct node_status *status, const struct telemetry_disk *disk) {
    buf_append_u8(out, '{');
    write_text(out, "version", REDOUBT_VERSION);
    buf_append_u8(out, ',');
    write_text(out, "region", telemetry->service->region);
    buf_append_u8(out, ',');
    write_node(out, "node", status->id);
    buf_append_u8(out, ',');
    write_text(out, "role", status->role);
    buf_printf(out, ",\"ready\":%s,", truth(status->ready));
    write_text(out, "reason", health_reason(status));
    buf_printf(out, ",\"level\":%u", status->level);
    write_group(out, status);
    buf_printf(out,
               ",\"log\":{\"first\":%" PRIu64 ",\"last\":%" PRIu64 ",\"bytes\":%" PRIu64 "}"
               ",\"snapshot\":{\"index\":%" PRIu64 ",\"installing\":%s}"
               ",\"proposals\":{\"bytes\":%" PRIu64 "}",
               status->first, status->last, status->log_bytes, status->snapshot,
               truth(status->is_installing), status->queued_bytes);
    buf_append_str(out, ",\"disk\":{");
    write_known(out, "free_bytes", disk->free_bytes);
    buf_printf(out, ",\"size_bytes\":%" PRIu64 ",\"full\":%s}", disk->size_bytes,
               truth(status->is_disk_full));
    write_certificates(out, telemetry);
    buf_append_str(out, "}\n");
}
