/* Checked, noted, sorted, gathered. */
#include "server/params/push_chunks.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/params/store_private.h"

#include <string.h>

enum {
    CHUNK_COST = 64, /* what a chunk counts against push_bytes beside its payload */
    CHUNKS_FIRST = 64,
};

struct ps_push_part {
    uint64_t block;
    ps_block_chunk chunk;
    ps_push_owner owner;
};

/* The tensor and the shard it names, and that it lies within one block of it. */
static ps_status check_place(const ps_placement *p, const ps_push_chunk_header *c, uint64_t *block)
{
    if (c->tensor >= p->n_tensors)
        return ps_fail(PS_NOT_FOUND, "tensor %u: the job has %zu", c->tensor, p->n_tensors);
    const ps_param_tensor *t = &p->tensors[c->tensor];
    if (c->shard >= t->n_shards)
        return ps_fail(PS_NOT_FOUND, "tensor %s: no shard %u, it has %u", t->name, c->shard,
                       t->n_shards);
    const ps_param_shard *s = &t->shards[c->shard];
    if (s->server != 0)
        return ps_fail(PS_UNAVAILABLE, "tensor %s: shard %u is held by server %u", t->name,
                       c->shard, s->server);
    if (c->count == 0)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: a chunk of no elements", t->name);
    if (c->offset >= s->elements || c->count > s->elements - c->offset)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s: a chunk of %u elements at %llu of shard %u, it has %llu",
                       t->name, c->count, (unsigned long long)c->offset, c->shard,
                       (unsigned long long)s->elements);
    if (c->offset % p->block_elements + c->count > p->block_elements)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s: a chunk of %u elements at %llu crosses the border of a block "
                       "(every %u elements)",
                       t->name, c->count, (unsigned long long)c->offset, p->block_elements);
    *block = s->first_block + c->offset / p->block_elements;
    return PS_OK;
}

/* Decoding waits for the commit, where the numbers are used while they are hot in the cache. */
static ps_status room_to_decode(ps_push_chunks *chunks, const char *tensor)
{
    if (!chunks->scratch)
        chunks->scratch =
            ps_try_alloc_raw(chunks->store->placement->block_elements * sizeof(float));
    if (!chunks->scratch)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "tensor %s: out of memory to decode it", tensor);
    return PS_OK;
}

/* What the numbers are; also adds to the norm. */
static ps_status check_values(ps_push_chunks *chunks, const char *tensor, const ps_push_part *c)
{
    const ps_block *block = chunks->store->blocks[c->block];
    bool clips = chunks->store->config.clip_norm > 0;
    ps_status st = block->kind->check(block, &c->chunk, clips ? &chunks->sum_sq : NULL);
    if (st)
        return ps_wrap(st, "tensor %s", tensor);
    return c->chunk.codec->identity ? PS_OK : room_to_decode(chunks, tensor);
}

static ps_status reserve_chunk(ps_push_chunks *chunks, const char *tensor, size_t payload)
{
    uint64_t limit = chunks->store->config.host.push_bytes;
    uint64_t after = chunks->bytes + payload + (chunks->n + 1) * CHUNK_COST;
    if (after > limit)
        return ps_fail(PS_RESOURCE_EXHAUSTED,
                       "tensor %s: this push holds more than %llu bytes (limits.push_bytes); send "
                       "it as several",
                       tensor, (unsigned long long)limit);
    if (chunks->n < chunks->capacity)
        return PS_OK;
    size_t capacity = chunks->capacity ? 2 * chunks->capacity : CHUNKS_FIRST;
    ps_push_part *more = ps_try_alloc_raw(capacity * sizeof *more);
    if (!more)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "tensor %s: out of memory for this push", tensor);
    if (chunks->n)
        memcpy(more, chunks->list, chunks->n * sizeof *more);
    free(chunks->list);
    chunks->list = more;
    chunks->capacity = capacity;
    return PS_OK;
}

static bool before(const ps_push_part *a, const ps_push_part *b)
{
    return a->block < b->block || (a->block == b->block && a->chunk.begin < b->chunk.begin);
}

ps_status ps_push_chunks_add(ps_push_chunks *chunks, const ps_push_chunk_header *header,
                             ps_slice payload, ps_push_owner owner)
{
    const ps_placement *p = chunks->store->placement;
    ps_push_part c = {.owner = owner, .chunk = {.count = header->count, .payload = payload}};
    ps_status st = check_place(p, header, &c.block);
    if (st)
        return st;
    const char *tensor = p->tensors[header->tensor].name;
    c.chunk.begin = (uint32_t)(header->offset % p->block_elements);
    c.chunk.codec = ps_codec_by_number(header->codec);
    if (!c.chunk.codec)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: unknown codec %u", tensor, header->codec);
    st = check_values(chunks, tensor, &c);
    if (!st)
        st = reserve_chunk(chunks, tensor, payload.len);
    if (st)
        return st;
    chunks->shuffled |= chunks->n && !before(&chunks->list[chunks->n - 1], &c);
    chunks->list[chunks->n++] = c;
    chunks->bytes += payload.len;
    PS_REQUIRE(chunks->n <= chunks->capacity);
    PS_REQUIRE(chunks->bytes <= chunks->store->config.host.push_bytes);
    return PS_OK;
}

