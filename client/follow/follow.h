/* follow: a job watched to its end: on a terminal with a bar, otherwise line by line, or as JSON.
 *
 * The stream is opened again when psd goes away and comes back. Ctrl-C (and SIGTERM, SIGHUP,
 * SIGQUIT) detaches: the job goes on, and what to type next is said on standard error. */
#ifndef PS_FOLLOW_FOLLOW_H
#define PS_FOLLOW_FOLLOW_H

#include "client/call/client.h"
#include "psd/v1/jobs.pb-c.h"

typedef enum ps_follow_form {
    PS_FOLLOW_TEXT,  /* a bar on a terminal, lines elsewhere */
    PS_FOLLOW_JSON,  /* one document a line: {"event":"job","job":…}, {"event":"log",…}
                      or {"event":"output","first":0,"tokens":[…]} */
    PS_FOLLOW_QUIET, /* a bar on a terminal that is gone at the end; elsewhere nothing */
} ps_follow_form;

typedef struct ps_follow_options {
    ps_follow_form form;
    int fd;       /* where to */
    bool patient; /* psd has answered before: its absence now is worth waiting for */
    bool ends;    /* who is interrupted ends the job then: nothing is said of how it goes on */
    /* Of a job that generates; may be NULL. The bar makes way for it. A failure ends the watch. */
    ps_status (*output)(void *user, const Psd__V1__Output *more);
    void *user;
} ps_follow_options;

/* PS_OK: the job has ended, and *job (the caller's: ps_reply_free) says how. PS_CANCELLED:
 * detached, client->interrupted is set. */
PS_MUST_CHECK ps_status ps_follow(ps_client *client, uint64_t job_id,
                                  const ps_follow_options *options, Psd__V1__Job **job);
/* ps_follow on standard output, as --output asks, and the verdict. */
PS_MUST_CHECK ps_status ps_follow_to_end(ps_client *client, uint64_t job_id, bool patient);
/* PS_OK when the job is done; PS_ABORTED with its reason when it failed or was cancelled. */
PS_MUST_CHECK ps_status ps_follow_verdict(const Psd__V1__Job *job);

#endif
