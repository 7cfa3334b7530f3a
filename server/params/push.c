/* begin takes the push's place in its client's window; chunks are checked and noted
 * (push_chunks.h); commit puts them in order, refuses overlaps, asks the consistency controller,
 * and does what it says inside the store's gate. What a peer can get wrong is found before anything
 * is applied; after that nothing fails. */
#include "server/params/push.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/loop/loop.h"
#include "server/params/committer.h"
#include "server/params/push_chunks.h"
#include "server/params/recording.h"
#include "server/params/store_private.h"
#include "server/params/waypoints.h"

#include <inttypes.h>
#include <math.h>

enum { QUICK_BYTES = 64 * 1024 }; /* applied in some tens of microseconds */

struct ps_push {
    ps_param_store *store;
    ps_push_header header;
    ps_push_ticket ticket;
    bool duplicate; /* no ticket; reply is the stored one */
    ps_push_reply reply;
    ps_push_chunks chunks;
    uint64_t rows_before; /* rows that were done when it was booked */
    bool whole;           /* its gradient has come whole with it */
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
    st = ps_ledger_check(store->ledger, h->lease, client);
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
    push->store = push->chunks.store = store;
    push->header = *header;
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

/* A tensor of another kind than parameters is changed by those alone who are to change it: what one
 * lease sets no other overwrites, and what is added up has each row once. */
static ps_status check_right(const ps_push *push, uint32_t tensor)
{
    const ps_placement *p = push->store->placement;
    const ps_push_header *h = &push->header;
    if (tensor >= p->n_tensors || !p->tensors[tensor].n_shards)
        return PS_OK; /* there is none: said where its place is looked at */
    const ps_param_tensor *t = &p->tensors[tensor];
    switch (push->store->blocks[t->shards[0].first_block]->kind->right) {
    case PS_BLOCK_LEASED:
        return ps_ledger_may_set(push->store->ledger, h->lease, tensor)
                   ? PS_OK
                   : ps_fail(PS_PERMISSION_DENIED,
                             "tensor %s: is not what lease %" PRIu64 " is for", t->name, h->lease);
    case PS_BLOCK_ROWS:
        return h->lease && h->rows.begin < h->rows.end
                   ? PS_OK
                   : ps_fail(PS_PERMISSION_DENIED,
                             "tensor %s: a push to it is under a lease, and says its rows",
                             t->name);
    default:
        return PS_OK;
    }
}

ps_status ps_push_chunk(ps_push *push, const ps_push_chunk_header *chunk, ps_slice payload,
                        ps_push_owner owner)
{
    ps_status st = push->duplicate ? PS_OK : check_right(push, chunk->tensor);
    if (!st && !push->duplicate)
        st = ps_push_chunks_add(&push->chunks, chunk, payload, owner);
    if ((st || push->duplicate) && owner.release)
        owner.release(owner.user);
    return st;
}

uint64_t ps_push_bytes(const ps_push *push)
{
    return push->chunks.bytes;
}

bool ps_push_is_quick(const ps_push *push)
{
    const ps_param_store *store = push->store;
    return push->chunks.bytes <= QUICK_BYTES && !store->ops->holds && !store->record &&
           !store->waypoints;
}

static double clip_scale(const ps_push *push)
{
    double limit = push->store->config.clip_norm, norm = sqrt(push->chunks.sum_sq);
    return limit > 0 && norm > limit ? limit / norm : 1;
}

typedef struct applying {
    ps_update update;
    double scale;
    bool paired;
    ps_noise_pair pair;
} applying;

static void apply_block(void *user, uint64_t block, const ps_block_piece *pieces, size_t n)
{
    applying *a = user;
    if (a->paired)
        ps_recording_pair_block(a->update.store, &a->pair, block, pieces, n);
    ps_update_block(&a->update, block, pieces, n, a->scale);
}

static void apply_now(const ps_push *push, uint64_t *version, ps_record_sketch **record)
{
    applying a = {.scale = clip_scale(push)};
    ps_update_begin(push->store, ps_push_chunks_elements(&push->chunks), push->rows_before,
                    &a.update);
    *record = a.update.record = ps_recording_begin(push->store, a.update.version);
    a.paired = ps_recording_pair_begin(push->store, &push->header,
                                       ps_push_chunks_elements(&push->chunks), &a.pair);
    ps_push_chunks_each(&push->chunks, apply_block, &a);
    if (a.paired)
        ps_noise_pair_end(push->store->noise, &a.pair, push->header.weight);
    ps_update_end(&a.update);
    *version = a.update.version;
}

typedef struct holding {
    const ps_push *push;
    ps_record_sketch *record;
    double square; /* of the gradient, where its noise is measured */
} holding;

static void hold_block(void *user, uint64_t block, const ps_block_piece *pieces, size_t n)
{
    holding *h = user;
    ps_param_store *store = h->push->store;
    double weight = h->push->header.weight;
    ps_accumulator_add(store->held, block, pieces, n, weight);
    if (h->record)
        ps_recording_hold_block(store, h->record, block, pieces, n, weight);
    for (size_t i = 0; store->noise && i < n; i++)
        h->square += ps_codec_scan_values(pieces[i].values, pieces[i].count, true).sum_sq;
}

/* In the gate: a snapshot has the update and its record, or neither. */
static void put_record(const ps_push *push, ps_record_sketch **record, const ps_push_reply *reply,
                       bool held)
{
    if (!*record)
        return;
    ps_param_store *store = push->store;
    const ps_influence_push about =
        ps_recording_about(store, ps_push_peer_name(push->ticket.client), &push->header, reply);
    if (held)
        ps_record_hold(store->record, record, &about);
    else
        ps_record_put(store->record, record, &about);
}

/* Staleness: updates begun since it was pulled, but for its own. */
static ps_push_reply carry_out(ps_push *push, ps_verdict verdict)
{
    ps_trace("push",
             "admitted worker=%s lease=%" PRIu64 " client=%" PRIu64 " sequence=%" PRIu64
             " held_clock=%" PRIu64 " rows=%" PRIu64 "..%" PRIu64 " blocks=%zu",
             ps_push_peer_name(push->ticket.client), push->header.lease, push->header.incarnation,
             push->header.sequence, verdict.held_clock, push->header.rows.begin,
             push->header.rows.end, push->chunks.n_blocks);
    ps_push_reply reply = {0};
    ps_record_sketch *record = NULL;
    uint64_t before, pulled = push->header.pulled_version;
    if (verdict.held_clock) {
        record = ps_recording_begin(push->store, verdict.held_clock);
        holding h = {push, record, 0};
        ps_push_chunks_each(&push->chunks, hold_block, &h);
        if (push->store->noise)
            ps_noise_hold(push->store->noise, ps_push_peer_name(push->ticket.client),
                          push->header.rows.begin, push->header.weight, h.square);
        before = reply.version = ps_update_count(push->store); /* its clock has not ended */
    } else {
        apply_now(push, &reply.version, &record);
        before = reply.version - 1;
    }
    reply.staleness = before > pulled ? before - pulled : 0;
    put_record(push, &record, &reply, verdict.held_clock != 0);
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
                                   .blocks = push->chunks.blocks,
                                   .left_out = push->chunks.left_out,
                                   .n_blocks = push->chunks.n_blocks};
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
    const ps_committer *c = push->store->config.host.committer;
    const ps_commit_record record = {.client = client,
                                     .header = &push->header,
                                     .version = version,
                                     .held_clock = verdict.held_clock,
                                     .chunks = &push->chunks};
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
    ps_update_require_entered(store);
    ps_verdict verdict;
    st = store->ops->admit(store->controller, &push->header, &verdict);
    if (!st)
        st = book(push, verdict);
    if (st)
        return st;
    PS_REQUIRE(!verdict.held_clock || store->held);
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
        store->stats.push_bytes += push->chunks.bytes;
        store->stats.staleness_sum += (double)reply->staleness;
        if (reply->staleness > store->stats.staleness_max)
            store->stats.staleness_max = reply->staleness;
    }
    ps_mutex_unlock(&store->stats_lock);
}

static void free_push(ps_push **out)
{
    ps_push *push = *out;
    ps_push_chunks_clear(&push->chunks);
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
    PS_REQUIRE(ps_push_is_quick(push) || !ps_loop_runs_here());
    ps_status st = ps_push_chunks_arrange(&push->chunks);
    if (st)
        return st;
    ps_update_enter(push->store);
    st = apply(push, reply);
    ps_update_leave(push->store);
    ps_waypoints_look(push->store);
    return st;
}

ps_status ps_push_commit(ps_push **out, ps_push_reply *reply, ps_push_waiter *waiter)
{
    ps_push *push = *out;
    const ps_committer *c = push->store->config.host.committer;
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

/* ---- who contributed ---- */

void ps_push_contributors(ps_param_store *store, ps_push_counted each, void *user)
{
    ps_push_windows_count(store->windows, each, user);
}

void ps_push_refused(ps_param_store *store, const char *client, ps_status st)
{
    if (st == PS_INVALID_ARGUMENT || st == PS_PERMISSION_DENIED || st == PS_NOT_FOUND)
        ps_push_windows_reject(store->windows, client);
}
