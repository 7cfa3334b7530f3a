/* Happy path: lines come with the job's state, in one transaction, so that they cost no write of
 * their own; those that are too many go then, too. */
#include "server/catalog/job_lines.h"

#include "common/base/mem.h"
#include "server/catalog/db.h"

void ps_job_line_clear(ps_job_line *line)
{
    free(line->source);
    free(line->text);
    *line = (ps_job_line){0};
}

void ps_job_lines_free(ps_job_line **lines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ps_job_line_clear(&(*lines)[i]);
    ps_free(lines);
}

ps_job_line ps_job_line_copy(const ps_job_line *line)
{
    ps_job_line copy = *line;
    copy.source = ps_strdup(line->source);
    copy.text = ps_strdup(line->text);
    return copy;
}

static ps_status put(ps_catalog *catalog, uint64_t job_id, const ps_job_line *line)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog,
                                 "INSERT OR REPLACE INTO job_line(job_id,number,time_ms,level,"
                                 "source,text) VALUES(?1,?2,?3,?4,?5,"
                                 "ps_seal(?6,'line.text',?1||'.'||?2))");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, job_id);
    ps_stmt_u64(&q, 2, line->number);
    ps_stmt_i64(&q, 3, line->time_ms);
    ps_stmt_i64(&q, 4, line->level);
    ps_stmt_text(&q, 5, line->source);
    ps_stmt_text(&q, 6, line->text);
    return ps_stmt_end(&q, ps_stmt_run(&q));
}

static ps_status drop_old(ps_catalog *catalog, uint64_t job_id, uint64_t newest)
{
    if (newest < PS_JOB_LINES_MAX)
        return PS_OK;
    ps_stmt q;
    ps_status st =
        ps_stmt_begin(&q, catalog, "DELETE FROM job_line WHERE job_id=?1 AND number<=?2");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, job_id);
    ps_stmt_u64(&q, 2, newest - PS_JOB_LINES_MAX);
    return ps_stmt_end(&q, ps_stmt_run(&q));
}

ps_status ps_catalog_job_save(ps_catalog *catalog, const ps_job_record *record,
                              const ps_job_line *lines, size_t n)
{
    if (n == 0)
        return ps_catalog_job_update(catalog, record);
    ps_status st = ps_db_transaction(catalog);
    if (st)
        return st;
    st = ps_catalog_job_update(catalog, record);
    for (size_t i = 0; !st && i < n; i++)
        st = put(catalog, record->id, &lines[i]);
    if (!st)
        st = drop_old(catalog, record->id, lines[n - 1].number);
    return ps_db_transaction_end(catalog, st);
}

static ps_job_line read_row(ps_stmt *q)
{
    return (ps_job_line){.number = ps_stmt_get_u64(q, 0),
                         .time_ms = ps_stmt_get_i64(q, 1),
                         .level = (int)ps_stmt_get_i64(q, 2),
                         .source = ps_stmt_get_text(q, 3),
                         .text = ps_stmt_get_text(q, 4)};
}

ps_status ps_catalog_job_lines(ps_catalog *catalog, uint64_t job_id, size_t most, ps_job_line **out,
                               size_t *n)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog,
                                 "SELECT * FROM (SELECT number,time_ms,level,source,"
                                 "ps_open(text,'line.text',job_id||'.'||number) FROM "
                                 "job_line WHERE job_id=?1 ORDER BY number DESC LIMIT ?2)"
                                 " ORDER BY number");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, job_id);
    ps_stmt_u64(&q, 2, most);
    ps_job_line *lines = NULL;
    size_t count = 0;
    while ((st = ps_stmt_row(&q)) == PS_OK) {
        lines = ps_realloc(lines, (count + 1) * sizeof *lines);
        lines[count++] = read_row(&q);
    }
    if (st != PS_END) {
        ps_job_lines_free(&lines, count);
        return ps_stmt_end(&q, st);
    }
    *out = lines;
    *n = count;
    return ps_stmt_end(&q, PS_OK);
}
