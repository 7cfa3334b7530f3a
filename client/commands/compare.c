/* compare: how far a stored model is from another one, on data that workers give both. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/run_job.h"
#include "client/show/compare_view.h"

#include <inttypes.h>

typedef struct options {
    ps_run_job_options how;
    const char *data, *labels;
} options;

static const ps_flag flags[] = {
    PS_INFER_FLAGS,
    {.name = "data",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, data),
     .value = "FILE",
     .help = "features or tokens, as the workers have it (required)"},
    {.name = "labels",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, labels),
     .value = "FILE",
     .help = "labels, for formats that have them in a file of their own"},
    {.name = NULL}};

static ps_status show(ps_client *client, Psd__V1__Model *const models[2], const Psd__V1__Job *job)
{
    const Psd__V1__Model *const both[2] = {models[0], models[1]};
    if (!client->json) {
        ps_status st = ps_compare_text(&client->out, &client->style, both, job->result);
        return st ? ps_wrap(st, "the result of job %" PRIu64, job->id) : PS_OK;
    }
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_uint(&w, "job_id", job->id);
    ps_json_put_uint(&w, "bytes", both[0]->bytes);
    ps_json_put_uint(&w, "other_bytes", both[1]->bytes);
    ps_json_key(&w, "result");
    ps_json_embed(&w, job->result);
    ps_json_object_end(&w);
    ps_json_finish(client);
    return PS_OK;
}

static ps_status compare(ps_client *client, const ps_texts *names, const options *o,
                         Psd__V1__Model *const models[2])
{
    ps_buf spec = PS_BUF_EMPTY;
    Psd__V1__Job *job = NULL;
    ps_status st =
        ps_run_job_spec(client, &o->how, "compare", names->at[0], o->data, o->labels, &spec, NULL);
    if (!st) {
        ps_buf_printf(&spec, "compare: {model: %s}\n", names->at[1]);
        st = ps_run_job(client, ps_buf_cstr(&spec), &job);
    }
    ps_buf_free(&spec);
    if (!st)
        st = show(client, models, job);
    if (job)
        ps_reply_free(&job);
    return st;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    Psd__V1__Model *models[2] = {NULL, NULL};
    if (!o->data)
        return ps_client_usage(client, "--data is missing: a file to compare them on");
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < 2; i++) {
        st = ps_check_model_name(args->operands.at[i]);
        if (!st)
            st = ps_get_model(client, args->operands.at[i], NULL, &models[i]);
    }
    if (!st)
        st = compare(client, &args->operands, o, models);
    for (size_t i = 0; i < 2; i++)
        if (models[i])
            ps_reply_free(&models[i]);
    return st;
}

const ps_command ps_command_compare = {
    .name = "compare",
    .operands = "MODEL OTHER",
    .help = "how far a stored model is from another one, on data",
    .details = "A worker gives both models the same rows, and says the loss of each, how far the\n"
               "answers of OTHER are from those of MODEL (the mean of KL(MODEL || OTHER)), how\n"
               "often both find the same likeliest, and how fast each is. Errors are standard\n"
               "errors over batches. Files are read as psctl evaluate reads them.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 2,
    .most = 2,
    .run = run,
};
