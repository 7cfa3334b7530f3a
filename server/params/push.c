/* begin takes the push's place in its client's window; chunks are checked and noted; commit sorts
 * the notes by place, refuses overlaps, asks the consistency controller, and does what it says
 * inside the store's gate. What a peer can get wrong is found before anything is applied; after
 * that nothing fails. */
#include "server/params/push.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "server/params/committer.h"
#include "server/params/store_private.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

enum {
    CHUNK_COST = 64, /* what a chunk counts against push_bytes beside its payload */
    CHUNKS_FIRST = 64,
    QUICK_BYTES = 64 * 1024, /* applied in some tens of microseconds */
};

typedef struct push_chunk {
    uint64_t block;
    uint32_t begin, count; /* elements, within the block */
    const ps_codec *codec;
    ps_slice payload;
    ps_push_owner owner;
} push_chunk;

struct ps_push {
    ps_param_store *store;
    ps_push_header header;
    ps_push_ticket ticket;
    bool duplicate; /* no ticket; reply is the stored one */
    ps_push_reply reply;
    push_chunk *chunks;
    size_t n, capacity;
    bool sorted;
    uint64_t bytes;
    double sum_sq;
    uint64_t *blocks; /* it touches, ascending, */
    bool *left_out;   /* and which of them have its rows already; made at commit */
    size_t n_blocks;
    uint64_t rows_before;   /* rows that were done when it was booked */
    bool whole;             /* its gradient has come whole with it */
    float *scratch;         /* one block, for codecs that have to be decoded */
    ps_block_piece *pieces; /* room for the pieces of one block: made at commit */
};

static void count_refused(ps_param_store *store)
{
    ps_mutex_lock(&store->stats_lock);
    store->stats.refused++;
    ps_mutex_unlock(&store->stats_lock);
}

static ps_status take_place(ps_push *push, const char *client)
{
    ps_param_store *store = push->store;
    const ps_push_header *h = &push->header;
    if (h->weight != 0 && !(h->weight >= PS_PUSH_WEIGHT_MIN && h->weight <= PS_PUSH_WEIGHT_MAX))
        return ps_fail(PS_INVALID_ARGUMENT, "push: weight %g, must be 0 (as 1) or %g to %g",
                       h->weight, PS_PUSH_WEIGHT_MIN, PS_PUSH_WEIGHT_MAX);
    if (h->weight == 0)
        push->header.weight = 1;
    ps_status st = ps_push_windows_begin(store->windows, client, h->incarnation, h->sequence,
                                         &push->ticket, &push->duplicate, &push->reply);
    if (st || push->duplicate)
        return st;
    st = ps_ledger_check(store->ledger, h->lease);
    if (!st)
        st = store->ops->check(store->controller, h);
    if (st)
        ps_push_windows_drop(store->windows, &push->ticket);
    return st;
}

static ps_status ended(void)
{
    return ps_fail(PS_FAILED_PRECONDITION, "the job has ended");
}

ps_status ps_push_begin(ps_param_store *store, const char *client, const ps_push_header *header,
                        ps_push **out)
{
    if (atomic_load(&store->stopped))
        return ended();
    ps_push *push = ps_new(ps_push);
    push->store = store;
    push->header = *header;
    push->sorted = true;
    ps_status st = take_place(push, client);
    if (st) {
        count_refused(store);
        free(push);
        return st;
    }
    ps_param_store_ref(store);
    *out = push;
    return PS_OK;
}

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
static ps_status room_to_decode(ps_push *push, const char *tensor)
{
    if (!push->scratch)
        push->scratch = ps_try_alloc_raw(push->store->placement->block_elements * sizeof(float));
    if (!push->scratch)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "tensor %s: out of memory to decode it", tensor);
    return PS_OK;
}

/* What the numbers are; also adds to the norm. */
static ps_status check_values(ps_push *push, const char *tensor, const push_chunk *c)
{
    const ps_block *block = push->store->blocks[c->block];
    const ps_block_chunk chunk = {
        .begin = c->begin, .count = c->count, .codec = c->codec, .payload = c->payload};
    bool clips = push->store->config.clip_norm > 0;
    ps_status st = block->kind->check(block, &chunk, clips ? &push->sum_sq : NULL);
    if (st)
        return ps_wrap(st, "tensor %s", tensor);
    return c->codec->identity ? PS_OK : room_to_decode(push, tensor);
}

