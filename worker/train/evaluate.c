/* evaluate: the loss and the right answers over rows of the test data. */
#include "common/base/mem.h"
#include "worker/job_kind.h"
#include "worker/train/pass.h"

static ps_status evaluate_batch(void *user, const ps_pass *pass, const ps_batch *batch)
{
    Psd__V1__EvaluateResult *sum = user;
    ps_model_batch input = ps_pass_model_batch(batch);
    ps_model_result result;
    ps_status st = ps_model_forward(pass->model, &input, NULL);
    if (!st)
        st = ps_model_loss(pass->model, &input);
    if (!st)
        st = ps_model_result_get(pass->model, &result);
    if (st)
        return st;
    sum->samples += batch->rows;
    sum->loss += result.loss * (double)batch->rows; /* a sum until the end */
    sum->correct += result.correct > 0 ? (uint64_t)result.correct : 0;
    return PS_OK;
}

ps_status ps_kind_evaluate(ps_task_run *run, Psd__V1__TaskResult *result)
{
    ps_pass pass;
    ps_status st = ps_pass_open(run, &pass);
    if (st)
        return st;
    result->evaluate = ps_new(Psd__V1__EvaluateResult);
    psd__v1__evaluate_result__init(result->evaluate);
    st = ps_pass_run(&pass, evaluate_batch, result->evaluate);
    if (!st && result->evaluate->samples)
        result->evaluate->loss /= (double)result->evaluate->samples;
    return st;
}
