/* How RocksDB is set up: for two cores and a small machine, and for our four kinds of data. */
#include "storage/engine_inner.h"

enum {
    KIB = 1024,
    MIB = 1024 * KIB,

    BACKGROUND_JOBS = 2,
    OPEN_FILES = 512,
    BLOOM_BITS = 10, /* a key that is not there costs a block read in 1 of 100 cases */

    /* Restart reads the whole write-ahead log again: this is what bounds it. Without it the `meta`
       family, which never fills a buffer, would hold every file of it for ever. */
    WAL_TOTAL = 64 * MIB,
    MANIFEST = 16 * MIB,

    /* RocksDB's own log, in the database's folder. */
    INFO_LOG = 1 * MIB,
    INFO_LOGS_KEPT = 4,
};

static void set_database(rocksdb_options_t *options) {
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_create_missing_column_families(options, 1);
    rocksdb_options_set_paranoid_checks(options, 1);
    /* FORMAT.md, Recovery, says why this loses nothing that was promised. */
    rocksdb_options_set_wal_recovery_mode(options, rocksdb_point_in_time_recovery);
    rocksdb_options_set_max_total_wal_size(options, WAL_TOTAL);
    rocksdb_options_set_max_background_jobs(options, BACKGROUND_JOBS);
    rocksdb_options_set_max_open_files(options, OPEN_FILES);
    rocksdb_options_set_bytes_per_sync(options, 1 * MIB); /* no bursts of dirty pages */
    rocksdb_options_set_max_manifest_file_size(options, MANIFEST);
    rocksdb_options_set_info_log_level(options, 2); /* warnings and worse */
    rocksdb_options_set_max_log_file_size(options, INFO_LOG);
    rocksdb_options_set_keep_log_file_num(options, INFO_LOGS_KEPT);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_stats_persist_period_sec(options, 0);
}

static void set_table(rocksdb_options_t *options, rocksdb_cache_t *cache, bool has_filter) {
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_format_version(table, 5);
    /* Index and filters live in the cache, so that its size bounds what reading needs. */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
    /* In pieces of a block each: the whole filter of a large table is larger than a shard of the
       cache, which would read it from the file again for every key. */
    rocksdb_block_based_options_set_index_type(
        table, rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_partition_filters(table, has_filter);
    rocksdb_block_based_options_set_pin_top_level_index_and_filter(table, 1);
    if (has_filter) {
        rocksdb_block_based_options_set_filter_policy(
            table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    }
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
}

static void set_state(rocksdb_options_t *options) {
    rocksdb_options_set_write_buffer_size(options, 16 * MIB);
    rocksdb_options_set_max_write_buffer_number(options, 3);
    /* Metadata shrinks; sealed values do not, and RocksDB then keeps the block as it is. */
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
}

static void set_index(rocksdb_options_t *options) {
    /* Some 150 small rows a secret, at random places: large buffers spare rewriting tables. */
    rocksdb_options_set_write_buffer_size(options, 32 * MIB);
    rocksdb_options_set_max_write_buffer_number(options, 3);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    /* Point reads are mostly of rows that are there: the last level, which has nearly all of them,
       does without a filter of 10 bits a row. */
    rocksdb_options_set_optimize_filters_for_hits(options, 1);
}

static void set_log(rocksdb_options_t *options) {
    /* Entries are written once, in order, and deleted as a prefix before long: large buffers and a
       late first compaction, so that most of them are gone before they would be rewritten. */
    rocksdb_options_set_write_buffer_size(options, 16 * MIB);
    rocksdb_options_set_max_write_buffer_number(options, 3);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, 8);
    rocksdb_options_set_level0_slowdown_writes_trigger(options, 24);
    rocksdb_options_set_level0_stop_writes_trigger(options, 40);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
}

static void set_meta(rocksdb_options_t *options) {
    /* A handful of keys, rewritten with every log write. */
    rocksdb_options_set_write_buffer_size(options, 1 * MIB);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
}

rocksdb_options_t *engine_family_options(enum family family, rocksdb_cache_t *cache) {
    rocksdb_options_t *options = rocksdb_options_create();

    set_table(options, cache, family == FAMILY_STATE || family == FAMILY_INDEX);
    switch (family) {
    case FAMILY_DEFAULT:
        set_database(options);
        set_meta(options);
        break;
    case FAMILY_LOG:
        set_log(options);
        break;
    case FAMILY_META:
        set_meta(options);
        break;
    case FAMILY_STATE:
        set_state(options);
        break;
    case FAMILY_INDEX:
        set_index(options);
        break;
    case FAMILY_COUNT:
        break;
    }
    return options;
}
