/* `redoubt node`, the whole of it but for the server: its offline verbs on a real data folder, its
 * online ones against a door that answers as the test wants, and a node that joins through a real
 * TLS door. What it prints goes to a file that the test reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/admin_wire.h"
#include "api/http_server.h"
#include "base/local_socket.h"
#include "cluster/bootstrap.h"
#include "crypto/tls.h"
#include "server/members_file.h"
#include "server/node_cli.h"
#include "server/node_identity.h"
#include "storage/log_store.h"
#include "storage_scratch.h"

#define TOKEN "abababababababababababababababababababababababababababababababab"

enum { PATH = SCRATCH_PATH + 64, OUTPUT = 64 * 1024 };

static char folder[SCRATCH_PATH];
static char config[PATH], data[PATH], output_path[PATH];
static char output[OUTPUT];
static char id_text[ADMIN_ID_TEXT + 1];
static uint64_t id;

static const char *in_folder(char out[PATH], const char *name) {
    (void)snprintf(out, PATH, "%s/%s", folder, name);
    return out;
}

static void write_config(const char *more) {
    FILE *file = fopen(config, "we");

    assert_non_null(file);
    (void)fprintf(file,
                  "[node]\nregion = us-east-1\ndata = data\n[api]\ncredentials = users\n[keys]\n"
                  "root_key = root.key\n[peer]\nlisten = 127.0.0.1:7501\nca = ca.pem\n"
                  "cert = node.pem\nkey = node.key\n%s",
                  more);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state) {
    scratch_make(folder);
    (void)in_folder(config, "redoubt.conf");
    (void)in_folder(data, "data");
    (void)in_folder(output_path, "output");
    write_config("[raft]\nlisten = 127.0.0.1:7601\n");
    return 0;
}

static int teardown(void **state) {
    scratch_remove(folder);
    return 0;
}

/* --- running it --- */

