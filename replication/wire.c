#include "replication/wire.h"

#include "base/wipe.h"

/* What an allocation costs besides its bytes, so that many empty ones count too. */
enum { ALLOCATION_COST = 16 };

static void *wire_memory_alloc(void *data, size_t size) {
    struct wire_memory *memory = data;

    if (memory->left < ALLOCATION_COST || size > memory->left - ALLOCATION_COST) {
        return NULL;
    }
    memory->left -= size + ALLOCATION_COST;
    return wipe_malloc(size);
}

static void wire_memory_free(void *data, void *ptr) {
    (void)data;
    wipe_free(ptr);
}

void wire_memory_init(struct wire_memory *memory, size_t budget) {
    memory->allocator = (ProtobufCAllocator){
        .alloc = wire_memory_alloc, .free = wire_memory_free, .allocator_data = memory};
    memory->left = budget;
}

enum errc wire_read_batch(struct wire_memory *memory, const uint8_t *data, size_t len,
                          Redoubt__WireBatch **ret) {
    Redoubt__WireBatch *batch = redoubt__wire_batch__unpack(&memory->allocator, len, data);

    if (batch == NULL) {
        return ERR_MALFORMED;
    }
    *ret = batch;
    return OK;
}

enum errc wire_read_verdicts(struct wire_memory *memory, const uint8_t *data, size_t len,
                             Redoubt__WireVerdicts **ret) {
    Redoubt__WireVerdicts *verdicts = redoubt__wire_verdicts__unpack(&memory->allocator, len, data);

    if (verdicts == NULL) {
        return ERR_MALFORMED;
    }
    *ret = verdicts;
    return OK;
}
