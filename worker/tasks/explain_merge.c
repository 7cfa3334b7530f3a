/* explain_merge: what the tasks of a pass have left, read in the order of items and put together;
 * each method then finishes what needs all of it. Of the last pass the arrays and the manifest are
 * left, of another what the next one begins with. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/explain/manifest.h"
#include "worker/job/job_model.h"
#include "worker/task/result.h"
#include "worker/tasks/artifact.h"
#include "worker/tasks/explaining.h"
#include "worker/tasks/manifest_of.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>

typedef struct merging {
    ps_explain_task task;
    ps_explain_parts all;
} merging;

/* ---- reading ---- */

/* Rows: one an item at most. */
static ps_status merge_one(merging *m, const ps_explain_stage *stage, uint64_t begin)
{
    char name[PS_EXPLAIN_FILE_NAME];
    ps_explain_parts part;
    uint64_t left = stage->items - begin;
    uint64_t rows = left < stage->per_piece ? left : stage->per_piece;
    ps_explain_part_name(stage->number, begin, name);
    ps_status st = ps_gate_check(m->task.run->remote->gate);
    if (!st)
        st = ps_explain_task_fetch(&m->task, name, rows, &part);
    if (st)
        return st;
    st = ps_explain_parts_merge(&m->all, &part);
    return st ? ps_wrap(st, "%s", name) : PS_OK;
}

static ps_status merge_stage(merging *m, const ps_explain_stage *stage)
{
    ps_status st = PS_OK;
    for (uint64_t begin = 0; !st && begin < stage->items; begin += stage->per_piece)
        st = merge_one(m, stage, begin);
    return st;
}

/* What stands of the rows comes with the first pass. */
static ps_status merge_before(merging *m)
{
    ps_explain_parts before;
    if (m->task.stage.pass == 0)
        return PS_OK;
    ps_status st = ps_explain_task_fetch_before(&m->task, &before);
    if (st)
        return st;
    ps_explain_parts *all = &m->all;
    for (size_t i = 0; i < all->n_methods; i++) /* of those that are over it is the result */
        if (ps_spec_explain_row(m->task.spec, i)->passes > m->task.stage.pass)
            ps_explain_part_free(&before.methods[i]);
    return ps_explain_parts_merge(all, &before);
}

static ps_status merge_all(merging *m)
{
    ps_explain_stage stage;
    ps_status st = merge_before(m);
    for (unsigned i = 0; !st && i < m->task.stage.number; i++)
        if (ps_explain_stage_at(m->task.spec, i, &stage) && stage.pass == m->task.stage.pass)
            st = merge_stage(m, &stage);
    return st;
}

static ps_status finish_all(merging *m)
{
    ps_explaining *x = &m->task.x;
    ps_status st = PS_OK;
    x->job = ps_job_entry_spec(m->task.entry);
    x->spec = m->task.spec;
    x->model_spec = ps_job_entry_model_spec(m->task.entry);
    x->language = ps_spec_model_is_language(x->model_spec);
    x->pass = m->task.stage.pass;
    x->check = ps_explain_task_check;
    x->user = &m->task;
    for (size_t i = 0; !st && i < m->task.n_methods; i++) {
        const ps_spec_explain_method *spec = ps_spec_explain_at(m->task.spec, i);
        const ps_explain_method *method = ps_explain_method_find(spec->method);
        PS_REQUIRE(method);
        x->method = i;
        if (method->finish && ps_spec_explain_row(m->task.spec, i)->passes > m->task.stage.pass)
            st = method->finish(x, spec, &m->all.methods[i]);
        if (st)
            st = ps_wrap(st, "method %s", method->name);
    }
    return st;
}

/* What psd knows of data.train, which is not in it. */
static void note(merging *m)
{
    const char *note = m->task.run->task->note;
    for (size_t i = 0; note && *note && i < m->task.n_methods; i++)
        if (ps_spec_explain_row(m->task.spec, i)->traits & PS_EXPLAIN_TRAIN)
            ps_explain_warn(&m->all.methods[i], "%s", note);
}

