/* probe_pass: what the forward passes of probe share: numbers as they come, applied to a number of
 * each token. Private to probe*.c. */
#ifndef PS_MODEL_PROBE_PASS_H
#define PS_MODEL_PROBE_PASS_H

#include "common/arch/arch.h"
#include "common/model/probe.h"

typedef double ps_probe_lane[PS_PROBE_TOKENS]; /* a number of each token */

typedef struct ps_probe_pass {
    const ps_spec_model *m;
    const ps_probe_source *source;
    uint64_t hidden, heads, kv, inner, vocab; /* widths */
    uint64_t outputs;                         /* logits, classes, or hidden */
    const ps_arch *arch;
    bool layer_norm, rope, gated;
    struct {
        double *frequencies, scale; /* of each pair of a head */
    } turns[2];                     /* of blocks whose queries see all, or a window */
    uint64_t turned;                /* numbers of a head */
    int64_t block;                  /* that is worked off, from 0 */
    double offset;                  /* that gains are stored less by */
    uint64_t tokens[PS_PROBE_TOKENS];
    ps_probe_lane *x, *h; /* [hidden]: the residual stream, and what a norm makes of it, */
    ps_probe_lane *in,
        *said; /* what came into the block, and what a half of it gives before a norm */
    ps_probe_lane *q, *k, *v;  /* of all heads; one array */
    ps_probe_lane *a;          /* [heads]: what attention says */
    ps_probe_lane *gate, *up;  /* [inner] */
    ps_probe_lane *logits;     /* [outputs] */
    const ps_probe_lane *from; /* of the tensor that comes: a product's input, */
    ps_probe_lane *to;         /* and what it is added to */
    uint64_t columns;          /* of it */
} ps_probe_pass;

/* A weight, or the bias behind it. to begins as zeros, unless it is the residual stream. Fails as
 * the source does. */
PS_MUST_CHECK ps_status ps_probe_layer(ps_probe_pass *p, const ps_lm_tensor *t,
                                       const ps_probe_lane *from, ps_probe_lane *to, bool residual);

/* n lanes of *memory, which goes on behind them. */
ps_probe_lane *ps_probe_lanes(double **memory, uint64_t n);
/* PS_NO_MEMORY for that many. */
ps_status ps_probe_no_memory(uint64_t numbers);

/* probe.h's two of a model that is layers alone; tensors: weight and bias of each in turn. */
void ps_probe_list_layers(const ps_spec_model *model, ps_lm_tensor **out, size_t *n);
PS_MUST_CHECK ps_status ps_probe_run_layers(const ps_spec_model *model,
                                            const ps_probe_source *source,
                                            const ps_lm_tensor *tensors, size_t n, double **out,
                                            size_t *n_out);

#endif
