#include "server/sched/output.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

static void make_room(ps_output *o, size_t n)
{
    if (n <= o->capacity)
        return;
    size_t capacity = o->capacity ? o->capacity : FIRST_CAPACITY;
    while (capacity < n)
        capacity *= 2;
    o->tokens = ps_realloc(o->tokens, capacity * sizeof *o->tokens);
    o->capacity = capacity;
}

size_t ps_output_add(ps_output *o, const ps_tokens *more, size_t most)
{
    if (more->first > o->n || more->n_tokens <= o->n - more->first || o->n >= most)
        return 0;
    size_t known = o->n - (size_t)more->first;
    size_t n = more->n_tokens - known;
    if (n > most - o->n)
        n = most - o->n;
    make_room(o, o->n + n);
    memcpy(o->tokens + o->n, more->tokens + known, n * sizeof *o->tokens);
    o->n += n;
    return n;
}

void ps_output_free(ps_output *o)
{
    free(o->tokens);
    *o = (ps_output){0};
}

ps_tokens *ps_output_copy(const ps_output *o, size_t first, size_t most)
{
    PS_REQUIRE(first <= o->n);
    ps_tokens *copy = ps_new(ps_tokens);
    size_t n = o->n - first < most ? o->n - first : most;
    copy->first = first;
    copy->n_tokens = n;
    copy->tokens = ps_alloc_array(n, sizeof *copy->tokens);
    memcpy(copy->tokens, o->tokens + first, n * sizeof *copy->tokens);
    return copy;
}

void ps_tokens_free(ps_tokens **tokens)
{
    if (*tokens)
        free((*tokens)->tokens);
    ps_free(tokens);
}
