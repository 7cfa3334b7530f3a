/* sae: what a sparse autoencoder, another stored model (`model`), makes of what the job's model has
 * at `point` of `layer` (data.format activations; docs/explain.md): how well it says it again, and
 * what its features are active for. Rows are items, or all their tokens.
 *
 *     explained_variance [1] 1 − Σ‖x − x̂‖² / Σ‖x − mean‖², over the rows
 *     l0                 [1] features that are active in a row, on average
 *     dead_share         [1] features that are active in none
 *     losses             [3] cross-entropy of the items' labels (of language models of the token
 *                            that follows the last): as it is, with x̂ in the place of x in all
 *                            rows, and with zeros there
 *     recovered          [1] (zeros − x̂) / (zeros − as it is): 1 where nothing is lost
 *     feature, share, strength [feature]  the most active ones: which, in what share of rows, how
 *                            much on average where they are
 *     top_item, top_activity, top_position [feature, place]  the items in which each is largest, at
 *                            which token; NaN: there are no more
 *
 * and of each item its `top` largest features, feature and activity: only in these a feature's
 * items are looked for. Three passes forward, and one of the autoencoder a row. */
#include "worker/explain/other.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"
#include "worker/explain/sae_summary.h"

#include "common/base/mem.h"
#include "worker/models/tap.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { CHUNK = 256 };

typedef struct coder {
    ps_model *model;
    const ps_spec_model *spec;
    ps_tap tap;
    size_t columns, features;
    float *in, *out, *latents; /* [CHUNK, columns] twice, [CHUNK, features] */
} coder;

/* ---- the autoencoder ---- */

static void free_coder(void *state)
{
    coder *c = state;
    if (!c)
        return;
    ps_model_free(&c->model);
    ps_free(&c->in);
    ps_free(&c->out);
    ps_free(&c->latents);
    ps_free(&c);
}

static ps_status find_point(const ps_explaining *x, const ps_spec_explain_method *spec, coder *c)
{
    const char *usual = x->language ? "resid_post" : "post";
    char name[PS_TAP_NAME];
    ps_status st = ps_tap_kind_parse(*spec->point ? spec->point : usual, &c->tap.kind);
    if (st)
        return ps_wrap(st, "point");
    c->tap.layer = ps_tap_place_of(c->tap.kind) == PS_TAP_ONCE ? 0 : spec->layer;
    size_t columns = (size_t)ps_model_tap_columns(x->model, c->tap);
    if (columns == c->columns)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "method sae: model %s is of %zu numbers, and %s has %zu (0: there is none)",
                   x->other->name, c->columns, ps_tap_name(c->tap, name), columns);
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    coder *c = ps_new(coder);
    *state = c;
    c->spec = x->other->spec;
    if (!ps_spec_model_is_coder(c->spec))
        return ps_fail(PS_INVALID_ARGUMENT, "method sae: model %s is of architecture %s",
                       x->other->name, c->spec->architecture);
    c->columns = (size_t)c->spec->layers[0];
    c->features = (size_t)c->spec->layers[1];
    ps_status st = find_point(x, spec, c);
    if (!st)
        st = x->other->open(x->other->user,
                            &(ps_model_options){.max_batch = CHUNK, .inference = true}, &c->model);
    if (st)
        return st;
    c->in = ps_try_alloc_raw(CHUNK * c->columns * sizeof *c->in);
    c->out = ps_try_alloc_raw(CHUNK * c->columns * sizeof *c->out);
    c->latents = ps_try_alloc_raw(CHUNK * c->features * sizeof *c->latents);
    return c->in && c->out && c->latents
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "%zu features of %d rows", c->features, CHUNK);
}

typedef struct latent_hook {
    coder *c;
    ps_status status;
} latent_hook;

static void see_latents(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    latent_hook *h = user;
    if (tap.kind == PS_TAP_LAYER_POST && !h->status)
        h->status = ps_tap_read(ps_model_stream(h->c->model), seen, ld, h->c->latents);
}

static double mean_of(const coder *c, size_t i)
{
    return c->spec->n_input_mean ? c->spec->input_mean[i] : 0;
}

static double deviation_of(const coder *c, size_t i)
{
    return c->spec->n_input_std ? c->spec->input_std[i] : 1;
}

/* n rows said again; their features are in c->latents then. */
static ps_status say_again(coder *c, const float *values, size_t n, float *again)
{
    latent_hook hook = {.c = c};
    const ps_model_hooks hooks = {.at = see_latents, .user = &hook};
    const ps_model_batch batch = {.rows = (int64_t)n, .features = c->in};
    for (size_t i = 0; i < n * c->columns; i++)
        c->in[i] = (float)(((double)values[i] - mean_of(c, i % c->columns)) /
                           deviation_of(c, i % c->columns));
    ps_status st = ps_model_predict(c->model, &batch, &hooks, c->out);
    for (size_t i = 0; i < n * c->columns; i++)
        again[i] = (float)((double)c->out[i] * deviation_of(c, i % c->columns) +
                           mean_of(c, i % c->columns));
    return st ? st : hook.status;
}

