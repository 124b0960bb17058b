/* Staging labels under random writes, against a small model of AWS_BEHAVIOUR 3.4 and 3.5 that
 * shares no code with the house: PutSecretValue, UpdateSecret and UpdateSecretVersionStage, with
 * good parameters and bad ones. After every call the answer is what the model says, DescribeSecret
 * shows the model's labels, and every label reads the value of the version that it is on.
 *
 * Seeds are fixed; REDOUBT_SEED=n begins elsewhere, REDOUBT_SEEDS=n runs so many. The last seed
 * printed is the one that fails. */
#include "tests/unit/api_ops_bench.h"

#include <stdlib.h>

enum { CURRENT, PREVIOUS, PENDING, FREE, LABELS = FREE + 4 };
enum { NOWHERE = -1, VERSIONS = 40, STEPS = 45, SEEDS = 20, ID_TEXT = 37 };

static const char *const labels[LABELS] = {
    "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING", "AWSSOMETHING", "blue", "green", "Blue"};

/* Version n has the id id_of(n) and the value "value n". */
struct model {
    int at[LABELS]; /* the version that has the label */
    bool has_value[VERSIONS];
    int n_versions;
};

struct walk {
    struct bench *bench;
    struct model model;
    uint64_t rng;
    unsigned done, refused;
};

