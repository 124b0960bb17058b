#include "api/http_parse.h"

#include "api/http_chars.h"

#include <stdlib.h>
#include <string.h>

enum {
    METHOD_MAX = 7,
    /* The longest request line that can be good: method, target, " HTTP/1.1", CRLF. */
    REQUEST_LINE_MAX = METHOD_MAX + 1 + LIMIT_HTTP_TARGET + 1 + 8 + 2,
    CHUNK_DIGITS_MAX = 8,
    /* A body that says it is no longer than this gets its memory at once; beyond, memory follows
       the bytes that really came. */
    BODY_STEP = 16 * 1024,
};

enum parse_state {
    STATE_HEAD,
    STATE_BODY, /* by Content-Length */
    STATE_CHUNK_FIRST_DIGIT,
    STATE_CHUNK_DIGITS,
    STATE_CHUNK_EXTENSION,
    STATE_CHUNK_LF,
    STATE_CHUNK_DATA,
    STATE_CHUNK_DATA_CR,
    STATE_CHUNK_DATA_LF,
    STATE_TRAILER_START,
    STATE_TRAILER_NAME,
    STATE_TRAILER_VALUE,
    STATE_TRAILER_LF,
    STATE_LAST_LF,
    STATE_DONE,
    STATE_BAD,
};

/* What the head says about itself; gathered header by header, judged at its end. */
struct head_facts {
    bool is_1_0;
    bool close;
    bool keep_alive;
    bool chunked;
    unsigned hosts;
    unsigned lengths;
    unsigned codings;
    uint64_t length;
};

struct http_parser {
    struct http_request request;
    size_t body_max;
    enum parse_state state;
    bool empty_line_skipped;
    size_t line_start; /* offset in the head of the line that is being read */
    uint64_t left;     /* bytes of the body or of the chunk that are still to come */
    unsigned digits;   /* of the chunk size */
    size_t extra;      /* bytes of extensions and trailers so far */
    int status;
    const char *reason;
};

/* `lower` is a literal. */
static bool word_is(const char *text, size_t len, const char *lower) {
    return text_is(text, len, lower, strlen(lower));
}

static bool refuse(struct http_parser *parser, int status, const char *reason) {
    parser->state = STATE_BAD;
    parser->status = status;
    parser->reason = reason;
    return false;
}

static void request_reset(struct http_parser *parser) {
    buf_init(&parser->request.head, LIMIT_HTTP_HEAD);
    buf_init(&parser->request.body, parser->body_max);
    parser->request.n_headers = 0;
    parser->state = STATE_HEAD;
    parser->empty_line_skipped = false;
    parser->line_start = 0;
    parser->left = 0;
    parser->extra = 0;
}

struct http_parser *http_parser_new(size_t body_max) {
    struct http_parser *parser = calloc(1, sizeof(*parser));

    if (parser != NULL) {
        parser->body_max = body_max;
        request_reset(parser);
    }
    return parser;
}

void http_parser_free(struct http_parser *parser) {
    if (parser != NULL) {
        http_request_fini(&parser->request);
        free(parser);
    }
}

void http_parser_set_body_max(struct http_parser *parser, size_t body_max) {
    CHECK(http_parser_is_idle(parser));
    parser->body_max = body_max;
    request_reset(parser);
}

/* --- the head, once it is complete --- */

static bool parse_target(struct http_parser *parser, const char *target, size_t len) {
    struct http_request *request = &parser->request;
    const char *query;

    if (len == 0 || target[0] != '/') {
        return refuse(parser, 400, "the target is not a path");
    }
    if (len > LIMIT_HTTP_TARGET) {
        return refuse(parser, 414, "the target is too long");
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)target[i];
        if (c <= 0x20 || c >= 0x7f || c == '#') {
            return refuse(parser, 400, "the target has a character that must be encoded");
        }
    }
    query = memchr(target, '?', len);
    request->target = target;
    request->target_len = len;
    request->path_len = query != NULL ? (size_t)(query - target) : len;
    return true;
}

