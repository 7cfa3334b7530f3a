/* explain: why a stored model answers as it does. The job goes through its stages
 * (common/explain/stages.h): the pieces of one are given out to whoever is there, each leaves a
 * part with psd, and when all are there one task merges them.
 *
 *    pieces ──▶ merge ──▶ clearing: its parts go ──▶ the next pass's pieces … ──▶ done
 *
 * A worker that is lost costs its piece, and one that says it is done and has left no part. After a
 * restart of psd the parts that are there count as done; nothing else has to be remembered.
 *
 * Fails besides: the model lacks what the job asks of it (at submission). */
#include "common/base/mem.h"
#include "common/explain/stages.h"
#include "server/sched/finish.h"
#include "server/sched/job.h"
#include "server/sched/kinds/epoch_rows.h"
#include "server/sched/kinds/kinds.h"
#include "server/sched/kinds/model_job.h"
#include "server/sched/kinds/result.h"
#include "server/sched/kinds/retry.h"
#include "server/sched/send.h"
#include "server/sched/worker.h"

#include <stdio.h>
#include <string.h>

typedef struct explaining {
    ps_explain_stage stage;
    ps_epoch_rows rows; /* of the stage, as one epoch */
    char *there;        /* names of artifacts that a restart found, a line each; NULL: none */
    uint64_t done;      /* items of stages before */
    char *result;       /* of the last merge, until its parts are gone */
} explaining;

static const ps_task_kind piece_task, merge_task;

/* ---- stages ---- */

static void enter_stage(ps_job *job, const ps_explain_stage *stage)
{
    explaining *w = job->work;
    w->stage = *stage;
    ps_epoch_rows_free(&w->rows);
    ps_epoch_rows_init(&w->rows, stage->items, 1, stage->per_piece, false);
    if (stage->kind == PS_EXPLAIN_STAGE_MERGE && stage->number > 0)
        ps_job_say(job, PS_LOG_INFO, "psd", "what was computed is put together");
}

static uint64_t items_of_all(const ps_job *job)
{
    ps_explain_stage stage;
    uint64_t n = 0;
    for (unsigned i = 0; ps_explain_stage_at(job->spec->explain, i, &stage); i++)
        n += stage.kind == PS_EXPLAIN_STAGE_MERGE ? 0 : stage.items;
    return n;
}

static void begin(ps_job *job, char *there)
{
    PS_REQUIRE(!job->work);
    ps_explain_stage first;
    explaining *w = ps_new(explaining);
    job->work = w;
    w->there = there;
    PS_REQUIRE(ps_explain_stage_at(job->spec->explain, 0, &first));
    enter_stage(job, &first);
    job->record->progress.samples_total = items_of_all(job);
    if (*job->file->note)
        ps_job_say(job, PS_LOG_WARNING, "psd", "%s", job->file->note);
}

static void start(ps_job *job)
{
    ps_core_require_locked(job->sched);
    begin(job, NULL);
}

static void free_work(void *work)
{
    explaining *w = work;
    ps_epoch_rows_free(&w->rows);
    ps_free(&w->there);
    ps_free(&w->result);
    ps_free(&w);
}

/* ---- after a restart ---- */

static bool is_there(const explaining *w, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = w->there; at && *at; at = strchr(at, '\n') + 1)
        if (!strncmp(at, name, len) && at[len] == '\n')
            return true;
    return false;
}

/* The stage behind the last merge of which the result is there. */
static void skip_passes(ps_job *job)
{
    explaining *w = job->work;
    ps_explain_stage stage;
    char name[PS_EXPLAIN_FILE_NAME];
    uint64_t done = 0;
    for (unsigned i = 0; ps_explain_stage_at(job->spec->explain, i, &stage); i++) {
        ps_explain_stage next;
        done += stage.kind == PS_EXPLAIN_STAGE_MERGE ? 0 : stage.items;
        ps_explain_pass_name(stage.pass, name);
        if (stage.kind != PS_EXPLAIN_STAGE_MERGE || !is_there(w, name) ||
            !ps_explain_stage_at(job->spec->explain, i + 1, &next))
            continue;
        w->done = done;
        enter_stage(job, &next);
    }
}

