/* Puts model, puller and pusher together. What can fail is the network (see remote.h), the device,
 * and a psd whose tensors are not this model's. */
#include "worker/exchange/exchange.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/one_thread.h"
#include "common/base/require.h"
#include "worker/exchange/device_get.h"
#include "worker/exchange/device_put.h"

#define FROZEN SIZE_MAX

static const char describe_path[] = "/psd.v1.Parameters/Describe";
static const char clock_path[] = "/psd.v1.Parameters/Clock";

/* Clocks that are told without waiting: one call at a time. Freed by the last of its two users,
 * which the loop may be when the task and its gate are long gone: so it has a lock of its own. */
typedef struct teller {
    ps_loop_task job;
    ps_loop *loop;
    ps_channel *channel;
    uint64_t job_id, incarnation;
    ps_mutex lock;
    /* under the lock */
    uint64_t lease, wanted, told;
    bool posted, calling, closed;
} teller;

struct ps_exchange {
    ps_one_thread mine;
    ps_exchange_options options;
    ps_remote *remote;
    size_t *own; /* [maps.count]: the model's parameters that are psd's, all that are not frozen */
    size_t *place; /* of each of the model's, where in own it is; FROZEN */
    size_t n_own;
    ps_tensor_maps maps; /* of these */
    ps_tensor_shape *shapes;
    const ps_codec *codec; /* of parameters on their way */
    ps_puller *puller;
    ps_pusher *pusher;
    ps_model_hooks hooks;
    ps_device_put *put; /* NULL: pulls land in the model's memory */
    ps_device_get *get; /* NULL: gradients leave from the model's memory */
    teller *teller;
};

/* ---- the hooks ---- */

static ps_status before_use(void *user, size_t i, bool *changed)
{
    ps_exchange *x = user;
    ps_one_thread_require(&x->mine); /* the pass's is the task's */
    i = x->place[i];
    if (i == FROZEN)
        return PS_OK;
    PS_REQUIRE(i < x->maps.count);
    ps_status st = ps_puller_wait(x->puller, i);
    if (st)
        return st;
    ps_ranges written;
    ps_puller_take(x->puller, i, &written);
    *changed = written.count;
    if (x->put)
        ps_device_put_send(x->put, i, &written);
    return PS_OK;
}

static ps_status gradient_ready(void *user, size_t i)
{
    ps_exchange *x = user;
    i = x->place[i];
    PS_REQUIRE(i < x->maps.count && x->pusher);
    ps_stream *stream = ps_model_stream(x->options.model);
    if (!x->get) /* of a stream that has failed, the memory still holds another step's */
        return ps_stream_failed(stream) ? ps_stream_sync(stream) : ps_pusher_ready(x->pusher, i);
    ps_device_get_begin(x->get, i, ps_pusher_memory(x->pusher, i),
                        ps_model_gradient(x->options.model, x->own[i]));
    return PS_OK;
}

/* Gradients leave as they come from the device. */
static ps_status fetch(ps_exchange *x)
{
    size_t i;
    ps_status st;
    while (!(st = ps_device_get_next(x->get, &i)) && !(st = ps_pusher_ready(x->pusher, i)))
        ;
    return st == PS_END ? PS_OK : st;
}

const ps_model_hooks *ps_exchange_hooks(const ps_exchange *x)
{
    return &x->hooks;
}

/* ---- opening ---- */

static ps_status describe(ps_exchange *x, ps_tensor_maps *out)
{
    Psd__V1__DescribeRequest request;
    psd__v1__describe_request__init(&request);
    request.job_id = x->options.job_id;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_remote_unary(x->remote, describe_path, &request.base,
                                   &psd__v1__describe_response__descriptor, &reply);
    if (st)
        return st;
    st = ps_tensor_maps_make((const Psd__V1__DescribeResponse *)reply, x->shapes, x->n_own, out);
    protobuf_c_message_free_unpacked(reply, NULL);
    return st;
}

