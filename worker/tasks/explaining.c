/* Happy path: the job is parsed and its model loaded already, from the piece before. */
#include "worker/tasks/explaining.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/record/influence.h"
#include "psd/v1/models.pb-c.h"
#include "worker/job/data_digest.h"
#include "worker/remote/transfer.h"
#include "worker/tasks/artifact.h"

#include <inttypes.h>
#include <string.h>

/* Bytes of a part's file at most. */
#define PART_BYTES_MAX ((size_t)PS_EXPLAIN_FILE_MAX + PS_SAFETENSORS_MAX_HEADER + 8)

ps_status ps_explain_task_begin(ps_task_run *run, ps_explain_task *out)
{
    *out = (ps_explain_task){.run = run};
    ps_status st = ps_job_cache_get(run, &out->entry);
    if (st)
        return st;
    out->spec = ps_job_entry_spec(out->entry)->explain;
    if (!out->spec || !ps_explain_stage_at(out->spec, run->task->epoch, &out->stage))
        return ps_fail(PS_INVALID_ARGUMENT, "the job has no stage %u of explaining",
                       (unsigned)run->task->epoch);
    out->n_methods = ps_spec_explain_count(out->spec);
    if (run->task->row_begin > run->task->row_end || run->task->row_end > out->stage.items)
        return ps_fail(PS_INVALID_ARGUMENT, "items %" PRIu64 " to %" PRIu64 " of %" PRIu64,
                       run->task->row_begin, run->task->row_end, out->stage.items);
    return PS_OK;
}

/* Of items that take long the share that is done says nothing: what has been computed does. */
static void say_where(const ps_explain_task *t)
{
    const ps_explaining *x = &t->x;
    const char *method = ps_spec_explain_at(t->spec, x->method)->method;
    if (!ps_task_quiet_long(t->run))
        return;
    if (t->n)
        ps_task_log(t->run, PS_LOG_INFO,
                    "%s is at items %" PRIu64 " to %" PRIu64 " of %" PRIu64 ": %" PRIu64
                    " rows of numbers through the model so far",
                    method, t->first + 1, t->first + t->n, t->stage.items, x->evaluations);
    else
        ps_task_log(t->run, PS_LOG_INFO,
                    "%s goes on: %" PRIu64 " rows of numbers through the model so far", method,
                    x->evaluations);
}

ps_status ps_explain_task_check(void *task)
{
    const ps_explain_task *t = task;
    say_where(t);
    ps_status st = ps_gate_check(t->run->remote->gate);
    if (!st && ps_task_stopping(t->run))
        st = ps_fail(PS_CANCELLED, "the worker is stopping");
    return st;
}

static ps_status open_data(ps_explain_task *t)
{
    const ps_spec_data *data = &ps_job_entry_spec(t->entry)->data;
    ps_dataset *opened = NULL;
    ps_status st = PS_OK;
    if (data->test)
        st = ps_job_entry_data(t->entry, t->run, PS_JOB_TEST_DATA, &opened);
    t->x.test = opened;
    opened = NULL;
    if (!st && data->train)
        st = ps_job_entry_data(t->entry, t->run, PS_JOB_TRAIN_DATA, &opened);
    t->x.train = opened;
    return st;
}

static ps_status fetch_before(ps_explain_task *t)
{
    ps_explain_parts_init(&t->before, t->n_methods);
    if (t->stage.pass == 0)
        return PS_OK;
    ps_explain_parts_free(&t->before);
    return ps_explain_task_fetch_before(t, &t->before);
}

/* ---- files of the job ---- */

static void restart(void *state)
{
    ps_buf *bytes = state;
    bytes->len = 0;
}

static ps_status take(void *state, ps_slice bytes)
{
    ps_buf *all = state;
    if (bytes.len > PART_BYTES_MAX - all->len)
        return ps_fail(PS_OUT_OF_RANGE, "more than %zu bytes", PART_BYTES_MAX);
    ps_buf_append(all, bytes.data, bytes.len);
    return PS_OK;
}

