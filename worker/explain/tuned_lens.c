/* tuned_lens: the stream before each block, translated by a lens that was trained on this very
 * model (architecture tuned_lens, another stored model; Belrose et al. 2023), through the last norm
 * and the head. What it leaves, lens.h says; of a lens of zeros it is the logit lens to the bit. */
#include "worker/explain/lens.h"
#include "worker/explain/other.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <string.h>

typedef struct tuned {
    ps_model *lens;
    size_t layers, hidden; /* blocks */
    float *out;            /* [layers, hidden] */
} tuned;

static void free_tuned(void *state)
{
    tuned *t = state;
    if (!t)
        return;
    ps_model_free(&t->lens);
    ps_free(&t->out);
    ps_free(&t);
}

/* Of other numbers of the same shape a translator says nothing. */
static ps_status check_base(const ps_explaining *x, const ps_spec_model *lens)
{
    if (!strcmp(lens->base_sha256, x->sha256))
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "method tuned_lens: lens %s was trained on another model than %s: on %s, whose "
                   "file had SHA-256 %s, and here it is %s; train a lens on this one",
                   x->other->name, x->job->model_name, *lens->base ? lens->base : "none",
                   *lens->base_sha256 ? lens->base_sha256 : "(unknown)", x->sha256);
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    (void)spec;
    const ps_spec_model *lens = x->other->spec;
    tuned *t = ps_new(tuned);
    *state = t;
    if (!ps_spec_model_is_lens(lens))
        return ps_fail(PS_INVALID_ARGUMENT, "method tuned_lens: model %s is of architecture %s",
                       x->other->name, lens->architecture);
    ps_status st = ps_spec_lens_match(lens, x->model_spec, x->job->model_name);
    if (!st)
        st = check_base(x, lens);
    if (!st)
        st = x->other->open(x->other->user, &(ps_model_options){.max_batch = 1, .inference = true},
                            &t->lens);
    if (st)
        return st;
    t->layers = (size_t)lens->num_layers;
    t->hidden = (size_t)lens->hidden_size;
    t->out = ps_try_alloc_raw(t->layers * t->hidden * sizeof *t->out);
    return t->out ? PS_OK : ps_fail(PS_NO_MEMORY, "the stream of %zu layers", t->layers);
}

static ps_status translate(void *user, float *stream)
{
    const tuned *t = user;
    const ps_model_batch batch = {.rows = 1, .features = stream};
    ps_status st = ps_model_predict(t->lens, &batch, NULL, t->out);
    if (!st)
        memcpy(stream, t->out, t->layers * t->hidden * sizeof *stream);
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    return ps_lens_read(x, spec, &(ps_lens_way){translate, state}, items, out);
}

const ps_explain_method ps_explain_method_tuned_lens = {
    .name = "tuned_lens", .prepare = prepare, .run = run, .free = free_tuned};
