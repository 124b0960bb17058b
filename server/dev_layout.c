/* The folders, files and ports of `redoubt dev`. */
#include "server/dev_internal.h"

#include "base/crashpoint.h"
#include "base/world.h"
#include "crypto/credentials.h"
#include "crypto/keyring.h"
#include "crypto/tls.h"
#include "model/secret_id.h"
#include "server/node_identity.h"
#include "server/place.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEV_PORT_STEP = 10 };

/* ---- names, folders, ports ---- */

/* Keys are put below it: who else may write there could put other ones in their place. */
static enum errc check_folder(const char *path, struct err *err) {
    struct stat st;

    if (stat(path, &st) != 0) {
        return err_set(err, ERR_IO, "cannot look at %s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        return err_set(err, ERR_IO, "%s is not a folder", path);
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 || (st.st_uid != geteuid() && st.st_uid != 0)) {
        return err_set(err, ERR_IO, "%s can be written by others: it must be yours, with mode 0700",
                       path);
    }
    return OK;
}

static enum errc resolve_folder(struct dev *dev, struct err *err) {
    enum errc code = place_make_folder(dev->options->data, err);

    if (code == OK) {
        code = check_folder(dev->options->data, err);
    }
    if (code == OK && realpath(dev->options->data, dev->folder) == NULL) {
        code = err_set(err, ERR_IO, "cannot resolve %s: %s", dev->options->data, strerror(errno));
    }
    return code;
}

static enum errc add_region(struct dev *dev, const char *name, size_t len, struct err *err) {
    struct dev_region *region = &dev->regions[dev->n_regions];

    if (dev->n_regions == DEV_REGIONS_MAX) {
        return err_set(err, ERR_INVALID_PARAMETER, "--regions: at most %d", DEV_REGIONS_MAX);
    }
    if (len >= sizeof(region->name)) {
        return err_set(err, ERR_INVALID_PARAMETER, "--regions: a name is too long");
    }
    memcpy(region->name, name, len);
    if (!region_name_is_valid(region->name)) {
        return err_set(err, ERR_INVALID_PARAMETER,
                       "--regions: '%s' is no region name such as us-east-1", region->name);
    }
    for (size_t i = 0; i < dev->n_regions; i++) {
        if (strcmp(dev->regions[i].name, region->name) == 0) {
            return err_set(err, ERR_INVALID_PARAMETER, "--regions: '%s' is given twice",
                           region->name);
        }
    }
    dev_path(region->folder, dev->folder, region->name);
    dev->n_regions++;
    return dev_group_read(region, err);
}

static enum errc read_regions(struct dev *dev, struct err *err) {
    const char *at = dev->options->regions;

    while (*at != '\0') {
        size_t len = strcspn(at, ",");
        enum errc code = add_region(dev, at, len, err);
        if (code != OK) {
            return code;
        }
        at += at[len] == ',' ? len + 1 : len;
    }
    return dev->n_regions > 0 ? OK : err_set(err, ERR_INVALID_PARAMETER, "--regions is empty");
}

/* All regions have the same number of nodes, and one that is there keeps its own. */
static enum errc settle_nodes(struct dev *dev, struct err *err) {
    dev->n_nodes = dev->options->nodes;
    for (size_t i = 0; dev->n_nodes == 0 && i < dev->n_regions; i++) {
        dev->n_nodes = dev->regions[i].made_with;
    }
    if (dev->n_nodes == 0) {
        dev->n_nodes = 1;
    }
    for (size_t i = 0; i < dev->n_regions; i++) {
        const struct dev_region *region = &dev->regions[i];
        if (region->made_with != 0 && region->made_with != dev->n_nodes) {
            return err_set(
                err, ERR_INVALID_PARAMETER,
                "%s was made with %u node%s, not %zu: give --nodes %u, or another --data",
                region->folder, region->made_with, region->made_with == 1 ? "" : "s", dev->n_nodes,
                region->made_with);
        }
    }
    return OK;
}

static void lay_out(struct dev *dev) {
    for (size_t i = 0; i < dev->n_regions; i++) {
        struct dev_region *region = &dev->regions[i];
        for (size_t j = 0; j < dev->n_nodes; j++) {
            struct dev_node *node = &region->nodes[j];
            char number[24];
            (void)snprintf(number, sizeof(number), "%zu", j);
            if (dev->n_nodes == 1) {
                (void)snprintf(node->name, sizeof(node->name), "%s", region->name);
                memcpy(node->folder, region->folder, sizeof(node->folder));
            } else {
                (void)snprintf(node->name, sizeof(node->name), "%s/%s", region->name, number);
                dev_path(node->folder, region->folder, number);
            }
            node->port = dev->options->port + DEV_PORT_STEP * (unsigned)i + (unsigned)j;
            node->delay_ms = DEV_RESTART_MS;
        }
    }
}

enum errc dev_layout_open(struct dev *dev, const struct dev_options *options, struct err *err) {
    enum errc code;

