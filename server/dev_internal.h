/* The parts of `redoubt dev` (server/dev.h) among each other. One thread. */
#ifndef SERVER_DEV_INTERNAL_H
#define SERVER_DEV_INTERNAL_H

#include "base/errc.h"
#include "base/limits.h"
#include "server/dev.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
    DEV_PATH = 4096,
    DEV_TICK_MS = 50,
    DEV_STOP_MS = 10000,
    DEV_NODE_NAME = LIMIT_REGION_NAME + 8, /* "region/n" */
};

/* What was done to a node on purpose. */
enum dev_fault { DEV_NO_FAULT, DEV_KILLED, DEV_PAUSED };

struct dev_node {
    char name[DEV_NODE_NAME]; /* the region's, where it is the only one */
    char folder[DEV_PATH];
    unsigned port;
    uint64_t id;
    pid_t pid; /* 0: not running */
    enum dev_fault fault;
    uint64_t started_ms;
    uint64_t restart_ms; /* when to start it again; only while not running */
    unsigned delay_ms;
};

struct dev_region {
    char name[LIMIT_REGION_NAME + 1];
    char folder[DEV_PATH];
    unsigned made_with; /* nodes; 0: not made yet */
    struct dev_node nodes[DEV_NODES_MAX];
};

struct dev {
    const struct dev_options *options;
    const char *host;      /* how this machine reaches what binds to `bind` */
    char folder[DEV_PATH]; /* absolute */
    struct dev_region regions[DEV_REGIONS_MAX];
    size_t n_regions;
    size_t n_nodes; /* of each region */
    int signals;    /* readable when it is time to stop */
    int door;       /* listens for faults; -1: not open */
    bool announced;
};

/* dev.c */
uint64_t dev_now_ms(void);
void dev_path(char out[DEV_PATH], const char *folder, const char *name);
bool dev_path_exists(const char *path);
/* Writes a file of mode 0600 whole or not at all. `region` and `node` may be NULL. */
typedef void dev_print_fn(FILE *out, const struct dev *dev, const struct dev_region *region,
                          const struct dev_node *node);
MUSTCHECK enum errc dev_write_file(const char *path, dev_print_fn *print, const struct dev *dev,
                                   const struct dev_region *region, const struct dev_node *node,
                                   struct err *err);
/* Waits a tick, or until somebody knocks at the door. False when it is time to stop. */
bool dev_wait(const struct dev *dev);

/* dev_layout.c: names, folders and ports from the options; then the files. */
MUSTCHECK enum errc dev_layout_open(struct dev *dev, const struct dev_options *options,
                                    struct err *err);
MUSTCHECK enum errc dev_layout_prepare(struct dev *dev, struct err *err);

/* dev_group.c: how many nodes a region was made with, and its beginning. */
MUSTCHECK enum errc dev_group_read(struct dev_region *region, struct err *err);
MUSTCHECK enum errc dev_group_begin(const struct dev *dev, struct dev_region *region,
                                    struct err *err);

/* dev_supervise.c: the processes. */
void dev_supervise(struct dev *dev);
void dev_start_node(struct dev_node *node);
/* SIGKILL, and waits until it is gone. */
void dev_kill_node(struct dev_node *node);
void dev_stop_all(struct dev *dev);

/* dev_faults.c: the door. */
MUSTCHECK enum errc dev_door_open(struct dev *dev, struct err *err);
/* Answers whoever waits. */
void dev_door_serve(struct dev *dev);
void dev_door_close(struct dev *dev);

#endif
