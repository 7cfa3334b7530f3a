/* selection: which rows of the data a job explains, by its item numbers. The same for everybody who
 * knows the job and how many rows the data have: item i is the i-th of them in ascending order. One
 * selection belongs to its maker. */
#ifndef PS_EXPLAIN_SELECTION_H
#define PS_EXPLAIN_SELECTION_H

#include "common/conf/explain_spec.h"

typedef struct ps_selection {
    uint64_t first;  /* of a range */
    uint64_t *drawn; /* ascending; NULL: it is a range */
    uint64_t n;      /* items */
} ps_selection;

/* data_rows: of data.test; what a range has behind them is left out, and a sample of more is all of
 * them. PS_OUT_OF_RANGE: the range begins behind them. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_selection_make(const ps_spec_explain *spec, uint64_t data_rows,
                                          ps_selection *out);
uint64_t ps_selection_row(const ps_selection *selection, uint64_t item); /* item < n */
void ps_selection_free(ps_selection *selection);

#endif
