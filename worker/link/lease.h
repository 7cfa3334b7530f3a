/* lease: what the task of a lease has reported and psd has not yet been told. Numbers are added up
 * into one report, the last log lines are kept, and the result waits until it is sent. Output is
 * kept whole, as the stream it went on may have lost it. One thread (not asserted here: the
 * agent's, which asks). */
#ifndef PS_LINK_LEASE_H
#define PS_LINK_LEASE_H

#include "common/base/list.h"
#include "common/base/status.h"
#include "common/format/metric_list.h"
#include "psd/v1/workers.pb-c.h"

enum { PS_LEASE_LOGS = 16 }; /* lines kept of a lease */

typedef struct ps_task_lease {
    ps_list link; /* the agent's */
    uint64_t id;
    Psd__V1__TaskProgress progress; /* not yet sent; log and metric_sums unused */
    ps_metric_list metric_sums;     /* its own */
    bool has_progress;
    Psd__V1__LogEvent *logs[PS_LEASE_LOGS];
    size_t log_count;
    Psd__V1__Output output; /* all that the task generated; its own */
    size_t output_capacity, output_sent;
    Psd__V1__TaskResult *result; /* NULL: the task runs */
    bool sent;                   /* the result, */
    uint64_t sent_ms;            /* then */
} ps_task_lease;

/* In no list. Nothing of the task is kept. */
ps_task_lease *ps_task_lease_new(const Psd__V1__Task *task);
void ps_task_lease_free(ps_task_lease *lease); /* takes it out of its list */

void ps_task_lease_add(ps_task_lease *lease, const Psd__V1__TaskProgress *report); /* copied */
void ps_task_lease_generated(ps_task_lease *lease, const Psd__V1__Output *more);   /* copied */
/* The stream has ended: what it carried last may not have arrived, and is sent again. */
void ps_task_lease_unsend(ps_task_lease *lease);
/* Sends what has not been sent: reports, output, then the result. */
void ps_task_lease_flush(ps_task_lease *lease,
                         void (*send)(void *user, const Psd__V1__WorkerMessage *message),
                         void *user, uint64_t now_ms);
/* A task that is not taken is worth another try elsewhere. */
void ps_task_refuse(const Psd__V1__Task *task, ps_status code, const char *why,
                    void (*send)(void *user, const Psd__V1__WorkerMessage *message), void *user);

#endif
