/* `redoubt node join` and `rebuild`: an empty store, and a place in the group for it. */
#include "server/node_cli.h"
#include "server/node_cli_internal.h"

#include "base/bytes.h"
#include "base/crashpoint.h"
#include "base/wipe.h"
#include "base/world.h"
#include "cluster/bootstrap.h"
#include "cluster/join_client.h"
#include "cluster/member.h"
#include "crypto/tls.h"
#include "server/admin_client.h"
#include "server/place.h"
#include "storage/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DAMAGED_MOST = 1000, REASON = 512, CALL_MS = LIMIT_ADMIN_MS + 10 * 1000 };

static bool is_there(const char *path) {
    return access(path, F_OK) == 0;
}

/* --- the token --- */

/* Its first line, from a file or standard input. */
static enum errc read_token(const char *path, char out[ADMIN_TOKEN_TEXT + 1], struct err *err) {
    bool is_input = strcmp(path, "-") == 0;
    FILE *file = is_input ? stdin : fopen(path, "re");
    char line[ADMIN_TOKEN_TEXT + 3] = "";
    bool got;

    if (file == NULL) {
        return err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    got = fgets(line, sizeof(line), file) != NULL;
    if (!is_input) {
        (void)fclose(file);
    }
    line[strcspn(line, "\r\n")] = '\0';
    got = got && strlen(line) == ADMIN_TOKEN_TEXT &&
          strspn(line, "0123456789abcdef") == ADMIN_TOKEN_TEXT;
    memcpy(out, got ? line : "", got ? ADMIN_TOKEN_TEXT + 1 : 1);
    wipe(line, sizeof(line));
    return got ? OK
               : err_set(err, ERR_INVALID_PARAMETER, "%s does not hold a join token: %d characters",
                         is_input ? "standard input" : path, ADMIN_TOKEN_TEXT);
}

/* --- the authority --- */

static enum errc fetch_authority(const struct node_cli *cli, struct err *err) {
    struct join_call call = {.address = cli->address,
                             .region = cli->config->region,
                             .method = "GET",
                             .path = "/v1/ca",
                             .timeout_ms = CALL_MS};
    enum errc code = join_call_run(&call, err);

    if (code == OK && call.status != 200) {
        code = err_set(err, ERR_UNAVAILABLE, "%s: is no peer door of a region (HTTP status %d)",
                       cli->address, call.status);
    }
    if (code == OK) {
        code = tls_authority_keep(call.answer.data, call.answer.len, cli->ca_sha256,
                                  cli->config->peer_ca, err);
    }
    buf_fini(&call.answer);
    return code;
}

/* The file is the authority that the operator means: it was, or it is fetched. */
static enum errc have_authority(const struct node_cli *cli, struct err *err) {
    char fingerprint[65];
    enum errc code;

    if (!is_there(cli->config->peer_ca)) {
        return fetch_authority(cli, err);
    }
    code = tls_fingerprint(cli->config->peer_ca, fingerprint, err);
    if (code == OK && strcasecmp(fingerprint, cli->ca_sha256) != 0) {
        code = err_set(err, ERR_ACCESS_DENIED, "%s is another authority: its fingerprint is %s",
                       cli->config->peer_ca, fingerprint);
    }
    return code;
}

/* --- this node's certificate --- */

static enum errc check_certificate(const struct node_cli *cli, const char *path, struct err *err) {
    struct tls_name name;
    enum errc code = tls_cert_name(path, &name, err);

    if (code == OK && (strcmp(name.region, cli->config->region) != 0 || name.node != cli->id)) {
        code =
            err_set(err, ERR_INVALID_PARAMETER,
                    "%s is not the certificate of node %016" PRIx64 " of region %s. Move it away, "
                    "or make the right one: redoubt region cert --node",
                    path, cli->id, cli->config->region);
    }
    return code;
}

/* "PATH.joining": what becomes the key, or the certificate, once the group has agreed. */
static enum errc waiting_path(const char *path, char out[PATH_MAX], struct err *err) {
    return snprintf(out, PATH_MAX, "%s.joining", path) < PATH_MAX
               ? OK
               : err_set(err, ERR_IO, "the path %s is too long", path);
}

/* A new key, and the request for its certificate. *ret is owned: wipe_free. */
static enum errc make_request(const struct node_cli *cli, char **ret, struct err *err) {
    char key[PATH_MAX];
    struct buf request;
    enum errc code = waiting_path(cli->config->peer_key, key, err);
    size_t len = 0;
    uint8_t *text = NULL;

