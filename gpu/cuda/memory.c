/* Device memory, the host's pinned memory, and copies between them. */
#include "common/base/mem.h"
#include "gpu/cuda/run.h"

/* What is made: never of no bytes, which CUDA answers with no address. */
static size_t at_least_one(size_t bytes)
{
    return bytes ? bytes : 1;
}

ps_status ps_cuda_buffer_new(ps_backend *b, size_t bytes, ps_buffer **out)
{
    void *memory = NULL;
    ps_status st = ps_cuda_use(b);
    if (st)
        return st;
    cudaError_t code = cudaMalloc(&memory, at_least_one(bytes));
    if (code == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        return ps_cuda_fail(PS_NO_MEMORY, "no room on device %d for a buffer of %zu bytes",
                            ((ps_cuda_backend *)b)->device, bytes);
    }
    st = ps_cuda_status(code, "buffer");
    if (st)
        return st;
    ps_buffer *buffer = ps_new(ps_buffer);
    *buffer = (ps_buffer){.memory = memory, .bytes = bytes};
    *out = buffer;
    return PS_OK;
}

/* Of what is freed, errors are old ones of other calls: they are told where results are taken. */
void ps_cuda_buffer_free(ps_backend *b, ps_buffer *buffer)
{
    ps_cuda_use_to_free(b);
    (void)cudaFree(buffer->memory);
    (void)cudaGetLastError();
    ps_free(&buffer);
}

ps_status ps_cuda_host_new(ps_backend *b, size_t bytes, void **out)
{
    void *memory = NULL;
    ps_status st = ps_cuda_use(b);
    if (st)
        return st;
    cudaError_t code = cudaMallocHost(&memory, at_least_one(bytes));
    if (code == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        return ps_cuda_fail(PS_NO_MEMORY, "no room for %zu bytes of pinned memory", bytes);
    }
    st = ps_cuda_status(code, "pinned memory");
    if (st)
        return st;
    *out = memory;
    return PS_OK;
}

void ps_cuda_host_free(ps_backend *b, void *memory)
{
    ps_cuda_use_to_free(b);
    (void)cudaFreeHost(memory);
    (void)cudaGetLastError();
}

void ps_cuda_copy_to_device(ps_stream *s, ps_tensor dst, const void *src, size_t bytes)
{
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "copy to the device",
                    cudaMemcpyAsync(ps_tensor_address(dst), src, bytes, cudaMemcpyHostToDevice,
                                    ps_cuda_queue(s)));
}

void ps_cuda_copy_to_host_async(ps_stream *s, void *dst, ps_tensor src, size_t bytes)
{
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "copy to the host",
                    cudaMemcpyAsync(dst, ps_tensor_address(src), bytes, cudaMemcpyDeviceToHost,
                                    ps_cuda_queue(s)));
}

ps_status ps_cuda_copy_to_host(ps_stream *s, void *dst, ps_tensor src, size_t bytes)
{
    ps_cuda_copy_to_host_async(s, dst, src, bytes);
    return s->error.code ? s->error.code : ps_cuda_stream_sync(s);
}

void ps_cuda_copy(ps_stream *s, ps_tensor dst, ps_tensor src, size_t bytes)
{
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "copy",
                    cudaMemcpyAsync(ps_tensor_address(dst), ps_tensor_address(src), bytes,
                                    cudaMemcpyDeviceToDevice, ps_cuda_queue(s)));
}