static bool parse_version(struct http_parser *parser, const char *text, size_t len,
                          struct head_facts *facts) {
    bool well_formed = len == 8 && memcmp(text, "HTTP/", 5) == 0 && is_digit((uint8_t)text[5]) &&
                       text[6] == '.' && is_digit((uint8_t)text[7]);

    if (!well_formed) {
        return refuse(parser, 400, "malformed request line");
    }
    if (text[5] != '1' || text[7] > '1') {
        return refuse(parser, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    }
    facts->is_1_0 = text[7] == '0';
    return true;
}

static bool parse_request_line(struct http_parser *parser, const char *line, size_t len,
                               struct head_facts *facts) {
    const char *end = line + len;
    const char *space = memchr(line, ' ', len);
    const char *second;
    size_t method_len;

    if (space == NULL) {
        return refuse(parser, 400, "malformed request line");
    }
    method_len = (size_t)(space - line);
    if (!is_token(line, method_len)) {
        return refuse(parser, 400, "malformed method");
    }
    if (method_len > METHOD_MAX) {
        return refuse(parser, 501, "unknown method");
    }
    memcpy(parser->request.method, line, method_len);
    parser->request.method[method_len] = '\0';
    space++;
    second = memchr(space, ' ', (size_t)(end - space));
    if (second == NULL) {
        return refuse(parser, 400, "malformed request line");
    }
    return parse_target(parser, space, (size_t)(second - space)) &&
           parse_version(parser, second + 1, (size_t)(end - second - 1), facts);
}

static bool parse_length(struct http_parser *parser, const char *text, size_t len,
                         struct head_facts *facts) {
    uint64_t value = 0;

    if (len == 0 || ++facts->lengths > 1) {
        return refuse(parser, 400, "malformed Content-Length");
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_digit((uint8_t)text[i])) {
            return refuse(parser, 400, "malformed Content-Length");
        }
        /* Saturates: whatever is past the limit is refused all the same. */
        value =
            value > UINT64_MAX / 10 - 1 ? UINT64_MAX / 10 : value * 10 + (uint64_t)text[i] - '0';
    }
    facts->length = value;
    return true;
}

static bool parse_coding(struct http_parser *parser, const char *text, size_t len,
                         struct head_facts *facts) {
    if (++facts->codings > 1) {
        return refuse(parser, 400, "more than one Transfer-Encoding");
    }
    if (!word_is(text, len, "chunked")) {
        return refuse(parser, 501, "unknown transfer coding");
    }
    facts->chunked = true;
    return true;
}

static bool parse_host(struct http_parser *parser, const char *text, size_t len,
                       struct head_facts *facts) {
    facts->hosts++;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        if (!is_alnum(c) && (c == 0 || strchr("-._~:[]%!$&'()*+,;=", c) == NULL)) {
            return refuse(parser, 400, "malformed Host");
        }
    }
    return true;
}

/* A list of options; several Connection headers are one list. */
static void parse_connection(const char *text, size_t len, struct head_facts *facts) {
    const char *end = text + len;

    while (text < end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *stop = comma != NULL ? comma : end;
        size_t option_len = (size_t)(stop - text);
        text_trim(&text, &option_len);
        facts->close |= word_is(text, option_len, "close");
        facts->keep_alive |= word_is(text, option_len, "keep-alive");
        text = comma != NULL ? comma + 1 : end;
    }
}

/* The few headers that decide where the request ends and what happens to the connection. */
static bool parse_framing(struct http_parser *parser, const struct sigv4_header *header,
                          struct head_facts *facts) {
    const char *value = header->value;
    size_t len = header->value_len;

    if (word_is(header->name, header->name_len, "content-length")) {
        return parse_length(parser, value, len, facts);
    }
    if (word_is(header->name, header->name_len, "transfer-encoding")) {
        return parse_coding(parser, value, len, facts);
    }
    if (word_is(header->name, header->name_len, "host")) {
        return parse_host(parser, value, len, facts);
    }
    if (word_is(header->name, header->name_len, "connection")) {
        parse_connection(value, len, facts);
    } else if (word_is(header->name, header->name_len, "expect")) {
        if (!word_is(value, len, "100-continue")) {
            return refuse(parser, 417, "unknown expectation");
        }
        parser->request.expect_continue = true;
    }
    return true;
}

