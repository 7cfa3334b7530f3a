/* What a job of kind compress has psd keep (common/compress/store_plan.h), and what is shown of how
 * far it is. */
#include "common/base/mem.h"
#include "server/sched/core.h"
#include "server/sched/kinds/kind_compress.h"

#include <stdio.h>

static void add_tensor(ps_data_plan *out, const char *name, uint64_t numbers, ps_plan_blocks blocks)
{
    ps_data_plan_tensor *t = &out->tensors[out->n_tensors++];
    t->name = ps_strdup(name);
    t->shape = ps_alloc_array(1, sizeof *t->shape);
    t->shape[t->n_shape++] = numbers;
    t->blocks = blocks;
}

ps_data_plan *ps_compress_store(const ps_plan *plan)
{
    size_t slots = plan->importance ? 0 : ps_plan_slots(plan);
    char name[PS_SUM_NAME];
    ps_data_plan *out = ps_new(ps_data_plan);
    out->model = ps_strdup("");
    out->train_rows = plan->n_windows ? ps_compress_rows(plan) : 0;
    out->epochs = ps_plan_is_given(plan) ? 0 : ps_plan_epochs(plan);
    out->tensors = ps_alloc_array(plan->n_tensors + 2 * slots + 1, sizeof *out->tensors);
    for (size_t i = 0; i < plan->n_tensors; i++)
        if (ps_plan_solves(&plan->tensors[i]))
            add_tensor(out, plan->tensors[i].stored.name, ps_plan_words(&plan->tensors[i]),
                       PS_PLAN_WORDS);
    for (size_t i = 0; i < slots; i++) {
        uint64_t numbers = ps_plan_slot_numbers(plan, i);
        add_tensor(out, ps_plan_sum_name(i, false, name), numbers, PS_PLAN_SUMS);
        if (ps_plan_holds_out(plan))
            add_tensor(out, ps_plan_sum_name(i, true, name), numbers, PS_PLAN_SUMS);
    }
    if (slots)
        add_tensor(out, PS_TOKENS_NAME, 2, PS_PLAN_SUMS);
    return out;
}

void ps_compress_show(ps_job *job)
{
    ps_core_require_locked(job->sched);
    const ps_compress *w = job->work;
    ps_job_progress *p = &job->record->progress;
    (void)snprintf(p->phase, sizeof p->phase, "%s",
                   ps_compress_phase_name((ps_compress_phase)w->phase));
    p->tensors = (uint32_t)(w->phase == PS_COMPRESS_MEASURING ? w->n_measured : w->n_solved);
    p->tensors_total = (uint32_t)w->n_solve;
    p->epoch = (uint32_t)w->turn;
    p->epochs = (uint32_t)w->plan->n_windows;
    if (ps_compress_calibrates(w)) {
        p->samples = ps_epoch_rows_count_done(&w->rows);
        p->samples_total = w->rows.n_rows * w->rows.n_epochs;
    }
    const ps_compress_test *child = &w->tests[PS_COMPRESS_CHILD];
    p->has_test = child->done;
    p->test_loss = child->found.loss;
    job->record->test_metrics = child->found.metrics;
}
