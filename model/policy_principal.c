#include "model/policy_principal.h"

#include <string.h>

enum {
    NAME_MAX_USER = 64, /* users, roles and sessions */
    NAME_MAX_PATH = 512,
    NAME_MAX_FEDERATED = 32,
    NAME_MIN_STS = 2,
    SERVICE_MAX = 253, /* a DNS name */
};

#define SERVICE_TAIL ".amazonaws.com"

/* Not isalnum(): the alphabet must not depend on a locale. */
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

static bool is_alnum(char c) {
    return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

/* `len` characters of a name: letters, digits and _+=,.@- */
static bool is_name(const char *text, size_t len, size_t min, size_t max) {
    if (len < min || len > max) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && strchr("_+=,.@-", text[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* "PATH/NAME", whose path may be missing: any visible characters, but no wildcards. */
static bool is_path_and_name(const char *text) {
    const char *slash = strrchr(text, '/');
    const char *name = slash != NULL ? slash + 1 : text;

    if (slash != NULL && (size_t)(slash - text) > NAME_MAX_PATH) {
        return false;
    }
    for (const char *c = text; c < name; c++) {
        if (*c <= ' ' || *c > '~' || *c == '*' || *c == '?') {
            return false;
        }
    }
    return is_name(name, strlen(name), 1, NAME_MAX_USER);
}

static bool is_session(const char *text) {
    const char *slash = strchr(text, '/');

    return slash != NULL && is_name(text, (size_t)(slash - text), 1, NAME_MAX_USER) &&
           is_name(slash + 1, strlen(slash + 1), NAME_MIN_STS, NAME_MAX_USER);
}

static bool is_federated_user(const char *text) {
    return is_name(text, strlen(text), NAME_MIN_STS, NAME_MAX_FEDERATED);
}

/* The text behind `head`; NULL where it does not begin so. */
static const char *behind(const char *text, const char *head) {
    size_t len = strlen(head);

    return strncmp(text, head, len) == 0 ? text + len : NULL;
}

/* Twelve digits, copied to `ret`; the text behind them, or NULL. */
static const char *read_account(const char *text, char ret[LIMIT_ACCOUNT + 1]) {
    for (size_t i = 0; i < LIMIT_ACCOUNT; i++) {
        if (!is_digit(text[i])) {
            return NULL;
        }
    }
    memcpy(ret, text, LIMIT_ACCOUNT);
    ret[LIMIT_ACCOUNT] = '\0';
    return text + LIMIT_ACCOUNT;
}

static bool is_whole(const char *text) {
    return text[0] == '\0';
}

static bool read_arn(const char *text, struct policy_principal *ret) {
    static const struct form {
        const char *service; /* with the empty region */
        const char *resource;
        enum policy_principal_kind kind;
        bool (*is_good)(const char *rest);
    } forms[] = {
        {"arn:aws:iam::", ":root", PRINCIPAL_ACCOUNT, is_whole},
        {"arn:aws:iam::", ":user/", PRINCIPAL_USER, is_path_and_name},
        {"arn:aws:iam::", ":role/", PRINCIPAL_ROLE, is_path_and_name},
        {"arn:aws:sts::", ":assumed-role/", PRINCIPAL_SESSION, is_session},
        {"arn:aws:sts::", ":federated-user/", PRINCIPAL_FEDERATED_USER, is_federated_user},
    };

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct policy_principal principal = {.kind = forms[i].kind, .text = text};
        const char *rest = behind(text, forms[i].service);

        rest = rest == NULL ? NULL : read_account(rest, principal.account);
        rest = rest == NULL ? NULL : behind(rest, forms[i].resource);
        if (rest != NULL && forms[i].is_good(rest)) {
            *ret = principal;
            return true;
        }
    }
    return false;
}

bool policy_principal_read(const char *text, struct policy_principal *ret) {
    struct policy_principal principal = {.kind = PRINCIPAL_ACCOUNT, .text = text};
    const char *rest;

    if (strcmp(text, "*") == 0) {
        *ret = (struct policy_principal){.kind = PRINCIPAL_ANYBODY, .text = text};
        return true;
    }
    rest = read_account(text, principal.account);
    if (rest != NULL && *rest == '\0') {
        *ret = principal;
        return true;
    }
    return read_arn(text, ret);
}

bool policy_principal_read_service(const char *text, struct policy_principal *ret) {
    size_t len = strlen(text);
    size_t tail = strlen(SERVICE_TAIL);
    size_t label = 0;

    if (len <= tail || len > SERVICE_MAX || strcmp(text + len - tail, SERVICE_TAIL) != 0) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (is_lower(text[i]) || is_digit(text[i]) || (text[i] == '-' && label > 0)) {
            label++;
        } else {
            return false;
        }
    }
    *ret = (struct policy_principal){.kind = PRINCIPAL_SERVICE, .text = text};
    return true;
}

/* "ROLE" of ":role/PATH/ROLE" and of ":assumed-role/ROLE/SESSION". */
static bool is_session_of(const char *role, const char *session) {
    const char *name = strrchr(role, '/') + 1;
    const char *used = strchr(session, '/') + 1;
    size_t len = strlen(name);

    return strncmp(used, name, len) == 0 && used[len] == '/';
}

bool policy_principal_covers(const struct policy_principal *principal,
                             const struct policy_principal *caller) {
    switch (principal->kind) {
    case PRINCIPAL_ANYBODY:
        return true;
    case PRINCIPAL_ACCOUNT:
        return strcmp(principal->account, caller->account) == 0;
    case PRINCIPAL_ROLE:
        if (caller->kind == PRINCIPAL_SESSION) {
            return strcmp(principal->account, caller->account) == 0 &&
                   is_session_of(principal->text, caller->text);
        }
        break;
    case PRINCIPAL_USER:
    case PRINCIPAL_SESSION:
    case PRINCIPAL_FEDERATED_USER:
    case PRINCIPAL_SERVICE:
        break;
    }
    return principal->kind == caller->kind && strcmp(principal->text, caller->text) == 0;
}