    if (code != OK) {
        return code;
    }
    (void)unlink(key); /* of an attempt that came to nothing */
    buf_init(&request, LIMIT_ADMIN_BODY);
    code = tls_request_create(key, &request, err);
    buf_append_u8(&request, '\0');
    if (code == OK && request.failed) {
        code = err_default(err, ERR_NO_MEMORY);
    }
    buf_take(&request, &text, &len);
    buf_fini(&request);
    if (code == OK) {
        *ret = (char *)text;
    } else {
        wipe_free(text);
    }
    return code;
}

static enum errc rename_file(const char *from, const char *to, struct err *err) {
    return rename(from, to) == 0 ? OK
                                 : err_set(err, ERR_IO, "cannot write %s: %s", to, strerror(errno));
}

static enum errc keep_certificate(const struct node_cli *cli, const struct buf *answer,
                                  struct err *err) {
    const struct config *config = cli->config;
    char key[PATH_MAX], waiting[PATH_MAX];
    struct buf pem;
    enum errc code = waiting_path(config->peer_key, key, err);

    if (code == OK) {
        code = waiting_path(config->peer_cert, waiting, err);
    }
    if (code != OK) {
        return code;
    }
    buf_init(&pem, ADMIN_ANSWER_MAX);
    if (admin_text_read(answer->data, answer->len, "certificate", &pem) != OK) {
        code = err_set(err, ERR_MALFORMED, "the answer holds no certificate");
    }
    if (code == OK) {
        code = place_write_file(waiting, pem.data, pem.len, err);
    }
    buf_fini(&pem);
    if (code == OK) {
        code = check_certificate(cli, waiting, err);
    }
    if (code == OK) {
        CRASHPOINT(JOIN_CERTIFICATE_WAITING);
        code = rename_file(key, config->peer_key, err);
    }
    if (code == OK) {
        CRASHPOINT(JOIN_KEY_RENAMED);
        code = rename_file(waiting, config->peer_cert, err);
    }
    if (code == OK) {
        CRASHPOINT(JOIN_CERTIFICATE_RENAMED);
        code = place_sync_folder_of(config->peer_cert, err);
    }
    return code;
}

/* --- asking --- */

/* OK: *answer is the group's. Else the reason; ERR_UNAVAILABLE: another node may know better;
 * ERR_ACCESS_DENIED: who asks is not known, or the token. */
static enum errc ask_group(const struct node_cli *cli, const char *address, const char *path,
                           bool with_certificate, const struct admin_ask *ask, struct buf *answer,
                           struct err *err) {
    const struct config *config = cli->config;
    struct buf body;
    struct join_call call = {.address = address,
                             .region = config->region,
                             .ca_path = config->peer_ca,
                             .cert_path = with_certificate ? config->peer_cert : NULL,
                             .key_path = with_certificate ? config->peer_key : NULL,
                             .method = "POST",
                             .path = path,
                             .body = &body,
                             .timeout_ms = CALL_MS};
    char reason[REASON];
    enum errc code;

    buf_init(&body, LIMIT_ADMIN_BODY);
    admin_ask_write(&body, ask);
    code = body.failed ? err_default(err, ERR_NO_MEMORY) : join_call_run(&call, err);
    buf_fini(&body);
    if (code == OK && call.status != 200) {
        admin_client_reason(&call.answer, reason, sizeof(reason));
        code = err_set(err,
                       call.status >= 500   ? ERR_UNAVAILABLE
                       : call.status == 403 ? ERR_ACCESS_DENIED
                                            : ERR_INVALID_REQUEST,
                       "%s: %s", address, reason);
    }
    *answer = call.answer;
    return code;
}

/* The group has this node's place: its store waits to be filled, and knows whom to ask later. */
static enum errc take_place(const struct node_cli *cli, struct engine *engine,
                            const struct buf *answer, struct err *err) {
    static struct admin_picture picture;
    enum errc code = admin_picture_read(answer->data, answer->len, &picture);

    if (code != OK || strcmp(picture.region, cli->config->region) != 0) {
        return err_set(err, ERR_MALFORMED, "the answer is not region %s's", cli->config->region);
    }
    code = node_await_join(engine, err);
    CRASHPOINT(JOIN_PLACE_TAKEN);
    return code == OK ? members_file_write(cli->config->data, &picture.status, err) : code;
}

/* --- join --- */

static enum errc join_with(const struct node_cli *cli, struct engine *engine, struct admin_ask *ask,
                           struct err *err) {
    bool has_certificate = is_there(cli->config->peer_cert);
    struct buf answer;
    enum errc code = has_certificate ? check_certificate(cli, cli->config->peer_cert, err)
                                     : make_request(cli, &ask->request, err);

