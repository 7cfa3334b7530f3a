/* What a model's answers to labelled rows come to, of all rows together and of each:
 *
 *     calibration  bins [bin, quantity]: rows, Σ confidence, Σ right; totals [quantity]: rows,
 *                  Σ Brier, Σ −ln p; then the result `summary` [quantity]: accuracy, mean of −ln p,
 *                  Brier score, expected and largest calibration error (calibration.h)
 *     confusion    counts [label, answer], of models of layers, which have few classes
 *     losses       of each row: loss, confidence (the largest probability), probability (the
 *                  label's), answer; from which the worst rows and any slices are made
 *
 * Of language models it is the token after a row's last. No passes but the one that all share. */
#include "worker/explain/calibration.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>

/* Returns what makes z logarithms of probabilities: −ln p is it less z, also of a p that is too
 * small for a double. */
static double probabilities_of(const float *z, size_t n, double *p)
{
    double most = (double)z[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        most = fmax(most, (double)z[i]);
    for (size_t i = 0; i < n; i++)
        sum += p[i] = exp((double)z[i] - most);
    for (size_t i = 0; i < n; i++)
        p[i] /= sum;
    return most + log(sum);
}

/* Room for one row's probabilities. */
static ps_status make_room(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    if (x->model_spec->loss != PS_SPEC_CROSS_ENTROPY)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%s: it is of classes, and the model's loss is squared_error", spec->method);
    *state = ps_try_alloc_raw((size_t)x->outputs * sizeof(double));
    return *state ? PS_OK : ps_fail(PS_NO_MEMORY, "a row's probabilities");
}

/* ---- calibration ---- */

static const char *const bin_quantities[] = {"rows", "confidence", "right", NULL};
static const char *const total_quantities[] = {"rows", "brier", "loss", NULL};
static const char *const summary_quantities[] = {
    "accuracy", "loss", "brier", "calibration_error", "largest_calibration_error", NULL};
static const ps_explain_entries calibration_entries[] = {{"bins", bin_quantities},
                                                         {"totals", total_quantities},
                                                         {"summary", summary_quantities},
                                                         {NULL, NULL}};

static ps_status put_calibration(const ps_calibration *c, ps_explain_part *out)
{
    double bins[PS_CALIBRATION_BINS * 3], totals[3] = {c->rows, c->brier, c->nll};
    for (size_t i = 0; i < PS_CALIBRATION_BINS; i++) {
        bins[3 * i] = c->bins[i].rows;
        bins[3 * i + 1] = c->bins[i].confidence;
        bins[3 * i + 2] = c->bins[i].correct;
    }
    const uint64_t shape[2] = {PS_CALIBRATION_BINS, 3};
    ps_status st = ps_explain_put_sums(out, "bins", "bin quantity", 2, shape, bins);
    return st ? st : ps_explain_put_sums(out, "totals", "quantity", 1, shape + 1, totals);
}

static ps_status run_calibration(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                                 const ps_explain_items *items, ps_explain_part *out)
{
    ps_calibration c = {0};
    size_t n = (size_t)x->outputs;
    for (size_t i = 0; i < items->n; i++) {
        const float *z = items->logits + i * n;
        int32_t label = items->labels[i];
        if (label < 0)
            continue;
        double loss = probabilities_of(z, n, state) - (double)z[label];
        ps_calibration_add(&c, state, n, (size_t)label, loss, NULL);
    }
    return put_calibration(&c, out);
}

static ps_status finish_calibration(ps_explaining *x, const ps_spec_explain_method *spec,
                                    ps_explain_part *merged)
{
    const ps_explain_array *bins = ps_explain_get(merged, "bins");
    const ps_explain_array *totals = ps_explain_get(merged, "totals");
    if (!bins && !totals) /* all rows were left out */
        return PS_OK;
    if (!bins || !totals || !bins->doubles || !totals->doubles ||
        ps_explain_array_count(bins) != (size_t)PS_CALIBRATION_BINS * 3 ||
        ps_explain_array_count(totals) != 3)
        return ps_fail(PS_CORRUPT, "calibration: sums are missing");
    ps_calibration c = {.rows = totals->doubles[0]};
    double right = 0;
    for (size_t i = 0; i < PS_CALIBRATION_BINS; i++) {
        const double *b = bins->doubles + 3 * i;
        c.bins[i] = (ps_calibration_bin){.rows = b[0], .confidence = b[1], .correct = b[2]};
        right += b[2];
    }
    const float summary[5] = {(float)(right / c.rows), (float)(totals->doubles[2] / c.rows),
                              (float)(totals->doubles[1] / c.rows), (float)ps_calibration_ece(&c),
                              (float)ps_calibration_mce(&c)};
    const uint64_t shape[1] = {5};
    return ps_explain_put_result(merged, "summary", "quantity", 1, shape, summary);
}

/* ---- confusion ---- */

static ps_status make_counts(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    if (x->model_spec->loss != PS_SPEC_CROSS_ENTROPY || x->outputs > 4096)
        return ps_fail(PS_INVALID_ARGUMENT, "confusion: it is of a classifier's classes, at most "
                                            "4096 of them");
    *state = ps_try_alloc((size_t)(x->outputs * x->outputs) * sizeof(double));
    return *state ? PS_OK : ps_fail(PS_NO_MEMORY, "counts of labels and answers");
}

static ps_status run_confusion(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                               const ps_explain_items *items, ps_explain_part *out)
{
    size_t n = (size_t)x->outputs;
    double *counts = state;
    for (size_t i = 0; i < n * n; i++)
        counts[i] = 0;
    for (size_t i = 0; i < items->n; i++)
        if (items->labels[i] >= 0)
            counts[(size_t)items->labels[i] * n +
                   (size_t)ps_explain_largest(items->logits + i * n, x->outputs)]++;
    const uint64_t shape[2] = {n, n};
    return ps_explain_put_sums(out, "counts", "label answer", 2, shape, counts);
}

/* ---- losses ---- */

static const char *const loss_quantities[] = {"loss", "confidence", "probability", "answer", NULL};
static const ps_explain_entries loss_entries[] = {{"rows", loss_quantities}, {NULL, NULL}};
typedef enum loss_quantity { LOSS, CONFIDENCE, PROBABILITY, ANSWER, LOSS_QUANTITIES } loss_quantity;

static void measure(const double *p, size_t n, int32_t label, double loss, float *out)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = p[i] > p[best] ? i : best;
    out[LOSS] = label < 0 ? NAN : (float)loss;
    out[CONFIDENCE] = (float)p[best];
    out[PROBABILITY] = label < 0 ? NAN : (float)p[label];
    out[ANSWER] = (float)best;
}

