/* Pull: a header, then blocks as they are, sent from where they lie, or encoded. The call is filled
 * up to its high-water mark and goes on when it is writable again, so a slow reader holds
 * references to a few blocks and nothing more. Where there is much to skip and little to send, the
 * loop's other calls get their turn in between. Blocks of a form take long to make, some ggml forms
 * a second for some million numbers: the pool makes them, one after the other.
 *
 *     pumping ─ a block of a form ─▶ encoding ─▶ pumping ─▶ answered
 *                                       ╰─ the call ends ─▶ freed when the pool is done */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/codec/codec.h"
#include "psd/v1/parameters.pb-c.h"
#include "server/params/pull.h"
#include "server/params/tensor_form.h"
#include "server/service/services.h"

#include <inttypes.h>

typedef struct pull_call {
    ps_work work;
    ps_call *call;
    ps_run *run;
    ps_pull *pull;
    const ps_codec *codec;
    bool forms;         /* tensors that are trained in one come in it */
    ps_loop_task later; /* goes on with skipping */
    bool answered;
    bool encoding;      /* on the pool: */
    bool ended;         /* meanwhile */
    ps_block_view view; /* this, */
    ps_payload made;    /* which becomes this; */
    ps_error error;     /* or why not */
} pull_call;

static void release_cb(void *user)
{
    ps_block_buffer_release(user);
}

static void free_cb(void *user)
{
    free(user);
}

/* The view's numbers as they leave; takes over its reference. */
static ps_status payload_of(const ps_codec *codec, ps_block_view *view, ps_payload *out)
{
    if (codec->identity) {
        *out = (ps_payload){.bytes = view->bytes, .release = release_cb, .user = view->buffer};
        return PS_OK;
    }
    uint8_t *bytes = ps_try_alloc_raw(codec->encoded_max(view->count));
    if (bytes) {
        size_t len = codec->encode(NULL, (const ps_wire_float *)(const void *)view->bytes.data,
                                   view->count, bytes);
        *out = (ps_payload){.bytes = ps_slice_of(bytes, len), .release = free_cb, .user = bytes};
    }
    ps_block_view_release(view);
    return bytes ? PS_OK : ps_fail(PS_RESOURCE_EXHAUSTED, "out of memory to encode a block");
}

static const ps_param_tensor *tensor_of(const pull_call *p, const ps_block_view *view)
{
    return &ps_param_store_placement(ps_run_store(p->run))->tensors[view->tensor];
}

/* The same in the form of the view's tensor. A range that a client has cut may begin anywhere. */
static ps_status form_payload_of(const pull_call *p, ps_block_view *view, ps_payload *out)
{
    const ps_param_tensor *tensor = tensor_of(p, view);
    const float *values = (const float *)(const void *)view->bytes.data;
    size_t len = 0;
    uint8_t *bytes = NULL;
    ps_status st = view->offset % tensor->form.group
                       ? ps_fail(PS_INVALID_ARGUMENT,
                                 "tensor %s: a range from within a group of "
                                 "its form",
                                 tensor->name)
                       : ps_tensor_form_bytes(tensor, values, view->count, &len);
    if (!st && !(bytes = ps_try_alloc_raw(len)))
        st = ps_fail(PS_RESOURCE_EXHAUSTED, "out of memory to encode a block");
    if (!st) {
        ps_tensor_form_encode(tensor, values, view->count, bytes);
        *out = (ps_payload){.bytes = ps_slice_of(bytes, len), .release = free_cb, .user = bytes};
    }
    ps_block_view_release(view);
    return st;
}

static bool in_form(const pull_call *p, const ps_block_view *view)
{
    return p->forms && tensor_of(p, view)->form.row;
}

/* The view's numbers may have been let go by now. */
static void send_payload(pull_call *p, const ps_block_view *view, const ps_payload *payload)
{
    Psd__V1__Chunk chunk = PSD__V1__CHUNK__INIT;
    chunk.tensor_id = view->tensor;
    chunk.shard = view->shard;
    chunk.offset = view->offset;
    chunk.count = view->count;
    chunk.codec = in_form(p, view) ? PSD__V1__CODEC__CODEC_FORM : (Psd__V1__Codec)p->codec->number;
    chunk.version = view->version;
    Psd__V1__PullResponse response = PSD__V1__PULL_RESPONSE__INIT;
    response.chunk = &chunk;
    ps_run_count(p->run, 0, payload->bytes.len);
    ps_call_send(p->call, &response.base, payload);
}

static void work_cb(ps_work *w)
{
    pull_call *p = ps_container(w, pull_call, work);
    ps_error_save(&p->error, form_payload_of(p, &p->view, &p->made));
}

/* PS_AGAIN: the pool has it. */
static ps_status send_view(pull_call *p, ps_block_view *view)
{
    if (in_form(p, view)) {
        p->view = *view;
        p->encoding = true;
        ps_work_submit(ps_call_loop(p->call), &p->work);
        return PS_AGAIN;
    }
    ps_payload payload;
    ps_status st = payload_of(p->codec, view, &payload);
    if (!st)
        send_payload(p, view, &payload);
    return st;
}

