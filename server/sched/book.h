/* book: which rows of a training task are in the parameters. With the mutex. */
#ifndef PS_SCHED_BOOK_H
#define PS_SCHED_BOOK_H

#include "server/sched/core.h"

void ps_book_begin(const ps_lease *lease);
uint64_t ps_book_report(const ps_lease *lease, uint64_t position); /* how far it really is */
/* Adds to *left what of the task is not done. done: the worker says that all is. */
void ps_book_end(const ps_lease *lease, bool done, ps_row_set *left);
bool ps_book_state(const ps_job *job, ps_ledger_state *out);
void ps_book_adopt(const ps_job *job, ps_ledger_state *state); /* takes over what it points to */

#endif