static ps_status download(const ps_explain_task *t, const char *name, ps_buf *out)
{
    Psd__V1__GetArtifactRequest request = PSD__V1__GET_ARTIFACT_REQUEST__INIT;
    request.job_id = t->run->task->job_id;
    request.name = (char *)(uintptr_t)name; /* only read */
    const ps_transfer_sink sink = {.restart = restart, .take = take, .state = out};
    return ps_transfer_download(t->run->remote, "/psd.v1.Models/GetArtifact", &request.base, &sink);
}

/* psd knows which training the job asks about: a worker names its own job. */
static ps_status fetch_record(void *user, ps_buf *out)
{
    return download(user, PS_INFLUENCE_FILE, out);
}

/* ---- checkpoints ---- */

const char *ps_explain_other_version(const Psd__V1__Task *task, const char *name)
{
    for (size_t i = 0; i < task->n_others; i++)
        if (strcmp(task->others[i]->name, name) == 0 && *task->others[i]->version)
            return task->others[i]->version;
    return NULL;
}

static ps_status become(void *user, const ps_spec_explain_checkpoint *checkpoint)
{
    ps_explain_task *t = user;
    char sha256[PS_DIGEST_TEXT] = "";
    const char *name = checkpoint->model,
               *version = ps_explain_other_version(t->run->task, checkpoint->model);
    if (!version)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "psd does not say which version of checkpoint %s it is; is it of an older "
                       "version than this worker?",
                       name);
    const ps_stored_model which = {
        .name = name, .version = version, .job_id = t->run->task->job_id};
    ps_status st = ps_job_entry_become(t->entry, t->run, &which, sha256);
    if (st)
        return ps_wrap(st, "checkpoint %s", name);
    ps_explain_sources_add(&t->checkpoints, PS_EXPLAIN_SOURCE_CHECKPOINT, name, sha256);
    return PS_OK;
}

/* ---- open ---- */

ps_status ps_explain_task_open(ps_explain_task *t)
{
    ps_model *model = NULL;
    ps_status st = ps_job_entry_check(t->entry, t->run);
    if (!st)
        st = open_data(t);
    if (!st)
        st = ps_job_entry_model(t->entry, t->run, &model);
    if (st)
        return st;
    ps_explaining *x = &t->x;
    x->job = ps_job_entry_spec(t->entry);
    x->spec = t->spec;
    x->model_spec = ps_job_entry_model_spec(t->entry);
    x->model = model;
    x->sha256 = ps_job_entry_sha256(t->entry, false);
    x->language = ps_spec_model_is_language(x->model_spec);
    x->inputs = x->language ? x->model_spec->hidden_size : ps_model_inputs(model);
    x->outputs = ps_model_outputs(model);
    x->batch = ps_job_entry_batch(t->entry);
    x->pass = t->stage.pass;
    x->check = ps_explain_task_check;
    x->record = fetch_record;
    x->become = become;
    x->user = t;
    const char *second = ps_spec_explain_second(t->spec);
    if (*second)
        st = ps_explain_second_open(t->run, t->entry, second, &t->second);
    x->other = *second ? &t->second.other : NULL;
    x->baseline = &t->baseline;
    if (!st)
        st = ps_explain_baseline_of(x, &t->baseline);
    if (!st && t->stage.kind == PS_EXPLAIN_STAGE_ROWS && x->test)
        st = ps_selection_make(t->spec, ps_dataset_rows(x->test), &t->selection);
    return st ? st : fetch_before(t);
}

void ps_explain_task_close(ps_explain_task *t)
{
    ps_explain_baseline_free(&t->baseline);
    ps_explain_second_close(&t->second);
    ps_selection_free(&t->selection);
    ps_explain_parts_free(&t->before);
    ps_explain_sources_free(&t->checkpoints);
}

/* ---- files of the job, by name ---- */

