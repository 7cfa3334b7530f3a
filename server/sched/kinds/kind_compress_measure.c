/* What is measured of tensors before any is solved, and the choice: with a target what each form of
 * each would cost, or how salient its numbers are, of which the least of all go. Happy path: as
 * many numbers as the plan says; it allocates, and is settled. Fails when the target is out of
 * reach, which of a size was known before there was a job, and when counts are none. */
#include "common/base/mem.h"
#include "server/sched/core.h"
#include "server/sched/job.h"
#include "server/sched/kinds/compress_line.h"
#include "server/sched/kinds/kind_compress.h"

#include <inttypes.h>

bool ps_compress_wants_parent(const ps_compress *w)
{
    return w->plan->target.by_loss && w->plan->target.share;
}

bool ps_compress_measured(ps_compress *w, size_t i, const char *line)
{
    ps_compress_item *item = &w->items[i];
    const ps_plan_tensor *t = &w->plan->tensors[i];
    size_t n = t->n_measures;
    PS_REQUIRE(n && !item->measured);
    double *numbers = ps_alloc_array(n, sizeof *numbers);
    bool ok = ps_compress_line_numbers(line, t->n_choices ? "losses" : "counts", numbers, n);
    for (size_t k = 0; ok && k < n; k++)
        ok = numbers[k] >= 0;
    if (ok)
        item->measured = numbers;
    else
        free(numbers);
    w->n_measured += ok;
    return ok;
}

static ps_status choose(ps_job *job)
{
    const ps_compress *w = job->work;
    size_t n = w->plan->n_tensors;
    const double **measured = ps_alloc_array(n + 1, sizeof(const double *));
    uint32_t *chosen = ps_alloc_array(n + 1, sizeof *chosen);
    for (size_t i = 0; i < n; i++)
        measured[i] = w->items[i].measured;
    ps_status st =
        ps_plan_allocate(w->plan, measured, w->tests[PS_COMPRESS_PARENT].found.loss, chosen);
    if (!st)
        st = ps_plan_settle(job->file->plan, chosen, n);
    ps_free(&measured);
    ps_free(&chosen);
    return st;
}

void ps_compress_settle(ps_job *job)
{
    ps_core_require_locked(job->sched);
    ps_compress *w = job->work;
    if (ps_compress_wants_parent(w) && !w->tests[PS_COMPRESS_PARENT].done)
        return;
    if (choose(job)) {
        ps_job_fail(job, "%s", ps_error_message());
        return;
    }
    ps_job_say(job, PS_LOG_INFO, "psd", "%s chosen: %" PRIu64 " bytes of tensors",
               w->plan->target.asked ? "forms are" : "what becomes 0 is", w->plan->data);
    w->measuring = false;
    w->turn = 0;
    ps_compress_move(job, PS_COMPRESS_SOLVING);
    ps_compress_advance(job);
}
