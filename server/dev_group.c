/* The beginning of a region of `redoubt dev`: every store gets the same first entry, which names
 * all nodes, and then the region's folder gets `nodes`, which says that this is done. Before that
 * no process ran on the stores; after it none is made anew, since a voter that comes back empty
 * could vote away what it had acknowledged. */
#include "server/dev_internal.h"

#include "base/crashpoint.h"
#include "base/world.h"
#include "cluster/bootstrap.h"
#include "cluster/member.h"
#include "storage/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool count_is_possible(unsigned nodes) {
    return nodes % 2 == 1 && nodes <= DEV_NODES_MAX;
}

enum errc dev_group_read(struct dev_region *region, struct err *err) {
    char path[DEV_PATH], text[8] = "";
    FILE *file;

    region->made_with = 0;
    dev_path(path, region->folder, "nodes");
    file = fopen(path, "re");
    if (file == NULL && errno == ENOENT) {
        /* A release that knew one node a region has left no record of it. */
        dev_path(path, region->folder, "data/node-id");
        region->made_with = dev_path_exists(path) ? 1 : 0;
        return OK;
    }
    if (file == NULL) {
        return err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    if (fgets(text, sizeof(text), file) != NULL) {
        region->made_with = (unsigned)strtoul(text, NULL, 10);
    }
    (void)fclose(file);
    return count_is_possible(region->made_with)
               ? OK
               : err_set(err, ERR_CORRUPT, "%s does not hold a number of nodes", path);
}

static void print_count(FILE *out, const struct dev *dev, const struct dev_region *region,
                        const struct dev_node *node) {
    (void)fprintf(out, "%zu\n", dev->n_nodes);
}

static enum errc begin_store(const struct dev *dev, const struct dev_node *node,
                             const struct core_server *voters, struct err *err) {
    char path[DEV_PATH];
    const struct engine_options options = {.path = path};
    struct engine *engine = NULL;
    bool has_beginning = false;
    enum errc code;

    dev_path(path, node->folder, "data/store");
    code = engine_open(&options, &engine, err);
    if (code == OK) {
        code = node_has_beginning(engine, &has_beginning, err);
    }
    if (code == OK && (!has_beginning || dev->n_nodes > 1)) {
        code = node_bootstrap(engine, voters, dev->n_nodes, err);
    }
    if (code == ERR_INVALID_PARAMETER && has_beginning) {
        /* Its first entry names other addresses than the ones that we would write now. */
        code = err_set(err, code,
                       "the making of this region was interrupted: remove the folder and start "
                       "again; nothing was stored in it yet");
    }
    engine_close(engine);
    return code;
}

enum errc dev_group_begin(const struct dev *dev, struct dev_region *region, struct err *err) {
    char addresses[DEV_NODES_MAX][LIMIT_ADDRESS + 1];
    struct core_server voters[DEV_NODES_MAX];
    char path[DEV_PATH];
    enum errc code = OK;

    dev_path(path, region->folder, "nodes");
    if (dev_path_exists(path)) {
        return OK;
    }
    for (size_t i = 0; code == OK && i < dev->n_nodes; i++) {
        const struct dev_node *node = &region->nodes[i];
        struct member_address address = {.is_learner = false};
        (void)snprintf(address.raft, sizeof(address.raft), "%s:%u", dev->host,
                       node->port + DEV_RAFT_OFFSET);
        (void)snprintf(address.peer, sizeof(address.peer), "%s:%u", dev->host,
                       node->port + DEV_PEER_OFFSET);
        code = member_address_format(&address, addresses[i]);
        voters[i] = (struct core_server){.id = node->id, .address = addresses[i]};
    }
    if (code != OK) {
        return err_set(err, code, "--bind %s: this is no address for nodes", dev->host);
    }
    for (size_t i = 0; code == OK && i < dev->n_nodes; i++) {
        code = begin_store(dev, &region->nodes[i], voters, err);
        CRASHPOINT(DEV_STORE_BEGUN);
    }
    if (code != OK) {
        char why[ERR_MESSAGE_MAX];
        (void)snprintf(why, sizeof(why), "%s", err->message);
        return err_set(err, code, "%s: %s", region->folder, why);
    }
    CRASHPOINT(DEV_GROUP_BEGUN);
    code = dev_write_file(path, print_count, dev, region, NULL, err);
    region->made_with = code == OK ? (unsigned)dev->n_nodes : 0;
    return code;
}
