/* watch: those who follow a job. A watch holds no events, only how much of the job it has seen: the
 * lines are the job's (the last 64), and the job's state is read when it is asked for. */
#ifndef PS_SCHED_WATCH_H
#define PS_SCHED_WATCH_H

#include "common/base/list.h"
#include "server/sched/sched.h"

typedef struct ps_job ps_job;

struct ps_watch {
    ps_list link; /* ps_job.watches */
    ps_job *job;  /* a reference */
    void (*notify)(void *user);
    void *user;
    uint64_t next_line;    /* of job->log */
    size_t next_token;     /* of job->output */
    uint64_t seen_version; /* of job->version */
    bool armed;            /* notify at the next change */
    bool closed;
    bool notifying; /* notify() is running */
    unsigned refs;  /* its owner's, and the outbox's */
};

void ps_watch_unref(ps_watch *watch); /* with the mutex */

#endif
