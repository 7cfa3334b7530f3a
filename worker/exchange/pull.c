/* Happy path: the task's thread starts a pull and goes on; the loop's thread makes the call, copies
 * each chunk to where it belongs and says which tensors are whole; the stream's end says that what
 * did not come has not changed.
 *
 * Failing: see remote.h for what is repeated. Chunks that do not fit the job's tensors are psd's
 * error and end the pull. */
#include "worker/exchange/pull.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>

static const char path[] = "/psd.v1.Parameters/Pull";

struct ps_puller {
    ps_remote remote;
    uint64_t job_id;
    const ps_tensor_maps *maps;
    const ps_codec *codec; /* of this pull, or of the last */
    float **targets;
    ps_loop_task start_job;

    /* under the gate's lock */
    bool running;
    bool stopping;
    unsigned live; /* calls whose end has not come */
    ps_error error;
    bool *ready;
    uint64_t version;  /* of the last pull that ended well; 0: everything is wanted */
    uint64_t waypoint; /* of the parameters as they were then; 0: as they are */
    uint64_t bytes;

    /* the loop's */
    ps_call *call;
    ps_timer *timer;
    ps_retry retry;
    bool again;     /* this pull has been broken */
    uint64_t *left; /* elements not yet arrived, of each tensor */
    float *decoded; /* a chunk that has to be decoded and put into another order; when first used */
    ps_ranges *written; /* [maps->count]; the task's thread takes those of tensors that are ready */
    uint64_t header_version;
    bool has_header;
    Psd__V1__Range *ranges; /* room for every shard */
    Psd__V1__Range **range_pointers;
};

static void ended(ps_puller *p, ps_status status, const char *message)
{
    ps_trace("pull", "ended job=%" PRIu64 " version=%" PRIu64 " status=%s", p->job_id,
             p->header_version, ps_status_name(status));
    ps_gate *gate = p->remote.gate;
    ps_gate_lock(gate);
    if (status) {
        ps_error_save(&p->error, ps_fail(status, "%s", message));
        p->version = 0;
    } else {
        for (size_t i = 0; i < p->maps->count; i++)
            p->ready[i] = true;
        /* tensors of the broken attempt may be older than the header of the last one */
        p->version = p->again ? 0 : p->header_version;
    }
    p->running = false;
    ps_gate_notify(gate);
    ps_gate_unlock(gate);
}

/* Where a chunk's numbers are decoded to: their place, or where they wait to be brought into the
 * model's order. */
static float *room_for(ps_puller *p, const Psd__V1__Chunk *chunk, size_t i)
{
    const ps_tensor_map *map = &p->maps->tensors[i];
    if (map->same_order)
        return p->targets[i] + map->shards[chunk->shard].wire_offset + chunk->offset;
    if (!p->decoded)
        p->decoded = ps_alloc_array(PS_CHUNK_ELEMENTS, sizeof(*p->decoded));
    return p->decoded;
}

/* Of a tensor that is trained in a form. */
static ps_status decode_form(ps_puller *p, const Psd__V1__Chunk *chunk, ps_slice payload, size_t i)
{
    const ps_tensor_map *map = &p->maps->tensors[i];
    ps_form form = map->form;
    if (!form.row)
        return ps_fail(PS_PROTOCOL, "pull: tensor %s is not trained in a form", map->name);
    if (!chunk->count || chunk->count % form.group ||
        payload.len != ps_form_row_bytes(form, chunk->count))
        return ps_fail(PS_PROTOCOL, "pull: tensor %s: %zu bytes are not %u elements of its form",
                       map->name, payload.len, chunk->count);
    ps_form_decode(form, payload.data, 1, chunk->count, room_for(p, chunk, i));
    return PS_OK;
}

