/* Writing goes over the snapshot's blocks in order; reading puts each block straight into a new
 * store. Every byte is under some checksum: the magic by comparison, headers and payloads by
 * CRC32C, what comes after the end section by the file's size. */
#include "server/durable/checkpoint_file.h"

#include "common/base/mem.h"
#include "server/durable/checkpoint.h"
#include "server/durable/section.h"
#include "server/durable/store_config.h"

#include <string.h>

static const uint8_t magic[8] = {'P', 'S', 'D', 'C', 'K', 'P', 'T', 1};

typedef enum section_type {
    SECTION_CONFIG = 1,
    SECTION_STATE,
    SECTION_WINDOWS,
    SECTION_CONTROLLER,
    SECTION_PROGRESS,
    SECTION_BLOCK,
    SECTION_END,
} section_type;

enum {
    STATE_BYTES = 16,     /* u64 version, u64 blocks */
    BLOCK_HEAD_BYTES = 32 /* u64 block, version, updates; u32 elements, state format */
};
#define SMALL_MAX ((size_t)1 << 30)

/* ---- writing ---- */

static ps_status write_one(ps_section_writer *w, section_type type, ps_slice payload)
{
    return ps_section_write(w, type, &payload, 1);
}

static ps_status write_small(ps_section_writer *w, ps_param_store *store,
                             const ps_snapshot_small *small)
{
    uint8_t state[STATE_BYTES];
    ps_put_u64le(state, small->version);
    ps_put_u64le(state + 8, ps_param_store_blocks(store));
    ps_buf config = PS_BUF_EMPTY;
    ps_store_config_encode(ps_param_store_config(store), &config);
    ps_status st = ps_section_write_raw(w, ps_slice_of(magic, sizeof magic));
    if (!st)
        st = write_one(w, SECTION_CONFIG, ps_buf_slice(&config));
    if (!st)
        st = write_one(w, SECTION_STATE, ps_slice_of(state, sizeof state));
    if (!st)
        st = write_one(w, SECTION_WINDOWS, ps_buf_slice(&small->windows));
    if (!st)
        st = write_one(w, SECTION_CONTROLLER, ps_buf_slice(&small->controller));
    if (!st)
        st = write_one(w, SECTION_PROGRESS, ps_buf_slice(&small->progress));
    ps_buf_free(&config);
    return st;
}

static ps_status write_block(ps_section_writer *w, uint64_t index, uint32_t format,
                             const ps_block_state *block)
{
    uint8_t head[BLOCK_HEAD_BYTES];
    ps_put_u64le(head, index);
    ps_put_u64le(head + 8, block->version);
    ps_put_u64le(head + 16, block->updates);
    ps_put_u32le(head + 24, block->elements);
    ps_put_u32le(head + 28, format);
    ps_slice parts[PS_SECTION_PARTS_MAX] = {
        ps_slice_of(head, sizeof head),
        ps_slice_of(block->values, block->elements * sizeof(float)),
        ps_slice_of(block->state, block->state_bytes),
    };
    return ps_section_write(w, SECTION_BLOCK, parts, block->state_bytes ? 3 : 2);
}

