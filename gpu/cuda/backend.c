/* The CUDA row: finds the device asked for and says what it is. */
#include "common/base/mem.h"
#include "gpu/cuda/run.h"

#include <stdio.h>

/* What cuBLAS asks for by its manual: 32 MiB from Hopper on, else 4; twice that for the others. */
#define WORKSPACE_HOPPER ((size_t)32 << 20)
#define WORKSPACE        ((size_t)8 << 20)

static void close_backend(ps_backend *backend)
{
    ps_cuda_backend *b = (ps_cuda_backend *)backend;
    ps_free(&b);
}

static const ps_backend_ops cuda_ops = {.close = close_backend,
                                        .buffer_new = ps_cuda_buffer_new,
                                        .buffer_free = ps_cuda_buffer_free,
                                        .host_new = ps_cuda_host_new,
                                        .host_free = ps_cuda_host_free,
                                        .stream_new = ps_cuda_stream_new,
                                        .stream_new_copies = ps_cuda_stream_new_copies,
                                        .stream_free = ps_cuda_stream_free,
                                        .stream_sync = ps_cuda_stream_sync,
                                        .event_new = ps_cuda_event_new,
                                        .event_free = ps_cuda_event_free,
                                        .event_record = ps_cuda_event_record,
                                        .event_wait = ps_cuda_event_wait,
                                        .event_sync = ps_cuda_event_sync,
                                        .copy_to_device = ps_cuda_copy_to_device,
                                        .copy_to_host = ps_cuda_copy_to_host,
                                        .copy_to_host_async = ps_cuda_copy_to_host_async,
                                        .copy = ps_cuda_copy,
#define X(name) .name = ps_cuda_##name,
                                        PS_OPERATIONS(X)
#undef X
};

static ps_status check_number(int device)
{
    int devices = 0;
    ps_status st = ps_cuda_status(cudaGetDeviceCount(&devices), "devices");
    if (st)
        return st;
    if (device < 0 || device >= devices)
        return ps_cuda_fail(PS_UNAVAILABLE, "no GPU %d: the driver shows %d, counted from 0",
                            device, devices);
    return PS_OK;
}

static void fill_info(ps_backend_info *info, const struct cudaDeviceProp *p, int device)
{
    info->name = "cuda";
    (void)snprintf(info->label, sizeof info->label, "cuda:%d", device);
    info->threads = 1;
    info->memory = p->totalGlobalMem;
    (void)snprintf(info->device, sizeof info->device, "%.100s", p->name);
}

ps_status ps_cuda_device_open(const ps_plugin_host *host, const ps_backend_options *options,
                              ps_backend **out)
{
    ps_cuda_error_open(host);
    int device = options ? options->device : 0;
    ps_status st = check_number(device);
    if (st)
        return st;
    struct cudaDeviceProp p;
    st = ps_cuda_status(cudaGetDeviceProperties(&p, device), "device");
    if (st)
        return st;
    if (p.major * 10 + p.minor < 75)
        return ps_cuda_fail(PS_UNAVAILABLE,
                            "device %d, %s, has compute capability %d.%d: 7.5 is needed", device,
                            p.name, p.major, p.minor);
    ps_cuda_backend *b = ps_new(ps_cuda_backend);
    b->base.ops = &cuda_ops;
    b->device = device;
    b->tf32 = options && options->tf32;
    b->workspace = p.major >= 9 ? WORKSPACE_HOPPER : WORKSPACE;
    fill_info(&b->base.info, &p, device);
    b->base.info.tf32 = b->tf32 && p.major >= 8; /* older ones compute in F32 all the same */
    *out = &b->base;
    return PS_OK;
}

__attribute__((visibility("default"))) const ps_backend_plugin_entry *ps_backend_plugin(void)
{
    static const ps_backend_plugin_entry entry = {.api = PS_BACKEND_API,
                                                  .open = ps_cuda_device_open};
    return &entry;
}