/* Into the model's order; the chunk lies within its shard. */
static ps_status place(ps_puller *p, const Psd__V1__Chunk *chunk, ps_slice payload, size_t i)
{
    PS_REQUIRE(i < p->maps->count);
    const ps_tensor_map *map = &p->maps->tensors[i];
    if (chunk->codec == PSD__V1__CODEC__CODEC_FORM) {
        ps_status st = decode_form(p, chunk, payload, i);
        if (!st && !map->same_order)
            ps_tensor_map_scatter(map, chunk->shard, chunk->offset, chunk->count, p->decoded,
                                  p->targets[i]);
        return st;
    }
    const ps_codec *codec = ps_codec_by_number((uint32_t)chunk->codec);
    if (!codec)
        return ps_fail(PS_PROTOCOL, "pull: tensor %s: unknown codec %d", map->name, chunk->codec);
    ps_status st = ps_codec_check(codec, payload, chunk->count);
    if (st)
        return ps_fail(PS_PROTOCOL, "pull: tensor %s: %s", map->name, ps_error_message());
    const void *values = payload.data;
    if (!codec->identity) {
        codec->decode(payload, chunk->count, room_for(p, chunk, i));
        if (map->same_order)
            return PS_OK;
        values = p->decoded;
    }
    ps_tensor_map_scatter(map, chunk->shard, chunk->offset, chunk->count, values, p->targets[i]);
    return PS_OK;
}

static ps_status take_chunk(ps_puller *p, const Psd__V1__Chunk *chunk, ps_slice payload)
{
    if (chunk->tensor_id >= p->maps->ids || p->maps->by_id[chunk->tensor_id] == PS_NO_TENSOR)
        return ps_fail(PS_PROTOCOL, "pull: psd sent tensor %u of %zu", chunk->tensor_id,
                       p->maps->ids);
    size_t i = p->maps->by_id[chunk->tensor_id];
    const ps_tensor_map *map = &p->maps->tensors[i];
    if (chunk->shard >= map->shard_count)
        return ps_fail(PS_PROTOCOL, "pull: tensor %s has no shard %u", map->name, chunk->shard);
    const ps_shard_map *shard = &map->shards[chunk->shard];
    if (chunk->offset > shard->elements || chunk->count > shard->elements - chunk->offset ||
        chunk->count > PS_CHUNK_ELEMENTS || chunk->count > p->left[i])
        return ps_fail(PS_PROTOCOL,
                       "pull: tensor %s: a chunk of %u elements at %" PRIu64 " does not fit",
                       map->name, chunk->count, chunk->offset);
    ps_status st = place(p, chunk, payload, i);
    if (st)
        return st;
    ps_range span = ps_tensor_map_span(map, chunk->shard, chunk->offset, chunk->count);
    ps_ranges_add(&p->written[i], span.begin, span.end);
    p->left[i] -= chunk->count;
    ps_gate_lock(p->remote.gate);
    p->bytes += payload.len;
    if (!p->left[i]) {
        ps_trace("pull", "ready job=%" PRIu64 " version=%" PRIu64 " tensor=%s", p->job_id,
                 p->header_version, map->name);
        p->ready[i] = true;
        ps_gate_notify(p->remote.gate);
    }
    ps_gate_unlock(p->remote.gate);
    return PS_OK;
}

static ps_status take_message(ps_puller *p, ps_slice bytes)
{
    ps_loop_require_on(p->remote.loop);
    ProtobufCMessage *message = NULL;
    ps_slice payload;
    ps_status st =
        ps_message_unpack(bytes, &psd__v1__pull_response__descriptor, &message, &payload);
    if (st)
        return st;
    const Psd__V1__PullResponse *response = (const Psd__V1__PullResponse *)message;
    if (response->header) {
        p->header_version = response->header->version;
        p->has_header = true;
    }
    if (response->chunk)
        st = take_chunk(p, response->chunk, payload);
    protobuf_c_message_free_unpacked(message, NULL);
    return st;
}

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    ps_puller *p = user;
    if (call == p->call) {
        ps_status st = take_message(p, ps_message_bytes(message));
        if (st) {
            p->call = NULL; /* its end is of no interest any more */
            ps_call_cancel(call);
            ended(p, st, ps_error_message());
        }
    }
    ps_message_release(&message);
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    ps_puller *p = user;
    bool current = call == p->call;
    ps_error error;
    ps_retry_error(call, status, message, &error);
    ps_call_unref(call);
    ps_gate_lock(p->remote.gate);
    PS_REQUIRE(p->live > 0);
    p->live--;
    bool stopping = p->stopping;
    ps_gate_notify(p->remote.gate);
    ps_gate_unlock(p->remote.gate);
    if (!current)
        return;
    p->call = NULL;
    uint64_t delay_ms;
    if (!status && !p->has_header) {
        ended(p, PS_PROTOCOL, "pull: psd sent no header");
    } else if (!status) {
        ps_retry_succeeded(&p->retry);
        ended(p, PS_OK, "");
    } else if (!stopping &&
               ps_retry_after(&p->retry, &error, ps_clock_ms(p->remote.clock), &delay_ms)) {
        p->again = true;
        ps_timer_start(p->timer, delay_ms, 0);
    } else {
        ended(p, status, message);
    }
}

