/* Streams and events as the toolkit names them. A query lets its stream do one operation, so that
 * polling comes to an end. */
#include "tests/cuda/memory.h"
#include "tests/cuda/report.h"
#include "tests/cuda/runtime.h"
#include "tests/cuda/stream.h"

#include <time.h>

/* One recording of an event: the stream marks the time when it gets there. */
typedef struct ps_mark {
    ps_place place;
    double milliseconds;
} ps_mark;

struct CUevent_st {
    unsigned flags;
    std::shared_ptr<ps_mark> mark; /* NULL: never recorded */
};

static cudaError_t begin(cudaStream_t stream, cudaError_t injected, CUstream_st **out)
{
    cudaError_t code = ps_runtime_begin(injected);
    *out = ps_stream_find(stream);
    return code == cudaSuccess && !*out ? cudaErrorInvalidResourceHandle : code;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *out, unsigned flags, int priority)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorMemoryAllocation);
    if (code == cudaSuccess && (!out || flags > cudaStreamNonBlocking))
        code = cudaErrorInvalidValue;
    if (code == cudaSuccess) {
        *out = ps_stream_make(flags != cudaStreamNonBlocking);
        (*out)->flags = flags;
        (*out)->priority = priority;
        ps_runtime_count(1);
    }
    return ps_runtime_end(code);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
    return cudaStreamCreateWithPriority(out, flags, 0);
}

cudaError_t cudaStreamCreate(cudaStream_t *out)
{
    return cudaStreamCreateWithPriority(out, cudaStreamDefault, 0);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    PS_RUNTIME_LOCK;
    CUstream_st *s = ps_stream_find(stream);
    if (!stream || !s)
        return ps_runtime_end(cudaErrorInvalidResourceHandle);
    ps_stream_finish(s, s->enqueued);
    s->live = false;
    ps_runtime_count(-1);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    PS_RUNTIME_LOCK;
    CUstream_st *s = NULL;
    cudaError_t code = begin(stream, cudaErrorLaunchFailure, &s);
    if (code == cudaSuccess) {
        ps_stream_finish(s, s->enqueued);
        code = ps_sticky_error;
    }
    return ps_runtime_end(code);
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    PS_RUNTIME_LOCK;
    CUstream_st *s = NULL;
    cudaError_t code = begin(stream, cudaErrorLaunchFailure, &s);
    if (code == cudaSuccess && ps_stream_step(s))
        code = ps_sticky_error != cudaSuccess ? ps_sticky_error : cudaErrorNotReady;
    return ps_runtime_end(code);
}

cudaError_t cudaDeviceSynchronize(void)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    if (code == cudaSuccess) {
        ps_stream_finish_all();
        code = ps_sticky_error;
    }
    return ps_runtime_end(code);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    PS_RUNTIME_LOCK;
    (void)flags;
    CUstream_st *s = NULL;
    cudaError_t code = begin(stream, cudaErrorLaunchFailure, &s);
    if (code == cudaSuccess && !event)
        code = cudaErrorInvalidResourceHandle;
    if (code == cudaSuccess && event->mark)
        ps_stream_after(s, event->mark->place);
    return ps_runtime_end(code);
}

/* The host function runs when its stream gets there, with the device's memory closed to it, and may
 * call nothing of CUDA. */
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *context)
{
    PS_RUNTIME_LOCK;
    CUstream_st *s = NULL;
    cudaError_t code = begin(stream, cudaErrorLaunchFailure, &s);
    if (code == cudaSuccess)
        ps_stream_enqueue(s, [=] {
            ps_device_pause();
            ps_runtime_forbid(true);
            function(context);
            ps_runtime_forbid(false);
            ps_device_resume();
        });
    return ps_runtime_end(code);
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int *priority)
{
    PS_RUNTIME_LOCK;
    CUstream_st *s = NULL;
    cudaError_t code = begin(stream, cudaErrorLaunchFailure, &s);
    if (code == cudaSuccess)
        *priority = s->priority;
    return ps_runtime_end(code);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    *least = 0;
    *greatest = -5;
    return ps_runtime_end(code);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorMemoryAllocation);
    if (code == cudaSuccess && !out)
        code = cudaErrorInvalidValue;
    if (code == cudaSuccess) {
        *out = new CUevent_st();
        (*out)->flags = flags;
        ps_runtime_count(1);
    }
    return ps_runtime_end(code);
}

cudaError_t cudaEventCreate(cudaEvent_t *out)
{
    return cudaEventCreateWithFlags(out, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    PS_RUNTIME_LOCK;
    if (!event)
        return ps_runtime_end(cudaErrorInvalidResourceHandle);
    delete event;
    ps_runtime_count(-1);
    return cudaSuccess;
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    PS_RUNTIME_LOCK;
    CUstream_st *s = NULL;
    cudaError_t code = begin(stream, cudaErrorLaunchFailure, &s);
    if (code == cudaSuccess && !event)
        code = cudaErrorInvalidResourceHandle;
    if (code != cudaSuccess)
        return ps_runtime_end(code);
    auto mark = std::make_shared<ps_mark>();
    event->mark = mark;
    ps_stream_enqueue(s, [mark] { mark->milliseconds = now(); });
    mark->place = {s, s->enqueued};
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    if (code == cudaSuccess && !event)
        code = cudaErrorInvalidResourceHandle;
    if (code == cudaSuccess && event->mark) {
        ps_stream_finish(event->mark->place.stream, event->mark->place.number);
        code = ps_sticky_error;
    }
    return ps_runtime_end(code);
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    if (code == cudaSuccess && !event)
        code = cudaErrorInvalidResourceHandle;
    if (code == cudaSuccess && event->mark && !ps_place_reached(event->mark->place)) {
        (void)ps_stream_step(event->mark->place.stream);
        code = ps_sticky_error != cudaSuccess ? ps_sticky_error : cudaErrorNotReady;
    }
    return ps_runtime_end(code);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    if (code != cudaSuccess)
        return ps_runtime_end(code);
    if (!start || !end || !start->mark || !end->mark ||
        (start->flags | end->flags) & cudaEventDisableTiming)
        return ps_runtime_end(cudaErrorInvalidResourceHandle);
    if (!ps_place_reached(start->mark->place) || !ps_place_reached(end->mark->place))
        return cudaErrorNotReady;
    *milliseconds = (float)(end->mark->milliseconds - start->mark->milliseconds);
    return cudaSuccess;
}