/* ---- the model, as it is and with something else in its place ---- */

typedef struct looking {
    ps_explaining *x;
    coder *c;
    const ps_explain_items *items;
    size_t rows, top;
    float *values, *again;     /* [rows, columns] */
    const float *put;          /* what is put there; NULL: it is read into values */
    float *logits;             /* [n, outputs] */
    float *peak, *place;       /* [n, features]: largest over an item's rows, and where */
    float *feature, *activity; /* [n, top] */
    float *position;           /* [n, top] */
    double totals[PS_SAE_TOTALS];
    double *channels; /* [columns, 2]: Σx, Σx² */
    double *sums;     /* [features, PS_SAE_OF_FEATURE] */
    ps_model_point *points;
    ps_status status;
} looking;

static void at(void *user, ps_tap tap, ps_tensor seen, int64_t ld)
{
    looking *l = user;
    ps_stream *stream = ps_model_stream(l->x->model);
    if (!ps_tap_equal(tap, l->c->tap) || l->status)
        return;
    l->status =
        l->put ? ps_tap_write(stream, seen, ld, l->put) : ps_tap_read(stream, seen, ld, l->values);
}

/* −log p of the labels, summed; of models without probabilities nothing. */
static void add_losses(looking *l, int which)
{
    size_t outputs = (size_t)l->x->outputs;
    for (size_t i = 0; i < l->items->n; i++) {
        const float *z = l->logits + i * outputs;
        int32_t label = l->items->labels ? l->items->labels[i] : -1;
        if (label < 0 || l->x->model_spec->loss != PS_SPEC_CROSS_ENTROPY)
            continue;
        l->totals[which] += ps_explain_log_sum(z, l->x->outputs) - (double)z[label];
        l->totals[PS_SAE_LABELLED] += which == PS_SAE_CLEAN;
    }
}

static ps_status pass(looking *l, const float *put, int which)
{
    const ps_model_hooks hooks = {.at = at, .user = l};
    const ps_model_batch batch = {.rows = (int64_t)l->items->n,
                                  .length = l->items->length,
                                  .features = l->items->features,
                                  .tokens = l->items->tokens};
    l->put = put;
    ps_status st = l->x->check(l->x->user);
    if (!st)
        st = ps_model_forward(l->x->model, &batch, &hooks);
    if (!st)
        st = l->status;
    if (!st)
        st = ps_model_outputs_at(l->x->model, l->points, l->items->n, l->logits);
    l->x->evaluations += l->items->n;
    if (!st)
        add_losses(l, which);
    return st;
}

/* ---- what the features do ---- */

static void add_row(looking *l, size_t row, const float *latents)
{
    size_t length = (size_t)l->items->length, item = row / length;
    const float *x = l->values + row * l->c->columns, *again = l->again + row * l->c->columns;
    float *peak = l->peak + item * l->c->features, *place = l->place + item * l->c->features;
    l->totals[PS_SAE_ROWS]++;
    for (size_t i = 0; i < l->c->columns; i++) {
        double e = (double)x[i] - (double)again[i];
        l->totals[PS_SAE_SQUARES] += e * e;
        l->channels[2 * i] += (double)x[i];
        l->channels[2 * i + 1] += (double)x[i] * (double)x[i];
    }
    for (size_t i = 0; i < l->c->features; i++) {
        if (!(latents[i] > 0))
            continue;
        l->totals[PS_SAE_ACTIVE]++;
        l->sums[PS_SAE_OF_FEATURE * i + PS_SAE_COUNT]++;
        l->sums[PS_SAE_OF_FEATURE * i + PS_SAE_STRENGTH] += (double)latents[i];
        if (latents[i] > peak[i]) {
            peak[i] = latents[i];
            place[i] = (float)(row % length);
        }
    }
}

/* Its largest features, by insertion: top is small. */
static void take_top(looking *l, size_t item)
{
    const float *peak = l->peak + item * l->c->features, *place = l->place + item * l->c->features;
    float *feature = l->feature + item * l->top, *activity = l->activity + item * l->top,
          *position = l->position + item * l->top;
    size_t there = 0;
    for (size_t k = 0; k < l->top; k++)
        feature[k] = activity[k] = position[k] = NAN;
    for (size_t i = 0; i < l->c->features; i++) {
        size_t to = there;
        while (to > 0 && peak[i] > activity[to - 1])
            to--;
        if (!(peak[i] > 0) || to == l->top)
            continue;
        there += there < l->top;
        memmove(feature + to + 1, feature + to, (there - to - 1) * sizeof *feature);
        memmove(activity + to + 1, activity + to, (there - to - 1) * sizeof *activity);
        memmove(position + to + 1, position + to, (there - to - 1) * sizeof *position);
        feature[to] = (float)i;
        activity[to] = peak[i];
        position[to] = place[i];
    }
}

