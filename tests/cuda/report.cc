/* "cuda shim: kernel scale (scale.cu:12), block 3, thread 17: writes 4 bytes past the end of ...".
 * The line comes from addr2line, where that is installed. */
#include "tests/cuda/report.h"

#include "tests/cuda/block.h"
#include "tests/cuda/shim.h"

#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cudaError_t ps_sticky_error;
static bool keep;
static char first[1024];

const char *ps_shim_finding(void)
{
    return first;
}

void ps_shim_keep_findings(void)
{
    keep = true;
}

void ps_report_reset(void)
{
    keep = false;
    first[0] = 0;
    ps_sticky_error = cudaSuccess;
}

/* " (file:line)" of an instruction into out, "" when it cannot be told. */
static void find_line(const void *pc, char *out, size_t size)
{
    out[0] = 0;
    Dl_info info;
    struct link_map *map = NULL;
    if (!pc || !dladdr1(pc, &info, (void **)&map, RTLD_DL_LINKMAP) || !info.dli_fname)
        return;
    char command[600], line[400] = "";
    const char *file = map->l_name[0] ? map->l_name : "/proc/self/exe";
    char path[300];
    if (!realpath(file, path))
        return;
    (void)snprintf(command, sizeof command, "addr2line -e '%s' %#lx 2>/dev/null", path,
                   (unsigned long)((const char *)pc - 1 - (const char *)map->l_addr));
    FILE *pipe = popen(command, "r");
    if (!pipe)
        return;
    if (fgets(line, sizeof line, pipe) && line[0] != '?') {
        line[strcspn(line, "\n ")] = 0;
        char *unknown = strstr(line, ":?");
        if (unknown)
            *unknown = 0;
        const char *name = strrchr(line, '/');
        (void)snprintf(out, size, " (%s)", name ? name + 1 : line);
    }
    (void)pclose(pipe);
}

void ps_report(const void *pc, const char *format, ...)
{
    char text[700], where[200] = "", line[200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (keep && first[0])
        return;
    find_line(pc, line, sizeof line);
    ps_block_describe(where, sizeof where);
    char message[sizeof first];
    (void)snprintf(message, sizeof message, "cuda shim: %s%s%s%s", where,
                   line + (where[0] == 0 && line[0] != 0), where[0] || line[0] ? ": " : "", text);
    if (!keep) {
        (void)fprintf(stderr, "%s\n", message);
        abort();
    }
    memcpy(first, message, sizeof first);
}
