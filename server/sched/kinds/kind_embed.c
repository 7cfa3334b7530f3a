/* embed: what stands for each of some texts, by a stored model. The task leaves embeddings.npy.
 *
 * Fails besides: the model embeds no texts, or not these (at submission). */
#include "server/sched/kinds/kinds.h"
#include "server/sched/kinds/model_job.h"

static ps_status check(const ps_job_spec *spec, const ps_spec_model *model)
{
    ps_status st = ps_spec_embed_match(spec->embed, model);
    return st ? ps_wrap(st, "model %s", spec->model_name) : PS_OK;
}

static void start(ps_job *job)
{
    ps_model_job_start(job);
    job->record->progress.samples_total = (uint64_t)job->spec->embed->n_texts;
}

static const ps_task_kind task = {
    .name = "embed", .phrase = "an embed task", PS_MODEL_TASK, .done = ps_model_task_done};

const ps_job_kind ps_job_kind_embed = {
    .name = "embed", .task = &task, PS_MODEL_JOB, .check = check, .start = start};
