/* Happy path: the training's job file says where its rows are, and the model of its name is still
 * the one that it made; a job of kind explain is followed to its end, and leaves the scores. */
#include "client/follow/influence_query.h"

#include "client/call/artifact.h"
#include "client/call/support.h"
#include "client/follow/run_job.h"
#include "common/base/mem.h"
#include "common/conf/job_spec.h"
#include "common/explain/stages.h"
#include "common/format/safetensors.h"
#include "psd/v1/models.pb-c.h"

#include <inttypes.h>
#include <string.h>

static ps_status check_model(ps_client *client, uint64_t job_id, const char *name)
{
    Psd__V1__Model *model = NULL;
    ps_status st = ps_get_model(client, name, NULL, &model);
    if (st)
        return st;
    uint64_t its = model->job_id;
    ps_reply_free(&model);
    return its == job_id
               ? PS_OK
               : ps_fail(PS_FAILED_PRECONDITION,
                         "job %" PRIu64 ": the model %s is no longer the one that it made, "
                         "so its record says nothing of it",
                         job_id, name);
}

static ps_status learn_job(ps_client *client, uint64_t job_id, ps_job_spec **out)
{
    Psd__V1__GetJobRequest get = PSD__V1__GET_JOB_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    get.job_id = job_id;
    ps_status st =
        ps_client_unary(client, "/psd.v1.Jobs/Get", &get.base, &psd__v1__job__descriptor, &reply);
    if (st)
        return st;
    const char *spec = ((const Psd__V1__Job *)(void *)reply)->spec;
    if (ps_job_spec_parse(ps_slice_str(spec), "training job", out) != PS_OK)
        st = ps_fail(PS_FAILED_PRECONDITION, "job %" PRIu64 ": its job file is of another version",
                     job_id);
    ps_reply_free(&reply);
    return st ? st : check_model(client, job_id, (*out)->name);
}

static ps_status make_spec(ps_client *client, uint64_t job_id, const ps_job_spec *trained,
                           uint64_t row, bool train, ps_buf *out)
{
    const ps_run_job_options as_trained = {NULL};
    const ps_spec_files *files = train ? trained->data.train : trained->data.test;
    if (!files)
        return ps_fail(PS_FAILED_PRECONDITION, "job %" PRIu64 " has no data.%s to take a row from",
                       job_id, train ? "train" : "test");
    bool apart = files->labels && *files->labels;
    ps_status st = ps_run_job_spec(client, &as_trained, "explain", trained->name, files->features,
                                   apart ? files->labels : NULL, out, NULL);
    ps_buf_printf(out,
                  "explain:\n  rows: {first: %" PRIu64
                  ", count: 1}\n  influence: [{method: recorded, "
                  "job: %" PRIu64 "}]\n",
                  row, job_id);
    return st;
}

static ps_status take_scores(ps_slice file, float **scores, size_t *n)
{
    ps_safetensors *header = NULL;
    ps_status st = ps_safetensors_parse(file, file.len, &header);
    if (st)
        return st;
    const ps_safetensors_tensor *t = ps_safetensors_find(header, "influence/0/scores");
    if (!t || t->dtype != PS_SAFETENSORS_F32 || t->n_dims != 2 || t->shape[0] != 1) {
        st = ps_fail(PS_OUT_OF_RANGE,
                     "the row is not there, or the model has no finite answer to it");
    } else {
        *n = (size_t)t->shape[1];
        *scores = ps_alloc_array(*n + 1, sizeof **scores);
        memcpy(*scores, file.data + header->data_start + t->begin, (size_t)(t->end - t->begin));
    }
    ps_safetensors_free(&header);
    return st;
}

ps_status ps_influence_query(ps_client *client, uint64_t job_id, uint64_t row, bool train,
                             float **scores, size_t *n)
{
    ps_job_spec *trained = NULL;
    Psd__V1__Job *job = NULL;
    ps_artifact arrays = {0};
    ps_buf spec = PS_BUF_EMPTY;
    ps_status st = learn_job(client, job_id, &trained);
    if (!st)
        st = make_spec(client, job_id, trained, row, train, &spec);
    if (!st)
        st = ps_run_job(client, ps_buf_cstr(&spec), &job);
    if (!st)
        st = ps_artifact_fetch(client, job->id, PS_EXPLAIN_ARRAYS, &arrays);
    if (!st)
        st = take_scores(arrays.bytes, scores, n);
    ps_artifact_free(&arrays);
    ps_buf_free(&spec);
    if (job)
        ps_reply_free(&job);
    if (trained)
        ps_job_spec_free(&trained);
    return st;
}
