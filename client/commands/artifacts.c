/* artifacts: the files that a job has left with psd: fetched, removed, listed. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "common/base/clock.h"

#include <inttypes.h>

static void write_json(ps_client *client, uint64_t job_id,
                       const Psd__V1__ListArtifactsResponse *list)
{
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_uint(&w, "job_id", job_id);
    ps_json_key(&w, "artifacts");
    ps_json_array(&w);
    for (size_t i = 0; i < list->n_artifacts; i++) {
        const Psd__V1__Artifact *a = list->artifacts[i];
        ps_json_object(&w);
        ps_json_put_string(&w, "name", a->name);
        ps_json_put_uint(&w, "bytes", a->bytes);
        ps_json_put_int(&w, "created_ms", a->created_ms);
        ps_json_object_end(&w);
    }
    ps_json_array_end(&w);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

static void write_text(ps_client *client, uint64_t job_id,
                       const Psd__V1__ListArtifactsResponse *list)
{
    static const char *const headers[] = {"NAME", ">SIZE", "MADE", NULL};
    if (list->n_artifacts == 0) {
        ps_buf_printf(&client->out, "job %" PRIu64 " has no artifacts\n", job_id);
        return;
    }
    ps_table *t = ps_table_new(headers);
    for (size_t i = 0; i < list->n_artifacts; i++) {
        const Psd__V1__Artifact *a = list->artifacts[i];
        ps_table_text(t, a->name);
        ps_table_text(t, ps_human_bytes((double)a->bytes).text);
        ps_table_text(t, ps_human_ago(a->created_ms, ps_clock_wall_ms(&ps_clock_system)).text);
    }
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
}

static ps_status run(ps_client *client, const ps_args *args)
{
    uint64_t job_id = 0;
    Psd__V1__ListArtifactsResponse *list = NULL;
    ps_status st = ps_job_of(client, args->operands.at[0], &job_id);
    if (!st)
        st = ps_list_artifacts(client, job_id, &list);
    if (st)
        return st;
    (client->json ? write_json : write_text)(client, job_id, list);
    ps_reply_free(&list);
    return PS_OK;
}

const ps_command ps_command_artifacts = {
    .name = "artifacts",
    .operands = "JOB",
    .help = "list the files that a job has left (predictions, reports)",
    .details = "'psctl fetch' brings them here; they go with the job, or when their time is over\n"
               "(retention in psd.yaml).\n",
    .least = 1,
    .most = 1,
    .run = run,
};
