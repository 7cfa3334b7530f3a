/* "auto" goes down the rows and takes the first that opens, keeping what the others said. */
#include "gpu/backends/registry.h"

#include "gpu/backends/plugin.h"
#include "gpu/cpu/cpu.h"

#include <stdio.h>
#include <string.h>

const ps_backend_row ps_backend_rows[] = {
    {"cuda", ps_cuda_open},
    {"cpu", ps_cpu_open},
    {0},
};

/* Appends "; text": several rows may have said no. */
static void add_reason(char *reason, size_t size, const char *text)
{
    size_t len = strlen(reason);
    (void)snprintf(reason + len, size - len, "%s%s", len ? "; " : "", text);
}

static ps_status open_best(const ps_backend_row *rows, const ps_backend_options *options,
                           ps_backend **out)
{
    char reason[sizeof(*out)->info.reason] = "";
    for (; rows->name; rows++) {
        ps_backend *b = NULL;
        if (!rows->open(options, &b)) {
            memcpy(b->info.reason, reason, sizeof reason);
            *out = b;
            return PS_OK;
        }
        add_reason(reason, sizeof reason, ps_error_message());
    }
    return ps_fail(PS_UNAVAILABLE, "no device to compute with: %s", reason);
}

static ps_status unknown_row(const ps_backend_row *rows, const char *name)
{
    char names[128] = "auto";
    for (; rows->name; rows++) {
        size_t len = strlen(names);
        (void)snprintf(names + len, sizeof names - len, ", %s", rows->name);
    }
    return ps_fail(PS_INVALID_ARGUMENT, "device %s: unknown, there are %s", name, names);
}

ps_status ps_backend_open_among(const ps_backend_row *rows, const char *name,
                                const ps_backend_options *options, ps_backend **out)
{
    if (strcmp(name, "auto") == 0)
        return open_best(rows, options, out);
    for (const ps_backend_row *row = rows; row->name; row++) {
        if (strcmp(name, row->name) != 0)
            continue;
        ps_status st = row->open(options, out);
        return st ? ps_wrap(st, "device %s", name) : PS_OK;
    }
    return unknown_row(rows, name);
}

ps_status ps_backend_open(const char *name, const ps_backend_options *options, ps_backend **out)
{
    return ps_backend_open_among(ps_backend_rows, name, options, out);
}

/* The CPU's is part of the program, but for OpenBLAS, which is the system's. */
void ps_backend_allow(const char *name, ps_landlock *landlock)
{
    if (strcmp(name, "cpu") != 0)
        ps_cuda_allow(landlock);
}
