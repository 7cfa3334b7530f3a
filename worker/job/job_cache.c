/* A few entries, searched in a line. A job's push sequence must never go back while this process
 * lives (its incarnation does not change), so the counters outlive the entries. */
#include "worker/job/job_cache.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/one_thread.h"
#include "common/base/require.h"
#include "common/conf/job_stages.h"
#include "common/explain/memory.h"
#include "worker/job/job_entry.h"
#include "worker/job/job_model.h"
#include "worker/job/served_model.h"
#include "worker/job/stored_model.h"

#include <inttypes.h>
#include <string.h>

enum { BATCH_ROWS = 256, BATCH_SEQUENCES = 4, BATCH_TEXTS = 16 }; /* of jobs that do not train */

typedef struct sequence {
    struct sequence *next;
    uint64_t job_id;
    uint64_t last;
} sequence;

struct ps_job_cache {
    ps_one_thread mine;
    ps_job_entry entries[PS_JOB_CACHE_ENTRIES];
    uint64_t uses;
    sequence *sequences;
};

void ps_job_cache_create(ps_job_cache **out)
{
    *out = ps_new(ps_job_cache);
}

static void entry_clear(ps_job_entry *e)
{
    ps_free(&e->note);
    if (e->kept.what)
        e->kept.free(&e->kept.what);
    ps_exchange_close(&e->exchange);
    ps_model_free(&e->model);
    ps_model_free(&e->beside);
    ps_teacher_free(&e->teacher);
    ps_frozen_free(&e->frozen);
    for (int i = 0; i < PS_JOB_DATA_COUNT; i++)
        if (e->data[i])
            ps_dataset_close(&e->data[i]);
    if (e->spec)
        ps_job_spec_free(&e->spec);
    if (e->stored)
        ps_spec_model_free(&e->stored);
    ps_free(&e->text);
    ps_free(&e->model_name);
    ps_free(&e->model_config);
    ps_free(&e->model_version);
    ps_free(&e->settled);
    ps_free(&e->forms);
    ps_free(&e->holds);
    *e = (ps_job_entry){0};
}

void ps_job_cache_free(ps_job_cache **cache)
{
    ps_job_cache *c = *cache;
    if (!c)
        return;
    ps_job_cache_clear(c);
    while (c->sequences) {
        sequence *s = c->sequences;
        c->sequences = s->next;
        ps_free(&s);
    }
    ps_free(cache);
}

static sequence *sequence_of(ps_job_cache *c, uint64_t job_id)
{
    for (sequence *s = c->sequences; s; s = s->next)
        if (s->job_id == job_id)
            return s;
    sequence *s = ps_new(sequence);
    *s = (sequence){.next = c->sequences, .job_id = job_id};
    c->sequences = s;
    return s;
}

static ps_status entry_fill(ps_job_entry *e, ps_task_run *run)
{
    const Psd__V1__Task *task = run->task;
    e->text = ps_strdup(task->spec);
    e->model_name = ps_strdup(task->model_name);
    e->model_config = ps_strdup(task->model_config);
    e->model_version = ps_strdup(task->model_version);
    e->settled = ps_strdup(task->settled_model);
    ps_status st =
        ps_job_spec_parse_from(ps_slice_str(task->spec), "job file", task->model_config, &e->spec);
    e->stage = task->stage;
    if (!st)
        st = ps_job_spec_stage(e->spec, task->stage, task->model_config);
    if (!st && !e->spec->model && *task->model_config)
        st = ps_spec_model_parse(ps_slice_str(task->model_config), "stored model", &e->stored);
    if (!st && !e->stored && !e->spec->model)
        st =
            ps_fail(PS_INVALID_ARGUMENT, "the task names neither a model nor a stored one's shape");
    if (!st && *task->settled_model)
        st = ps_job_spec_settle(e->spec, ps_slice_str(task->settled_model));
    if (!st && e->spec->distil)
        st = ps_teacher_create(run, &e->teacher);
    if (!st && e->spec->data.activations)
        st = ps_frozen_create(run, e->spec, ps_job_entry_model_spec(e), &e->frozen);
    if (st)
        return st;
    e->job_id = task->job_id;
    e->remote = run->remote;
    e->sequence = sequence_of(run->cache, task->job_id);
    return PS_OK;
}

static bool entry_is(const ps_job_entry *e, const Psd__V1__Task *task)
{
    return e->job_id == task->job_id && e->stage == task->stage && !strcmp(e->text, task->spec) &&
           !strcmp(e->model_name, task->model_name) &&
           !strcmp(e->model_config, task->model_config) &&
           !strcmp(e->model_version, task->model_version) &&
           !strcmp(e->settled, task->settled_model);
}

