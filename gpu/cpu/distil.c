/* Cross-entropy and the divergence from a teacher, row by row: the largest of both and the sums of
 * exponentials (so nothing overflows), the divergence, and then the gradient in a pass of its own,
 * which may write over the logits. All that is said of the classes beyond the teacher's top_k is
 * two sums. A NaN in a row makes its results NaN.
 *
 * With Q_c and P_c of class c, one logit or the rest of them, and g_c the derivative of D by Q_c,
 * that of D by logit j of class c is q_j·(g_c - Σ Q·g)/temperature. */
#include "common/base/require.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

/* A row of logits over its first n classes as log-probabilities: scale·(x - largest) - log_sum. */
typedef struct soft {
    const float *x;
    float largest, scale, log_sum;
} soft;

typedef struct row {
    soft student, teacher;
    int64_t shared;
    float least;           /* the teacher's logit from which on a class stands for itself */
    double rest_q, rest_p; /* sums over the rest; both 0: there is none */
    double divergence;
    double mean;      /* what the divergence's own loop leaves for its gradient: Σ Q·g, scaled and
                         shifted as g is there */
    float rest_slope; /* of each logit of the rest, over its q */
} row;

static inline float log_of(const soft *s, int64_t i)
{
    float l = s->scale * (s->x[i] - s->largest) - s->log_sum;
    return l < -1e30f ? -1e30f : l; /* e^-∞ is 0: its product with this is none */
}

PS_VECTOR
static soft soft_of(const float *x, int64_t n, float scale)
{
    soft s = {.x = x, .largest = x[0], .scale = scale};
    float largest = x[0], sum = 0;
    PS_SIMD_MAX(largest)
    for (int64_t i = 0; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    PS_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++)
        sum += ps_vector_exp(scale * (x[i] - largest));
    s.largest = largest;
    s.log_sum = logf(sum);
    return s;
}

/* ---- top_k ---- */

/* heap[k], the least first, in which x takes the least's place. */
static void sink(float *heap, int64_t k, int64_t at, float x)
{
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= k)
            break;
        if (child + 1 < k && heap[child + 1] < heap[child])
            child++;
        if (x <= heap[child])
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = x;
}

/* The k-th largest of n numbers. */
static float kth_largest(const float *x, int64_t n, int64_t k, float *heap)
{
    PS_REQUIRE(k > 0 && k <= n);
    for (int64_t i = 0; i < k; i++)
        heap[i] = x[i];
    for (int64_t i = k / 2; i-- > 0;)
        sink(heap, k, i, heap[i]);
    for (int64_t i = k; i < n; i++)
        if (x[i] > heap[0])
            sink(heap, k, 0, x[i]);
    return heap[0];
}

PS_VECTOR
static void sum_rest(row *r)
{
    const float *t = r->teacher.x;
    float p = 0, q = 0, least = r->least;
    PS_SIMD_SUMS(p, q)
    for (int64_t i = 0; i < r->shared; i++) {
        bool rest = !(t[i] >= least);
        p += rest ? ps_vector_exp(log_of(&r->teacher, i)) : 0;
        q += rest ? ps_vector_exp(log_of(&r->student, i)) : 0;
    }
    r->rest_p = (double)p;
    r->rest_q = (double)q;
}

/* ---- divergences, each with its gradient ---- */

/* g = -p/q, and Σ Q·g = -1 */
PS_VECTOR
static void kl(row *r)
{
    float sum = 0, least = r->least;
    PS_SIMD_SUM(sum)
    for (int64_t i = 0; i < r->shared; i++) {
        float p = log_of(&r->teacher, i), q = log_of(&r->student, i);
        sum += r->teacher.x[i] >= least ? ps_vector_exp(p) * (p - q) : 0;
    }
    r->divergence = (double)sum;
    if (r->rest_q <= 0)
        return;
    r->divergence += r->rest_p * log(r->rest_p / r->rest_q);
    r->rest_slope = (float)(1 - r->rest_p / r->rest_q);
}

/* g = log(q/p) + 1, and Σ Q·g = D + 1 */
PS_VECTOR
static void reverse_kl(row *r)
{
    float sum = 0, least = r->least;
    PS_SIMD_SUM(sum)
    for (int64_t i = 0; i < r->shared; i++) {
        float p = log_of(&r->teacher, i), q = log_of(&r->student, i);
        sum += r->teacher.x[i] >= least ? ps_vector_exp(q) * (q - p) : 0;
    }
    r->divergence = (double)sum;
    if (r->rest_q > 0)
        r->divergence += r->rest_q * log(r->rest_q / r->rest_p);
    r->mean = r->divergence;
    if (r->rest_q > 0)
        r->rest_slope = (float)(log(r->rest_q / r->rest_p) - r->mean);
}