    dev->options = options;
    dev->host = place_is_loopback(options->bind) ? options->bind
                : options->bind[0] == '['        ? "[::1]"
                                                 : "127.0.0.1";
    code = resolve_folder(dev, err);
    if (code == OK) {
        code = read_regions(dev, err);
    }
    if (code == OK) {
        code = settle_nodes(dev, err);
    }
    if (code == OK) {
        lay_out(dev);
    }
    return code;
}

/* ---- files ---- */

static enum errc rename_file(const char *from, const char *to, struct err *err) {
    return rename(from, to) == 0 ? OK
                                 : err_set(err, ERR_IO, "cannot write %s: %s", to, strerror(errno));
}

/* The certificate last: as long as it is not there, nothing was signed, and this is done again. */
static enum errc make_authority(const struct dev *dev, const char *cert, struct err *err) {
    char key[DEV_PATH], new_cert[DEV_PATH], new_key[DEV_PATH];
    enum errc code;

    dev_path(key, dev->folder, "ca.key");
    dev_path(new_cert, dev->folder, "ca.crt.new");
    dev_path(new_key, dev->folder, "ca.key.new");
    (void)unlink(new_cert);
    (void)unlink(new_key);
    code = tls_ca_create(new_cert, new_key, err);
    if (code == OK) {
        code = rename_file(new_key, key, err);
    }
    if (code == OK) {
        CRASHPOINT(DEV_AUTHORITY);
        code = rename_file(new_cert, cert, err);
    }
    return code;
}

static enum errc make_shared_files(const struct dev *dev, struct err *err) {
    char cert[DEV_PATH], credentials[DEV_PATH];
    enum errc code = OK;

    dev_path(cert, dev->folder, "ca.crt");
    dev_path(credentials, dev->folder, "credentials");
    if (!dev_path_exists(cert)) {
        code = make_authority(dev, cert, err);
    }
    if (code == OK && !dev_path_exists(credentials)) {
        code = credentials_create(credentials, dev->options->account, world_system(), err);
    }
    return code;
}

static enum errc make_root_key(const struct dev_region *region, struct err *err) {
    char root[DEV_PATH];
    enum errc code = place_make_folder(region->folder, err);

