/* Operations: what an entry of api/ops/ declares, and what its functions may use.
 *
 * The pipeline (request.c) reads the table: limits, authentication, decoding and validation,
 * authorisation, then by class: READ runs on the worker over a consistent view; WRITE prepares a
 * command, which is proposed, applied and worded as a reply. A handler never touches HTTP, JSON or
 * policies, and never writes. */
#ifndef API_OP_H
#define API_OP_H

#include "api/shape.h"
#include "base/arena.h"
#include "base/errc.h"
#include "base/quotas.h"
#include "base/world.h"
#include "cluster/command.h"
#include "crypto/credentials.h"
#include "crypto/keyring.h"
#include "storage/view.h"

enum op_class { OP_READ, OP_WRITE };

enum op_resource {
    RESOURCE_ANY,    /* no resource in the policy sense (ListSecrets) */
    RESOURCE_SECRET, /* the SecretId member */
    RESOURCE_NAME,   /* a secret to be (CreateSecret) */
};

/* What a handler may use. Everything is borrowed and lives as long as the request. */
struct op_context {
    struct arena *arena;
    const struct world *world;
    const struct identity *identity;
    const char *region;       /* own */
    const char *const *peers; /* names of the other regions this deployment knows */
    size_t n_peers;
    const struct view *view; /* READ: of this moment. WRITE: while preparing */
    struct keyring *keyring;
    const struct quotas *quotas;
    const char
        *functions; /* endpoint that rotation functions are invoked at; NULL: there is none */
    int64_t now_ms;
    struct err *err; /* fill on failure */
    bool stale;      /* the caller accepted a stale read */
    /* READ may leave a command to propose behind the reply (LastAccessedDate); message in the
     * arena; NULL: none. */
    enum command_type after_type;
    const ProtobufCMessage *after;
};

/* The command that a WRITE wants proposed. The message lives in the arena. */
struct op_command {
    enum command_type type;
    const ProtobufCMessage *message;
    bool prelude; /* only makes something that is missing (a key): apply it, then prepare again */
};

typedef enum errc op_read_fn(struct op_context *context, const void *in, void *out);
typedef enum errc op_prepare_fn(struct op_context *context, const void *in, struct op_command *ret);
/* `result` has code OK here; refusals are worded by the pipeline. */
typedef enum errc op_reply_fn(struct op_context *context, const void *in,
                              const Redoubt__Result *result, void *out);

struct op {
    const char *name;
    const char *iam_action;
    const char *iam_also; /* another action that the caller needs besides; NULL: none */
    const char *summary;
    enum op_class class;
    bool stateless; /* READ that looks at no state: it waits for no barrier */
    enum op_resource resource;
    const struct shape *in;
    const struct shape *out; /* NULL: the reply has no members */
    const enum errc *errors; /* modelled ones it may give, ended by OK */
    op_read_fn *read;
    op_prepare_fn *prepare;
    op_reply_fn *reply;
};

#define ERRS(...) ((const enum errc[]){__VA_ARGS__, OK})

/* Sorted by file name; see cmake/OpTable.cmake. */
extern const struct op *const op_table[];
extern const size_t op_table_len;

/* NULL for an unknown name. */
const struct op *op_find(const char *name, size_t len);

#endif
