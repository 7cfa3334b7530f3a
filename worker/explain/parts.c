/* What a task leaves, while it is in memory. */
#include "worker/explain/part_file.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

void ps_explain_parts_init(ps_explain_parts *parts, size_t n_methods)
{
    PS_REQUIRE(n_methods <= PS_EXPLAIN_PART_METHODS);
    *parts = (ps_explain_parts){.n_methods = n_methods};
    parts->methods = ps_alloc_array(n_methods ? n_methods : 1, sizeof *parts->methods);
}

void ps_explain_parts_free(ps_explain_parts *parts)
{
    for (size_t i = 0; i < parts->n_methods; i++)
        ps_explain_part_free(&parts->methods[i]);
    ps_explain_part_free(&parts->rows);
    ps_explain_sources_free(&parts->sources);
    ps_free(&parts->methods);
    ps_free(&parts->info);
    *parts = (ps_explain_parts){0};
}

ps_status ps_explain_parts_add_row(ps_explain_parts *parts, const ps_explain_row_info *info)
{
    if (parts->n_info == parts->capacity) {
        size_t capacity = parts->capacity ? 2 * parts->capacity : 64;
        ps_explain_row_info *grown = ps_try_alloc_raw(capacity * sizeof *grown);
        if (!grown)
            return ps_fail(PS_NO_MEMORY, "a list of %zu rows", capacity);
        if (parts->n_info)
            memcpy(grown, parts->info, parts->n_info * sizeof *grown);
        ps_free(&parts->info);
        parts->info = grown;
        parts->capacity = capacity;
    }
    parts->info[parts->n_info++] = *info;
    return PS_OK;
}

void ps_explain_parts_leave_out(ps_explain_parts *parts, uint64_t row)
{
    if (parts->n_left_out < PS_EXPLAIN_LEFT_OUT)
        parts->left_out[parts->n_left_out] = row;
    parts->n_left_out++;
}

ps_status ps_explain_parts_merge(ps_explain_parts *into, ps_explain_parts *more)
{
    PS_REQUIRE(into->n_methods == more->n_methods);
    ps_status st = ps_explain_sources_merge(&into->sources, &more->sources);
    if (!st)
        st = ps_explain_merge(&into->rows, &more->rows);
    for (size_t i = 0; !st && i < into->n_methods; i++)
        st = ps_explain_merge(&into->methods[i], &more->methods[i]);
    for (size_t i = 0; !st && i < more->n_info; i++)
        st = ps_explain_parts_add_row(into, &more->info[i]);
    for (uint64_t i = 0; i < more->n_left_out; i++)
        ps_explain_parts_leave_out(into, i < PS_EXPLAIN_LEFT_OUT ? more->left_out[i] : 0);
    ps_explain_parts_free(more);
    return st;
}