static ps_status reserve_chunk(ps_push *push, const char *tensor, size_t payload)
{
    uint64_t limit = push->store->config.push_bytes;
    uint64_t after = push->bytes + payload + (push->n + 1) * CHUNK_COST;
    if (after > limit)
        return ps_fail(PS_RESOURCE_EXHAUSTED,
                       "tensor %s: this push holds more than %llu bytes (limits.push_bytes); send "
                       "it as several",
                       tensor, (unsigned long long)limit);
    if (push->n < push->capacity)
        return PS_OK;
    size_t capacity = push->capacity ? 2 * push->capacity : CHUNKS_FIRST;
    push_chunk *more = ps_try_alloc_raw(capacity * sizeof *more);
    if (!more)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "tensor %s: out of memory for this push", tensor);
    if (push->n)
        memcpy(more, push->chunks, push->n * sizeof *more);
    free(push->chunks);
    push->chunks = more;
    push->capacity = capacity;
    return PS_OK;
}

static bool before(const push_chunk *a, const push_chunk *b)
{
    return a->block < b->block || (a->block == b->block && a->begin < b->begin);
}

static ps_status add_chunk(ps_push *push, const ps_push_chunk_header *header, ps_slice payload,
                           ps_push_owner owner)
{
    const ps_placement *p = push->store->placement;
    push_chunk c = {.count = header->count, .payload = payload, .owner = owner};
    ps_status st = check_place(p, header, &c.block);
    if (st)
        return st;
    const char *tensor = p->tensors[header->tensor].name;
    c.begin = (uint32_t)(header->offset % p->block_elements);
    c.codec = ps_codec_by_number(header->codec);
    if (!c.codec)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: unknown codec %u", tensor, header->codec);
    st = check_values(push, tensor, &c);
    if (!st)
        st = reserve_chunk(push, tensor, payload.len);
    if (st)
        return st;
    if (push->n && !before(&push->chunks[push->n - 1], &c))
        push->sorted = false;
    push->chunks[push->n++] = c;
    push->bytes += payload.len;
    return PS_OK;
}

ps_status ps_push_chunk(ps_push *push, const ps_push_chunk_header *chunk, ps_slice payload,
                        ps_push_owner owner)
{
    ps_status st = PS_OK;
    if (!push->duplicate)
        st = add_chunk(push, chunk, payload, owner);
    if ((st || push->duplicate) && owner.release)
        owner.release(owner.user);
    return st;
}

uint64_t ps_push_bytes(const ps_push *push)
{
    return push->bytes;
}

bool ps_push_is_quick(const ps_push *push)
{
    return push->bytes <= QUICK_BYTES && !push->store->ops->holds;
}

static int by_place(const void *a, const void *b)
{
    return before(a, b) ? -1 : before(b, a);
}

/* The blocks that it touches, once each. */
static ps_status list_blocks(ps_push *push)
{
    push->blocks = ps_try_alloc_raw(push->n * sizeof *push->blocks);
    push->left_out = ps_try_alloc_raw(push->n * sizeof *push->left_out);
    if (!push->blocks || !push->left_out)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "out of memory for this push");
    for (size_t i = 0; i < push->n; i++)
        if (i == 0 || push->chunks[i].block != push->chunks[i - 1].block)
            push->blocks[push->n_blocks++] = push->chunks[i].block;
    return PS_OK;
}

/* Sorted, without overlaps; and room for the pieces of the block that has most. */
static ps_status arrange(ps_push *push)
{
    if (push->n == 0)
        return ps_fail(PS_INVALID_ARGUMENT, "push without a chunk");
    if (!push->sorted)
        qsort(push->chunks, push->n, sizeof *push->chunks, by_place);
    size_t most = 1, run = 1;
    for (size_t i = 1; i < push->n; i++) {
        const push_chunk *last = &push->chunks[i - 1], *c = &push->chunks[i];
        run = c->block == last->block ? run + 1 : 1;
        most = run > most ? run : most;
        if (run > 1 && c->begin < last->begin + last->count)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "push: two chunks have the same elements (%u and %u elements at %u and "
                           "%u of a block)",
                           last->count, c->count, last->begin, c->begin);
    }
    push->pieces = ps_try_alloc_raw(most * sizeof *push->pieces);
    if (!push->pieces)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "out of memory for this push");
    return list_blocks(push);
}

