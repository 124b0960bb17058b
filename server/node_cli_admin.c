/* `redoubt node`: what is asked of the server that runs. */
#include "server/node_cli_internal.h"

#include "cluster/member.h"
#include "server/admin_client.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = 320, COLUMNS = 7 };

/* The answer is the caller's to buf_fini, in any case. */
static enum errc call(const struct node_cli *cli, const char *method, const char *path,
                      const struct admin_ask *ask, struct buf *answer, struct err *err) {
    char socket_path[PATH_MAX];
    struct buf body;
    int status = 0;
    enum errc code;

    buf_init(answer, ADMIN_ANSWER_MAX);
    if (!admin_client_path(cli->config->data, socket_path, sizeof(socket_path))) {
        return err_set(err, ERR_IO, "the path of the data folder is too long");
    }
    buf_init(&body, LIMIT_ADMIN_BODY);
    if (ask != NULL) {
        admin_ask_write(&body, ask);
    }
    code = admin_client_call(socket_path, method, path, ask != NULL ? &body : NULL, answer, &status,
                             err);
    buf_fini(&body);
    if (code == ERR_UNAVAILABLE) {
        return err_set(err, code, "no server runs on %s", cli->config->data);
    }
    return code;
}

static int print_json(const struct buf *answer) {
    (void)printf("%.*s\n", (int)answer->len, (const char *)answer->data);
    return EXIT_SUCCESS;
}

/* --- list --- */

static void write_age(char out[CELL], uint64_t ms) {
    if (ms == UINT64_MAX) {
        (void)snprintf(out, CELL, "never");
    } else if (ms < 10000) {
        (void)snprintf(out, CELL, "%" PRIu64 " ms", ms);
    } else {
        (void)snprintf(out, CELL, "%" PRIu64 " s", ms / 1000);
    }
}

static const char *state_of(const struct node_member *member) {
    if (member->is_installing) {
        return "installing";
    }
    if (!member->is_live && !member->is_self) {
        return "silent";
    }
    return member->is_disk_full ? "disk full" : "live";
}

static void write_row(char cells[COLUMNS][CELL], const struct node_member *member) {
    char id[ADMIN_ID_TEXT + 1];

    admin_id_write(member->id, id);
    (void)snprintf(cells[0], CELL, "%s", id);
    (void)snprintf(cells[1], CELL, "%s",
                   member->is_leader  ? "leader"
                   : member->is_voter ? "voter"
                                      : "spare");
    (void)snprintf(cells[2], CELL, "%s", state_of(member));
    if (member->is_self) {
        (void)snprintf(cells[3], CELL, "-");
    } else {
        write_age(cells[3], member->heard_ago_ms);
    }
    (void)snprintf(cells[4], CELL, "%" PRIu64, member->match);
    if (member->level_max != 0) {
        (void)snprintf(cells[5], CELL, "%u", (unsigned)member->level_max);
    } else {
        (void)snprintf(cells[5], CELL, "?");
    }
    (void)snprintf(cells[6], CELL, "%s", member->address);
}

void node_cli_print_members(FILE *out, const struct admin_picture *picture) {
    static const char *const titles[COLUMNS] = {"NODE",  "ROLE",  "STATE",  "HEARD",
                                                "MATCH", "LEVEL", "ADDRESS"};
    static char cells[LIMIT_PEERS + 1][COLUMNS][CELL];
    size_t widths[COLUMNS] = {0};
    size_t n = picture->status.n_members;

    for (size_t i = 0; i <= n; i++) {
        for (size_t c = 0; c < COLUMNS && i == 0; c++) {
            (void)snprintf(cells[0][c], CELL, "%s", titles[c]);
        }
        if (i > 0) {
            write_row(cells[i], &picture->status.members[i - 1]);
        }
        for (size_t c = 0; c < COLUMNS; c++) {
            size_t len = strlen(cells[i][c]);
            widths[c] = len > widths[c] ? len : widths[c];
        }
    }
    for (size_t i = 0; i <= n; i++) {
        for (size_t c = 0; c + 1 < COLUMNS; c++) {
            (void)fprintf(out, "%-*s  ", (int)widths[c], cells[i][c]);
        }
        (void)fprintf(out, "%s\n", cells[i][COLUMNS - 1]);
    }
}

static enum errc read_picture(const struct buf *answer, struct admin_picture *ret,
                              struct err *err) {
    enum errc code = admin_picture_read(answer->data, answer->len, ret);

    return code == OK ? OK : err_set(err, code, "the server's answer cannot be read");
}

/* Asks `path` and shows the answer: as it came with --json, else by `print`. */
static int show(struct node_cli *cli, const char *path,
                void (*print)(const struct admin_picture *picture)) {
    static struct admin_picture picture;
    struct buf answer;
    struct err err;
    enum errc code = call(cli, "GET", path, NULL, &answer, &err);
    int status = EXIT_SUCCESS;

    if (code == OK && cli->json != NULL) {
        status = print_json(&answer);
    } else if (code == OK) {
        code = read_picture(&answer, &picture, &err);
        if (code == OK) {
            print(&picture);
        }
    }
    buf_fini(&answer);
    return code == OK ? status : node_cli_fail(&err);
}

