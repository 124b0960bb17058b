/* The bytes of manifests and of requests for pieces of files (FORMAT.md). Pure. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "storage/checkpoint_folder.h"

/* 0 "RDBC"   4 u8 version   5 zero (3)   8 u32 crc32c of 0-7 and all behind   12 id (8)
 * 20 u64 node   28 u64 applied   36 u32 files   40 files
 * file: u8 length, name, u64 size, digest (32) */
enum { MANIFEST_VERSION = 1, MANIFEST_CRC = 8, MANIFEST_BODY = 12, MANIFEST_HEAD = 40 };
enum { ID_BYTES = 8, FILE_FIXED = 1 + 8 + CHECKPOINT_DIGEST };
static const uint8_t manifest_magic[4] = {'R', 'D', 'B', 'C'};

/* 0 u8 version   1 id (8)   9 u64 offset   17 u32 length   21 u8 length of the name   22 name */
enum { REQUEST_VERSION = 1, REQUEST_HEAD = 22 };

void checkpoint_manifest_free(struct checkpoint_manifest *manifest) {
    if (manifest != NULL) {
        free(manifest->files);
        free(manifest);
    }
}

static uint32_t manifest_crc(const uint8_t *data, size_t len) {
    return crc32c(crc32c(0, data, MANIFEST_CRC), data + MANIFEST_BODY, len - MANIFEST_BODY);
}

/* In order of name, so that no two are equal; and their sizes add up. */
static bool files_are_sound(const struct checkpoint_file *files, size_t n) {
    uint64_t total = 0;

    for (size_t i = 0; i < n; i++) {
        if (!checkpoint_file_is_valid(files[i].name, strnlen(files[i].name, CHECKPOINT_FILE)) ||
            (i > 0 && strcmp(files[i - 1].name, files[i].name) >= 0) ||
            files[i].size > INT64_MAX - total) {
            return false;
        }
        total += files[i].size;
    }
    return n > 0 && n <= CHECKPOINT_FILES;
}

static size_t encoded_len(const struct checkpoint_manifest *manifest) {
    size_t len = MANIFEST_HEAD;

    for (size_t i = 0; i < manifest->n_files; i++) {
        len += FILE_FIXED + strlen(manifest->files[i].name);
    }
    return len;
}

enum errc checkpoint_manifest_encode(const struct checkpoint_manifest *manifest, struct buf *out) {
    static const uint8_t zero[8];
    uint8_t id[ID_BYTES];
    size_t start = out->len;

    if (!checkpoint_id_is_valid(manifest->id) ||
        !hex_decode(manifest->id, strlen(manifest->id), id, sizeof(id)) ||
        !files_are_sound(manifest->files, manifest->n_files) ||
        encoded_len(manifest) > LIMIT_MANIFEST) {
        return ERR_INVALID_PARAMETER;
    }
    buf_append(out, manifest_magic, sizeof(manifest_magic));
    buf_append_u8(out, MANIFEST_VERSION);
    buf_append(out, zero, 3 + 4);
    buf_append(out, id, sizeof(id));
    buf_append_le64(out, manifest->node);
    buf_append_le64(out, manifest->applied);
    buf_append_le32(out, (uint32_t)manifest->n_files);
    for (size_t i = 0; i < manifest->n_files; i++) {
        const struct checkpoint_file *file = &manifest->files[i];
        buf_append_u8(out, (uint8_t)strlen(file->name));
        buf_append_str(out, file->name);
        buf_append_le64(out, file->size);
        buf_append(out, file->digest, sizeof(file->digest));
    }
    if (out->failed) {
        return ERR_NO_MEMORY;
    }
    put_le32(out->data + start + MANIFEST_CRC, manifest_crc(out->data + start, out->len - start));
    return OK;
}

