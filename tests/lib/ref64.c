#include "tests/lib/ref64.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

static double *doubles(int64_t n)
{
    return ps_alloc_array((size_t)n, sizeof(double));
}

double *ps_ref64_from_f32(const float *x, size_t n)
{
    double *out = doubles((int64_t)n);
    for (size_t i = 0; i < n; i++)
        out[i] = (double)x[i];
    return out;
}

void ps_ref64_gemm(bool transpose_a, bool transpose_b, int m, int n, int k, double alpha,
                   const double *a, int ld_a, const double *b, int ld_b, double beta, double *c,
                   int ld_c)
{
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int l = 0; l < k; l++)
                sum += (transpose_a ? a[l * ld_a + i] : a[i * ld_a + l]) *
                       (transpose_b ? b[j * ld_b + l] : b[l * ld_b + j]);
            double before = beta == 0 ? 0 : beta * c[i * ld_c + j];
            c[i * ld_c + j] = alpha * sum + before;
        }
    }
}

/* what gelu_tanh takes the hyperbolic tangent of, and its slope */
static double gelu_inner(double x)
{
    return sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
}

static double gelu_inner_slope(double x)
{
    return sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

double ps_ref64_activation(const char *name, double x)
{
    if (strcmp(name, "gelu_tanh") == 0)
        return 0.5 * x * (1 + tanh(gelu_inner(x)));
    if (strcmp(name, "silu") == 0)
        return x * sigmoid(x);
    if (strcmp(name, "gelu") == 0)
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    if (strcmp(name, "tanh") == 0)
        return tanh(x);
    return x > 0 ? x : 0;
}

double ps_ref64_activation_slope(const char *name, double x)
{
    if (strcmp(name, "gelu_tanh") == 0) {
        double t = tanh(gelu_inner(x));
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * gelu_inner_slope(x);
    }
    if (strcmp(name, "silu") == 0)
        return sigmoid(x) + x * sigmoid(x) * (1 - sigmoid(x));
    if (strcmp(name, "gelu") == 0)
        return 0.5 * (1 + erf(x / sqrt(2))) + x * exp(-x * x / 2) / sqrt(2 * M_PI);
    if (strcmp(name, "tanh") == 0)
        return 1 - tanh(x) * tanh(x);
    return x > 0 ? 1 : 0;
}

void ps_ref64_softmax(double *y, const double *x, int rows, int n)
{
    for (int r = 0; r < rows; r++, x += n, y += n) {
        double max = x[0], sum = 0;
        for (int i = 1; i < n; i++)
            max = fmax(max, x[i]);
        for (int i = 0; i < n; i++)
            sum += y[i] = exp(x[i] - max);
        for (int i = 0; i < n; i++)
            y[i] /= sum;
    }
}

double ps_ref64_cross_entropy(double *dx, const double *x, const int32_t *labels, int rows, int n)
{
    double *p = doubles((int64_t)rows * n);
    ps_ref64_softmax(p, x, rows, n);
    double loss = 0;
    int count = 0;
    for (int r = 0; r < rows; r++)
        count += labels[r] >= 0;
    for (int r = 0; r < rows; r++) {
        loss -= labels[r] < 0 ? 0 : log(p[r * n + labels[r]]) / count;
        for (int i = 0; dx && i < n; i++)
            dx[r * n + i] = labels[r] < 0 ? 0 : (p[r * n + i] - (i == labels[r])) / count;
    }
    ps_free(&p);
    return loss;
}

double ps_ref64_squared_error(double *dy, const double *y, const double *target, int count)
{
    double loss = 0;
    for (int i = 0; i < count; i++) {
        double e = y[i] - target[i];
        loss += e * e;
        if (dy)
            dy[i] = 2 * e / count;
    }
    return loss / count;
}

/* z[l+1] = linear of a[l], a[l+1] = activation of it (none after the last) */
static void mlp_forward(const ps_ref64_mlp *m, double **z, double **a, int rows)
{
    for (int l = 0; l < m->layers; l++) {
        int in = (int)m->sizes[l], out = (int)m->sizes[l + 1];
        z[l + 1] = doubles((int64_t)rows * out);
        a[l + 1] = doubles((int64_t)rows * out);
        ps_ref64_gemm(false, true, rows, out, in, 1, a[l], in, m->parameters[2 * l], in, 0,
                      z[l + 1], out);
        for (int i = 0; i < rows * out; i++) {
            z[l + 1][i] += m->parameters[2 * l + 1][i % out];
            a[l + 1][i] =
                l + 1 < m->layers ? ps_ref64_activation(m->activation, z[l + 1][i]) : z[l + 1][i];
        }
    }
}

/* d: the gradient at the outputs; freed */
static void mlp_backward(const ps_ref64_mlp *m, double **z, double **a, int rows, double *d)
{
    for (int l = m->layers - 1; l >= 0; l--) {
        int in = (int)m->sizes[l], out = (int)m->sizes[l + 1];
        ps_ref64_gemm(true, false, out, in, rows, 1, d, out, a[l], in, 0, m->gradients[2 * l], in);
        memset(m->gradients[2 * l + 1], 0, (size_t)out * sizeof(double));
        for (int i = 0; i < rows * out; i++)
            m->gradients[2 * l + 1][i % out] += d[i];
        double *below = doubles((int64_t)rows * in);
        ps_ref64_gemm(false, false, rows, in, out, 1, d, out, m->parameters[2 * l], in, 0, below,
                      in);
        for (int i = 0; l > 0 && i < rows * in; i++)
            below[i] *= ps_ref64_activation_slope(m->activation, z[l][i]);
        ps_free(&d);
        d = below;
    }
    ps_free(&d);
}

double ps_ref64_mlp_run(const ps_ref64_mlp *m, const double *x, int rows, const int32_t *labels,
                        const double *targets)
{
    int n = (int)m->sizes[m->layers];
    double **z = ps_alloc_array((size_t)m->layers + 1, sizeof *z);
    double **a = ps_alloc_array((size_t)m->layers + 1, sizeof *a);
    a[0] = doubles((int64_t)rows * m->sizes[0]);
    memcpy(a[0], x, (size_t)(rows * m->sizes[0]) * sizeof(double));
    mlp_forward(m, z, a, rows);

    double *d = doubles((int64_t)rows * n);
    double loss = labels ? ps_ref64_cross_entropy(d, a[m->layers], labels, rows, n)
                         : ps_ref64_squared_error(d, a[m->layers], targets, rows * n);
    if (m->outputs)
        memcpy(m->outputs, a[m->layers], (size_t)(rows * n) * sizeof(double));
    if (m->gradients)
        mlp_backward(m, z, a, rows, d);
    else
        ps_free(&d);
    for (int l = 0; l <= m->layers; l++) {
        ps_free(&z[l]);
        ps_free(&a[l]);
    }
    ps_free(&z);
    ps_free(&a);
    return loss;
}

void ps_ref64_differences(ps_ref64_cb f, void *context, double *x, size_t n, double *slopes)
{
    const double h = 1e-5;
    for (size_t i = 0; i < n; i++) {
        double kept = x[i];
        x[i] = kept + h;
        double above = f(context);
        x[i] = kept - h;
        double below = f(context);
        x[i] = kept;
        slopes[i] = (above - below) / (2 * h);
    }
}

double ps_ref64_dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

double ps_ref64_error(const float *got, const double *want, size_t n)
{
    double largest = 1e-30, error = 0;
    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)got[i] - want[i]);
        error = e <= error ? error : e;
        if (isnan(e))
            return INFINITY;
        largest = fmax(largest, fabs(want[i]));
    }
    return error / largest;
}
