#include "api/http_response.h"

#include "api/http_chars.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void http_date_line(int64_t unix_s, char out[HTTP_DATE_LINE]) {
    /* Not strftime, whose names follow the locale. */
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)unix_s;
    struct tm tm;

    CHECK(gmtime_r(&seconds, &tm) != NULL);
    (void)snprintf(out, HTTP_DATE_LINE, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                   days[tm.tm_wday], tm.tm_mday % 100, months[tm.tm_mon],
                   (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
}

static const char *status_reason(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 417:
        return "Expectation Failed";
    case 421:
        return "Misdirected Request";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Unknown";
    }
}

bool http_response_has_body(int status, const char *method) {
    return status >= 200 && status != 204 && status != 304 && strcmp(method, "HEAD") != 0;
}

/* Not buf_printf: heads are written once a request. */
static void append_number(struct buf *out, size_t value) {
    char digits[24];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_append(out, digits + at, sizeof(digits) - at);
}

static void append_connection(struct buf *out, bool close) {
    buf_append_str(out, close ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
}

void http_response_head(struct buf *out, const struct http_response *response,
                        const char *date_line, bool close) {
    CHECK(response->status >= 200 && response->status <= 999);
    buf_append_str(out, "HTTP/1.1 ");
    append_number(out, (size_t)response->status);
    buf_append_u8(out, ' ');
    buf_append_str(out, status_reason(response->status));
    buf_append_str(out, "\r\n");
    buf_append_str(out, date_line);
    if (response->content_type != NULL) {
        buf_append_str(out, "Content-Type: ");
        buf_append_str(out, response->content_type);
        buf_append_str(out, "\r\n");
    }
    /* A 204 has no length (RFC 9110, 8.6), a 304 would have to tell that of the 200. An answer to
     * HEAD tells the length of what a GET would get. */
    if (response->status != 204 && response->status != 304) {
        buf_append_str(out, "Content-Length: ");
        append_number(out, response->body_len);
        buf_append_str(out, "\r\n");
    }
    append_connection(out, close);
    if (response->headers != NULL) {
        buf_append_str(out, response->headers);
    }
    buf_append_str(out, "\r\n");
}

/* --- responses that another node made --- */

struct raw_facts {
    unsigned lengths;
    unsigned codings;
    uint64_t length;
};

/* "HTTP/1.x NNN", perhaps with a reason. */
static bool raw_status_line(struct buf *out, const char *line, size_t len, int *ret_status) {
    if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') ||
        line[8] != ' ' || (len > 12 && line[12] != ' ') || !is_value(line, len)) {
        return false;
    }
    *ret_status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (!is_digit((uint8_t)line[i])) {
            return false;
        }
        *ret_status = *ret_status * 10 + line[i] - '0';
    }
    /* An interim answer is not a complete response. */
    if (*ret_status < 200) {
        return false;
    }
    buf_append_str(out, "HTTP/1.1");
    buf_append(out, line + 8, len - 8);
    buf_append_str(out, "\r\n");
    return true;
}

static bool raw_length(const char *text, size_t len, struct raw_facts *facts) {
    uint64_t value = 0;

    if (len == 0 || len > 18 || ++facts->lengths > 1) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_digit((uint8_t)text[i])) {
            return false;
        }
        value = value * 10 + (uint64_t)text[i] - '0';
    }
    facts->length = value;
    return true;
}

static bool raw_header(struct buf *out, const char *line, size_t len, struct raw_facts *facts) {
    static const char *const of_one_connection[] = {"connection", "keep-alive", "proxy-connection",
                                                    "upgrade",    "te",         "trailer"};
    const char *colon = memchr(line, ':', len);
    const char *value;
    size_t name_len;
    size_t value_len;

    if (colon == NULL || !is_token(line, (size_t)(colon - line)) || !is_value(line, len)) {
        return false;
    }
    name_len = (size_t)(colon - line);
    value = colon + 1;
    value_len = len - name_len - 1;
    text_trim(&value, &value_len);
    for (size_t i = 0; i < ARRAY_LEN(of_one_connection); i++) {
        if (text_is(line, name_len, of_one_connection[i], strlen(of_one_connection[i]))) {
            return true;
        }
    }
    if (text_is(line, name_len, "content-length", strlen("content-length")) &&
        !raw_length(value, value_len, facts)) {
        return false;
    }
    facts->codings += text_is(line, name_len, "transfer-encoding", strlen("transfer-encoding"));
    buf_append(out, line, len);
    buf_append_str(out, "\r\n");
    return true;
}

bool http_raw_begin(struct buf *out, const uint8_t *data, size_t len, const char *method,
                    struct http_raw_response *ret) {
    const char *line = (const char *)data;
    const char *end = line + len;
    struct raw_facts facts = {0};
    int status = 0;
    size_t body_len;

    for (bool first = true;; first = false) {
        const char *lf = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
        size_t line_len;
        if (lf == NULL || lf == line || lf[-1] != '\r') {
            return false;
        }
        line_len = (size_t)(lf - line) - 1;
        if (line_len == 0 && !first) {
            line = lf + 1;
            break;
        }
        if (first ? !raw_status_line(out, line, line_len, &status)
                  : !raw_header(out, line, line_len, &facts)) {
            return false;
        }
        line = lf + 1;
    }
    if (out->failed || (facts.codings > 0 && facts.lengths > 0)) {
        return false;
    }
    body_len = (size_t)(end - line);
    *ret = (struct http_raw_response){.status = status};
    if (http_response_has_body(status, method)) {
        ret->body = (const uint8_t *)line;
        ret->body_len = body_len;
        ret->sound = facts.lengths == 1 && facts.length == body_len;
    } else {
        ret->sound = facts.codings == 0;
    }
    return true;
}

void http_raw_end(struct buf *out, bool close) {
    append_connection(out, close);
    buf_append_str(out, "\r\n");
}
