/* form_sixteens: products of matrices in a form by kernels of our own (form_kernels.h). */
#ifndef PS_CPU_FORM_SIXTEENS_H
#define PS_CPU_FORM_SIXTEENS_H

#include "gpu/cpu/form_order.h"

/* The order in which a matrix is kept on this stream's backend; NULL: as in files. */
const ps_form_order *ps_cpu_form_order(const ps_stream *s, const ps_form_matrix *m);

/* y's columns of the first rows of w: how many of them; 0 where there are no kernels, or the stream
 * has failed. */
int64_t ps_cpu_form_sixteens(ps_stream *s, const ps_form_product *p);

#endif