static ps_status run_losses(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                            const ps_explain_items *items, ps_explain_part *out)
{
    size_t n = (size_t)x->outputs;
    float *rows = ps_try_alloc_raw(items->n * LOSS_QUANTITIES * sizeof *rows);
    if (!rows)
        return ps_fail(PS_NO_MEMORY, "losses of a batch");
    for (size_t i = 0; i < items->n; i++) {
        const float *z = items->logits + i * n;
        int32_t label = items->labels[i];
        double loss = probabilities_of(z, n, state) - (label < 0 ? 0 : (double)z[label]);
        measure(state, n, label, loss, rows + i * LOSS_QUANTITIES);
    }
    ps_status st = ps_explain_put_values(out, "rows", "quantity", items->n, LOSS_QUANTITIES, rows);
    ps_free(&rows);
    return st;
}

const ps_explain_method ps_explain_method_calibration = {.name = "calibration",
                                                         .entries = calibration_entries,
                                                         .prepare = make_room,
                                                         .run = run_calibration,
                                                         .finish = finish_calibration};
const ps_explain_method ps_explain_method_confusion = {
    .name = "confusion", .prepare = make_counts, .run = run_confusion};
const ps_explain_method ps_explain_method_losses = {
    .name = "losses", .entries = loss_entries, .prepare = make_room, .run = run_losses};
