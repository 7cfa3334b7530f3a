#include "tests/lib/fake_parameters.h"

#include "common/base/mem.h"
#include "common/codec/codec.h"
#include "common/form/form.h"
#include "psd/v1/parameters.pb-c.h"
#include "tests/lib/ck_ok.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

size_t fake_parameters_applied(fake_parameters *p)
{
    pthread_mutex_lock(&p->lock);
    size_t count = p->applied_count;
    pthread_mutex_unlock(&p->lock);
    return count;
}

void fake_parameters_init(fake_parameters *fake)
{
    memset(fake, 0, sizeof(*fake));
    pthread_mutex_init(&fake->lock, NULL);
    fake->version = 10;
}

void fake_parameters_add(fake_parameters *fake, const char *name, int rank, const int64_t *shape)
{
    fake_tensor *t = &fake->tensors[fake->count++];
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->rank = rank;
    t->rows = 1;
    for (int d = 0; d < rank; d++) {
        t->shape[d] = (uint64_t)shape[d];
        if (d < rank - 1)
            t->rows *= t->shape[d];
    }
    t->columns = t->shape[rank - 1];
    t->split = rank > 1 ? t->columns / 3 + 1 : t->columns;
    t->version = fake->version;
    ck_assert_uint_le(t->rows * t->columns, FAKE_ELEMENTS);
    for (uint64_t i = 0; i < t->rows * t->columns; i++)
        t->values[i] = 0.01f * (float)(i % 23) - 0.1f + (float)fake->count;
}

static unsigned shards_of(const fake_tensor *t)
{
    return t->split < t->columns ? 2 : 1;
}

static uint64_t begin_of(const fake_tensor *t, unsigned shard)
{
    return shard ? t->split : 0;
}

static uint64_t width_of(const fake_tensor *t, unsigned shard)
{
    return shard ? t->columns - t->split : t->split;
}

static float *element(fake_tensor *t, unsigned shard, uint64_t offset)
{
    uint64_t w = width_of(t, shard);
    return &t->values[offset / w * t->columns + begin_of(t, shard) + offset % w];
}

static void describe(ps_call *call, const ProtobufCMessage *request, void *service)
{
    (void)request;
    fake_parameters *f = service;
    Psd__V1__Tensor tensors[FAKE_TENSORS], *list[FAKE_TENSORS];
    Psd__V1__Shard shards[FAKE_TENSORS][2], *shard_list[FAKE_TENSORS][2];
    for (size_t i = 0; i < f->count; i++) {
        fake_tensor *t = &f->tensors[i];
        psd__v1__tensor__init(&tensors[i]);
        tensors[i].id = (uint32_t)i;
        tensors[i].name = t->name;
        tensors[i].form = t->form;
        tensors[i].n_shape = (size_t)t->rank;
        tensors[i].shape = t->shape;
        tensors[i].data_type = PSD__V1__DATA_TYPE__DATA_TYPE_FLOAT32;
        for (unsigned s = 0; s < shards_of(t); s++) {
            psd__v1__shard__init(&shards[i][s]);
            shards[i][s].index = s;
            shards[i][s].column_begin = begin_of(t, s);
            shards[i][s].column_end = begin_of(t, s) + width_of(t, s);
            shards[i][s].elements = t->rows * width_of(t, s);
            shards[i][s].block_elements = FAKE_BLOCK;
            shard_list[i][s] = &shards[i][s];
        }
        tensors[i].n_shards = shards_of(t);
        tensors[i].shards = shard_list[i];
        list[i] = &tensors[i];
    }
    Psd__V1__DescribeResponse response = PSD__V1__DESCRIBE_RESPONSE__INIT;
    response.n_tensors = f->count;
    response.tensors = list;
    response.version = f->version;
    ps_call_reply(call, &response.base);
}

/* ---- pulls ---- */

static void drop_end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    (void)status;
    (void)message;
    (void)user;
    ps_call_unref(call);
}

static const ps_call_events silent_events = {.on_end = drop_end_cb};

static void keep_silent(ps_call *call)
{
    ps_call_ref(call);
    ps_call_set_events(call, &silent_events, NULL);
}

