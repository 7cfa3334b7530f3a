/* Writing goes over the snapshot's blocks in order; reading puts each block straight into a new
 * store (checkpoint_blocks.h). Every byte is under some checksum: the magic by comparison, headers
 * and payloads by CRC32C, what comes after the end section by the file's size. */
#include "server/durable/checkpoint_file.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/consistency/consistency.h"
#include "server/durable/checkpoint.h"
#include "server/durable/checkpoint_blocks.h"
#include "server/durable/checkpoint_config.h"

#include <string.h>

static const uint8_t magic[8] = {'P', 'S', 'D', 'C', 'K', 'P', 'T', 1};

/* u64 version, u64 blocks; behind them the rows, which older files have not */
enum { STATE_BYTES = 16 };
#define SMALL_MAX ((size_t)1 << 30)

/* ---- writing ---- */

/* What could not be read again is not written: the checkpoint before stays good. */
static ps_status write_one(ps_section_writer *w, ps_checkpoint_section type, ps_slice payload)
{
    if (payload.len > SMALL_MAX)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "a section of type %d has %zu bytes, at most %zu",
                       (int)type, payload.len, SMALL_MAX);
    return ps_section_write(w, type, &payload, 1);
}

static ps_status write_small(ps_section_writer *w, ps_param_store *store,
                             const ps_snapshot_small *small)
{
    uint8_t state[STATE_BYTES];
    ps_put_u64le(state, small->version);
    ps_put_u64le(state + 8, ps_param_store_blocks(store));
    const ps_slice parts[] = {ps_slice_of(state, sizeof state), ps_buf_slice(&small->rows)};
    ps_buf config = PS_BUF_EMPTY;
    ps_checkpoint_config_encode(ps_param_store_config(store), &config);
    ps_status st = ps_section_write_raw(w, ps_slice_of(magic, sizeof magic));
    if (!st)
        st = write_one(w, PS_SECTION_CONFIG, ps_buf_slice(&config));
    if (!st)
        st = ps_section_write(w, PS_SECTION_STATE, parts, 2);
    if (!st)
        st = write_one(w, PS_SECTION_WINDOWS, ps_buf_slice(&small->windows));
    if (!st)
        st = write_one(w, PS_SECTION_CONTROLLER, ps_buf_slice(&small->controller));
    if (!st)
        st = write_one(w, PS_SECTION_PROGRESS, ps_buf_slice(&small->progress));
    ps_buf_free(&config);
    return st;
}

static ps_status write_blocks(ps_section_writer *w, ps_param_store *store, ps_snapshot *snapshot)
{
    uint64_t n = ps_param_store_blocks(store);
    for (uint64_t i = 0; i < n; i++) {
        ps_block_state block;
        uint64_t before = w->bytes;
        ps_status st = ps_snapshot_block(snapshot, i, &block);
        if (!st)
            st = ps_checkpoint_block_write(w, i, ps_param_store_state_format(store), &block);
        if (st)
            return st;
        /* who reads it finds blocks by what they take, before it has read any */
        PS_REQUIRE(w->bytes - before == ps_checkpoint_block_bytes(store, i));
    }
    return PS_OK;
}

ps_status ps_checkpoint_file_write(const ps_disk *disk, int file, ps_param_store *store,
                                   ps_snapshot *snapshot, uint64_t *bytes)
{
    ps_section_writer w = {.disk = disk, .file = file};
    ps_status st = write_small(&w, store, ps_snapshot_small_state(snapshot));
    if (!st)
        st = write_blocks(&w, store, snapshot);
    if (!st)
        st = write_one(&w, PS_SECTION_END, ps_slice_of(NULL, 0));
    if (!st)
        st = ps_section_flush(&w);
    *bytes = w.bytes;
    ps_section_writer_free(&w);
    return st;
}

uint64_t ps_checkpoint_file_estimate(const ps_param_store *store)
{
    const ps_placement *p = ps_param_store_placement(store);
    uint64_t bytes = p->n_tensors * 64;
    for (uint64_t i = 0; i < ps_param_store_blocks(store); i++)
        bytes += ps_checkpoint_block_bytes(store, i);
    return bytes;
}

/* ---- reading ---- */

static ps_status read_small(ps_section_reader *r, ps_checkpoint_section type, ps_buf *out)
{
    ps_status st = ps_checkpoint_next(r, type);
    return st ? st : ps_section_read_all(r, SMALL_MAX, out);
}

