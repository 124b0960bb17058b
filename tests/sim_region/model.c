#include "model.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t day_ms = 24LL * 60 * 60 * 1000;

/* An answer on its way to become a text. */
struct answer {
    enum errc code;
    const char *name; /* NULL: the answer names no secret */
    char suffix[LIMIT_ARN_SUFFIX + 1];
    char version[DEED_ID];
    char labels[MODEL_LABELS][DEED_WORD];
    unsigned n_labels;
    int64_t deletion_ms; /* -1: none */
};

void text_add(char *text, size_t size, const char *fmt, ...) {
    size_t used = strlen(text);
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text + used, size - used, fmt, args);
    va_end(args);
    CHECK(n >= 0 && (size_t)n < size - used);
}

static void text_copy(char *to, size_t size, const char *from) {
    to[0] = '\0';
    text_add(to, size, "%s", from);
}

/* ---- labels ---- */

static struct model_version *find_version(struct model_secret *secret, const char *id) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        if (strcmp(secret->versions[i].id, id) == 0) {
            return &secret->versions[i];
        }
    }
    return NULL;
}

static struct model_version *find_label(struct model_secret *secret, const char *label) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        for (unsigned k = 0; k < secret->versions[i].n_labels; k++) {
            if (strcmp(secret->versions[i].labels[k], label) == 0) {
                return &secret->versions[i];
            }
        }
    }
    return NULL;
}

static unsigned count_labels(const struct model_secret *secret) {
    unsigned n = 0;
    for (size_t i = 0; i < secret->n_versions; i++) {
        n += secret->versions[i].n_labels;
    }
    return n;
}

static void take_label(struct model_secret *secret, const char *label) {
    struct model_version *version = find_label(secret, label);
    unsigned kept = 0;

    if (version == NULL) {
        return;
    }
    for (unsigned k = 0; k < version->n_labels; k++) {
        if (strcmp(version->labels[k], label) != 0) {
            memmove(version->labels[kept++], version->labels[k], DEED_WORD);
        }
    }
    version->n_labels = kept;
}

static void give_label(struct model_secret *secret, const char *label, const char *id) {
    struct model_version *version = find_version(secret, id);

    if (find_label(secret, label) == version) {
        return;
    }
    take_label(secret, label);
    CHECK(version != NULL && version->n_labels < MODEL_LABELS);
    text_copy(version->labels[version->n_labels++], DEED_WORD, label);
}

/* AWSCURRENT goes there, and what had it becomes AWSPREVIOUS. */
static void move_current(struct model_secret *secret, const char *id) {
    const struct model_version *outgoing = find_label(secret, "AWSCURRENT");

    if (outgoing != NULL && strcmp(outgoing->id, id) != 0) {
        give_label(secret, "AWSPREVIOUS", outgoing->id);
    }
    give_label(secret, "AWSCURRENT", id);
}

/* ---- secrets ---- */

static void secret_copy(const struct model_secret *from, struct model_secret *to) {
    *to = *from;
    to->versions = NULL;
    if (from->n_versions > 0) {
        to->versions = calloc(from->n_versions, sizeof(to->versions[0]));
        CHECK(to->versions != NULL);
        memcpy(to->versions, from->versions, from->n_versions * sizeof(to->versions[0]));
    }
}

static void secret_clear(struct model_secret *secret) {
    free(secret->versions);
    memset(secret, 0, sizeof(*secret));
}

static bool has_value(const struct model_secret *secret) {
    for (size_t i = 0; i < secret->n_versions; i++) {
        if (secret->versions[i].cipher[0] != '\0') {
            return true;
        }
    }
    return false;
}

static void add_version(struct model_secret *secret, const struct deed *deed, uint64_t revision) {
    secret->versions =
        reallocarray(secret->versions, secret->n_versions + 1, sizeof(secret->versions[0]));
    CHECK(secret->versions != NULL);
    struct model_version *version = &secret->versions[secret->n_versions++];
    memset(version, 0, sizeof(*version));
    text_copy(version->id, sizeof(version->id), deed->token);
    text_copy(version->text, sizeof(version->text), deed->text);
    deed_cipher(deed->text, deed->is_binary, deed->nonce, version->cipher);
    version->is_binary = deed->is_binary;
    version->created_ms = deed->now_ms;
    version->day = -1;
    version->revision = revision;
}