static int by_place(const void *a, const void *b)
{
    return before(a, b) ? -1 : before(b, a);
}

/* The blocks that it touches, once each. */
static ps_status list_blocks(ps_push_chunks *chunks)
{
    chunks->blocks = ps_try_alloc_raw(chunks->n * sizeof *chunks->blocks);
    chunks->left_out = ps_try_alloc_raw(chunks->n * sizeof *chunks->left_out);
    if (!chunks->blocks || !chunks->left_out)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "out of memory for this push");
    for (size_t i = 0; i < chunks->n; i++)
        if (i == 0 || chunks->list[i].block != chunks->list[i - 1].block)
            chunks->blocks[chunks->n_blocks++] = chunks->list[i].block;
    return PS_OK;
}

/* Sorted, without overlaps; and room for the pieces of the block that has most. */
ps_status ps_push_chunks_arrange(ps_push_chunks *chunks)
{
    if (chunks->n == 0)
        return ps_fail(PS_INVALID_ARGUMENT, "push without a chunk");
    if (chunks->shuffled)
        qsort(chunks->list, chunks->n, sizeof *chunks->list, by_place);
    size_t most = 1, run = 1;
    for (size_t i = 1; i < chunks->n; i++) {
        const ps_block_chunk *last = &chunks->list[i - 1].chunk, *c = &chunks->list[i].chunk;
        run = chunks->list[i].block == chunks->list[i - 1].block ? run + 1 : 1;
        most = run > most ? run : most;
        if (run > 1 && c->begin < last->begin + last->count)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "push: two chunks have the same elements (%u and %u elements at %u and "
                           "%u of a block)",
                           last->count, c->count, last->begin, c->begin);
    }
    chunks->pieces = ps_try_alloc_raw(most * sizeof *chunks->pieces);
    if (!chunks->pieces)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "out of memory for this push");
    return list_blocks(chunks);
}

/* The chunk after those of the same block. */
static size_t after_block(const ps_push_chunks *chunks, size_t first)
{
    size_t i = first;
    while (i < chunks->n && chunks->list[i].block == chunks->list[first].block)
        i++;
    return i;
}

/* Of the blocks that have not got its rows before. */
uint64_t ps_push_chunks_elements(const ps_push_chunks *chunks)
{
    uint64_t n = 0;
    for (size_t b = 0, i = 0; b < chunks->n_blocks; b++)
        for (size_t after = after_block(chunks, i); i < after; i++)
            n += chunks->left_out[b] ? 0 : chunks->list[i].chunk.count;
    return n;
}

/* Decoded ones lie one after the other in scratch: they do not overlap, so that they fit. */
static size_t gather(const ps_push_chunks *chunks, size_t first)
{
    float *room = chunks->scratch;
    size_t n = 0;
    for (size_t i = first; i < chunks->n && chunks->list[i].block == chunks->list[first].block;
         i++) {
        const ps_block_chunk *c = &chunks->list[i].chunk;
        const void *values = c->payload.data;
        if (!c->codec->identity) {
            c->codec->decode(c->payload, c->count, room);
            values = room;
            room += c->count;
        }
        PS_REQUIRE(n == 0 || c->begin >= chunks->pieces[n - 1].begin + chunks->pieces[n - 1].count);
        chunks->pieces[n++] =
            (ps_block_piece){.begin = c->begin, .count = c->count, .values = values};
    }
    return n;
}

void ps_push_chunks_each(const ps_push_chunks *chunks, ps_push_chunks_fn each, void *user)
{
    for (size_t b = 0, i = 0; b < chunks->n_blocks; i = after_block(chunks, i), b++)
        if (!chunks->left_out[b])
            each(user, chunks->blocks[b], chunks->pieces, gather(chunks, i));
}

void ps_push_chunks_clear(ps_push_chunks *chunks)
{
    for (size_t i = 0; i < chunks->n; i++)
        if (chunks->list[i].owner.release)
            chunks->list[i].owner.release(chunks->list[i].owner.user);
    ps_free(&chunks->list);
    ps_free(&chunks->scratch);
    ps_free(&chunks->pieces);
    ps_free(&chunks->blocks);
    ps_free(&chunks->left_out);
}
