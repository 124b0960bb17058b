#include "server/config.h"

#include "base/arena.h"
#include "model/secret_id.h"

#include <arpa/inet.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

enum setting_kind {
    KIND_TEXT,
    KIND_PATH,
    KIND_ADDRESS,
    KIND_REGION,
    KIND_COUNT,
    KIND_FLAG,
    KIND_LEVEL
};

struct setting {
    const char *section;
    const char *key;
    enum setting_kind kind;
    size_t offset;
    const char *initial;
    const char *sentence;
};

static const struct setting settings[] = {
#define X(section, key, kind, member, initial, sentence)                                           \
    {section, key, KIND_##kind, offsetof(struct config, member), initial, sentence},
#include "server/conf.def"
#undef X
};

struct loading {
    struct config *config;
    struct err *err;
    enum errc code;
    const char *path;
    bool seen[ARRAY_LEN(settings)];
};

static int refuse(struct loading *loading, const char *section, const char *key, const char *why) {
    loading->code = err_set(loading->err, ERR_INVALID_PARAMETER, "%s: [%s] %s: %s", loading->path,
                            section, key, why);
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

static bool set_count(unsigned *out, const char *value) {
    char *end;
    unsigned long count = strtoul(value, &end, 10);

    *out = (unsigned)count;
    return *value >= '0' && *value <= '9' && *end == '\0' && count <= 1024;
}

static bool set_flag(bool *out, const char *value) {
    *out = strcmp(value, "true") == 0;
    return *out || strcmp(value, "false") == 0;
}

/* NULL, or why the value does not fit. */
static const char *set_value(const struct loading *loading, const struct setting *setting,
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
    case KIND_REGION:
        (void)snprintf(at, CONFIG_TEXT, "%s", value);
        return region_name_is_valid(value) ? NULL : "must be a region name such as us-east-1";
    case KIND_COUNT:
        return set_count(at, value) ? NULL : "must be a number from 0 to 1024";
    case KIND_FLAG:
        return set_flag(at, value) ? NULL : "must be true or false";
    case KIND_LEVEL:
        return log_level_parse(value, at) == 0 ? NULL : "must be debug, info, warn or error";
    }
    return "unknown kind";
}

static int add_peer(struct loading *loading, const char *region, const char *address) {
    struct config *config = loading->config;

    if (!region_name_is_valid(region)) {
        return refuse(loading, "peers", region, "must be a region name such as us-east-1");
    }
    if (!address_is_valid(address)) {
        return refuse(loading, "peers", region, "must be host:port");
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
        if (loading->seen[i] || strcmp(setting->initial, "-") == 0) {
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

/* Of "host:port". A name that only looks like a loopback address may stand for any other. */
static bool address_is_loopback(const char *address) {
    const char *colon = strrchr(address, ':');
    char host[sizeof("255.255.255.255")];
    struct in_addr v4;

    if (strncmp(address, "[::1]:", 6) == 0 || strncmp(address, "localhost:", 10) == 0) {
        return true;
    }
    if (colon == NULL || (size_t)(colon - address) >= sizeof(host)) {
        return false;
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
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

enum errc config_load(const char *path, struct config **ret, struct err *err) {
    struct loading loading = {.config = calloc(1, sizeof(struct config)), .err = err, .path = path};
    int line;

    if (loading.config == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    line = ini_parse(path, on_setting, &loading);
    if (line < 0) {
        loading.code = err_set(err, ERR_IO, "cannot read %s", path);
    } else if (line > 0 && loading.code == OK) {
        loading.code = err_set(err, ERR_INVALID_PARAMETER, "%s:%d: not a setting", path, line);
    }
    if (loading.code == OK) {
        loading.code = set_defaults(&loading);
    }
    if (loading.code == OK) {
        loading.code = check_api_door(loading.config, err);
    }
    if (loading.code != OK) {
        config_free(loading.config);
        return loading.code;
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

void config_print_example(FILE *out) {
    const char *section = "";

    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct setting *setting = &settings[i];
        const char *initial = strcmp(setting->initial, "-") == 0 ? "" : setting->initial;
        if (strcmp(section, setting->section) != 0) {
            section = setting->section;
            (void)fprintf(out, "%s[%s]\n", i == 0 ? "" : "\n", section);
        }
        (void)fprintf(out, "; %s\n%s%s =%s%s\n", setting->sentence, setting->initial[0] ? "; " : "",
                      setting->key, initial[0] ? " " : "", initial);
    }
    (void)fprintf(
        out, "\n[peers]\n; The other regions, one a line: region = host:port of their peer door.\n"
             "; us-west-2 = 192.0.2.7:7500\n");
}
