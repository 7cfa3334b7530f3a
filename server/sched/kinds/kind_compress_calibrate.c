/* The calibrate task of a job of kind compress: rows of data.train whose sums go to psd. Happy
 * path: its push is in, and with it its rows; what is left of them, where a worker was lost, is
 * given out again. */
#include "server/sched/book.h"
#include "server/sched/kinds/kind_compress.h"
#include "server/sched/kinds/retry.h"
#include "server/sched/send.h"
#include "server/sched/worker.h"

static void calibrate_progress(ps_job *job, ps_lease *lease, const ps_task_report *report)
{
    (void)lease; /* its rows are in with its push, or not */
    ps_meter_rows(&job->meter, ps_core_now(job->sched), report->samples);
    ps_job_changed(job);
}

/* The lease is over: what is left of its rows is given out again. */
static void close_calibrate(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_compress *w = job->work;
    ps_row_set left = {0};
    ps_book_end(lease, false, &left);
    uint64_t count = lease->piece.end - lease->piece.begin - left.rows;
    if (count) {
        lease->piece.failures = lease->piece.losses = 0;
        ps_epoch_rows_done(&w->rows, lease->piece.epoch, count);
    }
    bool again = left.n == 0 || ps_task_retry(job, lease, failed, message);
    for (size_t i = 0; again && i < left.n; i++) {
        ps_row_range piece = lease->piece;
        piece.begin = left.list[i].begin;
        piece.end = left.list[i].end;
        ps_epoch_rows_back(&w->rows, &piece);
    }
    ps_row_set_free(&left);
    ps_job_changed(job);
    if (again)
        ps_compress_advance(job);
}

static void calibrated(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    (void)result; /* a worker that says that all is done, and has pushed nothing, has failed */
    close_calibrate(job, lease, true, "what it has summed did not come");
}

static void calibrate_back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    close_calibrate(job, lease, failed, message);
}

/* Whoever reads what was solved has to know the forms. */
void ps_compress_fill_choices(const ps_lease *lease, ps_parcel *parcel)
{
    const ps_plan *plan = ((const ps_compress *)lease->job->work)->plan;
    parcel->task.choices = plan->chosen;
    parcel->task.n_choices = plan->chosen ? plan->n_tensors : 0;
}

/* All that is left of a window may be one task of a worker that is gone. */
bool ps_compress_waited_for(const ps_job *job)
{
    return ((const ps_compress *)job->work)->phase != PS_COMPRESS_CREATING;
}

const ps_task_kind ps_compress_calibrate_task = {.name = "calibrate",
                                                 .phrase = "a calibrate task",
                                                 .trains = true,
                                                 .fill = ps_compress_fill_choices,
                                                 .progress = calibrate_progress,
                                                 .done = calibrated,
                                                 .back = calibrate_back,
                                                 .waited_for = ps_compress_waited_for};
