/* Happy path: rows, then files. A file that cannot be removed stays on the list, and the next call
 * tries it again. */
#include "server/runs/removal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/loop/loop.h"

/* A missing one went before a crash. The lock is held for one file, and not over the catalog's
 * write, so that whoever opens files meanwhile waits for little; one that has got its row since it
 * was listed stays. */
static ps_status remove_file(const ps_stored_files *files, const char *path)
{
    bool still = false;
    char *full = ps_stored_file_full(files, path);
    ps_stored_files_lock();
    ps_status st = ps_catalog_doomed_still(files->catalog, path, &still);
    if (!st && still)
        st = files->disk->unlink(files->disk->state, full);
    ps_stored_files_unlock();
    ps_free(&full);
    if (st == PS_NOT_FOUND)
        st = PS_OK;
    return st || !still ? st : ps_catalog_doomed_gone(files->catalog, path);
}

/* Those whose rows are gone. One that stays does not keep the others; the first failure is told. */
static ps_status remove_doomed(const ps_stored_files *files, bool *more)
{
    PS_REQUIRE(!ps_stored_files_are_locked()); /* it takes the lock for each file */
    char **paths = NULL;
    ps_error first = {0};
    ps_status st = ps_catalog_doomed(files->catalog, PS_REMOVE_AT_ONCE, &paths);
    if (st)
        return st;
    size_t n = 0;
    for (; paths[n]; n++) {
        st = remove_file(files, paths[n]);
        if (st && !first.code)
            ps_error_save(&first, st);
    }
    *more |= !first.code && n == PS_REMOVE_AT_ONCE;
    ps_doomed_free(&paths);
    return first.code ? ps_error_raise(&first) : PS_OK;
}

/* The answer is that of the rows: they are what counts. */
static ps_status finish(const ps_stored_files *files, ps_status st)
{
    bool more = false;
    if (!st && remove_doomed(files, &more))
        ps_log_warning("files", "no longer needed, but stays for now: %s", ps_error_message());
    return st;
}

ps_status ps_remove_artifact(const ps_stored_files *files, uint64_t job_id, const char *name,
                             ps_removed *removed)
{
    ps_loop_require_off();
    ps_stored_files_lock();
    ps_status st = ps_catalog_artifact_delete(files->catalog, job_id, name, removed);
    ps_stored_files_unlock();
    return finish(files, st);
}

ps_status ps_remove_job(const ps_stored_files *files, uint64_t job_id, ps_removed *removed)
{
    ps_loop_require_off();
    ps_stored_files_lock();
    ps_status st = ps_catalog_job_delete(files->catalog, job_id, removed);
    ps_stored_files_unlock();
    return finish(files, st);
}

/* ---- what is old ---- */

typedef ps_status (*expire_fn)(ps_catalog *catalog, const ps_old *which, ps_removed *removed);

static ps_status expire(const ps_stored_files *files, expire_fn rows, const char *owner,
                        uint64_t age_ms, ps_removed *removed)
{
    ps_stored_files_require_locked();
    int64_t now = ps_clock_wall_ms(&files->clock);
    if (age_ms >= (uint64_t)now)
        return PS_OK;
    /* what is exactly so old goes, too */
    const ps_old which = {
        .before_ms = now - (int64_t)age_ms + 1, .owner = owner, .most = PS_REMOVE_AT_ONCE};
    return rows(files->catalog, &which, removed);
}

/* A pass was cut at PS_REMOVE_AT_ONCE, or may have been. */
static bool full(const ps_removed *before, const ps_removed *now)
{
    return now->some || now->jobs - before->jobs >= PS_REMOVE_AT_ONCE ||
           now->artifacts - before->artifacts >= PS_REMOVE_AT_ONCE;
}

ps_status ps_prune(const ps_stored_files *files, const char *owner, uint64_t age_ms,
                   bool artifacts_only, ps_removed *removed, bool *more)
{
    ps_loop_require_off();
    const ps_removed before = *removed;
    ps_stored_files_lock();
    ps_status st =
        expire(files, artifacts_only ? ps_catalog_artifacts_expire : ps_catalog_jobs_expire, owner,
               age_ms, removed);
    ps_stored_files_unlock();
    *more = !st && full(&before, removed);
    return finish(files, st);
}

ps_status ps_retention_pass(const ps_stored_files *files, const ps_retention *r,
                            ps_removed *removed, bool *more)
{
    ps_loop_require_off();
    const struct {
        uint64_t age_ms;
        expire_fn rows;
    } kinds[] = {{r->artifacts_ms, ps_catalog_artifacts_expire},
                 {r->logs_ms, ps_catalog_logs_expire},
                 {r->jobs_ms, ps_catalog_jobs_expire}};
    const ps_removed before = *removed;
    ps_status st = PS_OK;
    *more = false;
    ps_stored_files_lock();
    for (size_t i = 0; !st && i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].age_ms)
            st = expire(files, kinds[i].rows, NULL, kinds[i].age_ms, removed);
    ps_stored_files_unlock();
    *more = !st && full(&before, removed);
    ps_error error; /* of the rows; files that go may be what they need */
    ps_error_save(&error, st);
    ps_status gone = remove_doomed(files, more);
    return st ? ps_error_raise(&error) : gone;
}