/* log((e^p + e^q)/2) */
static inline float log_middle(float p, float q)
{
    float most = p > q ? p : q, least = p > q ? q : p;
    return most + ps_vector_log(0.5f + 0.5f * ps_vector_exp(least - most));
}

/* g = ½·log(q/m), and Σ Q·g = ½·Σ q·log(q/m) */
PS_VECTOR
static void jsd(row *r)
{
    float of_p = 0, of_q = 0, least = r->least;
    PS_SIMD_SUMS(of_p, of_q)
    for (int64_t i = 0; i < r->shared; i++) {
        float p = log_of(&r->teacher, i), q = log_of(&r->student, i), m = log_middle(p, q);
        bool counts = r->teacher.x[i] >= least;
        of_p += counts ? ps_vector_exp(p) * (p - m) : 0;
        of_q += counts ? ps_vector_exp(q) * (q - m) : 0;
    }
    double sum_p = (double)of_p, sum_q = (double)of_q, rest = 0;
    if (r->rest_q > 0) {
        double middle = (r->rest_p + r->rest_q) / 2;
        rest = log(r->rest_q / middle);
        sum_p += r->rest_p * log(r->rest_p / middle);
        sum_q += r->rest_q * rest;
    }
    r->divergence = (sum_p + sum_q) / 2;
    r->mean = sum_q;
    r->rest_slope = (float)((rest - sum_q) / 2);
}

/* What of the gradient comes from one class beside cross-entropy's: q·(g - mean). */
static inline float slope(ps_divergence kind, float p, float q, float mean)
{
    float e = ps_vector_exp(q);
    switch (kind) {
    case PS_DIVERGENCE_KL:
        return e - ps_vector_exp(p);
    case PS_DIVERGENCE_REVERSE_KL:
        return e * (q - p - mean);
    default:
        return e * 0.5f * (q - log_middle(p, q) - mean);
    }
}

/* d = task·softmax + far·slope over n classes; d may be the logits. kind is known where this is
 * called, so that each gets a loop of its own. */
static inline void write_gradient(float *d, const row *r, const soft *plain, int64_t n,
                                  ps_divergence kind, float task, float far)
{
    const float *t = r->teacher.x;
    float least = r->least, mean = (float)r->mean, rest_slope = r->rest_slope;
    PS_SIMD
    for (int64_t i = 0; i < r->shared; i++) {
        float p = log_of(&r->teacher, i), q = log_of(&r->student, i);
        float own = slope(kind, p, q, mean), rest = ps_vector_exp(q) * rest_slope;
        d[i] = task * ps_vector_exp(log_of(plain, i)) + far * (t[i] >= least ? own : rest);
    }
    PS_SIMD
    for (int64_t i = r->shared; i < n; i++)
        d[i] = task * ps_vector_exp(log_of(plain, i));
}

PS_VECTOR
static void gradient_kl(float *d, const row *r, const soft *plain, int64_t n, float task, float far)
{
    write_gradient(d, r, plain, n, PS_DIVERGENCE_KL, task, far);
}

PS_VECTOR
static void gradient_reverse_kl(float *d, const row *r, const soft *plain, int64_t n, float task,
                                float far)
{
    write_gradient(d, r, plain, n, PS_DIVERGENCE_REVERSE_KL, task, far);
}

PS_VECTOR
static void gradient_jsd(float *d, const row *r, const soft *plain, int64_t n, float task,
                         float far)
{
    write_gradient(d, r, plain, n, PS_DIVERGENCE_JSD, task, far);
}

typedef struct divergence_row {
    void (*measure)(row *r);
    void (*gradient)(float *d, const row *r, const soft *plain, int64_t n, float task, float far);
} divergence_row;

static const divergence_row divergences[PS_DIVERGENCE_COUNT] = {
    [PS_DIVERGENCE_KL] = {kl, gradient_kl},
    [PS_DIVERGENCE_REVERSE_KL] = {reverse_kl, gradient_reverse_kl},
    [PS_DIVERGENCE_JSD] = {jsd, gradient_jsd},
};

/* ---- rows ---- */

/* Sums of pieces are added in the pieces' order: the same for any number of threads. */
enum { PIECES = 64 };

typedef struct sums {
    double loss, divergence;
    int32_t correct;
} sums;

