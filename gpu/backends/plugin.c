/* Driver, then plugin, then the plugin's own open. The handles are kept: a backend's code must stay
 * mapped, and CUDA's libraries do not take well to being unloaded. */
#include "gpu/backends/plugin.h"

#include "common/base/mem.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* dlsym gives an object pointer; POSIX promises that it holds a function's address. */
static bool find(void *library, const char *symbol, void *function, size_t size)
{
    void *address = dlsym(library, symbol);
    if (!address)
        return false;
    memcpy(function, &address, size);
    return true;
}

ps_status ps_plugin_open_entry(const ps_backend_plugin_entry *entry, const char *name,
                               const ps_backend_options *options, ps_backend **out)
{
    static const ps_plugin_host host = {.fail = ps_fail, .stream_fail = ps_stream_fail};
    if (entry->api != PS_BACKEND_API)
        return ps_fail(PS_FAILED_PRECONDITION, "%s was built for version %u, this is %u", name,
                       (unsigned)entry->api, (unsigned)PS_BACKEND_API);
    return entry->open(&host, options, out);
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
    return ps_plugin_open_entry(entry_of(), path, options, out);
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

#define PLUGIN "libpsd-cuda.so"

enum { LIBRARY_FOLDERS = 32 };

/* FOLDER of the running program, without the slash; false when nobody says. */
static bool program_folder(char *out, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", out, size - 1);
    if (length <= 0)
        return false;
    out[length] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
    return slash != NULL;
}

/* Beside the program in the folder it was built in; else PLUGIN_FOLDER, from the build, where it is
 * installed. Never a bare name, which the loader would look for in LD_LIBRARY_PATH. */
static void find_plugin(char *out, size_t size)
{
    char folder[PATH_MAX];
    if (program_folder(folder, sizeof folder)) {
        (void)snprintf(out, size, "%s/../gpu/cuda/" PLUGIN, folder);
        if (access(out, R_OK) == 0)
            return;
    }
    (void)snprintf(out, size, "%s/" PLUGIN, PLUGIN_FOLDER);
}

ps_status ps_cuda_open(const ps_backend_options *options, ps_backend **out)
{
    ps_status st = probe_driver();
    if (st)
        return st;
    const char *named = getenv("PSD_CUDA_PLUGIN");
    if (named && *named)
        return ps_plugin_open(named, options, out);
    char path[PATH_MAX + sizeof "/../gpu/cuda/" PLUGIN];
    find_plugin(path, sizeof path);
    if (access(path, R_OK) != 0)
        return ps_fail(PS_UNAVAILABLE, "a CUDA driver, but no plugin %s", path);
    return ps_plugin_open(path, options, out);
}

static void allow_folders_of(ps_landlock *landlock, const char *list)
{
    char *copy = ps_strdup(list), *rest = copy, *folder;
    for (int n = 0; n < LIBRARY_FOLDERS && (folder = strsep(&rest, ":")); n++)
        if (*folder)
            ps_landlock_allow(landlock, PS_LANDLOCK_READ, folder);
    ps_free(&copy);
}

void ps_cuda_allow(ps_landlock *landlock)
{
    const char *named = getenv("PSD_CUDA_PLUGIN"), *libraries = getenv("LD_LIBRARY_PATH"),
               *cache = getenv("CUDA_CACHE_PATH"), *home = getenv("HOME");
    char path[PATH_MAX + sizeof "/../gpu/cuda/" PLUGIN];
    if (named && *named)
        (void)snprintf(path, sizeof path, "%s", named);
    else
        find_plugin(path, sizeof path);
    ps_landlock_allow_beside(landlock, PS_LANDLOCK_READ, path);
    if (libraries)
        allow_folders_of(landlock, libraries);
    ps_landlock_allow(landlock, PS_LANDLOCK_DEVICE, "/dev");
    ps_landlock_allow(landlock, PS_LANDLOCK_RUN, "/usr/bin/nvidia-modprobe");
    if (!cache && home)
        (void)snprintf(path, sizeof path, "%s/.nv", home);
    if (cache || home)
        ps_landlock_allow(landlock, PS_LANDLOCK_WRITE, cache ? cache : path);
}
