/* report: what a job has found, from the artifacts that it left: of kind compress what was done to
 * each tensor, of kind explain why the model answers as it does. */
#include "client/call/client.h"
#include "client/call/explanation.h"
#include "client/call/file_receive.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/report_view.h"
#include "common/conf/job_spec.h"

#include <inttypes.h>

#define REPORT "report.json"

enum { REPORT_BYTES_MAX = 256 << 20, ROWS_SHOWN = 8 };

/* The job that made the model; a number, or a name without a model, is a job's. */
static ps_status job_of(ps_client *client, const char *name, uint64_t *job_id)
{
    Psd__V1__GetModelRequest request = PSD__V1__GET_MODEL_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    if (!ps_job_spec_name_ok(name) || name[strspn(name, "0123456789")] == '\0')
        return ps_job_of(client, name, job_id);
    request.name = ps_borrow(name);
    ps_status st = ps_client_unary(client, "/psd.v1.Models/Get", &request.base,
                                   &psd__v1__model__descriptor, &reply);
    if (st == PS_NOT_FOUND)
        return ps_job_of(client, name, job_id);
    if (st)
        return st;
    *job_id = ((const Psd__V1__Model *)(void *)reply)->job_id;
    ps_reply_free(&reply);
    return *job_id
               ? PS_OK
               : ps_fail(PS_NOT_FOUND, "model %s was imported: no job has a report on it", name);
}

static ps_status take(void *user, ps_slice piece)
{
    return ps_buf_append_limited(user, piece.data, piece.len, REPORT_BYTES_MAX);
}

static ps_status fetch(ps_client *client, uint64_t job_id, ps_buf *out)
{
    Psd__V1__GetArtifactRequest request = PSD__V1__GET_ARTIFACT_REQUEST__INIT;
    request.job_id = job_id;
    request.name = ps_borrow(REPORT);
    return ps_receive_file(client, "/psd.v1.Models/GetArtifact", &request.base, take, out, NULL);
}

/* It has no report.json: does it explain? */
static ps_status show_other(ps_client *client, uint64_t job_id)
{
    ps_status st = ps_explanation_show(client, job_id, ROWS_SHOWN);
    return st == PS_NOT_FOUND
               ? ps_fail(st,
                         "job %" PRIu64 " has left no report; jobs of kind compress and explain do",
                         job_id)
               : st;
}

static ps_status show(ps_client *client, uint64_t job_id, ps_buf *report)
{
    if (!client->json) {
        ps_status st = ps_report_text(&client->out, &client->style, ps_buf_slice(report));
        return st ? ps_wrap(st, REPORT " of job %" PRIu64, job_id) : PS_OK;
    }
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_uint(&w, "job_id", job_id);
    ps_json_key(&w, "report");
    ps_json_embed(&w, ps_buf_cstr(report));
    ps_json_object_end(&w);
    ps_json_finish(client);
    return PS_OK;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    uint64_t job_id = 0;
    ps_buf report = PS_BUF_EMPTY;
    ps_status st = job_of(client, args->operands.at[0], &job_id);
    if (!st)
        st = fetch(client, job_id, &report);
    if (!st)
        st = show(client, job_id, &report);
    else if (st == PS_NOT_FOUND && job_id)
        st = show_other(client, job_id);
    ps_buf_free(&report);
    return st;
}

const ps_command ps_command_report = {
    .name = "report",
    .operands = "MODEL|JOB",
    .help = "show what a job of kind compress or explain has found",
    .details =
        "Of a job of kind compress what it has done to each tensor: ERROR is what the\n"
        "tensor's products lose, as a share of their power, on the data that its codes were\n"
        "chosen on; HELD OUT the same on rows that were kept apart. Of a job of kind explain\n"
        "what psctl explain showed.\n",
    .least = 1,
    .most = 1,
    .run = run,
};
