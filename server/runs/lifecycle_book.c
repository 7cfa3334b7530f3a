/* Which rows of a job are in its parameters: the parameters' ledger, by the job's number. Under the
 * scheduler's mutex, but for segment_done; it takes the runs' lock and the ledger's, for as long as
 * a look at a table. */
#include "server/params/ledger.h"
#include "server/params/recording.h"
#include "server/params/waypoints.h"
#include "server/runs/lifecycle_internal.h"

/* NULL: the job has no parameters; else *run is to be given back. */
static ps_ledger *ledger_of(void *user, uint64_t job_id, ps_run **run)
{
    ps_lifecycle *l = user;
    *run = ps_runs_get(l->conf.runs, job_id);
    return *run ? ps_param_store_ledger(ps_run_store(*run)) : NULL;
}

static void begin(void *user, uint64_t job_id, const ps_booked_task *task)
{
    ps_run *run;
    ps_ledger *ledger = ledger_of(user, job_id, &run);
    if (ledger) {
        ps_ledger_lease_begin(ledger, task->lease_id, task->epoch, task->rows);
        ps_ledger_lease_limit(ledger, task->lease_id, task->worker, task->sets);
    }
    ps_run_unref(&run);
}

static uint64_t report(void *user, uint64_t job_id, uint64_t lease_id, uint64_t position)
{
    ps_run *run;
    ps_ledger *ledger = ledger_of(user, job_id, &run);
    if (ledger)
        position = ps_ledger_lease_report(ledger, lease_id, position);
    ps_run_unref(&run);
    return position;
}

static bool end(void *user, uint64_t job_id, uint64_t lease_id, bool done, ps_row_set *left)
{
    ps_run *run;
    ps_ledger *ledger = ledger_of(user, job_id, &run);
    bool known = ledger && ps_ledger_lease_end(ledger, lease_id, done, left);
    ps_run_unref(&run);
    return known;
}

static bool state(void *user, uint64_t job_id, ps_ledger_state *out)
{
    ps_run *run;
    ps_ledger *ledger = ledger_of(user, job_id, &run);
    if (ledger)
        ps_ledger_state_get(ledger, out);
    ps_run_unref(&run);
    return ledger && out->n_rows > 0;
}

static void adopt(void *user, uint64_t job_id, ps_ledger_state *done)
{
    ps_run *run;
    if (ledger_of(user, job_id, &run))
        ps_param_store_adopt_rows(ps_run_store(run), done);
    ps_run_unref(&run);
}

/* ---- segments to be measured ---- */

/* So many wait: what is not measured when psd dies is lost. */
enum { PRESSING = 8 };

static bool segment_take(void *user, uint64_t job_id, bool pressing, uint64_t *number)
{
    ps_run *run;
    ps_segment segment;
    size_t left = 0, most = 0;
    bool there = ledger_of(user, job_id, &run);
    if (there)
        ps_waypoints_count(ps_run_store(run), &left, &most);
    there = left > 0 && (!pressing || left >= PRESSING || 2 * left >= most) &&
            ps_waypoints_take(ps_run_store(run), &segment);
    if (there)
        *number = segment.number;
    ps_run_unref(&run);
    return there;
}

static void segment_back(void *user, uint64_t job_id, uint64_t number)
{
    ps_run *run;
    if (ledger_of(user, job_id, &run))
        (void)ps_waypoints_back(ps_run_store(run), number);
    ps_run_unref(&run);
}

static uint32_t segment_lost(void *user, uint64_t job_id, uint64_t number)
{
    ps_run *run;
    uint32_t times = 0;
    if (ledger_of(user, job_id, &run))
        times = ps_waypoints_lost(ps_run_store(run), number);
    ps_run_unref(&run);
    return times;
}

static ps_status put_segment(ps_param_store *store, uint64_t number, const char *report)
{
    ps_segment segment;
    ps_losses *losses = ps_param_store_losses(store);
    if (!ps_waypoints_done(store, number, &segment) || !report || !losses)
        return PS_OK;
    ps_loss_segment measured;
    ps_status st = ps_loss_report_read(ps_slice_str(report), ps_losses_units(losses),
                                       ps_losses_gradient_bytes(losses), &measured);
    if (st)
        return st;
    measured.begin = segment.begin;
    measured.end = segment.end;
    ps_losses_put(losses, &measured);
    return PS_OK;
}

static ps_status segment_done(void *user, uint64_t job_id, uint64_t number, const char *report)
{
    ps_run *run;
    ps_status st = PS_OK;
    if (ledger_of(user, job_id, &run))
        st = put_segment(ps_run_store(run), number, report);
    ps_run_unref(&run);
    return st;
}

static bool segments_left(void *user, uint64_t job_id)
{
    ps_run *run;
    size_t left = 0, most;
    if (ledger_of(user, job_id, &run))
        ps_waypoints_count(ps_run_store(run), &left, &most);
    ps_run_unref(&run);
    return left > 0;
}

const ps_sched_book ps_lifecycle_book = {.begin = begin,
                                         .report = report,
                                         .end = end,
                                         .state = state,
                                         .adopt = adopt,
                                         .segment_take = segment_take,
                                         .segment_back = segment_back,
                                         .segment_lost = segment_lost,
                                         .segment_done = segment_done,
                                         .segments_left = segments_left};
