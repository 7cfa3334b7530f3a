/* What a block takes in the file follows from the store, so the file can be cut into parts before
 * it is read: threads take one after the other, each with a file of its own. More than the disk,
 * what takes time is the first touch of the memory and the copy into it, which threads share. Of
 * several failures the one nearest to the file's beginning is told. */
#include "server/durable/checkpoint_blocks.h"

#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/parallel.h"
#include "common/base/require.h"

#include <stdatomic.h>

enum {
    HEAD_BYTES = 32, /* u64 block, version, updates; u32 elements, state format */
    PART_BYTES = 8 << 20,
};

typedef struct part {
    uint64_t first, end; /* blocks */
    uint64_t at;         /* where the first begins in the file */
} part;

typedef struct reading {
    const ps_disk *disk;
    const char *path;
    uint64_t size; /* of the file */
    ps_param_store *store;
    part *parts;
    size_t count;
    atomic_size_t next;
    atomic_int open_file; /* the caller's, for the first thread that comes; then -1 */
    ps_mutex lock;        /* of what follows */
    size_t failed;        /* the first part that did; count: none */
    ps_error error;
} reading;

/* ---- one block ---- */

ps_status ps_checkpoint_block_write(ps_section_writer *w, uint64_t index, uint32_t format,
                                    const ps_block_state *block)
{
    uint8_t head[HEAD_BYTES];
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
    return ps_section_write(w, PS_SECTION_BLOCK, parts, block->state_bytes ? 3 : 2);
}

uint64_t ps_checkpoint_block_bytes(const ps_param_store *store, uint64_t index)
{
    return PS_SECTION_HEADER + HEAD_BYTES + ps_param_store_block_bytes(store, index);
}

ps_status ps_checkpoint_next(ps_section_reader *r, ps_checkpoint_section type)
{
    ps_status st = ps_section_next(r);
    if (!st && r->type != type)
        st = ps_fail(PS_CORRUPT, "byte %llu: a section of type %u where %u belongs",
                     (unsigned long long)r->at, r->type, (unsigned)type);
    return st;
}

static ps_status read_block(ps_section_reader *r, ps_param_store *store, uint64_t index)
{
    uint8_t head[HEAD_BYTES];
    ps_status st = ps_checkpoint_next(r, PS_SECTION_BLOCK);
    if (!st)
        st = ps_section_read(r, head, sizeof head);
    if (st)
        return st;
    ps_cursor c = ps_cursor_of(ps_slice_of(head, sizeof head));
    uint64_t number = ps_read_u64le(&c), version = ps_read_u64le(&c), updates = ps_read_u64le(&c);
    uint32_t elements = ps_read_u32le(&c), format = ps_read_u32le(&c);
    ps_block_restore to = ps_param_store_block_room(store, index);
    uint64_t made = ps_param_store_version(store); /* of the job: a block has a part of them */
    if (number != index || elements != to.elements || version > made || updates > made ||
        format != ps_param_store_state_format(store))
        return ps_fail(PS_CORRUPT, "byte %llu: not block %llu of the job",
                       (unsigned long long)r->at, (unsigned long long)index);
    ps_param_store_restore_block(store, index, version, updates);
    st = ps_section_read(r, to.values, elements * sizeof(float));
    if (!st && to.state_bytes)
        st = ps_section_read(r, to.state, to.state_bytes);
    return st ? st : ps_section_end(r);
}

static ps_status read_part(ps_section_reader *r, ps_param_store *store, const part *p)
{
    ps_status st = PS_OK;
    for (uint64_t i = p->first; !st && i < p->end; i++)
        st = read_block(r, store, i);
    return st;
}

/* ---- threads ---- */

/* Parts of about PART_BYTES each; *end: of the last block in the file. */
static void cut(reading *g, uint64_t begin, uint64_t *end)
{
    uint64_t blocks = ps_param_store_blocks(g->store), at = begin;
    size_t room = 0;
    for (uint64_t i = 0; i < blocks; i++) {
        if (!g->count || at - g->parts[g->count - 1].at >= PART_BYTES) {
            if (g->count == room) {
                room = room ? 2 * room : 4;
                g->parts = ps_realloc(g->parts, room * sizeof *g->parts);
            }
            g->parts[g->count++] = (part){.first = i, .at = at};
        }
        g->parts[g->count - 1].end = i + 1;
        at += ps_checkpoint_block_bytes(g->store, i);
    }
    PS_REQUIRE(g->count == 0 || g->parts[g->count - 1].end == blocks);
    *end = at;
}

/* false: there is none left, or none that is worth it after a failure. */
static bool take_part(reading *g, size_t *out)
{
    *out = atomic_fetch_add(&g->next, 1);
    ps_mutex_lock(&g->lock);
    bool wanted = *out < g->failed;
    ps_mutex_unlock(&g->lock);
    return wanted;
}

static void fail(reading *g, size_t i, ps_status st)
{
    ps_mutex_lock(&g->lock);
    if (i < g->failed) {
        g->failed = i;
        ps_error_save(&g->error, st);
    }
    ps_mutex_unlock(&g->lock);
}

static void read_parts(reading *g, int file)
{
    for (size_t i; take_part(g, &i);) {
        ps_section_reader r = {
            .disk = g->disk, .file = file, .at = g->parts[i].at, .size = g->size};
        ps_status st = g->disk->seek(g->disk->state, file, r.at);
        if (!st)
            st = read_part(&r, g->store, &g->parts[i]);
        if (st)
            fail(g, i, st);
    }
}

/* A file that cannot be opened once more is a thread less. */
static void read_with_own_file(void *user)
{
    reading *g = user;
    int file = atomic_exchange(&g->open_file, -1);
    if (file >= 0) {
        read_parts(g, file);
    } else if (g->disk->open(g->disk->state, g->path, PS_DISK_READ, &file) == PS_OK) {
        read_parts(g, file);
        g->disk->close(g->disk->state, file);
    }
}

static ps_status read_together(reading *g, ps_section_reader *r, uint64_t end)
{
    ps_mutex_init(&g->lock);
    g->failed = g->count;
    g->open_file = r->file;
    ps_parallel_run(g->count, read_with_own_file, g);
    ps_mutex_destroy(&g->lock);
    if (g->error.code)
        return ps_error_raise(&g->error);
    PS_REQUIRE(g->next >= g->count && g->open_file < 0); /* each part was somebody's */
    r->at = end;
    return r->disk->seek(r->disk->state, r->file, end);
}

ps_status ps_checkpoint_blocks_read(ps_section_reader *r, const char *path, ps_param_store *store)
{
    reading g = {.disk = r->disk, .path = path, .size = r->size, .store = store};
    uint64_t end;
    cut(&g, r->at, &end);
    ps_status st;
    if (end > r->size)
        st = ps_fail(PS_CORRUPT, "the file has %llu bytes, its blocks end at %llu",
                     (unsigned long long)r->size, (unsigned long long)end);
    else if (g.count > 1)
        st = read_together(&g, r, end);
    else
        st = g.count ? read_part(r, store, &g.parts[0]) : PS_OK;
    ps_free(&g.parts);
    return st;
}
