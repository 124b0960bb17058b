#include "model/policy_reach.h"

#include "model/policy_pattern.h"
#include "model/policy_principal.h"

#include <string.h>
#include <strings.h>

/* --- conditions that bound who gets through --- */

/* What a value must hold fixed for the set of those it lets through to be bounded. */
enum bound {
    BOUND_WHOLE,   /* all of it */
    BOUND_ARN,     /* all of it, or the account */
    BOUND_PATH,    /* what stands before the first '/': the organisation */
    BOUND_ID,      /* what stands before the ':': a role or user, or an account */
    BOUND_ADDRESS, /* a block of addresses that is not vast */
};

/* Keys that tell who or whence a caller is. Others can be chosen or come about by anybody. */
static const struct {
    const char *key;
    enum bound bound;
} bounding_keys[] = {
    {"aws:principalarn", BOUND_ARN},
    {"aws:principalaccount", BOUND_WHOLE},
    {"aws:principalorgid", BOUND_WHOLE},
    {"aws:principalorgpaths", BOUND_PATH},
    {"aws:principalservicename", BOUND_WHOLE},
    {"aws:userid", BOUND_ID},
    {"aws:sourcearn", BOUND_ARN},
    {"aws:sourceaccount", BOUND_WHOLE},
    {"aws:sourceowner", BOUND_WHOLE},
    {"aws:sourceorgid", BOUND_WHOLE},
    {"aws:sourceorgpaths", BOUND_PATH},
    {"aws:sourcevpc", BOUND_WHOLE},
    {"aws:sourcevpcarn", BOUND_ARN},
    {"aws:sourcevpce", BOUND_WHOLE},
    {"aws:vpceaccount", BOUND_WHOLE},
    {"aws:vpceorgid", BOUND_WHOLE},
    {"aws:vpceorgpaths", BOUND_PATH},
    {"aws:sourceip", BOUND_ADDRESS},
};

/* Blocks wider than these are as good as everywhere. */
enum { PREFIX_V4_MIN = 8, PREFIX_V6_MIN = 32 };

/* Variables that stand for one account or organisation, the secret's own, whoever calls. */
static bool is_own(const char *text) {
    return strcasecmp(text, "${aws:ResourceAccount}") == 0 ||
           strcasecmp(text, "${aws:ResourceOrgID}") == 0;
}

/* Bytes before the first wildcard or variable. */
static size_t fixed_len(const char *text, bool is_wild, bool has_variables) {
    size_t len = 0;

    while (text[len] != '\0' && !(is_wild && (text[len] == '*' || text[len] == '?')) &&
           !(has_variables && text[len] == '$' && text[len + 1] == '{')) {
        len++;
    }
    return len;
}

/* Where the field of an ARN begins; NULL where there is none. */
static const char *arn_field(const char *text, unsigned field) {
    while (field > 0 && text != NULL) {
        text = strchr(text, ':');
        text = text == NULL ? NULL : text + 1;
        field--;
    }
    return text;
}

/* The account is twelve digits. What stands before it must be fixed as well where a '*' may reach
 * over a ':'. */
static bool arn_is_bounded(const char *text, bool by_field, bool is_wild, bool has_variables) {
    enum { ACCOUNT_FIELD = 4 };
    size_t fixed = fixed_len(text, is_wild && !by_field, has_variables);
    const char *account = arn_field(text, ACCOUNT_FIELD);

    if (text[fixed_len(text, is_wild, has_variables)] == '\0') {
        return true;
    }
    if (account == NULL || strspn(account, "0123456789") != LIMIT_ACCOUNT ||
        account[LIMIT_ACCOUNT] != ':') {
        return false;
    }
    return (size_t)(account - text) + LIMIT_ACCOUNT < fixed;
}

static bool block_is_bounded(const struct policy_block *block) {
    return block->prefix >= (block->is_v6 ? PREFIX_V6_MIN : PREFIX_V4_MIN);
}

static bool text_is_bounded(const struct policy *policy, enum policy_operator op, enum bound bound,
                            const char *text) {
    const struct policy_operator_kind *kind = &policy_operator_kinds[op];
    size_t fixed = fixed_len(text, kind->wild, policy->has_variables);

    switch (bound) {
    case BOUND_ARN:
        return arn_is_bounded(text, kind->type == VALUE_TYPE_ARN, kind->wild,
                              policy->has_variables);
    case BOUND_PATH:
        return text[fixed] == '\0' || memchr(text, '/', fixed) != NULL;
    case BOUND_ID:
        return text[fixed] == '\0' || memchr(text, ':', fixed) != NULL;
    case BOUND_WHOLE:
    case BOUND_ADDRESS:
        break;
    }
    return text[fixed] == '\0' || (policy->has_variables && is_own(text));
}

/* Every value that the condition names is bounded: so is the set of those for whom one of them
 * matches. */
static bool values_are_bounded(const struct policy *policy,
                               const struct policy_condition *condition) {
    enum policy_value_type type = policy_operator_kinds[condition->op].type;
    size_t k = 0;

    while (k < ARRAY_LEN(bounding_keys) && strcmp(bounding_keys[k].key, condition->key) != 0) {
        k++;
    }
    if (k == ARRAY_LEN(bounding_keys) ||
        (type == VALUE_TYPE_ADDRESS) != (bounding_keys[k].bound == BOUND_ADDRESS) ||
        (type != VALUE_TYPE_ADDRESS && type != VALUE_TYPE_TEXT && type != VALUE_TYPE_ARN)) {
        return false;
    }
    for (size_t i = 0; i < condition->n_values; i++) {
        const struct policy_value *value = &condition->values[i];
        if (type == VALUE_TYPE_ADDRESS
                ? !block_is_bounded(&value->block)
                : !text_is_bounded(policy, condition->op, bounding_keys[k].bound, value->text)) {
            return false;
        }
    }
    return true;
}