ps_job_entry *ps_job_cache_find(ps_job_cache *c, const Psd__V1__Task *task)
{
    ps_one_thread_require(&c->mine);
    for (int i = 0; i < PS_JOB_CACHE_ENTRIES; i++)
        if (c->entries[i].job_id && entry_is(&c->entries[i], task))
            return &c->entries[i];
    return NULL;
}

ps_status ps_job_cache_get(ps_task_run *run, ps_job_entry **out)
{
    ps_job_cache *c = run->cache;
    PS_REQUIRE(c);
    ps_one_thread_require(&c->mine);
    ps_job_entry *oldest = &c->entries[0], *found = ps_job_cache_find(c, run->task);
    if (found) {
        found->used = ++c->uses;
        *out = found;
        return PS_OK;
    }
    for (int i = 0; i < PS_JOB_CACHE_ENTRIES; i++)
        if (c->entries[i].used < oldest->used)
            oldest = &c->entries[i];
    entry_clear(oldest);
    ps_status st = entry_fill(oldest, run);
    if (st) {
        entry_clear(oldest);
        return st;
    }
    oldest->used = ++c->uses;
    *out = oldest;
    return PS_OK;
}

void ps_job_cache_clear(ps_job_cache *c)
{
    ps_one_thread_require(&c->mine);
    for (int i = 0; i < PS_JOB_CACHE_ENTRIES; i++)
        entry_clear(&c->entries[i]);
}

static bool entry_failed(const ps_job_entry *e)
{
    return (e->model && ps_stream_failed(ps_model_stream(e->model))) ||
           (e->beside && ps_stream_failed(ps_model_stream(e->beside))) ||
           (e->teacher && ps_teacher_failed(e->teacher)) ||
           (e->frozen && ps_frozen_failed(e->frozen)) ||
           (e->exchange && ps_exchange_failed(e->exchange));
}

bool ps_job_cache_mend(ps_job_cache *c)
{
    ps_one_thread_require(&c->mine);
    bool some = false;
    for (int i = 0; i < PS_JOB_CACHE_ENTRIES; i++)
        if (entry_failed(&c->entries[i])) {
            entry_clear(&c->entries[i]);
            some = true;
        }
    return some;
}

const ps_job_spec *ps_job_entry_spec(const ps_job_entry *e)
{
    return e->spec;
}

const ps_spec_model *ps_job_entry_model_spec(const ps_job_entry *e)
{
    return e->stored ? e->stored : e->spec->model;
}

ps_status ps_job_entry_settle(ps_job_entry *e, const char *model)
{
    ps_status st = ps_job_spec_settle(e->spec, ps_slice_str(model));
    if (st)
        return st;
    ps_free(&e->settled);
    e->settled = ps_strdup(model);
    return PS_OK;
}

bool ps_job_entry_stored(const ps_job_entry *e)
{
    return e->stored != NULL;
}

void **ps_job_entry_note(ps_job_entry *e)
{
    return &e->note;
}

ps_job_kept *ps_job_entry_kept(ps_job_entry *e)
{
    return &e->kept;
}

size_t ps_job_entry_batch(const ps_job_entry *e)
{
    if (e->spec->train)
        return (size_t)e->spec->train->batch_size;
    if (e->spec->explain)
        return (size_t)ps_explain_batch(e->spec->explain, ps_job_entry_model_spec(e));
    if (ps_spec_model_is_encoder(ps_job_entry_model_spec(e)))
        return BATCH_TEXTS;
    return ps_spec_model_is_language(ps_job_entry_model_spec(e)) ? BATCH_SEQUENCES : BATCH_ROWS;
}

/* ---- the model and its parameters ---- */

static const char *name_of(const ps_job_entry *e)
{
    return *e->model_name ? e->model_name : e->spec->model_name;
}

ps_stored_model ps_job_entry_stored_model(const ps_job_entry *e)
{
    PS_REQUIRE(e->stored);
    return (ps_stored_model){.name = name_of(e), .version = e->model_version, .job_id = e->job_id};
}

ps_status ps_job_entry_check(ps_job_entry *e, ps_task_run *run)
{
    if (!e->stored || e->checked)
        return PS_OK;
    ps_model_config config = ps_job_model_config(e->stored);
    const ps_stored_model which = ps_job_entry_stored_model(e);
    ps_status st = ps_stored_model_check(run->remote, &which, &config, &e->forms);
    e->checked = !st;
    return st;
}

