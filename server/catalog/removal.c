/* Happy path: in one transaction the files that the rows name get onto the list of the doomed, and
 * the rows go. What fails is the disk, and then nothing has gone. */
#include "server/catalog/removal.h"

#include "common/base/mem.h"
#include "server/catalog/db.h"
#include "server/catalog/jobs.h"

#include <inttypes.h>

/* Which rows: ?1 a job, ?2 an artifact's name; or ?3 before when, ?4 a submitter or '', ?5 how
 * many.
 */
#define ENDED_BEFORE "state IN (4,5,6) AND ended_ms<?3 AND (?4='' OR submitter=?4)"
/* a model is read the way the job says that trained it, so that stays */
#define OLD_JOBS                                                                               \
    "SELECT id FROM job WHERE " ENDED_BEFORE " AND NOT EXISTS "                                \
    "(SELECT 1 FROM model_version WHERE current AND model_version.job_id=job.id) ORDER BY id " \
    "LIMIT ?5"
#define OLD_ARTIFACTS                                                                       \
    "SELECT a.rowid FROM artifact a JOIN job ON job.id=a.job_id WHERE a.created_ms<?3 AND " \
    "state IN (4,5,6) AND (?4='' OR submitter=?4) ORDER BY a.created_ms,a.rowid LIMIT ?5"
#define OLD_LOGS                                            \
    "SELECT id FROM job WHERE " ENDED_BEFORE " AND EXISTS " \
    "(SELECT 1 FROM job_line WHERE job_line.job_id=job.id) ORDER BY id LIMIT ?5"

/* Artifacts of this condition, and then rows of jobs. */
typedef struct removal {
    const char *sum, *doom, *artifacts, *jobs;
} removal;
#define ARTIFACTS(condition)                                                                \
    .sum = "SELECT coalesce(sum(bytes),0) FROM artifact WHERE " condition,                  \
    .doom = "INSERT OR IGNORE INTO doomed_file SELECT path FROM artifact WHERE " condition, \
    .artifacts = "DELETE FROM artifact WHERE " condition

static const removal one_artifact = {ARTIFACTS("job_id=?1 AND name=?2")};
static const removal old_artifacts = {ARTIFACTS("rowid IN (" OLD_ARTIFACTS ")")};
static const removal one_job = {ARTIFACTS("job_id=?1"), .jobs = "DELETE FROM job WHERE id=?1"};
static const removal old_jobs = {ARTIFACTS("job_id IN (" OLD_JOBS ")"),
                                 .jobs = "DELETE FROM job WHERE id IN (" OLD_JOBS ")"};

typedef struct choice {
    uint64_t job_id;
    const char *name;
    ps_old old;
} choice;

static ps_status begin(ps_stmt *q, ps_catalog *catalog, const char *sql, const choice *c)
{
    ps_status st = ps_stmt_begin(q, catalog, sql);
    if (st)
        return st;
    ps_stmt_u64(q, 1, c->job_id);
    ps_stmt_text(q, 2, c->name);
    ps_stmt_i64(q, 3, c->old.before_ms);
    ps_stmt_text(q, 4, c->old.owner);
    ps_stmt_u64(q, 5, c->old.most);
    return PS_OK;
}

static ps_status sum(ps_catalog *catalog, const char *sql, const choice *c, uint64_t *bytes)
{
    ps_stmt q;
    ps_status st = begin(&q, catalog, sql, c);
    if (st)
        return st;
    st = ps_stmt_row(&q);
    if (!st)
        *bytes += ps_stmt_get_u64(&q, 0);
    return ps_stmt_end(&q, st);
}

/* *rows: how many it changed; may be NULL. */
static ps_status change(ps_catalog *catalog, const char *sql, const choice *c, uint64_t *rows)
{
    ps_stmt q;
    ps_status st = begin(&q, catalog, sql, c);
    if (st)
        return st;
    st = ps_stmt_run(&q);
    if (!st && rows)
        *rows += (uint64_t)ps_stmt_changes(&q);
    return ps_stmt_end(&q, st);
}

static ps_status try_removal(ps_catalog *catalog, const removal *r, const choice *c,
                             ps_removed *removed)
{
    ps_removed now = {0};
    ps_status st = ps_db_transaction(catalog);
    if (st)
        return st;
    st = sum(catalog, r->sum, c, &now.bytes);
    if (!st)
        st = change(catalog, r->doom, c, NULL);
    if (!st)
        st = change(catalog, r->artifacts, c, &now.artifacts);
    if (!st && r->jobs)
        st = change(catalog, r->jobs, c, &now.jobs);
    st = ps_db_transaction_end(catalog, st);
    if (st)
        return st;
    removed->jobs += now.jobs;
    removed->artifacts += now.artifacts;
    removed->bytes += now.bytes;
    return PS_OK;
}

/* On a full disk what is removed is written first, too: fewer rows at once, and only when there are
 * none fewer a part of the reserve, which the logs of hundreds of jobs would use up. */
static bool try_again(ps_catalog *catalog, ps_status st, choice *c, ps_removed *removed)
{
    enum { FEWER = 8 };
    if (st != PS_NO_SPACE || c->old.most <= 1)
        return ps_db_made_room(catalog, st);
    c->old.most = c->old.most > FEWER ? c->old.most / FEWER : 1;
    removed->some = true;
    return true;
}