static bool is_prunable(const struct model_version *version, int64_t now_ms) {
    return version->n_labels == 0 && now_ms - version->created_ms >= day_ms;
}

/* The oldest versions above what is kept go, those that are a day old and without a label. False
 * when too many are left even so. */
static bool prune(struct model_secret *secret, int64_t now_ms, size_t kept, size_t *ret_gone) {
    size_t excess = secret->n_versions > kept ? secret->n_versions - kept : 0;
    size_t gone = 0;
    size_t n = 0;

    for (size_t i = 0; i < secret->n_versions; i++) {
        if (gone < excess && is_prunable(&secret->versions[i], now_ms)) {
            gone++;
        } else {
            secret->versions[n++] = secret->versions[i];
        }
    }
    secret->n_versions = n;
    *ret_gone = gone;
    return n <= LIMIT_VERSIONS;
}

static bool is_same_value(const struct model_version *version, const struct deed *deed) {
    return version->cipher[0] != '\0' && version->is_binary == deed->is_binary &&
           strcmp(version->text, deed->text) == 0;
}

static void name_it(struct answer *answer, const struct deed *deed,
                    const struct model_secret *secret) {
    answer->name = deed_names[deed->name];
    text_copy(answer->suffix, sizeof(answer->suffix), secret->suffix);
}

/* The secret that the deed means; a suffix that is another's means none. */
static bool is_found(const struct model_secret *secret, const struct deed *deed) {
    return secret->exists && (deed->suffix[0] == '\0' || strcmp(deed->suffix, secret->suffix) == 0);
}

/* False, with the refusal, unless the secret is there and not scheduled for deletion. */
static bool is_writable(const struct model_secret *secret, const struct deed *deed,
                        struct answer *answer) {
    if (!is_found(secret, deed)) {
        answer->code = ERR_RESOURCE_NOT_FOUND;
    } else if (secret->deletion_ms >= 0) {
        answer->code = ERR_INVALID_REQUEST;
    }
    return answer->code == OK;
}

static void changed(struct model_secret *secret, int64_t now_ms) {
    secret->revision++;
    secret->changed_ms = now_ms;
}

/* ---- deeds ---- */

static void set_tags(struct model_secret *secret, const struct deed *deed) {
    for (unsigned i = 0; i < deed->n_tags; i++) {
        unsigned at = 0;
        while (at < secret->n_tags && strcmp(secret->tags[at][0], deed->tags[i][0]) != 0) {
            at++;
        }
        CHECK(at < MODEL_TAGS);
        secret->n_tags += at == secret->n_tags;
        text_copy(secret->tags[at][0], DEED_WORD, deed->tags[i][0]);
        text_copy(secret->tags[at][1], DEED_WORD, deed->tags[i][1]);
        secret->tags_were_set = true;
    }
}

static void do_create(struct model *model, struct model_secret *secret, const struct deed *deed,
                      uint64_t seq, struct answer *answer) {
    unsigned count = 0;

    if (secret->exists && secret->deletion_ms >= 0) {
        answer->code = ERR_INVALID_REQUEST;
        return;
    }
    if (secret->exists) {
        const struct model_version *version = find_version(secret, deed->token);
        if (version == NULL || deed->text[0] == '\0' || !is_same_value(version, deed)) {
            answer->code = ERR_RESOURCE_EXISTS;
            return;
        }
        name_it(answer, deed, secret);
        text_copy(answer->version, sizeof(answer->version), version->id);
        return;
    }
    for (unsigned i = 0; i < DEED_NAMES; i++) {
        count += model->secrets[i].exists;
    }
    if (count >= deed->quotas.secrets) {
        answer->code = ERR_LIMIT_EXCEEDED;
        return;
    }
    secret_clear(secret);
    secret->exists = true;
    secret->created_ms = deed->now_ms;
    secret->changed_ms = deed->now_ms;
    secret->deletion_ms = -1;
    secret->day = -1;
    secret->revision = 1;
    secret->seq = seq;
    text_copy(secret->suffix, sizeof(secret->suffix), deed->suffix);
    text_copy(secret->description, sizeof(secret->description), deed->description);
    set_tags(secret, deed);
    name_it(answer, deed, secret);
    if (deed->text[0] != '\0') {
        add_version(secret, deed, 1);
        give_label(secret, "AWSCURRENT", deed->token);
        text_copy(answer->version, sizeof(answer->version), deed->token);
    }
}

