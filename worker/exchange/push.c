/* Happy path: begin takes a free set, ready() marks a tensor and wakes the loop (push_send.c), and
 * the set is free again when all its buckets are acknowledged. Fails when a push failed for good:
 * the first such failure is what every call returns from then on, until stop. */
#include "worker/exchange/push.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/exchange/push_internal.h"

#include <inttypes.h>

static void wake(ps_pusher *p)
{
    ps_gate_lock(p->remote.gate);
    bool post = !p->wake_posted;
    p->wake_posted = true;
    ps_gate_unlock(p->remote.gate);
    if (post)
        ps_loop_post(p->remote.loop, &p->wake_job);
}

/* With the lock held: the loop sees all of the step's sends or none. */
static void begin_step(ps_pusher *p, ps_push_step *step, const ps_pusher_step *about)
{
    ps_gate_require_held(p->remote.gate);
    PS_REQUIRE(!step->busy && step->open == 0);
    PS_REQUIRE(about->position <= about->next_position);
    step->busy = true;
    step->open = p->buckets.count;
    step->about = *about;
    p->position = about->next_position;
    for (size_t i = 0; i < p->maps->count; i++)
        atomic_store(&step->ready[i], false);
    for (size_t b = 0; b < p->buckets.count; b++) {
        ps_push_send *s = &step->sends[b];
        s->sequence = ++*p->sequence;
        ps_push_send_move(s, PS_SEND_IDLE); /* the loop leaves it alone until a piece is ready */
    }
}

ps_status ps_pusher_begin(ps_pusher *p, const ps_pusher_step *about)
{
    ps_gate *gate = p->remote.gate;
    ps_push_step *step = &p->steps[p->next];
    ps_status st = PS_OK;
    ps_gate_lock(gate);
    while (!st && !p->error.code && step->busy)
        st = ps_gate_wait(gate);
    if (!st)
        st = ps_error_raise(&p->error);
    if (!st)
        begin_step(p, step, about);
    ps_gate_unlock(gate);
    if (st)
        return st;
    ps_trace("push",
             "begun job=%" PRIu64 " lease=%" PRIu64 " client=%" PRIu64 " sequence=%" PRIu64
             " clock=%" PRIu64 " version=%" PRIu64,
             p->job_id, about->lease, p->incarnation, *p->sequence, about->clock,
             about->pulled_version);
    p->current = step;
    p->given = false;
    p->next = (p->next + 1) % p->sets;
    return PS_OK;
}

static void encode(ps_pusher *p, ps_push_step *step, size_t i)
{
    PS_REQUIRE(i < p->maps->count);
    for (size_t c = p->chunks.first[i]; c < p->chunks.first[i + 1]; c++) {
        const ps_chunk *chunk = &p->chunks.list[c];
        void *state = NULL;
        if (p->codec_state)
            state = p->codec_state + (p->offsets[i] + chunk->at) * p->codec->state_bytes;
        step->lengths[c] = (uint32_t)p->codec->encode(state, step->wire[i] + chunk->at,
                                                      chunk->count, step->encoded + chunk->room);
    }
}

static void give(ps_pusher *p, size_t i)
{
    PS_REQUIRE(i < p->maps->count && p->current && p->current->busy);
    PS_REQUIRE(!atomic_load(&p->current->ready[i]));
    ps_push_step *step = p->current;
    if (step->wire[i] != step->gradients[i])
        ps_tensor_map_gather(&p->maps->tensors[i], step->gradients[i], step->wire[i]);
    if (step->encoded)
        encode(p, step, i);
    p->given = true;
    ps_trace("push", "ready job=%" PRIu64 " lease=%" PRIu64 " clock=%" PRIu64 " tensor=%s",
             p->job_id, step->about.lease, step->about.clock, p->maps->tensors[i].name);
    atomic_store(&step->ready[i], true);
}

