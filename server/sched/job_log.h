/* job_log: what was last said of a job, for those who watch it: the newest lines in a ring, and how
 * many of all are in the catalog. The scheduler's mutex guards it (not asserted: it does not know
 * the scheduler). */
#ifndef PS_SCHED_JOB_LOG_H
#define PS_SCHED_JOB_LOG_H

#include "common/base/clock.h"
#include "server/catalog/job_lines.h"

enum { PS_JOB_LOG_LINES = 64, PS_JOB_LOG_BYTES = 1024 };

typedef struct ps_job_log {
    ps_job_line *lines; /* line i is at i % room; those from ps_job_log_first on are there */
    size_t room;        /* 0 before the first line: PS_JOB_LOG_LINES then */
    uint64_t n;         /* said so far */
    uint64_t saved;     /* of them, in the catalog */
} ps_job_log;

void ps_job_log_free(ps_job_log *log);
void ps_job_log_add(ps_job_log *log, int64_t time_ms, int level, const char *source,
                    const char *text);
/* The number of the oldest line that is there, and a line from there on. */
uint64_t ps_job_log_first(const ps_job_log *log);
const ps_job_line *ps_job_log_at(const ps_job_log *log, uint64_t number);

/* Copies of the lines that are not saved; *n of them, freed with ps_job_lines_free. */
ps_job_line *ps_job_log_unsaved(const ps_job_log *log, size_t *n);
/* So much is not saved that some of it is soon overwritten. */
bool ps_job_log_fills(const ps_job_log *log);
/* What is in the catalog of a job of which nothing was said here yet: lines go on behind it. Takes
 * the lines over; there is room for at least as many. Where some are missing, a line says so. */
void ps_job_log_restore(ps_job_log *log, ps_job_line **lines, size_t n);

#endif
