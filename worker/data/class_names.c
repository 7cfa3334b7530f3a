/* Happy path: a binary search among the names in order. */
#include "worker/data/class_names.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/conf/nearest.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry {
    const char *name;
    int32_t class;
} entry;

struct ps_class_names {
    char *const *names; /* as given */
    size_t n;
    entry *sorted;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

ps_class_names *ps_class_names_new(char *const *names, size_t n)
{
    PS_REQUIRE(names || n == 0);
    ps_class_names *c = ps_new(ps_class_names);
    *c = (ps_class_names){.names = names, .n = n, .sorted = ps_alloc_array(n, sizeof *c->sorted)};
    for (size_t i = 0; i < n; i++)
        c->sorted[i] = (entry){names[i], (int32_t)i};
    qsort(c->sorted, n, sizeof *c->sorted, by_name);
    return c;
}

void ps_class_names_free(ps_class_names **names)
{
    if (!*names)
        return;
    ps_free(&(*names)->sorted);
    ps_free(names);
}

static const char *nth(const void *state, size_t i)
{
    const ps_class_names *c = state;
    return i < c->n ? c->names[i] : NULL;
}

ps_status ps_class_names_find(const ps_class_names *c, const char *text, int32_t *out)
{
    entry key = {.name = text};
    const entry *found = bsearch(&key, c->sorted, c->n, sizeof key, by_name);
    if (found) {
        *out = found->class;
        return PS_OK;
    }
    ps_buf allowed = PS_BUF_EMPTY;
    ps_conf_allowed(text, nth, c, &allowed);
    ps_status st = ps_fail(PS_NOT_FOUND, "none of model.classes%s", ps_buf_cstr(&allowed));
    ps_buf_free(&allowed);
    return st;
}
