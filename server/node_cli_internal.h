/* What the files of `redoubt node` share. */
#ifndef SERVER_NODE_CLI_INTERNAL_H
#define SERVER_NODE_CLI_INTERNAL_H

#include "api/admin_wire.h"
#include "server/config.h"
#include "server/members_file.h"
#include "storage/engine.h"

#include <limits.h>
#include <stdio.h>

/* One call of the program. */
struct node_cli {
    const char *verb;
    const char *member; /* the word behind the verb; NULL: none */
    /* Options; NULL: not given. */
    const char *config_path, *json, *lifetime, *members, *address, *token_file, *ca_sha256;
    const char *learner, *force_single;

    struct config *config; /* owned */
    uint64_t id;           /* of this node */
};

/* Prints err.message; the exit status of a failure. */
int node_cli_fail(const struct err *err);

/* --- with a server that runs --- */
int node_cli_list(struct node_cli *cli);
int node_cli_status(struct node_cli *cli);
int node_cli_change(struct node_cli *cli); /* promote, remove, transfer, raise-level */
int node_cli_token(struct node_cli *cli);

/* --- without --- */
int node_cli_id(struct node_cli *cli);
int node_cli_bootstrap(struct node_cli *cli);
int node_cli_recover(struct node_cli *cli);
int node_cli_join(struct node_cli *cli);
int node_cli_rebuild(struct node_cli *cli);

/* ERR_INVALID_REQUEST: a server runs on this data folder. */
MUSTCHECK enum errc node_cli_must_not_run(const struct node_cli *cli, struct err *err);
/* "DATA/store". */
MUSTCHECK enum errc node_cli_store_path(const struct node_cli *cli, char out[PATH_MAX],
                                        struct err *err);
/* Nobody else has it open. */
MUSTCHECK enum errc node_cli_open_store(const struct node_cli *cli, struct engine **ret,
                                        struct err *err);
/* This node's address as the group knows it (cluster/member.h); "self" for a region of one node
 * that has no door for others. */
MUSTCHECK enum errc node_cli_own_address(const struct node_cli *cli, bool is_learner,
                                         char out[LIMIT_ADDRESS + 1], struct err *err);

/* The table of members, for people. */
void node_cli_print_members(FILE *out, const struct admin_picture *picture);

#endif
