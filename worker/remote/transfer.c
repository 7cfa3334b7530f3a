/* One struct for both directions, on the task's stack: the task's thread stays until the call's end
 * has come and every payload is released, also when it was cancelled. Up, that thread reads a few
 * pieces ahead, and the loop's sends them as the connection takes them. */
#include "worker/remote/transfer.h"

#include "common/base/mem.h"
#include "common/format/file_chunks.h"
#include "psd/v1/models.pb-c.h"

enum { PIECE_BYTES = 1 << 20, PIECES_AHEAD = 4 };

typedef struct part {
    ps_list link;
    struct transfer *transfer;
    size_t len;
    uint8_t bytes[];
} part;

typedef struct transfer {
    ps_loop_task job;
    ps_remote *remote;
    const char *path;
    const ProtobufCMessage *first; /* the request, or the header */
    const ps_transfer_sink *sink;  /* down */
    const ProtobufCMessage *piece; /* up */
    const ps_transfer_source *source;
    bool sent;
    ps_call *call;
    ps_file_chunks chunks; /* that have come */
    ps_error refused;      /* by the sink, or the source */
    /* under the gate's lock */
    bool ended;
    ps_list ready;    /* pieces that were read, */
    unsigned n_ready; /* so many, */
    bool all_read;    /* and these were the last */
    unsigned held;    /* pieces on their way */
    ps_error error;
} transfer;

/* ---- up ---- */

static void release_cb(void *user)
{
    part *p = user;
    transfer *t = p->transfer;
    ps_gate *gate = t->remote->gate;
    ps_free(&p);
    ps_gate_lock(gate);
    t->held--;
    ps_gate_notify(gate);
    ps_gate_unlock(gate);
}

/* NULL: there is none now; *last: and none will come. */
static part *take_ready(transfer *t, bool *last)
{
    part *p = NULL;
    ps_gate_lock(t->remote->gate);
    *last = t->all_read && ps_list_empty(&t->ready);
    if (!ps_list_empty(&t->ready)) {
        p = ps_container(t->ready.next, part, link);
        ps_list_remove(&p->link);
        t->n_ready--;
        t->held++;
        ps_gate_notify(t->remote->gate);
    }
    ps_gate_unlock(t->remote->gate);
    return p;
}

static void pump(transfer *t)
{
    ps_loop_require_on(t->remote->loop);
    while (t->call && !t->sent && ps_call_writable(t->call)) {
        part *p = take_ready(t, &t->sent);
        if (t->sent)
            ps_call_half_close(t->call);
        if (!p)
            return;
        ps_payload payload = {
            .bytes = ps_slice_of(p->bytes, p->len), .release = release_cb, .user = p};
        ps_call_send(t->call, t->piece, &payload);
    }
}

static void pump_on_loop(void *state)
{
    pump(state);
}

/* On the task's thread, as what follows. */
static ps_status read_piece(transfer *t, part **out)
{
    size_t got = 0;
    part *p = ps_try_alloc_raw(sizeof *p + PIECE_BYTES);
    if (!p)
        return ps_fail(PS_NO_MEMORY, "a piece of %d bytes", PIECE_BYTES);
    p->transfer = t;
    p->len = 0;
    ps_status st = PS_OK;
    do {
        st = t->source->read(t->source->state, p->bytes + p->len, PIECE_BYTES - p->len, &got);
        p->len += st ? 0 : got;
    } while (!st && got && p->len < PIECE_BYTES);
    if (st || !p->len)
        ps_free(&p);
    *out = p;
    return st;
}

static ps_status read_ahead(transfer *t)
{
    ps_gate *gate = t->remote->gate;
    part *p = NULL;
    ps_status st = read_piece(t, &p);
    ps_gate_lock(gate);
    if (st) {
        ps_error_save(&t->refused, st);
    } else if (p) {
        ps_list_append(&t->ready, &p->link);
        t->n_ready++;
    } else {
        t->all_read = true;
    }
    ps_gate_unlock(gate);
    if (!st)
        ps_remote_run(t->remote, pump_on_loop, t);
    return st;
}

static void drop_ready(transfer *t)
{
    ps_list_each_safe(node, &t->ready)
    {
        part *p = ps_container(node, part, link);
        ps_list_remove(node);
        ps_free(&p);
    }
}

static void writable_cb(ps_call *call, void *user)
{
    (void)call;
    pump(user);
}

/* ---- down ---- */