ps_status ps_explain_task_fetch(const ps_explain_task *t, const char *name, uint64_t rows,
                                ps_explain_parts *out)
{
    ps_buf bytes = PS_BUF_EMPTY;
    ps_status st = download(t, name, &bytes);
    if (!st)
        st = ps_explain_parts_read(ps_buf_slice(&bytes), t->n_methods, rows, out);
    ps_buf_free(&bytes);
    return st ? ps_wrap(st, "%s", name) : PS_OK;
}

ps_status ps_explain_task_fetch_before(const ps_explain_task *t, ps_explain_parts *out)
{
    char name[PS_EXPLAIN_FILE_NAME];
    PS_REQUIRE(t->stage.pass > 0);
    ps_explain_pass_name(t->stage.pass - 1, name);
    return ps_explain_task_fetch(t, name, ps_spec_explain_items(t->spec), out);
}

static void put_file(const char *path, ps_explain_parts *parts)
{
    char sha256[PS_DIGEST_TEXT];
    if (*path && !ps_data_digest(path, sha256) && *sha256)
        ps_explain_sources_add(&parts->sources, PS_EXPLAIN_SOURCE_DATA, path, sha256);
}

static void put_files(const ps_spec_files *files, ps_explain_parts *parts)
{
    put_file(files->features, parts);
    put_file(files->labels, parts);
    put_file(files->tokens, parts);
}

void ps_explain_task_sources(const ps_explain_task *t, bool computed, ps_explain_parts *parts)
{
    char device[128];
    const ps_worker_env *env = t->run->env;
    const ps_spec_data *data = &ps_job_entry_spec(t->entry)->data;
    const char *own = ps_job_entry_sha256(t->entry, false),
               *its = ps_job_entry_sha256(t->entry, true);
    ps_explain_sources_add(&parts->sources, PS_EXPLAIN_SOURCE_WORKER, env->conf->name,
                           ps_backend_describe(env->backend, device, sizeof device));
    if (!computed)
        return;
    if (*own)
        ps_explain_sources_add(&parts->sources, PS_EXPLAIN_SOURCE_MODEL,
                               t->run->task->model_name[0]
                                   ? t->run->task->model_name
                                   : ps_job_entry_spec(t->entry)->model_name,
                               own);
    if (*its)
        ps_explain_sources_add(&parts->sources, PS_EXPLAIN_SOURCE_OTHER,
                               ps_spec_explain_second(t->spec), its);
    for (size_t i = 0; i < t->checkpoints.n; i++)
        ps_explain_sources_add(&parts->sources, PS_EXPLAIN_SOURCE_CHECKPOINT,
                               t->checkpoints.all[i].name, t->checkpoints.all[i].said);
    if (t->x.test)
        put_files(data->test, parts);
    if (t->x.train)
        put_files(data->train, parts);
}

ps_status ps_explain_spool_write(void *spool, const void *data, size_t len)
{
    ps_spool *s = spool;
    ps_buf_append(&s->pending, data, len);
    return ps_spool_step(s);
}

ps_status ps_explain_task_fits(const ps_explain_task *t, const ps_explain_parts *parts)
{
    size_t method;
    ps_status st = ps_explain_parts_fit(parts, &method);
    if (!st)
        return PS_OK;
    return method < t->n_methods
               ? ps_wrap(st, "method %s", ps_spec_explain_at(t->spec, method)->method)
               : ps_wrap(st, "explain.rows.show");
}

ps_status ps_explain_task_leave(const ps_explain_task *t, const char *name,
                                const ps_explain_parts *parts, Psd__V1__TaskResult *result)
{
    ps_spool spool = PS_SPOOL(&ps_disk_system);
    const ps_safetensors_sink sink = {.write = ps_explain_spool_write, .state = &spool};
    PS_REQUIRE(parts->n_methods == t->n_methods);
    ps_status st = ps_explain_task_fits(t, parts);
    if (!st)
        st = ps_explain_parts_write(parts, sink);
    if (!st)
        st = ps_artifact_leave(t->run, name, &spool, result);
    ps_spool_free(&spool);
    return st;
}
