#include "cluster/member.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define LEARNER ",learner"

enum { PORT_DIGITS = 5, PORT_LAST = 65535 };

static bool port_is_valid(const char *text) {
    size_t len = strspn(text, "0123456789");
    unsigned value = 0;

    if (len == 0 || len > PORT_DIGITS || text[len] != '\0' || text[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    return value <= PORT_LAST;
}

static bool name_is_valid(const char *host) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

    return host[0] != '\0' && host[0] != '-' && host[strspn(host, letters)] == '\0';
}

/* Of a link, the interface's name may follow: "fe80::1%eth0". */
static bool ipv6_is_valid(const char *host) {
    const char *zone = strchr(host, '%');
    size_t len = zone != NULL ? (size_t)(zone - host) : strlen(host);
    char address[INET6_ADDRSTRLEN];
    struct in6_addr ignored;

    if (len >= sizeof(address) || (zone != NULL && !name_is_valid(zone + 1))) {
        return false;
    }
    memcpy(address, host, len);
    address[len] = '\0';
    return inet_pton(AF_INET6, address, &ignored) == 1;
}

bool member_door_split(const char *door, char host[LIMIT_ADDRESS + 1], char port[6]) {
    const char *colon = strrchr(door, ':');
    const char *begin = door;
    const char *end = colon;
    char text[LIMIT_ADDRESS + 1];
    bool is_bracketed = door[0] == '[';

    if (colon == NULL || !port_is_valid(colon + 1)) {
        return false;
    }
    if (is_bracketed) {
        begin++;
        if (end - begin < 1 || end[-1] != ']') {
            return false;
        }
        end--;
    }
    if (end - begin > LIMIT_ADDRESS) {
        return false;
    }
    memcpy(text, begin, (size_t)(end - begin));
    text[end - begin] = '\0';
    if (is_bracketed ? !ipv6_is_valid(text) : !name_is_valid(text)) {
        return false;
    }
    memcpy(host, text, (size_t)(end - begin) + 1);
    (void)snprintf(port, PORT_DIGITS + 1, "%s", colon + 1);
    return true;
}

static bool door_is_valid(const char *door) {
    char host[LIMIT_ADDRESS + 1], port[PORT_DIGITS + 1];

    return member_door_split(door, host, port);
}

enum errc member_address_parse(const char *text, struct member_address *ret) {
    struct member_address address = {.is_learner = false};
    size_t len = strnlen(text, LIMIT_ADDRESS + 1);
    const char *comma = strchr(text, ',');
    const char *peer = comma != NULL ? comma + 1 : NULL;
    size_t peer_len;

    if (len > LIMIT_ADDRESS || comma == NULL) {
        return ERR_MALFORMED;
    }
    peer_len = strlen(peer);
    if (peer_len > strlen(LEARNER) && strcmp(peer + peer_len - strlen(LEARNER), LEARNER) == 0) {
        address.is_learner = true;
        peer_len -= strlen(LEARNER);
    }
    memcpy(address.raft, text, (size_t)(comma - text));
    memcpy(address.peer, peer, peer_len);
    if (!door_is_valid(address.raft) || !door_is_valid(address.peer)) {
        return ERR_MALFORMED;
    }
    *ret = address;
    return OK;
}

enum errc member_address_format(const struct member_address *address, char out[LIMIT_ADDRESS + 1]) {
    char text[2 * LIMIT_ADDRESS + 16];
    int len = snprintf(text, sizeof(text), "%s,%s%s", address->raft, address->peer,
                       address->is_learner ? LEARNER : "");

    if (len < 0 || len > LIMIT_ADDRESS || !door_is_valid(address->raft) ||
        !door_is_valid(address->peer)) {
        return ERR_INVALID_PARAMETER;
    }
    memcpy(out, text, (size_t)len + 1);
    return OK;
}