static void send_piece(ps_call *call, fake_tensor *t, size_t id, unsigned shard, uint64_t offset,
                       uint64_t n, const ps_codec *codec)
{
    float values[FAKE_BLOCK];
    uint8_t *copy = ps_alloc_array(FAKE_BLOCK, sizeof(float));
    for (uint64_t k = 0; k < n; k++)
        values[k] = *element(t, shard, offset + k);
    size_t len = codec->encode(NULL, values, (uint32_t)n, copy);
    ps_form form;
    bool in_form = *t->form && ps_form_parse(t->form, &form);
    if (in_form) {
        ps_form_encode(form, values, NULL, 1, n, copy);
        len = ps_form_row_bytes(form, n);
    }
    Psd__V1__Chunk chunk = PSD__V1__CHUNK__INIT;
    chunk.tensor_id = (uint32_t)id;
    chunk.shard = shard;
    chunk.offset = offset;
    chunk.count = (uint32_t)n;
    chunk.codec = in_form ? PSD__V1__CODEC__CODEC_FORM : (Psd__V1__Codec)codec->number;
    if (t->sent_as)
        chunk.codec = (Psd__V1__Codec)t->sent_as;
    chunk.version = t->version;
    Psd__V1__PullResponse response = PSD__V1__PULL_RESPONSE__INIT;
    response.chunk = &chunk;
    ps_payload payload = {
        .bytes = ps_slice_of(copy, len - t->left_out), .release = free, .user = copy};
    ps_call_send(call, &response.base, &payload);
}

static bool wanted(const Psd__V1__PullRequest *request, size_t id, unsigned shard)
{
    if (!request->n_ranges)
        return true;
    for (size_t i = 0; i < request->n_ranges; i++)
        if (request->ranges[i]->tensor_id == id && request->ranges[i]->shard == shard)
            return true;
    return false;
}

static void pull(ps_call *call, const ProtobufCMessage *message, void *service)
{
    fake_parameters *f = service;
    const Psd__V1__PullRequest *request = (const void *)message;
    pthread_mutex_lock(&f->lock);
    f->pulls++;
    f->newer_than = request->newer_than;
    f->ranges = request->n_ranges;
    bool broken = fault_strikes(&f->break_pulls);
    if (f->silent) {
        keep_silent(call);
        pthread_mutex_unlock(&f->lock);
        return;
    }
    Psd__V1__PullHeader header = PSD__V1__PULL_HEADER__INIT;
    header.version = f->version;
    Psd__V1__PullResponse first = PSD__V1__PULL_RESPONSE__INIT;
    first.header = &header;
    ps_call_send(call, &first.base, NULL);
    for (size_t i = 0; i < (broken ? f->count / 2 : f->count); i++) {
        fake_tensor *t = &f->tensors[i];
        for (unsigned s = 0; s < shards_of(t); s++) {
            uint64_t elements = t->rows * width_of(t, s);
            if (t->version <= request->newer_than || !wanted(request, i, s))
                continue;
            for (uint64_t o = 0; o < elements; o += FAKE_BLOCK)
                send_piece(call, t, i, s, o, elements - o < FAKE_BLOCK ? elements - o : FAKE_BLOCK,
                           ps_codec_by_number((uint32_t)request->codec));
        }
    }
    pthread_mutex_unlock(&f->lock);
    ps_call_finish(call, broken ? PS_UNAVAILABLE : PS_OK, broken ? "going down" : NULL);
}

/* ---- pushes ---- */

typedef struct pushing {
    fake_parameters *fake;
    uint64_t sequence, clock, pulled_version;
    double weight;
    float gradients[FAKE_TENSORS][FAKE_ELEMENTS];
    bool present[FAKE_TENSORS];
} pushing;

static void take_gradient(pushing *p, const Psd__V1__Chunk *chunk, ps_slice payload)
{
    fake_tensor *t = &p->fake->tensors[chunk->tensor_id];
    ck_assert_uint_lt(chunk->tensor_id, p->fake->count);
    ck_assert_uint_lt(chunk->shard, shards_of(t));
    const ps_codec *codec = ps_codec_by_number((uint32_t)chunk->codec);
    float values[FAKE_BLOCK];
    ck_ok(ps_codec_check(codec, payload, chunk->count));
    p->fake->codec = codec->number;
    /* within one block, as the protocol wants */
    ck_assert_uint_eq(chunk->offset / FAKE_BLOCK, (chunk->offset + chunk->count - 1) / FAKE_BLOCK);
    codec->decode(payload, chunk->count, values);
    for (uint32_t k = 0; k < chunk->count; k++)
        p->gradients[chunk->tensor_id][element(t, chunk->shard, chunk->offset + k) - t->values] =
            values[k];
    p->present[chunk->tensor_id] = true;
}