static void print_list(const struct admin_picture *picture) {
    const struct node_status *status = &picture->status;

    (void)printf("region %s, level %u, %s\n", picture->region, (unsigned)status->level,
                 status->leader == 0 ? "no leader: as this node sees it"
                 : status->leader == status->id
                     ? "as its leader sees it"
                     : "its leader cannot be asked: as this node sees it");
    node_cli_print_members(stdout, picture);
}

int node_cli_list(struct node_cli *cli) {
    return show(cli, "/v1/members", print_list);
}

/* --- status --- */

static void print_number(const char *name, uint64_t value) {
    if (value == UINT64_MAX) {
        (void)printf("%-14s not known\n", name);
    } else {
        (void)printf("%-14s %" PRIu64 "\n", name, value);
    }
}

static void print_status(const struct admin_picture *picture) {
    const struct node_status *status = &picture->status;
    char id[ADMIN_ID_TEXT + 1], leader[ADMIN_ID_TEXT + 1] = "none";

    admin_id_write(status->id, id);
    if (status->leader != 0) {
        admin_id_write(status->leader, leader);
    }
    (void)printf("%-14s %s\n%-14s %s\n%-14s %s\n%-14s %s\n%-14s %s\n%-14s %s\n", "region",
                 picture->region, "node", id, "role", status->role, "leader", leader, "votes",
                 status->is_voter ? "yes" : "no", "ready", status->ready ? "yes" : "no");
    (void)printf("%-14s %s\n", "disk full",
                 status->is_disk_full ? "yes: it takes no writes until there is room" : "no");
    print_number("level", status->level);
    print_number("term", status->term);
    print_number("commit", status->commit);
    print_number("applied", status->applied);
    print_number("log first", status->first);
    print_number("log last", status->last);
    print_number("log bytes", status->log_bytes);
    print_number("snapshot", status->snapshot);
    print_number("age ms", status->age_ms);
    print_number("disk free", status->disk_free);
}

int node_cli_status(struct node_cli *cli) {
    return show(cli, "/v1/status", print_status);
}

/* --- promote, remove, transfer, raise-level --- */

int node_cli_change(struct node_cli *cli) {
    static const struct {
        const char *verb, *path, *done;
    } changes[] = {
        {"promote", "/v1/members/promote", "It votes."},
        {"remove", "/v1/members/remove",
         "It is no member any more. Stop its server, and never start "
         "it again with the data that it has."},
        {"transfer", "/v1/members/transfer", "Another node leads."},
        {"raise-level", "/v1/level/raise", "The level is raised."},
    };
    struct admin_ask ask = {.id = 0};
    struct buf answer;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        enum errc code;
        if (strcmp(changes[i].verb, cli->verb) != 0) {
            continue;
        }
        if (cli->member != NULL && !admin_id_read(cli->member, &ask.id)) {
            return EXIT_FAILURE; /* it was looked at before */
        }
        code = call(cli, "POST", changes[i].path, &ask, &answer, &err);
        buf_fini(&answer);
        if (code != OK) {
            return node_cli_fail(&err);
        }
        (void)printf("%s\n", changes[i].done);
    }
    return EXIT_SUCCESS;
}

/* --- token --- */

static enum errc read_lifetime(const char *text, int64_t *ret, struct err *err) {
    char *end;

    *ret = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || *ret < 1 || *ret > LIMIT_JOIN_TOKEN_S) {
        return err_set(err, ERR_INVALID_PARAMETER, "--lifetime is a number of seconds, %d at most",
                       LIMIT_JOIN_TOKEN_S);
    }
    return OK;
}

static bool print_text(const struct buf *answer, const char *before, const char *member,
                       const char *after) {
    struct buf text;
    bool found;

    buf_init(&text, ADMIN_ANSWER_MAX);
    found = admin_text_read(answer->data, answer->len, member, &text) == OK;
    if (found) {
        (void)printf("%s%.*s%s", before, (int)text.len, (const char *)text.data, after);
    }
    buf_fini(&text);
    return found;
}

/* The token goes through a file or a pipe: what is on a command line, every user of the machine can
 * read. */
static bool print_token(const struct node_cli *cli, const struct buf *answer) {
    char own[LIMIT_ADDRESS + 1];
    struct member_address address;
    struct err err;
    bool has_door = node_cli_own_address(cli, false, own, &err) == OK &&
                    member_address_parse(own, &address) == OK;

    return print_text(answer, "token        ", "token", "\n") &&
           print_text(answer, "authority    ", "ca_sha256", " (sha256)\n") &&
           printf("\nOn the new node, with the token in a file or on standard input:\n") > 0 &&
           print_text(answer, "redoubt node join --config FILE --token-file - --ca-sha256 ",
                      "ca_sha256", "") &&
           printf(" --address %s\n", has_door ? address.peer : cli->config->peer_listen) > 0;
}

int node_cli_token(struct node_cli *cli) {
    struct admin_ask ask = {.id = 0};
    struct buf answer;
    struct err err;
    enum errc code = OK;

    if (cli->lifetime != NULL) {
        code = read_lifetime(cli->lifetime, &ask.lifetime_s, &err);
    }
    if (code != OK) {
        return node_cli_fail(&err);
    }
    code = call(cli, "POST", "/v1/tokens", &ask, &answer, &err);
    if (code == OK && !print_token(cli, &answer)) {
        code = err_set(&err, ERR_MALFORMED, "the server's answer cannot be read");
    }
    buf_fini(&answer);
    return code == OK ? EXIT_SUCCESS : node_cli_fail(&err);
}
