/* Copies and fills. What hardware does at the call and what later: a copy from pageable memory
 * takes its source at the call, one to pageable memory is done when the call returns; pinned memory
 * is read and written when the stream gets there. Until then a pinned destination holds garbage.
 *
 * It fails at the call when either side is not what the kind says, or ends too early. */
#include "tests/cuda/checker.h"
#include "tests/cuda/memory.h"
#include "tests/cuda/report.h"
#include "tests/cuda/runtime.h"
#include "tests/cuda/stream.h"

#include <string.h>

/* rows of `width` bytes, `*_pitch` apart */
typedef struct ps_copy2d {
    char *dst;
    const char *src;
    size_t dst_pitch, src_pitch, width, rows;
} ps_copy2d;

static size_t extent(size_t pitch, size_t width, size_t rows)
{
    return rows && width ? (rows - 1) * pitch + width : 0;
}

static bool on_device(const void *address)
{
    return ps_memory_in_arena(address) && !ps_memory_is_pinned(address);
}

/* Whether a side is where the kind says, all of it. */
static bool side_is(const void *start, size_t bytes, bool device, const char *what)
{
    if (on_device(start) != device) {
        ps_report(NULL, "%s is %s memory, the kind says otherwise", what,
                  device ? "host" : "device");
        return false;
    }
    return !ps_memory_in_arena(start) || ps_memory_check(start, bytes, what);
}

static cudaError_t check(const ps_copy2d *c, cudaMemcpyKind *kind)
{
    if (c->width > c->dst_pitch || c->width > c->src_pitch)
        return cudaErrorInvalidValue;
    if (*kind == cudaMemcpyDefault)
        *kind = on_device(c->dst)
                    ? (on_device(c->src) ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice)
                    : (on_device(c->src) ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost);
    bool to = *kind == cudaMemcpyHostToDevice || *kind == cudaMemcpyDeviceToDevice;
    bool from = *kind == cudaMemcpyDeviceToHost || *kind == cudaMemcpyDeviceToDevice;
    if (!side_is(c->dst, extent(c->dst_pitch, c->width, c->rows), to, "a copy's destination") ||
        !side_is(c->src, extent(c->src_pitch, c->width, c->rows), from, "a copy's source"))
        return cudaErrorInvalidValue;
    return cudaSuccess;
}

static void run(const ps_copy2d *c)
{
    for (size_t i = 0; i < c->rows; i++) {
        memmove(c->dst + i * c->dst_pitch, c->src + i * c->src_pitch, c->width);
        ps_checker_written(c->dst + i * c->dst_pitch, c->width);
    }
}

static void enqueue(CUstream_st *s, const ps_copy2d *c, cudaMemcpyKind kind)
{
    ps_copy2d copy = *c;
    if (kind == cudaMemcpyHostToDevice && !ps_memory_is_pinned(c->src)) {
        auto kept = std::make_shared<std::vector<char>>(c->width * c->rows);
        for (size_t i = 0; i < c->rows; i++)
            memcpy(kept->data() + i * c->width, c->src + i * c->src_pitch, c->width);
        copy.src = kept->data();
        copy.src_pitch = c->width;
        ps_stream_enqueue(s, [copy, kept] { run(&copy); });
        return;
    }
    if (kind == cudaMemcpyDeviceToHost && ps_memory_is_pinned(c->dst))
        for (size_t i = 0; i < c->rows; i++)
            memset(c->dst + i * c->dst_pitch, 0xff, c->width);
    ps_stream_enqueue(s, [copy] { run(&copy); });
}

static cudaError_t copy(const ps_copy2d *c, cudaMemcpyKind kind, cudaStream_t stream, bool wait)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    CUstream_st *s = ps_stream_find(stream);
    if (code == cudaSuccess && !s)
        code = cudaErrorInvalidResourceHandle;
    if (code == cudaSuccess && c->width > 0 && c->rows > 0)
        code = check(c, &kind);
    if (code != cudaSuccess || c->width == 0 || c->rows == 0)
        return ps_runtime_end(code);
    enqueue(s, c, kind);
    bool pageable = kind == cudaMemcpyHostToHost ||
                    (kind == cudaMemcpyDeviceToHost && !ps_memory_is_pinned(c->dst));
    if (wait || pageable)
        ps_stream_finish(s, s->enqueued);
    return ps_runtime_end(ps_sticky_error);
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind)
{
    ps_copy2d c = {(char *)dst, (const char *)src, bytes, bytes, bytes, 1};
    return copy(&c, kind, NULL, true);
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    ps_copy2d c = {(char *)dst, (const char *)src, bytes, bytes, bytes, 1};
    return copy(&c, kind, stream, false);
}

cudaError_t cudaMemcpy2D(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                         size_t width, size_t rows, cudaMemcpyKind kind)
{
    ps_copy2d c = {(char *)dst, (const char *)src, dst_pitch, src_pitch, width, rows};
    return copy(&c, kind, NULL, true);
}

cudaError_t cudaMemcpy2DAsync(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                              size_t width, size_t rows, cudaMemcpyKind kind, cudaStream_t stream)
{
    ps_copy2d c = {(char *)dst, (const char *)src, dst_pitch, src_pitch, width, rows};
    return copy(&c, kind, stream, false);
}

static cudaError_t fill(char *start, size_t pitch, int value, size_t width, size_t rows,
                        cudaStream_t stream, bool wait)
{
    PS_RUNTIME_LOCK;
    cudaError_t code = ps_runtime_begin(cudaErrorLaunchFailure);
    CUstream_st *s = ps_stream_find(stream);
    if (code == cudaSuccess && !s)
        code = cudaErrorInvalidResourceHandle;
    if (code == cudaSuccess &&
        (width > pitch || !ps_memory_check(start, extent(pitch, width, rows), "cudaMemset")))
        code = cudaErrorInvalidValue;
    if (code != cudaSuccess || width == 0 || rows == 0)
        return ps_runtime_end(code);
    ps_stream_enqueue(s, [=] {
        for (size_t i = 0; i < rows; i++) {
            memset(start + i * pitch, value, width);
            ps_checker_written(start + i * pitch, width);
        }
    });
    if (wait)
        ps_stream_finish(s, s->enqueued);
    return ps_runtime_end(ps_sticky_error);
}

cudaError_t cudaMemset(void *start, int value, size_t bytes)
{
    return fill((char *)start, bytes, value, bytes, 1, NULL, true);
}

cudaError_t cudaMemsetAsync(void *start, int value, size_t bytes, cudaStream_t stream)
{
    return fill((char *)start, bytes, value, bytes, 1, stream, false);
}

cudaError_t cudaMemset2DAsync(void *start, size_t pitch, int value, size_t width, size_t rows,
                              cudaStream_t stream)
{
    return fill((char *)start, pitch, value, width, rows, stream, false);
}