ps_status ps_job_entry_check_teacher(ps_job_entry *e, ps_task_run *run)
{
    return e->teacher ? ps_teacher_check(e->teacher, run, e->spec) : PS_OK;
}

/* Tokens of the longest row; 0: as many as the model can take. What is explained is a row of the
 * data or a prompt, or a row that a method has by itself. */
static int64_t max_length(const ps_job_entry *e)
{
    const ps_spec_explain *explain = e->spec->explain;
    int64_t rows = e->spec->data.sequence_length;
    if (!explain || !ps_spec_model_is_language(ps_job_entry_model_spec(e)))
        return rows;
    int64_t own = ps_spec_explain_own_longest(explain, ps_job_entry_model_spec(e)->context_length);
    if (explain->n_prompts)
        rows = ps_spec_explain_longest(explain);
    else if (!rows && (e->spec->data.test || e->spec->data.train))
        return 0;
    return own > rows ? own : rows;
}

/* Dropout differs from job to job, and from one start of a worker to the next. What is said of a
 * stored model in a form is the same whichever machine says it: exact. */
static ps_model_options model_options(const ps_job_entry *e)
{
    const ps_spec_train *train = e->spec->train;
    const ps_spec_explain *explain = e->spec->explain;
    return (ps_model_options){.max_batch = (int64_t)ps_job_entry_batch(e),
                              .max_length = max_length(e),
                              .inference = e->stored != NULL && !explain,
                              .explain = explain != NULL,
                              .forms = explain ? NULL : e->forms,
                              .exact = true,
                              .bf16 = train && train->precision == PS_SPEC_BF16,
                              .recompute = train && train->recompute,
                              .seed = train ? (uint64_t)train->seed ^ e->sequence->last : 0};
}

static uint64_t activations(const ps_job_entry *e)
{
    return e->spec->explain ? ps_explain_activations(e->spec, ps_job_entry_model_spec(e)) : 0;
}

ps_status ps_job_entry_base(ps_job_entry *e, ps_task_run *run, ps_model **out, const char **sha256)
{
    *out = NULL;
    *sha256 = "";
    if (!ps_spec_model_is_lens(ps_job_entry_model_spec(e)))
        return PS_OK;
    if (!e->frozen)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "a tuned_lens is read out by its base, which data.format activations names");
    ps_status st = ps_frozen_base(e->frozen, run, out);
    *sha256 = ps_frozen_sha256(e->frozen);
    return st;
}

/* Of a model that the job trains a part of, or adapters beside, the rest is a stored one's. */
static ps_status load(ps_job_entry *e, ps_task_run *run, ps_model *model)
{
    const ps_stored_model adapted = {
        .name = e->spec->initialize_from, .version = e->model_version, .job_id = e->job_id};
    const ps_stored_model which = e->stored ? ps_job_entry_stored_model(e) : adapted;
    return e->stored && !e->spec->explain
               ? ps_stored_model_load(run->remote, &which, e->forms, model)
               : ps_stored_model_load_whole(run->remote, &which, model, e->sha256);
}

static ps_status keep_model(ps_job_entry *e, ps_task_run *run, ps_model **out)
{
    if (e->model) {
        *out = e->model;
        return PS_OK;
    }
    e->mark = 0;
    ps_free(&e->holds);
    ps_status st = ps_job_entry_check(e, run);
    if (!st)
        st = ps_job_entry_check_teacher(e, run);
    if (st)
        return st;
    ps_model_config config = ps_job_trained_config(e->spec, ps_job_entry_model_spec(e));
    ps_model_options options = model_options(e);
    ps_model *model;
    ps_teacher_room teacher;
    ps_job_model_need need = {.name = e->stored ? name_of(e) : e->spec->name,
                              .config = &config,
                              .options = &options,
                              .activations = activations(e),
                              .beside = ps_teacher_need(e->teacher, e->spec, &teacher)};
    if (run->served)
        ps_served_model_drop(run->served); /* two at once are for the machines of others */
    const char *sha256;
    st = ps_job_entry_base(e, run, &options.base, &sha256);
    if (!st)
        st = ps_job_model_room(&need, run->env->backend);
    if (!st)
        st = ps_model_create(run->env->backend, &config, &options, &model);
    if (!st && (e->stored || ps_spec_train_partly(e->spec->train))) {
        st = load(e, run, model);
        if (st)
            ps_model_free(&model);
    }
    if (!st)
        *out = e->model = model;
    return st;
}

ps_status ps_job_entry_teaching(ps_job_entry *e, ps_task_run *run, const ps_model_teaching **out)
{
    const ps_model_options options = model_options(e);
    *out = NULL;
    return e->teacher ? ps_teacher_get(e->teacher, run, e->spec, &options, out) : PS_OK;
}