static ps_status apply_stages(ps_pusher *p, size_t first, size_t count)
{
    return ps_stages_apply(&(ps_stage_step){.train = p->train,
                                            .gradients = p->current->gradients + first,
                                            .elements = p->elements + first,
                                            .count = count,
                                            .clock = p->current->about.clock});
}

float *ps_pusher_memory(const ps_pusher *p, size_t tensor)
{
    PS_REQUIRE(p->current && tensor < p->maps->count);
    return p->current->gradients[tensor];
}

ps_status ps_pusher_ready(ps_pusher *p, size_t tensor)
{
    PS_REQUIRE(p->current && tensor < p->maps->count);
    if (p->whole)
        return PS_OK; /* at the end */
    ps_status st = apply_stages(p, tensor, 1);
    if (st)
        return st;
    give(p, tensor);
    wake(p);
    return PS_OK;
}

ps_status ps_pusher_end(ps_pusher *p)
{
    PS_REQUIRE(p->current);
    if (!p->whole)
        return PS_OK;
    ps_status st = apply_stages(p, 0, p->maps->count);
    if (st)
        return st;
    for (size_t i = p->maps->count; i-- > 0;)
        give(p, i);
    wake(p);
    return PS_OK;
}

ps_status ps_pusher_drain(ps_pusher *p)
{
    ps_gate *gate = p->remote.gate;
    ps_status st = PS_OK;
    ps_gate_lock(gate);
    for (unsigned i = 0; i < p->sets; i++)
        while (!st && !p->error.code && p->steps[i].busy)
            st = ps_gate_wait(gate);
    if (!st)
        st = ps_error_raise(&p->error);
    ps_gate_unlock(gate);
    return st;
}

/* With the lock held. */
static bool payload_held(const ps_pusher *p)
{
    ps_gate_require_held(p->remote.gate);
    for (unsigned i = 0; i < p->sets; i++)
        for (size_t b = 0; b < p->buckets.count; b++)
            if (p->steps[i].sends[b].held)
                return true;
    return false;
}

void ps_pusher_stop(ps_pusher *p)
{
    ps_gate *gate = p->remote.gate;
    ps_gate_lock(gate);
    p->stopping = true;
    ps_gate_unlock(gate);
    ps_remote_run(&p->remote, ps_pusher_stop_sends, p); /* after a wake that was posted before */
    ps_gate_lock(gate);
    while (p->live || payload_held(p))
        ps_gate_wait_always(gate);
    for (unsigned i = 0; i < p->sets; i++) {
        p->steps[i].busy = false;
        p->steps[i].open = 0;
        for (size_t b = 0; b < p->buckets.count; b++)
            p->steps[i].sends[b].acked = false;
    }
    p->stopping = false;
    p->error = (ps_error){.code = PS_OK};
    ps_gate_unlock(gate);
}

bool ps_pusher_given(const ps_pusher *p)
{
    return p->given;
}

uint64_t ps_pusher_position(ps_pusher *p)
{
    ps_gate_lock(p->remote.gate);
    uint64_t position = p->position;
    for (unsigned i = 0; i < p->sets; i++)
        if (p->steps[i].busy && p->steps[i].about.position < position)
            position = p->steps[i].about.position;
    ps_gate_unlock(p->remote.gate);
    return position;
}

void ps_pusher_stats_get(ps_pusher *p, ps_pusher_stats *out)
{
    ps_gate_lock(p->remote.gate);
    *out = p->stats;
    ps_gate_unlock(p->remote.gate);
}

/* ---- making and freeing ---- */

static void sends_init(ps_pusher *p, ps_push_step *step)
{
    step->sends = ps_alloc_array(p->buckets.count, sizeof(*step->sends));
    for (size_t b = 0; b < p->buckets.count; b++) {
        ps_push_send *s = &step->sends[b];
        s->pusher = p;
        s->step = step;
        s->bucket = &p->buckets.list[b];
        s->state = PS_SEND_DONE;
    }
}