static ps_status run(ps_catalog *catalog, const removal *r, choice c, ps_removed *removed)
{
    ps_status st;
    do
        st = try_removal(catalog, r, &c, removed);
    while (try_again(catalog, st, &c, removed));
    return st;
}

/* ---- one ---- */

ps_status ps_catalog_artifact_delete(ps_catalog *catalog, uint64_t job_id, const char *name,
                                     ps_removed *removed)
{
    uint64_t before = removed->artifacts;
    ps_status st = run(catalog, &one_artifact, (choice){.job_id = job_id, .name = name}, removed);
    if (!st && removed->artifacts == before)
        return ps_fail(PS_NOT_FOUND, "job %" PRIu64 " has no artifact '%s'", job_id, name);
    return st;
}

/* Is it a stored model's? */
static ps_status check_models(ps_catalog *catalog, uint64_t id)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(
        &q, catalog, "SELECT name FROM model_version WHERE job_id=?1 AND current LIMIT 1");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, id);
    st = ps_stmt_row(&q);
    char *name = st ? NULL : ps_stmt_get_text(&q, 0);
    st = ps_stmt_end(&q, st == PS_END ? PS_OK : st);
    if (name)
        st = ps_fail(PS_FAILED_PRECONDITION,
                     "job %" PRIu64 " trained the stored model '%s', which is read the way the job "
                     "says; delete the model first",
                     id, name);
    ps_free(&name);
    return st;
}

static ps_status check_ended(ps_catalog *catalog, uint64_t id)
{
    ps_job_record *job = NULL;
    ps_status st = ps_catalog_job_get(catalog, id, &job);
    if (!st && job->state < PS_JOB_DONE)
        st = ps_fail(PS_FAILED_PRECONDITION, "job %" PRIu64 " has not ended; cancel it first", id);
    ps_job_record_free(&job);
    return st;
}

ps_status ps_catalog_job_delete(ps_catalog *catalog, uint64_t id, ps_removed *removed)
{
    ps_db_lock(catalog); /* no model comes between the look and the removal */
    ps_status st = check_ended(catalog, id);
    if (!st)
        st = check_models(catalog, id);
    if (!st)
        st = run(catalog, &one_job, (choice){.job_id = id}, removed);
    ps_db_unlock(catalog);
    return st;
}

/* ---- what is old ---- */

ps_status ps_catalog_artifacts_expire(ps_catalog *catalog, const ps_old *which, ps_removed *removed)
{
    return run(catalog, &old_artifacts, (choice){.old = *which}, removed);
}

ps_status ps_catalog_jobs_expire(ps_catalog *catalog, const ps_old *which, ps_removed *removed)
{
    return run(catalog, &old_jobs, (choice){.old = *which}, removed);
}

ps_status ps_catalog_logs_expire(ps_catalog *catalog, const ps_old *which, ps_removed *removed)
{
    choice c = {.old = *which};
    ps_status st;
    do
        st = change(catalog, "DELETE FROM job_line WHERE job_id IN (" OLD_LOGS ")", &c,
                    &removed->lines);
    while (try_again(catalog, st, &c, removed));
    return st;
}

/* ---- files without a row ---- */

void ps_doomed_free(char ***paths)
{
    if (!*paths)
        return;
    for (char **p = *paths; *p; p++)
        ps_free(p);
    ps_free(paths);
}

ps_status ps_catalog_doomed(ps_catalog *catalog, size_t most, char ***out)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog, "SELECT path FROM doomed_file LIMIT ?1");
    if (st)
        return st;
    ps_stmt_u64(&q, 1, most);
    size_t n = 0;
    char **paths = ps_alloc_array(1, sizeof *paths);
    while ((st = ps_stmt_row(&q)) == PS_OK) {
        paths = ps_realloc(paths, (n + 2) * sizeof *paths);
        paths[n++] = ps_stmt_get_text(&q, 0);
        paths[n] = NULL;
    }
    if (st != PS_END) {
        ps_doomed_free(&paths);
        return ps_stmt_end(&q, st);
    }
    *out = paths;
    return ps_stmt_end(&q, PS_OK);
}

static ps_status change_doomed(ps_catalog *catalog, const char *sql, const char *path)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog, sql);
    if (st)
        return st;
    ps_stmt_text(&q, 1, path);
    return ps_stmt_end(&q, ps_stmt_run(&q));
}

ps_status ps_catalog_doomed_still(ps_catalog *catalog, const char *path, bool *still)
{
    ps_stmt q;
    ps_status st = ps_stmt_begin(&q, catalog, "SELECT 1 FROM doomed_file WHERE path=?1");
    if (st)
        return st;
    ps_stmt_text(&q, 1, path);
    st = ps_stmt_row(&q);
    *still = st == PS_OK;
    return ps_stmt_end(&q, st == PS_END ? PS_OK : st);
}

ps_status ps_catalog_doom(ps_catalog *catalog, const char *path)
{
    return change_doomed(catalog, "INSERT OR IGNORE INTO doomed_file(path) VALUES(?1)", path);
}

ps_status ps_catalog_doomed_gone(ps_catalog *catalog, const char *path)
{
    ps_status st;
    do
        st = change_doomed(catalog, "DELETE FROM doomed_file WHERE path=?1", path);
    while (ps_db_made_room(catalog, st));
    return st;
}