static ps_status take_chunk(transfer *t, ps_slice bytes)
{
    ProtobufCMessage *chunk = NULL;
    ps_slice payload;
    ps_status st = ps_message_unpack(bytes, &psd__v1__file_chunk__descriptor, &chunk, &payload);
    if (!st)
        st = ps_file_chunks_count(&t->chunks, (const Psd__V1__FileChunk *)chunk, payload.len,
                                  t->sink->version);
    if (!st)
        st = t->sink->take(t->sink->state, payload);
    if (chunk)
        protobuf_c_message_free_unpacked(chunk, NULL);
    return st;
}

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    transfer *t = user;
    if (t->sink && !t->refused.code) {
        ps_status st = take_chunk(t, ps_message_bytes(message));
        if (st) {
            ps_error_save(&t->refused, st);
            ps_call_cancel(call);
        }
    }
    ps_message_release(&message);
}

/* ---- both ---- */

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    transfer *t = user;
    ps_gate *gate = t->remote->gate;
    ps_gate_lock(gate);
    t->call = NULL;
    if (t->refused.code)
        t->error = t->refused;
    else if (status)
        ps_retry_error(call, status, message, &t->error);
    else if (t->sink)
        ps_error_save(&t->error, ps_file_chunks_whole(&t->chunks));
    t->ended = true;
    ps_gate_notify(gate);
    ps_gate_unlock(gate);
    ps_call_unref(call);
}

static const ps_call_events events = {
    .on_message = message_cb, .on_writable = writable_cb, .on_end = end_cb};

static void start_cb(ps_loop_task *job)
{
    transfer *t = ps_container(job, transfer, job);
    t->call = ps_channel_call(t->remote->channel, t->path,
                              &(ps_call_options){.wait_for_ready = true}, &events, t);
    ps_call_send(t->call, t->first, NULL);
    if (t->sink)
        ps_call_half_close(t->call);
    else
        pump(t);
}

static void cancel_on_loop(void *state)
{
    transfer *t = state;
    ps_loop_require_on(t->remote->loop);
    t->sent = true; /* nothing more */
    if (t->call)
        ps_call_cancel(t->call);
}

static ps_status wait_for_end(transfer *t)
{
    ps_gate *gate = t->remote->gate;
    ps_status st = PS_OK;
    for (bool ended = false; !st && !ended;) {
        ps_gate_lock(gate);
        bool read = t->source && !t->all_read && t->n_ready < PIECES_AHEAD;
        if (!t->ended && !read)
            st = ps_gate_wait(gate);
        ended = t->ended;
        ps_gate_unlock(gate);
        if (!st && !ended && read)
            st = read_ahead(t);
    }
    return st;
}

static ps_status attempt(transfer *t)
{
    ps_gate *gate = t->remote->gate;
    ps_loop_task_init(&t->job, start_cb);
    ps_loop_post(t->remote->loop, &t->job);
    ps_status st = wait_for_end(t);
    if (st) {
        ps_error cancelled;
        ps_error_save(&cancelled, st);
        ps_remote_run(t->remote, cancel_on_loop, t);
        ps_gate_lock(gate);
        while (!t->ended)
            ps_gate_wait_always(gate);
        ps_gate_unlock(gate);
        st = ps_error_raise(&cancelled);
    }
    ps_gate_lock(gate);
    while (t->held)
        ps_gate_wait_always(gate);
    ps_gate_unlock(gate);
    drop_ready(t);
    return st ? st : ps_error_raise(&t->error);
}

static ps_status repeat(const transfer *what)
{
    ps_remote *remote = what->remote;
    bool done = false;
    ps_status st = PS_OK;
    while (!st && !done) {
        transfer t = *what;
        ps_list_init(&t.ready);
        if (t.sink)
            t.sink->restart(t.sink->state);
        st = t.source ? t.source->restart(t.source->state) : PS_OK;
        if (st)
            return st;
        st = attempt(&t);
        if (st && t.refused.code)
            return st;
        st = ps_remote_again(remote, st, &done);
    }
    return st;
}

ps_status ps_transfer_download(ps_remote *remote, const char *path, const ProtobufCMessage *request,
                               const ps_transfer_sink *sink)
{
    return repeat(&(transfer){.remote = remote, .path = path, .first = request, .sink = sink});
}

ps_status ps_transfer_upload(ps_remote *remote, const char *path, const ProtobufCMessage *header,
                             const ProtobufCMessage *piece, const ps_transfer_source *source)
{
    return repeat(&(transfer){
        .remote = remote, .path = path, .first = header, .piece = piece, .source = source});
}
