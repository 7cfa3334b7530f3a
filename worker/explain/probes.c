/* probes: what can be read off a layer by a line (Alain and Bengio 2016): the label of a row is
 * predicted from what the layer makes of it (of language models of its last token, at `point`), by
 * ridge regression to one number a label, trained on the share train_share of the rows:
 *
 *     accuracy    [layer]  on the other rows
 *     control     [layer]  the same with the labels dealt out again by chance: what a probe of this
 *                          size finds where there is nothing (after Hewitt and Liang 2019)
 *     selectivity [layer]  accuracy − control
 *     usual       []       how many of the other rows have the label that is the most frequent
 *
 * Of at most the first 1024 rows; 16 deals. One pass forward a row, then about rows³/3 operations
 * a layer, however many labels: solved by what rows are to each other, k·(k + λ)⁻¹·y with λ =
 * ridge · the mean of k's diagonal: the same as by channels, and it does not grow with the width.
 */
#include "worker/explain/hidden.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

enum { DEALS = 16 };

typedef struct probing {
    ps_explain_kept kept;
    ps_explaining *x;
    double ridge;
    size_t trained, tested, classes;
    size_t *order;   /* [rows]: those to train on, then the others; each ascending */
    uint32_t *label; /* [rows]: below classes */
    uint32_t *dealt; /* likewise */
    double *kernel;  /* [rows, rows] */
    double *factor;  /* [trained, trained]: lower, L·Lᵀ = k + λ */
    double *hat;     /* [tested, trained]: what makes predictions of targets */
    double *means;   /* [classes]: how often each is, of those it is trained on */
    double *scores;  /* [classes] */
} probing;

/* ---- rows ---- */

/* Labels as numbers from 0 in the order in which they are met. */
static void number_labels(probing *p, const float *labels)
{
    for (size_t i = 0; i < p->kept.rows; i++) {
        size_t k = 0;
        while (k < i && labels[k] != labels[i])
            k++;
        p->label[i] = k < i ? p->label[k] : (uint32_t)p->classes++;
    }
}

static void split(probing *p, double share)
{
    size_t n = p->kept.rows;
    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n; i++) {
            ps_rng rng;
            ps_explain_rng(p->x, i, &rng);
            bool train = ps_rng_uniform(&rng) < share;
            if (train == (pass == 0))
                p->order[p->trained + p->tested++] = i;
            if (pass == 0 && i + 1 == n) {
                p->trained = p->tested;
                p->tested = 0;
            }
        }
}

static void deal(probing *p, size_t number)
{
    ps_rng rng;
    ps_explain_rng(p->x, UINT64_C(1) << 32 | number, &rng);
    memcpy(p->dealt, p->label, p->kept.rows * sizeof *p->dealt);
    for (size_t i = p->kept.rows; i > 1; i--) {
        size_t other = (size_t)ps_rng_below(&rng, i);
        uint32_t held = p->dealt[i - 1];
        p->dealt[i - 1] = p->dealt[other];
        p->dealt[other] = held;
    }
}

/* ---- ridge regression ---- */

static double entry(const probing *p, size_t i, size_t j)
{
    return p->kernel[p->order[i] * p->kept.rows + p->order[j]];
}

/* Cholesky's. k is not negative and λ above 0; false: all of k is 0, or it is not finite. */
static bool decompose(const probing *p)
{
    size_t n = p->trained;
    double trace = 0, *l = p->factor;
    for (size_t i = 0; i < n; i++)
        trace += entry(p, i, i);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = entry(p, i, j) + (i == j ? p->ridge * trace / (double)n : 0);
            for (size_t k = 0; k < j; k++)
                sum -= l[i * n + k] * l[j * n + k];
            if (i == j && !(sum > 0 && isfinite(sum)))
                return false;
            l[i * n + j] = i == j ? sqrt(sum) : sum / l[j * n + j];
        }
    return true;
}

/* hat[tested, trained] = k·(k + λ)⁻¹: what the targets of those it is trained on come to in the
 * others, whatever the targets. Row by row, by L and then by Lᵀ. */
static void make_hat(const probing *p)
{
    size_t n = p->trained;
    const double *l = p->factor;
    for (size_t row = 0; row < p->tested; row++) {
        double *h = p->hat + row * n;
        for (size_t i = 0; i < n; i++) {
            double sum = entry(p, n + row, i);
            for (size_t k = 0; k < i; k++)
                sum -= l[i * n + k] * h[k];
            h[i] = sum / l[i * n + i];
        }
        for (size_t i = n; i-- > 0;) {
            h[i] /= l[i * n + i];
            for (size_t k = 0; k < i; k++)
                h[k] -= l[i * n + k] * h[i];
        }
    }
}

/* Of targets 1 for the row's label and 0 for others, less their mean: the label that comes to most,
 * the first of several. */
static uint32_t predict(const probing *p, const uint32_t *labels, size_t row)
{
    const double *h = p->hat + row * p->trained;
    double all = 0;
    uint32_t best = 0;
    memcpy(p->scores, p->means, p->classes * sizeof *p->scores);
    for (size_t i = 0; i < p->trained; i++) {
        p->scores[labels[p->order[i]]] += h[i];
        all += h[i];
    }
    for (uint32_t c = 0; c < p->classes; c++) {
        p->scores[c] -= all * p->means[c];
        if (p->scores[c] > p->scores[best])
            best = c;
    }
    return best;
}

static double score(const probing *p, const uint32_t *labels)
{
    double right = 0;
    memset(p->means, 0, p->classes * sizeof *p->means);
    for (size_t i = 0; i < p->trained; i++)
        p->means[labels[p->order[i]]] += 1 / (double)p->trained;
    for (size_t row = 0; row < p->tested; row++)
        right += predict(p, labels, row) == labels[p->order[p->trained + row]];
    return right / (double)p->tested;
}

