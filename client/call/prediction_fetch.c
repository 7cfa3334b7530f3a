#include "client/call/prediction_fetch.h"

#include "client/call/file_receive.h"
#include "client/call/support.h"
#include "client/show/prediction.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

typedef struct receiver {
    ps_client *client;
    ps_predictions predictions;
} receiver;

static ps_status take(void *user, ps_slice piece)
{
    receiver *r = user;
    ps_status st = ps_predictions_feed(&r->predictions, piece, &r->client->out);
    ps_status written = ps_output_flush(&r->client->out, STDOUT_FILENO);
    return written ? written : st; /* st may be that these were enough rows */
}

/* NULL: not any more. Nothing of it is told: what is printed is right without. */
static ps_spec_model *model_of(ps_client *client, const Psd__V1__Job *job)
{
    ps_job_spec *spec = NULL;
    ps_spec_model *model = NULL;
    Psd__V1__Model *record = NULL;
    if (ps_job_spec_parse(ps_slice_str(job->spec), "job", &spec))
        return NULL;
    ps_status st = ps_get_model(client, spec->model_name, job->model_version, &record);
    ps_job_spec_free(&spec);
    if (st)
        return NULL;
    if (ps_spec_model_parse(ps_slice_str(record->config), "model", &model))
        model = NULL;
    ps_reply_free(&record);
    return model;
}

ps_status ps_predictions_fetch_all(ps_client *client, uint64_t job_id)
{
    Psd__V1__GetJobRequest ask = PSD__V1__GET_JOB_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    ps_spec_model *model = NULL;
    ask.job_id = job_id;
    ps_status st =
        ps_client_unary(client, "/psd.v1.Jobs/Get", &ask.base, &psd__v1__job__descriptor, &reply);
    if (st)
        return st;
    model = model_of(client, (Psd__V1__Job *)(void *)reply);
    ps_reply_free(&reply);
    st = ps_predictions_fetch(client, job_id, model, 0, UINT64_MAX);
    if (model)
        ps_spec_model_free(&model);
    return st;
}

ps_status ps_predictions_fetch(ps_client *client, uint64_t job_id, const ps_spec_model *model,
                               uint64_t begin, uint64_t end)
{
    Psd__V1__GetArtifactRequest request = PSD__V1__GET_ARTIFACT_REQUEST__INIT;
    request.job_id = job_id;
    request.name = ps_borrow("predictions.jsonl");
    receiver r = {.client = client};
    ps_predictions_init(&r.predictions, begin, end, client->json, client->style);
    if (model) {
        r.predictions.names = model->classes;
        r.predictions.n_names = model->n_classes;
    }
    ps_status st =
        ps_receive_file(client, "/psd.v1.Models/GetArtifact", &request.base, take, &r, NULL);
    if (!st)
        st = ps_predictions_finish(&r.predictions, &client->out);
    if (!st && r.predictions.shown == 0 && begin > 0)
        st = ps_fail(PS_OUT_OF_RANGE,
                     "--rows begins with %" PRIu64 ", but there are %" PRIu64 " rows", begin,
                     r.predictions.line);
    if (st)
        ps_predictions_break(&r.predictions, ps_error_message(), &client->out);
    else
        st = ps_output_flush(&client->out, STDOUT_FILENO);
    if (!st && r.predictions.nulls)
        (void)fprintf(stderr,
                      "psctl: %" PRIu64 " of %" PRIu64 " rows have outputs that are not finite "
                      "(null): NaN, or too large\n",
                      r.predictions.nulls, r.predictions.shown);
    ps_predictions_free(&r.predictions);
    return st;
}
