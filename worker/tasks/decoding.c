/* Happy path: both are loaded as they are served, then some tokens of the one, some of the other,
 * until there were enough of them or it has taken long enough; of the times the median counts. */
#include "worker/tasks/decoding.h"

#include "common/base/mem.h"
#include "common/base/ranked.h"
#include "worker/job/job_model.h"
#include "worker/job/stored_model.h"

#include <math.h>
#include <stdlib.h>

enum { STRIDE = 8, ROUNDS = 64, ROUNDS_LEAST = 3 };
#define SECONDS 0.2 /* it takes about so long, and longer only for the fewest rounds */

typedef struct side {
    ps_model_config config;
    ps_model_options options;
    ps_form *forms;
    ps_model *model;
    float *logits;
    double times[ROUNDS];
} side;

static ps_status prepare(side *s, ps_task_run *run, const ps_decoding *d, size_t n)
{
    s->config = ps_job_model_config(d->spec);
    ps_status st = ps_stored_model_check(run->remote, &d->which, &s->config, &s->forms);
    s->options = (ps_model_options){.max_batch = 1,
                                    .max_length = (int64_t)n,
                                    .inference = true,
                                    .decode = true,
                                    .forms = s->forms};
    return st;
}

static ps_status load(side *s, ps_task_run *run, const ps_decoding *d)
{
    ps_status st = ps_model_create(run->env->backend, &s->config, &s->options, &s->model);
    if (!st)
        st = ps_stored_model_load(run->remote, &d->which, s->forms, s->model);
    if (!st)
        s->logits = ps_alloc_array((size_t)ps_model_outputs(s->model), sizeof *s->logits);
    return st;
}

static ps_status open_both(side sides[2], ps_task_run *run, const ps_decoding d[2], size_t n)
{
    ps_status st = prepare(&sides[0], run, &d[0], n);
    if (!st)
        st = prepare(&sides[1], run, &d[1], n);
    const ps_job_model_need second = {
        .name = d[1].which.name, .config = &sides[1].config, .options = &sides[1].options};
    const ps_job_model_need both = {.name = d[0].which.name,
                                    .config = &sides[0].config,
                                    .options = &sides[0].options,
                                    .beside = &second};
    if (!st)
        st = ps_job_model_room(&both, run->env->backend);
    for (size_t i = 0; !st && i < 2; i++)
        st = load(&sides[i], run, &d[i]);
    return st;
}

static double now(const ps_task_run *run)
{
    return (double)ps_clock_ns(run->env->clock) / 1e9;
}

/* The STRIDE tokens from `at` on. */
static ps_status stride(side *s, const ps_task_run *run, const int32_t *tokens, size_t at,
                        double *seconds)
{
    double began = now(run);
    ps_status st = PS_OK;
    for (size_t i = at; !st && i < at + STRIDE; i++)
        st = ps_model_extend(s->model, tokens + i, 1, (int64_t)i, s->logits);
    *seconds = now(run) - began;
    return st;
}

static ps_status check_end(const ps_task_run *run)
{
    ps_status st = ps_gate_check(run->remote->gate);
    return !st && ps_task_stopping(run) ? ps_fail(PS_CANCELLED, "the worker is stopping") : st;
}

static ps_status take_turns(side sides[2], const ps_task_run *run, const int32_t *tokens, size_t n,
                            size_t *rounds)
{
    double began = now(run);
    ps_status st = PS_OK;
    for (size_t at = 0; !st && *rounds < ROUNDS; at += STRIDE) {
        if (*rounds >= ROUNDS_LEAST && now(run) - began > SECONDS)
            break;
        if (at + STRIDE > n)
            at = 0; /* a sequence that begins anew */
        st = check_end(run);
        for (size_t i = 0; !st && i < 2; i++)
            st = stride(&sides[i], run, tokens, at, &sides[i].times[*rounds]);
        ++*rounds;
    }
    return st;
}

static double median(double *times, size_t n)
{
    qsort(times, n, sizeof *times, ps_number_up);
    return times[n / 2];
}

ps_status ps_decoding_measure(ps_task_run *run, ps_decoding d[2], const int32_t *tokens, size_t n)
{
    side *sides = ps_alloc_array(2, sizeof *sides);
    size_t rounds = 0;
    ps_one_thread_require(&run->mine);
    d[0].seconds = d[1].seconds = NAN;
    ps_status st = n < STRIDE ? PS_OK : open_both(sides, run, d, n);
    if (!st && n >= STRIDE)
        st = take_turns(sides, run, tokens, n, &rounds);
    for (size_t i = 0; i < 2; i++) {
        if (!st && rounds)
            d[i].seconds = median(sides[i].times, rounds) / STRIDE;
        ps_model_free(&sides[i].model);
        ps_free(&sides[i].forms);
        ps_free(&sides[i].logits);
    }
    ps_free(&sides);
    return st;
}
