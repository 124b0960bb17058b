/* The request parser on arbitrary bytes: whatever they are, the outcome is the same whether they
 * come whole, byte by byte, or cut at a place that the input chooses; and views stay inside the
 * request. */
#include "api/http_parse.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 4096 };

/* FNV-1a: what two runs have to agree on, in one number. */
static uint64_t mix(uint64_t hash, const void *data, size_t len) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3U;
    }
    return hash;
}

static void check_inside(const struct buf *head, const char *text, size_t len) {
    const char *begin = (const char *)head->data;
    CHECK(text >= begin && text + len <= begin + head->len);
}

static uint64_t mix_request(uint64_t hash, struct http_parser *parser) {
    struct http_request request;

    http_parser_take(parser, &request);
    CHECK(http_parser_is_idle(parser));
    CHECK(request.head.len <= LIMIT_HTTP_HEAD && request.body.len <= BODY_MAX);
    CHECK(request.n_headers <= LIMIT_HTTP_HEADERS && request.path_len <= request.target_len);
    check_inside(&request.head, request.target, request.target_len);
    hash = mix(hash, request.method, strlen(request.method));
    hash = mix(hash, request.target, request.target_len);
    for (size_t i = 0; i < request.n_headers; i++) {
        const struct sigv4_header *header = &request.headers[i];
        check_inside(&request.head, header->name, header->name_len);
        check_inside(&request.head, header->value, header->value_len);
        hash = mix(hash, header->name, header->name_len);
        hash = mix(hash, header->value, header->value_len);
    }
    hash = mix(hash, request.body.data, request.body.len);
    hash = mix(hash, &request.keep_alive, 1);
    hash = mix(hash, &request.expect_continue, 1);
    http_request_fini(&request);
    return hash;
}

/* In pieces of at most `piece` bytes. */
static uint64_t run(const uint8_t *data, size_t size, size_t piece) {
    struct http_parser *parser = http_parser_new(BODY_MAX);
    uint64_t hash = 0xcbf29ce484222325U;
    size_t at = 0;

    CHECK(parser != NULL);
    while (at < size) {
        size_t len = size - at < piece ? size - at : piece;
        size_t used = SIZE_MAX;
        enum http_parse_status status = http_parser_feed(parser, data + at, len, &used);
        CHECK(used <= len && (status != HTTP_MORE || used == len));
        at += used;
        if (status == HTTP_REQUEST_DONE) {
            hash = mix_request(hash, parser);
        } else if (status == HTTP_BAD) {
            const char *reason = NULL;
            int code = http_parser_error(parser, &reason);
            CHECK(reason != NULL && code >= 400 && code <= 505);
            hash = mix(mix(hash, &code, sizeof(code)), reason, strlen(reason));
            break;
        }
    }
    http_parser_free(parser);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t whole = run(data, size, SIZE_MAX);
    size_t piece = size > 0 ? (size_t)data[size - 1] + 2 : 2;

    CHECK(run(data, size, 1) == whole);
    CHECK(run(data, size, piece) == whole);
    return 0;
}