/* names: of the job's artifacts, a line each (runs/lifecycle_explain.c). */
static ps_status load(ps_job *job, ps_slice names)
{
    ps_core_require_locked(job->sched);
    if (names.len && names.data[names.len - 1] != '\n')
        return ps_fail(PS_CORRUPT, "names of artifacts that do not end");
    char *there = ps_alloc(names.len + 1);
    if (names.len)
        memcpy(there, names.data, names.len);
    begin(job, there);
    skip_passes(job);
    return PS_OK;
}

/* ---- giving tasks ---- */

static void complete_stage(ps_job *job);

/* A part that an earlier psd has received. */
static bool have_part(const explaining *w, const ps_row_range *piece)
{
    char name[PS_EXPLAIN_FILE_NAME];
    ps_explain_part_name(w->stage.number, piece->begin, name);
    return w->stage.kind != PS_EXPLAIN_STAGE_MERGE && w->there && is_there(w, name);
}

static bool next(ps_job *job, ps_worker *worker, ps_lease *task)
{
    ps_core_require_locked(job->sched);
    explaining *w = job->work;
    ps_row_range piece;
    if (job->waiting)
        return false;
    for (;;) {
        const ps_task_kind *kind =
            w->stage.kind == PS_EXPLAIN_STAGE_MERGE ? &merge_task : &piece_task;
        if (!ps_worker_does(worker, kind))
            return false;
        if (ps_epoch_rows_take(&w->rows, worker->name, ps_worker_others(worker, job->sched, kind),
                               true, ps_core_now(job->sched), &piece))
            return false;
        if (!have_part(w, &piece)) {
            task->kind = kind;
            task->piece = piece;
            task->piece.epoch = w->stage.number;
            return true;
        }
        ps_epoch_rows_done(&w->rows, 0, piece.end - piece.begin);
        if (ps_epoch_rows_all_done(&w->rows))
            complete_stage(job);
    }
}

/* ---- what becomes of them ---- */

static void progress(ps_job *job, ps_lease *lease, const ps_task_report *report)
{
    ps_core_require_locked(job->sched);
    ps_meter_rows(&job->meter, ps_core_now(job->sched), report->samples);
    ps_job_changed(job);
}

static void complete_stage(ps_job *job)
{
    explaining *w = job->work;
    ps_explain_stage after;
    bool follows = ps_explain_stage_at(job->spec->explain, w->stage.number + 1, &after);
    if (w->stage.kind == PS_EXPLAIN_STAGE_MERGE) {
        ps_finish_begin(job, &(ps_job_outcome){.explains = true, .explained = w->stage.last});
        return;
    }
    PS_REQUIRE(follows); /* a merge */
    w->done += w->stage.items;
    enter_stage(job, &after);
}

/* The parts of a pass are gone. */
static void answered(ps_job *job)
{
    ps_core_require_locked(job->sched);
    explaining *w = job->work;
    ps_explain_stage after;
    PS_REQUIRE(w->stage.kind == PS_EXPLAIN_STAGE_MERGE);
    if (ps_explain_stage_at(job->spec->explain, w->stage.number + 1, &after))
        enter_stage(job, &after);
    else
        ps_job_move(job, PS_JOB_DONE, "", w->result);
}

static void back(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_core_require_locked(job->sched);
    explaining *w = job->work;
    bool again = ps_task_retry(job, lease, failed, message);
    ps_row_range piece = lease->piece;
    if (!again || piece.epoch != w->stage.number)
        return;
    piece.epoch = 0;
    ps_epoch_rows_back(&w->rows, &piece);
}

/* Does the result list it? The catalog, which knows, is on a disk: of the last merge it is asked
 * before the job is done (runs/lifecycle_explain.c), of a part by whoever merges it. */