static ps_status take_memory(ps_pusher *p, uint64_t elements, void **out)
{
    ps_status st = elements ? ps_host_new(p->backend, elements * sizeof(float), out) : PS_OK;
    return st ? ps_wrap(st, "gradients on their way") : PS_OK;
}

/* Has it a copy of its own in wire order? What is encoded at once needs none beside the model's. */
static bool copied(const ps_pusher *p, const ps_pusher_options *options, size_t i)
{
    return (p->sets > 1 && p->codec->identity) || !p->maps->tensors[i].same_order ||
           !options->gradients[i];
}

static ps_status encoded_init(ps_pusher *p, ps_push_step *step)
{
    if (p->codec->identity)
        return PS_OK;
    step->lengths = ps_alloc_array(p->chunks.first[p->maps->count], sizeof(*step->lengths));
    step->encoded = ps_try_alloc_raw(p->chunks.bytes);
    if (!step->encoded)
        return ps_fail(PS_NO_MEMORY, "gradients in codec %s", p->codec->name);
    return PS_OK;
}

static ps_status step_init(ps_pusher *p, const ps_pusher_options *options, ps_push_step *step)
{
    size_t count = p->maps->count;
    step->gradients = ps_alloc_array(count, sizeof(*step->gradients));
    step->wire = ps_alloc_array(count, sizeof(*step->wire));
    step->ready = ps_alloc_array(count, sizeof(*step->ready));
    sends_init(p, step);
    uint64_t elements = 0;
    for (size_t i = 0; i < count; i++)
        elements += copied(p, options, i) ? p->elements[i] : 0;
    ps_status st = take_memory(p, elements, &step->memory);
    if (!st)
        st = encoded_init(p, step);
    if (st)
        return st;
    float *at = step->memory, *unordered = p->unordered;
    for (size_t i = 0; i < count; i++) {
        step->gradients[i] = step->wire[i] = options->gradients[i];
        if (copied(p, options, i)) {
            step->wire[i] = at;
            at += p->elements[i];
        }
        if (options->gradients[i])
            continue;
        step->gradients[i] = step->wire[i];
        if (!p->maps->tensors[i].same_order) {
            step->gradients[i] = unordered;
            unordered += p->elements[i];
        }
    }
    return PS_OK;
}

static ps_status take_state(ps_pusher *p)
{
    if (!p->codec->state_bytes)
        return PS_OK;
    p->codec_state = ps_try_alloc(p->maps->elements * p->codec->state_bytes);
    if (!p->codec_state)
        return ps_fail(PS_NO_MEMORY, "what codec %s leaves out of gradients", p->codec->name);
    return PS_OK;
}

static ps_status steps_init(ps_pusher *p, const ps_pusher_options *options)
{
    uint64_t unordered = 0;
    for (size_t i = 0; i < p->maps->count; i++)
        if (!options->gradients[i] && !p->maps->tensors[i].same_order)
            unordered += p->elements[i];
    ps_status st = take_memory(p, unordered, &p->unordered);
    if (!st)
        st = take_state(p);
    for (unsigned i = 0; !st && i < p->sets; i++)
        st = step_init(p, options, &p->steps[i]);
    return st;
}

static void create_timer(void *state)
{
    ps_pusher *p = state;
    ps_loop_require_on(p->remote.loop);
    ps_timer_create(p->remote.loop, ps_pusher_retry_cb, p, &p->timer);
}

static void free_timer(void *state)
{
    ps_pusher *p = state;
    ps_loop_require_on(p->remote.loop);
    PS_REQUIRE(!p->live);
    ps_timer_free(&p->timer);
}

