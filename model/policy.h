/* Resource policies: a JSON document checked by the grammar of AWS_BEHAVIOUR 8.4 and compiled into
 * statements that can be reasoned about.
 *
 * What the document says is taken apart once: principals by kind, operators by number, condition
 * values by the type that their operator compares. A compiled policy owns all its memory, which is
 * bounded by LIMIT_POLICY_COMPILED, and does not change. Pure, any thread. */
#ifndef MODEL_POLICY_H
#define MODEL_POLICY_H

#include "base/arena.h"
#include "base/check.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum policy_effect { POLICY_ALLOW, POLICY_DENY };

enum policy_principal_kind {
    PRINCIPAL_ANYBODY,        /* "*" */
    PRINCIPAL_ACCOUNT,        /* twelve digits, or the ARN of its root: all of the account */
    PRINCIPAL_USER,           /* arn:aws:iam::ACCOUNT:user/PATH/NAME */
    PRINCIPAL_ROLE,           /* arn:aws:iam::ACCOUNT:role/PATH/NAME: its sessions */
    PRINCIPAL_SESSION,        /* arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION */
    PRINCIPAL_FEDERATED_USER, /* arn:aws:sts::ACCOUNT:federated-user/NAME */
    PRINCIPAL_SERVICE,        /* NAME.amazonaws.com */
};

struct policy_principal {
    enum policy_principal_kind kind;
    char account[LIMIT_ACCOUNT + 1]; /* empty for ANYBODY and SERVICE */
    const char *text;                /* as it stands in the document */
};

struct policy_texts {
    const char **items;
    size_t n;
};

enum policy_operator {
#define X(symbol, name, type, negated, wild) OPERATOR_##symbol,
#include "model/policy_operators.def"
#undef X
};

enum policy_value_type {
    VALUE_TYPE_TEXT,
    VALUE_TYPE_NUMBER,
    VALUE_TYPE_DATE,
    VALUE_TYPE_TRUTH,
    VALUE_TYPE_BINARY,
    VALUE_TYPE_ADDRESS,
    VALUE_TYPE_ARN,
};

struct policy_operator_kind {
    const char *name;
    enum policy_value_type type;
    bool negated;
    bool wild;
};

/* An address block; the bits behind the prefix are zero. */
struct policy_block {
    bool is_v6;
    uint8_t prefix;    /* bits */
    uint8_t bytes[16]; /* the first four of a v4 address */
};

struct policy_value {
    const char *text; /* of numbers and booleans what JSON writes */
    union {
        double number;
        int64_t time_ms;
        bool truth;
        struct policy_block block;
    };
};

enum policy_quantifier { QUANTIFIER_NONE, QUANTIFIER_ALL_VALUES, QUANTIFIER_ANY_VALUE };

struct policy_condition {
    enum policy_operator op;
    enum policy_quantifier quantifier;
    bool if_exists;
    const char *key; /* in small letters: "aws:sourceip" */
    struct policy_value *values;
    size_t n_values;
};

/* `not_...`: the list is what the statement is not about. */
struct policy_statement {
    const char *sid; /* NULL: none */
    enum policy_effect effect;
    bool not_principal;
    bool not_action;
    bool not_resource;
    struct policy_principal *principals;
    size_t n_principals;
    struct policy_texts actions;   /* "*" or "secretsmanager:" and a pattern, in any case */
    struct policy_texts resources; /* "*" or a pattern of an ARN */
    struct policy_condition *conditions;
    size_t n_conditions;
};

struct policy {
    bool has_variables; /* Version 2012-10-17: ${...} stands for a key of the request */
    const char *id;     /* NULL: none */
    struct policy_statement *statements;
    size_t n_statements;
    struct arena arena;
};

/* What is wrong with a document. */
enum policy_fault {
    POLICY_SOUND,
    POLICY_NOT_JSON,
    POLICY_SYNTAX,    /* breaks the grammar, or holds more than can be looked at */
    POLICY_PRINCIPAL, /* names a principal of no supported form */
    POLICY_SERVICE,   /* names a service principal of no valid form */
    POLICY_NO_MEMORY,
};

/* POLICY_SOUND with *ret owned by the caller (policy_free), or the first fault. Borrows `text`. */
MUSTCHECK enum policy_fault policy_parse(const char *text, size_t len, struct policy **ret);
void policy_free(struct policy *policy); /* NULL is fine */
/* The service's sentence; static. */
const char *policy_fault_sentence(enum policy_fault fault);

extern const struct policy_operator_kind policy_operator_kinds[];

#endif
