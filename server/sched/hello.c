#include "server/sched/hello.h"

#include "common/base/mem.h"
#include "common/base/text.h"
#include "server/sched/task.h"

#include <string.h>

enum { TEXT_MAX = 1024, KINDS_MAX = 64, LEASES_MAX = 4096 };

static bool too_long(const char *text)
{
    return text && strlen(text) > TEXT_MAX;
}

ps_status ps_hello_check(const ps_hello *hello, const char *name)
{
    if (strlen(name) >= PS_WORKER_MAX || !*name)
        return ps_fail(PS_INVALID_ARGUMENT, "hello: a worker's name has 1 to %d characters",
                       PS_WORKER_MAX - 1);
    if (too_long(hello->version) || too_long(hello->device) || too_long(hello->device_reason) ||
        too_long(hello->shown_name))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "hello: version, device, device_reason and shown_name have at most "
                       "%d characters each",
                       TEXT_MAX);
    if (hello->n_kinds > KINDS_MAX || hello->n_leases > LEASES_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "hello: at most %d kinds and %d leases", KINDS_MAX,
                       LEASES_MAX);
    for (size_t i = 0; i < hello->n_kinds; i++)
        if (too_long(hello->kinds[i]))
            return ps_fail(PS_INVALID_ARGUMENT, "hello: a kind has at most %d characters",
                           TEXT_MAX);
    return PS_OK;
}

static char *clean(const char *text)
{
    char *copy = ps_strdup(text ? text : "");
    ps_text_clean(copy);
    return copy;
}

void ps_hello_copy(const ps_hello *hello, ps_hello *out)
{
    *out = *hello;
    out->version = clean(hello->version);
    out->device = clean(hello->device);
    out->device_reason = clean(hello->device_reason);
    out->shown_name = clean(hello->shown_name);
    out->kinds = ps_alloc_array(hello->n_kinds + 1, sizeof *out->kinds);
    for (size_t i = 0; i < hello->n_kinds; i++)
        out->kinds[i] = clean(hello->kinds[i]);
    out->leases = ps_alloc_array(hello->n_leases + 1, sizeof *out->leases);
    if (hello->n_leases)
        memcpy(out->leases, hello->leases, hello->n_leases * sizeof *out->leases);
}

void ps_hello_clear(ps_hello *copy)
{
    free(copy->version);
    free(copy->device);
    free(copy->device_reason);
    free(copy->shown_name);
    for (size_t i = 0; i < copy->n_kinds; i++)
        free(copy->kinds[i]);
    free(copy->kinds);
    free(copy->leases);
    *copy = (ps_hello){0};
}