    if (code != OK) {
        return code;
    }
    CRASHPOINT(JOIN_REQUESTED);
    code = ask_group(cli, cli->address, "/v1/join", has_certificate, ask, &answer, err);
    CRASHPOINT(JOIN_ANSWERED);
    if (code == OK && !has_certificate) {
        code = keep_certificate(cli, &answer, err);
    }
    if (code == OK) {
        code = take_place(cli, engine, &answer, err);
    }
    buf_fini(&answer);
    return code;
}

static enum errc join(const struct node_cli *cli, struct err *err) {
    struct admin_ask ask = {.id = cli->id};
    struct engine *engine = NULL;
    enum errc code = node_cli_own_address(cli, cli->learner != NULL, ask.address, err);

    if (code == OK && strcmp(ask.address, "self") == 0) {
        code = err_set(err, ERR_INVALID_PARAMETER,
                       "[raft] listen must be given: other nodes have to reach this one");
    }
    if (code == OK) {
        code = read_token(cli->token_file, ask.token, err);
    }
    if (code == OK) {
        code = node_cli_open_store(cli, &engine, err);
    }
    if (code == OK) {
        bool has_beginning = true;
        code = node_has_beginning(engine, &has_beginning, err);
        /* One that waits already may ask again; one that has lived says so. */
        code = code == OK && has_beginning ? node_await_join(engine, err) : code;
    }
    CRASHPOINT(JOIN_AWAITING);
    if (code == OK) {
        code = have_authority(cli, err);
    }
    if (code == OK) {
        CRASHPOINT(JOIN_AUTHORITY);
        code = join_with(cli, engine, &ask, err);
    }
    engine_close(engine);
    admin_ask_fini(&ask);
    return code;
}

int node_cli_join(struct node_cli *cli) {
    struct err err;
    enum errc code;

    if (cli->address == NULL || cli->token_file == NULL || cli->ca_sha256 == NULL) {
        (void)fprintf(stderr, "redoubt: --address, --token-file and --ca-sha256 are needed\n");
        return NODE_CLI_USAGE;
    }
    code = node_cli_must_not_run(cli, &err);
    if (code == OK) {
        code = join(cli, &err);
    }
    if (code != OK) {
        return node_cli_fail(&err);
    }
    (void)printf("Node %016" PRIx64
                 " has joined region %s. Start its server: it gets the data, and "
                 "becomes a voter when it has them%s.\n",
                 cli->id, cli->config->region,
                 cli->learner != NULL ? " and is promoted (redoubt node promote)" : "");
    return EXIT_SUCCESS;
}

/* --- rebuild --- */

/* A process that we do not hear at the administrator's door may still have it open. */
static bool store_is_open(const char *store) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PATH_MAX + 8];
    bool is_open;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/LOCK", store);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    is_open = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    (void)close(fd);
    return is_open;
}

/* Out of the way, for whoever wants to look at it. */
static enum errc move_store(const struct node_cli *cli, struct err *err) {
    char store[PATH_MAX], place[PATH_MAX + 32];
    enum errc code = node_cli_store_path(cli, store, err);

    if (code != OK || !is_there(store)) {
        return code;
    }
    if (store_is_open(store)) {
        return err_set(err, ERR_INVALID_REQUEST, "a process has %s open: stop it first", store);
    }
    for (int i = 1; i <= DAMAGED_MOST; i++) {
        (void)snprintf(place, sizeof(place), "%s.damaged-%d", store, i);
        if (is_there(place)) {
            continue;
        }
        if (rename(store, place) != 0) {
            return err_set(err, ERR_IO, "cannot move %s: %s", store, strerror(errno));
        }
        (void)printf("The old store is %s; delete it when nobody needs it any more.\n", place);
        return place_sync_folder_of(store, err);
    }
    return err_set(err, ERR_IO, "%s: too many damaged stores lie beside it", store);
}

/* It stays what it was told to be when it joined. */
static bool was_learner(const struct node_cli *cli, const struct members_file *known) {
    struct member_address address;

    for (size_t i = 0; i < known->n; i++) {
        if (known->members[i].id == cli->id) {
            return member_address_parse(known->members[i].address, &address) == OK &&
                   address.is_learner;
        }
    }
    return false;
}

static bool knows_another(const struct node_cli *cli, const struct members_file *known) {
    struct member_address address;

    for (size_t i = 0; i < known->n; i++) {
        if (known->members[i].id != cli->id &&
            member_address_parse(known->members[i].address, &address) == OK) {
            return true;
        }
    }
    return false;
}

