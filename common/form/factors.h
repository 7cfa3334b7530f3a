/* factors: a matrix [rows, columns] that is stored as two of rank r: L [rows, r] and then Rᵀ
 * [columns, r], float32 each, so that rows + columns times r numbers are all of it; W = L·R. It is
 * smaller than the matrix where r·(rows + columns) < rows·columns, and so is the product x·Wᵀ =
 * (x·Rᵀ)·Lᵀ. Pure; any thread. */
#ifndef PS_FORM_FACTORS_H
#define PS_FORM_FACTORS_H

#include "common/form/form.h"

/* A factor is less than this, so that no product of two is infinite. */
#define PS_FACTOR_LIMIT 1e15f

static inline ps_form ps_form_of_rank(uint32_t rank)
{
    const ps_form_row *row = ps_form_find("float32");
    return (ps_form){.row = row, .group = row->group, .rank = rank};
}

/* Is there such a matrix of this rank, from 1 to the smaller side, and can its numbers be counted?
 */
bool ps_factors_fit(uint32_t rank, uint64_t rows, uint64_t columns);
/* Would two be smaller than one? */
bool ps_factors_save(uint32_t rank, uint64_t rows, uint64_t columns);

/* Rows [first, first + n) of L·R, summed in double: out [n, columns]. */
void ps_factors_rows(const float *factors, uint32_t rank, uint64_t rows, uint64_t columns,
                     uint64_t first, uint64_t n, float *out);

#endif