static bool has_left(const ps_task_result *result, const char *name)
{
    for (size_t i = 0; i < result->n_artifacts; i++)
        if (!strcmp(result->artifacts[i], name))
            return true;
    return false;
}

/* The first of the files of a task that it has not left; NULL: they are all there. */
static const char *missing(const explaining *w, const ps_lease *lease, const ps_task_result *result,
                           char name[PS_EXPLAIN_FILE_NAME])
{
    if (w->stage.kind == PS_EXPLAIN_STAGE_MERGE && w->stage.last)
        return !has_left(result, PS_EXPLAIN_ARRAYS)     ? PS_EXPLAIN_ARRAYS
               : !has_left(result, PS_EXPLAIN_MANIFEST) ? PS_EXPLAIN_MANIFEST
                                                        : NULL;
    if (w->stage.kind == PS_EXPLAIN_STAGE_MERGE)
        ps_explain_pass_name(w->stage.pass, name);
    else
        ps_explain_part_name(w->stage.number, lease->piece.begin, name);
    return has_left(result, name) ? NULL : name;
}

/* A task of this stage that has left what it was to leave; another is given back. */
static bool counts(ps_job *job, ps_lease *lease, const ps_task_result *result)
{
    const explaining *w = job->work;
    char name[PS_EXPLAIN_FILE_NAME], message[PS_EXPLAIN_FILE_NAME + 32];
    if (lease->piece.epoch != w->stage.number)
        return false; /* nobody waits for it */
    const char *lacks = missing(w, lease, result, name);
    if (!lacks)
        return true;
    (void)snprintf(message, sizeof message, "it has not left %s", lacks);
    back(job, lease, true, message);
    return false;
}

static void end_piece(ps_job *job, const ps_lease *lease)
{
    explaining *w = job->work;
    ps_epoch_rows_done(&w->rows, 0, lease->piece.end - lease->piece.begin);
    if (ps_epoch_rows_all_done(&w->rows))
        complete_stage(job);
    ps_job_changed(job);
}

static void piece_done(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    ps_core_require_locked(job->sched);
    if (counts(job, lease, result))
        end_piece(job, lease);
}

static void merge_done(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    ps_core_require_locked(job->sched);
    explaining *w = job->work;
    ps_job_progress *p = &job->record->progress;
    uint64_t samples;
    ps_buf json = PS_BUF_EMPTY;
    if (!counts(job, lease, result))
        return;
    if (w->stage.last && ps_task_result_count(result, "samples", &samples))
        p->samples = p->samples_total = w->done = samples;
    ps_result_said(result, ps_model_job_seconds(job), &json);
    ps_free(&w->result);
    w->result = ps_strdup(ps_buf_cstr(&json));
    ps_buf_free(&json);
    end_piece(job, lease);
}

static void show(ps_job *job)
{
    ps_core_require_locked(job->sched);
    const explaining *w = job->work;
    ps_job_progress *p = &job->record->progress;
    p->samples = w->done +
                 (w->stage.kind == PS_EXPLAIN_STAGE_MERGE ? 0 : ps_epoch_rows_count_done(&w->rows));
}

static void fill_merge(const ps_lease *lease, ps_parcel *parcel)
{
    parcel->task.note = lease->job->file->note;
}

static const ps_task_kind piece_task = {.name = "explain",
                                        .phrase = "an explain task",
                                        .progress = progress,
                                        .done = piece_done,
                                        .back = back};
static const ps_task_kind merge_task = {.name = "explain_merge",
                                        .phrase = "an explain_merge task",
                                        .also = "explain",
                                        .fill = fill_merge,
                                        .progress = progress,
                                        .done = merge_done,
                                        .back = back};

const ps_job_kind ps_job_kind_explain = {.name = "explain",
                                         .task = &piece_task,
                                         .inference = true,
                                         .start = start,
                                         .free = free_work,
                                         .next = next,
                                         .answered = answered,
                                         .show = show,
                                         .load = load};
