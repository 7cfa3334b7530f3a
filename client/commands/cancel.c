/* cancel: a job is ended before its time. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/job_view.h"

#include <inttypes.h>

typedef struct options {
    const char *reason;
} options;

static const ps_flag flags[] = {
    {.name = "reason",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, reason),
     .value = "TEXT",
     .help = "kept with the job, for those who wonder"},
    {.name = NULL},
};

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    Psd__V1__CancelJobRequest request = PSD__V1__CANCEL_JOB_REQUEST__INIT;
    ps_status st = ps_job_of(client, args->operands.at[0], &request.job_id);
    if (st)
        return st;
    if (o->reason)
        request.reason = ps_borrow(o->reason);
    ProtobufCMessage *reply = NULL;
    st = ps_client_unary(client, "/psd.v1.Jobs/Cancel", &request.base, &psd__v1__job__descriptor,
                         &reply);
    if (st)
        return st;
    const Psd__V1__Job *job = (const Psd__V1__Job *)(void *)reply;
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_job_json(&w, job);
        ps_json_finish(client);
    } else {
        ps_buf_printf(&client->out, "job %" PRIu64 " is ", job->id);
        ps_put_text(&client->out, &client->style, ps_job_state_color((int)job->state),
                    ps_job_state_name((int)job->state));
        ps_buf_putc(&client->out, '\n');
    }
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_cancel = {
    .name = "cancel",
    .operands = "JOB",
    .help = "end a job; what it has learnt is dropped",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
