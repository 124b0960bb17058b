#include "api/response.h"

#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RESPONSE_TYPE "application/x-amz-json-1.1"

enum { HEADERS_MAX = 512, DATE_TEXT = 32 };

static const char *reason_of(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    default:
        return status < 500 ? "Error" : "Internal Server Error";
    }
}

/* IMF-fixdate. Not strftime: its names of days follow the locale. */
static void date_text(int64_t now_ms, char out[DATE_TEXT]) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 9999 - 1900 || tm.tm_year < 0) {
        out[0] = '\0';
        return;
    }
    (void)snprintf(out, DATE_TEXT, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * tm.tm_wday,
                   (unsigned)tm.tm_mday % 100u, months + 3 * tm.tm_mon,
                   ((unsigned)tm.tm_year + 1900u) % 10000u, (unsigned)tm.tm_hour % 100u,
                   (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
}

static void headers_write(char out[HEADERS_MAX], const struct response *response) {
    int len = snprintf(out, HEADERS_MAX, "x-amzn-RequestId: %s\r\n", response->request_id);

    if (response->error_type != NULL) {
        len += snprintf(out + len, HEADERS_MAX - (size_t)len, "x-amzn-ErrorType: %s\r\n",
                        response->error_type);
    }
    if (response->has_applied) {
        len += snprintf(out + len, HEADERS_MAX - (size_t)len,
                        "x-redoubt-applied-index: %" PRIu64 "\r\n", response->applied);
    }
    CHECK(len > 0 && len < HEADERS_MAX); /* a UUID, a name of err.def and a number */
}

void response_write(struct buf *out, int64_t now_ms, const struct response *response) {
    char headers[HEADERS_MAX];
    char date[DATE_TEXT];

    headers_write(headers, response);
    date_text(now_ms, date);
    buf_printf(out,
               "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: " RESPONSE_TYPE
               "\r\nContent-Length: %zu\r\n%s\r\n",
               response->status, reason_of(response->status), date, response->body_len, headers);
    buf_append(out, response->body, response->body_len);
}

static void send_raw(struct exchange *exchange, const struct world *world,
                     const struct response *response) {
    struct buf raw;

    buf_init(&raw, LIMIT_PEER_BODY);
    response_write(&raw, world_wall_ms(world), response);
    if (raw.failed) {
        response_send_text(exchange, 503, "out of memory");
    } else {
        const struct http_response answer = {.status = 200,
                                             .content_type = "application/octet-stream",
                                             .body = raw.data,
                                             .body_len = raw.len};
        exchange_reply(exchange, &answer);
    }
    buf_fini(&raw);
}

void response_send(struct exchange *exchange, bool raw, const struct world *world,
                   const struct response *response) {
    char headers[HEADERS_MAX];
    const struct http_response answer = {.status = response->status,
                                         .content_type = RESPONSE_TYPE,
                                         .headers = headers,
                                         .body = response->body,
                                         .body_len = response->body_len};

    if (raw) {
        send_raw(exchange, world, response);
        return;
    }
    headers_write(headers, response);
    exchange_reply(exchange, &answer);
}

void response_send_text(struct exchange *exchange, int status, const char *text) {
    const struct http_response answer = {.status = status,
                                         .content_type = "text/plain",
                                         .body = (const uint8_t *)text,
                                         .body_len = strlen(text)};

    exchange_reply(exchange, &answer);
}
