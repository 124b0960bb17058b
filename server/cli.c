#include "server/cli.h"

#include "api/op_document.h"
#include "base/bytes.h"
#include "base/metrics.h"
#include "base/wipe.h"
#include "base/world.h"
#include "crypto/credentials.h"
#include "crypto/keyring.h"
#include "crypto/tls.h"
#include "model/secret_id.h"
#include "server/config.h"
#include "server/dev.h"
#include "server/fault.h"
#include "server/node_cli.h"
#include "server/options.h"
#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, NODE_DIGITS = 16 };

struct subcommand {
    const char *group; /* e.g. "region"; NULL: a subcommand of one word */
    const char *name;
    const char *arguments;
    const char *summary;
    int (*run)(const struct subcommand *self, int argc, char **argv);
};

static int usage(const struct subcommand *self) {
    (void)fprintf(stderr, "usage: redoubt %s%s%s %s\n", self->group ? self->group : "",
                  self->group ? " " : "", self->name, self->arguments);
    return EXIT_USAGE;
}

static int fail(const struct err *err) {
    (void)fprintf(stderr, "redoubt: %s\n", err->message);
    return EXIT_FAILURE;
}

/* Before any thread: the one that waits takes them with sigwait. */
static void block_stop_signals(void) {
    sigset_t signals;

    CHECK(sigemptyset(&signals) == 0 && sigaddset(&signals, SIGTERM) == 0 &&
          sigaddset(&signals, SIGINT) == 0 && sigaddset(&signals, SIGHUP) == 0 &&
          sigaddset(&signals, SIGUSR2) == 0);
    CHECK(sigprocmask(SIG_BLOCK, &signals, NULL) == 0);
}

static int run_server(const struct subcommand *self, int argc, char **argv) {
    const char *path = NULL;
    const struct option_slot slots[] = {{"config", &path, true}};
    struct config *config = NULL;
    struct err err;
    int status;

    if (!read_options(argc, argv, slots, ARRAY_LEN(slots))) {
        return usage(self);
    }
    block_stop_signals();
    if (config_load(path, &config, &err) != OK) {
        return fail(&err);
    }
    status = server_run(config);
    config_free(config);
    return status;
}

static bool read_number(const char *text, unsigned min, unsigned max, unsigned *ret) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || value < min || value > max) {
        return false;
    }
    *ret = (unsigned)value;
    return true;
}

static int run_dev(const struct subcommand *self, int argc, char **argv) {
    struct dev_options dev = {
        .regions = "us-east-1,us-west-2,eu-west-1",
        .data = "redoubt-data",
        .account = "123456789012",
        .bind = "127.0.0.1",
        .port = 7401,
    };
    const char *port = NULL, *nodes = NULL, *start = NULL, *throttle = NULL;
    const struct option_slot slots[] = {
        {"regions", &dev.regions, false}, {"nodes", &nodes, false},
        {"port", &port, false},           {"data", &dev.data, false},
        {"account", &dev.account, false}, {"lambda-endpoint", &dev.lambda_endpoint, false},
        {"bind", &dev.bind, false},       {"start", &start, false},
        {"throttle", &throttle, false},
    };

    if (!read_options(argc, argv, slots, ARRAY_LEN(slots))) {
        return usage(self);
    }
    if (nodes != NULL &&
        (!read_number(nodes, 1, DEV_NODES_MAX, &dev.nodes) || dev.nodes % 2 == 0)) {
        (void)fprintf(stderr, "redoubt: --nodes must be 1, 3 or 5\n");
        return EXIT_USAGE;
    }
    if (port != NULL && !read_number(port, 1, DEV_PORT_MAX, &dev.port)) {
        (void)fprintf(stderr, "redoubt: --port must be a number from 1 to %d\n", DEV_PORT_MAX);
        return EXIT_USAGE;
    }
    if (throttle != NULL && !read_number(throttle, 1, DEV_THROTTLE_MAX, &dev.throttle_percent)) {
        (void)fprintf(stderr,
                      "redoubt: --throttle must be a number from 1 to %d: the part of the "
                      "service's request rates, in percent\n",
                      DEV_THROTTLE_MAX);
        return EXIT_USAGE;
    }
    if (dev.bind[0] != '[' && strchr(dev.bind, ':') != NULL) {
        (void)fprintf(stderr, "redoubt: --bind: an IPv6 address is written [%s]\n", dev.bind);
        return EXIT_USAGE;
    }
    if (start != NULL && strcmp(start, "no") != 0 && strcmp(start, "yes") != 0) {
        (void)fprintf(stderr, "redoubt: --start must be yes or no\n");
        return EXIT_USAGE;
    }
    dev.only_prepare = start != NULL && strcmp(start, "no") == 0;
    block_stop_signals();
    return dev_run(&dev);
}

