#include "server/config.h"

#include "base/arena.h"
#include "model/secret_id.h"
#include "server/place.h"

#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum setting_kind {
    KIND_TEXT,
    KIND_PATH,
    KIND_ADDRESS,
    KIND_DOOR,
    KIND_REGION,
    KIND_FLAG,
    KIND_LEVEL,
    KIND_CONSISTENCY,
    KIND_NUMBER
};

struct setting {
    const char *section;
    const char *key;
    enum setting_kind kind;
    size_t offset;
    const char *initial; /* of a number NULL */
    const char *sentence;
    int64_t usual, least, most; /* of a number */
};

static const struct setting settings[] = {
#define X(section, key, kind, member, initial, sentence)                                           \
    {section, key, KIND_##kind, offsetof(struct config, member), initial, sentence, 0, 0, 0},
#define N(section, key, member, usual, least, most, sentence)                                      \
    {section, key,     KIND_NUMBER, offsetof(struct config, member), NULL, sentence,               \
     (usual), (least), (most)},
#include "server/conf.def"
#undef X
#define X(group, rate, ...)                                                                        \
    N("throttle", #group, rates.group, (rate), 1, LIMIT_THROTTLE_RATE, #__VA_ARGS__ ".")
#include "api/throttle.def"
#undef X
#define X(member, usual, most, sentence)                                                           \
    N("quotas", #member, quotas.member, (usual), (usual), (most), sentence)
#include "base/quotas.def"
#undef X
#undef N
};

/* With its end and a NUL. inih would silently cut a longer one, so that is refused. */
enum { LINE_ROOM = 20 * 1024 };
_Static_assert(LINE_ROOM > LIMIT_PEERS * (LIMIT_ADDRESS + 1), "all nodes of a region fit a line");

struct loading {
    struct config *config;
    struct err *err;
    enum errc code;
    const char *path;
    char why[128];
    FILE *file;
    int line; /* the one that was read last */
    bool seen[ARRAY_LEN(settings)];
};

/* The file and, where there is one, the line are put in front at the end. */
static int refuse(struct loading *loading, const char *section, const char *key, const char *why) {
    loading->code = err_set(loading->err, ERR_INVALID_PARAMETER, "[%s] %s: %s", section, key, why);
    return 0;
}

static bool address_is_valid(const char *value) {
    const char *colon = strrchr(value, ':');
    char *end;
    unsigned long port;

    if (colon == NULL || colon == value) {
        return false;
    }
    port = strtoul(colon + 1, &end, 10);
    return colon[1] != '\0' && *end == '\0' && port <= 65535;
}

static bool set_path(const struct loading *loading, char *out, const char *value) {
    const char *slash = strrchr(loading->path, '/');
    int len;

    if (value[0] == '/' || slash == NULL) {
        len = snprintf(out, CONFIG_TEXT, "%s", value);
    } else {
        len = snprintf(out, CONFIG_TEXT, "%.*s/%s", (int)(slash - loading->path), loading->path,
                       value);
    }
    return len > 0 && len < CONFIG_TEXT;
}

/* Digits alone: strtoll would also take blanks and signs. */
static bool set_number(const struct setting *setting, int64_t *out, const char *value) {
    char *end;

    errno = 0;
    *out = strtoll(value, &end, 10);
    return *value >= '0' && *value <= '9' && *end == '\0' && errno == 0 && *out >= setting->least &&
           *out <= setting->most;
}

static bool set_flag(bool *out, const char *value) {
    *out = strcmp(value, "true") == 0;
    return *out || strcmp(value, "false") == 0;
}

/* NULL, or why the value does not fit. */
static const char *set_value(struct loading *loading, const struct setting *setting,
                             const char *value) {
    void *at = (char *)loading->config + setting->offset;

    switch (setting->kind) {
    case KIND_TEXT:
        return snprintf(at, CONFIG_TEXT, "%s", value) < CONFIG_TEXT ? NULL : "too long";
    case KIND_PATH:
        return set_path(loading, at, value) ? NULL : "too long";
    case KIND_ADDRESS:
        (void)snprintf(at, CONFIG_TEXT, "%s", value);
        return address_is_valid(value) ? NULL : "must be host:port";
    case KIND_DOOR:
        (void)snprintf(at, CONFIG_TEXT, "%s", strcmp(value, "-") == 0 ? "" : value);
        return strcmp(value, "-") == 0 || address_is_valid(value) ? NULL
                                                                  : "must be host:port, or -";
    case KIND_REGION:
        (void)snprintf(at, CONFIG_TEXT, "%s", value);
        return region_name_is_valid(value) ? NULL : "must be a region name such as us-east-1";
    case KIND_FLAG:
        return set_flag(at, value) ? NULL : "must be true or false";
    case KIND_LEVEL:
        return log_level_parse(value, at) == 0 ? NULL : "must be debug, info, warn or error";
    case KIND_CONSISTENCY:
        *(bool *)at = strcmp(value, "stale") == 0;
        return *(bool *)at || strcmp(value, "linearizable") == 0 ? NULL
                                                                 : "must be linearizable or stale";
    case KIND_NUMBER:
        (void)snprintf(loading->why, sizeof(loading->why),
                       "must be a number from %" PRId64 " to %" PRId64, setting->least,
                       setting->most);
        return set_number(setting, at, value) ? NULL : loading->why;
    }
    return "unknown kind";
}

/* "host:port", or several of them between commas. */
static bool addresses_are_valid(const char *value) {
    char one[LIMIT_ADDRESS + 1];
    size_t len;

    do {
        len = strcspn(value, ",");
        if (len >= sizeof(one)) {
            return false;
        }
        (void)snprintf(one, sizeof(one), "%.*s", (int)len, value);
        if (!address_is_valid(one)) {
            return false;
        }
        value += len;
    } while (*value++ == ',');
    return true;
}

static int add_peer(struct loading *loading, const char *region, const char *address) {
    struct config *config = loading->config;

    if (!region_name_is_valid(region)) {
        return refuse(loading, "peers", region, "must be a region name such as us-east-1");
    }
    if (!addresses_are_valid(address)) {
        return refuse(loading, "peers", region, "must be host:port, or several between commas");
    }
    for (size_t i = 0; i < config->n_peers; i++) {
        if (strcmp(config->peers[i].region, region) == 0) {
            return refuse(loading, "peers", region, "is given twice");
        }
    }
    if (config->n_peers == LIMIT_PEERS) {
        return refuse(loading, "peers", region, "too many regions");
    }
    config->peers[config->n_peers].region = strdup(region);
    config->peers[config->n_peers].address = strdup(address);
    CHECK(config->peers[config->n_peers].region && config->peers[config->n_peers].address);
    config->peer_names[config->n_peers] = config->peers[config->n_peers].region;
    config->n_peers++;
    return 1;
}

static int on_setting(void *user, const char *section, const char *key, const char *value) {
    struct loading *loading = user;

    if (loading->code != OK) {
        return 0;
    }
    if (strcmp(section, "peers") == 0) {
        return add_peer(loading, key, value);
    }
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const char *why;
        if (strcmp(settings[i].section, section) != 0 || strcmp(settings[i].key, key) != 0) {
            continue;
        }
        if (loading->seen[i]) {
            return refuse(loading, section, key, "is given twice");
        }
        loading->seen[i] = true;
        why = set_value(loading, &settings[i], value);
        return why == NULL ? 1 : refuse(loading, section, key, why);
    }
    return refuse(loading, section, key, "no such setting");
}

static enum errc set_defaults(struct loading *loading) {
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct setting *setting = &settings[i];
        if (loading->seen[i]) {
            continue;
        }
        if (setting->kind == KIND_NUMBER) {
            *(int64_t *)(void *)((char *)loading->config + setting->offset) = setting->usual;
            continue;
        }
        if (strcmp(setting->initial, "-") == 0) {
            continue;
        }
        if (setting->initial[0] == '\0') {
            (void)refuse(loading, setting->section, setting->key, "must be given");
            return loading->code;
        }
        CHECK(set_value(loading, setting, setting->initial) == NULL);
    }
    return OK;
}

/* "host:port". A name that only looks like a loopback address may stand for any other. */
static bool address_is_loopback(const char *address) {
    const char *colon = strrchr(address, ':');
    char host[sizeof("255.255.255.255")];

    if (colon == NULL || (size_t)(colon - address) >= sizeof(host)) {
        return false;
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    return place_is_loopback(host);
}

/* The API carries secrets in clear without TLS: that leaves the machine only when somebody said so.
 */
static enum errc check_api_door(const struct config *config, struct err *err) {
    bool is_loopback = address_is_loopback(config->api_listen);

    if ((config->api_cert[0] == '\0') != (config->api_key[0] == '\0')) {
        return err_set(err, ERR_INVALID_PARAMETER, "[api] tls_cert and tls_key go together");
    }
    if (config->api_cert[0] == '\0' && !is_loopback && !config->allow_plain) {
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "[api] listen: %s is not loopback; give tls_cert and tls_key, or allow_plain = true",
            config->api_listen);
    }
    return OK;
}

/* What the door tells is about the installation, not for everybody. */
static enum errc check_metrics_door(const struct config *config, struct err *err) {
    if (config->metrics_listen[0] != '\0' && !address_is_loopback(config->metrics_listen) &&
        !config->metrics_allow_plain) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "[metrics] listen: %s is not loopback; metrics are served without TLS: give "
                       "allow_plain = true to allow that",
                       config->metrics_listen);
    }
    return OK;
}

