/* The status of one link, derived and never stored. Pure. Source: AWS_BEHAVIOUR 4.3; invariant 4.
 */
#ifndef MODEL_REPLICATION_STATUS_H
#define MODEL_REPLICATION_STATUS_H

#include <stdint.h>

enum link_status { LINK_IN_PROGRESS = 0, LINK_IN_SYNC = 1, LINK_FAILED = 2 };

/* `failure` is a verdict number, 0 for none. Failed if something failed; InSync only when the
 * replica has acknowledged the primary's latest revision. */
enum link_status link_status(uint32_t failure, uint64_t acked_revision, uint64_t revision);
/* "InProgress", "InSync", "Failed". */
const char *link_status_name(enum link_status status);

#endif
