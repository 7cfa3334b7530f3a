/* book: which rows of a training task are in the parameters. With the mutex. */
#ifndef PS_SCHED_BOOK_H
#define PS_SCHED_BOOK_H

#include "server/sched/core.h"

void ps_book_begin(const ps_lease *lease);
uint64_t ps_book_report(const ps_lease *lease, uint64_t position); /* how far it really is */
/* Adds to *left what of the task is not done. done: the worker says that all is. */
void ps_book_end(const ps_lease *lease, bool done, ps_row_set *left);
bool ps_book_state(const ps_job *job, ps_ledger_state *out);
/* Segments of a training whose losses are recorded, as ps_sched_book has them. */
bool ps_book_segment_take(const ps_job *job, bool pressing, uint64_t *number);
void ps_book_segment_back(const ps_job *job, uint64_t number);
uint32_t ps_book_segment_lost(const ps_job *job, uint64_t number);
/* Without the mutex. */
PS_MUST_CHECK ps_status ps_book_segment_done(const ps_job *job, uint64_t number,
                                             const char *report);
bool ps_book_segments_left(const ps_job *job);
void ps_book_adopt(const ps_job *job, ps_ledger_state *state); /* takes over what it points to */

#endif
