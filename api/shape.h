/* Shapes: the members of requests and replies as tables, from which come the C structs, decoding,
 * validation with the service's sentences, encoding, and documentation.
 *
 * A shape is a list of X(kind, member, wire name, flags, min, max, extra):
 *   STR     const char *: a string (arena; NULL: absent)
 *   TOKEN   const char *: a string, idempotency token; see the flags F_TOKEN_...
 *   SECRET  struct secret *: a string, sensitive (NULL: absent)
 *   BLOB    struct secret *: base64, sensitive; bounds on the decoded bytes
 *   BOOL    struct opt_bool: true or false
 *   INT     struct opt_int: an integer
 *   TIME    struct opt_int: reply only; milliseconds, goes out as seconds with three decimals
 *   STRS    struct str_list: strings; min and max bound the list, extra is a `struct str_rule`
 *   LIST    struct shape_list: structures; extra is the element's shape
 *   STRUCT  void *: one structure (arena; NULL: absent); extra is its shape
 *   STAGES  struct stage_map: reply only; map of version id to list of labels
 *
 * `min`/`max`: length of strings in characters and bytes, value of integers, number of elements;
 * SHAPE_NO_MAX: unbounded. `extra` is NULL, or the address of what the kind asks for; for STR and
 * SECRET a `struct str_rule` with a pattern or an enumeration. */
#ifndef API_SHAPE_H
#define API_SHAPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/errc.h"
#include "base/quotas.h"
#include "base/wipe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct opt_bool {
    bool present;
    bool value;
};
struct opt_int {
    bool present;
    int64_t value;
};
struct str_list {
    bool present;
    const char **items;
    size_t n;
};
struct shape_list {
    bool present; /* goes out as [] when present and empty */
    void *items;  /* array of the element shape's struct */
    size_t n;
};
struct stage_map {
    bool present;
    struct stage_map_row {
        const char *version_id;
        struct str_list labels;
    } * rows;
    size_t n;
};

enum field_kind {
    FIELD_STR,
    FIELD_TOKEN,
    FIELD_SECRET,
    FIELD_BLOB,
    FIELD_BOOL,
    FIELD_INT,
    FIELD_TIME,
    FIELD_STRS,
    FIELD_LIST,
    FIELD_STRUCT,
    FIELD_STAGES,
};

enum field_flags {
    F_NONE = 0,
    F_REQ = 1,           /* Member must not be null */
    F_SECRET_ID = 2,     /* the character check of AWS_BEHAVIOUR 2.2, ARN allowed */
    F_NAME = 4,          /* the same, name only */
    F_TOKEN_IR = 8,      /* missing token: InvalidRequestException (Create, Put, Update) */
    F_TOKEN_IP = 16,     /* missing token: InvalidParameterException (Rotate) */
    F_VALUE_QUOTA = 32,  /* the upper bound is quotas.value_bytes; `max` is its default */
    F_POLICY_QUOTA = 64, /* the same with quotas.policy_characters */
};

struct str_rule {
    bool (*matches)(const char *text); /* NULL: no pattern */
    const char *pattern;               /* as printed by the service */
    const char *const *values; /* NULL-terminated enumeration, in the service's order; NULL: none */
    int64_t min, max;          /* for the elements of STRS */
};

struct shape;

struct field {
    enum field_kind kind;
    unsigned flags;
    const char *wire;
    size_t offset;
    int64_t min;
    int64_t max;
    const void *extra;
};

struct shape {
    const char *name;
    size_t size; /* of the C struct */
    const struct field *fields;
    size_t n_fields;
};

#define SHAPE_NO_MAX                                             INT64_MAX

#define SHAPE_C_STR                                              const char *
#define SHAPE_C_TOKEN                                            const char *
#define SHAPE_C_SECRET                                           struct secret *
#define SHAPE_C_BLOB                                             struct secret *
#define SHAPE_C_BOOL                                             struct opt_bool
#define SHAPE_C_INT                                              struct opt_int
#define SHAPE_C_TIME                                             struct opt_int
#define SHAPE_C_STRS                                             struct str_list
#define SHAPE_C_LIST                                             struct shape_list
#define SHAPE_C_STRUCT                                           void *
#define SHAPE_C_STAGES                                           struct stage_map

#define SHAPE_MEMBER(kind, member, wire, flags, min, max, extra) SHAPE_C_##kind member;
#define SHAPE_FIELD(kind, member, wire, flags, min, max, extra)                                    \
    {FIELD_##kind, (flags), (wire), offsetof(SHAPE_SELF, member), (min), (max), (extra)},

/* Declares `struct name`; `#define SHAPE_SELF struct name` must stand before DEFINE_SHAPE, which
 * makes `name_shape`. */
#define DECLARE_SHAPE_STRUCT(name, LIST)                                                           \
    struct name {                                                                                  \
        LIST(SHAPE_MEMBER)                                                                         \
    };
#define DEFINE_SHAPE(shape_name, LIST)                                                             \
    static const struct field shape_name##_fields[] = {LIST(SHAPE_FIELD)};                         \
    static const struct shape shape_name##_shape = {                                               \
        #shape_name, sizeof(SHAPE_SELF), shape_name##_fields,                                      \
        sizeof(shape_name##_fields) / sizeof(struct field)};

/* Decode a JSON body, within these quotas, into the shape's struct (zeroed by the caller,
 * `shape->size` bytes), all memory from `arena`, secrets wiped with it. Unknown members are
 * ignored. ERR_SERIALIZATION for what is no JSON object or has a wrong type; ERR_VALIDATION with
 * all violations of AWS_BEHAVIOUR 2.1, sensitive values left out; the character check; then a
 * missing token. An empty body is {}. */
MUSTCHECK enum errc shape_decode(const struct shape *shape, const uint8_t *body, size_t len,
                                 const struct quotas *quotas, struct arena *arena, void *out,
                                 struct err *err);
/* The first top-level STR member with one of these flags (F_SECRET_ID, F_NAME): what the request is
 * about. NULL: no such member, or absent. Borrowed. */
const char *shape_text(const struct shape *shape, const void *in, unsigned flags);
/* Encode a reply; absent members are omitted. Appends (look at out->failed). */
void shape_encode(const struct shape *shape, const void *in, struct buf *out);

#endif
