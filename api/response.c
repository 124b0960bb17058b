#include "api/response.h"

#include "api/http_response.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RESPONSE_TYPE "application/x-amz-json-1.1"

enum { HEADERS_MAX = 512 };

static void headers_write(char out[HEADERS_MAX], const struct response *response) {
    int len = snprintf(out, HEADERS_MAX, "x-amzn-RequestId: %s\r\n", response->request_id);

    if (response->error_type != NULL) {
        len += snprintf(out + len, HEADERS_MAX - (size_t)len, "x-amzn-ErrorType: %s\r\n",
                        response->error_type);
    }
    if (response->is_stale) {
        len += snprintf(out + len, HEADERS_MAX - (size_t)len,
                        "x-redoubt-consistency: stale\r\nx-redoubt-applied-index: %" PRIu64
                        "\r\nx-redoubt-age-ms: ",
                        response->applied);
        len += response->age_ms == UINT64_MAX
                   ? snprintf(out + len, HEADERS_MAX - (size_t)len, "unknown\r\n")
                   : snprintf(out + len, HEADERS_MAX - (size_t)len, "%" PRIu64 "\r\n",
                              response->age_ms);
    }
    CHECK(len > 0 && len < HEADERS_MAX); /* a UUID, a name of err.def and two numbers */
}

static void http_form(const struct response *response, const char *headers,
                      struct http_response *ret) {
    *ret = (struct http_response){.status = response->status,
                                  .content_type = RESPONSE_TYPE,
                                  .headers = headers,
                                  .body = response->body,
                                  .body_len = response->body_len};
}

void response_write(struct buf *out, int64_t now_ms, const struct response *response) {
    char headers[HEADERS_MAX];
    char date[HTTP_DATE_LINE];
    struct http_response form;

    headers_write(headers, response);
    http_date_line(now_ms / 1000, date);
    http_form(response, headers, &form);
    http_response_head(out, &form, date, false);
    buf_append(out, response->body, response->body_len);
}

void response_send_raw(struct exchange *exchange, const uint8_t *data, size_t len) {
    const struct http_response answer = {
        .status = 200, .content_type = "application/octet-stream", .body = data, .body_len = len};

    exchange_reply(exchange, &answer);
}

static void send_raw(struct exchange *exchange, const struct world *world,
                     const struct response *response) {
    struct buf raw;

    buf_init(&raw, LIMIT_PEER_BODY);
    response_write(&raw, world_wall_ms(world), response);
    if (raw.failed) {
        response_send_text(exchange, 503, "out of memory");
    } else {
        response_send_raw(exchange, raw.data, raw.len);
    }
    buf_fini(&raw);
}

void response_send(struct exchange *exchange, bool raw, const struct world *world,
                   const struct response *response) {
    char headers[HEADERS_MAX];
    struct http_response form;

    if (raw) {
        send_raw(exchange, world, response);
        return;
    }
    headers_write(headers, response);
    http_form(response, headers, &form);
    exchange_reply(exchange, &form);
}

void response_send_text(struct exchange *exchange, int status, const char *text) {
    const struct http_response answer = {.status = status,
                                         .content_type = "text/plain",
                                         .body = (const uint8_t *)text,
                                         .body_len = strlen(text)};

    exchange_reply(exchange, &answer);
}