/* The chunk after those of the same block. */
static size_t after_block(const ps_push *push, size_t first)
{
    size_t i = first;
    while (i < push->n && push->chunks[i].block == push->chunks[first].block)
        i++;
    return i;
}

/* Of the blocks that have not got its rows before. */
static uint64_t count_elements(const ps_push *push)
{
    uint64_t n = 0;
    for (size_t b = 0, i = 0; b < push->n_blocks; b++)
        for (size_t after = after_block(push, i); i < after; i++)
            n += push->left_out[b] ? 0 : push->chunks[i].count;
    return n;
}

static double clip_scale(const ps_push *push)
{
    double limit = push->store->config.clip_norm, norm = sqrt(push->sum_sq);
    return limit > 0 && norm > limit ? limit / norm : 1;
}

/* Decoded ones lie one after the other in scratch: they do not overlap, so that they fit. */
static size_t gather(const ps_push *push, size_t first)
{
    float *room = push->scratch;
    size_t n = 0;
    for (size_t i = first; i < push->n && push->chunks[i].block == push->chunks[first].block; i++) {
        const push_chunk *c = &push->chunks[i];
        const void *values = c->payload.data;
        if (!c->codec->identity) {
            c->codec->decode(c->payload, c->count, room);
            values = room;
            room += c->count;
        }
        push->pieces[n++] =
            (ps_block_piece){.begin = c->begin, .count = c->count, .values = values};
    }
    return n;
}

static void apply_now(const ps_push *push, uint64_t *version)
{
    double scale = clip_scale(push);
    ps_update update;
    ps_update_begin(push->store, count_elements(push), push->rows_before, &update);
    for (size_t b = 0, i = 0; b < push->n_blocks; i = after_block(push, i), b++)
        if (!push->left_out[b])
            ps_update_block(&update, push->blocks[b], push->pieces, gather(push, i), scale);
    ps_update_end(&update);
    *version = update.version;
}

static void hold(const ps_push *push)
{
    for (size_t b = 0, i = 0; b < push->n_blocks; i = after_block(push, i), b++)
        if (!push->left_out[b])
            ps_accumulator_add(push->store->held, push->blocks[b], push->pieces, gather(push, i),
                               push->header.weight);
}

/* Staleness: updates begun since it was pulled, but for its own. */
static ps_push_reply carry_out(const ps_push *push, ps_verdict verdict)
{
    ps_trace("push",
             "admitted worker=%s lease=%" PRIu64 " client=%" PRIu64 " sequence=%" PRIu64
             " held_clock=%" PRIu64 " rows=%" PRIu64 "..%" PRIu64 " blocks=%zu",
             ps_push_peer_name(push->ticket.client), push->header.lease, push->header.incarnation,
             push->header.sequence, verdict.held_clock, push->header.rows.begin,
             push->header.rows.end, push->n_blocks);
    ps_push_reply reply = {0};
    uint64_t before, pulled = push->header.pulled_version;
    if (verdict.held_clock) {
        hold(push);
        before = reply.version = ps_update_count(push->store); /* its clock has not ended */
    } else {
        apply_now(push, &reply.version);
        before = reply.version - 1;
    }
    reply.staleness = before > pulled ? before - pulled : 0;
    ps_trace("push",
             "%s worker=%s client=%" PRIu64 " sequence=%" PRIu64 " version=%" PRIu64
             " staleness=%" PRIu64,
             verdict.held_clock ? "held" : "applied", ps_push_peer_name(push->ticket.client),
             push->header.incarnation, push->header.sequence, reply.version, reply.staleness);
    return reply;
}

