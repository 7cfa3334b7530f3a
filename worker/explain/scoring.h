/* scoring: the number f that is explained, as a function of the model's answer z to one row, and
 * its gradient. Pure; float64 inside. */
#ifndef PS_EXPLAIN_SCORING_H
#define PS_EXPLAIN_SCORING_H

#include "common/conf/job_spec.h"

typedef struct ps_explain_goal {
    unsigned score; /* ps_explain_score */
    int64_t target; /* an output */
    int64_t other;  /* f is less that of this output; -1: none */
    const float
        *targets; /* LOSS of squared_error: [outputs], what the answer should be; else NULL */
} ps_explain_goal;

/* What a row's label says; borrowed. */
typedef struct ps_explain_label {
    int64_t label;        /* a class or token; -1: there is none */
    const float *targets; /* of squared_error; NULL: there are none */
} ps_explain_label;

/* What the job explains of a row, z[outputs] being the model's answer to it. PS_INVALID_ARGUMENT:
 * it is of the label, and the row has none, or one that is no output. */
PS_MUST_CHECK ps_status ps_explain_goal_of(const ps_spec_explain *spec, const ps_spec_model *model,
                                           const float *z, int64_t outputs,
                                           const ps_explain_label *label, ps_explain_goal *out);

double ps_explain_score_of(const ps_explain_goal *goal, const float *z, int64_t outputs);
/* ∂f/∂z into dz[outputs]. */
void ps_explain_score_gradient(const ps_explain_goal *goal, const float *z, int64_t outputs,
                               float *dz);
/* The largest, the first of several. */
int64_t ps_explain_largest(const float *z, int64_t outputs);
/* log Σ exp(z): z less this are logarithms of probabilities. */
double ps_explain_log_sum(const float *z, int64_t outputs);

#endif
