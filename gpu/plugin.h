/* plugin: backends that live in a shared library, so that the programs link to no CUDA library.
 *
 * The library exports one function, ps_backend_plugin, that returns a ps_backend_plugin_entry. It
 * is loaded once and stays. */
#ifndef PS_GPU_PLUGIN_H
#define PS_GPU_PLUGIN_H

#include "gpu/backend.h"

typedef struct ps_backend_plugin_entry {
    uint32_t api; /* PS_BACKEND_API it was built with; another one is refused */
    ps_status (*open)(const ps_backend_options *options, ps_backend **out);
} ps_backend_plugin_entry;

typedef const ps_backend_plugin_entry *(*ps_backend_plugin_function)(void);

/* PS_UNAVAILABLE: no such library; PS_FAILED_PRECONDITION: not one of ours, or another version. */
PS_MUST_CHECK ps_status ps_plugin_open(const char *path, const ps_backend_options *options,
                                       ps_backend **out);

/* The row "cuda": asks the driver first (libcuda.so.1), since without one, loading cuBLAS costs up
 * to two seconds; then the plugin libpsd-cuda.so. PS_UNAVAILABLE without either. */
PS_MUST_CHECK ps_status ps_cuda_open(const ps_backend_options *options, ps_backend **out);

#endif
