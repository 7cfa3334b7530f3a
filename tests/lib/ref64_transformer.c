#include "tests/lib/ref64_transformer.h"

#include "common/base/mem.h"
#include "tests/lib/ref64.h"

#include <math.h>
#include <string.h>

void ps_ref64_norm_forward(const ps_ref64_norm *r)
{
    for (int row = 0; row < r->rows; row++) {
        const double *x = r->x + row * r->n;
        double mean = 0, variance = 0;
        for (int i = 0; r->bias && i < r->n; i++)
            mean += x[i] / r->n;
        for (int i = 0; i < r->n; i++)
            variance += (x[i] - mean) * (x[i] - mean) / r->n;
        r->mean[row] = mean;
        r->rstd[row] = 1 / sqrt(variance + r->epsilon);
        for (int i = 0; i < r->n; i++)
            r->y[row * r->n + i] =
                (x[i] - mean) * r->rstd[row] * r->gain[i] + (r->bias ? r->bias[i] : 0);
    }
}

/* By the chain rule through variance and mean, each written out. */
static void norm_row_backward(const ps_ref64_norm *r, int row, const double *dy, double *dx)
{
    const double *x = r->x + row * r->n;
    double mean = r->mean[row], rstd = r->rstd[row], dvariance = 0, dmean = 0;
    for (int i = 0; i < r->n; i++)
        dvariance += dy[i] * r->gain[i] * (x[i] - mean) * -0.5 * pow(rstd, 3);
    for (int i = 0; r->bias && i < r->n; i++)
        dmean -= dy[i] * r->gain[i] * rstd + dvariance * 2 * (x[i] - mean) / r->n;
    for (int i = 0; i < r->n; i++)
        dx[i] = dy[i] * r->gain[i] * rstd + dvariance * 2 * (x[i] - mean) / r->n + dmean / r->n;
}

void ps_ref64_norm_backward(const ps_ref64_norm *r, const double *dy, double *dx, double *dgain,
                            double *dbias)
{
    memset(dgain, 0, (size_t)r->n * sizeof *dgain);
    if (dbias)
        memset(dbias, 0, (size_t)r->n * sizeof *dbias);
    for (int row = 0; row < r->rows; row++) {
        norm_row_backward(r, row, dy + row * r->n, dx + row * r->n);
        for (int i = 0; i < r->n; i++) {
            int at = row * r->n + i;
            dgain[i] += dy[at] * (r->x[at] - r->mean[row]) * r->rstd[row];
            if (dbias)
                dbias[i] += dy[at];
        }
    }
}

static int q_at(const ps_ref64_attention *r, int b, int t, int h)
{
    return ((b * r->queries + t) * r->heads + h) * r->head_dim;
}

static int k_at(const ps_ref64_attention *r, int b, int t, int h)
{
    return ((b * r->keys + t) * r->kv_heads + h / (r->heads / r->kv_heads)) * r->head_dim;
}

static bool sees(const ps_ref64_attention *r, int b, int t, int key)
{
    int position = r->keys - r->queries + t, query = b * r->queries + t;
    if (r->causal && key > position)
        return false;
    if (r->window > 0 && key <= position - r->window)
        return false;
    return (!r->starts || key >= r->starts[query]) && (!r->ends || key < r->ends[query]);
}

/* scale·q·k, capped; *slope, unless NULL, by scale·q·k */
static double score_of(const ps_ref64_attention *r, int b, int t, int h, int key, double *slope)
{
    const double *q = r->q + q_at(r, b, t, h), *k = r->k + k_at(r, b, key, h);
    double score = r->scale * ps_ref64_dot(q, k, (size_t)r->head_dim);
    double part = r->softcap > 0 ? tanh(score / r->softcap) : 0;
    if (slope)
        *slope = 1 - part * part;
    return r->softcap > 0 ? r->softcap * part : score;
}

