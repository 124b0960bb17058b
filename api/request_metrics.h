/* What requests are counted as: by operation and by the error that the client saw. */
#ifndef API_REQUEST_METRICS_H
#define API_REQUEST_METRICS_H

#include "api/request_state.h"
#include "base/metrics.h"

/* The names of the operations become labels. Once, before the doors open. */
void request_metrics_init(void);
/* Its answer is decided; it took `us`. */
void request_count(const struct request *request, uint64_t us);

#endif
