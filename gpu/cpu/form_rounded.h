/* form_rounded: products of matrices in a form by kernels of our own (form_kernels.h), for which x
 * is rounded to 8 bits. */
#ifndef PS_CPU_FORM_ROUNDED_H
#define PS_CPU_FORM_ROUNDED_H

#include "gpu/cpu/form_order.h"

/* The order in which a matrix is kept on this stream's backend; NULL: as in files. */
const ps_form_order *ps_cpu_form_order(const ps_stream *s, const ps_form_matrix *m);

/* y's columns of the first rows of w: how many of them; 0 where there are no kernels, or the stream
 * has failed. */
int64_t ps_cpu_form_rounded(ps_stream *s, const ps_form_product *p);

#endif
