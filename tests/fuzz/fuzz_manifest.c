/* A manifest of a checkpoint, or a request for a piece of one, from another node. Which of the two,
 * the first byte says; for a manifest the checksum is made right, else nothing would get past it.
 * What is read is written back as the same bytes, and names no place outside its folder. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name) {
    CHECK(name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL);
}

static void fuzz_manifest(uint8_t *data, size_t size) {
    struct checkpoint_manifest *manifest = NULL;
    struct buf again;

    if (size >= 12) {
        put_le32(data + 8, crc32c(crc32c(0, data, 8), data + 12, size - 12));
    }
    if (checkpoint_manifest_decode(data, size, &manifest) != OK) {
        return;
    }
    for (size_t i = 0; i < manifest->n_files; i++) {
        check_name(manifest->files[i].name);
    }
    buf_init(&again, LIMIT_MANIFEST);
    CHECK(checkpoint_manifest_encode(manifest, &again) == OK);
    /* But for the three bytes that have no meaning yet, and so the checksum. */
    CHECK(again.len == size && memcmp(again.data + 12, data + 12, size - 12) == 0);
    buf_fini(&again);
    checkpoint_manifest_free(manifest);
}

static void fuzz_request(const uint8_t *data, size_t size) {
    struct checkpoint_request request;
    struct buf again;

    if (checkpoint_request_decode(data, size, &request) != OK) {
        return;
    }
    check_name(request.file);
    buf_init(&again, 1024);
    checkpoint_request_encode(&request, &again);
    CHECK(again.len == size && memcmp(again.data, data, size) == 0);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy;

    if (size < 1) {
        return 0;
    }
    copy = malloc(size);
    CHECK(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    if (data[0] % 2 == 0) {
        fuzz_manifest(copy, size - 1);
    } else {
        fuzz_request(copy, size - 1);
    }
    free(copy);
    return 0;
}