/* What lets this node join if the leader that took it out of the group dies before it has taken it
 * in again. Kept until it is in, so that the command can be given again. */
static enum errc rejoin_token(const struct node_cli *cli, char path[PATH_MAX],
                              char out[ADMIN_TOKEN_TEXT + 1], struct err *err) {
    uint8_t raw[ADMIN_TOKEN_TEXT / 2];

    if (snprintf(path, PATH_MAX, "%s/rejoin", cli->config->data) >= PATH_MAX) {
        return err_set(err, ERR_IO, "the path of the data folder is too long");
    }
    if (is_there(path) && read_token(path, out, err) == OK) {
        return OK;
    }
    world_random(world_system(), raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), out);
    wipe(raw, sizeof(raw));
    return place_write_file(path, out, ADMIN_TOKEN_TEXT, err);
}

/* A member leaves and comes back; one that was taken out and not in again joins, with its token. */
static enum errc ask_back(const struct node_cli *cli, const char *address, struct admin_ask *ask,
                          struct buf *answer, struct err *err) {
    enum errc code;
    struct err refusal;

    ask->id = 0; /* the certificate says it */
    code = ask_group(cli, address, "/v1/rejoin", true, ask, answer, err);
    if (code != ERR_ACCESS_DENIED) {
        return code;
    }
    buf_fini(answer);
    ask->id = cli->id;
    code = ask_group(cli, address, "/v1/join", true, ask, answer, &refusal);
    return code == OK ? OK
                      : err_set(err, code,
                                "this node is no member of its region any more, and its own token "
                                "is no good (%s). Let it join: redoubt node join, with a token",
                                refusal.message);
}

/* Each that may know the leader, until one answers. */
static enum errc rejoin(const struct node_cli *cli, const struct members_file *known,
                        struct buf *answer, struct err *err) {
    struct admin_ask ask = {.id = 0};
    char token_path[PATH_MAX];
    enum errc code = node_cli_own_address(cli, was_learner(cli, known), ask.address, err);

    if (code == OK) {
        code = rejoin_token(cli, token_path, ask.token, err);
    }
    if (code == OK && cli->address != NULL) {
        code = ask_back(cli, cli->address, &ask, answer, err);
    } else if (code == OK) {
        code = err_default(err, ERR_UNAVAILABLE);
    }
    for (size_t i = 0; cli->address == NULL && i < known->n; i++) {
        struct member_address door;
        if (code != ERR_UNAVAILABLE && code != ERR_OUTCOME_UNKNOWN) {
            break;
        }
        if (known->members[i].id != cli->id &&
            member_address_parse(known->members[i].address, &door) == OK) {
            buf_fini(answer);
            code = ask_back(cli, door.peer, &ask, answer, err);
        }
    }
    if (code == OK) {
        (void)unlink(token_path);
    }
    admin_ask_fini(&ask);
    return code;
}

/* The old store goes first: from the moment at which the group takes this node for an empty one, it
 * must not start with what it had. */
static enum errc rebuild(const struct node_cli *cli, struct err *err) {
    struct members_file known;
    struct engine *engine = NULL;
    struct buf answer;
    enum errc code = check_certificate(cli, cli->config->peer_cert, err);

    buf_init(&answer, JOIN_ANSWER_MAX);
    if (code == OK) {
        code = members_file_read(cli->config->data, &known, err);
    }
    if (code == OK && cli->address == NULL && !knows_another(cli, &known)) {
        code = err_set(err, ERR_INVALID_PARAMETER,
                       "no other member is known here: say where one is with --address");
    }
    if (code == OK) {
        code = store_forget_fetched(cli->config->data, err);
    }
    if (code == OK) {
        code = move_store(cli, err);
    }
    if (code == OK) {
        CRASHPOINT(REBUILD_MOVED);
        code = rejoin(cli, &known, &answer, err);
    }
    CRASHPOINT(REBUILD_REJOINED);
    if (code == OK) {
        code = node_cli_open_store(cli, &engine, err);
    }
    if (code == OK) {
        code = take_place(cli, engine, &answer, err);
    }
    engine_close(engine);
    buf_fini(&answer);
    return code;
}

int node_cli_rebuild(struct node_cli *cli) {
    struct err err;
    enum errc code = node_cli_must_not_run(cli, &err);

    if (code == OK) {
        code = rebuild(cli, &err);
    }
    if (code != OK) {
        return node_cli_fail(&err);
    }
    (void)printf("Node %016" PRIx64 " is a spare of region %s. Start its server: it gets the data, "
                 "and becomes a voter when it has them.\n",
                 cli->id, cli->config->region);
    return EXIT_SUCCESS;
}
