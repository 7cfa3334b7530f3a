/* support: the small things that several commands need. One thread (not asserted: psctl has no
 * other). */
#ifndef PS_CALL_SUPPORT_H
#define PS_CALL_SUPPORT_H

#include "client/call/client.h"
#include "psd/v1/admin.pb-c.h"
#include "psd/v1/models.pb-c.h"

/* For the fields of a request: protobuf-c takes char * and only reads it. */
static inline char *ps_borrow(const char *text)
{
    union {
        const char *kept;
        char *given;
    } p = {.kept = text};
    return p.given;
}

/* What the server says of itself; ps_reply_free it. */
PS_MUST_CHECK ps_status ps_server_status(ps_client *client, Psd__V1__StatusResponse **out);
/* A job by its number or its name (of those, the newest, which the server is asked for). A usage
 * failure when it can be neither; PS_NOT_FOUND: no job of that name. */
PS_MUST_CHECK ps_status ps_job_of(ps_client *client, const char *text, uint64_t *out);
/* The newest job of that name that is done, for hints. Replaces this thread's message. */
bool ps_job_done_of(ps_client *client, const char *text, uint64_t *out);
/* Nobody waits for the job any more: it is cancelled. Returns st, and its message. */
ps_status ps_cancel_job(ps_client *client, uint64_t job_id, const char *reason, ps_status st);
/* PS_INVALID_ARGUMENT unless each could be the name of a file that is fetched: psd, too, may say
 * anything. */
PS_MUST_CHECK ps_status ps_check_artifacts(const Psd__V1__ListArtifactsResponse *list);
/* What a job has left, checked; the caller's. */
PS_MUST_CHECK ps_status ps_list_artifacts(ps_client *client, uint64_t job_id,
                                          Psd__V1__ListArtifactsResponse **out);
/* What psd has of a stored model: its newest version (NULL or ""), or this one; the caller's. */
PS_MUST_CHECK ps_status ps_get_model(ps_client *client, const char *name, const char *version,
                                     Psd__V1__Model **out);
/* PS_INVALID_ARGUMENT unless the text may be the name of a model. */
PS_MUST_CHECK ps_status ps_check_model_name(const char *name);
/* "psctl: …" for the person at the terminal, beside what a command does; names of files may be
 * anybody's, so what is not fit for a terminal becomes '?'. */
void ps_remark(const char *format, ...) PS_PRINTF(1, 2);
/* The same, made fit; the caller's. */
char *ps_shown(const char *name);
/* st, of a command that uses the CA of that certificate: where the file is not there, the message
 * goes on to say how the command is told where it is. */
ps_status ps_where_ca_is(ps_status st, const char *ca_cert);
/* Lines about a model's file, each a remark. */
void ps_print_remarks(const char *lines);
/* A whole small file, "-" for standard input; PS_INVALID_ARGUMENT beyond `limit` bytes. */
PS_MUST_CHECK ps_status ps_read_small_file(const char *path, size_t limit, ps_buf *out);
/* Begins a JSON document on the client's output, and ends it with a newline. */
ps_json_writer ps_json_begin(ps_client *client);
void ps_json_finish(ps_client *client);
/* The path as it is from the root folder: relative ones are below the current folder; nothing is
 * resolved, as the file may be on another machine. PS_INVALID_ARGUMENT for "-". The caller's. */
PS_MUST_CHECK ps_status ps_absolute_path(const char *path, char **out);

/* A stored model, with its tensors, onto the client's output. */
void ps_show_model(ps_client *client, const Psd__V1__Model *model);
/* Submits a job file; its id. */
PS_MUST_CHECK ps_status ps_submit_spec(ps_client *client, const char *spec, uint64_t *job_id);

#endif
