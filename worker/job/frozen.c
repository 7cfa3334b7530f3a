/* Happy path: its file holds what its configuration says, there is room for it, and it is loaded as
 * any stored model is; then rows go through it, and at one point of its pass what is there is read.
 * The same rows go through together whoever asks, so that they come to the same. */
#include "worker/job/frozen.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/one_thread.h"
#include "common/base/require.h"
#include "common/explain/memory.h"
#include "worker/job/job_model.h"
#include "worker/job/stored_model.h"
#include "worker/job/stored_tokenizer.h"
#include "worker/models/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 256, TOKENS = 1024 }; /* that go through at once, about */

struct ps_frozen {
    ps_one_thread mine;
    const ps_job_spec *job; /* borrowed */
    ps_spec_model *spec;
    bool lens;       /* the job's model is one, and this its base */
    ps_model *model; /* NULL: not now */
    char sha256[PS_DIGEST_TEXT], wanted[PS_DIGEST_TEXT]; /* wanted: ""; or as the lens says */
    ps_tap tap;             /* not of a lens, which takes the stream at all layers */
    size_t columns, length; /* at the tap; tokens of a row, 1 of others */
    ps_task_run *run;       /* who opens data with it */
    ps_activations_kept kept;
};

ps_status ps_frozen_create(const ps_task_run *run, const ps_job_spec *spec,
                           const ps_spec_model *model, ps_frozen **out)
{
    ps_frozen *f = ps_new(ps_frozen);
    f->job = spec;
    f->lens = ps_spec_model_is_lens(model);
    if (f->lens)
        (void)snprintf(f->wanted, sizeof f->wanted, "%s", model->base_sha256);
    ps_status st =
        ps_spec_model_parse(ps_slice_str(run->task->teacher_config), "its config", &f->spec);
    if (!st)
        st = ps_spec_activations_match(spec, model, f->spec);
    if (st) {
        ps_frozen_free(&f);
        return ps_wrap(st, "model %s", spec->data.activations->model);
    }
    *out = f;
    return PS_OK;
}

void ps_frozen_free(ps_frozen **frozen)
{
    if (!*frozen)
        return;
    ps_model_free(&(*frozen)->model);
    ps_activations_kept_free(&(*frozen)->kept);
    if ((*frozen)->spec)
        ps_spec_model_free(&(*frozen)->spec);
    ps_free(frozen);
}

void ps_frozen_drop(ps_frozen *f)
{
    if (!f->lens)
        ps_model_free(&f->model);
}

const char *ps_frozen_sha256(const ps_frozen *f)
{
    return f->sha256;
}

bool ps_frozen_failed(const ps_frozen *f)
{
    return f->model && ps_stream_failed(ps_model_stream(f->model));
}

const ps_spec_model *ps_frozen_model(const ps_frozen *f)
{
    return f->spec;
}

/* ---- the model ---- */

static ps_stored_model stored(const ps_frozen *f)
{
    return (ps_stored_model){.name = f->job->data.activations->model,
                             .version = f->run->task->teacher_version,
                             .job_id = f->run->task->job_id};
}

static int64_t batch_of(const ps_frozen *f)
{
    if (!ps_spec_model_is_language(f->spec))
        return ROWS;
    return f->length < TOKENS ? TOKENS / (int64_t)f->length : 1;
}

static ps_status check_file(const ps_frozen *f)
{
    if (!*f->wanted || !strcmp(f->wanted, f->sha256))
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "model %s is not the one that the lens was trained on: SHA-256 of its file is "
                   "%s, and of that one's it was %s",
                   stored(f).name, f->sha256, f->wanted);
}

static ps_status load(ps_frozen *f, ps_form *forms)
{
    const ps_stored_model which = stored(f);
    ps_model_config config = ps_job_model_config(f->spec);
    bool language = ps_spec_model_is_language(f->spec);
    ps_model_options options = {.max_batch = batch_of(f),
                                .max_length = language ? (int64_t)f->length : 0,
                                .inference = true,
                                .forms = forms,
                                .exact = true};
    const ps_job_model_need need = {
        .name = which.name,
        .config = &config,
        .options = &options,
        .activations = ps_model_activation_bytes(f->spec, (uint64_t)batch_of(f) * f->length)};
    ps_backend *backend = f->run->env->backend;
    ps_status st = ps_job_model_room(&need, backend);
    if (!st)
        st = ps_model_create(backend, &config, &options, &f->model);
    if (!st)
        st = f->lens ? ps_stored_model_load_whole(f->run->remote, &which, f->model, f->sha256)
                     : ps_stored_model_load(f->run->remote, &which, forms, f->model);
    return st ? st : check_file(f);
}

static ps_status find_tap(ps_frozen *f)
{
    const ps_spec_activations *a = f->job->data.activations;
    if (f->lens) {
        f->columns = (size_t)((f->spec->num_layers + 1) * f->spec->hidden_size);
        return PS_OK;
    }
    const char *usual = ps_spec_model_is_language(f->spec) ? "resid_post" : "post";
    char name[PS_TAP_NAME];
    ps_status st = ps_tap_kind_parse(*a->point ? a->point : usual, &f->tap.kind);
    if (st)
        return ps_wrap(st, "data.activations.point");
    f->tap.layer = ps_tap_place_of(f->tap.kind) == PS_TAP_ONCE ? 0 : a->layer;
    f->columns = (size_t)ps_model_tap_columns(f->model, f->tap);
    if (f->columns)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "data.activations: model %s has no point %s", a->model,
                   ps_tap_name(f->tap, name));
}

/* ---- rows ---- */

