/* between: models on the straight line from a job's model A to another one of the same shapes, B,
 * and what their parameters' changes do to the loss of some labelled rows there. What methods that
 * look into the difference of two models' losses stand on. On the task's thread (not asserted: the
 * models assert it). */
#ifndef PS_EXPLAIN_BETWEEN_H
#define PS_EXPLAIN_BETWEEN_H

#include "worker/explain/method.h"
#include "worker/explain/selection.h"

typedef struct ps_between ps_between;

enum {
    PS_BETWEEN_BLOCKS = 16, /* of a tensor: equal parts of its inputs, of a vector of its elements;
                               one that has fewer leaves the rest 0 */
};

/* x has `other`, whose model is made with gradients beside A, and data.test. PS_INVALID_ARGUMENT:
 * the models are not of the same shapes; PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_between_open(ps_explaining *x, ps_between **out);
void ps_between_close(ps_between **between); /* NULL is nothing */

size_t ps_between_parts(const ps_between *between); /* tensors · PS_BETWEEN_BLOCKS */

/* At A + t·(B − A): the loss, summed over the selection's items begin to end, and of each part
 * Σ (B − A)·∂loss/∂w over its elements, into parts[tensor, block]. */
PS_MUST_CHECK ps_status ps_between_at(ps_between *between, double t, const ps_selection *rows,
                                      uint64_t begin, uint64_t end, double *loss, double *parts);

#endif
