#include "common/base/mem.h"
#include "common/base/sm.h"
#include "server/sched/core.h"
#include "server/sched/kinds/kind_compress.h"

#include <inttypes.h>

static const char *const names[] = {"creating",    "measuring", "solving",    "clearing",
                                    "calibrating", "writing",   "evaluating", "finishing"};
static const ps_sm_set next[] = {
    /* all but itself and evaluating: from a checkpoint */
    [PS_COMPRESS_CREATING] = PS_SM(PS_COMPRESS_MEASURING) | PS_SM(PS_COMPRESS_SOLVING) |
                             PS_SM(PS_COMPRESS_CLEARING) | PS_SM(PS_COMPRESS_CALIBRATING) |
                             PS_SM(PS_COMPRESS_DRAFTING),
    [PS_COMPRESS_MEASURING] =
        PS_SM(PS_COMPRESS_CLEARING) | PS_SM(PS_COMPRESS_CALIBRATING) | PS_SM(PS_COMPRESS_SOLVING),
    [PS_COMPRESS_SOLVING] =
        PS_SM(PS_COMPRESS_CLEARING) | PS_SM(PS_COMPRESS_CALIBRATING) | PS_SM(PS_COMPRESS_DRAFTING),
    [PS_COMPRESS_CLEARING] = PS_SM(PS_COMPRESS_CALIBRATING),
    [PS_COMPRESS_CALIBRATING] = PS_SM(PS_COMPRESS_SOLVING) | PS_SM(PS_COMPRESS_MEASURING),
    [PS_COMPRESS_DRAFTING] = PS_SM(PS_COMPRESS_EVALUATING) | PS_SM(PS_COMPRESS_FINISHING),
    [PS_COMPRESS_EVALUATING] = PS_SM(PS_COMPRESS_FINISHING),
    [PS_COMPRESS_FINISHING] = 0,
};
static const ps_sm machine = {
    .tag = "compress", .names = names, .next = next, .count = PS_COMPRESS_PHASES};

void ps_compress_move(const ps_job *job, ps_compress_phase to)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(job->work);
    ps_compress *w = job->work;
    ps_sm_go(&machine, &w->phase, to, "job=%" PRIu64 " turn=%zu", job->record->id, w->turn);
}

const char *ps_compress_phase_name(ps_compress_phase phase)
{
    PS_REQUIRE(phase < PS_COMPRESS_PHASES);
    return names[phase];
}

double ps_compress_seconds(const ps_job *job)
{
    const ps_compress *w = job->work;
    return w->seconds + (double)(ps_core_now(job->sched) - job->began_ns) / 1e9;
}

bool ps_compress_calibrates(const ps_compress *w)
{
    return w->plan->n_windows > 0 && !ps_plan_is_given(w->plan);
}

ps_compress *ps_compress_new(const ps_plan *plan)
{
    ps_compress *w = ps_new(ps_compress);
    w->plan = plan;
    w->measuring = plan->measures;
    w->items = ps_alloc_array(plan->n_tensors + 1, sizeof *w->items);
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        bool solves = ps_plan_solves(t);
        w->items[i] = (ps_compress_item){.solves = solves,
                                         .turn = solves ? ps_plan_turn(plan, t) : 0,
                                         .words = (uint32_t)w->n_solve, /* the store's order */
                                         .piece = {.epoch = UINT32_MAX, .begin = i, .end = i + 1}};
        w->n_solve += solves;
    }
    return w;
}

void ps_compress_free(void *work)
{
    ps_compress *w = work;
    ps_epoch_rows_free(&w->rows);
    for (size_t i = 0; i < w->plan->n_tensors; i++) {
        free(w->items[i].line);
        free(w->items[i].measured);
    }
    free(w->items);
    free(w->chosen);
    free(w->compared);
    free(w->refused);
    free(w->report);
    free(w->kept);
    free(w);
}