/* From `data` on; advances *at. */
static bool file_decode(const uint8_t *data, size_t len, size_t *at, struct checkpoint_file *ret) {
    const uint8_t *from = data + *at;
    size_t left = len - *at;
    size_t name_len = left > 0 ? from[0] : 0;

    if (left < FILE_FIXED + name_len ||
        !checkpoint_file_is_valid((const char *)from + 1, name_len)) {
        return false;
    }
    memcpy(ret->name, from + 1, name_len);
    ret->name[name_len] = '\0';
    ret->size = get_le64(from + 1 + name_len);
    memcpy(ret->digest, from + 1 + name_len + 8, sizeof(ret->digest));
    *at += FILE_FIXED + name_len;
    return true;
}

static enum errc files_decode(const uint8_t *data, size_t len,
                              struct checkpoint_manifest *manifest) {
    size_t n = get_le32(data + 36);
    size_t at = MANIFEST_HEAD;

    /* The bytes bound the memory: no count alone does. */
    if (n == 0 || n > CHECKPOINT_FILES || n > (len - MANIFEST_HEAD) / FILE_FIXED) {
        return ERR_MALFORMED;
    }
    manifest->files = calloc(n, sizeof(*manifest->files));
    if (manifest->files == NULL) {
        return ERR_NO_MEMORY;
    }
    for (; manifest->n_files < n; manifest->n_files++) {
        if (!file_decode(data, len, &at, &manifest->files[manifest->n_files])) {
            return ERR_MALFORMED;
        }
    }
    return at == len && files_are_sound(manifest->files, n) ? OK : ERR_MALFORMED;
}

enum errc checkpoint_manifest_decode(const uint8_t *data, size_t len,
                                     struct checkpoint_manifest **ret) {
    struct checkpoint_manifest *manifest;
    enum errc code;

    if (len < MANIFEST_HEAD || len > LIMIT_MANIFEST ||
        memcmp(data, manifest_magic, sizeof(manifest_magic)) != 0 ||
        get_le32(data + MANIFEST_CRC) != manifest_crc(data, len) || data[4] != MANIFEST_VERSION) {
        return ERR_MALFORMED;
    }
    manifest = calloc(1, sizeof(*manifest));
    if (manifest == NULL) {
        return ERR_NO_MEMORY;
    }
    hex_encode(data + MANIFEST_BODY, ID_BYTES, manifest->id);
    manifest->node = get_le64(data + 20);
    manifest->applied = get_le64(data + 28);
    code = files_decode(data, len, manifest);
    if (code != OK) {
        checkpoint_manifest_free(manifest);
        return code;
    }
    *ret = manifest;
    return OK;
}

void checkpoint_request_encode(const struct checkpoint_request *request, struct buf *out) {
    uint8_t id[ID_BYTES];

    CHECK(checkpoint_id_is_valid(request->id) &&
          hex_decode(request->id, strlen(request->id), id, sizeof(id)) &&
          checkpoint_file_is_valid(request->file, strlen(request->file)));
    buf_append_u8(out, REQUEST_VERSION);
    buf_append(out, id, sizeof(id));
    buf_append_le64(out, request->offset);
    buf_append_le32(out, request->len);
    buf_append_u8(out, (uint8_t)strlen(request->file));
    buf_append_str(out, request->file);
}

enum errc checkpoint_request_decode(const uint8_t *data, size_t len,
                                    struct checkpoint_request *ret) {
    size_t name_len = len - REQUEST_HEAD;

    if (len <= REQUEST_HEAD || data[0] != REQUEST_VERSION || data[21] != name_len ||
        !checkpoint_file_is_valid((const char *)data + REQUEST_HEAD, name_len)) {
        return ERR_MALFORMED;
    }
    hex_encode(data + 1, ID_BYTES, ret->id);
    ret->offset = get_le64(data + 9);
    ret->len = get_le32(data + 17);
    memcpy(ret->file, data + REQUEST_HEAD, name_len);
    ret->file[name_len] = '\0';
    return ret->len > 0 && ret->len <= LIMIT_SNAPSHOT_CHUNK ? OK : ERR_MALFORMED;
}
