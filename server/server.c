#include "server/server.h"

#include "api/admin_door.h"
#include "api/http_server.h"
#include "api/request.h"
#include "api/telemetry.h"
#include "api/touches.h"
#include "base/crashpoint.h"
#include "base/world.h"
#include "cluster/installer.h"
#include "cluster/member.h"
#include "cluster/node.h"
#include "cluster/peer_client.h"
#include "crypto/credentials.h"
#include "crypto/keyring.h"
#include "crypto/tls.h"
#include "replication/shipper.h"
#include "server/jobs.h"
#include "server/members_file.h"
#include "server/node_identity.h"
#include "server/place.h"
#include "storage/checkpoint.h"
#include "storage/engine.h"
#include "storage/log_store.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SERVER_GRACE_MS = 5000,
    SERVER_PATH = CONFIG_TEXT + 64,
    SERVER_LISTENERS = 2,
    /* Open files that clients must leave alone: the store keeps 512 and needs more for a moment
       when it writes new ones, and a store that cannot open a file ends the process. */
    SERVER_FILES = 768,
    SERVER_FILES_MAX = 1024 * 1024,
    SERVER_CONNECTIONS_MIN = 16, /* a worker with fewer is of no use */
    SERVER_SCRAPERS = 16,        /* connections to the metrics, a worker */
    SERVER_ADMINS = 16,          /* and to the administrator's door */
    SERVER_MEMBERS_S = 5,        /* between two looks at who the members are */
};

/* Everything that lives as long as the process, in the order in which it is made. */
struct parts {
    struct credentials *credentials;
    struct keyring *keyring;
    struct engine *engine;
    struct peer_client *peers;
    struct shipper *shipper;
    struct installer *installer;
    struct node *node;
    struct jobs *jobs;
    struct tls_context *peer_tls;
    struct tls_context *api_tls;
    struct http_server *http;
    struct throttle *throttle; /* NULL: off */
    struct touches *touches;
    struct service service;
    struct telemetry telemetry;
};

/* What is in the folder is ours alone, but who may write to the folder can put other things in its
 * place. Not refused: volumes of containers are made like this. */
static void warn_of_open_folder(const char *path) {
    struct stat st;

    if (stat(path, &st) == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        LOG_WARN("server.data_open", F_STR("path", path),
                 F_STR("detail", "others may write to this folder: its mode should be 0700"));
    }
}

static void say_that_the_index_is_built(void *arg) {
    (void)arg;
    LOG_INFO(
        "server.index_build",
        F_STR("detail", "lists get their index: minutes for hundreds of thousands of secrets"));
}

static enum errc open_store(struct parts *parts, const struct config *config, struct err *err) {
    char path[SERVER_PATH];
    const struct engine_options options = {.path = path,
                                           .cache_bytes = (uint64_t)config->cache_mib << 20,
                                           .on_index_build = say_that_the_index_is_built};
    bool was_switched = false;
    enum errc code;

    (void)snprintf(path, sizeof(path), "%s/store", config->data);
    code = place_make_folder(config->data, err);
    if (code != OK) {
        return code;
    }
    warn_of_open_folder(config->data);
    code = store_switch(config->data, &was_switched, err);
    if (code != OK) {
        return code;
    }
    if (was_switched) {
        LOG_INFO("server.store_switched");
    }
    return engine_open(&options, &parts->engine, err);
}

static enum errc start_peers(struct parts *parts, const struct config *config, struct err *err) {
    const struct peer_client_options client = {
        .tls = {.ca_path = config->peer_ca,
                .cert_path = config->peer_cert,
                .key_path = config->peer_key},
        .peers = config->peers,
        .n_peers = config->n_peers,
        .own_region = config->region,
    };
    enum errc code = peer_client_new(&client, &parts->peers, err);

    if (code != OK) {
        return code;
    }
    const struct shipper_options shipper = {
        .region = config->region,
        .engine = parts->engine,
        .keyring = parts->keyring,
        .node = &parts->node,
        .client = parts->peers,
        .world = world_system(),
    };
    parts->shipper = shipper_new(&shipper);
    return parts->shipper ? OK : err_default(err, ERR_NO_MEMORY);
}