static bool parse_header(struct http_parser *parser, const char *line, size_t len,
                         struct head_facts *facts) {
    struct http_request *request = &parser->request;
    const char *colon = memchr(line, ':', len);
    const char *value;
    size_t value_len;
    struct sigv4_header *header;

    /* A folded line begins with a blank, white space before the colon is one: no token either. */
    if (colon == NULL || !is_token(line, (size_t)(colon - line))) {
        return refuse(parser, 400, "malformed header");
    }
    value = colon + 1;
    value_len = len - (size_t)(value - line);
    if (!is_value(value, value_len)) {
        return refuse(parser, 400, "a header has a control character");
    }
    text_trim(&value, &value_len);
    if (request->n_headers == LIMIT_HTTP_HEADERS) {
        return refuse(parser, 431, "too many headers");
    }
    header = &request->headers[request->n_headers++];
    *header = (struct sigv4_header){
        .name = line, .name_len = (size_t)(colon - line), .value = value, .value_len = value_len};
    return parse_framing(parser, header, facts);
}

static bool judge_head(struct http_parser *parser, const struct head_facts *facts) {
    if (facts->hosts > 1 || (facts->hosts == 0 && !facts->is_1_0)) {
        return refuse(parser, 400, "exactly one Host is needed");
    }
    if (facts->codings > 0 && (facts->lengths > 0 || facts->is_1_0)) {
        return refuse(parser, 400, "the length of the body is ambiguous");
    }
    if (facts->length > parser->body_max) {
        return refuse(parser, 413, "the body is too large");
    }
    parser->request.keep_alive = !facts->close && (!facts->is_1_0 || facts->keep_alive);
    /* HTTP/1.0 knows no interim answers. */
    parser->request.expect_continue &= !facts->is_1_0;
    parser->left = facts->length;
    if (facts->chunked) {
        parser->state = STATE_CHUNK_FIRST_DIGIT;
    } else {
        parser->state = facts->length > 0 ? STATE_BODY : STATE_DONE;
    }
    return true;
}

/* The head is complete; every line of it ends in CRLF (see feed_head). */
static bool parse_head(struct http_parser *parser) {
    struct http_request *request = &parser->request;
    const char *line = (const char *)request->head.data;
    const char *end = line + request->head.len - 2;
    struct head_facts facts = {0};
    bool ok = true;
    bool first = true;

    request->keep_alive = false;
    request->expect_continue = false;
    while (ok && line < end) {
        const char *lf = memchr(line, '\n', (size_t)(end - line));
        size_t len = (size_t)(lf - line) - 1;
        ok = first ? parse_request_line(parser, line, len, &facts)
                   : parse_header(parser, line, len, &facts);
        first = false;
        line = lf + 1;
    }
    return ok && judge_head(parser, &facts);
}

/* --- bytes --- */

/* Up to a line end or all of `data`. Returns how many bytes were taken. */
static size_t feed_head(struct http_parser *parser, const uint8_t *data, size_t len) {
    struct buf *head = &parser->request.head;
    size_t max = parser->line_start == 0 ? REQUEST_LINE_MAX : LIMIT_HTTP_HEAD;
    size_t room = max - head->len;
    size_t take = len < room ? len : room;
    const uint8_t *lf = memchr(data, '\n', take);

    if (lf != NULL) {
        take = (size_t)(lf - data) + 1;
    } else if (take < len) {
        (void)(parser->line_start == 0 ? refuse(parser, 414, "the request line is too long")
                                       : refuse(parser, 431, "the head is too long"));
        return take;
    }
    buf_append(head, data, take);
    if (head->failed) {
        (void)refuse(parser, 503, "out of memory");
        return take;
    }
    if (lf == NULL) {
        return take;
    }
    if (head->len < 2 || head->data[head->len - 2] != '\r') {
        (void)refuse(parser, 400, "a line ends in a bare LF");
    } else if (head->len - parser->line_start > 2) {
        parser->line_start = head->len;
    } else if (parser->line_start > 0) {
        (void)parse_head(parser);
    } else if (parser->empty_line_skipped) {
        (void)refuse(parser, 400, "empty lines instead of a request");
    } else {
        parser->empty_line_skipped = true;
        buf_reset(head);
    }
    return take;
}