static void answer(pull_call *p, ps_status st)
{
    p->answered = true;
    if (st == PS_END)
        ps_call_finish(p->call, PS_OK, NULL);
    else
        ps_call_fail(p->call, st);
}

static void pump(pull_call *p)
{
    ps_loop_require_on(ps_call_loop(p->call));
    while (!p->answered && !p->encoding && ps_call_writable(p->call)) {
        ps_block_view view;
        ps_status st = ps_pull_next(p->pull, &view);
        if (!st)
            st = send_view(p, &view);
        else if (st == PS_AGAIN) {
            ps_loop_defer(ps_call_loop(p->call), &p->later);
            return;
        }
        if (st && st != PS_AGAIN)
            answer(p, st);
    }
}

static void later_cb(ps_loop_task *job)
{
    pump(ps_container(job, pull_call, later));
}

static void on_writable(ps_call *call, void *user)
{
    pump(user);
}

static void free_call(pull_call *p)
{
    ps_pull_free(&p->pull);
    ps_run_unref(&p->run);
    ps_call_unref(p->call);
    ps_free(&p);
}

static void on_end(ps_call *call, ps_status status, const char *message, void *user)
{
    pull_call *p = user;
    ps_trace("pull", "ended call=%p status=%s", (void *)call, ps_status_name(status));
    ps_loop_cancel(ps_call_loop(call), &p->later);
    p->ended = true;
    if (!p->encoding)
        free_call(p);
}

static void done_cb(ps_work *w)
{
    pull_call *p = ps_container(w, pull_call, work);
    p->encoding = false;
    if (p->ended) {
        if (!p->error.code)
            p->made.release(p->made.user);
        free_call(p);
    } else if (p->error.code) {
        answer(p, ps_error_raise(&p->error));
    } else {
        send_payload(p, &p->view, &p->made);
        pump(p);
    }
}

static const ps_call_events pull_events = {.on_writable = on_writable, .on_end = on_end};

static ps_status choose_codec(uint32_t number, const ps_codec **out)
{
    *out = ps_codec_by_number(number);
    if (!*out)
        return ps_fail(PS_INVALID_ARGUMENT, "a pull with unknown codec %u", number);
    if ((*out)->state_bytes)
        return ps_fail(PS_INVALID_ARGUMENT, "a pull with codec %s, which is for gradients",
                       (*out)->name);
    return PS_OK;
}

static ps_status begin(pull_call *p, const Psd__V1__PullRequest *in, uint64_t *version)
{
    ps_status st = choose_codec((uint32_t)in->codec, &p->codec);
    if (st)
        return st;
    ps_pull_range *ranges = ps_try_alloc((in->n_ranges ? in->n_ranges : 1) * sizeof *ranges);
    if (!ranges)
        return ps_fail(PS_NO_MEMORY, "a pull of %zu ranges", in->n_ranges);
    for (size_t i = 0; i < in->n_ranges; i++)
        ranges[i] = (ps_pull_range){.tensor = in->ranges[i]->tensor_id,
                                    .shard = in->ranges[i]->shard,
                                    .offset = in->ranges[i]->offset,
                                    .count = in->ranges[i]->count};
    ps_param_store *store = ps_run_store(p->run);
    st = in->waypoint
             ? ps_pull_begin_at(store, ranges, in->n_ranges, in->waypoint, version, &p->pull)
             : ps_pull_begin(store, ranges, in->n_ranges, in->newer_than, version, &p->pull);
    ps_free(&ranges);
    return st;
}

void ps_parameters_pull(ps_call *call, const ProtobufCMessage *request, void *state)
{
    ps_services *services = state;
    const Psd__V1__PullRequest *in = (const Psd__V1__PullRequest *)request;
    ps_run *run = NULL;
    ps_status st = ps_services_find_run(services, ps_call_peer(call), in->job_id, &run);
    if (st) {
        ps_call_fail(call, st);
        return;
    }
    pull_call *p = ps_new(pull_call);
    p->call = call;
    p->run = run;
    p->forms = in->forms;
    p->work = (ps_work){.work = work_cb, .done = done_cb};
    ps_loop_task_init(&p->later, later_cb);
    Psd__V1__PullHeader header = PSD__V1__PULL_HEADER__INIT;
    st = begin(p, in, &header.version);
    if (st) {
        ps_call_fail(call, st);
        ps_run_unref(&p->run);
        ps_free(&p);
        return;
    }
    atomic_fetch_add_explicit(&services->pulls, 1, memory_order_relaxed);
    ps_trace("pull",
             "begun job=%" PRIu64 " newer_than=%" PRIu64 " version=%" PRIu64 " codec=%s call=%p",
             in->job_id, in->newer_than, header.version, p->codec->name, (void *)call);
    ps_call_ref(call);
    ps_call_set_events(call, &pull_events, p);
    Psd__V1__PullResponse response = PSD__V1__PULL_RESPONSE__INIT;
    response.header = &header;
    ps_call_send(call, &response.base, NULL);
    pump(p);
}
