/* Each function stands for itself; its contract says how it fails. */
#include "client/call/support.h"

#include "client/show/model_view.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/conf/job_spec.h"
#include "common/format/artifact_name.h"
#include "psd/v1/jobs.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ps_status ps_server_status(ps_client *client, Psd__V1__StatusResponse **out)
{
    Psd__V1__StatusRequest request = PSD__V1__STATUS_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Admin/Status", &request.base,
                                   &psd__v1__status_response__descriptor, &reply);
    *out = (Psd__V1__StatusResponse *)(void *)reply;
    return st;
}

/* The newest job of a name, and in that state: page after page, newest first, until one has it. */
static ps_status find_job(ps_client *client, const char *name, Psd__V1__JobState state,
                          uint64_t *out)
{
    char *token = NULL;
    ps_status st = PS_OK;
    do {
        Psd__V1__ListJobsRequest request = PSD__V1__LIST_JOBS_REQUEST__INIT;
        request.page_size = 1000;
        request.state = state;
        if (token)
            request.page_token = token;
        ProtobufCMessage *reply = NULL;
        st = ps_client_unary(client, "/psd.v1.Jobs/List", &request.base,
                             &psd__v1__list_jobs_response__descriptor, &reply);
        ps_free(&token);
        if (st)
            return st;
        const Psd__V1__ListJobsResponse *page = (const Psd__V1__ListJobsResponse *)(void *)reply;
        for (size_t i = 0; i < page->n_jobs && !*out; i++)
            if (!strcmp(page->jobs[i]->name, name))
                *out = page->jobs[i]->id;
        token = *page->next_page_token && !*out ? ps_strdup(page->next_page_token) : NULL;
        ps_reply_free(&reply);
    } while (token);
    return *out ? PS_OK
                : ps_fail(PS_NOT_FOUND, "no job is called '%s'; 'psctl jobs' lists them", name);
}

ps_status ps_job_of(ps_client *client, const char *text, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long id = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && !*end) {
        if (errno || id == 0)
            return ps_client_usage(client, "'%s' is not a job's number; 'psctl jobs' lists them",
                                   text);
        *out = id;
        return PS_OK;
    }
    if (!ps_job_spec_name_ok(text))
        return ps_client_usage(
            client, "'%s' is neither a job's number nor its name; 'psctl jobs' lists them", text);
    *out = 0;
    return find_job(client, text, PSD__V1__JOB_STATE__JOB_STATE_UNSPECIFIED, out);
}

bool ps_job_done_of(ps_client *client, const char *text, uint64_t *out)
{
    *out = 0;
    return ps_job_spec_name_ok(text) &&
           find_job(client, text, PSD__V1__JOB_STATE__JOB_STATE_DONE, out) == PS_OK;
}

ps_status ps_cancel_job(ps_client *client, uint64_t job_id, const char *reason, ps_status st)
{
    ps_error error;
    ps_error_save(&error, st);
    Psd__V1__CancelJobRequest request = PSD__V1__CANCEL_JOB_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    request.job_id = job_id;
    request.reason = ps_borrow(reason);
    if (ps_client_unary(client, "/psd.v1.Jobs/Cancel", &request.base, &psd__v1__job__descriptor,
                        &reply) == PS_OK)
        ps_reply_free(&reply);
    else
        fprintf(stderr, "job %" PRIu64 " could not be cancelled: %s\n", job_id, ps_error_message());
    return ps_error_raise(&error);
}

ps_status ps_check_artifacts(const Psd__V1__ListArtifactsResponse *list)
{
    for (size_t i = 0; i < list->n_artifacts; i++)
        if (!ps_artifact_name_ok(list->artifacts[i]->name))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "psd tells of a file whose name is none: " PS_ARTIFACT_NAME_RULE);
    return PS_OK;
}

ps_status ps_list_artifacts(ps_client *client, uint64_t job_id,
                            Psd__V1__ListArtifactsResponse **out)
{
    Psd__V1__ListArtifactsRequest request = PSD__V1__LIST_ARTIFACTS_REQUEST__INIT;
    request.job_id = job_id;
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Models/ListArtifacts", &request.base,
                                   &psd__v1__list_artifacts_response__descriptor, &reply);
    if (st)
        return st;
    Psd__V1__ListArtifactsResponse *list = (Psd__V1__ListArtifactsResponse *)(void *)reply;
    st = ps_check_artifacts(list);
    if (st)
        ps_reply_free(&list);
    else
        *out = list;
    return st;
}

