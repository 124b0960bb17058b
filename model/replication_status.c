#include "model/replication_status.h"

enum link_status link_status(uint32_t failure, uint64_t acked_revision, uint64_t revision) {
    if (failure != 0) {
        return LINK_FAILED;
    }
    return acked_revision == revision ? LINK_IN_SYNC : LINK_IN_PROGRESS;
}

const char *link_status_name(enum link_status status) {
    switch (status) {
    case LINK_IN_PROGRESS:
        return "InProgress";
    case LINK_IN_SYNC:
        return "InSync";
    case LINK_FAILED:
        return "Failed";
    }
    /* A number from outside that is no status: never claim more than we know. */
    return "InProgress";
}