double ps_ref64_attention_weights(const ps_ref64_attention *r, int b, int t, int h, double *p)
{
    double max = -INFINITY, sum = 0;
    for (int j = 0; j < r->keys; j++) {
        p[j] = sees(r, b, t, j) ? score_of(r, b, t, h, j, NULL) : -INFINITY;
        max = fmax(max, p[j]);
    }
    for (int j = 0; j < r->keys; j++) {
        p[j] = isinf(p[j]) ? 0 : exp(p[j] - max);
        sum += p[j];
    }
    for (int j = 0; j < r->keys && sum > 0; j++)
        p[j] /= sum;
    return max + log(sum);
}

static double kept(const ps_ref64_attention *r, int b, int t, int h, int key)
{
    return r->kept ? r->kept[((int64_t)(b * r->heads + h) * r->queries + t) * r->keys + key] : 1;
}

void ps_ref64_attention_forward(const ps_ref64_attention *r)
{
    double *p = ps_alloc_array((size_t)r->keys, sizeof *p);
    for (int b = 0; b < r->batch; b++) {
        for (int h = 0; h < r->heads; h++) {
            for (int t = 0; t < r->queries; t++) {
                double lse = ps_ref64_attention_weights(r, b, t, h, p),
                       *y = r->y + q_at(r, b, t, h);
                if (r->lse)
                    r->lse[(b * r->heads + h) * r->queries + t] = lse;
                for (int i = 0; i < r->head_dim; i++) {
                    y[i] = 0;
                    for (int j = 0; j < r->keys; j++)
                        y[i] += p[j] * kept(r, b, t, h, j) * r->v[k_at(r, b, j, h) + i];
                }
            }
        }
    }
    ps_free(&p);
}

/* One query's part: dq is its own, dk and dv are added to. */
static void query_backward(const ps_ref64_attention *r, int b, int t, int h, const double *dy,
                           double *dq, double *dk, double *dv)
{
    int n = r->head_dim;
    double *p = ps_alloc_array((size_t)r->keys, sizeof *p);
    double *dp = ps_alloc_array((size_t)r->keys, sizeof *dp);
    (void)ps_ref64_attention_weights(r, b, t, h, p);
    double mean = 0;
    for (int j = 0; j < r->keys; j++) {
        dp[j] = kept(r, b, t, h, j) * ps_ref64_dot(dy, r->v + k_at(r, b, j, h), (size_t)n);
        mean += p[j] * dp[j];
    }
    for (int j = 0; j < r->keys; j++) {
        double slope;
        (void)score_of(r, b, t, h, j, &slope);
        double ds = p[j] * (dp[j] - mean) * slope * r->scale; /* softmax' */
        for (int i = 0; i < n; i++) {
            dv[k_at(r, b, j, h) + i] += p[j] * kept(r, b, t, h, j) * dy[i];
            dq[i] += ds * r->k[k_at(r, b, j, h) + i];
            dk[k_at(r, b, j, h) + i] += ds * r->q[q_at(r, b, t, h) + i];
        }
    }
    ps_free(&p);
    ps_free(&dp);
}

void ps_ref64_attention_backward(const ps_ref64_attention *r, const double *dy, double *dq,
                                 double *dk, double *dv)
{
    size_t keys = (size_t)(r->batch * r->keys * r->kv_heads * r->head_dim);
    memset(dq, 0, (size_t)(r->batch * r->queries * r->heads * r->head_dim) * sizeof *dq);
    memset(dk, 0, keys * sizeof *dk);
    memset(dv, 0, keys * sizeof *dv);
    for (int b = 0; b < r->batch; b++) {
        for (int h = 0; h < r->heads; h++) {
            for (int t = 0; t < r->queries; t++)
                query_backward(r, b, t, h, dy + q_at(r, b, t, h), dq + q_at(r, b, t, h), dk, dv);
        }
    }
}

void ps_ref64_rope(double *x, int rows, int heads, int head_dim, const int32_t *positions,
                   double base, bool inverse)
{
    int half = head_dim / 2;
    for (int r = 0; r < rows * heads; r++, x += head_dim) {
        for (int i = 0; i < half; i++) {
            double angle = positions[r / heads] * pow(base, -2.0 * i / head_dim);
            if (inverse)
                angle = -angle;
            double a = x[i], b = x[i + half];
            x[i] = a * cos(angle) - b * sin(angle);
            x[i + half] = b * cos(angle) + a * sin(angle);
        }
    }
}
