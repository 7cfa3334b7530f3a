/* A job's data, opened when they are first asked for: files as its model takes them, or what a
 * stored model makes of rows of files, which is on the device for as long as that takes. */
#include "common/base/log.h"
#include "common/base/require.h"
#include "worker/job/job_entry.h"
#include "worker/job/stored_tokenizer.h"

#include <inttypes.h>
#include <string.h>

/* Of a kind that can do without, labels are read where the job names them. */
static bool unlabelled(const ps_job_spec *spec, ps_job_data which)
{
    const ps_kind_row *kind = ps_job_spec_kind(spec);
    const ps_spec_files *files = which == PS_JOB_TRAIN_DATA ? spec->data.train : spec->data.test;
    bool apart = files && !strcmp(ps_spec_data_files_format(&spec->data), "idx");
    return kind->unlabelled || (kind->labels_too && apart && !*files->labels);
}

/* Of the model that the job works on, or begins from: that one may be gone while it is trained. */
static ps_status find_tokenizer(ps_job_entry *e, const ps_task_run *run)
{
    const ps_stored_model origin = {.name = e->spec->initialize_from,
                                    .version = run->task->model_version,
                                    .job_id = run->task->job_id};
    if (e->has_tokenizer || (!e->stored && !*origin.name) ||
        !ps_spec_model_reads_tokens(ps_job_entry_model_spec(e)))
        return PS_OK;
    const ps_stored_model which = e->stored ? ps_job_entry_stored_model(e) : origin;
    ps_status st = ps_stored_tokenizer(run->remote, &which, &e->tokenizer);
    if (st == PS_NOT_FOUND && !e->stored)
        st = PS_OK;
    e->has_tokenizer = !st;
    return st;
}

/* What the data are made with is there until ps_job_entry_request_end. */
ps_status ps_job_entry_request(ps_job_entry *e, ps_task_run *run, ps_job_data which,
                               ps_dataset_source *source, ps_job_data_request *out)
{
    ps_status st = find_tokenizer(e, run);
    *out = (ps_job_data_request){.spec = e->spec,
                                 .model = ps_job_entry_model_spec(e),
                                 .train = which == PS_JOB_TRAIN_DATA,
                                 .unlabelled = unlabelled(e->spec, which),
                                 .tokenizer = e->tokenizer,
                                 .conf = run->env->conf};
    if (st || !e->frozen)
        return st;
    out->source = source;
    out->origin = ps_frozen_model(e->frozen);
    return ps_frozen_source(e->frozen, run, source, &out->tokenizer);
}

void ps_job_entry_request_end(ps_job_entry *e)
{
    if (e->frozen)
        ps_frozen_drop(e->frozen);
}

static ps_status open_data(ps_job_entry *e, ps_task_run *run, ps_job_data which, ps_dataset **out)
{
    ps_job_data_request request;
    ps_dataset_source source;
    ps_status st = ps_job_entry_request(e, run, which, &source, &request);
    if (!st)
        st = ps_job_data_open(&request, out);
    ps_job_entry_request_end(e);
    return st;
}

ps_status ps_job_entry_data(ps_job_entry *e, ps_task_run *run, ps_job_data which, ps_dataset **out)
{
    PS_REQUIRE(which < PS_JOB_DATA_COUNT);
    if (!e->data[which]) {
        ps_status st = open_data(e, run, which, &e->data[which]);
        if (st)
            return st;
        ps_log_info("task", "data open job=%" PRIu64 " rows=%zu features=%zu", e->job_id,
                    ps_dataset_rows(e->data[which]), ps_dataset_features(e->data[which]));
    }
    *out = e->data[which];
    return PS_OK;
}
