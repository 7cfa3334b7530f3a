/* The CPU's row: memory is the host's, a stream is the calling thread, an event is reached at once.
 */
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/openblas.h"
#include "gpu/cpu/run.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define THREADS_MAX 1024
#define LARGE       (16 << 20) /* bytes; Linux promises what it does not have: ask before */
#define PAGE        (2 << 20)  /* a large one, on x86-64 and mostly elsewhere */

static void close_backend(ps_backend *backend)
{
    ps_cpu_backend *b = (ps_cpu_backend *)backend;
    ps_threads_free(&b->threads);
    ps_free(&b);
}

/* For the large pages that lie within the buffer. */
static void advise(void *memory, size_t bytes, int what)
{
    uintptr_t begin = ((uintptr_t)memory + PAGE - 1) / PAGE * PAGE;
    uintptr_t end = ((uintptr_t)memory + bytes) / PAGE * PAGE;
    if (bytes >= LARGE && begin < end)
        (void)madvise((void *)begin, end - begin, what);
}

static ps_status buffer_new(ps_backend *b, size_t bytes, ps_buffer **out)
{
    (void)b;
    uint64_t available = bytes >= LARGE ? ps_limits_memory_left() : UINT64_MAX;
    if (bytes > available)
        return ps_fail(PS_NO_MEMORY, "cpu: no room for a buffer of %zu MiB, %llu are available",
                       bytes >> 20, (unsigned long long)available >> 20);
    void *memory = ps_try_alloc_raw(bytes);
    if (!memory)
        return ps_fail(PS_NO_MEMORY, "cpu: no room for a buffer of %zu bytes", bytes);
    /* A walk over a model's weights, which is what a token costs, is a third to a half faster with
     * large pages; where there are none, it has small ones. */
    advise(memory, bytes, MADV_HUGEPAGE);
    ps_buffer *buffer = ps_new(ps_buffer);
    *buffer = (ps_buffer){.memory = memory, .bytes = bytes};
    *out = buffer;
    return PS_OK;
}

static void buffer_sparse(ps_backend *b, ps_buffer *buffer)
{
    (void)b;
    advise(buffer->memory, buffer->bytes, MADV_NOHUGEPAGE);
    /* The allocator may have used it before, or written to all of it. */
    advise(buffer->memory, buffer->bytes, MADV_DONTNEED);
}

static void buffer_free(ps_backend *b, ps_buffer *buffer)
{
    (void)b;
    ps_free(&buffer->memory);
    ps_free(&buffer);
}

/* All memory is the host's. */
static ps_status host_new(ps_backend *b, size_t bytes, void **out)
{
    (void)b;
    *out = ps_try_alloc_raw(bytes);
    return *out ? PS_OK : ps_fail(PS_NO_MEMORY, "cpu: no room for %zu bytes", bytes);
}

static void host_free(ps_backend *b, void *memory)
{
    (void)b;
    ps_free(&memory);
}

static ps_status stream_new(ps_backend *b, ps_stream **out)
{
    size_t floats = PS_CPU_MAP_FLOATS * (size_t)ps_threads_count(((ps_cpu_backend *)b)->threads);
    float *scratch = ps_try_alloc_raw(floats * sizeof *scratch);
    if (!scratch)
        return ps_fail(PS_NO_MEMORY, "cpu: no room for a stream");
    ps_cpu_stream *s = ps_new(ps_cpu_stream);
    *s = (ps_cpu_stream){.base.backend = b, .scratch = scratch, .floats = floats};
    *out = &s->base;
    return PS_OK;
}

static ps_status stream_new_copies(ps_backend *b, ps_stream **out)
{
    ps_cpu_stream *s = ps_new(ps_cpu_stream);
    s->base.backend = b;
    *out = &s->base;
    return PS_OK;
}

static void stream_free(ps_stream *stream)
{
    ps_cpu_stream *s = (ps_cpu_stream *)stream;
    ps_free(&s->scratch);
    ps_free(&s);
}

static ps_status stream_sync(ps_stream *s)
{
    (void)s;
    return PS_OK;
}

static ps_status event_new(ps_backend *b, ps_event **out)
{
    (void)b;
    *out = ps_new(ps_event);
    return PS_OK;
}

static void event_free(ps_backend *b, ps_event *e)
{
    (void)b;
    ps_free(&e);
}

static void event_on_stream(ps_stream *s, ps_event *e)
{
    (void)s;
    (void)e;
}

