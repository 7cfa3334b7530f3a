/* compress_rows: the table of methods that numbers are rounded by, and what a method means for
 * whoever is not its solver. The schema, the checks and the texts of errors are made from it; what
 * a method does is a row of the same name of psworker (worker/compress). A new method is a line
 * here and a file there. Read-only; any thread.
 */
#ifndef PS_CONF_COMPRESS_ROWS_H
#define PS_CONF_COMPRESS_ROWS_H

#include <stdbool.h>

/* What a method has to know of the inputs x of a product, summed over rows of data. */
typedef enum ps_method_needs {
    PS_METHOD_NOTHING,
    PS_METHOD_SQUARES, /* Σx² of each column: the diagonal of Σxxᵀ */
    PS_METHOD_HESSIAN, /* Σxxᵀ */
} ps_method_needs;

/* ROW(name, traits)
 *     round   each number to the nearest: ggml's quantiser for its blocks, the range for integers
 *     search  the same, where an error counts by what its column is multiplied with
 *     gptq    one column after the other, the error of each made good in those that follow
 *     awq     inputs are divided, and weights multiplied, by what makes rounding lose least; then
 *             each block's range is cut where that loses less
 *     smooth  likewise, by the inputs' sizes against the weights'; then each to the nearest
 *     hqq     without data: each block's grid is moved until most numbers lose little
 */
#define PS_METHOD_ROWS(ROW)                                 \
    ROW(round, .needs = PS_METHOD_NOTHING)                  \
    ROW(search, .needs = PS_METHOD_SQUARES)                 \
    ROW(gptq, .needs = PS_METHOD_HESSIAN, .inverts = true)  \
    ROW(awq, .needs = PS_METHOD_HESSIAN, .scales = true)    \
    ROW(smooth, .needs = PS_METHOD_HESSIAN, .scales = true) \
    ROW(hqq, .needs = PS_METHOD_NOTHING)

typedef struct ps_method_row {
    const char *name;
    ps_method_needs needs;
    bool inverts; /* it takes the inverse of Σxxᵀ, and so compress.quantise.damp */
    bool scales;  /* what comes before a product takes factors of it (worker/compress/scale.h) */
} ps_method_row;

extern const char *const ps_method_names[];                /* ended by NULL */
const ps_method_row *ps_method_row_find(const char *name); /* NULL: there is none */

#endif
