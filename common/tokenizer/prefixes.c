/* Happy path: the texts are sorted, so that those with one beginning are neighbours; each byte
 * narrows the range by two binary searches. Most places of a text end at the first byte. */
#include "common/tokenizer/prefixes.h"

#include "common/base/mem.h"

#include <stdlib.h>

static int compare_texts(ps_slice x, ps_slice y)
{
    size_t n = x.len < y.len ? x.len : y.len;
    int order = memcmp(x.data, y.data, n);
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

static int compare(const void *a, const void *b)
{
    const ps_prefix *x = a, *y = b;
    int order = compare_texts(x->text, y->text);
    return order ? order : (x->value > y->value) - (x->value < y->value);
}

/* Sorted: twins are neighbours, the largest value last. */
static size_t without_twins(ps_prefix *at, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || compare_texts(at[i].text, at[i + 1].text))
            at[kept++] = at[i];
    return kept;
}

void ps_prefixes_make(ps_prefixes *set, ps_prefix *at, size_t n)
{
    if (n)
        qsort(at, n, sizeof *at, compare);
    n = without_twins(at, n);
    *set = (ps_prefixes){.at = at, .n = n};
    for (size_t i = 0; i < n; i++)
        set->starts[at[i].text.data[0] + 1]++;
    for (size_t b = 0; b < 256; b++)
        set->starts[b + 1] += set->starts[b];
}

void ps_prefixes_free(ps_prefixes *set)
{
    ps_free(&set->at);
    *set = (ps_prefixes){0};
}

/* The first in [from, to) whose byte at depth is at least `byte`; a text that ends before that is
 * less than all. */
static size_t first_from(const ps_prefixes *set, size_t from, size_t to, size_t depth,
                         unsigned byte)
{
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        ps_slice text = set->at[middle].text;
        if (text.len <= depth || text.data[depth] < byte)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

bool ps_prefixes_next(const ps_prefixes *set, ps_prefix_walk *w, uint8_t byte)
{
    if (!w->depth) {
        w->from = set->starts[byte];
        w->to = set->starts[byte + 1];
    } else {
        w->from = first_from(set, w->from, w->to, w->depth, byte);
        w->to = first_from(set, w->from, w->to, w->depth, byte + 1U);
    }
    w->depth++;
    bool any = w->from < w->to;
    w->found = any && set->at[w->from].text.len == w->depth ? &set->at[w->from] : NULL;
    return any;
}

const ps_prefix *ps_prefixes_longest(const ps_prefixes *set, ps_slice text)
{
    const ps_prefix *longest = NULL;
    ps_prefix_walk w = PS_PREFIX_WALK;
    for (size_t i = 0; i < text.len && ps_prefixes_next(set, &w, text.data[i]); i++)
        longest = w.found ? w.found : longest;
    return longest;
}
