/* Decoding what travels between regions: into memory that is wiped, and never more of it than a
 * budget.
 *
 * Plaintext values pass through here. Any thread; one struct wire_memory belongs to one message. */
#ifndef REPLICATION_WIRE_H
#define REPLICATION_WIRE_H

#include "base/errc.h"
#include "replication/batch.pb-c.h"

#include <stddef.h>
#include <stdint.h>

/* The level of PROTOCOL.md that this release speaks. */
enum { WIRE_LEVEL = 1 };

#define WIRE_PATH         "/v1/replicate"
#define WIRE_CONTENT_TYPE "application/x-protobuf"

/* A protobuf allocator with a budget. Must not move while a message lives from it. */
struct wire_memory {
    ProtobufCAllocator allocator;
    size_t left; /* bytes that may still be handed out; what is freed does not come back */
};

void wire_memory_init(struct wire_memory *memory, size_t budget);

/* *ret is owned: free it with the generated function and &memory->allocator. ERR_MALFORMED also
 * when the budget does not suffice. Borrows `data`. */
MUSTCHECK enum errc wire_read_batch(struct wire_memory *memory, const uint8_t *data, size_t len,
                                    Redoubt__WireBatch **ret);
MUSTCHECK enum errc wire_read_verdicts(struct wire_memory *memory, const uint8_t *data, size_t len,
                                       Redoubt__WireVerdicts **ret);

#endif
