/* Happy path: Describe says how the parameters are cut; pushes are sent one behind the other on one
 * connection, so that psd applies one while the next arrives; pulls are read in place.
 * Failure: the first call that ends badly; the rest is cancelled by closing the channel. */
#include "tests/bench/traffic.h"

#include "common/base/crc32c.h"
#include "common/base/mem.h"
#include "psd/v1/parameters.pb-c.h"

#include <string.h>

enum {
    GRADIENT = 16 << 20,
    PUSH_BYTES = 16 << 20,
    UNACKNOWLEDGED = 4,
    SMALL = 256,
    CALLS_MAX = 20000
};

typedef struct piece {
    uint32_t tensor, shard, count;
    uint64_t offset;
    const float *values;
} piece;

typedef struct push {
    traffic *t;
    ps_call *call; /* NULL: not in use */
    size_t at, end;
} push;

struct traffic {
    ps_loop *loop;
    ps_channel *channel;
    uint64_t job, incarnation, sequence, clock;
    piece *pieces;
    size_t n;
    uint64_t bytes;
    float *gradient;
    bool done;
    ps_error error;

    push pushes[UNACKNOWLEDGED];
    push *sending; /* takes chunks now */
    size_t next;   /* piece with which the next push begins */
    uint64_t begun_bytes, want_bytes;
    bool small; /* pushes of 1 KiB, one at a time */

    uint64_t pulled_bytes;
    bool checks;
    uint32_t crc; /* of what was pulled, when checks */
    ps_call *pull;

    double *us;
};

static uint64_t now(void)
{
    return ps_clock_ns(&ps_clock_system);
}

static void fail(traffic *t, ps_status st, const char *what, const char *message)
{
    if (!t->error.code)
        ps_error_save(&t->error, ps_fail(st ? st : PS_PROTOCOL, "%s: %s", what, message));
    t->done = true;
}

static ps_status run(traffic *t)
{
    ps_loop_run_until(t->loop, &t->done);
    t->done = false;
    return t->error.code ? ps_error_raise(&t->error) : PS_OK;
}

/* ---- what there is ---- */

static void add_shard(traffic *t, uint32_t tensor, const Psd__V1__Shard *shard)
{
    for (uint64_t offset = 0; offset < shard->elements; offset += shard->block_elements) {
        uint64_t left = shard->elements - offset;
        uint32_t count = left < shard->block_elements ? (uint32_t)left : shard->block_elements;
        t->pieces = ps_realloc(t->pieces, (t->n + 1) * sizeof *t->pieces);
        t->pieces[t->n++] =
            (piece){.tensor = tensor, .shard = shard->index, .offset = offset, .count = count};
        t->bytes += count * sizeof(float);
    }
}

static ps_status make_gradient(traffic *t)
{
    uint64_t room = t->bytes / sizeof(float) < GRADIENT ? t->bytes / sizeof(float) : GRADIENT;
    t->gradient = ps_try_alloc(room * sizeof(float));
    if (!t->gradient)
        return ps_fail(PS_NO_MEMORY, "no memory for a gradient");
    for (uint64_t i = 0; i < room; i++)
        t->gradient[i] = (float)((int)(i % 17) - 8) * 0.001f;
    uint64_t at = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (at + t->pieces[i].count > room)
            at = 0;
        t->pieces[i].values = t->gradient + at;
        at += t->pieces[i].count;
    }
    return PS_OK;
}

static ps_status describe(traffic *t)
{
    Psd__V1__DescribeRequest request = PSD__V1__DESCRIBE_REQUEST__INIT;
    request.job_id = t->job;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_channel_unary(t->channel, "/psd.v1.Parameters/Describe", &request.base,
                                    &psd__v1__describe_response__descriptor,
                                    &(ps_call_options){.deadline_ms = 10000}, &reply);
    if (st)
        return st;
    const Psd__V1__DescribeResponse *r = (const Psd__V1__DescribeResponse *)reply;
    for (size_t i = 0; i < r->n_tensors; i++)
        for (size_t s = 0; s < r->tensors[i]->n_shards; s++)
            add_shard(t, r->tensors[i]->id, r->tensors[i]->shards[s]);
    protobuf_c_message_free_unpacked(reply, NULL);
    return make_gradient(t);
}

