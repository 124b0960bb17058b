/* ListSecrets with random filters over random secrets, in every order and in pages of every size,
 * against the whole list, filtered here: what the index proposes and the walk decides must leave
 * nothing out and put nothing in.
 *
 * REDOUBT_SEED=n begins elsewhere, REDOUBT_SEEDS=n runs so many; the last seed printed is the one
 * that fails. */
#include "tests/unit/api_ops_bench.h"

#include "model/filter.h"

enum { SEEDS = 6, SECRETS = 40, QUERIES = 120, FILTERS_MAX = 2, VALUES_MAX = 3, VALUE_TEXT = 16 };

static const char *const key_names[] = {
    "all", "name", "tag-key", "description", "tag-value", "primary-region", "owning-service"};
static const char *const order_names[] = {"created-date", "last-accessed-date", "last-changed-date",
                                          "name"};

static uint64_t random_state;

static size_t below(size_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state >> 16) % n;
}

/* Words of few kinds, joined in ways that cut and ways that do not. */
static const char *random_words(char *out, size_t size, size_t n, const char *joints) {
    static const char *const words[] = {"app", "App", "db", "DB", "prod", "Pro", "x1", "a", "B2"};
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        char joint[2] = {i == 0 ? '\0' : joints[below(strlen(joints))], '\0'};
        len +=
            (size_t)snprintf(out + len, size - len, "%s%s", joint, words[below(ARRAY_LEN(words))]);
        assert_true(len < size);
    }
    return out;
}

static void create_random(struct bench *bench, size_t i) {
    char name[64];
    char description[64];
    char key[32];
    char value[32];
    char body[1024];

    random_words(name, sizeof(name) - 8, 1 + below(3), "/_-.");
    (void)snprintf(name + strlen(name), 8, "/%zu", i);
    random_words(description, sizeof(description), below(4), " :-");
    random_words(key, sizeof(key), 1 + below(2), " =");
    random_words(value, sizeof(value), below(3), "/ ");
    (void)snprintf(body, sizeof(body),
                   "{\"Name\":\"%s\",\"ClientRequestToken\":\"" TOKEN(1) "\"" VALUE(
                       "v") ",\"Description\":\"%s\"%s%s%s%s%s%s}",
                   name, description,
                   below(2) == 0 ? ""
                                 : ",\"AddReplicaRegions\":[{\"Region\":"
                                   "\"us-east-1\"}]",
                   ",\"Tags\":[{\"Key\":\"", key, "\",\"Value\":\"", value, "\"}]");
    bench_do(bench, "CreateSecret", body);
    bench->now_ms += (int64_t)below(3);
    (void)snprintf(body, sizeof(body), "{\"SecretId\":\"%s\"}", name);
    switch (below(6)) {
    case 0:
        bench_make_replica(bench, name); /* with links of its own: such a one names its primary */
        break;
    case 1:
        bench->now_ms += BENCH_DAY_MS;
        bench_do(bench, "GetSecretValue", body);
        break;
    case 2:
        bench_do(bench, "GetSecretValue", body);
        (void)snprintf(
            body, sizeof(body),
            "{\"SecretId\":\"%s\",\"ClientRequestToken\":\"" TOKEN(2) "\"" VALUE("w") "}", name);
        bench_do(bench, "PutSecretValue", body);
        break;
    case 3: {
        json_t *reply = NULL;
        (void)bench_call(bench, "DeleteSecret", body, &reply); /* refused while it has replicas */
        json_decref(reply);
        break;
    }
    default:
        break;
    }
}

struct query {
    char text[1024]; /* the members as JSON, without braces */
    struct filter filters[FILTERS_MAX];
    size_t n;
    const char *values[FILTERS_MAX][VALUES_MAX];
    char texts[FILTERS_MAX][VALUES_MAX][VALUE_TEXT];
};

static void random_value(char out[VALUE_TEXT], enum filter_key key) {
    static const char *const regions[] = {"us", "eu-central-1", "us-east-1", "e", ""};
    char words[VALUE_TEXT];

    if (key == FILTER_PRIMARY_REGION) {
        (void)snprintf(words, sizeof(words), "%s", regions[below(ARRAY_LEN(regions))]);
    } else {
        random_words(words, sizeof(words), below(3), " /-=:");
        if (words[0] != '\0' && below(2) == 0) {
            words[1 + below(strlen(words))] = '\0';
        }
    }
    (void)snprintf(out, VALUE_TEXT, "%s%.14s", below(4) == 0 ? "!" : "", words);
}

