#include "server/sched/job_log.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>

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
    PS_REQUIRE(log->saved <= log->n);
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
    PS_REQUIRE(number < log->n);
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

bool ps_job_log_fills(const ps_job_log *log)
{
    return log->n - log->saved >= PS_JOB_LOG_LINES / 2;
}

/* Of these lines in a row, is something missing before line i? */
static bool gap_before(const ps_job_line *lines, size_t i)
{
    return i > 0 && lines[i].number != lines[i - 1].number + 1;
}

static ps_job_line gap_line(const ps_job_line *behind, uint64_t missing)
{
    return (ps_job_line){.time_ms = behind->time_ms,
                         .level = PS_LOG_NOTICE,
                         .source = ps_strdup("psd"),
                         .text = ps_asprintf("%" PRIu64 " lines were left out", missing)};
}

static void put_at(ps_job_log *log, uint64_t number, ps_job_line line)
{
    line.number = number;
    log->lines[number % log->room] = line;
}

/* More may have been said between two saves than the ring holds. The ring has no holes, so a line
 * that says how many are missing takes their place, and those before get the numbers that are left:
 * they are not saved again. */
void ps_job_log_restore(ps_job_log *log, ps_job_line **lines, size_t n)
{
    PS_REQUIRE(log->n == 0);
    if (n == 0)
        return;
    size_t all = n;
    for (size_t i = 1; i < n; i++)
        all += gap_before(*lines, i);
    make_ring(log, all > PS_JOB_LOG_LINES ? all : PS_JOB_LOG_LINES);
    uint64_t next = log->n = log->saved = (*lines)[n - 1].number + 1;
    for (size_t i = n; i-- > 0;) {
        const ps_job_line *line = &(*lines)[i];
        uint64_t missing = gap_before(*lines, i) ? line->number - line[-1].number - 1 : 0;
        put_at(log, --next, *line);
        if (missing)
            put_at(log, --next, gap_line(line, missing));
    }
    ps_free(lines);
}