static int run(const char *verb, ...) {
    char *argv[16] = {(char *)(uintptr_t)verb};
    int argc = 1;
    int saved = dup(STDOUT_FILENO);
    int fd = open(output_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int status;
    ssize_t n;
    va_list args;

    va_start(args, verb);
    for (char *arg = va_arg(args, char *); arg != NULL; arg = va_arg(args, char *)) {
        argv[argc++] = arg;
    }
    va_end(args);
    argv[argc++] = (char *)(uintptr_t) "--config";
    argv[argc++] = config;
    (void)fflush(stdout);
    assert_true(saved >= 0 && fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
    status = node_cli(verb, argc, argv);
    (void)fflush(stdout);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    (void)close(saved);
    n = pread(fd, output, sizeof(output) - 1, 0);
    assert_true(n >= 0);
    output[n] = '\0';
    (void)close(fd);
    return status;
}

static void expect_said(const char *text) {
    if (strstr(output, text) == NULL) {
        fail_msg("expected '%s' in: %s", text, output);
    }
}

static void learn_id(void) {
    struct err err;

    assert_int_equal(run("id", NULL), EXIT_SUCCESS);
    (void)snprintf(id_text, sizeof(id_text), "%.*s", ADMIN_ID_TEXT, output);
    assert_true(admin_id_read(id_text, &id));
    {
        uint64_t stored = 0;
        assert_int_equal(node_identity_load(data, &stored, &err), OK);
        assert_true(stored == id);
    }
}

static struct engine *open_store(void) {
    char path[PATH + 16];

    (void)snprintf(path, sizeof(path), "%s/store", data);
    return scratch_open(path);
}

static enum log_origin origin(void) {
    struct engine *engine = open_store();
    enum log_origin found = LOG_ORIGIN_NONE;
    struct err err;

    assert_int_equal(log_store_origin(engine, &found, &err), OK);
    engine_close(engine);
    return found;
}

/* --- offline --- */

static void test_id_stays(void **state) {
    char first[ADMIN_ID_TEXT + 1];

    learn_id();
    (void)snprintf(first, sizeof(first), "%s", id_text);
    learn_id();
    assert_string_equal(first, id_text);
}

static void test_bootstrap_alone(void **state) {
    learn_id();
    assert_int_equal(run("bootstrap", NULL), EXIT_SUCCESS);
    expect_said(id_text);
    assert_int_equal(origin(), LOG_ORIGIN_FIRST);
    assert_int_equal(run("bootstrap", NULL), EXIT_SUCCESS); /* the first may have been cut short */
    assert_int_equal(origin(), LOG_ORIGIN_FIRST);
}

static void test_bootstrap_of_a_region_without_doors(void **state) {
    write_config("");
    assert_int_equal(run("bootstrap", NULL), EXIT_SUCCESS);
    assert_int_equal(origin(), LOG_ORIGIN_FIRST);
}

static void test_bootstrap_of_three(void **state) {
    static const char others[] = "00000000000000aa=b:7600,b:7500;00000000000000bb=c:7600,c:7500";
    static const char *const bad[] = {
        others,                                       /* not this node */
        "00000000000000aa",                           /* no address */
        "xx=b:7600,b:7500", "00000000000000aa=b:7600" /* one door */
    };
    char members[512];

    learn_id();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(run("bootstrap", "--members", bad[i], NULL), EXIT_FAILURE);
    }
    (void)snprintf(members, sizeof(members), "%s;%s=elsewhere:1,elsewhere:2", others, id_text);
    assert_int_equal(run("bootstrap", "--members", members, NULL), EXIT_FAILURE);
    (void)snprintf(members, sizeof(members), "%s;%s=127.0.0.1:7601,127.0.0.1:7501", others,
                   id_text);
    assert_int_equal(run("bootstrap", "--members", members, NULL), EXIT_SUCCESS);
    assert_int_equal(origin(), LOG_ORIGIN_FIRST);
}

static void test_recover(void **state) {
    assert_int_equal(run("recover", NULL), NODE_CLI_USAGE);
    assert_int_equal(run("recover", "--force-single", "yes", NULL), NODE_CLI_USAGE);
    assert_int_equal(run("recover", "--force-single", "yes-i-lose-what-others-have", NULL),
                     EXIT_FAILURE); /* nothing to recover */
    assert_int_equal(run("bootstrap", NULL), EXIT_SUCCESS);
    assert_int_equal(run("recover", "--force-single", "yes-i-lose-what-others-have", NULL),
                     EXIT_SUCCESS);
    assert_int_equal(origin(), LOG_ORIGIN_ALONE);
}

static void test_what_is_no_call(void **state) {
    assert_int_equal(run("promote", NULL), NODE_CLI_USAGE);
    assert_int_equal(run("promote", "12", NULL), NODE_CLI_USAGE);
    assert_int_equal(run("list", "--json", "no", NULL), NODE_CLI_USAGE);
    assert_int_equal(run("list", "--nonsense", "yes", NULL), NODE_CLI_USAGE);
    assert_int_equal(run("join", NULL), NODE_CLI_USAGE);
    assert_int_equal(run("list", NULL), EXIT_FAILURE); /* no server */
    assert_int_equal(run("token", "--lifetime", "0", NULL), EXIT_FAILURE);
}

/* --- a door --- */

/* What the door was asked last, and what it says. */
static struct {
    char method[8], path[64], body[4096];
    int status;
    char answer[OUTPUT];
    struct node_status group;
    char ca[PATH], ca_key[PATH];
    uint64_t peer_node;
    unsigned calls;
} door;

static void note(const struct http_request *request) {
    (void)snprintf(door.method, sizeof(door.method), "%s", request->method);
    (void)snprintf(door.path, sizeof(door.path), "%.*s", (int)request->path_len, request->target);
    (void)snprintf(door.body, sizeof(door.body), "%.*s", (int)request->body.len,
                   request->body.len > 0 ? (const char *)request->body.data : "");
    door.calls++;
}

static void say(struct exchange *exchange, int status, const void *body, size_t len) {
    const struct http_response response = {
        .status = status, .content_type = "application/json", .body = body, .body_len = len};
    exchange_reply(exchange, &response);
}

static void handle_local(struct exchange *exchange, void *arg) {
    note(exchange_request(exchange));
    say(exchange, door.status, door.answer, strlen(door.answer));
}

static struct http_server *open_local_door(void) {
    char address[PATH + 32];
    struct listener_options options = {
        .address = address, .body_max = 16384, .handler = handle_local};
    struct http_server *server = NULL;
    struct err err;

    (void)snprintf(address, sizeof(address), "unix:%s/admin.sock", data);
    (void)mkdir(data, 0700);
    assert_int_equal(http_server_new(1, &server, &err), OK);
    assert_int_equal(http_server_listen(server, &options, &err), OK);
    assert_int_equal(http_server_start(server, &err), OK);
    return server;
}

static void make_group(void) {
    door.group = (struct node_status){.role = "leader",
                                      .id = 0xaa,
                                      .leader = 0xaa,
                                      .level = 3,
                                      .term = 9,
                                      .is_voter = true,
                                      .ready = true,
                                      .disk_free = UINT64_MAX,
                                      .n_members = 2};
    door.group.members[0] = (struct node_member){.id = 0xaa,
                                                 .address = "first.example.org:7600,first.example"
                                                            ".org:7500",
                                                 .is_voter = true,
                                                 .is_leader = true,
                                                 .is_self = true,
                                                 .is_live = true,
                                                 .match = 1234,
                                                 .level_max = 3};
    door.group.members[1] = (struct node_member){.id = 0xbb,
                                                 .address = "b:1,b:2",
                                                 .is_installing = true,
                                                 .heard_ago_ms = UINT64_MAX,
                                                 .match = 7};
}

static void answer_picture(void) {
    struct buf text;

    make_group();
    buf_init(&text, sizeof(door.answer));
    admin_picture_write(&text, "us-east-1", &door.group, NULL);
    (void)snprintf(door.answer, sizeof(door.answer), "%.*s", (int)text.len,
                   (const char *)text.data);
    door.status = 200;
    buf_fini(&text);
}

static void test_list_and_status(void **state) {
    struct http_server *server = open_local_door();

    answer_picture();
    assert_int_equal(run("list", NULL), EXIT_SUCCESS);
    assert_string_equal(door.path, "/v1/members");
    expect_said("region us-east-1, level 3, as its leader sees it\n");
    expect_said("NODE              ROLE    STATE       HEARD  MATCH  LEVEL  ADDRESS\n");
    expect_said("00000000000000aa  leader  live        -      1234   3      first.example.org");
    expect_said("00000000000000bb  spare   installing  never  7      ?      b:1,b:2\n");
    assert_int_equal(run("list", "--json", "yes", NULL), EXIT_SUCCESS);
    expect_said(door.answer);
    assert_int_equal(run("status", NULL), EXIT_SUCCESS);
    assert_string_equal(door.path, "/v1/status");
    expect_said("role           leader\n");
    expect_said("disk free      not known\n");
    (void)snprintf(door.answer, sizeof(door.answer), "no JSON");
    assert_int_equal(run("status", NULL), EXIT_FAILURE);
    http_server_stop(server, 1000);
}

static void test_changes(void **state) {
    struct http_server *server = open_local_door();

    (void)snprintf(door.answer, sizeof(door.answer), "{\"done\":true}");
    door.status = 200;
    assert_int_equal(run("promote", "00000000000000bb", NULL), EXIT_SUCCESS);
    assert_string_equal(door.method, "POST");
    assert_string_equal(door.path, "/v1/members/promote");
    assert_string_equal(door.body, "{\"id\":\"00000000000000bb\"}");
    assert_int_equal(run("remove", "00000000000000bb", NULL), EXIT_SUCCESS);
    assert_string_equal(door.path, "/v1/members/remove");
    expect_said("never start it again");
    assert_int_equal(run("transfer", NULL), EXIT_SUCCESS);
    assert_string_equal(door.path, "/v1/members/transfer");
    assert_string_equal(door.body, "{}");
    assert_int_equal(run("transfer", "00000000000000bb", NULL), EXIT_SUCCESS);
    assert_string_equal(door.body, "{\"id\":\"00000000000000bb\"}");
    assert_int_equal(run("raise-level", NULL), EXIT_SUCCESS);
    assert_string_equal(door.path, "/v1/level/raise");
    (void)snprintf(door.answer, sizeof(door.answer),
                   "{\"error\":\"no_quorum\",\"reason\":\"too few would be left\"}");
    door.status = 409;
    assert_int_equal(run("remove", "00000000000000bb", NULL), EXIT_FAILURE);
    http_server_stop(server, 1000);
}

static void test_token(void **state) {
    struct http_server *server = open_local_door();

    (void)snprintf(door.answer, sizeof(door.answer),
                   "{\"token\":\"" TOKEN "\",\"ca_sha256\":\"0123\",\"expires_ms\":1}");
    door.status = 200;
    assert_int_equal(run("token", "--lifetime", "90", NULL), EXIT_SUCCESS);
    assert_string_equal(door.body, "{\"lifetime\":90}");
    expect_said(TOKEN);
    expect_said("--token-file - --ca-sha256 0123 --address 127.0.0.1:7501\n");
    http_server_stop(server, 1000);
}

/* What needs the data for itself does not touch them while a server has them. */
static void test_offline_verbs_see_the_server(void **state) {
    struct http_server *server;

    learn_id();
    server = open_local_door();
    answer_picture();
    assert_int_equal(run("bootstrap", NULL), EXIT_FAILURE);
    assert_int_equal(run("recover", "--force-single", "yes-i-lose-what-others-have", NULL),
                     EXIT_FAILURE);
    assert_int_equal(run("rebuild", NULL), EXIT_FAILURE);
    http_server_stop(server, 1000);
    assert_int_equal(run("bootstrap", NULL), EXIT_SUCCESS);
}

/* --- joining --- */

static void answer_join(struct exchange *exchange, const struct buf *body) {
    struct buf certificate, more, text;
    struct admin_ask ask;
    struct err err;

    assert_int_equal(admin_ask_read(body->data, body->len, &ask, &err), OK);
    buf_init(&certificate, 16384);
    buf_init(&more, 32768);
    buf_init(&text, 65536);
    if (ask.request != NULL) {
        assert_int_equal(tls_request_sign(door.ca, door.ca_key, (const uint8_t *)ask.request,
                                          strlen(ask.request), "us-east-1", ask.id, &certificate,
                                          &err),
                         OK);
        buf_append_str(&more, ",\"certificate\":\"");
        for (size_t i = 0; i < certificate.len; i++) {
            if (certificate.data[i] == '\n') {
                buf_append_str(&more, "\\n");
            } else {
                buf_append_u8(&more, certificate.data[i]);
            }
        }
        buf_append_str(&more, "\"");
    }
    buf_append_u8(&more, '\0');
    admin_picture_write(&text, "us-east-1", &door.group, (const char *)more.data);
    say(exchange, 200, text.data, text.len);
    buf_fini(&certificate);
    buf_fini(&more);
    buf_fini(&text);
    admin_ask_fini(&ask);
}

static void handle_peer(struct exchange *exchange, void *arg) {
    const struct http_request *request = exchange_request(exchange);
    char pem[16384];
    FILE *file;
    size_t n;

    note(request);
    door.peer_node = exchange_peer_node(exchange);
    if (strcmp(door.path, "/v1/ca") == 0) {
        file = fopen(door.ca, "re");
        CHECK(file != NULL);
        n = fread(pem, 1, sizeof(pem), file);
        (void)fclose(file);
        say(exchange, 200, pem, n);
    } else if (door.status != 200) {
        say(exchange, door.status, door.answer, strlen(door.answer));
    } else {
        answer_join(exchange, &request->body);
    }
}

/* A member of the region with the certificate of node 0xaa. *ret_address: its peer door. */
static struct http_server *open_peer_door(char ret_address[64], struct tls_context **ret_tls) {
    char cert[PATH], key[PATH];
    struct tls_files files = {.ca_path = door.ca, .cert_path = cert, .key_path = key};
    struct listener_options options = {.address = "127.0.0.1:0",
                                       .body_max = 1024 * 1024,
                                       .need_peer_region = true,
                                       .anonymous_body_max = 16384,
                                       .handler = handle_peer};
    struct http_server *server = NULL;
    struct err err;

    (void)in_folder(door.ca, "their-ca.pem");
    (void)in_folder(door.ca_key, "their-ca.key");
    (void)in_folder(cert, "their.pem");
    (void)in_folder(key, "their.key");
    assert_int_equal(tls_ca_create(door.ca, door.ca_key, &err), OK);
    assert_int_equal(tls_cert_create(door.ca, door.ca_key, "us-east-1", 0xaa, cert, key, &err), OK);
    assert_int_equal(tls_server_new_open(&files, ret_tls, &err), OK);
    options.tls = *ret_tls;
    assert_int_equal(http_server_new(1, &server, &err), OK);
    assert_int_equal(http_server_listen(server, &options, &err), OK);
    assert_int_equal(http_server_start(server, &err), OK);
    (void)snprintf(ret_address, 64, "127.0.0.1:%u", http_server_port(server, 0));
    make_group();
    door.status = 200;
    door.calls = 0;
    return server;
}

static void write_text(const char *name, const char *text) {
    char path[PATH];
    FILE *file = fopen(in_folder(path, name), "we");

    assert_non_null(file);
    (void)fprintf(file, "%s\n", text);
    assert_int_equal(fclose(file), 0);
}

static bool is_there(const char *name) {
    char path[PATH];

    return access(in_folder(path, name), F_OK) == 0;
}

static int join(const char *address, const char *fingerprint) {
    char token[PATH];

    return run("join", "--address", address, "--token-file", in_folder(token, "token"),
               "--ca-sha256", fingerprint, NULL);
}

static void expect_certificate(void) {
    char path[PATH];
    struct tls_name name;
    struct stat st;
    struct err err;

    assert_int_equal(tls_cert_name(in_folder(path, "node.pem"), &name, &err), OK);
    assert_string_equal(name.region, "us-east-1");
    assert_true(name.node == id);
    assert_int_equal(stat(in_folder(path, "node.key"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_false(is_there("node.key.joining") || is_there("node.pem.joining"));
}

static void expect_waiting(void) {
    struct members_file known;
    struct err err;

    assert_int_equal(origin(), LOG_ORIGIN_JOIN);
    assert_int_equal(members_file_read(data, &known, &err), OK);
    assert_int_equal(known.n, 2);
    assert_true(known.members[1].id == 0xbb);
    assert_string_equal(known.members[1].address, "b:1,b:2");
}

static void test_join(void **state) {
    struct tls_context *tls = NULL;
    char address[64], fingerprint[65];
    struct http_server *server = open_peer_door(address, &tls);
    struct err err;

    learn_id();
    assert_int_equal(tls_fingerprint(door.ca, fingerprint, &err), OK);
    write_text("token", TOKEN);
    assert_int_equal(join(address, fingerprint), EXIT_SUCCESS);
    assert_string_equal(door.path, "/v1/join");
    assert_non_null(strstr(door.body, "\"token\":\"" TOKEN "\""));
    assert_non_null(strstr(door.body, "\"address\":\"127.0.0.1:7601,127.0.0.1:7501\""));
    assert_non_null(strstr(door.body, id_text));
    assert_true(door.peer_node == 0);
    assert_null(strstr(output, TOKEN));
    expect_certificate();
    expect_waiting();
    /* Again: with the certificate that it has now. */
    assert_int_equal(join(address, fingerprint), EXIT_SUCCESS);
    assert_true(door.peer_node == id);
    assert_null(strstr(door.body, "CERTIFICATE REQUEST"));
    expect_waiting();
    http_server_stop(server, 1000);
    tls_context_free(tls);
}

static void test_join_refused(void **state) {
    struct tls_context *tls = NULL;
    char address[64], fingerprint[65];
    struct http_server *server = open_peer_door(address, &tls);
    struct err err;

    learn_id();
    assert_int_equal(tls_fingerprint(door.ca, fingerprint, &err), OK);
    write_text("token", "too short");
    assert_int_equal(join(address, fingerprint), EXIT_FAILURE);
    assert_int_equal(door.calls, 0);
    write_text("token", TOKEN);
    door.status = 403;
    (void)snprintf(door.answer, sizeof(door.answer),
                   "{\"error\":\"denied\",\"reason\":\"The join token has expired.\"}");
    assert_int_equal(join(address, fingerprint), EXIT_FAILURE);
    assert_false(is_there("node.pem") || is_there("node.key"));
    assert_int_equal(origin(), LOG_ORIGIN_NONE);
    door.status = 200;
    assert_int_equal(join(address, fingerprint), EXIT_SUCCESS);
    http_server_stop(server, 1000);
    tls_context_free(tls);
}

/* Somebody in between, with another authority: the token never leaves. */
static void test_join_with_the_wrong_authority(void **state) {
    struct tls_context *tls = NULL;
    char address[64], fingerprint[65];
    char ca[PATH], ca_key[PATH];
    struct http_server *server = open_peer_door(address, &tls);
    struct err err;

    write_text("token", TOKEN);
    (void)in_folder(ca, "other-ca.pem");
    (void)in_folder(ca_key, "other-ca.key");
    assert_int_equal(tls_ca_create(ca, ca_key, &err), OK);
    assert_int_equal(tls_fingerprint(ca, fingerprint, &err), OK);
    assert_int_equal(join(address, fingerprint), EXIT_FAILURE);
    assert_int_equal(door.calls, 1); /* for the certificate */
    assert_false(is_there("ca.pem"));
    /* The right authority is here, and the other side is not of it. */
    (void)in_folder(ca_key, "ca.pem");
    assert_int_equal(rename(ca, ca_key), 0);
    assert_int_equal(join(address, fingerprint), EXIT_FAILURE);
    assert_int_equal(door.calls, 1);
    /* And a file that is not what the operator meant is not used. */
    assert_int_equal(tls_fingerprint(door.ca, fingerprint, &err), OK);
    assert_int_equal(join(address, fingerprint), EXIT_FAILURE);
    assert_int_equal(door.calls, 1);
    assert_int_equal(origin(), LOG_ORIGIN_NONE);
    http_server_stop(server, 1000);
    tls_context_free(tls);
}

static void test_who_has_lived_does_not_join(void **state) {
    struct tls_context *tls = NULL;
    char address[64], fingerprint[65];
    struct http_server *server = open_peer_door(address, &tls);
    struct err err;

    write_text("token", TOKEN);
    assert_int_equal(tls_fingerprint(door.ca, fingerprint, &err), OK);
    assert_int_equal(run("bootstrap", NULL), EXIT_SUCCESS);
    assert_int_equal(join(address, fingerprint), EXIT_FAILURE);
    assert_int_equal(door.calls, 0);
    http_server_stop(server, 1000);
    tls_context_free(tls);
}

/* --- rebuilding --- */

static void make_own_certificate(void) {
    char cert[PATH], key[PATH], ca[PATH], pem[16384];
    struct err err;
    FILE *file = fopen(door.ca, "re");
    size_t n;

    assert_int_equal(tls_cert_create(door.ca, door.ca_key, "us-east-1", id,
                                     in_folder(cert, "node.pem"), in_folder(key, "node.key"), &err),
                     OK);
    assert_non_null(file);
    n = fread(pem, 1, sizeof(pem), file);
    (void)fclose(file);
    file = fopen(in_folder(ca, "ca.pem"), "we");
    assert_non_null(file);
    assert_int_equal(fwrite(pem, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* The next release reads the file that this one wrote. */
static void test_the_members_file_in_bytes(void **state) {
    static const char expected[] = ("00000000000000aa 127.0.0.1:1,[::1]:2\n"
                                    "fedcba9876543210 host.example:1,b:2,learner\n");
    struct node_status known = {
        .n_members = 2,
        .members = {{.id = 0xaa, .address = "127.0.0.1:1,[::1]:2"},
                    {.id = 0xfedcba9876543210, .address = "host.example:1,b:2,learner"}}};
    char path[PATH], text[256] = "";
    struct err err;
    FILE *file;

    learn_id(); /* makes the folder */
    assert_int_equal(members_file_write(data, &known, &err), OK);
    file = fopen(in_folder(path, "data/members"), "re");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof(text) - 1, file), strlen(expected));
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text, expected);
}

static void test_rebuild(void **state) {
    struct tls_context *tls = NULL;
    char address[64];
    struct http_server *server = open_peer_door(address, &tls);
    struct node_status known = {.n_members = 3};
    struct err err;

    learn_id();
    assert_int_equal(run("rebuild", NULL), EXIT_FAILURE); /* no certificate */
    make_own_certificate();
    assert_int_equal(run("bootstrap", NULL), EXIT_SUCCESS);
    /* Itself, one that is gone, one that answers. */
    known.members[0] = (struct node_member){.id = id, .address = "127.0.0.1:1,127.0.0.1:1,learner"};
    known.members[1] = (struct node_member){.id = 0xcc, .address = "127.0.0.1:1,127.0.0.1:1"};
    known.members[2] = (struct node_member){.id = 0xaa};
    (void)snprintf(known.members[2].address, sizeof(known.members[2].address), "127.0.0.1:1,%s",
                   address);
    assert_int_equal(members_file_write(data, &known, &err), OK);
    assert_int_equal(run("rebuild", NULL), EXIT_SUCCESS);
    assert_string_equal(door.path, "/v1/rejoin");
    assert_true(door.peer_node == id);
    assert_non_null(strstr(door.body, "{\"address\":\"127.0.0.1:7601,127.0.0.1:7501,learner\""));
    assert_non_null(strstr(door.body, "\"token\":\""));
    assert_false(is_there("data/rejoin")); /* it is in */
    expect_said("store.damaged-1");
    assert_true(is_there("data/store.damaged-1/CURRENT"));
    expect_waiting();
    /* Where it is said, and refused: the store is out of the way, and nothing begins. */
    door.status = 403;
    (void)snprintf(door.answer, sizeof(door.answer), "{\"reason\":\"no member\"}");
    assert_int_equal(run("rebuild", "--address", address, NULL), EXIT_FAILURE);
    assert_true(is_there("data/store.damaged-2/CURRENT"));
    assert_false(is_there("data/store"));
    /* Not in the group any more: its token was tried, and is kept for the next time. */
    assert_string_equal(door.path, "/v1/join");
    assert_true(is_there("data/rejoin"));
    door.status = 200;
    assert_int_equal(run("rebuild", "--address", address, NULL), EXIT_SUCCESS);
    expect_waiting();
    http_server_stop(server, 1000);
    tls_context_free(tls);
}

/* Who nobody can be asked for keeps what it has. */
static void test_rebuild_without_anybody(void **state) {
    struct tls_context *tls = NULL;
    char address[64];
    struct http_server *server = open_peer_door(address, &tls);

    learn_id();
    make_own_certificate();
    assert_int_equal(run("bootstrap", NULL), EXIT_SUCCESS);
    assert_int_equal(run("rebuild", NULL), EXIT_FAILURE);
    assert_int_equal(door.calls, 0);
    assert_int_equal(origin(), LOG_ORIGIN_FIRST);
    http_server_stop(server, 1000);
    tls_context_free(tls);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_id_stays),
        T(test_bootstrap_alone),
        T(test_bootstrap_of_a_region_without_doors),
        T(test_bootstrap_of_three),
        T(test_recover),
        T(test_what_is_no_call),
        T(test_list_and_status),
        T(test_changes),
        T(test_token),
        T(test_offline_verbs_see_the_server),
        T(test_join),
        T(test_join_refused),
        T(test_join_with_the_wrong_authority),
        T(test_who_has_lived_does_not_join),
        T(test_the_members_file_in_bytes),
        T(test_rebuild),
        T(test_rebuild_without_anybody),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    tls_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