/* The main thread closes the house, and opens it again on the store that was fetched. */
static void on_snapshot_fetched(void *arg) {
    CHECK(kill(getpid(), SIGUSR2) == 0);
}

static enum errc make_installer(struct parts *parts, const struct config *config, struct err *err) {
    const struct installer_options options = {.data = config->data,
                                              .peers = parts->peers,
                                              .world = world_system(),
                                              .ready_cb = on_snapshot_fetched};

    return installer_new(&options, &parts->installer, err);
}

static const char *or_else(const char *given, const char *usual) {
    return given[0] != '\0' ? given : usual;
}

/* Where the other nodes of the region find this one; "" for a node that stays alone. */
static enum errc own_address(const struct config *config, char ret[LIMIT_ADDRESS + 1],
                             struct err *err) {
    struct member_address address = {.is_learner = false};
    const char *raft, *peer;

    ret[0] = '\0';
    if (config->raft_listen[0] == '\0') {
        return OK;
    }
    raft = or_else(config->raft_address, config->raft_listen);
    peer = or_else(config->peer_address, config->peer_listen);
    if (strlen(raft) < sizeof(address.raft) && strlen(peer) < sizeof(address.peer)) {
        memcpy(address.raft, raft, strlen(raft) + 1);
        memcpy(address.peer, peer, strlen(peer) + 1);
    }
    if (member_address_format(&address, ret) != OK) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "the addresses of [raft] and [peer] are too long, or none that other nodes "
                       "could reach");
    }
    return OK;
}

static enum errc start_node(struct parts *parts, const struct config *config, struct err *err) {
    char address[LIMIT_ADDRESS + 1];
    struct node_options options = {
        .region = config->region,
        .engine = parts->engine,
        .world = world_system(),
        .election_timeout_ms = (unsigned)config->election_timeout_ms,
        .snapshot_entries = (uint64_t)config->log_entries,
        .snapshot_bytes = (uint64_t)config->log_mib << 20,
        .data = config->data,
        .listen = config->raft_listen[0] != '\0' ? config->raft_listen : NULL,
        .address = address,
        .tls = {.ca_path = config->peer_ca,
                .cert_path = config->peer_cert,
                .key_path = config->peer_key},
        .peers = parts->peers,
        .installer = parts->installer,
        .disk_reserve = (uint64_t)config->disk_reserve_mib << 20,
        .dirty_cb = shipper_dirty,
        .dirty_arg = parts->shipper,
    };
    enum errc code = node_identity_load(config->data, &options.id, err);

    if (code == OK) {
        code = own_address(config, address, err);
    }
    return code == OK ? node_start(&options, &parts->node, err) : code;
}

static enum errc make_jobs(struct parts *parts, const struct config *config, struct err *err) {
    const struct jobs_options options = {
        .engine = parts->engine,
        .node = parts->node,
        .world = world_system(),
        .quotas = &config->quotas,
        .interval_ms = (unsigned)config->jobs_interval * 1000,
    };

    parts->jobs = jobs_new(&options);
    return parts->jobs ? OK : err_default(err, ERR_NO_MEMORY);
}

/* As many as the system gives, less what the process needs itself, shared out to the workers'
 * doors: connections are refused long before a file that must be opened is. */
static enum errc share_files(const struct config *config, size_t workers, unsigned *ret,
                             struct err *err) {
    const rlim_t doors = (rlim_t)workers * SERVER_LISTENERS;
    const rlim_t own = SERVER_FILES + (rlim_t)config->n_peers * LIMIT_PEER_CONNECTIONS +
                       (rlim_t)workers * (SERVER_SCRAPERS + SERVER_ADMINS);
    const rlim_t needed = own + doors * SERVER_CONNECTIONS_MIN;
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return err_set(err, ERR_IO, "cannot read the limit of open files: %s", strerror(errno));
    }
    if (files.rlim_cur < SERVER_FILES_MAX && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max < SERVER_FILES_MAX ? files.rlim_max : SERVER_FILES_MAX;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
            return err_set(err, ERR_IO, "cannot raise the limit of open files: %s",
                           strerror(errno));
        }
    }
    if (files.rlim_cur < needed) {
        return err_set(err, ERR_IO, "the limit of open files is %llu; at least %llu are needed",
                       (unsigned long long)files.rlim_cur, (unsigned long long)needed);
    }
    files.rlim_cur = (files.rlim_cur - own) / doors;
    *ret =
        files.rlim_cur < LIMIT_HTTP_CONNECTIONS ? (unsigned)files.rlim_cur : LIMIT_HTTP_CONNECTIONS;
    return OK;
}