/* The controller has let it in: it is booked, or goes out again. */
static ps_status book(ps_push *push, ps_verdict verdict)
{
    const ps_push_header *h = &push->header;
    ps_param_store *store = push->store;
    const ps_ledger_push booked = {.lease = h->lease,
                                   .rows = h->rows,
                                   .parts = h->parts,
                                   .clock = verdict.held_clock,
                                   .blocks = push->blocks,
                                   .left_out = push->left_out,
                                   .n_blocks = push->n_blocks};
    ps_status st = ps_ledger_book(store->ledger, &booked, &push->rows_before, &push->whole);
    if (!st)
        return PS_OK;
    ps_error error;
    ps_error_save(&error, st);
    ps_store_turn(store, store->ops->withdraw(store->controller));
    return ps_error_raise(&error);
}

static uint64_t append(const ps_push *push, const char *client, uint64_t version,
                       ps_verdict verdict)
{
    const ps_committer *c = push->store->config.committer;
    const ps_commit_record record = {.client = client,
                                     .header = &push->header,
                                     .version = version,
                                     .held_clock = verdict.held_clock};
    return c ? c->append(c->state, &record) : 0;
}

/* In the gate, so that a snapshot has the update, its rows and its reply, or none of them. */
static ps_status apply(ps_push *push, ps_push_reply *reply)
{
    ps_param_store *store = push->store;
    if (atomic_load(&store->stopped))
        return ended();
    ps_status st = ps_push_windows_confirm(store->windows, &push->ticket);
    if (st)
        return st;
    ps_verdict verdict;
    st = store->ops->admit(store->controller, &push->header, &verdict);
    if (!st)
        st = book(push, verdict);
    if (st)
        return st;
    *reply = carry_out(push, verdict);
    const char *client = ps_push_peer_name(push->ticket.client);
    reply->position = append(push, client, reply->version, verdict);
    ps_store_turn(store, store->ops->added(store->controller, client, push->whole));
    ps_push_windows_finish(store->windows, &push->ticket, reply, verdict.held_clock);
    return PS_OK;
}

static void count_accepted(const ps_push *push, const ps_push_reply *reply)
{
    ps_param_store *store = push->store;
    ps_mutex_lock(&store->stats_lock);
    if (push->duplicate) {
        store->stats.duplicates++;
    } else {
        store->stats.pushes++;
        store->stats.push_bytes += push->bytes;
        store->stats.staleness_sum += (double)reply->staleness;
        if (reply->staleness > store->stats.staleness_max)
            store->stats.staleness_max = reply->staleness;
    }
    ps_mutex_unlock(&store->stats_lock);
}

static void free_push(ps_push **out)
{
    ps_push *push = *out;
    for (size_t i = 0; i < push->n; i++)
        if (push->chunks[i].owner.release)
            push->chunks[i].owner.release(push->chunks[i].owner.user);
    free(push->chunks);
    free(push->scratch);
    free(push->pieces);
    free(push->blocks);
    free(push->left_out);
    ps_param_store_unref(&push->store);
    ps_free(out);
}

/* *reply is filled in. */
static ps_status commit(ps_push *push, ps_push_reply *reply)
{
    if (push->duplicate) {
        *reply = push->reply;
        return PS_OK;
    }
    ps_status st = arrange(push);
    if (st)
        return st;
    ps_update_enter(push->store);
    st = apply(push, reply);
    ps_update_leave(push->store);
    return st;
}

ps_status ps_push_commit(ps_push **out, ps_push_reply *reply, ps_push_waiter *waiter)
{
    ps_push *push = *out;
    const ps_committer *c = push->store->config.committer;
    if (waiter)
        waiter->later = false;
    ps_status st = commit(push, reply);
    if (st) {
        ps_push_abort(out);
        return st;
    }
    count_accepted(push, reply);
    free_push(out); /* what was received goes before the wait */
    return c && reply->position && waiter
               ? c->await(c->state, reply->position, &waiter->later, waiter->cb, waiter->user)
               : PS_OK;
}

void ps_push_abort(ps_push **out)
{
    ps_push *push = *out;
    if (!push)
        return;
    if (!push->duplicate) {
        ps_push_windows_drop(push->store->windows, &push->ticket);
        count_refused(push->store);
    }
    free_push(out);
}
