#include "audit.h"

#include "base/bytes.h"
#include "cluster/envelope.h"
#include "region.h"
#include "storage/view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 1024, LENGTH_AT = 8 };

static void *grow(void *array, size_t *room, size_t need, size_t size) {
    size_t larger = *room == 0 ? (size_t)FIRST_ROOM : *room;
    while (larger < need) {
        larger *= 2;
    }
    uint8_t *grown = reallocarray(array, larger, size);
    CHECK(grown != NULL);
    memset(grown + *room * size, 0, (larger - *room) * size);
    *room = larger;
    return grown;
}

void audit_fini(struct audit *audit) {
    for (size_t i = 0; i < audit->room; i++) {
        for (unsigned k = 0; k < audit->entries[i].n_answers; k++) {
            free(audit->entries[i].answers[k].text);
        }
        free(audit->entries[i].answers);
    }
    free(audit->entries);
    free(audit->leader_of);
    free(audit->commands);
    model_fini(&audit->model);
}

/* ---- what was proposed ---- */

static struct audit_command *find_command(struct audit *audit, uint64_t hash) {
    size_t at = hash % audit->commands_room;
    while (audit->commands[at].hash != 0 && audit->commands[at].hash != hash) {
        at = (at + 1) % audit->commands_room;
    }
    return &audit->commands[at];
}

static void make_room(struct audit *audit) {
    struct audit_command *former = audit->commands;
    size_t former_room = audit->commands_room;

    if (2 * (audit->n_commands + 1) <= former_room) {
        return;
    }
    audit->commands_room = former_room == 0 ? (size_t)FIRST_ROOM : 2 * former_room;
    audit->commands = calloc(audit->commands_room, sizeof(audit->commands[0]));
    CHECK(audit->commands != NULL);
    for (size_t i = 0; i < former_room; i++) {
        if (former[i].hash != 0) {
            *find_command(audit, former[i].hash) = former[i];
        }
    }
    free(former);
}

void audit_proposed(struct audit *audit, const struct deed *deed, const uint8_t *data, size_t len,
                    uint64_t floor) {
    uint64_t hash = hash_bytes(HASH_START, data, len);

    make_room(audit);
    struct audit_command *command = find_command(audit, hash);
    if (command->hash == 0) { /* equal bytes mean equal deeds: the first will do */
        *command = (struct audit_command){.hash = hash, .floor = floor, .deed = *deed};
        audit->n_commands++;
    }
}

void audit_leader(struct region *region, unsigned node, uint64_t term) {
    struct audit *audit = &region->audit;
    if (term >= audit->terms) {
        audit->leader_of =
            grow(audit->leader_of, &audit->terms, term + 1, sizeof(audit->leader_of[0]));
    }
    if (audit->leader_of[term] != 0 && audit->leader_of[term] != node) {
        region_fail("nodes %u and %u both lead in term %" PRIu64, audit->leader_of[term], node,
                    term);
    }
    audit->leader_of[term] = node;
}

/* ---- the log ---- */

/* The model does what the entry says, the first time that anybody applies it. */
static void foresee(struct region *region, uint64_t index, const struct core_entry *entry) {
    struct audit_entry *known = &region->audit.entries[index];
    size_t at = 0;

    while (entry->type == CORE_COMMAND && at < entry->len) {
        char text[MODEL_ANSWER];
        size_t len = ENVELOPE_SIZE + get_le32(entry->data + at + LENGTH_AT);
        CHECK(len <= entry->len - at);
        const struct audit_command *command =
            find_command(&region->audit, hash_bytes(HASH_START, entry->data + at, len));
        if (command->hash == 0) {
            region_fail("a command that nobody proposed is in the log at %" PRIu64, index);
        }
        if (command->floor >= index) {
            region_fail("a command was sent when %" PRIu64
                        " was known to clients and is in the log at %" PRIu64,
                        command->floor, index);
        }
        model_apply(&region->audit.model, &command->deed, index, known->n_answers, text);
        known->answers =
            reallocarray(known->answers, known->n_answers + 1, sizeof(known->answers[0]));
        CHECK(known->answers != NULL);
        struct audit_answer *answer = &known->answers[known->n_answers++];
        *answer = (struct audit_answer){.command = command->hash, .text = strdup(text)};
        CHECK(answer->text != NULL);
        at += len;
    }
}

