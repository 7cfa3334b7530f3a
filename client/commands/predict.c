/* predict: what a stored model says of rows: a predict job leaves predictions.jsonl, which is
 * fetched and shown. */
#include "client/client.h"
#include "client/commands/commands.h"
#include "client/infer.h"
#include "client/prediction.h"
#include "client/support.h"
#include "psd/v1/models.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

typedef struct options {
    ps_infer_options how;
    const char *rows;
} options;

static const ps_flag flags[] = {
    {.name = "rows",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, rows),
     .value = "A:B",
     .help = "only rows A to B-1, counted from 0"},
    PS_INFER_FLAGS,
    {.name = NULL},
};

typedef struct receiver {
    ps_client *client;
    ps_predictions predictions;
} receiver;

static ps_status chunk(void *user, ps_slice bytes)
{
    receiver *r = user;
    ps_slice payload;
    uint64_t total;
    ps_status st = ps_read_file_chunk(bytes, &payload, &total);
    if (st)
        return st;
    st = ps_predictions_feed(&r->predictions, payload, &r->client->out);
    ps_status written = ps_output_flush(&r->client->out, STDOUT_FILENO);
    return st ? st : written;
}

/* model may be NULL: nothing is known of it. */
static ps_status fetch(ps_client *client, uint64_t job_id, const ps_spec_model *model,
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
    ps_status st = ps_client_stream(client, "/psd.v1.Models/GetArtifact", &request.base, chunk, &r);
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

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    const ps_texts *given = &args->operands;
    uint64_t begin = 0, end = UINT64_MAX;
    ps_status st = o->rows ? ps_predictions_rows(o->rows, &begin, &end) : PS_OK;
    if (st) {
        client->usage = true;
        return st;
    }
    ps_buf spec = PS_BUF_EMPTY;
    Psd__V1__Job *job = NULL;
    ps_spec_model *model = NULL;
    st = ps_infer_spec(client, &o->how, "predict", given->at[0], given->at[1], NULL, &spec, &model);
    if (!st)
        st = ps_infer_run(client, ps_buf_cstr(&spec), &job);
    ps_buf_free(&spec);
    if (!st) {
        st = fetch(client, job->id, model, begin, end);
        ps_reply_free(&job);
    }
    if (model)
        ps_spec_model_free(&model);
    return st;
}

const ps_command ps_command_predict = {
    .name = "predict",
    .operands = "NAME FEATURES",
    .help = "class and probabilities for the rows of a file",
    .details = "The file is read by the workers, under the same path; a relative one is below the\n"
               "current folder. Values are normalised as the job that trained the model did.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 2,
    .most = 2,
    .run = run,
};
