/* jobs: the rows of jobs in the catalog. See catalog.h for threads and durability. */
#ifndef PS_CATALOG_JOBS_H
#define PS_CATALOG_JOBS_H

#include "common/format/metric_list.h"
#include "server/catalog/catalog.h"

#include <stdbool.h>
#include <stdint.h>

/* The numbers are those of the message JobState. */
typedef enum ps_job_state {
    PS_JOB_NONE,
    PS_JOB_QUEUED,
    PS_JOB_RUNNING,
    PS_JOB_CANCELLING,
    PS_JOB_DONE,
    PS_JOB_FAILED,
    PS_JOB_CANCELLED,
} ps_job_state;
#define PS_JOB_STATE_COUNT 7

/* How far a job is; its lists are beside it, in the record. */
typedef struct ps_job_progress {
    uint32_t epoch, epochs; /* epoch: the one under way, from 1 */
    uint64_t samples;       /* done in all */
    uint64_t samples_total; /* to do in all; 0: unknown */
    uint64_t steps;         /* updates of the whole model */
    double samples_per_second;
    bool has_loss; /* loss is known: the mean of the last seconds, or of the last epoch when all is
                      done */
    double loss;
    bool has_test;
    double test_loss;
    double bytes_in_per_second, bytes_out_per_second;
    double staleness_mean;
    uint64_t staleness_max;
    uint32_t workers;
    double eta_seconds;              /* negative: unknown */
    char phase[16];                  /* of a job of several: "solving"; "": of one */
    uint32_t tensors, tensors_total; /* kind compress: solved, and to be solved */
} ps_job_progress;

/* One job. Texts are owned and never NULL ("" for none). */
typedef struct ps_job_record {
    uint64_t id;
    char *name;
    char *kind;
    ps_job_state state;
    char *reason;
    char *submitter;
    int64_t submitted_ms; /* milliseconds since 1970 UTC; 0: not yet */
    int64_t started_ms;
    int64_t ended_ms;
    char *spec;   /* the job file as submitted */
    char *result; /* JSON, one line */
    /* files of data that workers have read for it: a line each, and a newline behind it, "SHA256
     * BYTES WORKER PATH" (server/sched/sources.h); NULL or "": none are known, or it is in a list
     */
    char *sources;
    /* of the stored model that the job works on or begins from (ps_model_record.path): it stays
     * until the job has ended. "": none */
    char *model_version;
    char **others; /* [n_others]: likewise of those that it uses beside it, in the order of
                      ps_job_spec_others: of the one that teaches it, say */
    size_t n_others;
    char *cancel; /* why it is to be cancelled; "": it is not. ps_catalog_job_cancel's alone */
    ps_job_progress progress;
    ps_metric_list metrics, test_metrics;
} ps_job_record;

void ps_job_record_free(ps_job_record **record); /* NULL is nothing */
ps_job_record *ps_job_record_copy(const ps_job_record *record);

/* Adds a job; its id (greater than any before, never used again) goes to *id. PS_ABORTED: a version
 * that it uses is no model's current one any more, and nothing was added. */
PS_MUST_CHECK ps_status ps_catalog_job_add(ps_catalog *catalog, const ps_job_record *record,
                                           uint64_t *id);
/* Writes state, reason, times, result, progress and sources of the job record->id. PS_NOT_FOUND. */
PS_MUST_CHECK ps_status ps_catalog_job_update(ps_catalog *catalog, const ps_job_record *record);
/* The job works on this version from now on (one of an older psd did not say). */
PS_MUST_CHECK ps_status ps_catalog_job_use(ps_catalog *catalog, uint64_t id, const char *version);
/* Writes down that the job is to be cancelled, whatever its state is saved as before or after: a
 * psd that starts and finds it unended cancels it. The first reason stays. PS_NOT_FOUND. */
PS_MUST_CHECK ps_status ps_catalog_job_cancel(ps_catalog *catalog, uint64_t id, const char *reason);
/* PS_NOT_FOUND: "job 7 does not exist". */
PS_MUST_CHECK ps_status ps_catalog_job_get(ps_catalog *catalog, uint64_t id, ps_job_record **out);
/* A NULL-terminated array, newest first, without spec; state PS_JOB_NONE: all. Only those with an
 * id below `before` (0: all), at most `limit` (0: all). Free with ps_job_records_free. */
PS_MUST_CHECK ps_status ps_catalog_job_list(ps_catalog *catalog, ps_job_state state,
                                            uint64_t before, size_t limit, ps_job_record ***out);
/* Those that have not ended, oldest first, with spec: what a starting psd goes on with. */
PS_MUST_CHECK ps_status ps_catalog_job_unfinished(ps_catalog *catalog, ps_job_record ***out);
void ps_job_records_free(ps_job_record ***records);

#endif
