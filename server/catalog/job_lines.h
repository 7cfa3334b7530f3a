/* job_lines: what was said of a job, kept behind its end: the newest PS_JOB_LINES_MAX lines of
 * each. See catalog.h for threads and durability. */
#ifndef PS_CATALOG_JOB_LINES_H
#define PS_CATALOG_JOB_LINES_H

#include "server/catalog/jobs.h"

enum { PS_JOB_LINES_MAX = 1000 };

typedef struct ps_job_line {
    uint64_t number; /* from 0, in the order they were said */
    int64_t time_ms; /* since 1970 UTC */
    int level;       /* syslog's */
    char *source;    /* "psd", or a worker's name */
    char *text;
} ps_job_line;

void ps_job_line_clear(ps_job_line *line);
void ps_job_lines_free(ps_job_line **lines, size_t n); /* and what is in them */
ps_job_line ps_job_line_copy(const ps_job_line *line);

/* As ps_catalog_job_update, and the lines with it; all or nothing. A line that is there already is
 * written again. */
PS_MUST_CHECK ps_status ps_catalog_job_save(ps_catalog *catalog, const ps_job_record *record,
                                            const ps_job_line *lines, size_t n);
/* The newest `most` lines of a job, oldest first; *n of them, none when there is no such job. */
PS_MUST_CHECK ps_status ps_catalog_job_lines(ps_catalog *catalog, uint64_t job_id, size_t most,
                                             ps_job_line **out, size_t *n);

#endif
