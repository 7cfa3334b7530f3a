/* diff: what changed between two stored models, tensor by tensor, and with data what that did to
 * the loss, to what layers make of the rows, and to why they are answered so: a job of kind explain
 * with the methods that look at both. */
#include "client/call/explanation.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/run_job.h"

typedef struct options {
    ps_run_job_options how;
    const char *sample, *seed, *method;
} options;

static const ps_flag flags[] = {
    PS_INFER_FLAGS,
    {.name = "sample",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, sample),
     .value = "N",
     .help = "so many rows of the file, drawn by the seed (default: 64)"},
    {.name = "seed",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, seed),
     .value = "S",
     .help = "of the sample (default: 1)"},
    {.name = "method",
     .letter = 'm',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, method),
     .value = "METHOD",
     .help = "whose attributions are compared (default: gradient_x_input)"},
    {.name = NULL}};

/* *classes: its answers are classes, or tokens; false without rows. */
static ps_status put_head(ps_client *client, const ps_texts *names, const options *o, ps_buf *spec,
                          bool *classes)
{
    ps_spec_model *section = NULL;
    const char *model = names->at[0];
    *classes = false;
    if (names->n > 2) {
        ps_status st = ps_run_job_spec(client, &o->how, "explain", model, names->at[2],
                                       names->n > 3 ? names->at[3] : NULL, spec, &section);
        *classes = !st && section && section->loss == PS_SPEC_CROSS_ENTROPY;
        if (!st && section)
            ps_spec_model_free(&section);
        return st;
    }
    if (o->sample || o->seed || o->method)
        return ps_client_usage(client,
                               "--sample, --seed and --method are of rows; give a file, too");
    ps_buf_printf(spec, "kind: explain\nname: diff-%.50s\nmodel_name: %s\n", model, model);
    return PS_OK;
}

static ps_status make_spec(ps_client *client, const ps_texts *names, const options *o, ps_buf *spec)
{
    bool classes = false, rows = names->n > 2;
    ps_status st = ps_check_model_name(names->at[0]);
    if (!st)
        st = ps_check_model_name(names->at[1]);
    if (!st)
        st = put_head(client, names, o, spec, &classes);
    if (st)
        return st;
    ps_buf_printf(spec, "explain:\n  compare_to: %s\n", names->at[1]);
    if (o->sample)
        ps_buf_printf(spec, "  rows: {sample: %s}\n", o->sample);
    if (o->seed)
        ps_buf_printf(spec, "  seed: %s\n", o->seed);
    if (classes)
        ps_buf_puts(spec, "  behaviour: [answer_change]\n");
    if (rows)
        ps_buf_printf(spec, "  attributions: [%s]\n  quality: [attribution_change]\n",
                      o->method ? o->method : "gradient_x_input");
    ps_buf_printf(spec, "  inside: [weight_change%s]\n",
                  rows ? ", loss_path, representation_change" : "");
    return PS_OK;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    ps_buf spec = PS_BUF_EMPTY;
    Psd__V1__Job *job = NULL;
    ps_status st = make_spec(client, &args->operands, args->options, &spec);
    if (!st)
        st = ps_run_job(client, ps_buf_cstr(&spec), &job);
    ps_buf_free(&spec);
    if (!st)
        st = ps_explanation_show(client, job->id, NULL, 0);
    if (job)
        ps_reply_free(&job);
    return st;
}

const ps_command ps_command_diff = {
    .name = "diff",
    .operands = "MODEL OTHER [FEATURES [LABELS]]",
    .help = "what changed between two stored models, tensor by tensor",
    .details =
        "By how much each tensor of OTHER is not that of MODEL, as numbers, whatever form\n"
        "they are stored in. With labelled rows also through which tensors the loss became\n"
        "another one: parts that add up to the difference; how alike the layers of both see\n"
        "the rows, and how far what explains their answers has changed. Files are read as\n"
        "psctl evaluate reads them, on the workers.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 2,
    .most = 4,
    .run = run,
};