void audit_apply(struct region *region, unsigned node, uint64_t index,
                 const struct core_entry *entry) {
    struct audit *audit = &region->audit;
    uint32_t type = entry->type;
    uint64_t hash = hash_bytes(HASH_START, &type, sizeof(type));

    hash = hash_bytes(hash, entry->data, entry->len);
    if (index >= audit->room) {
        audit->entries = grow(audit->entries, &audit->room, index + 1, sizeof(audit->entries[0]));
    }
    struct audit_entry *known = &audit->entries[index];
    if (known->term == 0) {
        if (index != audit->last + 1) {
            region_fail("node %u applies %" PRIu64 " and nobody has applied %" PRIu64, node, index,
                        index - 1);
        }
        audit->last = index;
        known->term = entry->term;
        known->hash = hash;
        foresee(region, index, entry);
    }
    if (known->term != entry->term || known->hash != hash) {
        region_fail("node %u applies another entry at %" PRIu64 ": term %" PRIu64
                    ", known %" PRIu64,
                    node, index, entry->term, known->term);
    }
}

static void answer_text(const Redoubt__Result *result, char ret[MODEL_ANSWER]) {
    ret[0] = '\0';
    text_add(ret, MODEL_ANSWER, "%d", result->has_code ? (int)result->code : 0);
    if (result->has_code && result->code != 0) {
        return;
    }
    text_add(ret, MODEL_ANSWER, " %s-%s v=%s", result->name == NULL ? "" : result->name,
             result->suffix == NULL ? "" : result->suffix,
             result->version_id == NULL ? "" : result->version_id);
    for (size_t i = 0; i < result->n_stages; i++) {
        text_add(ret, MODEL_ANSWER, " %s", result->stages[i]);
    }
    text_add(ret, MODEL_ANSWER, " del=%" PRId64,
             result->has_deletion_ms ? result->deletion_ms : -1);
}

void audit_answer(struct region *region, unsigned node, uint64_t index, unsigned place,
                  const Redoubt__Result *result) {
    const struct audit_entry *known = &region->audit.entries[index];
    char text[MODEL_ANSWER];

    answer_text(result, text);
    if (place >= known->n_answers || strcmp(text, known->answers[place].text) != 0) {
        region_fail("node %u answers %" PRIu64 ".%u with\n  %s\nand not with\n  %s", node, index,
                    place, text, place < known->n_answers ? known->answers[place].text : "nothing");
    }
}

void audit_state(struct region *region, unsigned node, uint64_t index, struct engine *engine) {
    struct audit_entry *known = &region->audit.entries[index];
    struct view *view = view_new(engine);
    uint64_t hash = 0;

    CHECK(view != NULL);
    must(view_state_hash(view, &hash), "the hash of a state");
    view_free(view);
    hash = hash == 0 ? 1 : hash;
    if (known->state != 0 && known->state != hash) {
        region_fail("node %u has another state at %" PRIu64 " than others had", node, index);
    }
    known->state = hash;
}

void audit_acknowledged(struct region *region, unsigned node, uint64_t index, unsigned place,
                        uint64_t hash) {
    const struct audit_entry *known = &region->audit.entries[index];

    if (place >= known->n_answers || known->answers[place].command != hash) {
        region_fail("node %u acknowledges %" PRIu64 ".%u, which is another command", node, index,
                    place);
    }
}

/* ---- reads ---- */

static void add_version(char *text, const struct view *view, const Redoubt__Secret *secret,
                        const Redoubt__Version *version) {
    Redoubt__Sealed *sealed = NULL;

    must(view_value(view, DEED_ACCOUNT, secret->name, version->id, &sealed), "a value");
    text_add(text, MODEL_TEXT, "\n  %s cr=%" PRId64 " rev=%" PRIu64 " day=%" PRId64 " %.*s",
             version->id, version->created_ms, version->revision,
             version->has_last_accessed_day ? version->last_accessed_day : -1,
             sealed == NULL ? 1 : (int)sealed->ciphertext.len,
             sealed == NULL ? "?" : (const char *)sealed->ciphertext.data);
    for (size_t k = 0; k < version->n_stages; k++) {
        text_add(text, MODEL_TEXT, " %s", version->stages[k]);
    }
    redoubt__sealed__free_unpacked(sealed, NULL);
}