/* One list of peers may serve every region's file: the own region is no peer. */
static void drop_own_region(struct config *config) {
    for (size_t i = 0; i < config->n_peers; i++) {
        if (strcmp(config->peers[i].region, config->region) != 0) {
            continue;
        }
        free((char *)(uintptr_t)config->peers[i].region);
        free((char *)(uintptr_t)config->peers[i].address);
        config->n_peers--;
        memmove(&config->peers[i], &config->peers[i + 1],
                (config->n_peers - i) * sizeof(config->peers[0]));
        memmove(&config->peer_names[i], &config->peer_names[i + 1],
                (config->n_peers - i) * sizeof(config->peer_names[0]));
        return;
    }
}

/* `line` > 0: the first one that was refused. */
static enum errc say_where(const char *path, int line, enum errc code, struct err *err) {
    char text[sizeof(err->message)];

    (void)snprintf(text, sizeof(text), "%s", err->message);
    return line > 0 ? err_set(err, code, "%s:%d: %s", path, line, text)
                    : err_set(err, code, "%s: %s", path, text);
}

/* A line for inih, which takes `room` from ini_max_line. */
static char *read_line(char *out, int room, void *arg) {
    struct loading *loading = arg;
    size_t len;

    if (loading->code != OK || fgets(out, room, loading->file) == NULL) {
        return NULL;
    }
    loading->line++;
    len = strlen(out);
    if (len + 1 == (size_t)room && out[len - 1] != '\n') {
        loading->code = err_set(loading->err, ERR_INVALID_PARAMETER,
                                "the line is longer than %d characters", LINE_ROOM - 3);
        return NULL;
    }
    return out;
}