/* The token is a version's already: true, with the answer to a repetition or the refusal. */
static bool is_answered(struct model_secret *secret, const struct deed *deed,
                        struct answer *answer) {
    const struct model_version *version = find_version(secret, deed->token);

    if (version == NULL) {
        return false;
    }
    if (!is_same_value(version, deed)) {
        answer->code = ERR_RESOURCE_EXISTS;
        return true;
    }
    name_it(answer, deed, secret);
    text_copy(answer->version, sizeof(answer->version), version->id);
    memcpy(answer->labels, version->labels, sizeof(answer->labels));
    answer->n_labels = version->n_labels;
    return true;
}

static bool deed_has_label(const struct deed *deed, const char *label) {
    for (unsigned i = 0; i < deed->n_labels; i++) {
        if (strcmp(deed->labels[i], label) == 0) {
            return true;
        }
    }
    return false;
}

/* A new version with the deed's labels. False with the refusal: the secret is then half done. */
static bool put_version(struct model_secret *secret, const struct deed *deed,
                        struct answer *answer) {
    bool is_first = !has_value(secret);
    bool is_current = deed->n_labels == 0 || is_first || deed_has_label(deed, "AWSCURRENT");
    unsigned before = count_labels(secret);
    unsigned most = before > deed->quotas.labels ? before : deed->quotas.labels;
    size_t gone;

    add_version(secret, deed, secret->revision + 1);
    if (is_current) {
        take_label(secret, "AWSPENDING");
        move_current(secret, deed->token);
    }
    for (unsigned i = 0; i < deed->n_labels; i++) {
        give_label(secret, deed->labels[i], deed->token);
    }
    if (count_labels(secret) > most ||
        !prune(secret, deed->now_ms, deed->quotas.versions_kept, &gone)) {
        answer->code = ERR_LIMIT_EXCEEDED;
        return false;
    }
    for (unsigned i = 0; i < deed->n_labels; i++) {
        bool is_repeated = false;
        for (unsigned k = 0; k < answer->n_labels; k++) {
            is_repeated = is_repeated || strcmp(answer->labels[k], deed->labels[i]) == 0;
        }
        if (!is_repeated) {
            text_copy(answer->labels[answer->n_labels++], DEED_WORD, deed->labels[i]);
        }
    }
    if (is_current && !deed_has_label(deed, "AWSCURRENT")) {
        text_copy(answer->labels[answer->n_labels++], DEED_WORD, "AWSCURRENT");
    }
    return true;
}

static void do_put(struct model_secret *secret, const struct deed *deed, struct answer *answer) {
    if (!is_writable(secret, deed, answer) || is_answered(secret, deed, answer)) {
        return;
    }
    if (put_version(secret, deed, answer)) {
        changed(secret, deed->now_ms);
        name_it(answer, deed, secret);
        text_copy(answer->version, sizeof(answer->version), deed->token);
    }
}

static void do_update(struct model_secret *secret, const struct deed *deed, struct answer *answer) {
    bool has_text = deed->text[0] != '\0';

    if (!is_writable(secret, deed, answer) || (has_text && is_answered(secret, deed, answer))) {
        return;
    }
    if (has_text && !put_version(secret, deed, answer)) {
        return;
    }
    answer->n_labels = 0; /* of an update they are not told */
    if (has_text) {
        text_copy(answer->version, sizeof(answer->version), deed->token);
    }
    if (deed->has_description) {
        text_copy(secret->description, sizeof(secret->description), deed->description);
    }
    if (has_text || deed->has_description) {
        changed(secret, deed->now_ms);
    }
    name_it(answer, deed, secret);
}

