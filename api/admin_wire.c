#include "api/admin_wire.h"

#include "api/json_text.h"
#include "base/bytes.h"
#include "base/wipe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_TEXT = 8192 }; /* a request for a certificate has some 500 bytes */

void admin_id_write(uint64_t id, char out[ADMIN_ID_TEXT + 1]) {
    uint8_t bytes[ADMIN_ID_TEXT / 2];

    put_be64(bytes, id);
    hex_encode(bytes, sizeof(bytes), out);
}

bool admin_id_read(const char *text, uint64_t *ret) {
    uint8_t bytes[ADMIN_ID_TEXT / 2];

    if (!hex_decode(text, strlen(text), bytes, sizeof(bytes)) || get_be64(bytes) == 0) {
        return false;
    }
    *ret = get_be64(bytes);
    return true;
}

/* --- writing --- */

static void write_text(struct buf *out, const char *name, const char *text) {
    buf_printf(out, "\"%s\":", name);
    json_text_string(out, text, strlen(text));
}

static void write_id(struct buf *out, const char *name, uint64_t id) {
    char text[ADMIN_ID_TEXT + 1];

    admin_id_write(id, text);
    buf_printf(out, "\"%s\":\"%s\"", name, text);
}

static void write_flag(struct buf *out, const char *name, bool value) {
    buf_printf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

/* What is not known is left out: no number stands for it. */
static void write_number(struct buf *out, const char *name, uint64_t value) {
    if (value <= INT64_MAX) {
        buf_printf(out, ",\"%s\":%" PRIu64, name, value);
    }
}

static void write_member(struct buf *out, const struct node_member *member) {
    buf_append_str(out, "{");
    write_id(out, "id", member->id);
    buf_append_str(out, ",");
    write_text(out, "address", member->address);
    write_flag(out, "voter", member->is_voter);
    write_flag(out, "leader", member->is_leader);
    write_flag(out, "self", member->is_self);
    write_flag(out, "live", member->is_live);
    write_flag(out, "installing", member->is_installing);
    write_flag(out, "disk_full", member->is_disk_full);
    write_flag(out, "connected", member->is_connected);
    write_number(out, "match", member->match);
    write_number(out, "heard_ago_ms", member->heard_ago_ms);
    write_number(out, "level_max", member->level_max);
    buf_append_str(out, "}");
}

void admin_picture_write(struct buf *out, const char *region, const struct node_status *status,
                         const char *more) {
    buf_append_str(out, "{");
    write_text(out, "region", region);
    buf_append_str(out, ",");
    write_id(out, "node", status->id);
    if (status->leader != 0) {
        buf_append_str(out, ",");
        write_id(out, "leader", status->leader);
    }
    buf_append_str(out, ",");
    write_text(out, "role", status->role);
    write_number(out, "term", status->term);
    write_number(out, "commit", status->commit);
    write_number(out, "applied", status->applied);
    write_number(out, "first", status->first);
    write_number(out, "last", status->last);
    write_number(out, "log_bytes", status->log_bytes);
    write_number(out, "snapshot", status->snapshot);
    write_number(out, "age_ms", status->age_ms);
    write_number(out, "level", status->level);
    write_flag(out, "ready", status->ready);
    write_flag(out, "voter", status->is_voter);
    write_flag(out, "disk_full", status->is_disk_full);
    write_flag(out, "installing", status->is_installing);
    write_number(out, "disk_free", status->disk_free);
    write_number(out, "queued_bytes", status->queued_bytes);
    buf_append_str(out, ",\"members\":[");
    for (size_t i = 0; i < status->n_members; i++) {
        buf_append_str(out, i > 0 ? "," : "");
        write_member(out, &status->members[i]);
    }
    buf_append_str(out, "]");
    buf_append_str(out, more != NULL ? more : "");
    buf_append_str(out, "}");
}

void admin_ask_write(struct buf *out, const struct admin_ask *ask) {
    const char *comma = "";

    buf_append_str(out, "{");
    if (ask->id != 0) {
        write_id(out, "id", ask->id);
        comma = ",";
    }
    if (ask->lifetime_s != 0) {
        buf_printf(out, "%s\"lifetime\":%" PRId64, comma, ask->lifetime_s);
        comma = ",";
    }
    if (ask->address[0] != '\0') {
        buf_append_str(out, comma);
        write_text(out, "address", ask->address);
        comma = ",";
    }
    if (ask->token[0] != '\0') {
        buf_append_str(out, comma);
        write_text(out, "token", ask->token);
        comma = ",";
    }
    if (ask->request != NULL) {
        buf_append_str(out, comma);
        write_text(out, "request", ask->request);
    }
    buf_append_str(out, "}");
}

void admin_ask_fini(struct admin_ask *ask) {
    wipe_free(ask->request);
    wipe(ask, sizeof(*ask));
}

/* --- errors --- */

static const struct {
    enum errc code;
    int status;
    const char *name;
} errors[] = {
    {ERR_INVALID_PARAMETER, 400, "refused"}, {ERR_INVALID_REQUEST, 409, "refused"},
    {ERR_MALFORMED, 400, "malformed"},       {ERR_RESOURCE_NOT_FOUND, 404, "not_found"},
    {ERR_RESOURCE_EXISTS, 409, "exists"},    {ERR_LIMIT_EXCEEDED, 409, "too_many"},
    {ERR_ACCESS_DENIED, 403, "denied"},      {ERR_LEVEL, 409, "level"},
    {ERR_NO_QUORUM, 409, "no_quorum"},       {ERR_BUSY, 503, "busy"},
    {ERR_NOT_LEADER, 421, "not_leader"},     {ERR_OUTCOME_UNKNOWN, 504, "outcome_unknown"},
    {ERR_DISK_FULL, 503, "disk_full"},       {ERR_UNAVAILABLE, 503, "unavailable"},
};

int admin_status_of(enum errc code) {
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (errors[i].code == code) {
            return errors[i].status;
        }
    }
    return 503;
}