    dev_path(root, region->folder, "root.key");
    return code == OK && !dev_path_exists(root) ? keyring_root_create(root, world_system(), err)
                                                : code;
}

/* Of this region and node: one that a former release made names no node. */
static enum errc certificate_fits(const char *cert, const struct dev_region *region,
                                  const struct dev_node *node, bool *ret, struct err *err) {
    struct tls_name name;
    enum errc code;

    *ret = false;
    if (!dev_path_exists(cert)) {
        return OK;
    }
    code = tls_cert_name(cert, &name, err);
    if (code == OK) {
        *ret = strcmp(name.region, region->name) == 0 && name.node == node->id;
    }
    return code;
}

/* The certificate last: as long as the old one is there, this is done again. */
static enum errc make_certificate(const struct dev *dev, const struct dev_region *region,
                                  const struct dev_node *node, struct err *err) {
    char ca_cert[DEV_PATH], ca_key[DEV_PATH], cert[DEV_PATH], key[DEV_PATH];
    char new_cert[DEV_PATH], new_key[DEV_PATH];
    bool fits;
    enum errc code;

    dev_path(ca_cert, dev->folder, "ca.crt");
    dev_path(ca_key, dev->folder, "ca.key");
    dev_path(cert, node->folder, "node.crt");
    dev_path(key, node->folder, "node.key");
    dev_path(new_cert, node->folder, "node.crt.new");
    dev_path(new_key, node->folder, "node.key.new");
    code = certificate_fits(cert, region, node, &fits, err);
    if (code != OK || fits) {
        return code;
    }
    (void)unlink(new_cert);
    (void)unlink(new_key);
    code = tls_cert_create(ca_cert, ca_key, region->name, node->id, new_cert, new_key, err);
    if (code == OK) {
        code = rename_file(new_key, key, err);
    }
    if (code == OK) {
        CRASHPOINT(DEV_NODE_KEY);
        code = rename_file(new_cert, cert, err);
    }
    return code;
}

static int64_t rate_of(int64_t rate, unsigned percent) {
    int64_t part = rate * percent / 100;

    return part < 1 ? 1 : part > LIMIT_THROTTLE_RATE ? LIMIT_THROTTLE_RATE : part;
}

static void print_throttle(FILE *out, unsigned percent) {
    (void)fprintf(out, "[throttle]\nenabled = true\n");
#define X(group, rate, ...)                                                                        \
    (void)fprintf(out, "%s = %" PRId64 "\n", #group, rate_of((rate), percent));
#include "api/throttle.def"
#undef X
    (void)fprintf(out, "\n");
}

static void print_peers(FILE *out, const struct dev *dev) {
    (void)fprintf(out, "[peers]\n");
    for (size_t i = 0; i < dev->n_regions; i++) {
        (void)fprintf(out, "%s = ", dev->regions[i].name);
        for (size_t j = 0; j < dev->n_nodes; j++) {
            (void)fprintf(out, "%s%s:%u", j == 0 ? "" : ",", dev->host,
                          dev->regions[i].nodes[j].port + DEV_PEER_OFFSET);
        }
        (void)fprintf(out, "\n");
    }
}

/* Paths are relative to the file, so that the data folder can be moved. */
static void print_config(FILE *out, const struct dev *dev, const struct dev_region *region,
                         const struct dev_node *node) {
    const char *up = dev->n_nodes == 1 ? "" : "../"; /* to the region's folder */
    const char *bind = dev->options->bind;

    (void)fprintf(out,
                  "; Written by `redoubt dev` at every start.\n"
                  "[node]\nregion = %s\ndata = data\nlog_level = warn\n\n",
                  region->name);
    (void)fprintf(out, "[api]\nlisten = %s:%u\nworkers = 2\ncredentials = %s../credentials\n%s\n",
                  bind, node->port, up, place_is_loopback(bind) ? "" : "allow_plain = true\n");
    (void)fprintf(out, "[keys]\nroot_key = %sroot.key\n\n", up);
    (void)fprintf(out,
                  "[peer]\nlisten = %s:%u\naddress = %s:%u\nca = %s../ca.crt\nca_key = "
                  "%s../ca.key\ncert = node.crt\nkey = node.key\n\n",
                  bind, node->port + DEV_PEER_OFFSET, dev->host, node->port + DEV_PEER_OFFSET, up,
                  up);
    (void)fprintf(out, "[raft]\nlisten = %s:%u\naddress = %s:%u\n\n", bind,
                  node->port + DEV_RAFT_OFFSET, dev->host, node->port + DEV_RAFT_OFFSET);
    /* Metrics stay on this machine, whatever the rest is bound to. */
    (void)fprintf(out, "[metrics]\nlisten = %s:%u\n\n", dev->host, node->port + DEV_METRICS_OFFSET);
    if (dev->options->lambda_endpoint != NULL) {
        (void)fprintf(out, "[rotation]\nlambda_endpoint = %s\n\n", dev->options->lambda_endpoint);
    }
    if (dev->options->throttle_percent > 0) {
        print_throttle(out, dev->options->throttle_percent);
    }
    print_peers(out, dev);
}

static enum errc prepare_node(const struct dev *dev, const struct dev_region *region,
                              struct dev_node *node, struct err *err) {
    char data[DEV_PATH], config[DEV_PATH];
    enum errc code = place_make_folder(node->folder, err);

    dev_path(data, node->folder, "data");
    dev_path(config, node->folder, "redoubt.conf");
    if (code == OK) {
        code = place_make_folder(data, err);
    }
    if (code == OK) {
        code = node_identity_load(data, &node->id, err);
    }
    if (code == OK) {
        code = make_certificate(dev, region, node, err);
    }
    if (code == OK) {
        code = dev_write_file(config, print_config, dev, region, node, err);
    }
    return code;
}

enum errc dev_layout_prepare(struct dev *dev, struct err *err) {
    enum errc code = make_shared_files(dev, err);

    for (size_t i = 0; code == OK && i < dev->n_regions; i++) {
        struct dev_region *region = &dev->regions[i];
        code = make_root_key(region, err);
        for (size_t j = 0; code == OK && j < dev->n_nodes; j++) {
            code = prepare_node(dev, region, &region->nodes[j], err);
        }
        if (code == OK) {
            code = dev_group_begin(dev, region, err);
        }
    }
    return code;
}
