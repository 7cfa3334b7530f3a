#include "tests/lib/ref64_distil.h"

#include "common/base/mem.h"

#include <math.h>
#include <stdlib.h>

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* probabilities[n] of logits over the temperature */
static double *probabilities(const double *logits, int n, double temperature)
{
    double *p = ps_alloc_array((size_t)n, sizeof *p);
    for (int i = 0; i < n; i++)
        p[i] = logits[i] / temperature;
    ps_ref64_softmax(p, p, 1, n);
    return p;
}

/* Classes whose teacher's logit is below the k-th largest move into the last of them; the new count
 * of classes. */
static int merge(double *p, double *q, const double *teacher, int n, int k)
{
    double *sorted = ps_alloc_array((size_t)n, sizeof *sorted);
    for (int i = 0; i < n; i++)
        sorted[i] = teacher[i];
    qsort(sorted, (size_t)n, sizeof *sorted, descending);
    double least = sorted[k - 1], rest_p = 0, rest_q = 0;
    int kept = 0, left = 0;
    for (int i = 0; i < n; i++) {
        if (teacher[i] >= least) {
            p[kept] = p[i];
            q[kept++] = q[i];
        } else {
            rest_p += p[i];
            rest_q += q[i];
            left++;
        }
    }
    ps_free(&sorted);
    p[kept] = rest_p;
    q[kept] = rest_q;
    return kept + (left > 0);
}

static double kl(const double *p, const double *q, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += p[i] > 0 ? p[i] * log(p[i] / q[i]) : 0;
    return sum;
}

static double jsd(const double *p, const double *q, int n)
{
    double *m = ps_alloc_array((size_t)n, sizeof *m);
    for (int i = 0; i < n; i++)
        m[i] = (p[i] + q[i]) / 2;
    double both = kl(p, m, n) + kl(q, m, n);
    ps_free(&m);
    return both / 2;
}

static double row_divergence(const ps_ref64_distil *d, const double *logits, const double *teacher)
{
    int n = d->n < d->teacher_n ? d->n : d->teacher_n;
    double *q = probabilities(logits, n, d->temperature);
    double *p = probabilities(teacher, n, d->temperature);
    int classes = d->top_k && d->top_k < n ? merge(p, q, teacher, n, d->top_k) : n;
    double far = d->kind == PS_DIVERGENCE_KL           ? kl(p, q, classes)
                 : d->kind == PS_DIVERGENCE_REVERSE_KL ? kl(q, p, classes)
                                                       : jsd(p, q, classes);
    ps_free(&p);
    ps_free(&q);
    return far;
}

double ps_ref64_distil_run(void *context)
{
    ps_ref64_distil *d = context;
    int kept = 0;
    d->loss = d->divergence = 0;
    d->correct = 0;
    for (int r = 0; r < d->rows; r++) {
        const double *x = d->logits + r * d->n;
        if (d->labels[r] < 0)
            continue;
        int largest = 0;
        for (int i = 1; i < d->n; i++)
            largest = x[i] > x[largest] ? i : largest;
        kept++;
        d->correct += largest == d->labels[r];
        d->loss += ps_ref64_cross_entropy(NULL, x, d->labels + r, 1, d->n);
        d->divergence += row_divergence(d, x, d->teacher + r * d->teacher_n);
    }
    d->loss /= kept;
    d->divergence /= kept;
    return (1 - d->alpha) * d->loss + d->alpha * d->temperature * d->temperature * d->divergence;
}
