#include "server/node_cli.h"

#include "base/check.h"
#include "cluster/bootstrap.h"
#include "cluster/member.h"
#include "crypto/tls.h"
#include "server/admin_client.h"
#include "server/node_cli_internal.h"
#include "server/node_identity.h"
#include "server/options.h"
#include "server/place.h"
#include "storage/checkpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int node_cli_fail(const struct err *err) {
    (void)fprintf(stderr, "redoubt: %s\n", err->message);
    return EXIT_FAILURE;
}

/* --- what the offline ones need --- */

enum errc node_cli_must_not_run(const struct node_cli *cli, struct err *err) {
    char path[PATH_MAX];
    struct buf answer;
    struct err ignored;
    int status = 0;
    enum errc code;

    if (!admin_client_path(cli->config->data, path, sizeof(path))) {
        return err_set(err, ERR_IO, "the path of the data folder is too long");
    }
    code = admin_client_call(path, "GET", "/v1/status", NULL, &answer, &status, &ignored);
    buf_fini(&answer);
    if (code != ERR_UNAVAILABLE) {
        return err_set(err, ERR_INVALID_REQUEST,
                       "a server runs on %s: stop it first (this needs the data for itself)",
                       cli->config->data);
    }
    return OK;
}

enum errc node_cli_store_path(const struct node_cli *cli, char out[PATH_MAX], struct err *err) {
    return snprintf(out, PATH_MAX, "%s/store", cli->config->data) < PATH_MAX
               ? OK
               : err_set(err, ERR_IO, "the path of the data folder is too long");
}

enum errc node_cli_open_store(const struct node_cli *cli, struct engine **ret, struct err *err) {
    char path[PATH_MAX];
    const struct engine_options options = {.path = path};
    bool was_switched = false;
    enum errc code = node_cli_store_path(cli, path, err);

    /* What was fetched may wait for its switch, or be cut off in the middle of it. What is written
       now must go into the store that the server will open. */
    if (code == OK) {
        code = store_switch(cli->config->data, &was_switched, err);
    }
    return code == OK ? engine_open(&options, ret, err) : code;
}

enum errc node_cli_own_address(const struct node_cli *cli, bool is_learner,
                               char out[LIMIT_ADDRESS + 1], struct err *err) {
    const struct config *config = cli->config;
    const char *raft = config->raft_address[0] != '\0' ? config->raft_address : config->raft_listen;
    const char *peer = config->peer_address[0] != '\0' ? config->peer_address : config->peer_listen;
    struct member_address address = {.is_learner = is_learner};

    if (raft[0] == '\0') {
        (void)snprintf(out, LIMIT_ADDRESS + 1, "self");
        return OK;
    }
    (void)snprintf(address.raft, sizeof(address.raft), "%.*s", LIMIT_ADDRESS, raft);
    (void)snprintf(address.peer, sizeof(address.peer), "%.*s", LIMIT_ADDRESS, peer);
    if (strlen(raft) > LIMIT_ADDRESS || strlen(peer) > LIMIT_ADDRESS ||
        member_address_format(&address, out) != OK) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "%s and %s cannot be told to other nodes: give [raft] address and [peer] "
                       "address",
                       raft, peer);
    }
    return OK;
}

/* --- id --- */

int node_cli_id(struct node_cli *cli) {
    char text[ADMIN_ID_TEXT + 1];

    admin_id_write(cli->id, text);
    (void)printf("%s\n", text);
    return EXIT_SUCCESS;
}

/* --- bootstrap --- */

struct first_members {
    size_t n;
    struct core_server servers[LIMIT_PEERS];
    char addresses[LIMIT_PEERS][LIMIT_ADDRESS + 1];
};