static void query_make(struct query *query) {
    size_t len;

    *query = (struct query){.n = below(FILTERS_MAX + 1)};
    len = (size_t)snprintf(
        query->text, sizeof(query->text), "\"SortBy\":\"%s\",\"SortOrder\":\"%s\",\"Filters\":[",
        order_names[below(ARRAY_LEN(order_names))], below(2) == 0 ? "asc" : "desc");
    for (size_t i = 0; i < query->n; i++) {
        struct filter *filter = &query->filters[i];
        filter->key = (enum filter_key)below(FILTER_OWNING_SERVICE + 1);
        filter->values = query->values[i];
        filter->n_values = 1 + below(VALUES_MAX);
        len += (size_t)snprintf(query->text + len, sizeof(query->text) - len,
                                "%s{\"Key\":\"%s\",\"Values\":[", i == 0 ? "" : ",",
                                key_names[filter->key]);
        for (size_t k = 0; k < filter->n_values; k++) {
            random_value(query->texts[i][k], filter->key);
            query->values[i][k] = query->texts[i][k];
            len += (size_t)snprintf(query->text + len, sizeof(query->text) - len, "%s\"%s\"",
                                    k == 0 ? "" : ",", query->texts[i][k]);
        }
        len += (size_t)snprintf(query->text + len, sizeof(query->text) - len, "]}");
    }
    len += (size_t)snprintf(query->text + len, sizeof(query->text) - len, "]%s",
                            below(3) == 0 ? ",\"IncludePlannedDeletion\":true" : "");
    assert_true(len < sizeof(query->text));
}

/* All entries that `members` select, in pages of `size`; owned. */
static json_t *list_all(struct bench *bench, const char *members, size_t size) {
    json_t *all = json_array();
    char token[1024] = "";

    do {
        char body[4096];
        json_t *page;
        const char *next;
        (void)snprintf(body, sizeof(body), "{\"MaxResults\":%zu%s%s%s%s}", size, members,
                       token[0] == '\0' ? "" : ",\"NextToken\":\"", token,
                       token[0] == '\0' ? "" : "\"");
        page = bench_ok(bench, "ListSecrets", body);
        assert_true(json_array_size(json_object_get(page, "SecretList")) <= size);
        assert_int_equal(json_array_extend(all, json_object_get(page, "SecretList")), 0);
        next = json_string_value(json_object_get(page, "NextToken"));
        (void)snprintf(token, sizeof(token), "%s", next != NULL ? next : "");
        json_decref(page);
    } while (token[0] != '\0');
    return all;
}

static bool entry_matches(const json_t *entry, const struct query *query) {
    const json_t *tags = json_object_get(entry, "Tags");
    const char *keys[LIMIT_TAGS];
    const char *values[LIMIT_TAGS];
    const struct filter_subject subject = {
        .name = text_of(entry, "Name"),
        .description = json_string_value(json_object_get(entry, "Description")),
        .primary_region = json_string_value(json_object_get(entry, "PrimaryRegion")),
        .tag_keys = keys,
        .tag_values = values,
        .n_tags = json_array_size(tags),
    };

    for (size_t i = 0; i < subject.n_tags; i++) {
        keys[i] = text_of(json_array_get(tags, i), "Key");
        values[i] = text_of(json_array_get(tags, i), "Value");
    }
    return filters_match(query->filters, query->n, &subject);
}

/* Returns how many were found. */
static size_t check_query(struct bench *bench, const struct query *query) {
    const char *end = strstr(query->text, ",\"Filters\"");
    char members[sizeof(query->text) + 1];
    json_t *all;
    json_t *found;
    size_t n = 0;

    (void)snprintf(members, sizeof(members), ",%.*s%s", (int)(end - query->text), query->text,
                   strstr(query->text, "Planned") != NULL ? ",\"IncludePlannedDeletion\":true"
                                                          : "");
    all = list_all(bench, members, LIMIT_LIST_PAGE);
    (void)snprintf(members, sizeof(members), ",%s", query->text);
    found = list_all(bench, members, 1 + below(SECRETS + 2));
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *entry = json_array_get(all, i);
        if (!entry_matches(entry, query)) {
            continue;
        }
        if (!json_equal(json_array_get(found, n), entry)) {
            fail_msg("%s: place %zu is not %s", query->text, n, text_of(entry, "Name"));
        }
        n++;
    }
    if (json_array_size(found) != n) {
        fail_msg("%s finds %zu instead of %zu", query->text, json_array_size(found), n);
    }
    json_decref(all);
    json_decref(found);
    return n;
}

static uint64_t number_from(const char *variable, uint64_t otherwise) {
    const char *text = getenv(variable);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void run(uint64_t seed) {
    void *state = NULL;
    struct bench *bench;
    size_t some = 0;

    print_message("seed %llu\n", (unsigned long long)seed);
    random_state = seed * 0x9e3779b97f4a7c15u | 1;
    assert_int_equal(bench_setup(&state), 0);
    bench = state;
    for (size_t i = 0; i < SECRETS; i++) {
        create_random(bench, i);
    }
    for (size_t i = 0; i < QUERIES; i++) {
        static struct query query;
        size_t n;
        query_make(&query);
        n = check_query(bench, &query);
        some += n > 0 && n < SECRETS / 2 ? 1 : 0;
    }
    assert_true(some > QUERIES / 10);
    (void)bench_teardown(&state);
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