/* 0, or the line of the first error, or -1 when the file cannot be read. */
static int parse(struct loading *loading) {
    int line;

    loading->file = fopen(loading->path, "re");
    if (loading->file == NULL) {
        return -1;
    }
    ini_max_line = LINE_ROOM;
    line = ini_parse_stream(read_line, loading, on_setting, loading);
    if (line == 0 && loading->code != OK) {
        line = loading->line;
    }
    if (ferror(loading->file) != 0) {
        line = -1;
    }
    (void)fclose(loading->file);
    return line;
}

enum errc config_load(const char *path, struct config **ret, struct err *err) {
    struct loading loading = {.config = calloc(1, sizeof(struct config)), .err = err, .path = path};
    int line;

    if (loading.config == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    line = parse(&loading);
    if (line < 0) {
        line = 0;
        loading.code = err_set(err, ERR_IO, "cannot read this file");
    } else if (line > 0 && loading.code == OK) {
        loading.code = err_set(err, ERR_INVALID_PARAMETER, "not a setting");
    }
    if (loading.code == OK) {
        loading.code = set_defaults(&loading);
    }
    if (loading.code == OK) {
        loading.code = check_api_door(loading.config, err);
    }
    if (loading.code == OK) {
        loading.code = check_metrics_door(loading.config, err);
    }
    if (loading.code != OK) {
        config_free(loading.config);
        return say_where(path, line, loading.code, err);
    }
    drop_own_region(loading.config);
    *ret = loading.config;
    return OK;
}

void config_free(struct config *config) {
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->n_peers; i++) {
        free((char *)(uintptr_t)config->peers[i].region);
        free((char *)(uintptr_t)config->peers[i].address);
    }
    free(config);
}

static void print_setting(FILE *out, const struct setting *setting) {
    (void)fprintf(out, "; %s\n", setting->sentence);
    if (setting->kind == KIND_NUMBER) {
        (void)fprintf(out, "; %s = %" PRId64 "\n", setting->key, setting->usual);
    } else if (setting->initial[0] == '\0') {
        (void)fprintf(out, "%s =\n", setting->key);
    } else if (strcmp(setting->initial, "-") == 0) {
        (void)fprintf(out, "; %s =\n", setting->key);
    } else {
        (void)fprintf(out, "; %s = %s\n", setting->key, setting->initial);
    }
}

void config_print_example(FILE *out) {
    const char *section = "";

    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (strcmp(section, settings[i].section) != 0) {
            section = settings[i].section;
            (void)fprintf(out, "%s[%s]\n", i == 0 ? "" : "\n", section);
        }
        print_setting(out, &settings[i]);
    }
    (void)fprintf(out, "\n[peers]\n; The other regions, one a line: region = host:port of their "
                       "peer door; several\n"
                       "; nodes of a region between commas.\n"
                       "; us-west-2 = 192.0.2.7:7500,192.0.2.8:7500\n");
}
