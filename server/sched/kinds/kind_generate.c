/* generate: what a stored language model writes after a prompt. The task sends tokens while it
 * runs; when its worker is lost the next one goes on behind those that came, so nothing that
 * somebody has read is taken back.
 *
 * Fails besides: the model generates no tokens, or not after this prompt (at submission). */
#include "common/arch/arch.h"
#include "server/sched/job.h"
#include "server/sched/kinds/kinds.h"
#include "server/sched/kinds/model_job.h"
#include "server/sched/kinds/result.h"
#include "server/sched/send.h"

#include <inttypes.h>

static ps_status check_prompt(const ps_spec_generate *how, const ps_spec_model *model)
{
    if (!ps_spec_model_is_language(model))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "architecture %s generates no tokens; language models do: %s",
                       model->architecture, ps_arch_list_language().text);
    if (how->n_prompt > (size_t)model->context_length)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "the prompt has %zu tokens, the model's context is %" PRId64
                       "; shorten the prompt",
                       how->n_prompt, model->context_length);
    for (size_t i = 0; i < how->n_prompt; i++)
        if (how->prompt[i] >= model->vocab_size)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "generate.prompt[%zu]: token %" PRId64 ", the vocabulary has %" PRId64
                           "; is it this model's tokenizer?",
                           i, how->prompt[i], model->vocab_size);
    return PS_OK;
}

static ps_status check(const ps_job_spec *spec, const ps_spec_model *model)
{
    ps_status st = check_prompt(spec->generate, model);
    return st ? ps_wrap(st, "model %s", spec->model_name) : PS_OK;
}

static void start(ps_job *job)
{
    ps_model_job_start(job);
    job->record->progress.samples_total = (uint64_t)job->spec->generate->max_tokens;
}

/* What workers before this one said. */
static void fill(const ps_lease *lease, ps_parcel *parcel)
{
    const ps_output *output = &lease->job->output;
    if (output->n == 0)
        return;
    parcel->said = ps_output_copy(output, 0, output->n);
    parcel->task.said = parcel->said->tokens;
    parcel->task.n_said = parcel->said->n_tokens;
}

static void output(ps_job *job, ps_lease *lease, const ps_tokens *more)
{
    ps_model_job *w = job->work;
    size_t n = ps_output_add(&job->output, more, (size_t)job->spec->generate->max_tokens);
    w->samples = job->output.n;
    lease->piece.losses = 0;
    ps_meter_rows(&job->meter, ps_core_now(job->sched), n);
    if (n)
        ps_job_wake(job);
}

static void done(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    uint64_t tokens = 0;
    if (!ps_task_result_count(result, "tokens", &tokens) || tokens != job->output.n) {
        ps_job_fail(job, "worker %s: a generate task whose tokens have not all come",
                    lease->worker->name);
        return;
    }
    job->record->progress.samples_total = job->output.n;
    ps_buf json = PS_BUF_EMPTY;
    ps_result_generated(result, &job->output, job->spec->generate->n_prompt,
                        ps_model_job_seconds(job), &json);
    ps_job_move(job, PS_JOB_DONE, "", ps_buf_cstr(&json));
    ps_buf_free(&json);
}

static const ps_task_kind task = {.name = "generate",
                                  .phrase = "a generate task",
                                  PS_MODEL_TASK,
                                  .fill = fill,
                                  .output = output,
                                  .done = done};

const ps_job_kind ps_job_kind_generate = {.name = "generate",
                                          .task = &task,
                                          PS_MODEL_JOB,
                                          .keeps_model = true,
                                          .check = check,
                                          .start = start};