static ps_status encode(looking *l)
{
    ps_status st = PS_OK;
    for (size_t row = 0; !st && row < l->rows; row += CHUNK) {
        size_t n = l->rows - row < CHUNK ? l->rows - row : CHUNK;
        st = say_again(l->c, l->values + row * l->c->columns, n, l->again + row * l->c->columns);
        for (size_t i = 0; !st && i < n; i++)
            add_row(l, row + i, l->c->latents + i * l->c->features);
    }
    for (size_t item = 0; !st && item < l->items->n; item++)
        take_top(l, item);
    return st;
}

static ps_status look(looking *l)
{
    for (size_t i = 0; i < l->items->n; i++)
        l->points[i] = (ps_model_point){(int64_t)i, l->items->length - 1};
    ps_status st = pass(l, NULL, PS_SAE_CLEAN);
    if (!st)
        st = encode(l);
    if (!st)
        st = pass(l, l->again, PS_SAE_AGAIN);
    memset(l->again, 0, l->rows * l->c->columns * sizeof *l->again);
    return st ? st : pass(l, l->again, PS_SAE_ZEROS);
}

/* ---- a run ---- */

static ps_status take_room(looking *l)
{
    size_t n = l->items->n, each = l->rows * l->c->columns;
    ps_status st = ps_explain_room((2 * each + n * (size_t)l->x->outputs + 2 * n * l->c->features) *
                                       sizeof(float),
                                   "features of rows", "lower explain.batch");
    if (st)
        return st;
    l->values = ps_try_alloc_raw(each * sizeof(float));
    l->again = ps_try_alloc_raw(each * sizeof(float));
    l->logits = ps_try_alloc_raw(n * (size_t)l->x->outputs * sizeof(float));
    l->peak = ps_try_alloc(2 * n * l->c->features * sizeof(float));
    l->feature = ps_try_alloc_raw(3 * n * l->top * sizeof(float));
    l->channels = ps_try_alloc(2 * l->c->columns * sizeof(double));
    l->sums = ps_try_alloc(PS_SAE_OF_FEATURE * l->c->features * sizeof(double));
    l->points = ps_try_alloc_raw(n * sizeof *l->points);
    if (!l->values || !l->again || !l->logits || !l->peak || !l->feature || !l->channels ||
        !l->sums || !l->points)
        return ps_fail(PS_NO_MEMORY, "%zu features of %zu rows; lower explain.batch",
                       l->c->features, l->rows);
    l->place = l->peak + n * l->c->features;
    l->activity = l->feature + n * l->top;
    l->position = l->activity + n * l->top;
    return PS_OK;
}

static ps_status put(const looking *l, ps_explain_part *out)
{
    const uint64_t n = l->items->n, totals[] = {PS_SAE_TOTALS}, channels[] = {l->c->columns, 2},
                   features[] = {l->c->features, PS_SAE_OF_FEATURE};
    ps_status st = ps_explain_put_sums(out, "totals", "total", 1, totals, l->totals);
    if (!st)
        st = ps_explain_put_sums(out, "channel_sums", "channel moment", 2, channels, l->channels);
    if (!st)
        st = ps_explain_put_sums(out, "feature_sums", "feature sum", 2, features, l->sums);
    if (!st)
        st = ps_explain_put_values(out, "row_feature", "place", n, l->top, l->feature);
    if (!st)
        st = ps_explain_put_values(out, "row_activity", "place", n, l->top, l->activity);
    return st ? st : ps_explain_put_values(out, "row_position", "place", n, l->top, l->position);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    looking l = {.x = x,
                 .c = state,
                 .items = items,
                 .rows = items->n * (size_t)items->length,
                 .top = (size_t)spec->top};
    if (l.top > l.c->features)
        l.top = l.c->features;
    ps_status st = take_room(&l);
    if (!st)
        st = look(&l);
    if (!st)
        st = put(&l, out);
    ps_free(&l.values);
    ps_free(&l.again);
    ps_free(&l.logits);
    ps_free(&l.peak);
    ps_free(&l.feature);
    ps_free(&l.channels);
    ps_free(&l.sums);
    ps_free(&l.points);
    return st;
}

static const char *const losses_of[] = {"as it is", "said again", "zeros", NULL};
static const ps_explain_entries entries[] = {{"losses", losses_of}, {NULL, NULL}};

const ps_explain_method ps_explain_method_sae = {.name = "sae",
                                                 .entries = entries,
                                                 .prepare = prepare,
                                                 .run = run,
                                                 .free = free_coder,
                                                 .finish = ps_sae_finish};
