/* What a training job's log has of its plan: how much there is to do, and what of the job file will
 * not be as its words may sound. */
#include "server/sched/kinds/kind_train.h"

#include "server/sched/job.h"

#include <inttypes.h>

/* The most steps there can be: under bsp, with more workers than one, there are fewer. */
static void warn_of_warmup(ps_job *job, uint64_t n_rows)
{
    const ps_spec_train *train = job->spec->train;
    uint64_t step = ps_spec_step_rows(train), warmup = (uint64_t)train->schedule.warmup_steps;
    uint64_t steps = (n_rows + step - 1) / step * (uint64_t)train->epochs;
    uint64_t least = ps_train_merges(job) ? steps / (uint64_t)job->spec->workers : steps;
    if (warmup < least || warmup == 0)
        return;
    ps_job_say(job, PS_LOG_WARNING, "psd",
               "train.schedule.warmup_steps: the rate climbs for %" PRIu64
               " steps, and the job has %s%" PRIu64 ": it %s the full rate",
               warmup, least < steps ? "with all its workers " : "", least,
               warmup < steps ? "may not reach" : "never reaches");
}

/* Matrices whose rows no group of the form divides are trained, and stored, as they are: whoever
 * submitted the job has to know. */
static void say_forms(ps_job *job, const ps_data_plan *plan)
{
    uint64_t in = 0, all = 0;
    size_t n = 0;
    if (!ps_spec_train_form(job->spec->train).row)
        return;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const ps_data_plan_tensor *t = &plan->tensors[i];
        uint64_t elements = 1;
        for (size_t d = 0; d < t->n_shape; d++)
            elements *= t->shape[d];
        bool form = t->form && *t->form;
        all += elements;
        in += form ? elements : 0;
        n += form;
    }
    ps_job_say(job, n ? PS_LOG_INFO : PS_LOG_WARNING, "psd",
               "weights %s: %zu of %zu tensors, %.1f %% of the parameters; the others stay float32",
               job->spec->train->weights, n, plan->n_tensors, 100.0 * (double)in / (double)all);
}

void ps_train_say_planned(ps_job *job, const ps_data_plan *plan)
{
    ps_core_require_locked(job->sched);
    const ps_train *w = job->work;
    ps_job_say(job, PS_LOG_INFO, "psd",
               "planned: %" PRIu64 " rows, %" PRIu64 " a task, %" PRIu64 " to test, %zu tensors",
               plan->train_rows, w->rows.per_task, w->test_rows, plan->n_tensors);
    warn_of_warmup(job, plan->train_rows);
    say_forms(job, plan);
}

void ps_train_say_tested(ps_job *job)
{
    const ps_train *w = job->work;
    ps_buf text = PS_BUF_EMPTY;
    for (size_t i = 0; i < w->test_metrics.count; i++)
        ps_buf_printf(&text, "test %s %.4f, ", w->test_metrics.at[i].name,
                      w->test_metrics.at[i].value);
    ps_job_say(job, PS_LOG_INFO, "psd", "epoch %u: %stest loss %.4f", w->evaluated,
               ps_buf_cstr(&text), w->test_loss);
    ps_buf_free(&text);
}

/* Nobody should think that an epoch was lost, whose test gave way to a newer one's. */
void ps_train_say_untested(ps_job *job, uint32_t first, uint32_t end)
{
    for (uint32_t epoch = first; epoch < end; epoch++)
        ps_job_say(job, PS_LOG_INFO, "psd", "epoch %u: no test of its own, a newer one was done",
                   epoch + 1);
}