static void free_memory(ps_pusher *p)
{
    for (unsigned i = 0; i < p->sets; i++) {
        ps_free(&p->steps[i].sends);
        ps_free(&p->steps[i].gradients);
        ps_free(&p->steps[i].wire);
        ps_free(&p->steps[i].encoded);
        ps_free(&p->steps[i].lengths);
        ps_free(&p->steps[i].ready);
        ps_host_free(p->backend, &p->steps[i].memory);
    }
    ps_host_free(p->backend, &p->unordered);
    ps_free(&p->codec_state);
    ps_free(&p->offsets);
    ps_chunks_free(&p->chunks);
    ps_buckets_free(&p->buckets);
    ps_pieces_free(&p->pieces);
    ps_free(&p->steps);
    ps_free(&p->elements);
    ps_free(&p);
}

/* Of a piece as it is sent. */
static uint64_t piece_bytes(const ps_pusher *p, const ps_tensor_piece *piece)
{
    uint64_t bytes = 0;
    size_t end = ps_chunks_find(&p->chunks, piece->tensor, piece->end);
    for (size_t c = ps_chunks_find(&p->chunks, piece->tensor, piece->begin); c < end; c++)
        bytes += p->codec->encoded_max(p->chunks.list[c].count);
    return bytes;
}

static void plan(ps_pusher *p, const ps_pusher_options *options)
{
    size_t most = p->codec->encoded_max(PS_CHUNK_ELEMENTS);
    size_t one = (most + PS_CHUNK_ELEMENTS - 1) / PS_CHUNK_ELEMENTS;
    ps_chunks_make(p->maps, p->codec, &p->chunks);
    ps_pieces_make(p->maps, one, options->piece_bytes ? options->piece_bytes : PS_PIECE_BYTES,
                   &p->pieces);
    uint64_t *bytes = ps_alloc_array(p->pieces.count, sizeof(*bytes));
    for (size_t i = 0; i < p->pieces.count; i++)
        bytes[i] = piece_bytes(p, &p->pieces.list[i]);
    ps_buckets_plan(bytes, p->pieces.count,
                    options->bucket_bytes ? options->bucket_bytes : PS_BUCKET_BYTES, &p->buckets);
    ps_free(&bytes);
}

ps_status ps_pusher_create(const ps_pusher_options *options, ps_pusher **out)
{
    PS_REQUIRE(options->sets > 0 && options->sequence && options->maps->count > 0);
    const ps_tensor_maps *maps = options->maps;
    const ps_codec *codec = ps_codec_by_name(options->train->codec.gradients);
    if (!codec)
        return ps_fail(PS_UNIMPLEMENTED, "this worker has no codec %s",
                       options->train->codec.gradients);
    ps_pusher *p = ps_new(ps_pusher);
    p->remote = *options->remote;
    p->job_id = options->job_id;
    p->incarnation = options->incarnation;
    p->sequence = options->sequence;
    p->maps = maps;
    p->train = options->train;
    p->codec = codec;
    p->backend = options->backend;
    p->sets = options->sets;
    p->whole = ps_stages_whole(options->train);
    p->steps = ps_alloc_array(p->sets, sizeof(*p->steps));
    p->elements = ps_alloc_array(maps->count, sizeof(*p->elements));
    p->offsets = ps_alloc_array(maps->count, sizeof(*p->offsets));
    for (size_t i = 0; i < maps->count; i++) {
        p->elements[i] = maps->tensors[i].elements;
        p->offsets[i] = i ? p->offsets[i - 1] + p->elements[i - 1] : 0;
    }
    plan(p, options);
    ps_status st = steps_init(p, options);
    if (st) {
        free_memory(p);
        return st;
    }
    ps_loop_task_init(&p->wake_job, ps_pusher_wake_cb);
    ps_remote_run(&p->remote, create_timer, p);
    *out = p;
    return PS_OK;
}

void ps_pusher_free(ps_pusher **pusher)
{
    ps_pusher *p = *pusher;
    if (!p)
        return;
    ps_pusher_stop(p);
    ps_remote_run(&p->remote, free_timer, p);
    free_memory(p);
    *pusher = NULL;
}
