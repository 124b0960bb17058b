/* What a node tells of itself, to whom runs it: a door of its own for metrics and status.
 *
 *   GET /metrics   Prometheus' text (base/metrics.def)
 *   GET /status    JSON: the node, its group, its log, its disk
 *   and what api/health.h answers, with reasons
 *
 * Nothing here names a secret or an account. The door has no TLS and asks for no credentials: it
 * listens on loopback, unless the operator says otherwise. */
#ifndef API_TELEMETRY_H
#define API_TELEMETRY_H

#include "api/request.h"
#include "base/metrics.h"

#include <stdatomic.h>

/* Paths of certificates by METRIC_CERTIFICATE_...; NULL: there is none. */
enum { TELEMETRY_CERTIFICATES = 3 };

struct telemetry {
    const struct service *service;     /* borrowed, as the rest */
    const struct installer *installer; /* NULL: none */
    const char *data;                  /* folder whose disk is watched */
    const char *certificates[TELEMETRY_CERTIFICATES];
    _Atomic int64_t expiry[TELEMETRY_CERTIFICATES]; /* seconds since 1970; 0: not known */
    bool is_open;
};

/* Names the labels, reads the certificates, registers the collector. The service must be filled,
 * and its node run until telemetry_close. ERR_BUSY: too many collectors. */
MUSTCHECK enum errc telemetry_open(struct telemetry *telemetry, struct err *err);
/* Takes one that was not opened, too. */
void telemetry_close(struct telemetry *telemetry);
/* Reads the certificates again. Any thread. */
void telemetry_reload(struct telemetry *telemetry);

/* exchange_handler_fn of the door; `telemetry` is a struct telemetry. */
void telemetry_handle(struct exchange *exchange, void *telemetry);

/* --- for each other and for tests --- */

struct telemetry_disk {
    uint64_t free_bytes; /* for us; UINT64_MAX: not known */
    uint64_t size_bytes;
};
void telemetry_disk(const char *folder, struct telemetry_disk *ret);
/* Sets the gauges of the process; when it started, once: worked out again it would differ by some
 * milliseconds. */
void telemetry_process(void);
void telemetry_process_start(void);
/* The body of /status; appended. */
void telemetry_status_write(struct buf *out, const struct telemetry *telemetry,
                            const struct node_status *status, const struct telemetry_disk *disk);

#endif
