/* predict: what a stored model says of rows: a predict job leaves predictions.jsonl, which is
 * fetched and shown. */
#include "client/call/client.h"
#include "client/call/prediction_fetch.h"
#include "client/commands/commands.h"
#include "client/follow/run_job.h"
#include "client/show/prediction.h"

#include <inttypes.h>

typedef struct options {
    ps_run_job_options how;
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
    st = ps_run_job_spec(client, &o->how, "predict", given->at[0], given->at[1], NULL, &spec,
                         &model);
    if (!st && o->rows) /* only these are computed, and kept */
        ps_buf_printf(&spec, "rows: {begin: %" PRIu64 ", end: %" PRIu64 "}\n", begin,
                      end == UINT64_MAX ? 0 : end);
    if (!st)
        st = ps_run_job(client, ps_buf_cstr(&spec), &job);
    ps_buf_free(&spec);
    if (!st) {
        st = ps_predictions_fetch(client, job->id, model, begin, end);
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
