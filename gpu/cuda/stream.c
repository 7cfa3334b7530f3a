/* Streams, each that computes with a cuBLAS handle and memory of its own, and events.
 *
 * cuBLAS is given its workspace when the stream is made: else it would allocate one inside the
 * first product. The order matters: setting a handle's stream takes its workspace back. */
#include "common/base/mem.h"
#include "gpu/cuda/run.h"

typedef struct cuda_event {
    ps_event base;
    cudaEvent_t event;
} cuda_event;

static cudaEvent_t event_of(const ps_event *e)
{
    return ((const cuda_event *)e)->event;
}

ps_status ps_cuda_use(const ps_backend *b)
{
    return ps_cuda_status(cudaSetDevice(((const ps_cuda_backend *)b)->device), "device");
}

void ps_cuda_use_to_free(const ps_backend *b)
{
    (void)cudaSetDevice(((const ps_cuda_backend *)b)->device);
}

bool ps_cuda_begin(ps_stream *s)
{
    ps_status st = ps_cuda_use(s->backend);
    ps_cuda_stream_fail(s, st);
    return st == PS_OK;
}

bool ps_cuda_end(ps_stream *s, const char *what, cudaError_t code)
{
    ps_status st = ps_cuda_status(code, what);
    ps_cuda_stream_fail(s, st);
    return st == PS_OK;
}

cudaStream_t ps_cuda_queue(const ps_stream *s)
{
    return ((const ps_cuda_stream *)s)->queue;
}

void *ps_cuda_scratch(const ps_stream *s)
{
    return ((const ps_cuda_stream *)s)->scratch;
}

/* BF16's products are added up in float32 also where a sum is split. */
static cublasMath_t math_mode(const ps_cuda_backend *b)
{
    unsigned mode = b->tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH;
    return (cublasMath_t)(mode | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
}

static ps_status open_blas(const ps_cuda_backend *b, ps_cuda_stream *s)
{
    cublasStatus_t code = cublasCreate(&s->blas);
    if (code == CUBLAS_STATUS_SUCCESS)
        code = cublasSetStream(s->blas, s->queue);
    if (code == CUBLAS_STATUS_SUCCESS)
        code = cublasSetWorkspace(s->blas, s->workspace, b->workspace);
    if (code == CUBLAS_STATUS_SUCCESS)
        code = cublasSetMathMode(s->blas, math_mode(b));
    return ps_cuda_blas_status(code, "cuBLAS");
}

static ps_status open_memory(const ps_cuda_backend *b, ps_cuda_stream *s)
{
    cudaError_t code = cudaMalloc(&s->workspace, b->workspace);
    if (code == cudaSuccess)
        code = cudaMalloc(&s->scratch, PS_CUDA_SCRATCH);
    return ps_cuda_status(code, "stream");
}

/* What there is of it. Waits. */
static void release(ps_cuda_stream *s)
{
    if (s->queue)
        (void)cudaStreamSynchronize(s->queue);
    if (s->blas)
        (void)cublasDestroy(s->blas);
    (void)cudaFree(s->scratch);
    (void)cudaFree(s->workspace);
    if (s->queue)
        (void)cudaStreamDestroy(s->queue);
    (void)cudaGetLastError();
    ps_free(&s);
}

static ps_status open_stream(ps_backend *backend, bool computes, ps_stream **out)
{
    const ps_cuda_backend *b = (const ps_cuda_backend *)backend;
    ps_status st = ps_cuda_use(backend);
    if (st)
        return st;
    ps_cuda_stream *s = ps_new(ps_cuda_stream);
    s->base.backend = backend;
    st = ps_cuda_status(cudaStreamCreateWithFlags(&s->queue, cudaStreamNonBlocking), "stream");
    if (!st && computes)
        st = open_memory(b, s);
    if (!st && computes)
        st = open_blas(b, s);
    if (st) {
        release(s);
        return st;
    }
    *out = &s->base;
    return PS_OK;
}

ps_status ps_cuda_stream_new(ps_backend *b, ps_stream **out)
{
    return open_stream(b, true, out);
}

ps_status ps_cuda_stream_new_copies(ps_backend *b, ps_stream **out)
{
    return open_stream(b, false, out);
}

void ps_cuda_stream_free(ps_stream *s)
{
    ps_cuda_use_to_free(s->backend);
    release((ps_cuda_stream *)s);
}

ps_status ps_cuda_stream_sync(ps_stream *s)
{
    if (ps_cuda_begin(s))
        (void)ps_cuda_end(s, "stream", cudaStreamSynchronize(ps_cuda_queue(s)));
    return s->error.code; /* of an older failure, ps_stream_sync says why */
}

ps_status ps_cuda_event_new(ps_backend *b, ps_event **out)
{
    ps_status st = ps_cuda_use(b);
    if (st)
        return st;
    cudaEvent_t event = NULL;
    st = ps_cuda_status(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
    if (st)
        return st;
    cuda_event *e = ps_new(cuda_event);
    e->event = event;
    *out = &e->base;
    return PS_OK;
}

void ps_cuda_event_free(ps_backend *b, ps_event *e)
{
    ps_cuda_use_to_free(b);
    (void)cudaEventDestroy(event_of(e));
    (void)cudaGetLastError();
    ps_free(&e);
}

void ps_cuda_event_record(ps_stream *s, ps_event *e)
{
    if (ps_cuda_begin(s))
        (void)ps_cuda_end(s, "event", cudaEventRecord(event_of(e), ps_cuda_queue(s)));
}

void ps_cuda_event_wait(ps_stream *s, ps_event *e)
{
    if (ps_cuda_begin(s))
        (void)ps_cuda_end(s, "event", cudaStreamWaitEvent(ps_cuda_queue(s), event_of(e), 0));
}

ps_status ps_cuda_event_sync(ps_backend *b, ps_event *e)
{
    ps_status st = ps_cuda_use(b);
    return st ? st : ps_cuda_status(cudaEventSynchronize(event_of(e)), "event");
}
