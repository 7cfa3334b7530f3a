/* attention_few: attention of few queries, as a model has it that writes one token after the other:
 * bound by reading the keys and values once. */
#ifndef PS_CPU_ATTENTION_FEW_H
#define PS_CPU_ATTENTION_FEW_H

#include "gpu/ops.h"

/* Is a of that kind? Then ps_cpu_attention_few does it. */
bool ps_cpu_attention_is_few(const ps_attention *a);
void ps_cpu_attention_few(ps_stream *s, const ps_attention *a);

#endif
