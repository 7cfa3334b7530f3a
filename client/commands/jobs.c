/* jobs: the list, newest first. */
#include "client/call/client.h"
#include "client/call/list.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/job_view.h"
#include "common/base/clock.h"

#include <string.h>

typedef struct options {
    const char *state;
    uint64_t limit;
} options;

/* In the order of JobState, from QUEUED on. */
static const char *const states[] = {"queued", "running",   "cancelling", "done",
                                     "failed", "cancelled", NULL};
static const ps_flag flags[] = {
    {.name = "state",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, state),
     .value = "STATE",
     .words = states,
     .help = "only jobs that are queued, running, cancelling, done, failed or cancelled"},
    {.name = "limit",
     .type = PS_FLAG_NUMBER,
     .offset = offsetof(options, limit),
     .value = "N",
     .help = "only the newest N"},
    {.name = NULL},
};

static void show(ps_client *client, const Psd__V1__ListJobsResponse *list)
{
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_key(&w, "jobs");
        ps_json_array(&w);
        for (size_t i = 0; i < list->n_jobs; i++)
            ps_job_json(&w, list->jobs[i]);
        ps_json_array_end(&w);
        ps_json_object_end(&w);
        ps_json_finish(client);
        return;
    }
    if (list->n_jobs == 0) {
        ps_buf_puts(&client->out, "no jobs\n");
        return;
    }
    ps_table *t = ps_table_new(ps_job_headers);
    for (size_t i = 0; i < list->n_jobs; i++)
        ps_job_row(t, list->jobs[i], ps_clock_wall_ms(&ps_clock_system));
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    Psd__V1__ListJobsRequest request = PSD__V1__LIST_JOBS_REQUEST__INIT;
    for (size_t i = 0; o->state && states[i]; i++)
        if (!strcmp(o->state, states[i]))
            request.state = (Psd__V1__JobState)(i + PSD__V1__JOB_STATE__JOB_STATE_QUEUED);
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_list(client, "/psd.v1.Jobs/List", &request.base,
                                  &psd__v1__list_jobs_response__descriptor, o->limit, &reply);
    if (st)
        return st;
    show(client, (const Psd__V1__ListJobsResponse *)(void *)reply);
    ps_reply_free(&reply);
    return PS_OK;
}

const ps_command ps_command_jobs = {
    .name = "jobs",
    .operands = "",
    .help = "list the jobs, newest first",
    .flags = flags,
    .options_size = sizeof(options),
    .run = run,
};
