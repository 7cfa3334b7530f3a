/* conv_direct: convolutions of stride 1 on processors that have kernels for them (conv_kernels.h).
 */
#ifndef PS_CPU_CONV_DIRECT_H
#define PS_CPU_CONV_DIRECT_H

#include "gpu/ops.h"

#include <stdbool.h>

/* Is c of that kind? Then these do it; else conv.c does, by products. */
bool ps_conv_direct_is(ps_stream *s, const ps_conv *c);
void ps_conv_direct(ps_stream *s, const ps_conv *c);
void ps_conv_direct_backward_input(ps_stream *s, const ps_conv *c);
void ps_conv_direct_backward_weight(ps_stream *s, const ps_conv *c);

#endif
