/* epoch_rows: which rows of which epochs are still to be trained, and by how much each piece has
 * failed.
 *
 * Epoch e of n_epochs is the rows [0, n_rows) in an order that workers know by epoch and seed. A
 * piece is a range of them. It is taken, reported done bit by bit from its beginning, and what is
 * left of it can be given back; then it is taken again before anything new. Every row of every
 * epoch is in exactly one place: done, in a piece that is out, given back, or fresh.
 *
 * At most two epochs are open: with `overlap` the rows of epoch e + 1 are given out when all of e
 * are out (so nobody waits for the slowest piece), but none of e + 2 before all of e are done;
 * without it an epoch begins when the one before is done. Pure; the scheduler's mutex guards it
 * (not asserted: it does not know the scheduler). */
#ifndef PS_SCHED_KINDS_EPOCH_ROWS_H
#define PS_SCHED_KINDS_EPOCH_ROWS_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"
#include "server/params/ledger.h"
#include "server/sched/task.h"

#include <stdbool.h>
#include <stdint.h>

#define PS_ROWS_MAX ((uint64_t)1 << 48) /* of an epoch */

typedef struct ps_epoch_rows {
    uint64_t n_rows;
    uint32_t n_epochs;
    uint64_t per_task;
    bool overlap;
    uint32_t done_epochs;    /* all before this one are done */
    uint64_t left[2];        /* rows not done of epochs done_epochs and the next */
    uint32_t fresh_epoch;    /* rows from fresh_row of this epoch were never out; */
    uint64_t fresh_row;      /* n_epochs when there are none */
    ps_row_range *back;      /* given back, by epoch and begin */
    size_t n_back, capacity; /* of back */
} ps_epoch_rows;

/* n_rows 1..PS_ROWS_MAX, n_epochs at least 1, per_task at least 1 */
void ps_epoch_rows_init(ps_epoch_rows *rows, uint64_t n_rows, uint32_t n_epochs, uint64_t per_task,
                        bool overlap);
void ps_epoch_rows_free(ps_epoch_rows *rows);

/* Takes a piece of at most per_task rows for this worker: PS_OK, or PS_END when there is none now
 * (all are out, an epoch must end first, or all that came back must wait until after now_ns).
 * others: somebody else could take a piece that this worker has failed on. fresh: new ones are
 * allowed too. */
PS_MUST_CHECK ps_status ps_epoch_rows_take(ps_epoch_rows *rows, const char *worker, bool others,
                                           bool fresh, uint64_t now_ns, ps_row_range *out);
/* `count` rows of that epoch, which were out, are done. */
void ps_epoch_rows_done(ps_epoch_rows *rows, uint32_t epoch, uint64_t count);
/* A piece (begin moved past what is done; empty: nothing happens) is to be taken again. */
void ps_epoch_rows_back(ps_epoch_rows *rows, const ps_row_range *piece);

bool ps_epoch_rows_all_done(const ps_epoch_rows *rows);
uint64_t ps_epoch_rows_count_done(const ps_epoch_rows *rows); /* of all epochs together */

/* What is done, by the parameters, and the other way: of a ps_epoch_rows of which nothing is out.
 */
void ps_epoch_rows_from_state(const ps_ledger_state *state, uint64_t per_task, bool overlap,
                              ps_epoch_rows *out);
void ps_epoch_rows_state(const ps_epoch_rows *rows, ps_ledger_state *out); /* freed by the caller */

/* Appends what is not done, in which `out` (n pieces, begin moved past what is done) counts as not
 * given out. load gives a ps_epoch_rows in which nothing is out; PS_CORRUPT, and nothing is set,
 * when the bytes are not such. per_task and overlap are the caller's. */
void ps_epoch_rows_save(const ps_epoch_rows *rows, const ps_row_range *out, size_t n,
                        ps_buf *bytes);
PS_MUST_CHECK ps_status ps_epoch_rows_load(ps_epoch_rows *rows, uint64_t per_task, bool overlap,
                                           ps_cursor *bytes);

#endif
