/* An operation knows which places in other streams come before it: the legacy default stream's rule
 * and cudaStreamWaitEvent make such places. To run one, run those first. A stream that is not
 * waited for stays where it is, however much is enqueued on others.
 *
 * After the context is lost, operations are dropped. */
#include "tests/cuda/stream.h"

#include "tests/cuda/memory.h"
#include "tests/cuda/order.h"
#include "tests/cuda/report.h"

#include <utility>

/* Destroyed ones too, since their places may be asked for; never freed, as threads may still run
 * when the program ends. */
static std::vector<CUstream_st *> &streams = *new std::vector<CUstream_st *>();

static CUstream_st *legacy(void)
{
    if (streams.empty()) {
        streams.push_back(new CUstream_st());
        streams[0]->live = streams[0]->blocking = true;
    }
    return streams[0];
}

CUstream_st *ps_stream_make(bool blocking)
{
    (void)legacy();
    CUstream_st *s = new CUstream_st();
    s->live = true;
    s->blocking = blocking;
    streams.push_back(s);
    return s;
}

CUstream_st *ps_stream_find(cudaStream_t stream)
{
    if (!stream || stream == cudaStreamLegacy)
        return legacy();
    for (CUstream_st *s : streams)
        if (s == stream && s->live && s != streams[0])
            return s;
    return NULL;
}

bool ps_place_reached(ps_place place)
{
    return !place.stream || place.stream->done >= place.number;
}

/* The default stream and a blocking one wait for each other's operations so far. */
static void add_default_rule(CUstream_st *s, ps_operation *o)
{
    CUstream_st *first = legacy();
    for (CUstream_st *other : streams) {
        if (other == s || !other->blocking || (s != first && other != first) || !s->blocking)
            continue;
        ps_place place = {other, other->enqueued};
        if (!ps_place_reached(place))
            o->after.push_back(place);
    }
}

void ps_stream_enqueue(CUstream_st *s, std::function<void()> run)
{
    ps_operation o = {};
    o.number = ++s->enqueued;
    o.run = std::move(run);
    add_default_rule(s, &o);
    s->waiting.push_back(std::move(o));
}

void ps_stream_after(CUstream_st *s, ps_place place)
{
    if (ps_place_reached(place) || place.stream == s)
        return;
    ps_stream_enqueue(s, nullptr);
    s->waiting.back().after.push_back(place);
}

bool ps_stream_step(CUstream_st *s)
{
    if (s->waiting.empty())
        return false;
    for (ps_place place : s->waiting.front().after)
        ps_stream_finish(place.stream, place.number);
    ps_operation o = std::move(s->waiting.front());
    s->waiting.pop_front();
    if (o.run && ps_sticky_error == cudaSuccess) {
        ps_device_enter();
        o.run();
        ps_device_leave();
    }
    s->done = o.number;
    return true;
}

void ps_stream_finish(CUstream_st *s, uint64_t number)
{
    ps_device_enter();
    while (s->done < number && ps_stream_step(s))
        ;
    ps_device_leave();
}

void ps_stream_finish_all(void)
{
    ps_device_enter();
    unsigned n = (unsigned)streams.size();
    for (unsigned i = 0; i < n; i++) {
        CUstream_st *s = streams[ps_order_at(i, n)];
        ps_stream_finish(s, s->enqueued);
    }
    ps_device_leave();
}

void ps_stream_forget(void)
{
    for (CUstream_st *s : streams) {
        s->waiting.clear();
        s->done = s->enqueued;
    }
}
