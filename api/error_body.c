#include "api/error_body.h"

#include "api/json_text.h"

#include <string.h>

enum { ERRC_HOUSE_FIRST = 301 };

enum errc error_public(enum errc code) {
    if (code == ERR_NOT_LEADER) {
        return ERR_UNAVAILABLE; /* nothing happened, another try may find the leader */
    }
    if (code == ERR_NO_QUORUM || code == ERR_DISK_FULL) {
        return code; /* a retryable 5xx in plain words */
    }
    if (!errc_is_known((int)code) || (int)code >= ERRC_HOUSE_FIRST) {
        return ERR_INTERNAL_SERVICE;
    }
    return code;
}

void error_body_write(struct buf *out, enum errc code, const char *message) {
    if (code == ERR_UNKNOWN_PROTOCOL) {
        /* Nothing says how the caller wants to be spoken to: the dispatcher's own form. */
        buf_append_str(out, "{\"Output\":{\"__type\":\"com.amazon.coral.service#"
                            "UnknownOperationException\"},\"Version\":\"1.0\"}");
        return;
    }
    buf_append_str(out, "{\"__type\":\"");
    if (code == ERR_UNKNOWN_OPERATION) {
        buf_append_str(out, "com.amazon.coral.service#"); /* the dispatcher's, unlike all others */
    }
    buf_append_str(out, errc_name(code));
    buf_append_str(out, "\"");
    if (message[0] != '\0') {
        buf_append_str(out, errc_is_modelled(code) ? ",\"Message\":" : ",\"message\":");
        json_text_string(out, message, strlen(message));
    }
    buf_append_str(out, "}");
}