const char *admin_error_name(enum errc code) {
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (errors[i].code == code) {
            return errors[i].name;
        }
    }
    return "failed";
}

void admin_error_write(struct buf *out, enum errc code, const char *reason) {
    buf_append_str(out, "{");
    write_text(out, "error", admin_error_name(code));
    buf_append_str(out, ",");
    write_text(out, "reason", reason);
    buf_append_str(out, "}");
}

/* --- reading --- */

static void json_release(json_t **json) {
    json_decref(*json);
}

/* NULL: not there, or no text that a C string can hold. Borrowed. */
static const char *text_of(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);

    return text != NULL && strlen(text) == json_string_length(value) ? text : NULL;
}

static bool copy_text(const json_t *object, const char *name, char *out, size_t size) {
    const char *text = text_of(object, name);

    return text != NULL && snprintf(out, size, "%s", text) < (int)size;
}

static uint64_t number_of(const json_t *object, const char *name, uint64_t unknown) {
    const json_t *value = json_object_get(object, name);

    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (uint64_t)json_integer_value(value)
               : unknown;
}

static bool flag_of(const json_t *object, const char *name) {
    return json_is_true(json_object_get(object, name));
}

static uint64_t id_of(const json_t *object, const char *name) {
    const char *text = text_of(object, name);
    uint64_t id = 0;

    return text != NULL && admin_id_read(text, &id) ? id : 0;
}

static bool read_member(const json_t *object, struct node_member *ret) {
    ret->id = id_of(object, "id");
    ret->is_voter = flag_of(object, "voter");
    ret->is_leader = flag_of(object, "leader");
    ret->is_self = flag_of(object, "self");
    ret->is_live = flag_of(object, "live");
    ret->is_installing = flag_of(object, "installing");
    ret->is_disk_full = flag_of(object, "disk_full");
    ret->is_connected = flag_of(object, "connected");
    ret->match = number_of(object, "match", 0);
    ret->heard_ago_ms = number_of(object, "heard_ago_ms", UINT64_MAX);
    ret->level_max = (uint16_t)number_of(object, "level_max", 0);
    return ret->id != 0 && copy_text(object, "address", ret->address, sizeof(ret->address));
}

static const char *role_of(const json_t *object) {
    static const char *const roles[] = {"leader", "follower", "candidate"};
    const char *text = text_of(object, "role");

    for (size_t i = 0; text != NULL && i < ARRAY_LEN(roles); i++) {
        if (strcmp(roles[i], text) == 0) {
            return roles[i];
        }
    }
    return "unknown";
}

