/* A bucket is one number: the moment at which it is full again. Each request moves it on by the
 * time that its rate takes for one; a bucket that would be full only more than BURST_NS from now is
 * empty. */
#include "api/throttle.h"

#include "base/limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Accounts are spread over the shards, so that the workers do not wait for each other. */
enum { SHARDS = 16, SHARD_ACCOUNTS = LIMIT_THROTTLE_ACCOUNTS / SHARDS };

static const uint64_t NS_PER_MS = 1000000;
static const uint64_t NS_PER_S = 1000000000;
static const uint64_t BURST_NS = 1000000000;

struct account {
    char id[LIMIT_ACCOUNT + 1]; /* "": free */
    uint64_t full_ns[THROTTLE_GROUPS];
};

struct shard {
    pthread_mutex_t lock; /* held for a search over SHARD_ACCOUNTS at most */
    struct account accounts[SHARD_ACCOUNTS];
};

struct throttle {
    uint64_t interval_ns[THROTTLE_GROUPS];
    struct shard shards[SHARDS];
};

const struct throttle_rates throttle_rates_default = {
#define X(group, rate, ...) .group = (rate),
#include "api/throttle.def"
#undef X
};

/* "A, B, C" holds `word`. */
static bool list_has(const char *list, const char *word) {
    size_t len = strlen(word);

    for (const char *at = list; *at != '\0'; at += strspn(at, ", ")) {
        size_t item = strcspn(at, ",");
        if (item == len && memcmp(at, word, len) == 0) {
            return true;
        }
        at += item;
    }
    return false;
}

enum throttle_group throttle_group_of(const char *op_name) {
    static const char *const operations[] = {
#define X(group, rate, ...) #__VA_ARGS__,
#include "api/throttle.def"
#undef X
    };
    size_t group = 0;

    while (group < THROTTLE_GROUPS && !list_has(operations[group], op_name)) {
        group++;
    }
    return (enum throttle_group)group;
}

struct throttle *throttle_new(const struct throttle_rates *rates) {
    const int64_t list[] = {
#define X(group, rate, ...) rates->group,
#include "api/throttle.def"
#undef X
    };
    struct throttle *throttle = calloc(1, sizeof(*throttle));

    if (throttle == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < THROTTLE_GROUPS; i++) {
        CHECK(list[i] >= 1 && list[i] <= LIMIT_THROTTLE_RATE);
        throttle->interval_ns[i] = NS_PER_S / (uint64_t)list[i];
    }
    for (size_t i = 0; i < SHARDS; i++) {
        CHECK(pthread_mutex_init(&throttle->shards[i].lock, NULL) == 0);
    }
    return throttle;
}

void throttle_free(struct throttle *throttle) {
    if (throttle == NULL) {
        return;
    }
    for (size_t i = 0; i < SHARDS; i++) {
        CHECK(pthread_mutex_destroy(&throttle->shards[i].lock) == 0);
    }
    free(throttle);
}

static struct shard *shard_of(struct throttle *throttle, const char *id) {
    uint32_t hash = 2166136261U;

    for (const char *at = id; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * 16777619U;
    }
    return &throttle->shards[(hash ^ hash >> 16) % SHARDS];
}

/* When the last of its buckets is full again: until then there is something to remember. */
static uint64_t account_full_ns(const struct account *account) {
    uint64_t latest = 0;

    for (size_t i = 0; i < THROTTLE_GROUPS; i++) {
        latest = account->full_ns[i] > latest ? account->full_ns[i] : latest;
    }
    return latest;
}

/* The account's buckets; those of a new one are full. Lock held. */
static struct account *shard_account(struct shard *shard, const char *id) {
    struct account *place = &shard->accounts[0];
    uint64_t place_ns = UINT64_MAX;

    for (size_t i = 0; i < SHARD_ACCOUNTS; i++) {
        struct account *account = &shard->accounts[i];
        uint64_t full_ns;
        if (strcmp(account->id, id) == 0) {
            return account;
        }
        full_ns = account->id[0] == '\0' ? 0 : account_full_ns(account);
        if (full_ns < place_ns) {
            place = account;
            place_ns = full_ns;
        }
        if (account->id[0] == '\0') {
            break; /* places are taken from the front and never given back */
        }
    }
    memset(place, 0, sizeof(*place));
    memcpy(place->id, id, strlen(id));
    return place;
}

bool throttle_admits(struct throttle *throttle, const char *account, enum throttle_group group,
                     uint64_t now_ms) {
    struct shard *shard = shard_of(throttle, account);
    uint64_t now_ns = now_ms * NS_PER_MS;
    uint64_t full_ns;
    uint64_t *bucket;
    bool admits;

    CHECK(group < THROTTLE_GROUPS && strlen(account) <= LIMIT_ACCOUNT && account[0] != '\0');
    CHECK(pthread_mutex_lock(&shard->lock) == 0);
    bucket = &shard_account(shard, account)->full_ns[group];
    full_ns = (*bucket > now_ns ? *bucket : now_ns) + throttle->interval_ns[group];
    admits = full_ns <= now_ns + BURST_NS;
    if (admits) {
        *bucket = full_ns;
    }
    CHECK(pthread_mutex_unlock(&shard->lock) == 0);
    return admits;
}
