/* Folders and engines that a test makes and takes away again. */
#ifndef TESTS_UNIT_STORAGE_SCRATCH_H
#define TESTS_UNIT_STORAGE_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "storage/engine.h"

enum { SCRATCH_PATH = 256 };

static inline void scratch_make(char out[SCRATCH_PATH]) {
    (void)snprintf(out, SCRATCH_PATH, "%s/redoubt-test-XXXXXX", P_tmpdir);
    if (mkdtemp(out) == NULL) {
        perror("mkdtemp");
        exit(1);
    }
}

static inline int scratch_remove_one(const char *path, const struct stat *status, int type,
                                     struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void scratch_remove(const char *path) {
    if (nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        perror(path);
    }
}

/* Fails the program, not the test: nothing works without. */
static inline struct engine *scratch_open(const char *path) {
    const struct engine_options options = {.path = path, .in_memory = path == NULL};
    struct engine *engine = NULL;
    struct err err;

    if (engine_open(&options, &engine, &err) != OK) {
        (void)fprintf(stderr, "cannot open %s: %s\n", path ? path : "memory", err.message);
        exit(1);
    }
    return engine;
}

#endif