/* Takes what belongs to the body or chunk; to `next` when it is complete. */
static size_t feed_body(struct http_parser *parser, const uint8_t *data, size_t len,
                        enum parse_state next) {
    struct buf *body = &parser->request.body;
    size_t take = len < parser->left ? len : (size_t)parser->left;

    if (body->len == 0 && parser->left <= BODY_STEP) {
        (void)!buf_reserve(body, (size_t)parser->left);
    }
    buf_append(body, data, take);
    if (body->failed) {
        (void)refuse(parser, 503, "out of memory");
        return take;
    }
    parser->left -= take;
    if (parser->left == 0) {
        parser->state = next;
    }
    return take;
}

/* 0..15, or 16 for what is no digit. */
static unsigned hex_value(uint8_t c) {
    uint8_t lower = to_lower(c);

    if (is_digit(c)) {
        return (unsigned)c - '0';
    }
    return lower >= 'a' && lower <= 'f' ? (unsigned)lower - 'a' + 10 : 16;
}

static void feed_chunk_digit(struct http_parser *parser, uint8_t c) {
    unsigned value = hex_value(c);
    bool first = parser->state == STATE_CHUNK_FIRST_DIGIT;

    if (first) {
        parser->left = 0;
        parser->digits = 0;
    }
    if (value < 16 && parser->digits < CHUNK_DIGITS_MAX) {
        parser->left = parser->left << 4 | value;
        parser->digits++;
        parser->state = STATE_CHUNK_DIGITS;
    } else if (c == '\r' && !first) {
        parser->state = STATE_CHUNK_LF;
    } else if (c == ';' && !first) {
        parser->state = STATE_CHUNK_EXTENSION;
    } else {
        (void)refuse(parser, 400, "malformed chunk size");
    }
}

/* Counts a byte of an extension or a trailer against their common limit. */
static bool count_extra(struct http_parser *parser) {
    if (++parser->extra > LIMIT_HTTP_CHUNK_EXTRA) {
        return refuse(parser, 431, "chunk extensions or trailers are too long");
    }
    return true;
}

static void feed_chunk_extension(struct http_parser *parser, uint8_t c) {
    if (c == '\r') {
        parser->state = STATE_CHUNK_LF;
    } else if (!is_value_char(c)) {
        (void)refuse(parser, 400, "a chunk extension has a control character");
    } else {
        (void)count_extra(parser);
    }
}

static void feed_chunk_lf(struct http_parser *parser, uint8_t c) {
    if (c != '\n') {
        (void)refuse(parser, 400, "malformed chunk size");
    } else if (parser->left > parser->body_max - parser->request.body.len) {
        (void)refuse(parser, 413, "the body is too large");
    } else {
        parser->state = parser->left > 0 ? STATE_CHUNK_DATA : STATE_TRAILER_START;
    }
}

/* Trailers must look like headers and are dropped: nothing after the body may change what the
 * request means. */
static void feed_trailer(struct http_parser *parser, uint8_t c) {
    bool in_value = parser->state == STATE_TRAILER_VALUE;

    if (!count_extra(parser)) {
        return;
    }
    if (c == '\r' && parser->state == STATE_TRAILER_START) {
        parser->state = STATE_LAST_LF;
    } else if (c == '\r' && in_value) {
        parser->state = STATE_TRAILER_LF;
    } else if (c == ':' && parser->state == STATE_TRAILER_NAME) {
        parser->state = STATE_TRAILER_VALUE;
    } else if (!in_value && is_token_char(c)) {
        parser->state = STATE_TRAILER_NAME;
    } else if (!in_value || !is_value_char(c)) {
        (void)refuse(parser, 400, "malformed trailer");
    }
}

static void expect(struct http_parser *parser, uint8_t c, uint8_t wanted, enum parse_state next) {
    if (c == wanted) {
        parser->state = next;
    } else {
        (void)refuse(parser, 400, "malformed chunk");
    }
}

