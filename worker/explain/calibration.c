/* One row at a time. */
#include "worker/explain/calibration.h"

#include "common/base/require.h"

#include <math.h>

static size_t largest(const double *p, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = p[i] > p[best] ? i : best;
    return best;
}

/* Of (bin/15, (bin + 1)/15]; 0 is in the first. */
static size_t bin_of(double confidence)
{
    double at = ceil(confidence * PS_CALIBRATION_BINS) - 1;
    return at < 0 ? 0 : at >= PS_CALIBRATION_BINS ? PS_CALIBRATION_BINS - 1 : (size_t)at;
}

void ps_calibration_add(ps_calibration *c, const double *probabilities, size_t classes,
                        size_t label, double loss, uint64_t *confusion)
{
    PS_REQUIRE(label < classes);
    size_t answer = largest(probabilities, classes);
    if (!isfinite(probabilities[answer]) || isnan(loss))
        return;
    ps_calibration_bin *bin = &c->bins[bin_of(probabilities[answer])];
    bin->rows += 1;
    bin->confidence += probabilities[answer];
    bin->correct += answer == label;
    c->rows += 1;
    for (size_t i = 0; i < classes; i++) {
        double off = probabilities[i] - (i == label);
        c->brier += off * off;
    }
    c->nll += loss;
    if (confusion)
        confusion[label * classes + answer]++;
}

void ps_calibration_merge(ps_calibration *into, const ps_calibration *other)
{
    for (size_t i = 0; i < PS_CALIBRATION_BINS; i++) {
        into->bins[i].rows += other->bins[i].rows;
        into->bins[i].confidence += other->bins[i].confidence;
        into->bins[i].correct += other->bins[i].correct;
    }
    into->rows += other->rows;
    into->brier += other->brier;
    into->nll += other->nll;
}

/* Of a bin with rows. */
static double gap_of(const ps_calibration_bin *bin)
{
    return fabs(bin->correct - bin->confidence) / bin->rows;
}

double ps_calibration_ece(const ps_calibration *c)
{
    double sum = 0;
    for (size_t i = 0; i < PS_CALIBRATION_BINS; i++)
        if (c->bins[i].rows > 0)
            sum += gap_of(&c->bins[i]) * c->bins[i].rows / c->rows;
    return sum;
}

double ps_calibration_mce(const ps_calibration *c)
{
    double most = 0;
    for (size_t i = 0; i < PS_CALIBRATION_BINS; i++)
        if (c->bins[i].rows > 0)
            most = fmax(most, gap_of(&c->bins[i]));
    return most;
}
