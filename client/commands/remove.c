/* delete-job, delete-artifact, prune: what has ended, and what it left, goes. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "common/conf/conf.h"
#include "psd/v1/jobs.pb-c.h"

#include <inttypes.h>

typedef struct gone {
    uint64_t jobs, artifacts, bytes;
} gone;

static void report(ps_client *client, const gone *g)
{
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_uint(&w, "jobs", g->jobs);
        ps_json_put_uint(&w, "artifacts", g->artifacts);
        ps_json_put_uint(&w, "artifact_bytes", g->bytes);
        ps_json_object_end(&w);
        ps_json_finish(client);
        return;
    }
    ps_buf_printf(&client->out, "%" PRIu64 " %s and %" PRIu64 " %s (%s) are deleted\n", g->jobs,
                  g->jobs == 1 ? "job" : "jobs", g->artifacts,
                  g->artifacts == 1 ? "artifact" : "artifacts",
                  ps_human_bytes((double)g->bytes).text);
}

/* One call; adds to *g. */
static ps_status ask(ps_client *client, const char *path, const ProtobufCMessage *request, gone *g,
                     bool *more)
{
    ProtobufCMessage *reply = NULL;
    ps_status st =
        ps_client_unary(client, path, request, &psd__v1__removed_response__descriptor, &reply);
    if (st)
        return st;
    const Psd__V1__RemovedResponse *r = (const Psd__V1__RemovedResponse *)(const void *)reply;
    g->jobs += r->jobs;
    g->artifacts += r->artifacts;
    g->bytes += r->artifact_bytes;
    *more = r->more;
    ps_reply_free(&reply);
    return PS_OK;
}

static ps_status run_job(ps_client *client, const ps_args *args)
{
    gone g = {0};
    bool more;
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < args->operands.n; i++) {
        Psd__V1__DeleteJobRequest request = PSD__V1__DELETE_JOB_REQUEST__INIT;
        st = ps_job_of(client, args->operands.at[i], &request.job_id);
        if (!st)
            st = ask(client, "/psd.v1.Jobs/Delete", &request.base, &g, &more);
    }
    if (!st || g.jobs)
        report(client, &g);
    return st;
}

const ps_command ps_command_delete_job = {
    .name = "delete-job",
    .operands = "JOB ...",
    .help = "delete jobs that have ended, with their logs and artifacts",
    .details = "A job that trained a stored model stays while the model does: the model is read\n"
               "the way its job says.\n",
    .least = 1,
    .most = 1000,
    .run = run_job,
};

static ps_status run_artifact(ps_client *client, const ps_args *args)
{
    gone g = {0};
    bool more;
    Psd__V1__DeleteArtifactRequest request = PSD__V1__DELETE_ARTIFACT_REQUEST__INIT;
    request.name = ps_borrow(args->operands.at[1]);
    ps_status st = ps_job_of(client, args->operands.at[0], &request.job_id);
    if (!st)
        st = ask(client, "/psd.v1.Models/DeleteArtifact", &request.base, &g, &more);
    if (!st)
        report(client, &g);
    return st;
}

const ps_command ps_command_delete_artifact = {
    .name = "delete-artifact",
    .operands = "JOB NAME",
    .help = "delete a file that a job has left",
    .least = 2,
    .most = 2,
    .run = run_artifact,
};

typedef struct options {
    const char *older_than;
    bool artifacts;
} options;

static const ps_flag prune_flags[] = {
    {.name = "older-than",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, older_than),
     .value = "AGE",
     .help = "what ended so long ago or longer: 30d, 12h; 0s: all (required)"},
    {.name = "artifacts",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, artifacts),
     .help = "only artifacts; the jobs stay"},
    {.name = NULL},
};

static ps_status run_prune(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    Psd__V1__PruneRequest request = PSD__V1__PRUNE_REQUEST__INIT;
    if (!o->older_than)
        return ps_client_usage(client, "--older-than AGE is needed: 30d, 12h; 0s: all");
    ps_status st = ps_conf_parse_duration(o->older_than, &request.older_than_ms);
    if (st) {
        client->usage = true;
        return ps_wrap(st, "--older-than");
    }
    request.artifacts_only = o->artifacts;
    gone g = {0};
    bool more = true;
    while (!st && more)
        st = ask(client, "/psd.v1.Jobs/Prune", &request.base, &g, &more);
    if (!st || g.jobs || g.artifacts)
        report(client, &g);
    return st;
}

const ps_command ps_command_prune = {
    .name = "prune",
    .operands = "",
    .help = "delete old jobs that have ended, with their logs and artifacts",
    .details =
        "Your own; as an admin, everybody's. Jobs that trained a stored model stay while the\n"
        "model does. See also retention in psd.yaml(5).\n",
    .flags = prune_flags,
    .options_size = sizeof(options),
    .run = run_prune,
};
