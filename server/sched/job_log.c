#include "server/sched/job_log.h"

#include "common/base/mem.h"

#include <assert.h>

static void make_ring(ps_job_log *log, size_t room)
{
    log->room = room;
    log->lines = ps_alloc_array(room, sizeof *log->lines);
}

void ps_job_log_free(ps_job_log *log)
{
    ps_job_lines_free(&log->lines, log->room);
    *log = (ps_job_log){0};
}

void ps_job_log_add(ps_job_log *log, int64_t time_ms, int level, const char *source,
                    const char *text)
{
    if (!log->room)
        make_ring(log, PS_JOB_LOG_LINES);
    ps_job_line *line = &log->lines[log->n % log->room];
    ps_job_line_clear(line);
    *line = (ps_job_line){.number = log->n++,
                          .time_ms = time_ms,
                          .level = level,
                          .source = ps_strdup(source),
                          .text = ps_strdup(text)};
}

uint64_t ps_job_log_first(const ps_job_log *log)
{
    uint64_t first = log->n > log->room ? log->n - log->room : 0;
    while (first < log->n && !log->lines[first % log->room].text)
        first++; /* of before a restart, and no longer in the catalog */
    return first;
}

const ps_job_line *ps_job_log_at(const ps_job_log *log, uint64_t number)
{
    assert(number < log->n);
    return &log->lines[number % log->room];
}

ps_job_line *ps_job_log_unsaved(const ps_job_log *log, size_t *n)
{
    uint64_t from = ps_job_log_first(log);
    if (from < log->saved)
        from = log->saved;
    *n = (size_t)(log->n - from);
    if (*n == 0)
        return NULL;
    ps_job_line *copies = ps_alloc_array(*n, sizeof *copies);
    for (size_t i = 0; i < *n; i++)
        copies[i] = ps_job_line_copy(ps_job_log_at(log, from + i));
    return copies;
}

void ps_job_log_restore(ps_job_log *log, ps_job_line **lines, size_t n)
{
    assert(log->n == 0);
    if (n == 0)
        return;
    make_ring(log, n > PS_JOB_LOG_LINES ? n : PS_JOB_LOG_LINES);
    for (size_t i = 0; i < n; i++)
        log->lines[(*lines)[i].number % log->room] = (*lines)[i];
    log->n = log->saved = (*lines)[n - 1].number + 1;
    ps_free(lines);
}