static const ps_call_events events = {.on_message = message_cb, .on_end = end_cb};

/* The shards of the tensors that have not arrived. */
static size_t missing_ranges(ps_puller *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->maps->count; i++) {
        const ps_tensor_map *map = &p->maps->tensors[i];
        for (uint32_t s = 0; p->left[i] && s < map->shard_count; s++, n++) {
            psd__v1__range__init(&p->ranges[n]);
            p->ranges[n].tensor_id = map->id;
            p->ranges[n].shard = s;
        }
    }
    return n;
}

static void begin_call(ps_puller *p)
{
    ps_loop_require_on(p->remote.loop);
    PS_REQUIRE(!p->call);
    Psd__V1__PullRequest request = PSD__V1__PULL_REQUEST__INIT;
    request.job_id = p->job_id;
    request.codec = (Psd__V1__Codec)p->codec->number;
    request.forms = true; /* where psd trains in some, what is computed with are these */
    ps_gate_lock(p->remote.gate);
    p->live++;
    request.newer_than = p->again ? 0 : p->version;
    request.waypoint = p->waypoint;
    ps_gate_unlock(p->remote.gate);
    for (size_t i = 0; i < p->maps->count; i++)
        if (!p->again || p->left[i])
            p->left[i] = p->maps->tensors[i].elements;
    if (p->again || p->maps->ids != p->maps->count) { /* else all: no ranges */
        request.n_ranges = missing_ranges(p);
        request.ranges = p->range_pointers;
    }
    p->has_header = false;
    p->call = ps_channel_call(p->remote.channel, path, &(ps_call_options){.wait_for_ready = true},
                              &events, p);
    ps_trace("pull", "opened job=%" PRIu64 " newer_than=%" PRIu64 " ranges=%zu call=%p", p->job_id,
             request.newer_than, request.n_ranges, (void *)p->call);
    ps_call_send(p->call, &request.base, NULL);
    ps_call_half_close(p->call);
}

static void start_cb(ps_loop_task *job)
{
    ps_puller *p = ps_container(job, ps_puller, start_job);
    p->again = false;
    begin_call(p);
}

static void retry_cb(void *user)
{
    ps_puller *p = user;
    ps_loop_require_on(p->remote.loop);
    for (size_t i = 0; i < p->maps->count; i++)
        if (p->left[i]) {
            begin_call(p);
            return;
        }
    /* all had arrived when the call broke */
    ended(p, PS_OK, "");
}

static void create_timer(void *state)
{
    ps_puller *p = state;
    ps_loop_require_on(p->remote.loop);
    ps_timer_create(p->remote.loop, retry_cb, p, &p->timer);
}

void ps_puller_create(const ps_puller_options *options, ps_puller **out)
{
    PS_REQUIRE(options->maps->count > 0 && options->targets);
    const ps_tensor_maps *maps = options->maps;
    ps_puller *p = ps_new(ps_puller);
    p->remote = *options->remote;
    p->job_id = options->job_id;
    p->maps = maps;
    p->targets = ps_alloc_array(maps->count, sizeof(*p->targets));
    p->ready = ps_alloc_array(maps->count, sizeof(*p->ready));
    p->left = ps_alloc_array(maps->count, sizeof(*p->left));
    p->written = ps_alloc_array(maps->count, sizeof(*p->written));
    size_t shards = 0;
    for (size_t i = 0; i < maps->count; i++) {
        p->targets[i] = options->targets[i];
        shards += maps->tensors[i].shard_count;
    }
    p->ranges = ps_alloc_array(shards, sizeof(*p->ranges));
    p->range_pointers = ps_alloc_array(shards, sizeof(Psd__V1__Range *));
    for (size_t i = 0; i < shards; i++)
        p->range_pointers[i] = &p->ranges[i];
    ps_loop_task_init(&p->start_job, start_cb);
    ps_remote_run(&p->remote, create_timer, p);
    *out = p;
}