ps_status traffic_open(ps_loop *loop, ps_channel *channel, uint64_t job, uint64_t incarnation,
                       uint64_t first_clock, traffic **out)
{
    traffic *t = ps_new(traffic);
    *t = (traffic){.loop = loop,
                   .channel = channel,
                   .job = job,
                   .incarnation = incarnation,
                   .clock = first_clock,
                   .us = ps_alloc_array(CALLS_MAX, sizeof(double))};
    ps_status st = describe(t);
    if (st) {
        traffic_close(&t);
        return st;
    }
    *out = t;
    return PS_OK;
}

void traffic_close(traffic **pointer)
{
    traffic *t = *pointer;
    if (!t)
        return;
    free(t->pieces);
    free(t->gradient);
    free(t->us);
    ps_free(pointer);
}

uint64_t traffic_bytes(const traffic *t)
{
    return t->bytes;
}

/* ---- push ---- */

static void begin_push(traffic *t);

static void send_piece(push *p, const piece *from, uint32_t count)
{
    Psd__V1__Chunk chunk = PSD__V1__CHUNK__INIT;
    chunk.tensor_id = from->tensor;
    chunk.shard = from->shard;
    chunk.offset = from->offset;
    chunk.count = count;
    chunk.codec = PSD__V1__CODEC__CODEC_FLOAT32;
    Psd__V1__PushRequest request = PSD__V1__PUSH_REQUEST__INIT;
    request.chunk = &chunk;
    const ps_payload payload = {.bytes = ps_slice_of(from->values, count * sizeof(float))};
    ps_call_send(p->call, &request.base, &payload);
}

static void feed(push *p)
{
    traffic *t = p->t;
    while (p->at < p->end && ps_call_writable(p->call)) {
        const piece *from = &t->pieces[p->at++];
        send_piece(p, from, t->small ? SMALL : from->count);
    }
    if (p->at == p->end && t->sending == p) {
        ps_call_half_close(p->call);
        t->sending = NULL;
        if (!t->small)
            begin_push(t);
    }
}

static void push_writable_cb(ps_call *call, void *user)
{
    feed(user);
}

static void push_message_cb(ps_call *call, ps_message *message, void *user)
{
    ps_message_release(&message);
}

static void push_end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    push *p = user;
    traffic *t = p->t;
    p->call = NULL;
    ps_call_unref(call);
    if (status) {
        fail(t, status, "push", message);
        return;
    }
    if (t->small) {
        t->done = true;
        return;
    }
    bool open = false;
    for (int i = 0; i < UNACKNOWLEDGED; i++)
        open |= t->pushes[i].call != NULL;
    begin_push(t);
    if (!open && !t->sending)
        t->done = true;
}

static const ps_call_events push_events = {
    .on_message = push_message_cb, .on_writable = push_writable_cb, .on_end = push_end_cb};

/* The pieces of the next push: 16 MiB of them, or what the model has left. */
static void take_pieces(traffic *t, push *p)
{
    uint64_t bytes = 0;
    p->at = p->end = t->next;
    if (t->small) {
        p->end++;
        return;
    }
    while (p->end < t->n && (bytes == 0 || bytes + t->pieces[p->end].count * 4 <= PUSH_BYTES))
        bytes += t->pieces[p->end++].count * sizeof(float);
    t->begun_bytes += bytes;
    t->next = p->end < t->n ? p->end : 0;
}

static void begin_push(traffic *t)
{
    push *p = NULL;
    for (int i = 0; i < UNACKNOWLEDGED && !p; i++)
        p = t->pushes[i].call ? NULL : &t->pushes[i];
    bool enough = !t->small && t->begun_bytes >= t->want_bytes;
    if (!p || t->sending || enough)
        return;
    p->t = t;
    take_pieces(t, p);
    Psd__V1__PushHeader header = PSD__V1__PUSH_HEADER__INIT;
    header.job_id = t->job;
    header.incarnation = t->incarnation;
    header.sequence = ++t->sequence;
    Psd__V1__PushRequest request = PSD__V1__PUSH_REQUEST__INIT;
    request.header = &header;
    t->sending = p;
    p->call = ps_channel_call(t->channel, "/psd.v1.Parameters/Push", &(ps_call_options){0},
                              &push_events, p);
    ps_call_send(p->call, &request.base, NULL);
    feed(p);
}

ps_status traffic_push(traffic *t, uint64_t bytes, double *rate)
{
    t->begun_bytes = 0;
    t->want_bytes = bytes;
    uint64_t begun = now();
    begin_push(t);
    ps_status st = run(t);
    *rate = (double)t->begun_bytes / (double)(now() - begun);
    return st;
}

/* ---- pull ---- */

static void begin_pull(traffic *t);