/* ---- what is left ---- */

static ps_status leave_manifest(merging *m, const ps_explanation *manifest,
                                Psd__V1__TaskResult *result)
{
    ps_spool spool = PS_SPOOL(&ps_disk_system);
    ps_explanation_write(manifest, &spool.pending);
    ps_buf_putc(&spool.pending, '\n');
    ps_status st = ps_spool_step(&spool);
    if (!st)
        st = ps_artifact_leave(m->task.run, PS_EXPLAIN_MANIFEST, &spool, result);
    ps_spool_free(&spool);
    return st;
}

static ps_status leave_arrays(merging *m, Psd__V1__TaskResult *result)
{
    ps_spool spool = PS_SPOOL(&ps_disk_system);
    const ps_safetensors_sink sink = {.write = ps_explain_spool_write, .state = &spool};
    ps_status st = ps_explanation_arrays(m->task.spec, &m->all, sink);
    if (!st)
        st = ps_artifact_leave(m->task.run, PS_EXPLAIN_ARRAYS, &spool, result);
    ps_spool_free(&spool);
    return st;
}

/* Lines for those who follow the job: what they should know before they read the rest. */
static void warn(merging *m, const ps_explanation *manifest)
{
    for (size_t i = 0; i < manifest->n_warnings; i++)
        ps_task_log(m->task.run, PS_LOG_WARNING, "%s", manifest->warnings[i]);
}

static ps_status leave_result(merging *m, Psd__V1__TaskResult *result)
{
    const Psd__V1__Task *task = m->task.run->task;
    const char *version = m->task.run->env->version;
    const ps_spec_model *model = ps_job_entry_model_spec(m->task.entry);
    const ps_model_config config = ps_job_model_config(model);
    ps_model_layout layout;
    ps_explanation manifest;
    ps_status st = ps_model_describe(&config, &layout);
    if (st)
        return st;
    note(m);
    ps_explanation_make(&(ps_explanation_of){.job = ps_job_entry_spec(m->task.entry),
                                             .model = model,
                                             .job_id = task->job_id,
                                             .version = task->model_version,
                                             .other_version = task->teacher_version,
                                             .task = task,
                                             .job_file = task->spec,
                                             .psd_version = version ? version : "",
                                             .parts = &m->all,
                                             .layout = &layout},
                        &manifest);
    ps_model_layout_free(&layout);
    st = leave_arrays(m, result);
    if (!st)
        st = leave_manifest(m, &manifest, result);
    if (!st) {
        warn(m, &manifest);
        ps_result_metric(result, "samples", (double)manifest.n_rows);
        ps_result_metric(result, "left_out", (double)manifest.left_out);
        ps_result_metric(result, "warnings", (double)manifest.n_warnings);
    }
    ps_explanation_free(&manifest);
    return st;
}

static ps_status leave_pass(merging *m, Psd__V1__TaskResult *result)
{
    char name[PS_EXPLAIN_FILE_NAME];
    ps_explain_pass_name(m->task.stage.pass, name);
    return ps_explain_task_leave(&m->task, name, &m->all, result);
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    merging m = {.task = {.run = run}};
    ps_status st = ps_explain_task_begin(run, &m.task);
    if (st)
        return st;
    if (m.task.stage.kind != PS_EXPLAIN_STAGE_MERGE)
        return ps_fail(PS_INVALID_ARGUMENT, "the stage is not one that merges");
    ps_explain_parts_init(&m.all, m.task.n_methods);
    st = merge_all(&m);
    if (!st)
        st = finish_all(&m);
    if (!st)
        ps_explain_task_sources(&m.task, false, &m.all);
    if (!st)
        st = m.task.stage.last ? leave_result(&m, result) : leave_pass(&m, result);
    ps_explain_parts_free(&m.all);
    ps_explain_task_close(&m.task);
    return st;
}

const ps_worker_kind ps_worker_kind_explain_merge = {.name = "explain_merge", .run = run_task};
