/* evaluate: the loss, and what the model says beside it, over rows of the test data; of a language
 * model first its perplexity, which is the exponential of the mean loss.
 *
 * A result that is not finite fails a job that only evaluates, with the rows where it came to be. A
 * training goes on, as its own losses say whether that makes sense: its log has a warning. */
#include "common/base/mem.h"
#include "worker/tasks/pass.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>
#include <math.h>

typedef struct evaluating {
    uint64_t samples;
    double weight; /* of all batches, in rows */
    double loss;   /* times the weight, as the metrics are; means at the end */
    ps_metric_list metrics;
    bool warned;
} evaluating;

static ps_status check_loss(evaluating *sum, const ps_pass *pass, const ps_batch *batch,
                            double loss)
{
    if (isfinite(loss) || sum->warned)
        return PS_OK;
    const ps_spec_files *test = ps_job_entry_spec(pass->entry)->data.test;
    ps_status st =
        ps_fail(PS_OUT_OF_RANGE,
                "the loss is %s in rows %" PRIu64 " to %" PRIu64 " of %s; has the model "
                "NaN or infinity in it, or values that are too large?",
                isnan(loss) ? "NaN" : "infinite", batch->first, batch->first + batch->rows - 1,
                batch->tokens ? test->tokens : test->features);
    if (ps_job_entry_stored(pass->entry))
        return st;
    ps_task_log(pass->run, PS_LOG_WARNING, "test data: %s", ps_error_message());
    sum->warned = true;
    return PS_OK;
}

static ps_status evaluate_batch(void *user, const ps_pass *pass, const ps_batch *batch)
{
    evaluating *sum = user;
    ps_model_batch input = ps_pass_model_batch(batch);
    input.teaching = pass->teaching;
    ps_model_result result;
    ps_status st = ps_model_forward(pass->model, &input, NULL);
    if (!st)
        st = ps_model_loss(pass->model, &input);
    if (!st)
        st = ps_model_result_get(pass->model, &result);
    if (st)
        return st;
    st = check_loss(sum, pass, batch, result.loss);
    if (st)
        return st;
    double weight = ps_pass_weight(batch, &result);
    sum->samples += batch->rows;
    sum->weight += weight;
    sum->loss += result.loss * weight;
    ps_pass_add_metrics(&result, weight, &sum->metrics);
    return PS_OK;
}

/* A mean loss that is finite may still have none. */
static ps_status add_perplexity(const ps_pass *pass, double loss, ps_metric_list *metrics)
{
    double perplexity = exp(loss);
    if (isfinite(perplexity))
        ps_metric_list_add(metrics, "perplexity", perplexity);
    else if (ps_job_entry_stored(pass->entry))
        return ps_fail(PS_OUT_OF_RANGE,
                       "the mean loss is %g, and the perplexity too large for a number; has the "
                       "model values that are too large?",
                       loss);
    return PS_OK;
}

/* Sums to means. */
static ps_status means_of(const ps_pass *pass, evaluating *sum)
{
    if (sum->weight <= 0) /* no rows, or none with a label */
        return PS_OK;
    sum->loss /= sum->weight;
    ps_metric_list_divide(&sum->metrics, sum->weight);
    ps_metric_list all = {0};
    bool language = ps_spec_model_is_language(ps_job_entry_model_spec(pass->entry));
    ps_status st = language ? add_perplexity(pass, sum->loss, &all) : PS_OK;
    for (size_t i = 0; i < sum->metrics.count; i++)
        ps_metric_list_add(&all, sum->metrics.at[i].name, sum->metrics.at[i].value);
    sum->metrics = all;
    return st;
}

/* An older psd knows no metrics. */
static Psd__V1__EvaluateResult *for_older(const evaluating *means)
{
    Psd__V1__EvaluateResult *older = ps_new(Psd__V1__EvaluateResult);
    psd__v1__evaluate_result__init(older);
    older->samples = means->samples;
    older->loss = means->loss;
    older->n_metrics = means->metrics.count;
    older->metrics = ps_metric_list_messages(&means->metrics);
    return older;
}

static void tell(const evaluating *means, Psd__V1__TaskResult *result)
{
    ps_result_metric(result, "samples", (double)means->samples);
    ps_result_metric(result, "loss", means->loss);
    for (size_t i = 0; i < means->metrics.count; i++)
        ps_result_metric(result, means->metrics.at[i].name, means->metrics.at[i].value);
    result->evaluate = for_older(means);
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    ps_pass pass;
    ps_status st = ps_pass_open(run, &pass);
    if (st)
        return st;
    evaluating sum = {0};
    st = ps_pass_run(&pass, evaluate_batch, &sum);
    if (!st)
        st = means_of(&pass, &sum);
    if (!st)
        tell(&sum, result);
    return st;
}

const ps_worker_kind ps_worker_kind_evaluate = {.name = "evaluate", .run = run_task};