static void list_shapes(ps_exchange *x)
{
    const ps_model_layout *layout = ps_model_parameters(x->options.model);
    x->shapes = ps_alloc_array(layout->count, sizeof(*x->shapes));
    x->own = ps_alloc_array(layout->count, sizeof *x->own);
    x->place = ps_alloc_array(layout->count, sizeof *x->place);
    for (size_t i = 0; i < layout->count; i++) {
        const ps_model_parameter_spec *spec = &layout->parameters[i];
        x->place[i] = spec->frozen ? FROZEN : x->n_own;
        if (spec->frozen)
            continue;
        x->own[x->n_own] = i;
        x->shapes[x->n_own++] =
            (ps_tensor_shape){.name = spec->name, .rank = spec->rank, .shape = spec->shape};
    }
}

static ps_status make_put(ps_exchange *x)
{
    const ps_exchange_options *o = &x->options;
    ps_tensor *parameters = ps_alloc_array(x->maps.count, sizeof(*parameters));
    for (size_t i = 0; i < x->maps.count; i++)
        parameters[i] = ps_model_parameter(o->model, x->own[i]);
    ps_status st =
        ps_device_put_create(&(ps_device_put_options){.backend = o->backend,
                                                      .compute = ps_model_stream(o->model),
                                                      .parameters = parameters,
                                                      .count = x->maps.count},
                             &x->put);
    ps_free(&parameters);
    return st;
}

static ps_status choose_codec(ps_exchange *x)
{
    const ps_spec_train *train = x->options.train;
    x->codec = train ? ps_codec_by_name(train->codec.parameters) : &ps_codec_float32;
    return x->codec
               ? PS_OK
               : ps_fail(PS_UNIMPLEMENTED, "this worker has no codec %s", train->codec.parameters);
}

static void make_puller(ps_exchange *x)
{
    float **landing = ps_alloc_array(x->maps.count, sizeof(*landing));
    for (size_t i = 0; i < x->maps.count; i++)
        landing[i] = x->put ? ps_device_put_landing(x->put, i)
                            : ps_tensor_host(x->options.backend,
                                             ps_model_parameter(x->options.model, x->own[i]));
    ps_puller_create(
        &(ps_puller_options){
            .remote = x->remote, .job_id = x->options.job_id, .maps = &x->maps, .targets = landing},
        &x->puller);
    ps_free(&landing);
}

static ps_status make_pusher(ps_exchange *x)
{
    const ps_exchange_options *o = &x->options;
    float **gradients = ps_alloc_array(x->maps.count, sizeof(*gradients));
    for (size_t i = 0; i < x->maps.count; i++)
        gradients[i] = ps_tensor_host(o->backend, ps_model_gradient(o->model, x->own[i]));
    ps_status st = ps_pusher_create(&(ps_pusher_options){.remote = x->remote,
                                                         .job_id = o->job_id,
                                                         .incarnation = o->incarnation,
                                                         .sequence = o->sequence,
                                                         .maps = &x->maps,
                                                         .train = o->train,
                                                         .backend = o->backend,
                                                         .gradients = gradients,
                                                         .sets = o->pull_ahead ? 2 : 1,
                                                         .bucket_bytes = o->bucket_bytes,
                                                         .piece_bytes = o->piece_bytes},
                                    &x->pusher);
    ps_free(&gradients);
    return st;
}

/* What stands between the network and the model: nothing, where they share memory. */
static ps_status make_all(ps_exchange *x)
{
    const ps_exchange_options *o = &x->options;
    bool shared = o->backend->info.host_addressable;
    ps_status st = choose_codec(x);
    if (!st)
        st = describe(x, &x->maps);
    if (!st && (!shared || o->pull_ahead))
        st = make_put(x);
    if (!st && o->train && !shared)
        st = ps_device_get_create(o->backend, ps_model_stream(o->model), x->maps.count, &x->get);
    if (!st && o->train)
        st = make_pusher(x);
    if (!st)
        make_puller(x);
    return st;
}

ps_status ps_exchange_open(const ps_exchange_options *options, ps_exchange **out)
{
    ps_exchange *x = ps_new(ps_exchange);
    x->options = *options;
    x->remote = options->remote;
    list_shapes(x);
    ps_status st = make_all(x);
    if (st) {
        ps_exchange_close(&x);
        return ps_wrap(st, "job %llu", (unsigned long long)options->job_id);
    }
    x->hooks = (ps_model_hooks){.before_use = before_use,
                                .gradient_ready = options->train ? gradient_ready : NULL,
                                .user = x};
    *out = x;
    return PS_OK;
}