/* How a secret looks in the state; NULL: it does not exist. Static memory. */
static const char *secret_text(const struct view *view, unsigned name) {
    static char text[MODEL_TEXT];
    Redoubt__Secret *secret = NULL;

    must(view_secret(view, DEED_ACCOUNT, deed_names[name], &secret), "a secret");
    if (secret == NULL) {
        return NULL;
    }
    text[0] = '\0';
    text_add(text, sizeof(text),
             "%s seq=%" PRIx64 " desc=%s pol=%s cr=%" PRId64 " ch=%" PRId64 " del=%" PRId64
             " day=%" PRId64 " rev=%" PRIu64 " were=%d",
             secret->suffix, secret->created_seq,
             secret->description == NULL ? "" : secret->description,
             secret->policy == NULL ? "" : secret->policy, secret->created_ms, secret->changed_ms,
             secret->has_deletion_ms ? secret->deletion_ms : -1,
             secret->has_last_accessed_day ? secret->last_accessed_day : -1, secret->revision,
             secret->has_tags_were_set && secret->tags_were_set);
    for (size_t i = 0; i < secret->n_tags; i++) {
        text_add(text, sizeof(text), " %s=%s", secret->tags[i]->key, secret->tags[i]->value);
    }
    for (size_t i = 0; i < secret->n_versions; i++) {
        add_version(text, view, secret, secret->versions[i]);
    }
    redoubt__secret__free_unpacked(secret, NULL);
    return text;
}

static void read_one(struct region *region, unsigned node, unsigned name, const struct view *view,
                     uint64_t index) {
    const char *is = secret_text(view, name);
    const char *should = model_at(&region->audit.model, name, index);

    if ((is == NULL) != (should == NULL) || (is != NULL && strcmp(is, should) != 0)) {
        region_fail("node %u at %" PRIu64 " has %s as\n%s\nand not as\n%s", node, index,
                    deed_names[name], is == NULL ? "nothing" : is,
                    should == NULL ? "nothing" : should);
    }
}

struct list {
    unsigned n;
    uint64_t seq;
    bool is_disordered;
};

static bool list_one(void *arg, const Redoubt__Secret *secret) {
    struct list *list = arg;

    list->is_disordered = list->is_disordered || secret->created_seq <= list->seq;
    list->seq = secret->created_seq;
    list->n++;
    return true;
}

/* The list of secrets, and their number, come from an index that the state knows nothing of. */
static void read_list(struct region *region, unsigned node, const struct view *view,
                      uint64_t index) {
    struct list list = {0};
    unsigned should = 0;
    uint64_t count = 0;

    must(view_each_secret(view, DEED_ACCOUNT, 0, list_one, &list), "a list");
    must(view_secret_count(view, DEED_ACCOUNT, &count), "a number of secrets");
    for (unsigned name = 0; name < DEED_NAMES; name++) {
        should += model_at(&region->audit.model, name, index) != NULL;
    }
    if (list.n != should || list.is_disordered || count != should) {
        region_fail("node %u at %" PRIu64 " lists %u secrets and counts %" PRIu64 " of %u", node,
                    index, list.n, count, should);
    }
}

uint64_t audit_read(struct region *region, unsigned node, unsigned name, struct engine *engine) {
    struct view *view = view_new(engine);
    uint64_t index = 0;

    CHECK(view != NULL);
    must(view_applied(view, &index), "the applied index");
    if (index > region->audit.last) {
        region_fail("node %u has a state of %" PRIu64 ", which nobody has applied", node, index);
    }
    if (name < DEED_NAMES) {
        read_one(region, node, name, view, index);
    } else {
        for (unsigned i = 0; i < DEED_NAMES; i++) {
            read_one(region, node, i, view, index);
        }
        read_list(region, node, view, index);
    }
    view_free(view);
    return index;
}
