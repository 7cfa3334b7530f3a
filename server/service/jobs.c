#include "psd/v1/jobs.pb-c.h"

#include "common/base/mem.h"
#include "server/runs/room.h"
#include "server/service/job_message.h"
#include "server/service/page.h"
#include "server/service/unary.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct asking {
    ps_services *services;
    const ps_caller *caller;
} asking;

/* What it makes replaces the stored model of its name. */
static ps_status may_submit(void *user, const ps_job_spec *spec)
{
    const asking *a = user;
    bool makes = ps_job_spec_kind(spec)->trains || spec->compress;
    ps_status st = makes ? ps_caller_may_change_model(a->services, a->caller, spec->name) : PS_OK;
    if (!makes && ps_job_spec_kind(spec)->leaves_files) /* sooner than when all is computed */
        st = ps_room_check(a->services->files.disk, a->services->files.data_dir);
    if (!st && (makes || ps_job_spec_kind(spec)->leaves_files))
        st = ps_caller_may_store(a->services, a->caller, 1, NULL);
    return st;
}

static ps_status submit(ps_services *services, const ps_caller *caller,
                        const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__SubmitRequest *in = (const Psd__V1__SubmitRequest *)request;
    Psd__V1__SubmitResponse *out = PS_REPLY_NEW(Psd__V1__SubmitResponse, psd__v1__submit_response);
    *reply = &out->base;
    asking a = {.services = services, .caller = caller};
    ps_status st = ps_sched_submit(services->sched, caller->name, ps_slice_str(in->spec),
                                   may_submit, &a, &out->job_id);
    char number[64] = "";
    if (!st)
        (void)snprintf(number, sizeof number, "job %llu", (unsigned long long)out->job_id);
    return ps_caller_audit(services, caller, st, number);
}

static ps_status get(ps_services *services, const ps_caller *caller,
                     const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__GetJobRequest *in = (const Psd__V1__GetJobRequest *)request;
    ps_job_record *record = NULL;
    ps_status st = ps_sched_job_get(services->sched, in->job_id, &record);
    if (st)
        return st;
    *reply = &ps_job_message_new(record)->base;
    ps_job_record_free(&record);
    return PS_OK;
}

static char *token_after(uint32_t filter, uint64_t id)
{
    char key[24];
    (void)snprintf(key, sizeof key, "%llu", (unsigned long long)id);
    return ps_page_token("jobs", filter, key);
}

/* As many as a page holds; next is where to go on behind all of them. */
static Psd__V1__ListJobsResponse *jobs_page(ps_job_record *const *records, uint32_t filter,
                                            uint64_t next)
{
    Psd__V1__ListJobsResponse *out =
        PS_REPLY_NEW(Psd__V1__ListJobsResponse, psd__v1__list_jobs_response);
    size_t n = 0, bytes = 0;
    while (records[n])
        n++;
    out->jobs = ps_alloc_array(n, sizeof *out->jobs);
    while (out->n_jobs < n && bytes < PS_PAGE_BYTES) {
        Psd__V1__Job *job = ps_job_message_new(records[out->n_jobs]);
        bytes += psd__v1__job__get_packed_size(job);
        out->jobs[out->n_jobs++] = job;
    }
    if (out->n_jobs < n)
        next = records[out->n_jobs - 1]->id;
    if (next)
        out->next_page_token = token_after(filter, next);
    return out;
}

static ps_status list(ps_services *services, const ps_caller *caller,
                      const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__ListJobsRequest *in = (const Psd__V1__ListJobsRequest *)request;
    if ((unsigned)in->state >= PS_JOB_STATE_COUNT)
        return ps_fail(PS_INVALID_ARGUMENT, "job state %d is not known", (int)in->state);
    ps_page page;
    uint64_t next;
    ps_job_record **records = NULL;
    ps_status st = ps_page_read("jobs", in->state, in->page_size, in->page_token, &page);
    if (!st)
        st = ps_sched_job_list(services->sched, (ps_job_state)in->state,
                               strtoull(page.after, NULL, 10), page.rows, &records, &next);
    if (st)
        return st;
    *reply = &jobs_page(records, in->state, next)->base;
    ps_job_records_free(&records);
    return PS_OK;
}

static ps_status cancel(ps_services *services, const ps_caller *caller,
                        const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__CancelJobRequest *in = (const Psd__V1__CancelJobRequest *)request;
    ps_job_record *record = NULL;
    ps_status st = ps_caller_may_change_job(services, caller, in->job_id);
    if (!st)
        st = ps_sched_cancel(services->sched, in->job_id, caller->name, in->reason, &record);
    st = ps_caller_audit(services, caller, st, in->reason);
    if (st)
        return st;
    *reply = &ps_job_message_new(record)->base;
    ps_job_record_free(&record);
    return PS_OK;
}

const ps_unary_method ps_jobs_unary[] = {
    {"/psd.v1.Jobs/Submit", &psd__v1__submit_request__descriptor,
     &psd__v1__submit_response__descriptor, submit},
    {"/psd.v1.Jobs/Get", &psd__v1__get_job_request__descriptor, &psd__v1__job__descriptor, get},
    {"/psd.v1.Jobs/List", &psd__v1__list_jobs_request__descriptor,
     &psd__v1__list_jobs_response__descriptor, list},
    {"/psd.v1.Jobs/Cancel", &psd__v1__cancel_job_request__descriptor, &psd__v1__job__descriptor,
     cancel},
    {"/psd.v1.Jobs/Delete", &psd__v1__delete_job_request__descriptor,
     &psd__v1__removed_response__descriptor, ps_jobs_delete},
    {"/psd.v1.Jobs/Prune", &psd__v1__prune_request__descriptor,
     &psd__v1__removed_response__descriptor, ps_jobs_prune},
    {0},
};

const ps_rpc_method ps_jobs_calls[] = {
    {.name = "Watch", .request = &psd__v1__watch_job_request__descriptor, .unary = ps_jobs_watch},
    {0},
};
