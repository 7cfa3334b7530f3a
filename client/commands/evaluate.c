/* evaluate: loss and accuracy of a stored model on given data, computed by the workers. */
#include "client/client.h"
#include "client/commands/commands.h"
#include "client/infer.h"
#include "client/support.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct options {
    ps_infer_options how;
} options;

static const ps_flag flags[] = {PS_INFER_FLAGS, {.name = NULL}};

typedef struct finding {
    double loss, accuracy;
    uint64_t samples;
} finding;

/* A number of the job's result, a flat JSON object; NaN when it is not there. */
static double number(const char *json, const char *key)
{
    ps_json_reader reader;
    ps_json_reader_init(&reader, ps_slice_str(json));
    ps_json_token token;
    double found = NAN;
    bool wanted = false;
    while (ps_json_next(&reader, &token) == PS_OK && token.kind != PS_JSON_END) {
        if (wanted && token.kind == PS_JSON_NUMBER)
            found = token.number;
        wanted = token.kind == PS_JSON_KEY && !strcmp((const char *)token.text.data, key);
    }
    ps_json_reader_free(&reader);
    return found;
}

static finding finding_of(const Psd__V1__Job *job)
{
    finding f = {.loss = number(job->result, "loss"), .accuracy = number(job->result, "accuracy")};
    double samples = number(job->result, "samples");
    f.samples = samples > 0 ? (uint64_t)samples : 0;
    const Psd__V1__Progress *p = job->progress;
    if (isnan(f.loss) && p && p->has_test)
        f.loss = p->test_loss;
    if (isnan(f.accuracy) && p && p->has_test)
        f.accuracy = p->test_accuracy;
    if (!f.samples && p)
        f.samples = p->samples;
    return f;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    const ps_texts *given = &args->operands;
    ps_buf spec = PS_BUF_EMPTY;
    Psd__V1__Job *job = NULL;
    ps_status st = ps_infer_spec(client, &o->how, "evaluate", given->at[0], given->at[1],
                                 given->n > 2 ? given->at[2] : NULL, &spec);
    if (!st)
        st = ps_infer_run(client, ps_buf_cstr(&spec), &job);
    ps_buf_free(&spec);
    if (st)
        return st;
    finding f = finding_of(job);
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_string(&w, "model", given->at[0]);
        ps_json_put_uint(&w, "job_id", job->id);
        ps_json_put_uint(&w, "samples", f.samples);
        ps_json_put_double(&w, "loss", f.loss);
        ps_json_put_double(&w, "accuracy", f.accuracy);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        ps_table *t = ps_table_new(NULL);
        ps_table_field(t, "model", "%s", given->at[0]);
        ps_table_field(t, "samples", "%" PRIu64, f.samples);
        if (!isnan(f.loss))
            ps_table_field(t, "loss", "%.4f", f.loss);
        if (!isnan(f.accuracy))
            ps_table_field(t, "accuracy", "%.4f", f.accuracy);
        ps_table_render(t, &client->style, &client->out);
        ps_table_free(&t);
    }
    ps_reply_free(&job);
    return PS_OK;
}

const ps_command ps_command_evaluate = {
    .name = "evaluate",
    .operands = "NAME FEATURES [LABELS]",
    .help = "loss and accuracy of a stored model on data",
    .details = "The files are read by the workers, under the same paths; relative ones are below\n"
               "the current folder. csv has its labels in a column and needs no second file.\n"
               "Values are normalised as the job that trained the model did.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 2,
    .most = 3,
    .run = run,
};