static void read_status(const json_t *object, struct node_status *ret) {
    *ret = (struct node_status){
        .role = role_of(object),
        .id = id_of(object, "node"),
        .leader = id_of(object, "leader"),
        .term = number_of(object, "term", 0),
        .commit = number_of(object, "commit", 0),
        .applied = number_of(object, "applied", 0),
        .first = number_of(object, "first", 0),
        .last = number_of(object, "last", 0),
        .log_bytes = number_of(object, "log_bytes", 0),
        .snapshot = number_of(object, "snapshot", 0),
        .age_ms = number_of(object, "age_ms", UINT64_MAX),
        .level = (uint16_t)number_of(object, "level", 0),
        .ready = flag_of(object, "ready"),
        .is_voter = flag_of(object, "voter"),
        .is_disk_full = flag_of(object, "disk_full"),
        .is_installing = flag_of(object, "installing"),
        .disk_free = number_of(object, "disk_free", UINT64_MAX),
        .queued_bytes = number_of(object, "queued_bytes", 0),
    };
}

enum errc admin_picture_read(const uint8_t *data, size_t len, struct admin_picture *ret) {
    AUTO(json_release) json_t *object = NULL;
    const json_t *members;
    struct err err;

    memset(ret, 0, sizeof(*ret));
    if (json_text_parse(data, len, &object, &err) != OK) {
        return ERR_MALFORMED;
    }
    read_status(object, &ret->status);
    members = json_object_get(object, "members");
    if (ret->status.id == 0 || json_array_size(members) > LIMIT_PEERS ||
        !copy_text(object, "region", ret->region, sizeof(ret->region))) {
        return ERR_MALFORMED;
    }
    for (size_t i = 0; i < json_array_size(members); i++) {
        if (!read_member(json_array_get(members, i),
                         &ret->status.members[ret->status.n_members++])) {
            return ERR_MALFORMED;
        }
    }
    return OK;
}

/* Present and of another type, or too long, is an error; absent is none. */
static bool ask_text(const json_t *object, const char *name, char *out, size_t size) {
    out[0] = '\0';
    return json_object_get(object, name) == NULL || copy_text(object, name, out, size);
}

static bool ask_id(const json_t *object, uint64_t *ret) {
    *ret = id_of(object, "id");
    return json_object_get(object, "id") == NULL || *ret != 0;
}

static bool ask_lifetime(const json_t *object, int64_t *ret) {
    const json_t *value = json_object_get(object, "lifetime");

    *ret = value != NULL ? json_integer_value(value) : 0;
    return value == NULL || (json_is_integer(value) && *ret > 0 && *ret <= LIMIT_JOIN_TOKEN_S);
}

static bool ask_request(const json_t *object, char **ret) {
    const char *text = text_of(object, "request");

    if (json_object_get(object, "request") == NULL) {
        return true;
    }
    *ret = text != NULL && strlen(text) <= REQUEST_TEXT ? wipe_strdup(text) : NULL;
    return *ret != NULL;
}

enum errc admin_ask_read(const uint8_t *data, size_t len, struct admin_ask *ret, struct err *err) {
    AUTO(json_release) json_t *object = NULL;
    const char *bad = NULL;

    memset(ret, 0, sizeof(*ret));
    if (json_text_parse(data, len, &object, err) != OK) {
        return err_set(err, ERR_MALFORMED, "The body is not one JSON object.");
    }
    if (!ask_id(object, &ret->id)) {
        bad = "id: 16 hexadecimal digits";
    } else if (!ask_lifetime(object, &ret->lifetime_s)) {
        bad = "lifetime: a number of seconds, a week at most";
    } else if (!ask_text(object, "address", ret->address, sizeof(ret->address))) {
        bad = "address: a text";
    } else if (!ask_text(object, "token", ret->token, sizeof(ret->token))) {
        bad = "token: as it was printed";
    } else if (!ask_request(object, &ret->request)) {
        bad = "request: a request for a certificate";
    }
    if (bad != NULL) {
        admin_ask_fini(ret);
        return err_set(err, ERR_MALFORMED, "%s", bad);
    }
    return OK;
}

enum errc admin_text_read(const uint8_t *data, size_t len, const char *member, struct buf *ret) {
    AUTO(json_release) json_t *object = NULL;
    const char *text;
    struct err err;

    if (json_text_parse(data, len, &object, &err) != OK) {
        return ERR_MALFORMED;
    }
    text = text_of(object, member);
    if (text == NULL) {
        return ERR_MALFORMED;
    }
    buf_append_str(ret, text);
    return ret->failed ? ERR_NO_MEMORY : OK;
}
