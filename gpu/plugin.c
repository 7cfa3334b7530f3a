/* Driver, then plugin, then the plugin's own open. The handles are kept: a backend's code must stay
 * mapped, and CUDA's libraries do not take well to being unloaded. */
#include "gpu/plugin.h"

#include <dlfcn.h>
#include <string.h>

/* dlsym gives an object pointer; POSIX promises that it holds a function's address. */
static bool find(void *library, const char *symbol, void *function, size_t size)
{
    void *address = dlsym(library, symbol);
    if (!address)
        return false;
    memcpy(function, &address, size);
    return true;
}

ps_status ps_plugin_open(const char *path, const ps_backend_options *options, ps_backend **out)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return ps_fail(PS_UNAVAILABLE, "no plugin: %s", dlerror());
    ps_backend_plugin_function entry_of = NULL;
    if (!find(library, "ps_backend_plugin", &entry_of, sizeof entry_of)) {
        (void)dlclose(library);
        return ps_fail(PS_FAILED_PRECONDITION, "%s is not a plugin of psd", path);
    }
    const ps_backend_plugin_entry *entry = entry_of();
    if (entry->api != PS_BACKEND_API)
        return ps_fail(PS_FAILED_PRECONDITION, "%s was built for version %u, this is %u", path,
                       (unsigned)entry->api, (unsigned)PS_BACKEND_API);
    return entry->open(options, out);
}

static ps_status probe_driver(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!driver)
        return ps_fail(PS_UNAVAILABLE, "no CUDA driver");
    int (*init)(unsigned flags) = NULL;
    if (!find(driver, "cuInit", &init, sizeof init))
        return ps_fail(PS_UNAVAILABLE, "no CUDA driver");
    int code = init(0);
    if (code != 0)
        return ps_fail(PS_UNAVAILABLE, "the CUDA driver has no device, cuInit says %d", code);
    return PS_OK;
}

ps_status ps_cuda_open(const ps_backend_options *options, ps_backend **out)
{
    ps_status st = probe_driver();
    if (st)
        return st;
    return ps_plugin_open("libpsd-cuda.so", options, out);
}
