/* A puller and a pusher over one memory. The pusher's settings are those of a job that clips
 * nothing and encodes nothing: what is pushed are sums and bytes, and not gradients. */
#include "worker/exchange/some_tensors.h"

#include "common/base/mem.h"
#include "common/base/one_thread.h"
#include "common/base/require.h"
#include "worker/exchange/pull.h"
#include "worker/exchange/push.h"

#include <string.h>

struct ps_some_tensors {
    ps_one_thread mine;
    ps_some_tensors_options options;
    ps_tensor_maps maps;
    float **memory; /* [maps.count], in `all` */
    void *all;
    ps_spec_train plain; /* for the pusher */
};

static ps_status describe(ps_some_tensors *t)
{
    Psd__V1__DescribeRequest request;
    psd__v1__describe_request__init(&request);
    request.job_id = t->options.job_id;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_remote_unary(t->options.remote, "/psd.v1.Parameters/Describe", &request.base,
                                   &psd__v1__describe_response__descriptor, &reply);
    if (st)
        return st;
    st = ps_tensor_maps_some((const Psd__V1__DescribeResponse *)reply, t->options.names,
                             t->options.count, t->options.max, &t->maps);
    protobuf_c_message_free_unpacked(reply, NULL);
    return st;
}

static ps_status take_memory(ps_some_tensors *t)
{
    size_t bytes = t->maps.elements * sizeof(float);
    ps_status st = ps_host_new(t->options.backend, bytes, &t->all);
    if (st)
        return ps_wrap(st, "%zu tensors of job %llu", t->maps.count,
                       (unsigned long long)t->options.job_id);
    memset(t->all, 0, bytes);
    float *at = t->all;
    t->memory = ps_alloc_array(t->maps.count, sizeof(*t->memory));
    for (size_t i = 0; i < t->maps.count; i++) {
        t->memory[i] = at;
        at += t->maps.tensors[i].elements;
    }
    return PS_OK;
}

ps_status ps_some_tensors_open(const ps_some_tensors_options *options, ps_some_tensors **out)
{
    static char float32[] = "float32";
    PS_REQUIRE(options->count > 0);
    ps_some_tensors *t = ps_new(ps_some_tensors);
    t->options = *options;
    t->plain.codec = (ps_spec_codec){.gradients = float32, .parameters = float32};
    ps_one_thread_require(&t->mine);
    ps_status st = describe(t);
    if (!st)
        st = take_memory(t);
    if (st)
        ps_some_tensors_close(&t);
    else
        *out = t;
    return st;
}

void ps_some_tensors_close(ps_some_tensors **tensors)
{
    ps_some_tensors *t = *tensors;
    if (!t)
        return;
    ps_tensor_maps_free(&t->maps);
    ps_free(&t->memory);
    ps_host_free(t->options.backend, &t->all);
    ps_free(tensors);
}

uint64_t ps_some_tensors_elements(const ps_some_tensors *t, size_t i)
{
    PS_REQUIRE(i < t->maps.count);
    return t->maps.tensors[i].elements;
}

void *ps_some_tensors_memory(const ps_some_tensors *t, size_t i)
{
    PS_REQUIRE(i < t->maps.count);
    return t->memory[i];
}

ps_status ps_some_tensors_pull(ps_some_tensors *t)
{
    ps_one_thread_require(&t->mine);
    ps_puller *puller;
    uint64_t version;
    ps_puller_create(&(ps_puller_options){.remote = t->options.remote,
                                          .job_id = t->options.job_id,
                                          .maps = &t->maps,
                                          .targets = t->memory},
                     &puller);
    ps_puller_start(puller, &ps_codec_float32);
    ps_status st = ps_puller_finish(puller, &version);
    if (st) { /* the message must survive the clean-up */
        ps_error error;
        ps_error_save(&error, st);
        ps_puller_free(&puller);
        return ps_error_raise(&error);
    }
    ps_puller_free(&puller);
    return PS_OK;
}

static ps_status push_all(ps_pusher *pusher, size_t count, const ps_pusher_step *step)
{
    ps_status st = ps_pusher_begin(pusher, step);
    for (size_t i = count; !st && i-- > 0;)
        st = ps_pusher_ready(pusher, i);
    if (!st)
        st = ps_pusher_end(pusher);
    return st ? st : ps_pusher_drain(pusher);
}

ps_status ps_some_tensors_push(ps_some_tensors *t, uint64_t lease, uint64_t begin, uint64_t end)
{
    ps_one_thread_require(&t->mine);
    ps_pusher *pusher;
    ps_status st = ps_pusher_create(&(ps_pusher_options){.remote = t->options.remote,
                                                         .job_id = t->options.job_id,
                                                         .incarnation = t->options.incarnation,
                                                         .sequence = t->options.sequence,
                                                         .maps = &t->maps,
                                                         .train = &t->plain,
                                                         .backend = t->options.backend,
                                                         .gradients = t->memory,
                                                         .sets = 1},
                                    &pusher);
    if (st)
        return st;
    st = push_all(
        pusher, t->maps.count,
        &(ps_pusher_step){.lease = lease, .weight = 1, .position = begin, .next_position = end});
    ps_error error;
    ps_error_save(&error, st);
    ps_pusher_free(&pusher);
    return st ? ps_error_raise(&error) : PS_OK;
}