static bool stage_is_refused(struct model_secret *secret, const struct deed *deed) {
    const struct model_version *at = find_label(secret, deed->label);
    bool has_from = deed->remove_from[0] != '\0';
    bool has_to = deed->move_to[0] != '\0';

    if ((has_from && find_version(secret, deed->remove_from) == NULL) ||
        (has_to && find_version(secret, deed->move_to) == NULL)) {
        return true;
    }
    if (has_from) { /* it must be where the label is */
        if (at == NULL || strcmp(at->id, deed->remove_from) != 0) {
            return true;
        }
    } else if (at != NULL) { /* it may be left out only when nothing moves */
        if (!has_to || strcmp(at->id, deed->move_to) != 0) {
            return true;
        }
    } else if (!has_to) {
        return true;
    }
    return !has_to && strcmp(deed->label, "AWSCURRENT") == 0;
}

static void do_stage(struct model_secret *secret, const struct deed *deed, struct answer *answer) {
    const struct model_version *at;
    unsigned before;
    bool moves;

    if (!is_writable(secret, deed, answer)) {
        return;
    }
    if (stage_is_refused(secret, deed)) {
        answer->code = ERR_INVALID_PARAMETER;
        return;
    }
    at = find_label(secret, deed->label);
    before = count_labels(secret);
    moves = at == NULL || strcmp(at->id, deed->move_to) != 0;
    if (deed->move_to[0] == '\0') {
        take_label(secret, deed->label);
    } else if (strcmp(deed->label, "AWSCURRENT") == 0) {
        move_current(secret, deed->move_to);
    } else {
        give_label(secret, deed->label, deed->move_to);
    }
    if (count_labels(secret) > (before > deed->quotas.labels ? before : deed->quotas.labels)) {
        answer->code = ERR_LIMIT_EXCEEDED;
        return;
    }
    name_it(answer, deed, secret);
    if (moves) {
        changed(secret, deed->now_ms);
    }
}

static void do_delete(struct model_secret *secret, const struct deed *deed, struct answer *answer) {
    if (!is_found(secret, deed)) {
        if (!deed->force) {
            answer->code = ERR_RESOURCE_NOT_FOUND;
            return;
        }
        answer->name = deed_names[deed->name];
        text_copy(answer->suffix, sizeof(answer->suffix),
                  deed->suffix[0] != '\0' ? deed->suffix : deed->invented);
        answer->deletion_ms = deed->deletion_ms;
        return;
    }
    if (secret->deletion_ms >= 0 && !deed->force) {
        answer->code = ERR_INVALID_REQUEST;
        return;
    }
    name_it(answer, deed, secret);
    answer->deletion_ms = deed->deletion_ms;
    if (deed->force) {
        secret_clear(secret);
    } else {
        secret->deletion_ms = deed->deletion_ms;
    }
}

static void do_restore(struct model_secret *secret, const struct deed *deed,
                       struct answer *answer) {
    if (!is_found(secret, deed)) {
        answer->code = ERR_RESOURCE_NOT_FOUND;
        return;
    }
    secret->deletion_ms = -1;
    name_it(answer, deed, secret);
}

static void do_tag(struct model_secret *secret, const struct deed *deed, struct answer *answer) {
    unsigned before = secret->n_tags;

    if (!is_writable(secret, deed, answer)) {
        return;
    }
    set_tags(secret, deed);
    if (secret->n_tags > before && secret->n_tags > deed->quotas.tags) {
        answer->code = ERR_INVALID_PARAMETER;
        return;
    }
    name_it(answer, deed, secret);
    if (deed->n_tags > 0) {
        changed(secret, deed->now_ms);
    }
}

