#include "cluster/peer_route.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "host:port" or "[v6]:port". */
static bool split_address(const char *address, size_t *ret_host_len, unsigned *ret_port) {
    const char *colon = strrchr(address, ':');
    char *end;
    unsigned long port;

    if (colon == NULL || colon == address || colon[1] < '0' || colon[1] > '9' ||
        strlen(address) > LIMIT_ADDRESS) {
        return false;
    }
    port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port == 0 || port > 65535) {
        return false;
    }
    /* A bare IPv6 address would be cut at the wrong colon. */
    if (address[0] == '[' ? colon[-1] != ']' : strchr(address, ':') != colon) {
        return false;
    }
    *ret_host_len = (size_t)(colon - address);
    *ret_port = (unsigned)port;
    return true;
}

/* The address was looked at when it came. */
static void fill_door(const char *address, struct route *ret) {
    size_t host_len = 0;

    CHECK(split_address(address, &host_len, &ret->port));
    (void)snprintf(ret->host, sizeof(ret->host), "%.*s", (int)host_len, address);
}

enum errc routes_init(struct routes *routes, const char *own_region, struct err *err) {
    if (pthread_mutex_init(&routes->lock, NULL) != 0) {
        return err_default(err, ERR_NO_MEMORY);
    }
    if (own_region != NULL) {
        (void)snprintf(routes->own_region, sizeof(routes->own_region), "%s", own_region);
    }
    return OK;
}

void routes_fini(struct routes *routes) {
    for (size_t i = 0; i < routes->n_regions; i++) {
        struct route_region *region = &routes->regions[i];
        for (size_t k = 0; k < region->n; k++) {
            free(region->addresses[k]);
        }
        free(region->addresses);
    }
    (void)pthread_mutex_destroy(&routes->lock);
}

static enum errc add_address(struct route_region *region, const char *address, size_t len,
                             struct err *err) {
    size_t host_len;
    unsigned port;
    char **more;

    if (region->n == LIMIT_PEERS) {
        return err_set(err, ERR_LIMIT_EXCEEDED, "more than %d addresses of %s", LIMIT_PEERS,
                       region->name);
    }
    more = reallocarray(region->addresses, region->n + 1, sizeof(*more));
    if (more == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    region->addresses = more;
    region->addresses[region->n] = strndup(address, len);
    if (region->addresses[region->n] == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    if (!split_address(region->addresses[region->n++], &host_len, &port)) {
        return err_set(err, ERR_INVALID_PARAMETER, "address of %s is not host:port: %.*s",
                       region->name, (int)len, address);
    }
    return OK;
}

/* n_regions: unknown. */
static size_t place_of(const struct routes *routes, const char *region) {
    size_t place = 0;

    while (place < routes->n_regions && strcmp(routes->regions[place].name, region) != 0) {
        place++;
    }
    return place;
}

bool routes_know(const struct routes *routes, const char *region) {
    return place_of(routes, region) < routes->n_regions;
}

struct route_region *routes_find_region(struct routes *routes, const char *region) {
    size_t place = place_of(routes, region);

    return place < routes->n_regions ? &routes->regions[place] : NULL;
}

enum errc routes_add_region(struct routes *routes, const char *region, const char *addresses,
                            struct err *err) {
    struct route_region *entry = &routes->regions[routes->n_regions];
    enum errc code = OK;

    if (routes->n_regions == LIMIT_PEERS) {
        return err_set(err, ERR_LIMIT_EXCEEDED, "more than %d peer regions", LIMIT_PEERS);
    }
    if (strlen(region) > LIMIT_REGION_NAME || routes_know(routes, region)) {
        return err_set(err, ERR_INVALID_PARAMETER, "peer region %s is given twice or too long",
                       region);
    }
    (void)snprintf(entry->name, sizeof(entry->name), "%s", region);
    routes->n_regions++; /* also on failure: routes_fini frees what is there */
    for (;;) {
        size_t len = strcspn(addresses, ",");
        code = add_address(entry, addresses, len, err);
        if (code != OK || addresses[len] == '\0') {
            return code;
        }
        addresses += len + 1;
    }
}

void routes_to_region(const struct route_region *region, size_t place, struct route *ret) {
    (void)snprintf(ret->name, sizeof(ret->name), "%s", region->name);
    fill_door(region->addresses[place % region->n], ret);
}

/* Under the lock. */
static struct route_node *find_node(struct routes *routes, uint64_t node) {
    for (size_t i = 0; i < routes->n_nodes; i++) {
        if (routes->nodes[i].id == node) {
            return &routes->nodes[i];
        }
    }
    return NULL;
}

/* Under the lock. */
static bool put_node(struct routes *routes, uint64_t node, const char *address) {
    struct route_node *entry = find_node(routes, node);

    if (entry == NULL) {
        if (routes->n_nodes == LIMIT_PEERS) {
            return false;
        }
        entry = &routes->nodes[routes->n_nodes++];
    }
    entry->id = node;
    (void)snprintf(entry->address, sizeof(entry->address), "%s", address);
    return true;
}

bool routes_set_node(struct routes *routes, uint64_t node, const char *address) {
    size_t host_len;
    unsigned port;
    bool good = true;

    if (address != NULL && (node == 0 || !split_address(address, &host_len, &port))) {
        return false;
    }
    (void)pthread_mutex_lock(&routes->lock);
    if (address != NULL) {
        good = put_node(routes, node, address);
    } else {
        struct route_node *entry = find_node(routes, node);
        if (entry != NULL) {
            *entry = routes->nodes[--routes->n_nodes];
        }
    }
    (void)pthread_mutex_unlock(&routes->lock);
    return good;
}

bool routes_to_node(struct routes *routes, uint64_t node, struct route *ret) {
    const struct route_node *entry;

    (void)pthread_mutex_lock(&routes->lock);
    entry = find_node(routes, node);
    if (entry != NULL) {
        fill_door(entry->address, ret);
    }
    (void)pthread_mutex_unlock(&routes->lock);
    if (entry == NULL || routes->own_region[0] == '\0') {
        return false;
    }
    (void)snprintf(ret->name, sizeof(ret->name), "%016" PRIx64 ".%s", node, routes->own_region);
    return true;
}
