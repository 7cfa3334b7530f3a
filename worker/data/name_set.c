/* Happy path: a binary search, and a place made free where the name belongs. It fails on what a job
 * file could not say: a name that is not UTF-8, or has control characters, or is too long. */
#include "worker/data/name_set.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/utf8.h"

#include <stdbool.h>
#include <string.h>

/* As job files have it: C0, DEL, C1, what Unicode has for ends of lines, and the two that YAML's
 * reader takes for such. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || c == 0xfffe ||
           c == 0xffff;
}

static ps_status check(const char *name)
{
    size_t len = strlen(name);
    if (len > PS_NAME_SET_BYTES)
        return ps_fail(PS_CORRUPT, "a name of %zu bytes, at most %d are for a class", len,
                       PS_NAME_SET_BYTES);
    for (size_t at = 0, n; at < len; at += n) {
        ps_slice rest = ps_slice_of(name + at, len - at);
        n = ps_utf8_length(rest);
        if (n == 0)
            return ps_fail(PS_CORRUPT, "the name of a class is not UTF-8");
        if (is_control(ps_utf8_decode(rest)))
            return ps_fail(PS_CORRUPT, "the name of a class has a control character");
    }
    return PS_OK;
}

/* Where the name is, or belongs. */
static size_t find(const ps_name_set *set, const char *name, bool *there)
{
    size_t low = 0, high = set->n;
    *there = false;
    while (low < high && !*there) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, set->names[middle]);
        *there = order == 0;
        if (order <= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return high;
}

ps_status ps_name_set_add(ps_name_set *set, const char *name)
{
    bool there;
    size_t at = find(set, name, &there);
    if (there)
        return PS_OK;
    ps_status st = check(name);
    if (st)
        return st;
    if (set->n == PS_NAME_SET_MOST)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "more than %d different labels; are they names of classes?",
                       PS_NAME_SET_MOST);
    set->names = ps_realloc(set->names, (set->n + 1) * sizeof *set->names);
    memmove(set->names + at + 1, set->names + at, (set->n - at) * sizeof *set->names);
    set->names[at] = ps_strdup(name);
    set->n++;
    PS_REQUIRE(at == 0 || strcmp(set->names[at - 1], name) < 0);
    PS_REQUIRE(at + 1 == set->n || strcmp(name, set->names[at + 1]) < 0);
    return PS_OK;
}

void ps_name_set_free(ps_name_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        ps_free(&set->names[i]);
    ps_free(&set->names);
    set->n = 0;
}
