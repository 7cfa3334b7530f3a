/* kept_gradient: loss and gradient at the end of a segment (probe.c), where the next one begins.
 * Known by the parameters themselves: numbers of waypoints and versions come again, of others, when
 * psd goes on from a checkpoint. One thread (not asserted: it is the job's entry's). */
#ifndef PS_TASKS_KEPT_GRADIENT_H
#define PS_TASKS_KEPT_GRADIENT_H

#include <stdint.h>

typedef struct ps_kept_gradient ps_kept_gradient;

/* One piece of memory, for ps_free; NULL: there is none. parameters, gradient: [elements]; copied.
 */
ps_kept_gradient *ps_kept_gradient_make(const float *parameters, const float *gradient,
                                        uint64_t elements, double loss);
/* The gradient at these parameters, and the loss; NULL: kept is of others, or NULL. */
const float *ps_kept_gradient_at(const ps_kept_gradient *kept, const float *parameters,
                                 uint64_t elements, double *loss);

#endif