static void do_untag(struct model_secret *secret, const struct deed *deed, struct answer *answer) {
    unsigned kept = 0;
    unsigned before = secret->n_tags;

    if (!is_writable(secret, deed, answer)) {
        return;
    }
    for (unsigned i = 0; i < before; i++) {
        bool goes = false;
        for (unsigned k = 0; k < deed->n_tags; k++) {
            goes = goes || strcmp(deed->tags[k][0], secret->tags[i][0]) == 0;
        }
        if (!goes) {
            memmove(secret->tags[kept++], secret->tags[i], sizeof(secret->tags[0]));
        }
    }
    secret->n_tags = kept;
    name_it(answer, deed, secret);
    if (kept < before) {
        changed(secret, deed->now_ms);
    }
}

static void do_policy(struct model_secret *secret, const struct deed *deed, struct answer *answer) {
    if (!is_writable(secret, deed, answer)) {
        return;
    }
    name_it(answer, deed, secret);
    if (deed->policy[0] != '\0' || secret->policy[0] != '\0') {
        text_copy(secret->policy, sizeof(secret->policy), deed->policy);
        changed(secret, deed->now_ms);
    }
}

static void do_touch(struct model_secret *secret, const struct deed *deed) {
    struct model_version *version;

    if (!is_found(secret, deed)) {
        return;
    }
    secret->day = secret->day < deed->day ? deed->day : secret->day;
    version = deed->token[0] == '\0' ? NULL : find_version(secret, deed->token);
    if (version != NULL && version->day < deed->day) {
        version->day = deed->day;
    }
}

static void do_purge(struct model_secret *secret, const struct deed *deed, struct answer *answer) {
    if (is_found(secret, deed) && secret->deletion_ms == deed->deletion_ms &&
        deed->now_ms >= secret->deletion_ms) {
        name_it(answer, deed, secret);
        secret_clear(secret);
    }
}

static void do_prune(struct model_secret *secret, const struct deed *deed, struct answer *answer) {
    size_t gone = 0;

    if (is_found(secret, deed) && secret->deletion_ms < 0 &&
        prune(secret, deed->now_ms, deed->quotas.versions_kept, &gone) && gone > 0) {
        changed(secret, secret->changed_ms);
        name_it(answer, deed, secret);
    }
}

static void do_deed(struct model *model, struct model_secret *secret, const struct deed *deed,
                    uint64_t seq, struct answer *answer) {
    switch (deed->kind) {
    case DEED_CREATE:
        do_create(model, secret, deed, seq, answer);
        break;
    case DEED_PUT:
        do_put(secret, deed, answer);
        break;
    case DEED_UPDATE:
        do_update(secret, deed, answer);
        break;
    case DEED_STAGE:
        do_stage(secret, deed, answer);
        break;
    case DEED_DELETE:
        do_delete(secret, deed, answer);
        break;
    case DEED_RESTORE:
        do_restore(secret, deed, answer);
        break;
    case DEED_TAG:
        do_tag(secret, deed, answer);
        break;
    case DEED_UNTAG:
        do_untag(secret, deed, answer);
        break;
    case DEED_POLICY:
        do_policy(secret, deed, answer);
        break;
    case DEED_TOUCH:
        do_touch(secret, deed);
        break;
    case DEED_PURGE:
        do_purge(secret, deed, answer);
        break;
    case DEED_PRUNE:
        do_prune(secret, deed, answer);
        break;
    case DEED_REGION:
    case DEED_KEY:
    case DEED_KINDS:
        break; /* a name that is there already, or a key that nobody asks for: no harm */
    }
}

/* ---- texts ---- */

static void answer_text(const struct answer *answer, char ret[MODEL_ANSWER]) {
    ret[0] = '\0';
    text_add(ret, MODEL_ANSWER, "%d", (int)answer->code);
    if (answer->code != OK) {
        return;
    }
    text_add(ret, MODEL_ANSWER, " %s-%s v=%s", answer->name == NULL ? "" : answer->name,
             answer->suffix, answer->version);
    for (unsigned i = 0; i < answer->n_labels; i++) {
        text_add(ret, MODEL_ANSWER, " %s", answer->labels[i]);
    }
    text_add(ret, MODEL_ANSWER, " del=%" PRId64, answer->deletion_ms);
}