static uint64_t roll(struct walk *w) {
    uint64_t z = (w->rng += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int below(struct walk *w, int n) {
    return (int)(roll(w) % (uint64_t)n);
}

static void id_of(int version, char ret[ID_TEXT]) {
    (void)snprintf(ret, ID_TEXT, "00000000-0000-4000-8000-%012d", version);
}

/* --- The model ------------------------------------------------------------------------------- */

static bool has_any_value(const struct model *model) {
    for (int v = 0; v < model->n_versions; v++) {
        if (model->has_value[v]) {
            return true;
        }
    }
    return false;
}

/* 3.4: a value for `version`, with these labels (a bit each). */
static void model_put(struct model *model, int version, unsigned set) {
    int former = model->at[CURRENT];

    if (set == 0 || (set & 1U << CURRENT) != 0 || !has_any_value(model)) {
        if (model->at[PENDING] != version) {
            model->at[PENDING] = NOWHERE;
        }
        if (former != NOWHERE && former != version) {
            model->at[PREVIOUS] = former;
        }
        model->at[CURRENT] = version;
    }
    for (int label = 0; label < LABELS; label++) {
        if ((set & 1U << label) != 0) {
            model->at[label] = version;
        }
    }
    model->has_value[version] = true;
    if (version == model->n_versions) {
        model->n_versions++;
    }
}

/* 3.5, the table of parameters. `from` and `to`: NOWHERE is absent, n_versions no version's id. */
static enum errc model_move(struct model *model, int label, int from, int to) {
    int now = model->at[label];

    if (from >= model->n_versions || to >= model->n_versions) {
        return ERR_INVALID_PARAMETER;
    }
    if (from == NOWHERE ? to == NOWHERE || (now != NOWHERE && now != to) : from != now) {
        return ERR_INVALID_PARAMETER;
    }
    if (label != CURRENT) {
        model->at[label] = to;
        return OK;
    }
    if (to == NOWHERE) {
        return ERR_INVALID_PARAMETER;
    }
    if (!model->has_value[to]) {
        return ERR_RESOURCE_NOT_FOUND;
    }
    if (now != NOWHERE && now != to) {
        model->at[PREVIOUS] = now;
    }
    model->at[CURRENT] = to;
    return OK;
}

/* --- What is there --------------------------------------------------------------------------- */

static void expect_labels(struct walk *w) {
    json_t *reply = bench_ok(w->bench, "DescribeSecret", ID("s"));
    const json_t *map = json_object_get(reply, "VersionIdsToStages");
    size_t n = 0;
    size_t shown = 0;
    const char *id;
    json_t *list;

    for (int label = 0; label < LABELS; label++) {
        char expected[ID_TEXT];
        bool found = false;
        size_t i;
        json_t *item;
        if (w->model.at[label] == NOWHERE) {
            continue;
        }
        n++;
        id_of(w->model.at[label], expected);
        json_array_foreach(json_object_get(map, expected), i, item) {
            found = found || strcmp(json_string_value(item), labels[label]) == 0;
        }
        if (!found) {
            fail_msg("%s is not on %s", labels[label], expected);
        }
    }
    /* As many as expected and all expected are there: so no label is anywhere else, nor twice. */
    json_object_foreach((json_t *)(uintptr_t)map, id, list) {
        assert_true(json_array_size(list) > 0); /* deprecated versions are left out */
        shown += json_array_size(list);
    }
    assert_int_equal(shown, n);
    assert_true((map != NULL) == (n > 0));
    json_decref(reply);
}

static void expect_values(struct walk *w) {
    for (int label = 0; label < LABELS; label++) {
        int version = w->model.at[label];
        char body[256];
        char text[32];
        json_t *reply = NULL;
        enum errc code;

        (void)snprintf(body, sizeof(body), ID_("s", "\"VersionStage\":\"%s\""), labels[label]);
        code = bench_call(w->bench, "GetSecretValue", body, &reply);
        if (version == NOWHERE || !w->model.has_value[version]) {
            assert_int_equal(code, ERR_RESOURCE_NOT_FOUND);
        } else {
            assert_int_equal(code, OK);
            (void)snprintf(text, sizeof(text), "value %d", version);
            assert_string_equal(text_of(reply, "SecretString"), text);
        }
        json_decref(reply);
    }
}

static void expect_invariants(const struct model *model) {
    assert_true((model->at[CURRENT] != NOWHERE) == has_any_value(model));
    assert_true(model->at[CURRENT] == NOWHERE || model->has_value[model->at[CURRENT]]);
}

static void expect_answer(struct walk *w, const char *operation, const char *body,
                          enum errc expected) {
    json_t *reply = NULL;
    enum errc code = bench_call(w->bench, operation, body, &reply);

    json_decref(reply);
    if (code != expected) {
        fail_msg("%s %s: %s (%s) instead of %s", operation, body, errc_name(code),
                 w->bench->err.message, errc_name(expected));
    }
    w->done += code == OK ? 1 : 0;
    w->refused += code == OK ? 0 : 1;
}

/* --- Steps -------------------------------------------------------------------------------------
 */

static void step_put(struct walk *w, bool is_update) {
    struct model *model = &w->model;
    /* Mostly a new version; else one that is there: a repetition, or an empty one to be filled. */
    int version =
        model->n_versions > 0 && below(w, 3) == 0 ? below(w, model->n_versions) : model->n_versions;
    bool is_other = below(w, 8) == 0; /* other content than this version's */
    unsigned set = is_update || below(w, 2) == 0 ? 0 : (unsigned)below(w, 1 << LABELS);
    char id[ID_TEXT];
    char stages[256] = "";
    char body[768];
    enum errc expected = OK;

    if (version == VERSIONS) {
        return;
    }
    id_of(version, id);
    for (int label = 0; label < LABELS; label++) {
        if ((set & 1U << label) != 0) {
            size_t len = strlen(stages);
            (void)snprintf(stages + len, sizeof(stages) - len, "%s\"%s\"",
                           len == 0 ? ",\"VersionStages\":[" : ",", labels[label]);
        }
    }
    if (version < model->n_versions && model->has_value[version]) {
        expected = is_other ? ERR_RESOURCE_EXISTS : OK;
    } else {
        is_other = false;
        model_put(model, version, set);
    }
    (void)snprintf(
        body, sizeof(body),
        "{\"SecretId\":\"s\",\"ClientRequestToken\":\"%s\",\"SecretString\":\"%s %d\"%s%s}", id,
        is_other ? "other" : "value", version, stages, set != 0 ? "]" : "");
    expect_answer(w, is_update ? "UpdateSecret" : "PutSecretValue", body, expected);
}

static void step_move(struct walk *w) {
    struct model *model = &w->model;
    int label = below(w, LABELS);
    int now = model->at[label];
    /* Where the label is, nothing, or anything, up to an id that no version has. */
    int from = below(w, 3) == 0 ? below(w, model->n_versions + 2) - 1 : now;
    int to = below(w, model->n_versions + 2) - 1;
    char id[ID_TEXT];
    char body[512];
    size_t len = (size_t)snprintf(body, sizeof(body), "{\"SecretId\":\"s\",\"VersionStage\":\"%s\"",
                                  labels[label]);

    if (from != NOWHERE) {
        id_of(from, id);
        len +=
            (size_t)snprintf(body + len, sizeof(body) - len, ",\"RemoveFromVersionId\":\"%s\"", id);
    }
    if (to != NOWHERE) {
        id_of(to, id);
        len += (size_t)snprintf(body + len, sizeof(body) - len, ",\"MoveToVersionId\":\"%s\"", id);
    }
    (void)snprintf(body + len, sizeof(body) - len, "}");
    expect_answer(w, "UpdateSecretVersionStage", body, model_move(model, label, from, to));
}

/* What RotateSecret does to the record: an empty version with AWSPENDING. */
static void step_begin_rotation(struct walk *w) {
    Redoubt__Secret *secret;
    Redoubt__Version *version;
    char id[ID_TEXT];

    if (w->model.n_versions == VERSIONS || w->model.at[PENDING] != NOWHERE) {
        return;
    }
    id_of(w->model.n_versions, id);
    secret = bench_secret(w->bench, "s");
    version = calloc(1, sizeof(*version));
    assert_non_null(version);
    redoubt__version__init(version);
    version->id = strdup(id);
    version->has_created_ms = true;
    version->created_ms = w->bench->now_ms;
    version->stages = calloc(1, sizeof(char *));
    version->stages[version->n_stages++] = strdup(labels[PENDING]);
    secret->versions = realloc(secret->versions, (secret->n_versions + 1) * sizeof(void *));
    secret->versions[secret->n_versions++] = version;
    bench_put_secret(w->bench, secret);
    w->model.at[PENDING] = w->model.n_versions++;
}

static void run(uint64_t seed) {
    struct walk w = {.rng = seed};
    void *state = NULL;
    char id[ID_TEXT];
    char body[256];
    bool is_empty;

    print_message("seed %llu: ", (unsigned long long)seed);
    assert_int_equal(bench_setup(&state), 0);
    w.bench = state;
    for (int label = 0; label < LABELS; label++) {
        w.model.at[label] = NOWHERE;
    }
    is_empty = below(&w, 4) == 0;
    id_of(0, id);
    (void)snprintf(body, sizeof(body), "{\"Name\":\"s\",\"ClientRequestToken\":\"%s\"%s}", id,
                   is_empty ? "" : ",\"SecretString\":\"value 0\"");
    bench_do(w.bench, "CreateSecret", body);
    if (!is_empty) {
        model_put(&w.model, 0, 0);
    }
    for (int step = 0; step < STEPS; step++) {
        int kind = below(&w, 20);
        w.bench->now_ms += 1000;
        if (kind < 6) {
            step_put(&w, false);
        } else if (kind < 9) {
            step_put(&w, true);
        } else if (kind < 19) {
            step_move(&w);
        } else {
            step_begin_rotation(&w);
        }
        expect_invariants(&w.model);
        expect_labels(&w);
        expect_values(&w);
    }
    print_message("%u done, %u refused\n", w.done, w.refused);
    assert_true(w.done > 0 && w.refused > 0);
    assert_int_equal(bench_teardown(&state), 0);
}

static uint64_t number_from(const char *variable, uint64_t otherwise) {
    const char *text = getenv(variable);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void test_random(void **state) {
    uint64_t first = number_from("REDOUBT_SEED", 1);
    uint64_t count = number_from("REDOUBT_SEEDS", SEEDS);

    for (uint64_t seed = first; seed < first + count; seed++) {
        run(seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
