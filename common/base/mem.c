#include "common/base/mem.h"

#include "common/base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ALIGNMENT 64

static _Thread_local unsigned long fail_countdown;

static void *must(void *p)
{
    if (!p) {
        ps_log_error("memory", "out of memory for a small allocation");
        ps_log_flush();
        abort();
    }
    return p;
}

void *ps_alloc(size_t bytes)
{
    return must(calloc(1, bytes ? bytes : 1));
}

void *ps_alloc_array(size_t n, size_t one)
{
    return must(calloc(n ? n : 1, one ? one : 1));
}

void *ps_realloc(void *p, size_t bytes)
{
    return must(realloc(p, bytes ? bytes : 1));
}

char *ps_strdup(const char *s)
{
    return s ? must(strdup(s)) : NULL;
}

char *ps_asprintf(const char *format, ...)
{
    char *out = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&out, format, args);
    va_end(args);
    return must(n < 0 ? NULL : out);
}

void *ps_try_alloc_raw(size_t bytes)
{
    if (fail_countdown && --fail_countdown == 0)
        return NULL;
    if (bytes > SIZE_MAX - ALIGNMENT)
        return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return aligned_alloc(ALIGNMENT, rounded ? rounded : ALIGNMENT);
}

void *ps_try_alloc(size_t bytes)
{
    void *p = ps_try_alloc_raw(bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

/* The number after `key` in a small file of /proc or /sys; false: there is none. */
static bool read_number(const char *path, const char *key, uint64_t *out)
{
    char line[512];
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file))
        found = strncmp(line, key, strlen(key)) == 0 &&
                sscanf(line + strlen(key), "%" SCNu64, out) == 1;
    if (file)
        (void)fclose(file);
    return found;
}

/* The folder of this process's control group, version 2 (cgroups(7)); false: it has none. */
static bool find_group(char out[512])
{
    char line[400];
    bool found = false;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        found = strncmp(line, "0::", 3) == 0;
    }
    if (file)
        (void)fclose(file);
    if (found)
        (void)snprintf(out, 512, "/sys/fs/cgroup%s", line + 3);
    return found;
}

uint64_t ps_mem_available(void)
{
    char group[512], path[540];
    uint64_t kib, max, now, available = UINT64_MAX;
    if (read_number("/proc/meminfo", "MemAvailable:", &kib))
        available = kib * 1024;
    if (!find_group(group))
        return available;
    (void)snprintf(path, sizeof path, "%s/memory.max", group);
    if (!read_number(path, "", &max)) /* or "max" */
        return available;
    (void)snprintf(path, sizeof path, "%s/memory.current", group);
    if (!read_number(path, "", &now))
        return available;
    uint64_t left = now < max ? max - now : 0;
    return left < available ? left : available;
}

void ps_wipe(void *p, size_t bytes)
{
    explicit_bzero(p, bytes);
}

void ps_mem_fail_after(unsigned long k)
{
    fail_countdown = k;
}