ps_status ps_exchange_refresh(ps_exchange *x)
{
    ps_one_thread_require(&x->mine);
    ps_tensor_maps maps;
    ps_status st = describe(x, &maps);
    if (st)
        return st;
    bool same = ps_tensor_maps_equal(&maps, &x->maps);
    ps_tensor_maps_free(&maps);
    ps_puller_forget(x->puller);
    return same ? PS_OK : ps_fail(PS_ABORTED, "psd has cut the tensors anew");
}

/* ---- the steps ---- */

void ps_exchange_stop(ps_exchange *x)
{
    ps_one_thread_require(&x->mine);
    if (x->puller)
        ps_puller_stop(x->puller);
    if (x->get)
        ps_device_get_drop(x->get);
    ps_stream_settle(ps_model_stream(x->options.model)); /* it may still read the batch */
    if (x->pusher)
        ps_pusher_stop(x->pusher);
}

bool ps_exchange_failed(const ps_exchange *x)
{
    return ps_stream_failed(ps_model_stream(x->options.model)) ||
           (x->put && ps_device_put_failed(x->put)) || (x->get && ps_device_get_failed(x->get));
}

static ps_status pull_start(ps_exchange *x, const ps_codec *codec)
{
    ps_one_thread_require(&x->mine);
    ps_status st = x->put ? ps_device_put_wait(x->put) : PS_OK;
    if (!st)
        ps_puller_start(x->puller, codec);
    return st;
}

ps_status ps_exchange_pull_start(ps_exchange *x)
{
    return pull_start(x, x->codec);
}

ps_status ps_exchange_pull_finish(ps_exchange *x, uint64_t *version)
{
    ps_one_thread_require(&x->mine);
    return ps_puller_finish(x->puller, version);
}

ps_status ps_exchange_pull(ps_exchange *x, uint64_t *version)
{
    ps_status st = pull_start(x, &ps_codec_float32);
    if (!st)
        st = ps_exchange_pull_finish(x, version);
    bool changed;
    for (size_t i = 0; !st && i < x->maps.count; i++)
        st = before_use(x, x->own[i], &changed);
    ps_model_refresh(x->options.model);
    return st ? st : ps_stream_sync(ps_model_stream(x->options.model));
}

ps_status ps_exchange_pull_at(ps_exchange *x, uint64_t waypoint, uint64_t *version)
{
    ps_puller_aim(x->puller, waypoint);
    ps_status st = ps_exchange_pull(x, version);
    ps_error error;
    ps_error_save(&error, st);
    if (st)
        ps_exchange_stop(x);
    ps_puller_aim(x->puller, 0);
    return st ? ps_error_raise(&error) : PS_OK;
}

const ps_tensor_maps *ps_exchange_maps(const ps_exchange *x)
{
    return &x->maps;
}

ps_status ps_exchange_push_begin(ps_exchange *x, const ps_pusher_step *step)
{
    ps_one_thread_require(&x->mine);
    PS_REQUIRE(x->pusher);
    return ps_pusher_begin(x->pusher, step);
}

ps_status ps_exchange_push_end(ps_exchange *x)
{
    ps_one_thread_require(&x->mine);
    PS_REQUIRE(x->pusher);
    ps_status st = x->get ? fetch(x) : PS_OK;
    return st ? st : ps_pusher_end(x->pusher);
}

ps_status ps_exchange_drain(ps_exchange *x)
{
    ps_one_thread_require(&x->mine);
    PS_REQUIRE(x->pusher);
    return ps_pusher_drain(x->pusher);
}

bool ps_exchange_given(const ps_exchange *x)
{
    PS_REQUIRE(x->pusher);
    return ps_pusher_given(x->pusher);
}

uint64_t ps_exchange_position(ps_exchange *x)
{
    ps_one_thread_require(&x->mine);
    PS_REQUIRE(x->pusher);
    return ps_pusher_position(x->pusher);
}

void ps_exchange_stats(ps_exchange *x, ps_pusher_stats *pushed, uint64_t *pulled_bytes)
{
    *pushed = (ps_pusher_stats){0};
    if (x->pusher)
        ps_pusher_stats_get(x->pusher, pushed);
    *pulled_bytes = ps_puller_bytes(x->puller);
}

/* ---- clocks ---- */