static ps_status write_blocks(ps_section_writer *w, ps_param_store *store, ps_snapshot *snapshot)
{
    uint64_t n = ps_param_store_blocks(store);
    for (uint64_t i = 0; i < n; i++) {
        ps_block_state block;
        ps_status st = ps_snapshot_block(snapshot, i, &block);
        if (!st)
            st = write_block(w, i, ps_param_store_state_format(store), &block);
        if (st)
            return st;
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
        st = write_one(&w, SECTION_END, ps_slice_of(NULL, 0));
    if (!st)
        st = ps_section_flush(&w);
    *bytes = w.bytes;
    ps_section_writer_free(&w);
    return st;
}

uint64_t ps_checkpoint_file_estimate(const ps_param_store *store)
{
    const ps_placement *p = ps_param_store_placement(store);
    return p->elements * sizeof(float) + ps_param_store_state_bytes(store) +
           p->blocks * (PS_SECTION_HEADER + BLOCK_HEAD_BYTES) + p->n_tensors * 64;
}

/* ---- reading ---- */

static ps_status next_of_type(ps_section_reader *r, section_type type)
{
    ps_status st = ps_section_next(r);
    if (!st && r->type != type)
        st = ps_fail(PS_CORRUPT, "byte %llu: a section of type %u where %u belongs",
                     (unsigned long long)r->at, r->type, (unsigned)type);
    return st;
}

static ps_status read_small(ps_section_reader *r, section_type type, ps_buf *out)
{
    ps_status st = next_of_type(r, type);
    return st ? st : ps_section_read_all(r, SMALL_MAX, out);
}

static ps_status make_store(ps_section_reader *r, ps_slice bytes, uint64_t push_bytes,
                            ps_param_store **out)
{
    ps_store_config config;
    ps_status st = ps_store_config_decode(bytes, &config);
    if (st)
        return st;
    /* no memory is taken for parameters that the file cannot have */
    if (config.elements > (r->size - r->at) / sizeof(float)) {
        st = ps_fail(PS_CORRUPT, "a configuration of %llu parameters in a file of %llu bytes",
                     (unsigned long long)config.elements, (unsigned long long)r->size);
    } else {
        config.config.push_bytes = push_bytes;
        st = ps_param_store_create(&config.config, out);
    }
    ps_store_config_free(&config);
    if (st && st != PS_NO_MEMORY)
        st = ps_wrap(PS_CORRUPT, "the configuration of the job");
    return st;
}

static ps_status read_block(ps_section_reader *r, ps_param_store *store, uint64_t index)
{
    uint8_t head[BLOCK_HEAD_BYTES];
    ps_status st = next_of_type(r, SECTION_BLOCK);
    if (!st)
        st = ps_section_read(r, head, sizeof head);
    if (st)
        return st;
    ps_cursor c = ps_cursor_of(ps_slice_of(head, sizeof head));
    uint64_t number = ps_read_u64le(&c), version = ps_read_u64le(&c), updates = ps_read_u64le(&c);
    uint32_t elements = ps_read_u32le(&c), format = ps_read_u32le(&c);
    ps_block_restore to = ps_param_store_restore_block(store, index, version, updates);
    if (number != index || elements != to.elements || format != ps_param_store_state_format(store))
        return ps_fail(PS_CORRUPT, "byte %llu: not block %llu of the job",
                       (unsigned long long)r->at, (unsigned long long)index);
    st = ps_section_read(r, to.values, elements * sizeof(float));
    if (!st && to.state_bytes)
        st = ps_section_read(r, to.state, to.state_bytes);
    return st ? st : ps_section_end(r);
}

static ps_status read_blocks(ps_section_reader *r, ps_param_store *store)
{
    for (uint64_t i = 0; i < ps_param_store_blocks(store); i++) {
        ps_status st = read_block(r, store, i);
        if (st)
            return st;
    }
    ps_status st = next_of_type(r, SECTION_END);
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
    st = read_small(r, SECTION_CONFIG, &small->config);
    if (!st)
        st = read_small(r, SECTION_STATE, &small->state);
    if (!st)
        st = read_small(r, SECTION_WINDOWS, &small->windows);
    if (!st)
        st = read_small(r, SECTION_CONTROLLER, &small->controller);
    if (!st)
        st = read_small(r, SECTION_PROGRESS, &small->progress);
    return st;
}

static ps_status restore_small(ps_param_store *store, const small_bytes *small)
{
    ps_cursor c = ps_cursor_of(ps_buf_slice(&small->state));
    uint64_t version = ps_read_u64le(&c), blocks = ps_read_u64le(&c);
    if (c.failed || ps_cursor_left(&c) || blocks != ps_param_store_blocks(store))
        return ps_fail(PS_CORRUPT, "the state of the job is damaged");
    return ps_param_store_restore(store, version, ps_buf_slice(&small->windows),
                                  ps_buf_slice(&small->controller));
}

static ps_status read_all(ps_section_reader *r, uint64_t push_bytes, ps_param_store **out,
                          small_bytes *small)
{
    ps_param_store *store = NULL;
    ps_status st = read_head(r, small);
    if (!st)
        st = make_store(r, ps_buf_slice(&small->config), push_bytes, &store);
    if (st)
        return st;
    st = restore_small(store, small);
    if (!st)
        st = read_blocks(r, store);
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

ps_status ps_checkpoint_load_file(const ps_disk *disk, const char *path, uint64_t push_bytes,
                                  ps_param_store **store, ps_buf *progress)
{
    ps_section_reader r = {.disk = disk};
    ps_status st = disk->open(disk->state, path, PS_DISK_READ, &r.file);
    if (st)
        return st;
    small_bytes small = {0};
    st = disk->size(disk->state, r.file, &r.size);
    if (!st)
        st = read_all(&r, push_bytes, store, &small);
    disk->close(disk->state, r.file);
    if (!st && progress && small.progress.len)
        ps_buf_append(progress, small.progress.data, small.progress.len);
    free_small(&small);
    return st ? ps_wrap(st, "%s", path) : PS_OK;
}