static void pull_message_cb(ps_call *call, ps_message *message, void *user)
{
    traffic *t = user;
    ProtobufCMessage *head = NULL;
    ps_slice payload;
    ps_status st = ps_message_unpack(ps_message_bytes(message), &psd__v1__pull_response__descriptor,
                                     &head, &payload);
    if (st) {
        fail(t, st, "pull", ps_error_message());
    } else {
        const Psd__V1__PullResponse *r = (const Psd__V1__PullResponse *)head;
        if (r->chunk && payload.len != r->chunk->count * sizeof(float))
            fail(t, PS_PROTOCOL, "pull", "a chunk of another size than it says");
        t->pulled_bytes += payload.len;
        if (t->checks)
            t->crc = ps_crc32c(t->crc, payload.data, payload.len);
        protobuf_c_message_free_unpacked(head, NULL);
    }
    ps_message_release(&message);
}

static void pull_end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    traffic *t = user;
    ps_call_unref(t->pull);
    t->pull = NULL;
    if (status)
        fail(t, status, "pull", message);
    else if (t->pulled_bytes % t->bytes)
        fail(t, PS_PROTOCOL, "pull", "not all of the parameters came");
    else if (t->pulled_bytes < t->want_bytes)
        begin_pull(t);
    else
        t->done = true;
}

static const ps_call_events pull_events = {.on_message = pull_message_cb, .on_end = pull_end_cb};

static void begin_pull(traffic *t)
{
    Psd__V1__PullRequest request = PSD__V1__PULL_REQUEST__INIT;
    request.job_id = t->job;
    t->pull = ps_channel_call(t->channel, "/psd.v1.Parameters/Pull", &(ps_call_options){0},
                              &pull_events, t);
    ps_call_send(t->pull, &request.base, NULL);
    ps_call_half_close(t->pull);
}

ps_status traffic_pull(traffic *t, uint64_t bytes, double *rate)
{
    t->pulled_bytes = 0;
    t->want_bytes = bytes;
    uint64_t begun = now();
    begin_pull(t);
    ps_status st = run(t);
    *rate = (double)t->pulled_bytes / (double)(now() - begun);
    return st;
}

ps_status traffic_pull_checked(traffic *t, double *rate, uint32_t *crc)
{
    t->checks = true;
    t->crc = 0;
    ps_status st = traffic_pull(t, t->bytes, rate);
    t->checks = false;
    *crc = t->crc;
    return st;
}

/* ---- latency ---- */

static void clock_done_cb(void *user, ps_status status, const char *message,
                          ProtobufCMessage *reply)
{
    traffic *t = user;
    if (reply)
        protobuf_c_message_free_unpacked(reply, NULL);
    if (status)
        fail(t, status, "clock", message);
    t->done = true;
}

static void begin_clock(traffic *t)
{
    static uint8_t padding[1024 - 16];
    ProtobufCMessageUnknownField field = {.tag = 1000,
                                          .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED};
    uint8_t text[2 + sizeof padding] = {(uint8_t)(0x80 | (sizeof padding & 0x7f)),
                                        (uint8_t)(sizeof padding >> 7)};
    memcpy(text + 2, padding, sizeof padding);
    field.len = sizeof text;
    field.data = text;
    Psd__V1__ClockRequest request = PSD__V1__CLOCK_REQUEST__INIT;
    request.job_id = t->job;
    request.incarnation = t->incarnation;
    request.clock = t->clock++;
    request.base.n_unknown_fields = 1;
    request.base.unknown_fields = &field;
    ps_channel_unary_async(t->channel, "/psd.v1.Parameters/Clock", &request.base,
                           &psd__v1__clock_response__descriptor, &(ps_call_options){0},
                           clock_done_cb, t);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

ps_status traffic_latency(traffic *t, traffic_call which, unsigned calls, double *p50, double *p99)
{
    ps_status st = PS_OK;
    if (calls > CALLS_MAX)
        calls = CALLS_MAX;
    t->small = which == TRAFFIC_SMALL_PUSH;
    t->next = 0;
    for (unsigned i = 0; i < calls && !st; i++) {
        uint64_t begun = now();
        if (t->small)
            begin_push(t);
        else
            begin_clock(t);
        st = run(t);
        t->us[i] = (double)(now() - begun) / 1e3;
    }
    t->small = false;
    qsort(t->us, calls, sizeof *t->us, by_value);
    *p50 = t->us[calls / 2];
    *p99 = t->us[calls * 99 / 100];
    return st;
}
