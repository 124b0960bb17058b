#include "api/request_metrics.h"

#include "api/error_body.h"

/* The last place of the dimension, behind all operations. */
enum { OPERATION_NONE = 47 };

void request_metrics_init(void) {
    CHECK(op_table_len <= OPERATION_NONE);
    for (unsigned i = 0; i < op_table_len; i++) {
        metrics_label(METRIC_BY_OPERATION, i, op_table[i]->name);
    }
    metrics_label(METRIC_BY_OPERATION, OPERATION_NONE, "none");
}

static unsigned operation_place(const struct op *op) {
    for (unsigned i = 0; i < op_table_len; i++) {
        if (op_table[i] == op) {
            return i;
        }
    }
    return OPERATION_NONE;
}

void request_count(const struct request *request, uint64_t us) {
    enum errc code = request->code == OK ? OK : error_public(request->code);
    unsigned operation;

    metric_add(METRIC_REQUESTS_RUNNING, -1);
    if (code == OK && request->call != NULL) { /* another node's answer */
        metric_add_at(METRIC_REQUESTS_FORWARDED, METRIC_OUTCOME_OK, 1);
        metric_observe_us(METRIC_FORWARD_SECONDS, us);
        return;
    }
    if (request->call != NULL) {
        metric_add_at(METRIC_REQUESTS_FORWARDED, METRIC_OUTCOME_FAILED, 1);
    }
    if (request->from == FROM_NODE && code != OK && request->code == ERR_NOT_LEADER) {
        return; /* nothing happened, and no client sees it: that node asks again */
    }
    operation = operation_place(request->op);
    metric_add_at2(METRIC_REQUESTS, operation, metric_code(code), 1);
    metric_observe_us_at(METRIC_REQUEST_SECONDS, operation, us);
    if (code != OK && errc_http_status(code) >= 500) {
        metric_add_at(METRIC_REQUESTS_UNSERVED, metric_reason(request->code), 1);
    }
}