static ps_status make_store(ps_section_reader *r, ps_slice bytes, const ps_param_host *host,
                            ps_param_store **out)
{
    ps_checkpoint_config config;
    ps_status st = ps_checkpoint_config_decode(bytes, &config);
    if (st)
        return st;
    /* no memory is taken for parameters that the file cannot have */
    if (config.elements > (r->size - r->at) / sizeof(float)) {
        st = ps_fail(PS_CORRUPT, "a configuration of %llu parameters in a file of %llu bytes",
                     (unsigned long long)config.elements, (unsigned long long)r->size);
    } else {
        config.config.host = host ? *host : (ps_param_host){0};
        config.config.restored = true;
        st = ps_consistency_find(config.consistency, &config.config.controller);
        if (!st)
            st = ps_param_store_create(&config.config, out);
    }
    ps_checkpoint_config_free(&config);
    if (st && st != PS_NO_MEMORY)
        st = ps_wrap(PS_CORRUPT, "the configuration of the job");
    return st;
}

static ps_status read_end(ps_section_reader *r)
{
    ps_status st = ps_checkpoint_next(r, PS_SECTION_END);
    if (!st)
        st = ps_section_end(r);
    if (!st && r->at != r->size)
        st = ps_fail(PS_CORRUPT, "byte %llu: %llu bytes after the end", (unsigned long long)r->at,
                     (unsigned long long)(r->size - r->at));
    return st;
}

/* The small sections' payloads while a file is read. */
typedef struct small_bytes {
    ps_buf config, state, windows, controller, progress;
} small_bytes;

static ps_status read_head(ps_section_reader *r, small_bytes *small)
{
    uint8_t start[sizeof magic];
    ps_status st = ps_section_read_raw(r, start, sizeof start);
    if (st)
        return st;
    if (memcmp(start, magic, sizeof magic) != 0)
        return ps_fail(PS_CORRUPT, "byte 0: no checkpoint, or of another version of psd");
    st = read_small(r, PS_SECTION_CONFIG, &small->config);
    if (!st)
        st = read_small(r, PS_SECTION_STATE, &small->state);
    if (!st)
        st = read_small(r, PS_SECTION_WINDOWS, &small->windows);
    if (!st)
        st = read_small(r, PS_SECTION_CONTROLLER, &small->controller);
    if (!st)
        st = read_small(r, PS_SECTION_PROGRESS, &small->progress);
    return st;
}

static ps_status restore_small(ps_param_store *store, const small_bytes *small)
{
    ps_cursor c = ps_cursor_of(ps_buf_slice(&small->state));
    uint64_t version = ps_read_u64le(&c), blocks = ps_read_u64le(&c);
    if (c.failed || blocks != ps_param_store_blocks(store))
        return ps_fail(PS_CORRUPT, "the state of the job is damaged");
    return ps_param_store_restore(store, version, ps_buf_slice(&small->windows),
                                  ps_buf_slice(&small->controller),
                                  ps_read_bytes(&c, ps_cursor_left(&c)));
}

static ps_status read_all(ps_section_reader *r, const char *path, const ps_param_host *host,
                          ps_param_store **out, small_bytes *small)
{
    ps_param_store *store = NULL;
    ps_status st = read_head(r, small);
    if (!st)
        st = make_store(r, ps_buf_slice(&small->config), host, &store);
    if (st)
        return st;
    st = restore_small(store, small);
    if (!st)
        st = ps_checkpoint_blocks_read(r, path, store);
    if (!st)
        st = read_end(r);
    if (st)
        ps_param_store_unref(&store);
    else
        *out = store;
    return st;
}

static void free_small(small_bytes *small)
{
    ps_buf_free(&small->config);
    ps_buf_free(&small->state);
    ps_buf_free(&small->windows);
    ps_buf_free(&small->controller);
    ps_buf_free(&small->progress);
}

ps_status ps_checkpoint_load_file(const ps_disk *disk, const char *path, const ps_param_host *host,
                                  ps_param_store **store, ps_buf *progress)
{
    ps_section_reader r = {.disk = disk};
    ps_status st = disk->open(disk->state, path, PS_DISK_READ, &r.file);
    if (st)
        return st;
    small_bytes small = {0};
    st = disk->size(disk->state, r.file, &r.size);
    if (!st)
        st = read_all(&r, path, host, store, &small);
    disk->close(disk->state, r.file);
    if (!st && progress && small.progress.len)
        ps_buf_append(progress, small.progress.data, small.progress.len);
    free_small(&small);
    return st ? ps_wrap(st, "%s", path) : PS_OK;
}
