/* Happy path: each thread takes a lane and then parts until there are none. */
#include "common/seal/seal_lanes.h"

#include "common/base/limits.h"
#include "common/base/parallel.h"
#include "common/base/require.h"

#include <stdatomic.h>

size_t ps_seal_batch(void)
{
    return ps_cores() < PS_SEAL_BATCH_MOST ? ps_cores() : PS_SEAL_BATCH_MOST;
}

typedef struct run {
    ps_seal_stream *stream;
    const ps_seal_part *parts;
    size_t n;
    bool open;
    atomic_size_t lane, next;
    ps_error errors[PS_SEAL_BATCH_MOST];
} run;

static void one_part(run *r, size_t lane, size_t i)
{
    const ps_seal_part *p = &r->parts[i];
    ps_status st = PS_OK;
    if (r->open)
        st = ps_seal_segment_open(r->stream, lane, p->number, p->last, p->in, p->len, p->out);
    else
        ps_seal_segment(r->stream, lane, p->number, p->last, p->in, p->len, p->out);
    r->errors[i].code = PS_OK;
    if (st)
        ps_error_save(&r->errors[i], st);
}

static void work(void *state)
{
    run *r = state;
    size_t lane = atomic_fetch_add(&r->lane, 1);
    for (size_t i; (i = atomic_fetch_add(&r->next, 1)) < r->n;)
        one_part(r, lane, i);
}

static ps_status run_parts(run *r)
{
    PS_REQUIRE(r->n <= PS_SEAL_BATCH_MOST);
    if (r->n)
        ps_parallel_run(r->n, work, r);
    for (size_t i = 0; i < r->n; i++)
        if (r->errors[i].code)
            return ps_error_raise(&r->errors[i]);
    return PS_OK;
}

void ps_seal_parts(ps_seal_stream *stream, const ps_seal_part *parts, size_t n)
{
    run r = {.stream = stream, .parts = parts, .n = n};
    ps_status st = run_parts(&r);
    PS_REQUIRE(!st);
}

ps_status ps_seal_parts_open(ps_seal_stream *stream, const ps_seal_part *parts, size_t n)
{
    run r = {.stream = stream, .parts = parts, .n = n, .open = true};
    return run_parts(&r);
}
