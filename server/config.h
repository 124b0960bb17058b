/* The configuration file of `redoubt server`: conf.def, the rates of throttle.def and the quotas of
 * quotas.def as a struct, and the table of peers.
 *
 * Unknown sections and keys, repeated keys, and values out of range are errors that name the line.
 * Relative paths are relative to the file's folder. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "api/throttle.h"
#include "base/errc.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/quotas.h"
#include "cluster/peer_client.h"

#include <stdbool.h>
#include <stdio.h>

enum { CONFIG_TEXT = 1024 };

struct config {
    char region[CONFIG_TEXT];
    char data[CONFIG_TEXT];
    enum log_level log_level;
    char api_listen[CONFIG_TEXT];
    int64_t workers;
    bool forward;
    bool stale_reads;
    char api_cert[CONFIG_TEXT]; /* empty: plain */
    char api_key[CONFIG_TEXT];
    bool allow_plain;
    char credentials[CONFIG_TEXT];
    char root_key[CONFIG_TEXT];
    char peer_listen[CONFIG_TEXT];
    char peer_ca[CONFIG_TEXT];
    char peer_cert[CONFIG_TEXT];
    char peer_key[CONFIG_TEXT];
    char peer_address[CONFIG_TEXT]; /* empty: peer_listen */
    char peer_ca_key[CONFIG_TEXT];  /* empty: signs no certificates */
    char raft_listen[CONFIG_TEXT];  /* empty: the region has one node */
    char raft_address[CONFIG_TEXT]; /* empty: raft_listen */
    int64_t election_timeout_ms;
    int64_t log_entries;
    int64_t log_mib;
    int64_t disk_reserve_mib;
    int64_t cache_mib;
    char lambda_endpoint[CONFIG_TEXT];
    int64_t jobs_interval;            /* seconds */
    char metrics_listen[CONFIG_TEXT]; /* empty: none */
    bool metrics_allow_plain;
    bool throttle;
    struct throttle_rates rates;
    struct quotas quotas;

    struct peer
        peers[LIMIT_PEERS]; /* section [peers]: region = host:port,...; without the own region */
    const char *peer_names[LIMIT_PEERS];
    size_t n_peers;
};

/* Returns owned (config_free). */
MUSTCHECK enum errc config_load(const char *path, struct config **ret, struct err *err);
void config_free(struct config *config);
/* The settings with their defaults and sentences, as an example file. */
void config_print_example(FILE *out);

#endif