typedef struct distil_run {
    const ps_distil *d;
    int64_t grain, shared, top_k;
    sums of[PIECES];
    float *scratch; /* for BF16 a row a thread, and for top_k a heap */
    size_t row_floats, floats;
} distil_run;

static int64_t first_of(const float *x, int64_t n, float value)
{
    for (int64_t i = 0; i < n; i++)
        if (x[i] == value)
            return i;
    return 0;
}

/* x: logits, t: the teacher's; out, unless NULL: the gradient, which may be x */
static sums distil_row(const distil_run *run, const float *x, const float *t, int64_t label,
                       float *out, float *heap)
{
    const ps_distil *d = run->d;
    int64_t n = d->task.logits.shape[1];
    soft plain = soft_of(x, n, 1);
    row r = {.shared = run->shared, .least = -INFINITY};
    r.student = d->temperature == 1 && run->shared == n
                    ? plain
                    : soft_of(x, run->shared, 1 / d->temperature);
    r.teacher = soft_of(t, run->shared, 1 / d->temperature);
    if (run->top_k) {
        r.least = kth_largest(t, run->shared, run->top_k, heap);
        sum_rest(&r);
    }
    divergences[d->kind].measure(&r);
    sums one = {.loss = (double)plain.log_sum - ((double)x[label] - (double)plain.largest),
                .divergence = r.divergence,
                .correct = first_of(x, n, plain.largest) == label};
    if (!out)
        return one;
    float task = d->task.scale * (1 - d->alpha);
    divergences[d->kind].gradient(out, &r, &plain, n, task,
                                  d->task.scale * d->alpha * d->temperature);
    out[label] -= task;
    return one;
}

static void distil_cb(void *context, int64_t begin, int64_t end, int slot)
{
    distil_run *run = context;
    const ps_cross_entropy *c = &run->d->task;
    int64_t n = c->logits.shape[1], m = run->d->teacher.shape[1];
    const int32_t *labels = ps_tensor_address(c->labels);
    const float *logits = ps_tensor_address(c->logits);
    const float *teacher = ps_tensor_address(run->d->teacher);
    float *scratch = run->scratch + run->floats * (size_t)slot;
    sums total = {0};
    for (int64_t at = begin; at < end; at++) {
        int64_t label = labels[at];
        PS_REQUIRE(label >= -1 && label < n);
        float *out =
            ps_tensor_present(c->dlogits) ? ps_cpu_place(c->dlogits, at * n, scratch) : NULL;
        if (label >= 0) {
            sums one = distil_row(run, logits + at * n, teacher + at * m, label, out,
                                  scratch + run->row_floats);
            total.loss += one.loss;
            total.divergence += one.divergence;
            total.correct += one.correct;
        } else if (out) {
            memset(out, 0, (size_t)n * sizeof *out); /* left out */
        }
        if (out)
            ps_cpu_store(c->dlogits, at * n, n, out);
    }
    run->of[begin / run->grain] = total;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void ps_cpu_distil(ps_stream *s, const ps_distil *d)
{
    const ps_cross_entropy *c = &d->task;
    int64_t rows = c->logits.shape[0], n = c->logits.shape[1];
    int64_t grain = (rows + PIECES - 1) / PIECES, least = ps_cpu_grain(12 * n);
    distil_run run = {.d = d,
                      .grain = grain > least ? grain : least,
                      .shared = smaller(n, d->teacher.shape[1]),
                      .row_floats = ps_cpu_padded(n)};
    run.top_k = d->top_k < run.shared ? d->top_k : 0; /* all of them are all */
    run.floats = run.row_floats + ps_cpu_padded(run.top_k);
    run.scratch = ps_cpu_scratch(s, run.floats * (size_t)ps_cpu_threads(s));
    if (!run.scratch)
        return;
    ps_cpu_for(s, rows, run.grain, distil_cb, &run);
    sums total = {0};
    for (int i = 0; i < PIECES; i++) {
        total.loss += run.of[i].loss;
        total.divergence += run.of[i].divergence;
        total.correct += run.of[i].correct;
    }
    float *loss = ps_tensor_address(c->loss), *far = ps_tensor_address(d->divergence);
    int32_t *correct = ps_tensor_address(c->correct);
    *loss = (c->add ? *loss : 0) + (float)(total.loss * (double)c->scale);
    *far = (c->add ? *far : 0) + (float)(total.divergence * (double)c->scale);
    *correct = (c->add ? *correct : 0) + total.correct;
}
