/* grid: the scales and zeros of a matrix's blocks, fixed before any number is decided by more than
 * itself. */
#ifndef PS_COMPRESS_GRID_H
#define PS_COMPRESS_GRID_H

#include "worker/compress/method.h"

/* Encodes every row by the form's own rule: fixes the grids, and rounds to them. With
 * options.one_range every block gets the grid of the whole matrix's range; with importance,
 * [columns], of a share of it if that loses less. */
void ps_grid_encode(const ps_compress_problem *problem, const float *importance, uint8_t *out);

/* What a squared error of each column counts, [columns]: the mean square of its input, and at least
 * 1e-4 of all those' mean; times a power of two. To be freed. NULL: no memory. */
float *ps_grid_importance(const ps_compress_problem *problem);

/* Encodes every row by the form's own rule with that importance: the method `search`. PS_NO_MEMORY.
 */
PS_MUST_CHECK ps_status ps_grid_encode_searched(const ps_compress_problem *problem, uint8_t *out);

/* Does a block have one scale, with or without a zero, that follows from its range? Of integers,
 * and of fp8. */
bool ps_grid_is_range(ps_form form);
/* Of such a form: gives a block the grid that a block of numbers from least to most would have;
 * least <= 0 <= most. Its codes stay. */
void ps_grid_put(ps_form form, uint8_t *block, double least, double most);

#endif
