/* report: what a job has found, from the artifacts that it left: of kind compress what was done to
 * each tensor, of kind explain why the model answers as it does, of a training how it went. */
#include "client/call/client.h"
#include "client/call/explanation.h"
#include "client/call/file_receive.h"
#include "client/call/support.h"
#include "client/call/training_fetch.h"
#include "client/commands/commands.h"
#include "client/report/room.h"
#include "client/report/training_text.h"
#include "client/show/human.h"
#include "client/show/report_view.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/target.h"
#include "common/conf/job_spec.h"

#include <inttypes.h>
#include <unistd.h>

#define REPORT "report.json"

enum { REPORT_BYTES_MAX = 256 << 20, ROWS_SHOWN = 8 };

typedef struct options {
    const char *path, *rows, *section;
    uint64_t budget;
    bool force;
} options;

static const ps_flag flags[] = {
    {.name = "to",
     .letter = 'o',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, path),
     .value = "PATH",
     .help = "of kind explain, or a training that was recorded: a report for a browser, one file; "
             "- is standard output"},
    {.name = "svg",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, section),
     .value = "SECTION[:N]",
     .help = "a figure of that section alone, the first or the Nth, as SVG"},
    {.name = "rows",
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, rows),
     .value = "LIST",
     .help = "these rows of those that were explained, such as 3,7,10:20"},
    {.name = "budget",
     .type = PS_FLAG_SIZE,
     .offset = offsetof(options, budget),
     .value = "SIZE",
     .help = "of the page, at most 20MiB (default: what the job file says, or 5MiB)"},
    {.name = "force",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, force),
     .help = "overwrite a file that is there"},
    {.name = NULL},
};

/* The job that made the model; a number, or a name without a model, is a job's. */
static ps_status job_of(ps_client *client, const char *name, uint64_t *job_id)
{
    Psd__V1__Model *model = NULL;
    if (!ps_job_spec_name_ok(name) || name[strspn(name, "0123456789")] == '\0')
        return ps_job_of(client, name, job_id);
    ps_status st = ps_get_model(client, name, NULL, &model);
    if (st == PS_NOT_FOUND)
        return ps_job_of(client, name, job_id);
    if (st)
        return st;
    *job_id = model->job_id;
    ps_reply_free(&model);
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

static ps_status show_training(ps_client *client, uint64_t job_id)
{
    ps_training *training = NULL;
    ps_status st = ps_training_fetch(client, job_id, &training);
    if (st)
        return st;
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_uint(&w, "job_id", job_id);
        ps_json_key(&w, "training");
        ps_training_json(&w, training);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        ps_training_text(&client->out, &client->style, training);
    }
    ps_training_free(&training);
    return PS_OK;
}

/* It has no report.json: does it explain, or was it recorded? */
static ps_status show_other(ps_client *client, uint64_t job_id, const options *o)
{
    ps_status st = ps_explanation_show(client, job_id, o->rows, ROWS_SHOWN);
    if (st == PS_NOT_FOUND)
        st = show_training(client, job_id);
    return st == PS_NOT_FOUND
               ? ps_fail(st,
                         "job %" PRIu64 " has left no report; jobs of kind compress and explain "
                         "do, and trainings with a section record",
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

static ps_status save_html(ps_client *client, uint64_t job_id, const options *o, ps_slice html)
{
    const ps_new_file_options how = {.force = o->force};
    ps_status st = ps_new_file_save(o->path, html, &how);
    if (!st && !client->json)
        ps_buf_printf(&client->out, "report of job %" PRIu64 " is in %s (%s)\n", job_id, o->path,
                      ps_human_bytes((double)html.len).text);
    return st;
}

/* For a browser. */
static ps_status write_html(ps_client *client, uint64_t job_id, const options *o)
{
    ps_buf html = PS_BUF_EMPTY;
    char *command = ps_asprintf("psctl report %" PRIu64 " -o report.html", job_id);
    const ps_page_options page = {
        .command = command, .budget = o->budget, .rows = o->rows, .section = o->section};
    ps_status st = ps_explanation_html(client, job_id, &page, &html);
    if (st == PS_NOT_FOUND)
        st = ps_page_training(client, job_id, &page, &html);
    if (st == PS_NOT_FOUND)
        st = ps_fail(st,
                     "job %" PRIu64 " has left nothing to make a page of; jobs of kind explain do, "
                     "and trainings with a section record",
                     job_id);
    if (!st && (!o->path || ps_target_descriptor(o->path) == STDOUT_FILENO))
        ps_buf_append(&client->out, html.data, html.len);
    else if (!st)
        st = save_html(client, job_id, o, ps_buf_slice(&html));
    ps_free(&command);
    ps_buf_free(&html);
    return st;
}

static ps_status check(ps_client *client, const options *o)
{
    if (o->budget && (o->section || !o->path))
        return ps_client_usage(client, "--budget is of a page: --to says where that goes");
    if (o->budget && (o->budget < PS_ROOM_LEAST || o->budget > PS_ROOM_MOST))
        return ps_client_usage(client, "--budget is 32KiB to 20MiB");
    return PS_OK;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    uint64_t job_id = 0;
    ps_buf report = PS_BUF_EMPTY;
    const options *o = args->options;
    ps_status st = check(client, o);
    if (!st)
        st = job_of(client, args->operands.at[0], &job_id);
    if (!st && (o->path || o->section))
        return write_html(client, job_id, o);
    if (!st)
        st = fetch(client, job_id, &report);
    if (!st)
        st = show(client, job_id, &report);
    else if (st == PS_NOT_FOUND && job_id)
        st = show_other(client, job_id, o);
    ps_buf_free(&report);
    return st;
}

const ps_command ps_command_report = {
    .name = "report",
    .operands = "MODEL|JOB",
    .help = "show what a job of kind compress or explain has found, or a training",
    .details =
        "Of a job of kind compress what it has done to each tensor: ERROR is what the\n"
        "tensor's products lose, as a share of their power, on the data that its codes were\n"
        "chosen on; HELD OUT the same on rows that were kept apart. Of a job of kind explain\n"
        "what psctl explain showed, and of a training with a section record how its loss\n"
        "went and through what; with --to as a page for a browser.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
