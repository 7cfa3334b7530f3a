/* Happy path: from the model to its job, and where that trained nothing, to the model that it
 * worked on. Whatever is gone ends the search; it fails when psd cannot be asked. */
#include "client/call/model_cuts.h"

#include "client/call/support.h"
#include "psd/v1/jobs.pb-c.h"

#include <string.h>

enum { GENERATIONS = 16 };

static const ps_graph_cuts whole = {.column_blocks = 1};

static bool is_gone(ps_status st)
{
    return st == PS_NOT_FOUND || st == PS_PERMISSION_DENIED;
}

/* *trained: the job did, and out has how. */
static ps_status ask_job(ps_client *client, uint64_t id, const char *config, ps_graph_cuts *out,
                         bool *trained)
{
    Psd__V1__GetJobRequest request = PSD__V1__GET_JOB_REQUEST__INIT;
    request.job_id = id;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Jobs/Get", &request.base,
                                   &psd__v1__job__descriptor, &reply);
    if (st)
        return st;
    ps_job_spec *spec = NULL;
    st = ps_job_spec_parse_from(ps_slice_str(((const Psd__V1__Job *)(void *)reply)->spec),
                                "its job file", config, &spec);
    ps_reply_free(&reply);
    if (st) /* of a psd that knows more */
        return PS_NOT_FOUND;
    *trained = spec->train != NULL;
    if (*trained)
        *out = (ps_graph_cuts){.column_blocks = (uint32_t)spec->column_blocks,
                               .turned = ps_spec_train_form(spec->train).row != NULL};
    ps_job_spec_free(&spec);
    return PS_OK;
}

ps_status ps_model_cuts(ps_client *client, const Psd__V1__Model *model, ps_graph_cuts *out)
{
    const Psd__V1__Model *at = model;
    Psd__V1__Model *held = NULL;
    ps_status st = PS_OK;
    bool trained = false;
    *out = whole;
    for (int i = 0; !st && i < GENERATIONS && at->job_id; i++) {
        st = ask_job(client, at->job_id, model->config, out, &trained);
        if (st || trained || !*at->parent)
            break;
        Psd__V1__Model *parent = NULL;
        st = ps_get_model(client, at->parent, at->parent_version, &parent);
        ps_reply_free(&held);
        at = held = parent;
    }
    ps_reply_free(&held);
    return is_gone(st) ? PS_OK : st;
}