static enum errc open_doors(struct parts *parts, const struct config *config, struct err *err) {
    const struct tls_files peer_files = {config->peer_ca, config->peer_cert, config->peer_key};
    const struct tls_files api_files = {NULL, config->api_cert, config->api_key};
    struct listener_options api = {.address = config->api_listen,
                                   .body_max = LIMIT_HTTP_BODY,
                                   .handler = api_handle,
                                   .arg = &parts->service};
    char admin_address[SERVER_PATH];
    const struct listener_options admin = {.address = admin_address,
                                           .body_max = LIMIT_ADMIN_BODY,
                                           .handler = admin_handle,
                                           .arg = &parts->service,
                                           .door = METRIC_DOOR_ADMIN,
                                           .connections_max = SERVER_ADMINS};
    const struct listener_options metrics = {.address = config->metrics_listen,
                                             .body_max = 0,
                                             .handler = telemetry_handle,
                                             .arg = &parts->telemetry,
                                             .door = METRIC_DOOR_METRICS,
                                             .connections_max = SERVER_SCRAPERS};
    struct listener_options peer = {.address = config->peer_listen,
                                    .door = METRIC_DOOR_PEER,
                                    .body_max = LIMIT_PEER_BODY,
                                    .need_peer_region = true,
                                    .anonymous_body_max = LIMIT_ADMIN_BODY,
                                    .handler = peer_handle,
                                    .arg = &parts->service};
    enum errc code = tls_server_new_open(&peer_files, &parts->peer_tls, err);

    (void)snprintf(admin_address, sizeof(admin_address), "unix:%s/admin.sock", config->data);

    if (code == OK && config->api_cert[0] != '\0') {
        code = tls_server_new(&api_files, &parts->api_tls, err);
    }
    if (code != OK) {
        return code;
    }
    api.tls = parts->api_tls;
    peer.tls = parts->peer_tls;
    code = http_server_new((unsigned)config->workers, &parts->http, err);
    if (code == OK) {
        code = share_files(config, http_server_workers(parts->http), &api.connections_max, err);
        peer.connections_max = api.connections_max;
    }
    if (code == OK) {
        code = http_server_listen(parts->http, &api, err);
    }
    if (code == OK) {
        code = http_server_listen(parts->http, &peer, err);
    }
    if (code == OK) {
        code = http_server_listen(parts->http, &admin, err);
    }
    if (code == OK && config->metrics_listen[0] != '\0') {
        code = http_server_listen(parts->http, &metrics, err);
    }
    return code;
}

static enum errc open_telemetry(struct parts *parts, const struct config *config, struct err *err) {
    parts->telemetry = (struct telemetry){
        .service = &parts->service,
        .installer = parts->installer,
        .data = config->data,
        .certificates = {[METRIC_CERTIFICATE_API] =
                             config->api_cert[0] != '\0' ? config->api_cert : NULL,
                         [METRIC_CERTIFICATE_PEER] = config->peer_cert,
                         [METRIC_CERTIFICATE_AUTHORITY] = config->peer_ca},
    };
    return telemetry_open(&parts->telemetry, err);
}

static enum errc fill_service(struct parts *parts, const struct config *config, struct err *err) {
    if (config->throttle) {
        parts->throttle = throttle_new(&config->rates);
        if (parts->throttle == NULL) {
            return err_default(err, ERR_NO_MEMORY);
        }
    }
    parts->touches = touches_new(config->region, parts->node, parts->peers, world_system());
    if (parts->touches == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    parts->service = (struct service){
        .region = config->region,
        .data = config->data,
        .world = world_system(),
        .engine = parts->engine,
        .node = parts->node,
        .keyring = parts->keyring,
        .credentials = parts->credentials,
        .peers = parts->peers,
        .peer_names = config->peer_names,
        .n_peers = config->n_peers,
        .forward = config->forward,
        .stale_reads = config->stale_reads,
        .touches = parts->touches,
        .quotas = &config->quotas,
        .throttle = parts->throttle,
        .functions = config->lambda_endpoint[0] != '\0' ? config->lambda_endpoint : NULL,
        .peer_ca = config->peer_ca,
        .peer_ca_key = config->peer_ca_key[0] != '\0' ? config->peer_ca_key : NULL,
    };
    return OK;
}

/* The boot order; each step may use what the steps before it made. */
static enum errc start(struct parts *parts, const struct config *config, struct err *err) {
    enum errc code = credentials_load(config->credentials, &parts->credentials, err);