ps_status ps_get_model(ps_client *client, const char *name, const char *version,
                       Psd__V1__Model **out)
{
    Psd__V1__GetModelRequest request = PSD__V1__GET_MODEL_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    request.name = ps_borrow(name);
    if (version)
        request.version = ps_borrow(version);
    ps_status st = ps_client_unary(client, "/psd.v1.Models/Get", &request.base,
                                   &psd__v1__model__descriptor, &reply);
    *out = (Psd__V1__Model *)(void *)reply;
    return st;
}

ps_status ps_check_model_name(const char *name)
{
    if (ps_job_spec_name_ok(name))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "'%s' cannot be a model's name; allowed: 1 to 64 of a-z 0-9 . _ -, first a "
                   "letter or digit",
                   name);
}

char *ps_shown(const char *name)
{
    char *shown = ps_strdup(name);
    ps_text_clean(shown);
    return shown;
}

ps_status ps_where_ca_is(ps_status st, const char *ca_cert)
{
    if (st != PS_NOT_FOUND || access(ca_cert, F_OK) == 0)
        return st;
    char *said = ps_strdup(ps_error_message());
    st =
        ps_fail(st, "%s; go to the CA's folder, or name its files by --ca-cert and --ca-key", said);
    ps_free(&said);
    return st;
}

void ps_remark(const char *format, ...)
{
    char text[8192]; /* two paths, and what is said about them */
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ps_text_clean(text);
    (void)fprintf(stderr, "psctl: %s\n", text);
}

void ps_print_remarks(const char *lines)
{
    for (size_t n; *lines; lines += n + 1) {
        n = strcspn(lines, "\n");
        ps_remark("%.*s", (int)n, lines);
    }
}

ps_status ps_read_small_file(const char *path, size_t limit, ps_buf *out)
{
    bool input = !strcmp(path, "-");
    int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return ps_fail_errno(errno, "%s", path);
    ps_status st = PS_OK;
    ssize_t n = 1;
    while (n > 0 && !st) {
        ps_buf_reserve(out, 65536);
        n = read(fd, out->data + out->len, 65536);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            st = ps_fail_errno(errno, "%s", path);
        else
            out->len += (size_t)n;
        if (out->len > limit)
            st = ps_fail(PS_INVALID_ARGUMENT, "%s: more than %zu bytes", path, limit);
    }
    if (!input)
        (void)close(fd);
    return st;
}

ps_json_writer ps_json_begin(ps_client *client)
{
    return ps_json_writer_to(&client->out);
}

void ps_json_finish(ps_client *client)
{
    ps_buf_putc(&client->out, '\n');
}

ps_status ps_absolute_path(const char *path, char **out)
{
    if (!strcmp(path, "-"))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "'-' is standard input, which nobody else can read; give a file's path");
    if (*path == '/') {
        *out = ps_strdup(path);
        return PS_OK;
    }
    char *here = getcwd(NULL, 0);
    if (!here)
        return ps_fail_errno(errno, "the current folder");
    while (!strncmp(path, "./", 2))
        path += 2;
    *out = ps_asprintf("%s/%s", here, path);
    free(here);
    return PS_OK;
}

void ps_show_model(ps_client *client, const Psd__V1__Model *model)
{
    if (client->json) {
        ps_json_writer w = ps_json_begin(client);
        ps_model_json(&w, model);
        ps_json_finish(client);
    } else {
        ps_model_text(&client->out, &client->style, model);
    }
}

ps_status ps_submit_spec(ps_client *client, const char *spec, uint64_t *job_id)
{
    Psd__V1__SubmitRequest request = PSD__V1__SUBMIT_REQUEST__INIT;
    request.spec = ps_borrow(spec);
    ProtobufCMessage *reply = NULL;
    ps_status st = ps_client_unary(client, "/psd.v1.Jobs/Submit", &request.base,
                                   &psd__v1__submit_response__descriptor, &reply);
    if (st)
        return st;
    *job_id = ((Psd__V1__SubmitResponse *)(void *)reply)->job_id;
    ps_reply_free(&reply);
    return PS_OK;
}