ps_status ps_exchange_clock_wait(ps_exchange *x, uint64_t lease, uint64_t clock, uint64_t *open)
{
    ps_one_thread_require(&x->mine);
    Psd__V1__ClockRequest request = PSD__V1__CLOCK_REQUEST__INIT;
    request.job_id = x->options.job_id;
    request.incarnation = x->options.incarnation;
    request.clock = clock;
    request.lease_id = lease;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_remote_unary(x->remote, clock_path, &request.base,
                                   &psd__v1__clock_response__descriptor, &reply);
    if (st)
        return st;
    ps_trace("clock", "waited job=%llu lease=%llu client=%llu clock=%llu",
             (unsigned long long)request.job_id, (unsigned long long)lease,
             (unsigned long long)request.incarnation, (unsigned long long)clock);
    *open = ((const Psd__V1__ClockResponse *)reply)->slowest_clock + 1;
    protobuf_c_message_free_unpacked(reply, NULL);
    return PS_OK;
}

static void tell_next(teller *t);

/* A clock that did not arrive is not told again: the next one says more. */
static void told_cb(void *user, ps_status status, const char *message, ProtobufCMessage *reply)
{
    teller *t = user;
    (void)status;
    (void)message;
    if (reply)
        protobuf_c_message_free_unpacked(reply, NULL);
    tell_next(t);
}

static void teller_free(teller *t)
{
    PS_REQUIRE(t->closed && !t->calling && !t->posted);
    ps_mutex_destroy(&t->lock);
    ps_free(&t);
}

static void tell_next(teller *t)
{
    ps_loop_require_on(t->loop);
    Psd__V1__ClockRequest request = PSD__V1__CLOCK_REQUEST__INIT;
    request.job_id = t->job_id;
    request.incarnation = t->incarnation;
    ps_mutex_lock(&t->lock);
    t->posted = false;
    t->calling = !t->closed && t->wanted != t->told;
    t->told = request.clock = t->wanted;
    request.lease_id = t->lease;
    bool calling = t->calling, closed = t->closed;
    ps_mutex_unlock(&t->lock);
    if (calling)
        ps_channel_unary_async(t->channel, clock_path, &request.base,
                               &psd__v1__clock_response__descriptor, NULL, told_cb, t);
    else if (closed)
        teller_free(t);
}

static void tell_cb(ps_loop_task *job)
{
    tell_next(ps_container(job, teller, job));
}

static teller *teller_new(const ps_exchange *x)
{
    teller *t = ps_new(teller);
    t->loop = x->remote->loop;
    t->channel = x->remote->channel;
    t->job_id = x->options.job_id;
    t->incarnation = x->options.incarnation;
    t->wanted = t->told = UINT64_MAX;
    ps_mutex_init(&t->lock);
    ps_loop_task_init(&t->job, tell_cb);
    return t;
}

/* Gives the lock back; the loop may free it from here on. */
static void tell_unlock(teller *t)
{
    ps_mutex_require_held(&t->lock);
    bool post = !t->posted && !t->calling;
    t->posted |= post;
    ps_loop *loop = t->loop;
    ps_mutex_unlock(&t->lock);
    if (post)
        ps_loop_post(loop, &t->job);
}

void ps_exchange_clock_tell(ps_exchange *x, uint64_t lease, uint64_t clock)
{
    ps_one_thread_require(&x->mine);
    if (!x->teller)
        x->teller = teller_new(x);
    teller *t = x->teller;
    ps_mutex_lock(&t->lock);
    t->lease = lease;
    t->wanted = clock;
    tell_unlock(t);
}

/* The loop frees it, when nothing of it is under way any more. */
static void teller_close(ps_exchange *x)
{
    teller *t = x->teller;
    if (!t)
        return;
    ps_mutex_lock(&t->lock);
    t->closed = true;
    tell_unlock(t);
    x->teller = NULL;
}

void ps_exchange_close(ps_exchange **exchange)
{
    ps_exchange *x = *exchange;
    if (!x)
        return;
    teller_close(x);
    ps_puller_free(&x->puller);
    ps_device_get_free(&x->get);
    ps_pusher_free(&x->pusher);
    ps_device_put_free(&x->put);
    ps_tensor_maps_free(&x->maps);
    ps_free(&x->shapes);
    ps_free(&x->own);
    ps_free(&x->place);
    ps_free(exchange);
}