/* `fault list`, or a verb with its target, which comes first. */
static int run_fault(const struct subcommand *self, int argc, char **argv) {
    const bool is_list = strcmp(self->name, "list") == 0;
    const char *data = "redoubt-data", *target = NULL;
    const struct option_slot slots[] = {{"data", &data, false}};

    if (!is_list) {
        if (argc < 2 || argv[1][0] == '-') {
            return usage(self);
        }
        target = argv[1];
        argc--;
        argv++;
    }
    return read_options(argc, argv, slots, ARRAY_LEN(slots)) ? fault_run(self->name, target, data)
                                                             : usage(self);
}

static int run_key_init(const struct subcommand *self, int argc, char **argv) {
    const char *path = NULL;
    const struct option_slot slots[] = {{"out", &path, true}};
    struct err err;

    if (!read_options(argc, argv, slots, ARRAY_LEN(slots))) {
        return usage(self);
    }
    return keyring_root_create(path, world_system(), &err) == OK ? EXIT_SUCCESS : fail(&err);
}

static int run_user_init(const struct subcommand *self, int argc, char **argv) {
    const char *path = NULL, *account = NULL;
    const struct option_slot slots[] = {{"out", &path, true}, {"account", &account, true}};
    struct err err;

    if (!read_options(argc, argv, slots, ARRAY_LEN(slots))) {
        return usage(self);
    }
    return credentials_create(path, account, world_system(), &err) == OK ? EXIT_SUCCESS
                                                                         : fail(&err);
}

static int run_region_ca(const struct subcommand *self, int argc, char **argv) {
    const char *cert = NULL, *key = NULL;
    const struct option_slot slots[] = {{"cert", &cert, true}, {"key", &key, true}};
    struct err err;
    char fingerprint[65];

    if (!read_options(argc, argv, slots, ARRAY_LEN(slots))) {
        return usage(self);
    }
    if (tls_ca_create(cert, key, &err) != OK || tls_fingerprint(cert, fingerprint, &err) != OK) {
        return fail(&err);
    }
    (void)printf("sha256 fingerprint %s\n", fingerprint);
    return EXIT_SUCCESS;
}

/* A node's id as `redoubt node id` prints it; 0 is none. */
static bool read_node(const char *text, uint64_t *ret) {
    uint8_t bytes[NODE_DIGITS / 2];

    if (!hex_decode(text, strlen(text), bytes, sizeof(bytes)) || get_be64(bytes) == 0) {
        return false;
    }
    *ret = get_be64(bytes);
    return true;
}

static int run_region_cert(const struct subcommand *self, int argc, char **argv) {
    const char *ca_cert = NULL, *ca_key = NULL, *region = NULL, *cert = NULL, *key = NULL;
    const char *node_text = NULL;
    uint64_t node = 0;
    const struct option_slot slots[] = {{"ca-cert", &ca_cert, true}, {"ca-key", &ca_key, true},
                                        {"region", &region, true},   {"node", &node_text, false},
                                        {"cert", &cert, true},       {"key", &key, true}};
    struct err err;

    if (!read_options(argc, argv, slots, ARRAY_LEN(slots))) {
        return usage(self);
    }
    if (!region_name_is_valid(region)) {
        (void)fprintf(stderr, "redoubt: --region must be a name such as us-east-1\n");
        return EXIT_USAGE;
    }
    if (node_text != NULL && !read_node(node_text, &node)) {
        (void)fprintf(stderr, "redoubt: --node must be the %d hexadecimal digits of a node's id\n",
                      NODE_DIGITS);
        return EXIT_USAGE;
    }
    return tls_cert_create(ca_cert, ca_key, region, node, cert, key, &err) == OK ? EXIT_SUCCESS
                                                                                 : fail(&err);
}

static int run_node(const struct subcommand *self, int argc, char **argv) {
    int status = node_cli(self->name, argc, argv);

    return status == NODE_CLI_USAGE ? usage(self) : status;
}

static int run_config_example(const struct subcommand *self, int argc, char **argv) {
    if (argc != 1) {
        return usage(self);
    }
    config_print_example(stdout);
    return EXIT_SUCCESS;
}