/* It holds for a bounded set only. Where the key may be absent, or no value need match, it holds
 * for others too. */
static bool holds_for_few(const struct policy *policy, const struct policy_condition *condition) {
    return !policy_operator_kinds[condition->op].negated && !condition->if_exists &&
           condition->quantifier != QUANTIFIER_ALL_VALUES && values_are_bounded(policy, condition);
}

/* It fails for a bounded set only: a negated operator holds where the key is absent. */
static bool fails_for_few(const struct policy *policy, const struct policy_condition *condition) {
    return policy_operator_kinds[condition->op].negated &&
           condition->quantifier != QUANTIFIER_ANY_VALUE && values_are_bounded(policy, condition);
}

/* --- statements --- */

static bool has_everybody(const struct policy_statement *statement) {
    for (size_t i = 0; i < statement->n_principals; i++) {
        if (statement->principals[i].kind == PRINCIPAL_ANYBODY) {
            return true;
        }
    }
    return false;
}

/* Allows something to everybody, or to everybody but some. */
static bool allows_everybody(const struct policy *policy,
                             const struct policy_statement *statement) {
    if (statement->effect != POLICY_ALLOW ||
        (statement->not_principal ? has_everybody(statement) : !has_everybody(statement)) ||
        (!statement->not_action && statement->actions.n == 0) ||
        (!statement->not_resource && statement->resources.n == 0)) {
        return false;
    }
    for (size_t i = 0; i < statement->n_conditions; i++) {
        if (holds_for_few(policy, &statement->conditions[i])) {
            return false;
        }
    }
    return true;
}

/* Those whom the Deny spares are a bounded set: principals that it excepts by name, and those for
 * whom one of its conditions fails. */
static bool spares_few(const struct policy *policy, const struct policy_statement *statement) {
    if (statement->effect != POLICY_DENY ||
        (statement->not_principal ? has_everybody(statement) : !has_everybody(statement))) {
        return false;
    }
    for (size_t i = 0; i < statement->n_conditions; i++) {
        if (!fails_for_few(policy, &statement->conditions[i])) {
            return false;
        }
    }
    return true;
}

static bool texts_cover(const struct policy_texts *texts, const char *pattern, bool fold) {
    for (size_t i = 0; i < texts->n; i++) {
        if (policy_pattern_covers(texts->items[i], pattern, fold)) {
            return true;
        }
    }
    return false;
}

/* All that the list (or, for `is_not`, everything but it) means, `texts` mean too. */
static bool texts_cover_all(const struct policy_texts *texts, const struct policy_texts *list,
                            bool is_not, bool fold) {
    if (is_not) {
        return texts_cover(texts, "*", fold);
    }
    for (size_t i = 0; i < list->n; i++) {
        if (!texts_cover(texts, list->items[i], fold)) {
            return false;
        }
    }
    return true;
}

/* Whatever the Allow is about, the Deny is about. */
static bool is_about_all(const struct policy_statement *deny,
                         const struct policy_statement *allow) {
    return !deny->not_action && !deny->not_resource &&
           texts_cover_all(&deny->actions, &allow->actions, allow->not_action, true) &&
           texts_cover_all(&deny->resources, &allow->resources, allow->not_resource, false);
}

static bool is_taken_back(const struct policy *policy, const struct policy_statement *allow) {
    for (size_t i = 0; i < policy->n_statements; i++) {
        const struct policy_statement *deny = &policy->statements[i];
        if (spares_few(policy, deny) && is_about_all(deny, allow)) {
            return true;
        }
    }
    return false;
}

bool policy_is_public(const struct policy *policy) {
    for (size_t i = 0; i < policy->n_statements; i++) {
        const struct policy_statement *statement = &policy->statements[i];
        if (allows_everybody(policy, statement) && !is_taken_back(policy, statement)) {
            return true;
        }
    }
    return false;
}

/* --- what a caller can never do --- */

static bool names_caller(const struct policy_statement *statement,
                         const struct policy_principal *caller) {
    for (size_t i = 0; i < statement->n_principals; i++) {
        if (policy_principal_covers(&statement->principals[i], caller)) {
            return true;
        }
    }
    return false;
}

static bool names_action(const struct policy_statement *statement, const char *action) {
    for (size_t i = 0; i < statement->actions.n; i++) {
        if (policy_pattern_matches(statement->actions.items[i], action, true)) {
            return true;
        }
    }
    return false;
}

/* Where the secret or what a variable stands for is not known, a resource need not be the secret,
 * and one that is excepted may be. */
static bool is_about_secret(const struct policy *policy, const struct policy_statement *statement,
                            const char *arn) {
    for (size_t i = 0; i < statement->resources.n; i++) {
        const char *pattern = statement->resources.items[i];
        bool is_open = arn == NULL || (policy->has_variables && strstr(pattern, "${") != NULL);
        if (strcmp(pattern, "*") == 0 || (is_open && statement->not_resource) ||
            (!is_open && policy_pattern_matches(pattern, arn, false))) {
            return !statement->not_resource;
        }
    }
    return statement->not_resource;
}

bool policy_denies_always(const struct policy *policy, const struct policy_principal *caller,
                          const char *action, const char *arn) {
    for (size_t i = 0; i < policy->n_statements; i++) {
        const struct policy_statement *statement = &policy->statements[i];
        if (statement->effect == POLICY_DENY && statement->n_conditions == 0 &&
            names_caller(statement, caller) != statement->not_principal &&
            names_action(statement, action) != statement->not_action &&
            is_about_secret(policy, statement, arn)) {
            return true;
        }
    }
    return false;
}