/* "ID=RAFT,PEER". */
static bool first_member_read(const char *text, size_t len, struct first_members *ret) {
    char *address = ret->addresses[ret->n];
    struct core_server *server = &ret->servers[ret->n];
    struct member_address parts;
    char id[ADMIN_ID_TEXT + 1];

    if (len <= ADMIN_ID_TEXT + 1 || len > ADMIN_ID_TEXT + 1 + LIMIT_ADDRESS ||
        text[ADMIN_ID_TEXT] != '=') {
        return false;
    }
    (void)snprintf(id, sizeof(id), "%.*s", ADMIN_ID_TEXT, text);
    (void)snprintf(address, sizeof(ret->addresses[0]), "%.*s", (int)(len - ADMIN_ID_TEXT - 1),
                   text + ADMIN_ID_TEXT + 1);
    server->address = address;
    ret->n++;
    return admin_id_read(id, &server->id) && member_address_parse(address, &parts) == OK;
}

static enum errc first_members_read(const char *text, struct first_members *ret, struct err *err) {
    ret->n = 0;
    do {
        size_t len = strcspn(text, ";");
        if (ret->n == LIMIT_PEERS || !first_member_read(text, len, ret)) {
            return err_set(err, ERR_INVALID_PARAMETER,
                           "--members: '%.*s' is not ID=HOST:RAFTPORT,HOST:PEERPORT", (int)len,
                           text);
        }
        text += len;
    } while (*text++ == ';');
    return OK;
}

/* This node is one of them, with the address that its own configuration gives it. */
static enum errc first_members_check(const struct first_members *members, uint64_t id,
                                     const char *own_address, struct err *err) {
    for (size_t i = 0; i < members->n; i++) {
        if (members->servers[i].id != id) {
            continue;
        }
        return strcmp(members->servers[i].address, own_address) == 0
                   ? OK
                   : err_set(err, ERR_INVALID_PARAMETER,
                             "--members gives this node the address %s, its configuration %s",
                             members->servers[i].address, own_address);
    }
    return err_set(err, ERR_INVALID_PARAMETER,
                   "--members does not name this node, which is %016" PRIx64, id);
}

static enum errc bootstrap(struct node_cli *cli, struct err *err) {
    static struct first_members members;
    char own[LIMIT_ADDRESS + 1];
    struct engine *engine = NULL;
    enum errc code = node_cli_own_address(cli, false, own, err);

    if (code == OK && cli->members != NULL) {
        code = first_members_read(cli->members, &members, err);
        if (code == OK) {
            code = first_members_check(&members, cli->id, own, err);
        }
    } else if (code == OK) {
        members.servers[0] = (struct core_server){cli->id, own};
        members.n = 1;
    }
    if (code == OK) {
        code = node_cli_open_store(cli, &engine, err);
    }
    if (code == OK) {
        code = node_bootstrap(engine, members.servers, members.n, err);
    }
    engine_close(engine);
    return code;
}

int node_cli_bootstrap(struct node_cli *cli) {
    struct err err;
    enum errc code = node_cli_must_not_run(cli, &err);

    if (code == OK) {
        code = bootstrap(cli, &err);
    }
    if (code != OK) {
        return node_cli_fail(&err);
    }
    (void)printf("Node %016" PRIx64 " is a first member of region %s. Start its server.\n", cli->id,
                 cli->config->region);
    return EXIT_SUCCESS;
}

/* --- recover --- */

static const char recover_word[] = "yes-i-lose-what-others-have";

static const char recover_warning[] =
    "\n*** This node is now the only member of its region.\n"
    "*** What other nodes acknowledged and this one did not have is LOST.\n"
    "*** The other nodes must NEVER start again with the data that they have: two regions of the\n"
    "*** same name would answer, each with its own truth. Delete their data folders' stores now, "
    "and\n"
    "*** let them join anew when this node runs.\n\n";

int node_cli_recover(struct node_cli *cli) {
    char own[LIMIT_ADDRESS + 1];
    struct engine *engine = NULL;
    struct err err;
    enum errc code;

    if (cli->force_single == NULL || strcmp(cli->force_single, recover_word) != 0) {
        (void)fprintf(stderr,
                      "redoubt: this is for a region whose majority is lost for good. What the "
                      "others have and this node has not is lost with it. If that is what you "
                      "want: --force-single %s\n",
                      recover_word);
        return NODE_CLI_USAGE;
    }
    code = node_cli_must_not_run(cli, &err);
    if (code == OK) {
        code = node_cli_own_address(cli, false, own, &err);
    }
    if (code == OK) {
        code = node_cli_open_store(cli, &engine, &err);
    }
    if (code == OK) {
        code = node_force_single(engine, cli->id, own, &err);
    }
    engine_close(engine);
    if (code != OK) {
        return node_cli_fail(&err);
    }
    (void)fputs(recover_warning, stderr);
    (void)printf("Node %016" PRIx64 " goes on alone in region %s. Start its server.\n", cli->id,
                 cli->config->region);
    return EXIT_SUCCESS;
}

