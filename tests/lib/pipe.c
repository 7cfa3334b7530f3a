/* Happy path: each end has a queue of bytes that the other has sent; readiness is told from a
 * deferred job, as long as it is wanted and true. Failure: those that were ordered. */
#include "tests/lib/pipe.h"

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/mem.h"

#define CAPACITY (64u << 10)

typedef struct end {
    ps_layer layer;
    ps_loop *loop;
    struct end *peer; /* NULL once it is closed */
    ps_pipe_faults faults;
    ps_buf in;
    size_t sent;
    unsigned wanted;
    ps_loop_task job;
} end;

static end *of(ps_layer *layer)
{
    return ps_container(layer, end, layer);
}

static size_t room(const end *e)
{
    size_t capacity = e->faults.capacity ? e->faults.capacity : CAPACITY;
    return e->peer && e->peer->in.len < capacity ? capacity - e->peer->in.len : 0;
}

static bool is_cut(const end *e)
{
    return e->faults.cut_after && e->sent >= e->faults.cut_after;
}

static unsigned ready(const end *e)
{
    unsigned now = 0;
    if (e->in.len > 0 || !e->peer || is_cut(e) || is_cut(e->peer))
        now |= PS_LAYER_READABLE;
    if (room(e) > 0 || !e->peer || is_cut(e))
        now |= PS_LAYER_WRITABLE;
    return now & e->wanted;
}

static void poke(end *e)
{
    if (e && ready(e))
        ps_loop_defer(e->loop, &e->job);
}

static void job_cb(ps_loop_task *job)
{
    end *e = ps_container(job, end, job);
    unsigned now = ready(e);
    if (!now || !e->layer.on_ready)
        return;
    ps_loop_defer(e->loop, &e->job); /* as a poll: until it is no longer true or wanted */
    e->layer.on_ready(e->layer.above, now);
}

static ps_status pipe_handshake(ps_layer *layer)
{
    (void)layer;
    return PS_OK;
}

static size_t at_most(size_t n, size_t limit)
{
    return limit && n > limit ? limit : n;
}

static ps_status pipe_recv(ps_layer *layer, void *data, size_t len, size_t *got)
{
    end *e = of(layer);
    size_t n = at_most(at_most(len, e->faults.recv_max), e->in.len);
    if (e->in.len == 0) {
        if (is_cut(e) || (e->peer && is_cut(e->peer)))
            return ps_fail(PS_UNAVAILABLE, "the pipe was cut");
        return e->peer ? PS_AGAIN : ps_fail(PS_END, "closed by the peer");
    }
    memcpy(data, e->in.data, n);
    ps_buf_consume(&e->in, n);
    *got = n;
    poke(e->peer);
    return PS_OK;
}

static ps_status pipe_send(ps_layer *layer, const ps_slice *slices, size_t n, size_t *sent)
{
    end *e = of(layer);
    if (!e->peer || is_cut(e))
        return ps_fail(PS_UNAVAILABLE, "the pipe is broken");
    size_t left = at_most(room(e), e->faults.send_max), total = 0;
    for (size_t i = 0; i < n && left > 0; i++) {
        size_t piece = slices[i].len < left ? slices[i].len : left;
        ps_buf_append(&e->peer->in, slices[i].data, piece);
        total += piece;
        left -= piece;
    }
    e->sent += total;
    if (total == 0)
        return PS_AGAIN;
    *sent = total;
    poke(e->peer);
    return PS_OK;
}

static ps_status pipe_flush(ps_layer *layer)
{
    (void)layer;
    return PS_OK;
}

static void pipe_want(ps_layer *layer, unsigned events)
{
    end *e = of(layer);
    e->wanted = events;
    poke(e);
}

static void pipe_close(ps_layer *layer)
{
    end *e = of(layer);
    end *peer = e->peer;
    ps_loop_cancel(e->loop, &e->job);
    if (peer) {
        peer->peer = NULL;
        poke(peer);
    }
    ps_buf_free(&e->in);
    free(e);
}

static const ps_layer_ops pipe_ops = {
    .name = "pipe",
    .handshake = pipe_handshake,
    .recv = pipe_recv,
    .send = pipe_send,
    .flush = pipe_flush,
    .want = pipe_want,
    .close = pipe_close,
};

static end *make_end(ps_loop *loop, const ps_pipe_faults *faults)
{
    end *e = ps_new(end);
    e->layer.ops = &pipe_ops;
    e->loop = loop;
    if (faults)
        e->faults = *faults;
    ps_loop_task_init(&e->job, job_cb);
    return e;
}

void ps_pipe_create(ps_loop *loop, const ps_pipe_faults *a_faults, const ps_pipe_faults *b_faults,
                    ps_layer **a, ps_layer **b)
{
    end *one = make_end(loop, a_faults), *other = make_end(loop, b_faults);
    one->peer = other;
    other->peer = one;
    *a = &one->layer;
    *b = &other->layer;
}