    if (code == OK) {
        code = keyring_open(config->root_key, config->region, world_system(), &parts->keyring, err);
    }
    if (code == OK) {
        code = open_store(parts, config, err);
    }
    if (code == OK) {
        code = start_peers(parts, config, err);
    }
    if (code == OK) {
        code =
            open_doors(parts, config, err); /* binds: a taken port must not cost a replay first */
    }
    if (code == OK) {
        code = make_installer(parts, config, err);
    }
    if (code == OK) {
        code = start_node(parts, config, err);
    }
    if (code == OK) {
        code = make_jobs(parts, config, err);
    }
    if (code == OK) {
        code = fill_service(parts, config, err);
    }
    if (code == OK) {
        code = open_telemetry(parts, config, err);
    }
    if (code == OK) {
        code = peer_client_start(parts->peers, err);
    }
    if (code == OK) {
        code = http_server_start(parts->http, err);
    }
    if (code == OK) {
        jobs_start(parts->jobs);
    }
    return code;
}

/* The reverse; takes a house that was built half. Clients are answered before what answers them
 * goes away, and the workers stay until the last one that may still post to them is gone. */
static void stop(struct parts *parts) {
    jobs_stop(parts->jobs);
    if (parts->http != NULL) {
        http_server_drain(parts->http, SERVER_GRACE_MS);
    }
    telemetry_close(&parts->telemetry);
    peer_client_close(parts->peers);
    node_stop(parts->node);
    installer_free(parts->installer);
    jobs_free(parts->jobs);
    shipper_free(parts->shipper);
    if (parts->http != NULL) {
        http_server_stop(parts->http, 0);
    }
    node_free(parts->node); /* a worker may have proposed again after the last answer */
    touches_free(parts->touches);
    peer_client_stop(parts->peers); /* a worker may have called it until now */
    throttle_free(parts->throttle);
    engine_close(parts->engine);
    tls_context_free(parts->peer_tls);
    tls_context_free(parts->api_tls);
    keyring_free(parts->keyring);
    credentials_free(parts->credentials);
}

/* A snapshot that was fetched, beyond the life of the house that fetched it. */
struct fetched {
    char id[CHECKPOINT_ID];
    struct log_snapshot row;
    uint8_t *configuration;
};

static bool fetched_keep(const struct parts *parts, struct fetched *ret) {
    const char *id;
    const struct core_snapshot *snapshot = installer_fetched(parts->installer, &id);

    if (snapshot == NULL) {
        return false;
    }
    *ret = (struct fetched){.configuration = malloc(snapshot->configuration.len)};
    CHECK(ret->configuration != NULL);
    memcpy(ret->configuration, snapshot->configuration.data, snapshot->configuration.len);
    (void)snprintf(ret->id, sizeof(ret->id), "%s", id);
    /* Without the manifest: it names files of another node. */
    ret->row = (struct log_snapshot){.index = snapshot->index,
                                     .term = snapshot->term,
                                     .configuration_index = snapshot->configuration_index,
                                     .configuration = ret->configuration,
                                     .configuration_len = snapshot->configuration.len};
    return true;
}

/* The house is closed: nobody votes any more, so that the vote which the new store is given is the
 * last one. When it fails the old store is opened again, and the leader offers its snapshot again.
 */
static void finish_install(const struct config *config, const struct fetched *fetched) {
    char path[SERVER_PATH];
    const struct engine_options options = {.path = path};
    struct engine *engine = NULL;
    uint64_t term = 0, voted_for = 0;
    struct err err;
    enum errc code;

    CRASHPOINT(INCOMING_HOUSE_CLOSED);
    (void)snprintf(path, sizeof(path), "%s/store", config->data);
    code = engine_open(&options, &engine, &err);
    if (code == OK) {
        code = log_store_vote(engine, &term, &voted_for, &err);
        engine_close(engine);
    }
    if (code == OK) {
        code = incoming_finish(config->data, fetched->id, term, voted_for, &fetched->row, &err);
    }
    if (code == OK) {
        LOG_INFO("server.install", F_U64("index", fetched->row.index));
    } else {
        LOG_ERROR("server.install_failed", F_STR("error", err.message));
    }
}

/* A door whose new certificate is no good goes on with the old one. `context` NULL: it has none. */
static void reload_door(struct tls_context *context, const struct tls_files *files) {
    struct err err;

    if (context != NULL && tls_reload(context, files, &err) != OK) {
        LOG_ERROR("server.certificate_kept", F_STR("path", files->cert_path),
                  F_STR("error", err.message));
    }
}

static bool is_of_our_region(const struct config *config) {
    struct tls_name name;
    struct err err;

    if (tls_cert_name(config->peer_cert, &name, &err) == OK &&
        strcmp(name.region, config->region) == 0) {
        return true;
    }
    LOG_ERROR("server.certificate_kept", F_STR("path", config->peer_cert),
              F_STR("error", "it is not a certificate of this region"));
    return false;
}

static void reload(struct parts *parts, const struct config *config) {
    const struct tls_files peer_files = {config->peer_ca, config->peer_cert, config->peer_key};
    const struct tls_files api_files = {NULL, config->api_cert, config->api_key};

    LOG_INFO("server.reload");
    node_reload(parts->node);
    if (is_of_our_region(config)) {
        reload_door(parts->peer_tls, &peer_files);
        peer_client_reload(parts->peers);
    }
    reload_door(parts->api_tls, &api_files);
    telemetry_reload(&parts->telemetry);
}

/* For the day on which the store is lost (redoubt node rebuild). */
static void keep_members(const struct parts *parts, const struct config *config) {
    struct node_status status;
    struct err err;

    node_status(parts->node, &status);
    if (members_file_write(config->data, &status, &err) != OK) {
        LOG_WARN("server.members_file", F_STR("error", err.message));
    }
}

/* Until a signal that ends the house. */
static int wait_for_end(struct parts *parts, const struct config *config) {
    const struct timespec patience = {.tv_sec = SERVER_MEMBERS_S};
    sigset_t signals;
    int number = 0;

    CHECK(sigemptyset(&signals) == 0 && sigaddset(&signals, SIGTERM) == 0 &&
          sigaddset(&signals, SIGINT) == 0 && sigaddset(&signals, SIGHUP) == 0 &&
          sigaddset(&signals, SIGUSR2) == 0);
    for (;;) {
        number = sigtimedwait(&signals, NULL, &patience);
        if (number < 0) {
            CHECK(errno == EAGAIN || errno == EINTR);
            keep_members(parts, config);
        } else if (number == SIGHUP) {
            reload(parts, config);
        } else {
            return number;
        }
    }
}

/* Returns whether it is to be run again. */
static bool run_once(const struct config *config, int *ret_status) {
    struct parts parts = {.node = NULL};
    struct fetched fetched;
    bool has_fetched;
    struct err err;
    int number;

    if (start(&parts, config, &err) != OK) {
        LOG_ERROR("server.start_failed", F_STR("error", err.message));
        stop(&parts);
        *ret_status = EXIT_FAILURE;
        return false;
    }
    LOG_INFO("server.started", F_STR("api", config->api_listen),
             F_STR("peer", config->peer_listen));
    number = wait_for_end(&parts, config);
    LOG_INFO("server.stopping", F_I64("signal", number));
    has_fetched = number == SIGUSR2 && fetched_keep(&parts, &fetched);
    stop(&parts);
    LOG_INFO("server.stopped");
    if (has_fetched) {
        finish_install(config, &fetched);
        free(fetched.configuration);
    }
    *ret_status = EXIT_SUCCESS;
    return number == SIGUSR2;
}

int server_run(const struct config *config) {
    int status = EXIT_SUCCESS;

    log_setup(config->log_level, config->region);
    while (run_once(config, &status)) {
        LOG_INFO("server.again");
    }
    return status;
}
