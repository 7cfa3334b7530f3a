/* influence: how much each block of a language model changes what runs through it (Men and others
 * 2024, ShortGPT): over tokens, Σ (1 − cos(x, y)) of what comes in and goes out. Watches a forward
 * pass (the residual stream, `at` of ps_model_hooks) and computes on the host, in float64. The
 * task's thread's (not asserted: it is a part of the task). */
#ifndef PS_TASKS_INFLUENCE_H
#define PS_TASKS_INFLUENCE_H

#include "worker/models/model.h"

typedef struct ps_influence ps_influence;

void ps_influence_new(size_t layers, ps_influence **out);
void ps_influence_free(ps_influence **influence);
void ps_influence_clear(ps_influence *influence); /* sums are 0 again */

/* What comes into the first block, x[rows, columns]; then what goes out of each, layer 0 first.
 * PS_NO_MEMORY; what the device says. */
PS_MUST_CHECK ps_status ps_influence_begin(ps_influence *influence, ps_stream *stream, ps_tensor x);
PS_MUST_CHECK ps_status ps_influence_add(ps_influence *influence, ps_stream *stream, size_t layer,
                                         ps_tensor y);
const double *ps_influence_sums(const ps_influence *influence); /* [layers] */

#endif