static void free_timer(void *state)
{
    ps_puller *p = state;
    ps_loop_require_on(p->remote.loop);
    PS_REQUIRE(!p->call);
    ps_timer_free(&p->timer);
}

void ps_puller_free(ps_puller **puller)
{
    ps_puller *p = *puller;
    if (!p)
        return;
    ps_puller_stop(p);
    ps_remote_run(&p->remote, free_timer, p);
    ps_free(&p->decoded);
    ps_free(&p->targets);
    ps_free(&p->ready);
    ps_free(&p->left);
    ps_free(&p->written);
    ps_free(&p->ranges);
    ps_free(&p->range_pointers);
    ps_free(puller);
}

void ps_puller_start(ps_puller *p, const ps_codec *codec)
{
    PS_REQUIRE(codec);
    ps_gate_lock(p->remote.gate);
    if (codec != p->codec) /* what was rounded differently counts as old */
        p->version = 0;
    PS_REQUIRE(!p->running); /* one at a time */
    p->codec = codec;
    p->running = true;
    p->stopping = false;
    p->error = (ps_error){.code = PS_OK};
    for (size_t i = 0; i < p->maps->count; i++)
        p->ready[i] = false;
    ps_gate_unlock(p->remote.gate);
    ps_loop_post(p->remote.loop, &p->start_job);
}

ps_status ps_puller_wait(ps_puller *p, size_t i)
{
    PS_REQUIRE(i < p->maps->count);
    ps_status st = PS_OK;
    ps_gate_lock(p->remote.gate);
    while (!st && !p->ready[i] && p->running)
        st = ps_gate_wait(p->remote.gate);
    if (!st && !p->ready[i])
        st = ps_error_raise(&p->error);
    ps_gate_unlock(p->remote.gate);
    return st;
}

void ps_puller_take(ps_puller *p, size_t i, ps_ranges *out)
{
    PS_REQUIRE(i < p->maps->count);
    *out = p->written[i];
    p->written[i].count = 0;
}

ps_status ps_puller_finish(ps_puller *p, uint64_t *version)
{
    ps_status st = PS_OK;
    ps_gate_lock(p->remote.gate);
    while (!st && p->running)
        st = ps_gate_wait(p->remote.gate);
    if (!st)
        st = ps_error_raise(&p->error);
    if (!st)
        *version = p->header_version;
    ps_gate_unlock(p->remote.gate);
    return st;
}

static void stop_on_loop(void *state)
{
    ps_puller *p = state;
    ps_loop_require_on(p->remote.loop);
    ps_timer_stop(p->timer);
    if (p->call)
        ps_call_cancel(p->call);
    else
        ended(p, PS_CANCELLED, "pull: stopped");
}

void ps_puller_stop(ps_puller *p)
{
    ps_gate *gate = p->remote.gate;
    ps_gate_lock(gate);
    bool running = p->running;
    p->stopping = true;
    ps_gate_unlock(gate);
    if (running)
        ps_remote_run(&p->remote, stop_on_loop, p);
    ps_gate_lock(gate);
    while (p->running || p->live)
        ps_gate_wait_always(gate);
    ps_gate_unlock(gate);
    ps_puller_forget(p);
}

void ps_puller_forget(ps_puller *p)
{
    ps_gate_lock(p->remote.gate);
    p->version = 0;
    ps_gate_unlock(p->remote.gate);
}

void ps_puller_aim(ps_puller *p, uint64_t waypoint)
{
    ps_gate_lock(p->remote.gate);
    PS_REQUIRE(!p->running);
    p->version = 0;
    p->waypoint = waypoint;
    ps_gate_unlock(p->remote.gate);
}

uint64_t ps_puller_bytes(const ps_puller *p)
{
    ps_gate_lock(p->remote.gate);
    uint64_t bytes = p->bytes;
    ps_gate_unlock(p->remote.gate);
    return bytes;
}