typedef struct reading {
    const ps_frozen *f;
    float *out, *layer; /* layer: of a lens, [rows,hidden_size] */
    bool there;
    ps_status status;
} reading;

static void at(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    reading *r = user;
    if (!ps_tap_equal(tap, r->f->tap) || r->status)
        return;
    r->status = ps_tap_read(ps_model_stream(r->f->model), x, ld, r->out);
    r->there = !r->status;
}

/* Before each block, and behind the last: a row's layers one behind the other. */
static void at_stream(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    reading *r = user;
    int64_t layers = r->f->spec->num_layers;
    bool last = tap.kind == PS_TAP_RESID_POST && tap.layer + 1 == layers;
    if (r->status || (tap.kind != PS_TAP_RESID_PRE && !last))
        return;
    size_t rows = (size_t)x.shape[0], width = (size_t)x.shape[1];
    float *to = r->out + (size_t)(tap.layer + last) * width;
    r->status = ps_tap_read(ps_model_stream(r->f->model), x, ld, r->layer);
    for (size_t i = 0; i < rows && !r->status; i++)
        memcpy(to + i * r->f->columns, r->layer + i * width, width * sizeof *to);
    r->there = last && !r->status;
}

static ps_status pass(ps_frozen *f, const void *inputs, size_t n, float *layer, float *out)
{
    bool language = ps_spec_model_is_language(f->spec);
    PS_REQUIRE(f->model && n && (int64_t)n <= batch_of(f));
    reading r = {.f = f, .out = out, .layer = layer};
    const ps_model_hooks hooks = {.at = f->lens ? at_stream : at, .user = &r};
    const ps_model_batch batch = {.rows = (int64_t)n,
                                  .length = (int64_t)f->length,
                                  .features = language ? NULL : inputs,
                                  .tokens = language ? inputs : NULL};
    ps_status st = ps_model_forward(f->model, &batch, &hooks);
    if (!st)
        st = r.status;
    if (!st && !r.there)
        st = ps_fail(PS_INVALID_ARGUMENT, "data.activations: the pass does not come to that point");
    return st;
}

/* It is on the device, whole. */
static ps_status make_sure(ps_frozen *f)
{
    if (f->model)
        return PS_OK;
    const ps_stored_model which = stored(f);
    ps_model_config config = ps_job_model_config(f->spec);
    ps_form *forms = NULL;
    ps_status st = ps_stored_model_check(f->run->remote, &which, &config, &forms);
    if (f->lens)
        ps_free(&forms); /* its numbers are computed with as they are explained: decoded */
    if (!st)
        st = load(f, forms);
    ps_free(&forms);
    if (st)
        ps_model_free(&f->model);
    else
        ps_log_info("task", "job=%" PRIu64 " loaded for its activations of=%s version=%s",
                    f->run->task->job_id, which.name, which.version);
    return st;
}

static ps_status make(void *user, const ps_dataset *from, uint64_t first, size_t n, float *out)
{
    ps_frozen *f = user;
    ps_status st = ps_gate_check(f->run->remote->gate);
    if (st || ps_task_stopping(f->run))
        return st ? st : ps_fail(PS_CANCELLED, "the worker is stopping");
    st = make_sure(f);
    if (st)
        return st;
    uint64_t *rows = ps_try_alloc_raw(n * sizeof *rows);
    void *inputs = ps_try_alloc_raw(n * ps_dataset_features(from) * sizeof(float));
    size_t width = f->lens ? (size_t)f->spec->hidden_size : 1; /* of others it is not used */
    float *layer = ps_try_alloc_raw(n * f->length * width * sizeof *layer);
    for (size_t i = 0; rows && i < n; i++)
        rows[i] = first + i;
    st = rows && inputs && layer ? ps_dataset_read(from, rows, n, inputs, NULL)
                                 : ps_fail(PS_NO_MEMORY, "no memory for a batch of %zu rows", n);
    if (!st)
        st = pass(f, inputs, n, layer, out);
    ps_free(&rows);
    ps_free(&inputs);
    ps_free(&layer);
    return st;
}

static void prepare(ps_frozen *f, ps_task_run *run)
{
    int64_t length = f->job->data.sequence_length;
    bool language = ps_spec_model_is_language(f->spec);
    f->run = run;
    f->length = !language ? 1 : (size_t)(length ? length : f->spec->context_length);
}

ps_status ps_frozen_base(ps_frozen *f, ps_task_run *run, ps_model **out)
{
    ps_one_thread_require(&f->mine);
    PS_REQUIRE(f->lens);
    prepare(f, run);
    ps_status st = make_sure(f);
    *out = f->model;
    return st;
}

ps_status ps_frozen_source(ps_frozen *f, ps_task_run *run, ps_dataset_source *out,
                           uint64_t *tokenizer)
{
    ps_one_thread_require(&f->mine);
    prepare(f, run);
    bool language = ps_spec_model_is_language(f->spec);
    const ps_stored_model which = stored(f);
    *tokenizer = 0;
    bool known = f->columns > 0; /* then it is loaded when a row is to be made */
    ps_status st = known ? PS_OK : make_sure(f);
    if (!st && !known)
        st = find_tap(f);
    if (!st && language)
        st = ps_stored_tokenizer(run->remote, &which, tokenizer);
    if (st) {
        ps_frozen_drop(f);
        return st;
    }
    PS_REQUIRE(f->columns > 0 && f->length > 0);
    *out = (ps_dataset_source){.columns = f->columns,
                               .batch = (size_t)batch_of(f),
                               .most = (uint64_t)f->job->data.activations->rows,
                               .make = make,
                               .user = f,
                               .kept = &f->kept};
    return PS_OK;
}
