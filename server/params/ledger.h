/* ledger: which rows of a training job are in its parameters.
 *
 * A push says which rows its gradient is of, and they are booked inside the store's gate, together
 * with the update: so a checkpoint has parameters and rows of one instant, and what the scheduler
 * gives out again after a worker or psd was lost is what is not booked, row for row. Under bsp rows
 * wait for the end of their clock, like the gradients: a checkpoint taken before has neither.
 *
 * A lease says under which task rows are pushed. Once it has ended nothing is booked for it any
 * more, and the push is refused: its rows are another's by then.
 *
 * A gradient may come as several pushes, each of other blocks. Its rows are done when all of them
 * have come. If the task ends before, the ledger remembers which blocks have these rows ("half"
 * done); whoever computes the rows again pushes all blocks, and those are left out.
 *
 * Epoch and rows are those of tasks: [begin, end) of the epoch's permutation. Two epochs can be
 * open at a time (server/sched/kinds/epoch_rows.h). Any thread; one lock, held for microseconds,
 * under which nothing else is taken.
 */
#ifndef PS_PARAMS_LEDGER_H
#define PS_PARAMS_LEDGER_H

#include "common/base/buf.h"
#include "common/base/status.h"
#include "server/params/row_set.h"

typedef struct ps_ledger ps_ledger;

/* What is done. */
typedef struct ps_ledger_state {
    uint64_t n_rows; /* of an epoch; 0: nothing is known of rows */
    uint32_t n_epochs;
    uint32_t done_epochs; /* all before this one */
    ps_row_set done[2];   /* of epoch done_epochs and the next */
} ps_ledger_state;

void ps_ledger_state_free(ps_ledger_state *state);

/* blocks: of the store. n_rows 0: the job has no rows, or they are told later (_adopt). */
void ps_ledger_create(uint64_t n_rows, uint32_t n_epochs, uint64_t blocks, ps_ledger **out);
void ps_ledger_free(ps_ledger **ledger);

/* ---- the scheduler's ---- */

/* A task of these rows is given out. */
void ps_ledger_lease_begin(ps_ledger *ledger, uint64_t lease, uint32_t epoch, ps_row_span rows);
enum { PS_LEDGER_NO_WORDS = UINT32_MAX };
/* Only this worker may push under the lease, and of tensors that are for one lease each only the
 * one of number `words`; PS_LEDGER_NO_WORDS: none. A lease of which this is not said is anybody's,
 * for none. */
void ps_ledger_lease_limit(ps_ledger *ledger, uint64_t lease, const char *worker, uint32_t words);
/* The worker says that all rows before `position` are done. Where its pushes say their rows, these
 * are what counts; of a worker whose pushes do not, what it says is booked. Returns how far the
 * lease is: the first row that is not booked; `position` for a lease that is not known. */
uint64_t ps_ledger_lease_report(ps_ledger *ledger, uint64_t lease, uint64_t position);
/* The task is over; done: the worker says that all rows are. Nothing is booked for the lease from
 * now on. Adds to `left` what of its rows is not. false: it is not known. */
bool ps_ledger_lease_end(ps_ledger *ledger, uint64_t lease, bool done, ps_row_set *left);

/* A copy of what is done, or will be when the clock ends; freed by the caller. */
void ps_ledger_state_get(ps_ledger *ledger, ps_ledger_state *out);
/* Takes over the state (of a checkpoint that has none) when nothing has been booked. */
void ps_ledger_adopt(ps_ledger *ledger, ps_ledger_state *state);

/* ---- of pushes ---- */

typedef struct ps_ledger_push {
    uint64_t lease;   /* 0: not a task's; nothing is booked */
    ps_row_span rows; /* empty: not said */
    uint32_t parts;   /* pushes that its gradient comes in; 0: 1 */
    uint64_t clock;   /* at whose end the rows are done; 0: at once */
    /* blocks it touches, ascending; left_out[i] is set for those that have these rows already */
    const uint64_t *blocks;
    bool *left_out;
    size_t n_blocks;
} ps_ledger_push;

/* PS_PERMISSION_DENIED: the lease has ended, or is another client's. */
PS_MUST_CHECK ps_status ps_ledger_check(ps_ledger *ledger, uint64_t lease, const char *client);
/* May it be pushed to this tensor under the lease, as one that is for one lease alone? */
bool ps_ledger_may_set(ps_ledger *ledger, uint64_t lease, uint32_t tensor);
uint32_t ps_ledger_lease_epoch(ps_ledger *ledger, uint64_t lease); /* 0 where it is not known */
/* (gate) Books it: the update must follow. *rows_before: done before this one. *whole: all of its
 * rows' gradient has come. PS_PERMISSION_DENIED: the lease has ended; PS_INVALID_ARGUMENT: rows
 * that are not the task's, or are in the parameters already. */
PS_MUST_CHECK ps_status ps_ledger_book(ps_ledger *ledger, const ps_ledger_push *push,
                                       uint64_t *rows_before, bool *whole);
/* Have some blocks got rows, in this clock, that the others have not? */
bool ps_ledger_has_halves(ps_ledger *ledger, uint64_t clock);

/* ---- progress and checkpoints ---- */

/* Rows done, of all epochs together, without those that wait for the end of a clock; *total: that
 * the job has. */
uint64_t ps_ledger_rows_done(ps_ledger *ledger, uint64_t *total);
/* All rows are done, or are when the clock ends. */
bool ps_ledger_all_booked(ps_ledger *ledger);
/* (gate, exclusive) unfinished_clock: what waits for its end is left out (0: none). */
void ps_ledger_save(ps_ledger *ledger, uint64_t unfinished_clock, ps_buf *out);
/* Into a fresh one. PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_ledger_load(ps_ledger *ledger, ps_slice bytes);

#endif
