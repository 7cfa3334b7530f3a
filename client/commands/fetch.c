/* fetch: an artifact of a job into a file, which is there whole or not at all, or onto standard
 * output. */
#include "client/call/client.h"
#include "client/call/file_receive.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "client/show/human.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/target.h"
#include "common/format/artifact_name.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

typedef struct options {
    const char *path;
    bool force;
} options;

static const ps_flag flags[] = {
    {.name = "to",
     .letter = 'o',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, path),
     .value = "PATH",
     .help = "where to (default: its name, here; - is standard output)"},
    {.name = "force",
     .type = PS_FLAG_SWITCH,
     .offset = offsetof(options, force),
     .help = "overwrite a file that is there"},
    {.name = NULL},
};

typedef struct sink {
    ps_client *client;
    ps_new_file *file; /* NULL: standard output */
} sink;

static ps_status take(void *user, ps_slice piece)
{
    sink *s = user;
    if (s->file)
        return ps_new_file_write(s->file, piece.data, piece.len);
    ps_buf_append(&s->client->out, piece.data, piece.len);
    return ps_output_flush(&s->client->out, STDOUT_FILENO);
}

static void report(ps_client *client, uint64_t job_id, const char *name, const char *path,
                   uint64_t bytes)
{
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_json_object(&w);
        ps_json_put_uint(&w, "job_id", job_id);
        ps_json_put_string(&w, "artifact", name);
        ps_json_put_string(&w, "file", path);
        ps_json_put_uint(&w, "bytes", bytes);
        ps_json_object_end(&w);
        ps_json_finish(client);
    } else {
        char *shown = ps_shown(path);
        ps_buf_printf(&client->out, "%s of job %" PRIu64 " is in %s (%s)\n", name, job_id, shown,
                      ps_human_bytes((double)bytes).text);
        ps_free(&shown);
    }
}

/* A name means the newest job, and what is looked for may be of one before that. */
static ps_status hint(ps_client *client, const char *name, uint64_t job_id, ps_status st)
{
    uint64_t done = 0;
    ps_error error = {0};
    if (st != PS_NOT_FOUND)
        return st;
    ps_error_save(&error, st);
    if (!ps_job_done_of(client, name, &done) || done == job_id)
        return ps_error_raise(&error);
    st = ps_error_raise(&error);
    return ps_fail(
        st, "%s; it is the newest %s, and job %" PRIu64 " of that name is done: give its number",
        ps_error_message(), name, done);
}

static ps_status fetch(ps_client *client, const char *job, uint64_t job_id, const char *name,
                       const options *o)
{
    const char *path = o->path ? o->path : name;
    bool out = ps_target_descriptor(path) == STDOUT_FILENO; /* nothing else is to be said there */
    sink s = {.client = client};
    uint64_t bytes = 0;
    Psd__V1__GetArtifactRequest request = PSD__V1__GET_ARTIFACT_REQUEST__INIT;
    request.job_id = job_id;
    request.name = ps_borrow(name);
    if (!ps_artifact_name_ok(name))
        return ps_client_usage(client, "no artifact has that name: " PS_ARTIFACT_NAME_RULE);
    if (!o->path && *name == '-') /* others have named it */
        return ps_client_usage(client, "artifact '%s': where to? give --to PATH", name);
    ps_status st =
        out ? PS_OK : ps_new_file_open(path, &(ps_new_file_options){.force = o->force}, &s.file);
    if (!st)
        st = hint(
            client, job, job_id,
            ps_receive_file(client, "/psd.v1.Models/GetArtifact", &request.base, take, &s, &bytes));
    if (!st && s.file)
        st = ps_new_file_finish(&s.file);
    if (!st && !out)
        report(client, job_id, name, path, bytes);
    ps_new_file_drop(&s.file);
    return st;
}

/* Without a name, the only one that there is. */
static ps_status fetch_only(ps_client *client, const char *job, uint64_t job_id, const options *o)
{
    Psd__V1__ListArtifactsResponse *list = NULL;
    ps_status st = ps_list_artifacts(client, job_id, &list);
    if (st)
        return st;
    if (list->n_artifacts == 1)
        st = fetch(client, job, job_id, list->artifacts[0]->name, o);
    else if (list->n_artifacts == 0)
        st = hint(client, job, job_id,
                  ps_fail(PS_NOT_FOUND, "job %" PRIu64 " has no artifacts", job_id));
    else
        st = ps_client_usage(client,
                             "job %" PRIu64 " has %zu artifacts; which? 'psctl artifacts "
                             "%" PRIu64 "' lists them",
                             job_id, list->n_artifacts, job_id);
    ps_reply_free(&list);
    return st;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const char *job = args->operands.at[0];
    uint64_t job_id = 0;
    ps_status st = ps_job_of(client, job, &job_id);
    if (st)
        return st;
    return args->operands.n > 1 ? fetch(client, job, job_id, args->operands.at[1], args->options)
                                : fetch_only(client, job, job_id, args->options);
}

const ps_command ps_command_fetch = {
    .name = "fetch",
    .operands = "JOB [NAME]",
    .help = "bring a file here that a job has left",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 2,
    .run = run,
};
