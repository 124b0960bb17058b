/* What RocksDB tells of itself as numbers. */
#include "storage/engine_inner.h"

/* 0 for a name that this RocksDB does not know. */
static uint64_t read_number(const struct engine *engine, enum family family, const char *name) {
    uint64_t value = 0;

    return rocksdb_property_int_cf(engine->db, engine->families[family], name, &value) == 0 ? value
                                                                                            : 0;
}

/* Bytes and counts of one family. */
static uint64_t sum_up(const struct engine *engine, const char *name) {
    uint64_t sum = 0;

    for (int i = 0; i < FAMILY_COUNT; i++) {
        sum += read_number(engine, (enum family)i, name);
    }
    return sum;
}

/* A property that RocksDB has as text only. */
static uint64_t level0_files(const struct engine *engine) {
    uint64_t most = 0;

    for (int i = 0; i < FAMILY_COUNT; i++) {
        char *text = rocksdb_property_value_cf(engine->db, engine->families[i],
                                               "rocksdb.num-files-at-level0");
        uint64_t n = 0;
        for (const char *c = text; c != NULL && *c >= '0' && *c <= '9'; c++) {
            n = n * 10 + (uint64_t)(*c - '0');
        }
        most = n > most ? n : most;
        rocksdb_free(text);
    }
    return most;
}

void engine_metrics(const struct engine *engine, struct engine_metrics *ret) {
    *ret = (struct engine_metrics){
        /* Of the database: any family tells. */
        .is_stopped = read_number(engine, FAMILY_STATE, "rocksdb.is-write-stopped") != 0,
        .delayed_rate = read_number(engine, FAMILY_STATE, "rocksdb.actual-delayed-write-rate"),
        .compactions = read_number(engine, FAMILY_STATE, "rocksdb.num-running-compactions"),
        .flushes = read_number(engine, FAMILY_STATE, "rocksdb.num-running-flushes"),
        .cache_bytes = read_number(engine, FAMILY_STATE, "rocksdb.block-cache-usage"),
        .errors = read_number(engine, FAMILY_STATE, "rocksdb.background-errors"),
        /* Of each. */
        .pending_bytes = sum_up(engine, "rocksdb.estimate-pending-compaction-bytes"),
        .level0_files = level0_files(engine),
        .live_bytes = sum_up(engine, "rocksdb.live-sst-files-size"),
        .table_bytes = sum_up(engine, "rocksdb.total-sst-files-size"),
        .memtable_bytes = sum_up(engine, "rocksdb.size-all-mem-tables"),
        .reader_bytes = sum_up(engine, "rocksdb.estimate-table-readers-mem"),
        .views = (uint64_t)atomic_load(&engine->views),
    };
}
