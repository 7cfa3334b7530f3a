/* baseline: the input against which a row is explained, as the model computes with it: features, or
 * a token's embedding for every position. */
#ifndef PS_EXPLAIN_BASELINE_H
#define PS_EXPLAIN_BASELINE_H

#include "common/conf/explain_spec.h"
#include "worker/explain/method.h"

struct ps_explain_baseline {
    unsigned kind;  /* ps_explain_baseline_kind */
    float *numbers; /* [inputs]: features; or the embedding that stands for every token */
    size_t inputs;
    int64_t token; /* TOKEN; else -1 */
};

/* kind of spec: settled, not USUAL. data: of kinds MEAN and ROW, else it may be NULL. embedding: of
 * kind TOKEN, and of MEAN of a language model, [inputs]; else NULL. Freed with
 * _free, also after a failure. PS_OUT_OF_RANGE: there is no such row. PS_INVALID_ARGUMENT: there
 * are no data to make it of. PS_NO_MEMORY; fails as reading does. */
PS_MUST_CHECK ps_status ps_explain_baseline_make(const ps_spec_explain_baseline *spec,
                                                 size_t inputs, const ps_dataset *data,
                                                 const float *embedding, ps_explain_baseline *out);
/* The job's, as x's model computes with it: of its spec, model and rows. Freed with _free, also
 * after a failure. Fails as _make, and as the model does. */
PS_MUST_CHECK ps_status ps_explain_baseline_of(const ps_explaining *x, ps_explain_baseline *out);
/* Of a point of `width` numbers, a multiple of inputs. */
void ps_explain_baseline_put(const ps_explain_baseline *baseline, size_t width, float *out);
/* The i-th number of it. */
static inline float ps_explain_baseline_at(const ps_explain_baseline *baseline, size_t i)
{
    return baseline->numbers[i % baseline->inputs];
}
void ps_explain_baseline_free(ps_explain_baseline *baseline);

#endif
