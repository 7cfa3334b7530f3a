/* run: a training job that has parameters; what every push and pull finds by the job's number.
 *
 * Counted references: a call that has one keeps the store alive though the job ends meanwhile. The
 * table has a reader-writer lock that is written only when a job begins or ends. Any thread.
 */
#ifndef PS_RUNS_RUN_H
#define PS_RUNS_RUN_H

#include "common/base/clock.h"
#include "common/base/repeat.h"
#include "server/params/param_store.h"
#include "server/sched/sched.h"

typedef struct ps_run ps_run;
typedef struct ps_runs ps_runs;

ps_runs *ps_runs_create(ps_clock clock);
void ps_runs_free(ps_runs **runs); /* drops what is left in it */

/* Takes over the caller's reference of the store. durable: it has checkpoints. A run of that number
 * that is there already is replaced. */
void ps_runs_add(ps_runs *runs, uint64_t job_id, ps_param_store *store, bool durable);
void ps_runs_remove(ps_runs *runs, uint64_t job_id);
/* A reference, or NULL. */
ps_run *ps_runs_get(ps_runs *runs, uint64_t job_id);
/* As _get; PS_NOT_FOUND: "job 7 has no parameters here: it is not running". */
PS_MUST_CHECK ps_status ps_runs_find(ps_runs *runs, uint64_t job_id, ps_run **out);
/* The numbers of all runs: *n of them, freed by the caller. */
uint64_t *ps_runs_list(ps_runs *runs, size_t *n);

/* psd is about to stop: ps_param_store_close of every run. */
void ps_runs_close(ps_runs *runs);

void ps_run_unref(ps_run **run);
uint64_t ps_run_job(const ps_run *run);
ps_param_store *ps_run_store(const ps_run *run); /* borrowed */
bool ps_run_durable(const ps_run *run);
/* Around the writing of a checkpoint: one at a time, others wait, or (wait false) get PS_AGAIN.
 * PS_FAILED_PRECONDITION: the job has ended, nothing may be written any more. After a failure _done
 * is not to be called. */
PS_MUST_CHECK ps_status ps_run_checkpoint_begin(ps_run *run, bool wait);
void ps_run_checkpoint_done(ps_run *run);
/* From now on no checkpoint begins; waits for the one that is being written. */
void ps_run_end(ps_run *run);
/* A checkpoint of what the job came to has been written; said and asked by whoever writes the
 * model. */
void ps_run_set_final(ps_run *run);
bool ps_run_is_final(const ps_run *run);
/* The checkpoint of this number of it has been written now; when the last one was, in ms since
 * 1970, and which; 0: none yet in this process. */
void ps_run_set_saved(ps_run *run, uint64_t number);
int64_t ps_run_saved_ms(const ps_run *run);
uint64_t ps_run_saved_number(const ps_run *run);
/* A checkpoint has failed, or was written. NULL: nothing is to be said of it; otherwise how often
 * it failed, in words to put behind a line (repeat.h). */
const char *ps_run_trouble(ps_run *run, bool failed, char text[PS_REPEAT_TEXT]);
/* Payload bytes that came in by pushes and went out by pulls. */
void ps_run_count(ps_run *run, uint64_t bytes_in, uint64_t bytes_out);
void ps_run_bytes(ps_run *run, uint64_t *bytes_in, uint64_t *bytes_out);
/* Rates since the last call at least a second ago, and staleness. */
void ps_run_gauges(ps_run *run, ps_job_gauges *out);

#endif