/* ---- layers ---- */

/* Less the mean of the rows that it is trained on, as those are all that a probe knows. */
static void centre(const probing *p)
{
    size_t n = p->kept.rows;
    double *means = ps_alloc_array(n, sizeof *means), whole = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < p->trained; k++)
            means[i] += p->kernel[i * n + p->order[k]] / (double)p->trained;
    for (size_t k = 0; k < p->trained; k++)
        whole += means[p->order[k]] / (double)p->trained;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            p->kernel[i * n + j] += whole - means[i] - means[j];
    ps_free(&means);
}

static ps_status probe(probing *p, size_t layer, float *accuracy, float *control)
{
    *accuracy = *control = NAN;
    ps_status st = ps_explain_kept_kernel(&p->kept, layer, p->kernel);
    if (st)
        return st;
    centre(p);
    if (!decompose(p))
        return PS_OK;
    make_hat(p);
    double by_chance = 0;
    *accuracy = (float)score(p, p->label);
    for (size_t i = 0; i < DEALS; i++) {
        deal(p, i);
        by_chance += score(p, p->dealt) / DEALS;
    }
    *control = (float)by_chance;
    return PS_OK;
}

static float share_of_usual(const probing *p)
{
    size_t most = 0, best = 0, right = 0;
    for (size_t c = 0; c < p->classes; c++) {
        size_t count = 0;
        for (size_t i = 0; i < p->trained; i++)
            count += p->label[p->order[i]] == c;
        if (count > most) {
            most = count;
            best = c;
        }
    }
    for (size_t i = p->trained; i < p->trained + p->tested; i++)
        right += p->label[p->order[i]] == best;
    return (float)right / (float)p->tested;
}

static ps_status probe_layers(probing *p, ps_explain_part *merged)
{
    const uint64_t layers = p->kept.layers, one = 1;
    float *room = ps_alloc_array(3 * p->kept.layers, sizeof *room);
    float *accuracy = room, *control = room + layers, *gap = control + layers;
    float usual = share_of_usual(p);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < layers; i++) {
        st = probe(p, i, &accuracy[i], &control[i]);
        gap[i] = accuracy[i] - control[i];
    }
    if (!st)
        st = ps_explain_put_result(merged, "accuracy", "layer", 1, &layers, accuracy);
    if (!st)
        st = ps_explain_put_result(merged, "control", "layer", 1, &layers, control);
    if (!st)
        st = ps_explain_put_result(merged, "selectivity", "layer", 1, &layers, gap);
    if (!st)
        st = ps_explain_put_result(merged, "usual", "label", 1, &one, &usual);
    ps_free(&room);
    return st;
}

static ps_status take_memory(probing *p)
{
    size_t n = p->kept.rows;
    p->order = ps_alloc_array(n, sizeof *p->order);
    p->label = ps_alloc_array(n, sizeof *p->label);
    p->dealt = ps_alloc_array(n, sizeof *p->dealt);
    p->kernel = ps_try_alloc_raw(n * n * sizeof *p->kernel);
    p->factor = ps_try_alloc_raw(n * n * sizeof *p->factor);
    p->hat = ps_try_alloc_raw(n * n * sizeof *p->hat);
    p->means = ps_alloc_array(n, sizeof *p->means); /* at most a label a row */
    p->scores = ps_alloc_array(n, sizeof *p->scores);
    return p->kernel && p->factor && p->hat ? PS_OK
                                            : ps_fail(PS_NO_MEMORY, "a probe of %zu rows", n);
}

static void free_memory(probing *p)
{
    ps_free(&p->order);
    ps_free(&p->label);
    ps_free(&p->dealt);
    ps_free(&p->kernel);
    ps_free(&p->factor);
    ps_free(&p->hat);
    ps_free(&p->means);
    ps_free(&p->scores);
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    probing p = {.x = x, .ridge = spec->ridge};
    const ps_explain_array *labels = ps_explain_get(merged, "labels");
    if (!ps_explain_kept_of(merged, "", &p.kept) || !labels || !labels->floats ||
        ps_explain_array_count(labels) != p.kept.rows)
        return PS_OK;
    ps_status st = take_memory(&p);
    if (!st) {
        number_labels(&p, labels->floats);
        split(&p, spec->train_share);
    }
    if (!st && (!p.trained || !p.tested))
        ps_explain_warn(merged,
                        "%zu rows to train on and %zu to test on are too few; more "
                        "explain.rows are needed",
                        p.trained, p.tested);
    else if (!st)
        st = probe_layers(&p, merged);
    ps_explain_kept_drop(merged, "");
    ps_explain_drop(merged, "labels");
    free_memory(&p);
    return st;
}

/* Rows have labels: explain_rows.h; but of squared_error they are numbers. */
static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    if (x->model_spec->loss != PS_SPEC_CROSS_ENTROPY)
        return ps_fail(PS_INVALID_ARGUMENT, "the model has loss squared_error, and so no labels to "
                                            "be found");
    return ps_explain_keep_prepare(x, spec, state);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    size_t n = ps_explain_keep_count(items);
    ps_status st = ps_explain_keep_run(x, spec, state, items, out);
    float *labels = ps_alloc_array(items->n, sizeof *labels);
    for (size_t i = 0; i < n; i++)
        labels[i] = (float)items->labels[i];
    if (!st && n)
        st = ps_explain_put_rows(out, "labels", "", n, 0, NULL, labels);
    ps_free(&labels);
    return st;
}

const ps_explain_method ps_explain_method_probes = {.name = "probes",
                                                    .prepare = prepare,
                                                    .run = run,
                                                    .free = ps_explain_keep_free,
                                                    .finish = finish};
