#include "server/admin_client.h"

#include "api/admin_wire.h"
#include "base/limits.h"
#include "base/local_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = LIMIT_ADMIN_MS + 10 * 1000, STATUS_AT = 9 };

bool admin_client_path(const char *data, char *out, size_t size) {
    return snprintf(out, size, "%s/admin.sock", data) < (int)size;
}

static enum errc send_all(int fd, const struct buf *bytes, struct err *err) {
    size_t at = 0;

    while (at < bytes->len) {
        ssize_t n = send(fd, bytes->data + at, bytes->len - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return err_set(err, ERR_IO, "the server does not read: %s", strerror(errno));
        }
        at += (size_t)n;
    }
    return OK;
}

/* All that comes until the server closes, as it was asked to. */
static enum errc receive_all(int fd, struct buf *bytes, struct err *err) {
    for (;;) {
        uint8_t piece[8192];
        ssize_t n = recv(fd, piece, sizeof(piece), 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set(err, ERR_OUTCOME_UNKNOWN, "the server does not answer: %s",
                           strerror(errno));
        }
        if (n == 0) {
            return OK;
        }
        buf_append(bytes, piece, (size_t)n);
        if (bytes->failed) {
            return err_set(err, ERR_MALFORMED, "the server's answer is too long");
        }
    }
}

/* "HTTP/1.1 NNN ...", head, empty line, body of Content-Length bytes. */
static enum errc take_answer(const struct buf *bytes, struct buf *answer, int *ret_status,
                             struct err *err) {
    static const char version[] = "HTTP/1.1 ";
    static const char length_name[] = "\r\nContent-Length: ";
    const char *text = (const char *)bytes->data;
    const char *end = bytes->len > 0 ? memmem(text, bytes->len, "\r\n\r\n", 4) : NULL;
    const char *length;
    size_t body_len, head_len;

    if (end == NULL || bytes->len < STATUS_AT + 3 ||
        memcmp(text, version, sizeof(version) - 1) != 0) {
        return err_set(err, ERR_OUTCOME_UNKNOWN, "the server ended before it answered");
    }
    head_len = (size_t)(end - text) + 4;
    length = memmem(text, head_len, length_name, sizeof(length_name) - 1);
    body_len = length != NULL ? strtoul(length + sizeof(length_name) - 1, NULL, 10) : 0;
    if (bytes->len - head_len != body_len) {
        return err_set(err, ERR_OUTCOME_UNKNOWN, "the server's answer is not complete");
    }
    *ret_status = (int)strtol(text + STATUS_AT, NULL, 10);
    buf_append(answer, end + 4, body_len);
    return answer->failed ? err_default(err, ERR_NO_MEMORY) : OK;
}

void admin_client_reason(const struct buf *answer, char *out, size_t size) {
    struct buf reason;

    buf_init(&reason, size);
    if (admin_text_read(answer->data, answer->len, "reason", &reason) == OK) {
        (void)snprintf(out, size, "%.*s", (int)reason.len, (const char *)reason.data);
    } else {
        (void)snprintf(out, size, "%.*s", (int)(answer->len < size ? answer->len : size - 1),
                       answer->len > 0 ? (const char *)answer->data : "");
    }
    buf_fini(&reason);
}

static enum errc exchange(int fd, const struct buf *request, struct buf *answer, int *ret_status,
                          struct err *err) {
    char reason[512];
    struct buf bytes;
    enum errc code = send_all(fd, request, err);

    buf_init(&bytes, ADMIN_ANSWER_MAX);
    if (code == OK) {
        code = receive_all(fd, &bytes, err);
    }
    if (code == OK) {
        code = take_answer(&bytes, answer, ret_status, err);
    }
    if (code == OK && *ret_status / 100 != 2) {
        admin_client_reason(answer, reason, sizeof(reason));
        code = err_set(err, ERR_INVALID_REQUEST, "%s", reason);
    }
    buf_fini(&bytes);
    return code;
}

enum errc admin_client_call(const char *socket_path, const char *method, const char *path,
                            const struct buf *body, struct buf *answer, int *ret_status,
                            struct err *err) {
    struct buf request;
    enum errc code;
    int fd = -1;

    *ret_status = 0;
    buf_init(answer, ADMIN_ANSWER_MAX);
    code = local_socket_connect(socket_path, PATIENCE_MS, &fd, err);
    if (code != OK) {
        return code;
    }
    buf_init(&request, 2 * LIMIT_ADMIN_BODY);
    buf_printf(&request,
               "%s %s HTTP/1.1\r\nHost: local\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
               method, path, body != NULL ? body->len : 0);
    if (body != NULL) {
        buf_append(&request, body->data, body->len);
    }
    code = request.failed ? err_default(err, ERR_NO_MEMORY)
                          : exchange(fd, &request, answer, ret_status, err);
    buf_fini(&request);
    (void)close(fd);
    return code;
}
