/* units: parts of a network that several tensors share, and that can only be removed from all of
 * them: a neuron of an FFN is a row of up and gate, and a column of down; a KV group, rows of k and
 * v, the rows of its queries, and columns of the projection after them; a hidden dimension, a
 * column or a row of nearly everything. Which tensors those are is the caller's to know: here a
 * member is an axis of a tensor on which unit u is `span` numbers from begin + u·span on. Of a
 * tensor that has several (gpt2's q, k and v in one), each is a member.
 *
 *     ps_units_importance(&salient, &member, units, importance);   of each member
 *     st = ps_units_keep(importance, units, left, keep);
 *     ps_units_mark(&member, units, keep, stays);                  of each member on an axis
 *     ps_units_cut(w, rows, columns, stay_rows, stay_columns, out);
 *
 * Pure; any thread.
 */
#ifndef PS_COMPRESS_UNITS_H
#define PS_COMPRESS_UNITS_H

#include "common/base/status.h"
#include "worker/compress/saliency.h"

#include <stdbool.h>

typedef struct ps_member {
    bool columns; /* the axis; else rows */
    uint64_t begin, span;
} ps_member;

/* Adds to each unit, [units], the saliency of its numbers here. */
void ps_units_importance(const ps_salient *tensor, const ps_member *member, uint64_t units,
                         double *importance);

/* keep, [units]: the `left` most important; of equals, the first. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_units_keep(const double *importance, uint64_t units, uint64_t left,
                                      bool *keep);

/* stays, [length of the axis]: false where a unit that is not kept lies; the rest is left alone. */
void ps_units_mark(const ps_member *member, uint64_t units, const bool *keep, bool *stays);
/* How many stay. */
uint64_t ps_units_count(const bool *stays, uint64_t n);
/* The rows and columns that stay, NULL: all, in their order; out may be w itself. */
void ps_units_cut(const float *w, uint64_t rows, uint64_t columns, const bool *stay_rows,
                  const bool *stay_columns, float *out);

#endif
