/* plugin: backends that live in a shared library, so that the programs link to no CUDA library.
 *
 * The library exports one function, ps_backend_plugin, that returns a ps_backend_plugin_entry. It
 * is loaded once and stays. It has no symbol of the program's: what it needs of it is handed over
 * when it is opened. */
#ifndef PS_GPU_BACKENDS_PLUGIN_H
#define PS_GPU_BACKENDS_PLUGIN_H

#include "gpu/backend.h"

/* Where a plugin's failures go: the texts of ps_error_message are the program's. */
typedef struct ps_plugin_host {
    ps_status (*fail)(ps_status code, const char *format, ...) PS_PRINTF(2, 3); /* ps_fail */
    void (*stream_fail)(ps_stream *s, ps_status code);                          /* ps_stream_fail */
} ps_plugin_host;

typedef struct ps_backend_plugin_entry {
    uint32_t api; /* PS_BACKEND_API it was built with; another one is refused */
    /* host stays */
    ps_status (*open)(const ps_plugin_host *host, const ps_backend_options *options,
                      ps_backend **out);
} ps_backend_plugin_entry;

typedef const ps_backend_plugin_entry *(*ps_backend_plugin_function)(void);

/* PS_UNAVAILABLE: no such library; PS_FAILED_PRECONDITION: not one of ours, or another version. */
PS_MUST_CHECK ps_status ps_plugin_open(const char *path, const ps_backend_options *options,
                                       ps_backend **out);

/* The same of one that is part of the program: tests. */
PS_MUST_CHECK ps_status ps_plugin_open_entry(const ps_backend_plugin_entry *entry, const char *name,
                                             const ps_backend_options *options, ps_backend **out);

/* The row "cuda": asks the driver first (libcuda.so.1), since without one, loading cuBLAS costs up
 * to two seconds; then the plugin libpsd-cuda.so, by its full path: where PSD_CUDA_PLUGIN says, or
 * in the build's folder, or where it was installed. PS_UNAVAILABLE without either. */
PS_MUST_CHECK ps_status ps_cuda_open(const ps_backend_options *options, ps_backend **out);
/* The plugin, the driver and what that reads, writes and runs: devices that it makes known, code
 * that it has translated before. */
void ps_cuda_allow(ps_landlock *landlock);

#endif
