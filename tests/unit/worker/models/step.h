/* step: a model's pass over a batch, as a training takes it; each part of it must succeed. */
#ifndef PS_TEST_MODEL_STEP_H
#define PS_TEST_MODEL_STEP_H

#include "tests/lib/ck_ok.h"
#include "worker/models/model.h"

/* Forward, and what it says: no gradients. */
static inline ps_model_result model_loss(ps_model *model, const ps_model_batch *batch)
{
    ps_model_result result;
    ck_ok(ps_model_forward(model, batch, NULL));
    ck_ok(ps_model_loss(model, batch));
    ck_ok(ps_model_result_get(model, &result));
    return result;
}

/* Forward and back: the gradients are there. */
static inline ps_model_result model_step(ps_model *model, const ps_model_batch *batch)
{
    ps_model_result result;
    ck_ok(ps_model_forward(model, batch, NULL));
    ck_ok(ps_model_loss(model, batch));
    ck_ok(ps_model_backward(model, NULL));
    ck_ok(ps_model_result_get(model, &result));
    return result;
}

#endif
