/* evaluate: loss and metrics of a stored model on given data, computed by the workers. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/run_job.h"
#include "client/show/human.h"
#include "client/show/metrics.h"

#include <inttypes.h>

typedef struct options {
    ps_run_job_options how;
} options;

static const ps_flag flags[] = {PS_INFER_FLAGS, {.name = NULL}};

/* What the job found stands in its progress. */
static void put_json(ps_client *client, const char *model, const Psd__V1__Job *job,
                     ps_metrics metrics)
{
    const Psd__V1__Progress *p = job->progress;
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_string(&w, "model", model);
    ps_json_put_uint(&w, "job_id", job->id);
    ps_json_put_uint(&w, "samples", p->samples);
    ps_json_put_double(&w, "loss", p->test_loss);
    ps_metrics_json(&w, "", metrics);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

static void put_table(ps_client *client, const char *model, const Psd__V1__Progress *p,
                      ps_metrics metrics)
{
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "model", "%s", model);
    ps_table_field(t, "samples", "%" PRIu64, p->samples);
    ps_table_field(t, "loss", "%s", ps_human_value(p->test_loss).text);
    ps_metrics_fields(t, "", metrics);
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
}

static ps_status found(ps_client *client, const char *model, const Psd__V1__Job *job)
{
    const Psd__V1__Progress *p = job->progress;
    if (!p || !p->has_test)
        return ps_fail(PS_INTERNAL, "job %" PRIu64 " is done, and psd does not say what it found",
                       job->id);
    ps_metrics metrics = {.list = p->test_metrics, .n = p->n_test_metrics};
    if (client->json)
        put_json(client, model, job, metrics);
    else
        put_table(client, model, p, metrics);
    return PS_OK;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    const ps_texts *given = &args->operands;
    ps_buf spec = PS_BUF_EMPTY;
    Psd__V1__Job *job = NULL;
    ps_status st = ps_run_job_spec(client, &o->how, "evaluate", given->at[0], given->at[1],
                                   given->n > 2 ? given->at[2] : NULL, &spec, NULL);
    if (!st)
        st = ps_run_job(client, ps_buf_cstr(&spec), &job);
    ps_buf_free(&spec);
    if (st)
        return st;
    st = found(client, given->at[0], job);
    ps_reply_free(&job);
    return st;
}

const ps_command ps_command_evaluate = {
    .name = "evaluate",
    .operands = "NAME FEATURES|TOKENS [LABELS]",
    .help = "loss and metrics of a stored model on data",
    .details = "The files are read by the workers, under the same paths; relative ones are below\n"
               "the current folder. csv has its labels in a column and needs no second file;\n"
               "a language model reads a file of psctl tokenize, and its perplexity is shown.\n"
               "Values are normalised as the job that trained the model did.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 2,
    .most = 3,
    .run = run,
};