/* --- the table --- */

enum member_word { WITHOUT, MAY, MUST };

static const struct verb {
    const char *name;
    enum member_word member;
    int (*run)(struct node_cli *cli);
} verbs[] = {
    {"id", WITHOUT, node_cli_id},           {"bootstrap", WITHOUT, node_cli_bootstrap},
    {"token", WITHOUT, node_cli_token},     {"join", WITHOUT, node_cli_join},
    {"list", WITHOUT, node_cli_list},       {"status", WITHOUT, node_cli_status},
    {"promote", MUST, node_cli_change},     {"remove", MUST, node_cli_change},
    {"transfer", MAY, node_cli_change},     {"raise-level", WITHOUT, node_cli_change},
    {"recover", WITHOUT, node_cli_recover}, {"rebuild", WITHOUT, node_cli_rebuild},
};

static const struct verb *find_verb(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

/* A node that lost its whole data folder is still who its certificate says: so that the same one
 * comes back, instead of a stranger beside a member that never does. */
static enum errc remember_who(const struct node_cli *cli, struct err *err) {
    struct tls_name name;
    enum errc code = tls_cert_name(cli->config->peer_cert, &name, err);

    if (code != OK || name.node == 0 || strcmp(name.region, cli->config->region) != 0) {
        return code; /* what is wrong with it is said when it is used */
    }
    return node_identity_restore(cli->config->data, name.node, err);
}

static int run_with_config(const struct verb *verb, struct node_cli *cli) {
    struct err err;
    enum errc code = config_load(cli->config_path, &cli->config, &err);
    int status;

    if (code == OK) {
        code = place_make_folder(cli->config->data, &err);
    }
    if (code == OK && verb->run == node_cli_rebuild) {
        code = remember_who(cli, &err);
    }
    if (code == OK) {
        code = node_identity_load(cli->config->data, &cli->id, &err);
    }
    status = code == OK ? verb->run(cli) : node_cli_fail(&err);
    config_free(cli->config);
    return status;
}

static bool words_are_known(const struct node_cli *cli) {
    uint64_t id = 0;

    if (cli->member != NULL && !admin_id_read(cli->member, &id)) {
        (void)fprintf(stderr, "redoubt: a node's id has %d hexadecimal digits\n", ADMIN_ID_TEXT);
        return false;
    }
    if ((cli->json != NULL && strcmp(cli->json, "yes") != 0) ||
        (cli->learner != NULL && strcmp(cli->learner, "yes") != 0)) {
        (void)fprintf(stderr, "redoubt: --json and --learner take yes\n");
        return false;
    }
    return true;
}

int node_cli(const char *verb_name, int argc, char **argv) {
    const struct verb *verb = find_verb(verb_name);
    struct node_cli cli = {.verb = verb_name};
    const struct option_slot slots[] = {
        {"config", &cli.config_path, true},         {"json", &cli.json, false},
        {"lifetime", &cli.lifetime, false},         {"members", &cli.members, false},
        {"address", &cli.address, false},           {"token-file", &cli.token_file, false},
        {"ca-sha256", &cli.ca_sha256, false},       {"learner", &cli.learner, false},
        {"force-single", &cli.force_single, false},
    };

    CHECK(verb != NULL);
    if (verb->member != WITHOUT && argc > 1 && argv[1][0] != '-') {
        cli.member = argv[1];
        argc--;
        argv++;
    }
    if ((verb->member == MUST && cli.member == NULL) ||
        !read_options(argc, argv, slots, ARRAY_LEN(slots)) || !words_are_known(&cli)) {
        return NODE_CLI_USAGE;
    }
    return run_with_config(verb, &cli);
}