/* One step: at least one byte of `data` (len > 0). Returns how many were taken. */
static size_t feed_some(struct http_parser *parser, const uint8_t *data, size_t len) {
    switch (parser->state) {
    case STATE_HEAD:
        return feed_head(parser, data, len);
    case STATE_BODY:
        return feed_body(parser, data, len, STATE_DONE);
    case STATE_CHUNK_DATA:
        return feed_body(parser, data, len, STATE_CHUNK_DATA_CR);
    case STATE_CHUNK_FIRST_DIGIT:
    case STATE_CHUNK_DIGITS:
        feed_chunk_digit(parser, *data);
        break;
    case STATE_CHUNK_EXTENSION:
        feed_chunk_extension(parser, *data);
        break;
    case STATE_CHUNK_LF:
        feed_chunk_lf(parser, *data);
        break;
    case STATE_CHUNK_DATA_CR:
        expect(parser, *data, '\r', STATE_CHUNK_DATA_LF);
        break;
    case STATE_CHUNK_DATA_LF:
        expect(parser, *data, '\n', STATE_CHUNK_FIRST_DIGIT);
        break;
    case STATE_TRAILER_START:
    case STATE_TRAILER_NAME:
    case STATE_TRAILER_VALUE:
        feed_trailer(parser, *data);
        break;
    case STATE_TRAILER_LF:
        expect(parser, *data, '\n', STATE_TRAILER_START);
        break;
    case STATE_LAST_LF:
        expect(parser, *data, '\n', STATE_DONE);
        break;
    case STATE_DONE:
    case STATE_BAD:
        CHECK(false); /* the caller's loop ends there */
        break;
    }
    return 1;
}

enum http_parse_status http_parser_feed(struct http_parser *parser, const uint8_t *data, size_t len,
                                        size_t *ret_used) {
    size_t used = 0;

    CHECK(parser->state != STATE_DONE);
    while (used < len && parser->state != STATE_DONE && parser->state != STATE_BAD) {
        bool in_head = parser->state == STATE_HEAD;
        used += feed_some(parser, data + used, len - used);
        if (in_head && (parser->state == STATE_BODY || parser->state == STATE_CHUNK_FIRST_DIGIT)) {
            *ret_used = used;
            return HTTP_HEAD_DONE;
        }
    }
    *ret_used = used;
    if (parser->state == STATE_BAD) {
        return HTTP_BAD;
    }
    return parser->state == STATE_DONE ? HTTP_REQUEST_DONE : HTTP_MORE;
}

int http_parser_error(const struct http_parser *parser, const char **ret_reason) {
    CHECK(parser->state == STATE_BAD);
    *ret_reason = parser->reason;
    return parser->status;
}

bool http_parser_is_idle(const struct http_parser *parser) {
    return parser->state == STATE_HEAD && parser->request.head.len == 0;
}

const struct http_request *http_parser_request(const struct http_parser *parser) {
    CHECK(parser->state != STATE_HEAD && parser->state != STATE_BAD);
    return &parser->request;
}

size_t http_parser_body_size(const struct http_parser *parser) {
    return parser->request.body.room;
}

void http_parser_drop(struct http_parser *parser) {
    http_request_fini(&parser->request);
    parser->state = STATE_BAD;
}

void http_parser_take(struct http_parser *parser, struct http_request *ret) {
    const struct http_request *request = &parser->request;

    CHECK(parser->state == STATE_DONE);
    /* Field by field for the sake of the header table, of which only the used part moves. */
    ret->head = request->head;
    ret->body = request->body;
    memcpy(ret->method, request->method, sizeof(ret->method));
    ret->target = request->target;
    ret->target_len = request->target_len;
    ret->path_len = request->path_len;
    ret->keep_alive = request->keep_alive;
    ret->expect_continue = request->expect_continue;
    memcpy(ret->headers, request->headers, request->n_headers * sizeof(ret->headers[0]));
    ret->n_headers = request->n_headers;
    request_reset(parser);
}

void http_request_fini(struct http_request *request) {
    buf_fini(&request->head);
    buf_fini(&request->body);
    request->n_headers = 0;
}

const char *http_header(const struct http_request *request, const char *name, size_t *ret_len) {
    size_t len = strlen(name);

    for (size_t i = 0; i < request->n_headers; i++) {
        const struct sigv4_header *header = &request->headers[i];
        if (text_is(header->name, header->name_len, name, len)) {
            *ret_len = header->value_len;
            return header->value;
        }
    }
    return NULL;
}
