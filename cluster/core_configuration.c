#include "cluster/core_configuration.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "base/wipe.h"

#include <string.h>

/* libraft's layout, format 1: u8 format, u64 count, then for each server u64 id, the address with
 * its NUL, u8 role; zeros up to a multiple of 8. */
enum { FORMAT = 1, HEADER = 9, WORD = 8 };

struct server_view {
    uint64_t id;
    const char *address; /* NUL-terminated, inside the bytes */
    uint8_t role;
};

static bool server_next(struct core_bytes bytes, size_t *offset, struct server_view *ret) {
    if (bytes.len - *offset < 8) {
        return false;
    }
    const uint8_t *address = bytes.data + *offset + 8;
    size_t left = bytes.len - *offset - 8;
    const uint8_t *end = memchr(address, '\0', left);
    if (end == NULL || (size_t)(end - address) + 1 >= left) {
        return false; /* no end, or no role behind it */
    }
    ret->id = get_le64(bytes.data + *offset);
    ret->address = (const char *)address;
    ret->role = end[1];
    *offset = (size_t)(end + 2 - bytes.data);
    return true;
}

static bool server_is_valid(const struct server_view *server) {
    return server->id != 0 && core_address_is_valid(server->address) &&
           (server->role == RAFT_STANDBY || server->role == RAFT_VOTER ||
            server->role == RAFT_SPARE);
}

bool core_address_is_valid(const char *address) {
    return address != NULL && address[0] != '\0' && strlen(address) <= LIMIT_ADDRESS;
}

bool core_configuration_is_valid(struct core_bytes bytes) {
    if (bytes.len < HEADER || bytes.len % WORD != 0 || bytes.data[0] != FORMAT) {
        return false;
    }
    uint64_t n = get_le64(bytes.data + 1);
    if (n == 0 || n > LIMIT_PEERS) {
        return false;
    }
    struct server_view servers[LIMIT_PEERS];
    size_t offset = HEADER;
    unsigned voters = 0;
    for (size_t i = 0; i < n; i++) {
        if (!server_next(bytes, &offset, &servers[i]) || !server_is_valid(&servers[i])) {
            return false;
        }
        voters += servers[i].role == RAFT_VOTER;
        for (size_t j = 0; j < i; j++) {
            if (servers[j].id == servers[i].id ||
                strcmp(servers[j].address, servers[i].address) == 0) {
                return false;
            }
        }
    }
    if (bytes.len - offset >= WORD) {
        return false;
    }
    for (; offset < bytes.len; offset++) {
        if (bytes.data[offset] != 0) {
            return false;
        }
    }
    return voters > 0;
}

enum errc core_configuration_decode(struct core_bytes bytes, struct raft_configuration *ret) {
    if (!core_configuration_is_valid(bytes)) {
        return ERR_MALFORMED;
    }
    /* The decoder only reads; its argument is not const for historical reasons. */
    struct raft_buffer buffer = {.base = (void *)(uintptr_t)bytes.data, .len = bytes.len};
    struct raft_configuration configuration;
    if (raft_configuration_decode(&buffer, &configuration) != 0) {
        return ERR_NO_MEMORY; /* all else was checked */
    }
    *ret = configuration;
    return OK;
}

enum errc core_configuration_to_buffer(const struct raft_configuration *configuration,
                                       struct raft_buffer *ret) {
    struct raft_buffer buffer;
    if (raft_configuration_encode(configuration, &buffer) != 0) {
        return ERR_NO_MEMORY;
    }
    *ret = buffer;
    return OK;
}

enum errc core_configuration_encode(const struct core_server *voters, size_t n, uint8_t **ret,
                                    size_t *ret_len) {
    if (n == 0 || n > LIMIT_PEERS) {
        return ERR_INVALID_PARAMETER;
    }
    struct raft_configuration configuration;
    struct raft_buffer buffer = {0};
    raft_configuration_init(&configuration);
    enum errc rc = OK;
    for (size_t i = 0; i < n && rc == OK; i++) {
        if (voters[i].id == 0 || !core_address_is_valid(voters[i].address)) {
            rc = ERR_INVALID_PARAMETER;
            break;
        }
        int rv =
            raft_configuration_add(&configuration, voters[i].id, voters[i].address, RAFT_VOTER);
        if (rv != 0) {
            rc = rv == RAFT_NOMEM ? ERR_NO_MEMORY : ERR_INVALID_PARAMETER;
        }
    }
    if (rc == OK) {
        rc = core_configuration_to_buffer(&configuration, &buffer);
    }
    raft_configuration_close(&configuration);
    if (rc != OK) {
        return rc;
    }
    uint8_t *copy = wipe_malloc(buffer.len);
    if (copy == NULL) {
        raft_free(buffer.base);
        return ERR_NO_MEMORY;
    }
    memcpy(copy, buffer.base, buffer.len);
    *ret = copy;
    *ret_len = buffer.len;
    raft_free(buffer.base);
    return OK;
}

const struct raft_server *core_configuration_find(const struct raft_configuration *configuration,
                                                  uint64_t id) {
    for (unsigned i = 0; i < configuration->n; i++) {
        if (configuration->servers[i].id == id) {
            return &configuration->servers[i];
        }
    }
    return NULL;
}

unsigned core_configuration_voters(const struct raft_configuration *configuration) {
    unsigned voters = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        voters += configuration->servers[i].role == RAFT_VOTER;
    }
    return voters;
}

bool core_configuration_is_lone_voter(const struct raft_configuration *configuration, uint64_t id) {
    const struct raft_server *server = core_configuration_find(configuration, id);
    return server != NULL && server->role == RAFT_VOTER &&
           core_configuration_voters(configuration) == 1;
}