static char *secret_text(const struct model_secret *secret) {
    static char text[MODEL_TEXT];
    char *copy;

    if (!secret->exists) {
        return NULL;
    }
    text[0] = '\0';
    text_add(text, sizeof(text),
             "%s seq=%" PRIx64 " desc=%s pol=%s cr=%" PRId64 " ch=%" PRId64 " del=%" PRId64
             " day=%" PRId64 " rev=%" PRIu64 " were=%d",
             secret->suffix, secret->seq, secret->description, secret->policy, secret->created_ms,
             secret->changed_ms, secret->deletion_ms, secret->day, secret->revision,
             secret->tags_were_set);
    for (unsigned i = 0; i < secret->n_tags; i++) {
        text_add(text, sizeof(text), " %s=%s", secret->tags[i][0], secret->tags[i][1]);
    }
    for (size_t i = 0; i < secret->n_versions; i++) {
        const struct model_version *version = &secret->versions[i];
        text_add(text, sizeof(text), "\n  %s cr=%" PRId64 " rev=%" PRIu64 " day=%" PRId64 " %s",
                 version->id, version->created_ms, version->revision, version->day,
                 version->cipher);
        for (unsigned k = 0; k < version->n_labels; k++) {
            text_add(text, sizeof(text), " %s", version->labels[k]);
        }
    }
    copy = strdup(text);
    CHECK(copy != NULL);
    return copy;
}

static void remember(struct model_history *history, const struct model_secret *secret,
                     uint64_t index) {
    char *text = secret_text(secret);
    const char *last = history->n > 0 ? history->moments[history->n - 1].text : NULL;

    if ((text == NULL) == (last == NULL) && (text == NULL || strcmp(text, last) == 0)) {
        free(text);
        return;
    }
    if (history->n > 0 && history->moments[history->n - 1].index == index) {
        free(history->moments[history->n - 1].text); /* an earlier command of the same entry */
        history->moments[history->n - 1].text = text;
        return;
    }
    if (history->n == history->room) {
        history->room = history->room == 0 ? 64 : history->room * 2;
        history->moments =
            reallocarray(history->moments, history->room, sizeof(history->moments[0]));
        CHECK(history->moments != NULL);
    }
    history->moments[history->n++] = (struct model_moment){index, text};
}

void model_apply(struct model *model, const struct deed *deed, uint64_t index, unsigned place,
                 char ret[MODEL_ANSWER]) {
    struct answer answer = {.deletion_ms = -1};
    struct model_secret *secret = &model->secrets[deed->name];
    struct model_secret tried;

    secret_copy(secret, &tried);
    if (deed->kind == DEED_REGION) {
        model->named = model->named == 0 ? index : model->named;
    } else if (model->named == 0 || model->named == index) {
        answer.code = ERR_UNAVAILABLE; /* in the entry that names it, too */
    } else {
        do_deed(model, &tried, deed, (index << 16 | place) << 9, &answer);
    }
    if (answer.code == OK) {
        free(secret->versions);
        *secret = tried;
        remember(&model->history[deed->name], secret, index);
    } else { /* a refusal changes nothing */
        free(tried.versions);
    }
    answer_text(&answer, ret);
}

const char *model_at(const struct model *model, unsigned name, uint64_t index) {
    const struct model_history *history = &model->history[name];
    size_t n = history->n;

    while (n > 0 && history->moments[n - 1].index > index) {
        n--;
    }
    return n > 0 ? history->moments[n - 1].text : NULL;
}

void model_fini(struct model *model) {
    for (unsigned i = 0; i < DEED_NAMES; i++) {
        secret_clear(&model->secrets[i]);
        for (size_t k = 0; k < model->history[i].n; k++) {
            free(model->history[i].moments[k].text);
        }
        free(model->history[i].moments);
    }
}
