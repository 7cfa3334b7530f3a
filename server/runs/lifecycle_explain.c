/* What is done for a job of kind explain, which has no parameters: parts that its tasks left go
 * when they are merged, and after a restart the job is told which are there. Parts that cannot be
 * removed are only space: they are told to the log, and go with the job. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/explain/stages.h"
#include "common/loop/off_loop.h"
#include "server/catalog/artifacts.h"
#include "server/runs/lifecycle_internal.h"
#include "server/runs/removal.h"

#include <string.h>

typedef ps_lifecycle_step step;

static bool begins(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

/* all: also what one pass leaves for the next. */
static ps_status remove_parts(const ps_stored_files *files, uint64_t job_id, bool all)
{
    ps_artifact_record **records = NULL;
    ps_removed removed = {0};
    ps_status st = ps_catalog_artifact_list(files->catalog, job_id, &records);
    for (size_t i = 0; !st && records[i]; i++)
        if (begins(records[i]->name, PS_EXPLAIN_PART_PREFIX) ||
            (all && begins(records[i]->name, PS_EXPLAIN_PASS_PREFIX)))
            st = ps_remove_artifact(files, job_id, records[i]->name, &removed);
    ps_artifact_records_free(&records);
    return st;
}

void ps_lifecycle_drop_parts(ps_lifecycle *l, uint64_t job_id, bool all)
{
    if (remove_parts(&l->conf.files, job_id, all))
        ps_log_warning("files", "job %llu: parts of its explanation stay: %s",
                       (unsigned long long)job_id, ps_error_message());
}

/* A worker has said that it left them. PS_INVALID_ARGUMENT: it has not. */
static ps_status check_result(const ps_stored_files *files, uint64_t job_id)
{
    static const char *const names[] = {PS_EXPLAIN_MANIFEST, PS_EXPLAIN_ARRAYS};
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < sizeof names / sizeof *names; i++) {
        ps_artifact_record *found = NULL;
        st = ps_catalog_artifact_get(files->catalog, job_id, names[i], &found);
        ps_artifact_record_free(&found);
        if (st == PS_NOT_FOUND)
            st = ps_fail(PS_INVALID_ARGUMENT,
                         "the task that merges its parts ended without leaving %s", names[i]);
    }
    return st;
}

static void clear_run(ps_off_loop *off)
{
    step *s = ps_container(off, step, off);
    ps_error error;
    ps_status st =
        s->outcome.explained ? check_result(&s->lifecycle->conf.files, s->job_id) : PS_OK;
    ps_error_save(&error, st);
    if (!st)
        ps_lifecycle_drop_parts(s->lifecycle, s->job_id, s->outcome.explained);
    ps_sched_finished(s->lifecycle->sched, s->job_id, st ? &error : NULL);
    ps_lifecycle_step_free(s);
}

void ps_lifecycle_explained_out(ps_lifecycle *l, uint64_t job_id, const ps_job_outcome *outcome)
{
    step *s = ps_lifecycle_step_new(l, job_id);
    ps_lifecycle_step_outcome(s, outcome);
    ps_off_loop_submit(l->conf.loop, &s->off, clear_run);
}

ps_status ps_lifecycle_explained(ps_lifecycle *l, uint64_t job_id, ps_restored *out)
{
    ps_artifact_record **records = NULL;
    ps_status st = ps_catalog_artifact_list(l->conf.files.catalog, job_id, &records);
    for (size_t i = 0; !st && records[i]; i++)
        ps_buf_printf(&out->progress, "%s\n", records[i]->name);
    ps_artifact_records_free(&records);
    return st;
}
