/* evaluate: the loss, and what the model says beside it, over rows of the test data; of a language
 * model first its perplexity, which is the exponential of the mean loss. */
#include "common/base/mem.h"
#include "worker/job_kind.h"
#include "worker/train/pass.h"

#include <math.h>

typedef struct evaluating {
    uint64_t samples;
    double loss; /* summed over samples, as the metrics are */
    ps_metric_list metrics;
} evaluating;

static ps_status evaluate_batch(void *user, const ps_pass *pass, const ps_batch *batch)
{
    evaluating *sum = user;
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
    sum->loss += result.loss * (double)batch->rows;
    ps_pass_add_metrics(&result, &sum->metrics);
    return PS_OK;
}

static Psd__V1__EvaluateResult *means_of(evaluating *sum, bool language)
{
    Psd__V1__EvaluateResult *means = ps_new(Psd__V1__EvaluateResult);
    psd__v1__evaluate_result__init(means);
    means->samples = sum->samples;
    if (!sum->samples)
        return means;
    means->loss = sum->loss / (double)sum->samples;
    ps_metric_list_divide(&sum->metrics, (double)sum->samples);
    ps_metric_list all = {0};
    if (language)
        ps_metric_list_add(&all, "perplexity", exp(means->loss));
    for (size_t i = 0; i < sum->metrics.count; i++)
        ps_metric_list_add(&all, sum->metrics.at[i].name, sum->metrics.at[i].value);
    means->n_metrics = all.count;
    means->metrics = ps_metric_list_messages(&all);
    return means;
}

ps_status ps_kind_evaluate(ps_task_run *run, Psd__V1__TaskResult *result)
{
    ps_pass pass;
    ps_status st = ps_pass_open(run, &pass);
    if (st)
        return st;
    evaluating sum = {0};
    st = ps_pass_run(&pass, evaluate_batch, &sum);
    if (!st)
        result->evaluate =
            means_of(&sum, ps_spec_model_is_language(ps_job_entry_model_spec(pass.entry)));
    return st;
}