static int run_operations(const struct subcommand *self, int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--json") == 0) {
        return op_document_print(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (argc == 2 && strcmp(argv[1], "--markdown") == 0) {
        return op_markdown_print(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    return usage(self);
}

static int run_metrics(const struct subcommand *self, int argc, char **argv) {
    struct buf page;
    bool done;

    if (argc != 2 || strcmp(argv[1], "--markdown") != 0) {
        return usage(self);
    }
    buf_init(&page, LIMIT_METRICS_TEXT);
    metrics_markdown(&page);
    done =
        !page.failed && fwrite(page.data, 1, page.len, stdout) == page.len && fflush(stdout) == 0;
    buf_fini(&page);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_version(const struct subcommand *self, int argc, char **argv) {
    if (argc != 1) {
        return usage(self);
    }
    (void)printf("redoubt %s\n", REDOUBT_VERSION);
    return EXIT_SUCCESS;
}

static const struct subcommand subcommands[] = {
    {NULL, "dev",
     "[--regions a,b,c] [--nodes 1|3|5] [--port 7401] [--data DIR] [--account 123456789012] "
     "[--bind "
     "ADDRESS] "
     "[--lambda-endpoint URL] [--throttle PERCENT] [--start yes|no]",
     "Run whole regions on this machine, each its own process", run_dev},
    {"fault", "list", "[--data DIR]", "Show the nodes of a running dev", run_fault},
    {"fault", "kill", "REGION[/NODE] [--data DIR]",
     "Kill a node of a running dev, or all of a region; it stays down until it is started",
     run_fault},
    {"fault", "start", "REGION[/NODE] [--data DIR]", "Start what was killed", run_fault},
    {"fault", "pause", "REGION[/NODE] [--data DIR]",
     "Stop a node's process where it is, as a machine that hangs", run_fault},
    {"fault", "resume", "REGION[/NODE] [--data DIR]", "Let it go on", run_fault},
    {NULL, "server", "--config FILE", "Run one node of one region", run_server},
    {"config", "example", "", "Print every setting with its default and meaning",
     run_config_example},
    {"key", "init", "--out FILE", "Make a root key for a region", run_key_init},
    {"user", "init", "--out FILE --account 123456789012",
     "Make a credentials file with one access key", run_user_init},
    {"region", "ca", "--cert FILE --key FILE", "Make the certificate authority of a deployment",
     run_region_ca},
    {"region", "cert",
     "--ca-cert FILE --ca-key FILE --region NAME [--node ID] --cert FILE --key FILE",
     "Make the certificate of a region, or of one of its nodes", run_region_cert},
    {"node", "id", "--config FILE", "Print this node's id; make it when there is none", run_node},
    {"node", "bootstrap", "--config FILE [--members ID=RAFT,PEER;ID=RAFT,PEER...]",
     "Begin a new region with this node, or with these; the same on each of them", run_node},
    {"node", "token", "--config FILE [--lifetime SECONDS]",
     "Make a permission for a new node to join", run_node},
    {"node", "join",
     "--config FILE --address HOST:PEERPORT --token-file FILE|- --ca-sha256 HEX [--learner yes]",
     "Join this node to its region", run_node},
    {"node", "list", "--config FILE [--json yes]", "Show the nodes of the region", run_node},
    {"node", "status", "--config FILE [--json yes]", "Show this node", run_node},
    {"node", "promote", "ID --config FILE", "Make a node that joined a voter", run_node},
    {"node", "remove", "ID --config FILE", "Take a node out of the region", run_node},
    {"node", "transfer", "[ID] --config FILE", "Let another node lead", run_node},
    {"node", "raise-level", "--config FILE",
     "Allow what this release brought; earlier releases cannot be used any more", run_node},
    {"node", "recover", "--config FILE --force-single yes-i-lose-what-others-have",
     "When most nodes are lost for good: go on with this one alone", run_node},
    {"node", "rebuild", "--config FILE [--address HOST:PEERPORT]",
     "Give this node new data from its region, when its own are damaged", run_node},
    {NULL, "operations", "--json | --markdown", "Print the table of API operations",
     run_operations},
    {NULL, "metrics", "--markdown", "Print the table of metrics", run_metrics},
    {NULL, "version", "", "Print the version", run_version},
};

static int help(FILE *out, int status) {
    (void)fprintf(out, "redoubt: a self-hosted, multi-region replicated secret server\n\n");
    for (size_t i = 0; i < ARRAY_LEN(subcommands); i++) {
        const struct subcommand *sub = &subcommands[i];
        (void)fprintf(out, "  redoubt %s%s%s %s\n      %s.\n", sub->group ? sub->group : "",
                      sub->group ? " " : "", sub->name, sub->arguments, sub->summary);
    }
    return status;
}

int cli_run(int argc, char **argv) {
    if (argc >= 2 && (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)) {
        return help(stdout, EXIT_SUCCESS);
    }
    for (size_t i = 0; i < ARRAY_LEN(subcommands); i++) {
        const struct subcommand *sub = &subcommands[i];
        int words = sub->group ? 2 : 1;
        if (argc > words && (sub->group == NULL || strcmp(argv[1], sub->group) == 0) &&
            strcmp(argv[words], sub->name) == 0) {
            return sub->run(sub, argc - words, argv + words);
        }
    }
    return help(stderr, EXIT_USAGE);
}