static ps_status event_sync(ps_backend *b, ps_event *e)
{
    (void)b;
    (void)e;
    return PS_OK;
}

static void copy_to_device(ps_stream *s, ps_tensor dst, const void *src, size_t bytes)
{
    (void)s;
    memcpy(ps_tensor_address(dst), src, bytes);
}

static ps_status copy_to_host(ps_stream *s, void *dst, ps_tensor src, size_t bytes)
{
    (void)s;
    memcpy(dst, ps_tensor_address(src), bytes);
    return PS_OK;
}

static void copy_to_host_async(ps_stream *s, void *dst, ps_tensor src, size_t bytes)
{
    (void)s;
    memcpy(dst, ps_tensor_address(src), bytes);
}

static void copy(ps_stream *s, ps_tensor dst, ps_tensor src, size_t bytes)
{
    copy_to_device(s, dst, ps_tensor_address(src), bytes);
}

static const ps_backend_ops cpu_ops = {.close = close_backend,
                                       .buffer_new = buffer_new,
                                       .buffer_free = buffer_free,
                                       .buffer_sparse = buffer_sparse,
                                       .host_new = host_new,
                                       .host_free = host_free,
                                       .stream_new = stream_new,
                                       .stream_new_copies = stream_new_copies,
                                       .stream_free = stream_free,
                                       .stream_sync = stream_sync,
                                       .event_new = event_new,
                                       .event_free = event_free,
                                       .event_record = event_on_stream,
                                       .event_wait = event_on_stream,
                                       .event_sync = event_sync,
                                       .copy_to_device = copy_to_device,
                                       .copy_to_host = copy_to_host,
                                       .copy_to_host_async = copy_to_host_async,
                                       .copy = copy,
#define X(name) .name = ps_cpu_##name,
                                       PS_OPERATIONS(X)
#undef X
};

/* "model name : AMD EPYC ..." of the first processor; other architectures have no such line. */
static void read_model(char *out, size_t size)
{
    (void)snprintf(out, size, "processor");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f)
        return;
    char line[256];
    while (fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon[strcspn(colon, "\n")] = '\0';
        (void)snprintf(out, size, "%s", colon + 1 + (colon[1] == ' '));
        break;
    }
    (void)fclose(f);
}

static uint64_t usable_memory(void)
{
    ps_limits limits;
    ps_limits_read(&limits);
    return limits.memory;
}

/* Kernels of our own, unless somebody has said which of OpenBLAS's he wants. */
static void choose_kernels(ps_cpu_backend *b, const ps_cpu_features *features)
{
    if (ps_openblas_is_chosen())
        return;
    b->panels_f32 = ps_panel_kernels_f32();
    b->panels_bf16 = ps_panel_kernels_bf16();
    b->convolutions = ps_conv_kernels_for(features);
    b->pools = ps_pool_kernels_for(features);
}

static void fill_info(const ps_cpu_backend *b, ps_backend_info *info, int threads)
{
    char model[96];
    read_model(model, sizeof model);
    info->name = "cpu";
    (void)snprintf(info->label, sizeof info->label, "cpu");
    info->threads = threads;
    info->host_addressable = true;
    info->memory = usable_memory();
    (void)snprintf(info->device, sizeof info->device, "%s, %d thread%s, %s%s", model, threads,
                   threads == 1 ? "" : "s",
                   b->panels_bf16  ? "AVX-512 with BF16, "
                   : b->panels_f32 ? "AVX-512, "
                                   : "",
                   ps_openblas_name());
}

ps_status ps_cpu_open(const ps_backend_options *options, ps_backend **out)
{
    int threads = options ? options->threads : 0;
    if (threads < 0 || threads > THREADS_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "threads: %d, allowed are 0 (all cores) to %d", threads,
                       THREADS_MAX);
    if (threads == 0)
        threads = ps_cores() < THREADS_MAX ? (int)ps_cores() : THREADS_MAX;

    ps_threads *pool;
    ps_status st = ps_openblas_open();
    if (!st)
        st = ps_threads_new(threads, &pool);
    if (st)
        return st;
    ps_cpu_backend *b = ps_new(ps_cpu_backend);
    b->threads = pool;
    b->base.ops = &cpu_ops;
    ps_cpu_features features = ps_cpu_features_read();
    choose_kernels(b, &features);
    b->forms = ps_form_kernels_for(&features);
    b->rows = ps_cpu_row_kernels_for(&features);
    fill_info(b, &b->base.info, threads);
    *out = &b->base;
    return PS_OK;
}
