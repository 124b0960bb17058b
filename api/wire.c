#include "api/wire.h"

#include "api/authenticate.h"
#include "api/http_chars.h"
#include "api/query.h"
#include "base/limits.h"

#include <string.h>

#define JSON_TYPE   "application/x-amz-json-1.1"
#define FORM_TYPE   "application/x-www-form-urlencoded"
#define API_VERSION "2017-10-17"

/* Text of the parameters as JSON: an escape of six bytes for one, and names. */
enum { JSON_MAX = 8 * LIMIT_HTTP_BODY, VERSION_MAX = 32, TARGET_MAX = 128 };

enum content { CONTENT_NONE, CONTENT_JSON, CONTENT_FORM, CONTENT_OTHER };

/* By the media type; what follows it (a charset) does not matter. */
static enum content content_of(const struct http_request *http) {
    size_t len;
    const char *type = http_header(http, "Content-Type", &len);
    const char *end;

    if (type == NULL) {
        return CONTENT_NONE;
    }
    end = memchr(type, ';', len);
    len = end != NULL ? (size_t)(end - type) : len;
    text_trim(&type, &len);
    if (text_is(type, len, JSON_TYPE, sizeof(JSON_TYPE) - 1)) {
        return CONTENT_JSON;
    }
    return text_is(type, len, FORM_TYPE, sizeof(FORM_TYPE) - 1) ? CONTENT_FORM : CONTENT_OTHER;
}

static struct query_text query_of(const struct http_request *http) {
    struct sigv4_request view;

    authenticate_view(http, &view);
    return (struct query_text){.text = view.query, .len = view.query_len};
}

static struct query_text form_of(const struct http_request *http) {
    return (struct query_text){
        .text = (const char *)http->body.data, .len = http->body.len, .is_form = true};
}

/* --- named by its target --- */

/* "secretsmanager.<operation>" */
static enum errc read_target(const char *target, size_t len, struct wire *ret, struct err *err) {
    static const char prefix[] = SERVICE_NAME ".";
    enum { PREFIX = sizeof(prefix) - 1 };

    if (len < PREFIX || memcmp(target, prefix, PREFIX) != 0) {
        return err_default(err, ERR_UNKNOWN_PROTOCOL);
    }
    if (len - PREFIX >= sizeof(ret->op_name)) {
        return err_default(err, ERR_UNKNOWN_OPERATION);
    }
    memcpy(ret->op_name, target + PREFIX, len - PREFIX);
    ret->op_name[len - PREFIX] = '\0';
    return OK;
}

/* The target where a presigner puts the headers that it finds (the JavaScript SDK's does). */
static enum query_found target_in_query(const struct query_text *query, char out[TARGET_MAX]) {
    enum query_found found = query_get(query, "X-Amz-Target", out, TARGET_MAX);

    return found != QUERY_ABSENT ? found : query_get(query, "x-amz-target", out, TARGET_MAX);
}

/* --- named by its action --- */

static bool is_given(const struct query_text *query, const char *name) {
    char out[2];

    return query_get(query, name, out, sizeof(out)) != QUERY_ABSENT;
}

/* From the query, else from the form body. Both: bad. */
static enum query_found parameter(const struct query_text texts[2], const char *name, char *out,
                                  size_t size) {
    enum query_found found = query_get(&texts[0], name, out, size);

    if (found == QUERY_ABSENT) {
        return query_get(&texts[1], name, out, size);
    }
    return is_given(&texts[1], name) ? QUERY_BAD : found;
}

static enum errc read_action(const struct query_text texts[2], struct wire *ret, struct err *err) {
    char version[VERSION_MAX] = "";
    enum query_found found = parameter(texts, "Action", ret->op_name, sizeof(ret->op_name));

    if (found == QUERY_ABSENT) {
        return err_default(err, ERR_MISSING_ACTION);
    }
    if (found == QUERY_BAD) {
        return err_default(err, ERR_INVALID_ACTION);
    }
    found = parameter(texts, "Version", version, sizeof(version));
    if (found == QUERY_BAD || (found == QUERY_FOUND && strcmp(version, API_VERSION) != 0)) {
        return err_set(err, ERR_INVALID_ACTION, "Could not find operation %s for version %s",
                       ret->op_name, version);
    }
    ret->is_action = true;
    return OK;
}

/* --- all forms --- */

static bool is_to_the_service(const struct http_request *http) {
    return http->path_len == 1 && http->target[0] == '/' &&
           (strcmp(http->method, "POST") == 0 || strcmp(http->method, "GET") == 0);
}

enum errc wire_read(const struct http_request *http, struct wire *ret, struct err *err) {
    enum content content = content_of(http);
    bool has_body = http->body.len > 0;
    const struct query_text texts[2] = {
        query_of(http), content == CONTENT_FORM ? form_of(http) : (struct query_text){.text = ""}};
    char hoisted[TARGET_MAX];
    enum query_found found = QUERY_ABSENT;
    size_t len;
    const char *target = http_header(http, "X-Amz-Target", &len);

    memset(ret, 0, sizeof(*ret));
    if (!is_to_the_service(http) || content == CONTENT_OTHER ||
        (content == CONTENT_NONE && has_body)) {
        return err_default(err, ERR_UNKNOWN_PROTOCOL);
    }
    ret->has_form = content == CONTENT_FORM;
    ret->has_json = has_body && content == CONTENT_JSON;
    if (target == NULL) {
        found = target_in_query(&texts[0], hoisted);
    }
    if (target != NULL || found != QUERY_ABSENT) {
        if (ret->has_form || found == QUERY_BAD) {
            return err_default(err, ERR_UNKNOWN_PROTOCOL);
        }
        return target != NULL ? read_target(target, len, ret, err)
                              : read_target(hoisted, strlen(hoisted), ret, err);
    }
    if (ret->has_form || is_given(&texts[0], "Action") || is_given(&texts[0], "Version")) {
        return read_action(texts, ret, err);
    }
    return err_default(err, ERR_UNKNOWN_PROTOCOL);
}

enum errc wire_decode(const struct wire *wire, const struct http_request *http,
                      const struct shape *shape, const struct quotas *quotas, struct arena *arena,
                      void *out, struct err *err) {
    const struct query_text texts[] = {query_of(http), form_of(http)};
    struct buf json;
    enum errc code;

    if (wire->has_json) {
        return shape_decode(shape, http->body.data, http->body.len, quotas, arena, out, err);
    }
    buf_init(&json, JSON_MAX);
    code = query_to_json(shape, texts, wire->has_form ? 2 : 1, arena, &json, err);
    if (code == OK && json.failed) {
        code = err_default(err, ERR_NO_MEMORY);
    }
    if (code == OK) {
        code = shape_decode(shape, json.data, json.len, quotas, arena, out, err);
    }
    buf_fini(&json);
    return code;
}
