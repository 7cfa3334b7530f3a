/* lens: what a language model would answer if it stopped before each block: the stream there, at
 * the row's last token, as it is or translated, through the last norm and the head. The norm's
 * statistics are those of that vector, not of the last one. Of each row, by layer (the last is the
 * answer itself):
 *
 *     rank             [layer]       of the target, from 1: so many tokens are no less likely
 *     log_probability  [layer]       of the target
 *     entropy          [layer]       of the answer, in nats
 *     divergence       [layer]       KL(last || layer): what the blocks from here on still change
 *     top              [layer, top]  the `top` likeliest tokens; and top_log_probability
 *
 * `residual`: how far the last layer is from the answer, over its largest logit. One pass forward,
 * and the head for each layer. One thread (not asserted: the model's, which asserts it). */
#ifndef PS_EXPLAIN_LENS_H
#define PS_EXPLAIN_LENS_H

#include "worker/explain/method.h"

typedef struct ps_lens_way {
    /* What of one row is read out, in place of stream[layers + 1, hidden], whose last stays. NULL:
     * as it is. */
    ps_status (*translate)(void *user, float *stream);
    void *user;
} ps_lens_way;

/* Some items, into `out`. Fails as a pass does, and as translate; PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_lens_read(ps_explaining *x, const ps_spec_explain_method *spec,
                                     const ps_lens_way *way, const ps_explain_items *items,
                                     ps_explain_part *out);

#endif
