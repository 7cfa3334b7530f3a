/* job_message: a job's record as the message Job. */
#ifndef PS_SERVICE_JOB_MESSAGE_H
#define PS_SERVICE_JOB_MESSAGE_H

#include "psd/v1/jobs.pb-c.h"
#include "server/catalog/job_progress.h"

typedef struct ps_job_parts {
    Psd__V1__Progress progress;
    ps_job_lists lists;
} ps_job_parts;
/* A message that borrows the record's texts; parts is storage of the caller's. */
void ps_job_message_borrow(const ps_job_record *record, ps_job_parts *parts, Psd__V1__Job *out);
/* One of its own (malloc), for protobuf_c_message_free_unpacked. */
Psd__V1__Job *ps_job_message_new(const ps_job_record *record);

#endif
