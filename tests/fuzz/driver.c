/* Runs every file of a corpus folder through a fuzz target, and each once more cut short and with a
 * byte flipped, so that the corpora are tests with any compiler. An empty or missing folder fails.
 */
#include "base/check.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4 * 1024 * 1024 };

/* The target gets an exactly sized heap copy, so that a sanitizer sees a read past the end. */
static void run(const uint8_t *data, size_t len) {
    uint8_t *copy = malloc(len == 0 ? 1 : len);

    CHECK(copy != NULL);
    memcpy(copy, data, len);
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void run_file(const char *path) {
    uint8_t *data = malloc(INPUT_MAX);
    FILE *file = fopen(path, "rb");
    size_t len;

    CHECK(data != NULL && file != NULL);
    len = fread(data, 1, INPUT_MAX, file);
    (void)fclose(file);
    run(data, len);
    run(data, len / 2);
    if (len > 0) {
        for (size_t step = len / 64 + 1, at = 0; at < len; at += step) {
            data[at] ^= 0x21;
            run(data, len);
            data[at] ^= 0x21;
        }
    }
    free(data);
}

int main(int argc, char **argv) {
    DIR *folder;
    struct dirent *entry;
    unsigned files = 0;

    CHECK(argc == 2);
    folder = opendir(argv[1]);
    CHECK(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        char path[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        run_file(path);
        files++;
    }
    (void)closedir(folder);
    (void)printf("%u inputs\n", files);
    return files == 0;
}