/* version NULL: the job's own. */
static ps_status fill(ps_job_entry *e, ps_task_run *run, const ps_stored_model *which,
                      const char *version, char sha256[PS_DIGEST_TEXT])
{
    ps_free(&e->holds);
    e->holds = ps_strdup("");
    ps_status st = ps_stored_model_load_whole(run->remote, which, e->model, sha256);
    if (st)
        return st;
    ps_free(&e->holds);
    e->holds = version ? ps_strdup(version) : NULL;
    return PS_OK;
}

static ps_status become_own(ps_job_entry *e, ps_task_run *run)
{
    const ps_stored_model own = ps_job_entry_stored_model(e);
    return e->holds ? fill(e, run, &own, NULL, e->sha256) : PS_OK;
}

ps_status ps_job_entry_become(ps_job_entry *e, ps_task_run *run, const ps_stored_model *which,
                              char sha256[PS_DIGEST_TEXT])
{
    PS_REQUIRE(e->model && e->stored && e->spec->explain && !e->mark);
    if (strcmp(which->version, e->model_version) != 0)
        return fill(e, run, which, which->version, sha256);
    ps_status st = become_own(e, run);
    memcpy(sha256, e->sha256, PS_DIGEST_TEXT);
    return st;
}

ps_status ps_job_entry_model(ps_job_entry *e, ps_task_run *run, ps_model **out)
{
    if (e->mark)
        ps_model_free(&e->model);
    ps_status st = keep_model(e, run, out);
    return st || !e->holds ? st : become_own(e, run);
}

ps_status ps_job_entry_model_to_change(ps_job_entry *e, ps_task_run *run, uint64_t most,
                                       uint64_t **mark, ps_model **out)
{
    PS_REQUIRE(e->stored);
    if (e->mark > most)
        ps_model_free(&e->model);
    ps_status st = keep_model(e, run, out);
    *mark = &e->mark;
    return st;
}

ps_status ps_job_entry_beside(ps_job_entry *e, ps_task_run *run, const ps_stored_model *which,
                              const ps_spec_model *spec, ps_model **out)
{
    const ps_model_config config = ps_job_model_config(spec);
    ps_model_options options = model_options(e);
    if (ps_spec_model_is_language(spec) && options.max_length > spec->context_length)
        options.max_length = spec->context_length; /* rows that a method makes are of the first */
    const ps_job_model_need need = {.name = which->name,
                                    .config = &config,
                                    .options = &options,
                                    .activations = ps_explain_activations(e->spec, spec)};
    PS_REQUIRE(options.explain);
    ps_status st = e->beside ? PS_OK : ps_job_model_room(&need, run->env->backend);
    if (!st && !e->beside) {
        ps_model *model = NULL;
        st = ps_model_create(run->env->backend, &config, &options, &model);
        if (!st)
            st = ps_stored_model_load_whole(run->remote, which, model, e->beside_sha256);
        if (st)
            ps_model_free(&model);
        e->beside = model;
    }
    *out = e->beside;
    return st;
}

void ps_job_entry_beside_drop(ps_job_entry *e)
{
    ps_model_free(&e->beside);
}

const char *ps_job_entry_sha256(const ps_job_entry *e, bool beside)
{
    PS_REQUIRE(e->spec && e->spec->explain);
    return beside ? e->beside_sha256 : e->sha256;
}

uint64_t *ps_job_entry_sequence(ps_job_entry *e)
{
    return &e->sequence->last;
}

static ps_status open_exchange(ps_job_entry *e, ps_task_run *run, ps_model *model)
{
    PS_REQUIRE(e->spec && e->sequence);
    return ps_exchange_open(&(ps_exchange_options){.remote = e->remote,
                                                   .job_id = e->job_id,
                                                   .backend = run->env->backend,
                                                   .model = model,
                                                   .train = e->spec->train,
                                                   .incarnation = run->env->incarnation,
                                                   .sequence = &e->sequence->last},
                            &e->exchange);
}

ps_status ps_job_entry_exchange(ps_job_entry *e, ps_task_run *run, ps_exchange **out)
{
    ps_model *model;
    ps_status st = ps_job_entry_model(e, run, &model);
    if (!st && e->exchange) {
        st = ps_exchange_refresh(e->exchange);
        if (st == PS_ABORTED) {
            ps_exchange_close(&e->exchange);
            st = PS_OK;
        }
    }
    if (!st && !e->exchange)
        st = open_exchange(e, run, model);
    if (!st)
        *out = e->exchange;
    return st;
}
