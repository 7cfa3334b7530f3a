/* Rows are taken in the files' order. Between batches the task looks whether it is to end. */
#include "worker/tasks/pass.h"

#include "common/base/require.h"
#include "common/format/token_file.h"

#include <inttypes.h>

/* What a file marks goes to the model as it is. */
_Static_assert((uint32_t)PS_MODEL_SECOND == PS_TOKEN_SECOND, "a token of a second text");

ps_model_batch ps_pass_model_batch(const ps_batch *batch)
{
    return (ps_model_batch){.rows = (int64_t)batch->rows,
                            .features = batch->features,
                            .tokens = batch->tokens,
                            .starts = batch->starts,
                            .length = (int64_t)batch->length,
                            .labels = batch->next ? batch->next : batch->classes,
                            .targets = batch->targets};
}

double ps_pass_weight(const ps_batch *batch, const ps_model_result *result)
{
    return batch->tokens && batch->next ? (double)result->labels / (double)batch->length
                                        : (double)result->rows;
}

void ps_pass_add_metrics(const ps_model_result *result, double weight, ps_metric_list *sums)
{
    if (result->correct >= 0 && result->labels)
        ps_metric_list_add(sums, "accuracy",
                           (double)result->correct / (double)result->labels * weight);
    for (const ps_model_measure *m = result->measures; m->name; m++)
        ps_metric_list_add(sums, m->name, m->value * weight);
    if (result->divergence >= 0)
        ps_metric_list_add(sums, "divergence", result->divergence * weight);
}

ps_status ps_pass_check_rows(const Psd__V1__Task *task, const ps_dataset *data)
{
    if (task->row_begin <= task->row_end && task->row_end <= ps_dataset_rows(data))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "rows %" PRIu64 " to %" PRIu64 " of data that has %zu here; is it the same file "
                   "on every worker?",
                   task->row_begin, task->row_end, ps_dataset_rows(data));
}

/* psd does not know how many rows a file of evaluate or predict has. */
static ps_status choose_rows(ps_pass *pass)
{
    const Psd__V1__Task *task = pass->run->task;
    uint64_t rows = ps_dataset_rows(pass->data);
    if (!ps_job_entry_stored(pass->entry))
        return ps_pass_check_rows(task, pass->data);
    if (task->row_begin > 0 && task->row_begin >= rows)
        return ps_fail(PS_OUT_OF_RANGE,
                       "rows begin with %" PRIu64 ", but there are %" PRIu64 " rows",
                       task->row_begin, rows);
    pass->end = task->row_end && task->row_end < rows ? task->row_end : rows;
    return PS_OK;
}

ps_status ps_pass_open(ps_task_run *run, ps_pass *out)
{
    ps_pass pass = {.run = run, .begin = run->task->row_begin, .end = run->task->row_end};
    ps_status st = ps_job_cache_get(run, &pass.entry);
    if (!st)
        st = ps_job_entry_check(pass.entry, run);
    if (!st)
        st = ps_job_entry_data(pass.entry, run, PS_JOB_TEST_DATA, &pass.data);
    if (!st)
        st = choose_rows(&pass);
    if (!st)
        st = ps_job_entry_model(pass.entry, run, &pass.model);
    if (!st)
        st = ps_job_entry_teaching(pass.entry, run, &pass.teaching);
    if (!st && !ps_job_entry_stored(pass.entry)) {
        ps_exchange *exchange;
        uint64_t version;
        st = ps_job_entry_exchange(pass.entry, run, &exchange);
        if (!st) {
            st = ps_exchange_pull(exchange, &version);
            if (st)
                ps_exchange_stop(exchange);
        }
    }
    if (!st)
        *out = pass;
    return st;
}

static void report(const ps_pass *pass, const ps_batch *batch)
{
    PS_REQUIRE(batch->first >= pass->begin && batch->first + batch->rows <= pass->end);
    Psd__V1__TaskProgress numbers = PSD__V1__TASK_PROGRESS__INIT;
    numbers.samples = batch->rows;
    numbers.rows_total = pass->end - pass->begin;
    ps_task_report(pass->run, batch->first + batch->rows, &numbers);
}

ps_status ps_pass_run(const ps_pass *pass, ps_pass_batch each, void *user)
{
    PS_REQUIRE(pass->begin <= pass->end && pass->model);
    if (pass->begin == pass->end)
        return PS_OK;
    ps_prefetch *prefetch;
    ps_prefetch_options options = {.dataset = pass->data,
                                   .begin = pass->begin,
                                   .end = pass->end,
                                   .batch_size = ps_job_entry_batch(pass->entry),
                                   .max_bytes = pass->run->env->conf->memory_bytes};
    ps_status st = ps_prefetch_start(&options, &prefetch);
    if (st)
        return st;
    const ps_batch *batch;
    while (!(st = ps_prefetch_next(prefetch, &batch))) {
        st = ps_gate_check(pass->run->remote->gate);
        if (!st && ps_task_stopping(pass->run))
            st = ps_fail(PS_CANCELLED, "the worker is stopping");
        if (!st)
            st = each(user, pass, batch);
        if (!st)
            report(pass, batch);
        ps_prefetch_give_back(prefetch, batch);
        if (st)
            break;
    }
    ps_prefetch_free(&prefetch);
    return st == PS_END ? PS_OK : st;
}
