#include "server/sched/output.h"

#include "common/base/mem.h"

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

size_t ps_output_add(ps_output *o, const Psd__V1__Output *more, size_t most)
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

Psd__V1__Output *ps_output_message(const ps_output *o, size_t first, size_t most)
{
    Psd__V1__Output *message = ps_new(Psd__V1__Output);
    psd__v1__output__init(message);
    size_t n = o->n - first < most ? o->n - first : most;
    message->first = first;
    message->n_tokens = n;
    message->tokens = ps_alloc_array(n, sizeof *message->tokens);
    memcpy(message->tokens, o->tokens + first, n * sizeof *message->tokens);
    return message;
}
