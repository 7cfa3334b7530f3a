/* job: one job with all that is known of it. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/job_view.h"
#include "common/base/clock.h"

typedef struct options {
    bool spec;
} options;

static const ps_flag flags[] = {
    {.name = "spec",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, spec),
     .help = "print the job file as it was submitted, and nothing else"},
    {.name = NULL},
};
static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    Psd__V1__GetJobRequest request = PSD__V1__GET_JOB_REQUEST__INIT;
    ps_status st = ps_job_of(client, args->operands.at[0], &request.job_id);
    if (st)
        return st;
    ProtobufCMessage *reply = NULL;
    st = ps_client_unary(client, "/psd.v1.Jobs/Get", &request.base, &psd__v1__job__descriptor,
                         &reply);
    if (st)
        return st;
    const Psd__V1__Job *job = (const Psd__V1__Job *)(void *)reply;
    if (o->spec) {
        ps_buf_puts(&client->out, job->spec);
    } else if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_job_json(&w, job);
        ps_json_finish(client);
    } else {
        ps_table *t = ps_table_new(NULL);
        ps_job_fields(t, job, ps_clock_wall_ms(&ps_clock_system));
        ps_table_render(t, &client->style, &client->out);
        ps_table_free(&t);
    }
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_job = {
    .name = "job",
    .operands = "JOB",
    .help = "show one job",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
