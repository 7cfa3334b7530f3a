/* Which rows of a job are in its parameters: the parameters' ledger, by the job's number. Under the
 * scheduler's mutex; it takes the runs' lock and the ledger's, for as long as a look at a table. */
#include "server/params/ledger.h"
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

const ps_sched_book ps_lifecycle_book = {
    .begin = begin, .report = report, .end = end, .state = state, .adopt = adopt};
