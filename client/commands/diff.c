/* diff: what changed between two stored models, tensor by tensor: a job of kind explain with the
 * method that looks at both. */
#include "client/call/explanation.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/follow/run_job.h"

static ps_status make_spec(const ps_texts *names, ps_buf *spec)
{
    const char *model = names->at[0], *other = names->at[1];
    ps_status st = ps_check_model_name(model);
    if (!st)
        st = ps_check_model_name(other);
    if (st)
        return st;
    ps_buf_printf(
        spec,
        "kind: explain\nname: diff-%.50s\nmodel_name: %s\nexplain: {compare_to: %s, inside: "
        "[weight_change]}\n",
        model, model, other);
    return PS_OK;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    ps_buf spec = PS_BUF_EMPTY;
    Psd__V1__Job *job = NULL;
    ps_status st = make_spec(&args->operands, &spec);
    if (!st)
        st = ps_run_job(client, ps_buf_cstr(&spec), &job);
    ps_buf_free(&spec);
    if (!st)
        st = ps_explanation_show(client, job->id, 0);
    if (job)
        ps_reply_free(&job);
    return st;
}

const ps_command ps_command_diff = {
    .name = "diff",
    .operands = "MODEL OTHER",
    .help = "what changed between two stored models, tensor by tensor",
    .details = "By how much each tensor of OTHER is not that of MODEL, as numbers, whatever form\n"
               "they are stored in.\n",
    .least = 2,
    .most = 2,
    .run = run,
};