static void push_message_cb(ps_call *call, ps_message *message, void *user)
{
    (void)call;
    pushing *p = user;
    ProtobufCMessage *decoded = NULL;
    ps_slice payload;
    ck_ok(ps_message_unpack(ps_message_bytes(message), &psd__v1__push_request__descriptor, &decoded,
                            &payload));
    const Psd__V1__PushRequest *request = (const void *)decoded;
    if (request->header) {
        p->sequence = request->header->sequence;
        p->clock = request->header->clock;
        p->pulled_version = request->header->pulled_version;
        p->weight = request->header->weight;
        pthread_mutex_lock(&p->fake->lock);
        if (p->sequence > p->fake->newest_push)
            p->fake->newest_push = p->sequence;
        p->fake->lease = request->header->lease_id;
        pthread_mutex_unlock(&p->fake->lock);
    }
    if (request->chunk)
        take_gradient(p, request->chunk, payload);
    protobuf_c_message_free_unpacked(decoded, NULL);
    ps_message_release(&message);
}

static bool apply(fake_parameters *f, pushing *p)
{
    for (size_t i = 0; i < f->applied_count; i++)
        if (f->applied[i] == p->sequence)
            return false;
    ck_assert_uint_lt(f->applied_count, FAKE_PUSHES);
    f->applied[f->applied_count++] = p->sequence;
    f->version++;
    for (size_t i = 0; i < f->count; i++) {
        fake_tensor *t = &f->tensors[i];
        for (uint64_t k = 0; p->present[i] && k < t->rows * t->columns; k++)
            t->values[k] -= p->gradients[i][k];
        if (p->present[i])
            t->version = f->version;
    }
    return true;
}

static void push_all_cb(ps_call *call, void *user)
{
    pushing *p = user;
    fake_parameters *f = p->fake;
    pthread_mutex_lock(&f->lock);
    f->pushes++;
    f->clock = p->clock;
    f->pulled_version = p->pulled_version;
    f->weight = p->weight;
    if (fault_strikes(&f->jump))
        f->open_clock += 5;
    Psd__V1__PushResponse response = PSD__V1__PUSH_RESPONSE__INIT;
    if (fault_strikes(&f->refuse_pushes)) {
        ps_call_finish(call, PS_INVALID_ARGUMENT, "NaN in tensor x");
    } else if (f->open_clock && p->clock != f->open_clock) {
        ps_call_finish(call, PS_FAILED_PRECONDITION, "a gradient of another clock");
    } else if (p->sequence + FAKE_WINDOW <= f->newest_push) {
        ps_call_finish(call, PS_OUT_OF_RANGE, "older than the window");
    } else {
        response.duplicate = !apply(f, p);
        response.version = f->version;
        response.staleness = f->version - p->pulled_version - 1;
        if (fault_strikes(&f->lose_acks))
            ps_call_finish(call, PS_UNAVAILABLE, "lost");
        else
            ps_call_reply(call, &response.base);
    }
    pthread_mutex_unlock(&f->lock);
}

static void push_end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    (void)status;
    (void)message;
    pushing *p = user;
    pthread_mutex_lock(&p->fake->lock);
    p->fake->open--;
    pthread_mutex_unlock(&p->fake->lock);
    ps_free(&p);
    ps_call_unref(call);
}

static const ps_call_events push_events = {
    .on_message = push_message_cb, .on_half_close = push_all_cb, .on_end = push_end_cb};

static void push(ps_call *call, void *service)
{
    pushing *p = ps_new(pushing);
    p->fake = service;
    pthread_mutex_lock(&p->fake->lock);
    p->fake->open++;
    if (p->fake->open > p->fake->most_open)
        p->fake->most_open = p->fake->open;
    pthread_mutex_unlock(&p->fake->lock);
    ps_call_ref(call);
    ps_call_set_events(call, &push_events, p);
}

static void clock_ended(ps_call *call, const ProtobufCMessage *message, void *service)
{
    fake_parameters *f = service;
    pthread_mutex_lock(&f->lock);
    const Psd__V1__ClockRequest *request = (const void *)message;
    f->clocks++;
    f->early_clocks += f->pulls == 0;
    f->clock = request->clock;
    f->lease = request->lease_id;
    Psd__V1__ClockResponse response = PSD__V1__CLOCK_RESPONSE__INIT;
    if (f->open_clock && f->open_clock == request->clock)
        f->open_clock++;
    response.slowest_clock = f->open_clock ? f->open_clock - 1 : request->clock;
    if (f->silent)
        keep_silent(call);
    else
        ps_call_reply(call, &response.base);
    pthread_mutex_unlock(&f->lock);
}

static const ps_rpc_method methods[] = {
    {"Describe", &psd__v1__describe_request__descriptor, describe, NULL},
    {"Pull", &psd__v1__pull_request__descriptor, pull, NULL},
    {"Push", &psd__v1__push_request__descriptor, NULL, push},
    {"Clock", &psd__v1__clock_request__descriptor, clock_ended, NULL},
    {0},
};

ps_rpc_service fake_parameters_service(fake_parameters *fake)
{
    return (ps_rpc_service){.name = "psd.v1.Parameters", .methods = methods, .state = fake};
}
