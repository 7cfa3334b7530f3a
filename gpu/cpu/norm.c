/* LayerNorm and RMSNorm, row by row: each forward beside its backward. RMSNorm is the same without
 * the mean and the bias. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/moments.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

PS_VECTOR
static ps_cpu_moments root_mean_square(const float *x, int64_t n, float epsilon)
{
    float squares = 0;
    PS_SIMD_SUM(squares)
    for (int64_t i = 0; i < n; i++)
        squares += x[i] * x[i];
    return (ps_cpu_moments){.rstd = 1.0f / sqrtf(squares / (float)n + epsilon)};
}

/* y = (x - mean)·rstd·gain + bias; y may be x */
PS_VECTOR
static void normalise(float *y, const float *x, int64_t n, ps_cpu_moments m, const float *gain,
                      const float *bias)
{
    if (bias) {
        PS_SIMD
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - m.mean) * m.rstd * gain[i] + bias[i];
        return;
    }
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * m.rstd * gain[i];
}

/* Where row number r begins: rows are dense, or `each` in every ld elements. */
static int64_t row_at(int64_t r, int64_t columns, int64_t each, int64_t ld)
{
    return each == 0 ? r * columns : r / each * ld + r % each * columns;
}

/* gain + offset in float32: where it is, or in scratch. */
static const float *load_gain(ps_tensor gain, float offset, float *scratch)
{
    int64_t n = ps_tensor_count(gain);
    const float *g = ps_cpu_load(gain, 0, n, scratch);
    if (offset == 0)
        return g;
    for (int64_t i = 0; i < n; i++)
        scratch[i] = g[i] + offset;
    return scratch;
}

typedef struct forward_run {
    const ps_norm *n;
    bool centred;
    const float *gain, *bias; /* in float32 */
    float *scratch;           /* for BF16: x and y a thread */
} forward_run;

static void forward_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const forward_run *r = context;
    const ps_norm *n = r->n;
    int64_t columns = n->x.shape[1];
    float *rstd = ps_tensor_address(n->rstd);
    float *mean = r->centred ? ps_tensor_address(n->mean) : NULL;
    size_t padded = ps_cpu_padded(columns);
    float *scratch = r->scratch + 2 * padded * (size_t)slot;
    for (int64_t row = begin; row < end; row++) {
        int64_t to = row_at(row, columns, n->each, n->ld_y);
        const float *x =
            ps_cpu_load(n->x, row_at(row, columns, n->each, n->ld_x), columns, scratch);
        float *y = ps_cpu_place(n->y, to, scratch + padded);
        ps_cpu_moments m = r->centred ? ps_cpu_moments_of(x, columns, n->epsilon)
                                      : root_mean_square(x, columns, n->epsilon);
        normalise(y, x, columns, m, r->gain, r->bias);
        ps_cpu_store(n->y, to, columns, y);
        rstd[row] = m.rstd;
        if (mean)
            mean[row] = m.mean;
    }
}

static void forward(ps_stream *s, const ps_norm *n, bool centred)
{
    int64_t columns = n->x.shape[1];
    size_t padded = ps_cpu_padded(columns);
    forward_run r = {.n = n, .centred = centred};
    float *scratch = ps_cpu_scratch(s, 2 * padded * (size_t)(ps_cpu_threads(s) + 1));
    if (!scratch)
        return;
    r.scratch = scratch + 2 * padded;
    r.gain = load_gain(n->gain, n->gain_offset, scratch);
    if (centred)
        r.bias = ps_cpu_load(n->bias, 0, columns, scratch + padded);
    ps_cpu_for(s, n->x.shape[0], ps_cpu_grain(2 * columns), forward_cb, &r);
}

void ps_cpu_layernorm(ps_stream *s, const ps_norm *n)
{
    forward(s, n, true);
}

void ps_cpu_rmsnorm(ps_stream *s, const ps_norm *n)
{
    forward(s, n, false);
}

/* What a row's gradient needs of the whole row, with h = (x - mean)·rstd and g = dy·gain; and
 * dgain += dy·h, dbias += dy. */
typedef struct row_sums {
    float g, gh; /* means over the row */
} row_sums;

PS_VECTOR
static row_sums row_backward_sums(float *restrict dgain, float *restrict dbias,
                                  const float *restrict dy, const float *restrict x,
                                  const float *restrict gain, int64_t n, ps_cpu_moments m)
{
    float g = 0, gh = 0;
    PS_SIMD_SUMS(g, gh)
    for (int64_t i = 0; i < n; i++) {
        float h = (x[i] - m.mean) * m.rstd, scaled = dy[i] * gain[i];
        g += scaled;
        gh += scaled * h;
        dgain[i] += dy[i] * h;
        dbias[i] += dy[i];
    }
    return (row_sums){.g = g / (float)n, .gh = gh / (float)n};
}

/* dx = rstd·(g - mean(g) - h·mean(g·h)) [+ before]; dx may be dy's or before's memory */
PS_VECTOR
static void row_backward(float *dx, const float *before, const float *dy, const float *x,
                         const float *gain, int64_t n, ps_cpu_moments m, row_sums sums)
{
    if (before) {
        PS_SIMD
        for (int64_t i = 0; i < n; i++) {
            float h = (x[i] - m.mean) * m.rstd;
            dx[i] = before[i] + m.rstd * (dy[i] * gain[i] - sums.g - h * sums.gh);
        }
        return;
    }
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        float h = (x[i] - m.mean) * m.rstd;
        dx[i] = m.rstd * (dy[i] * gain[i] - sums.g - h * sums.gh);
    }
}

/* Pieces of rows have sums of their own of dgain and dbias, which are added in the pieces' order:
 * the result is the same for any number of threads. */
enum { PIECES_MAX = 64, PIECE_ROWS = 16 };

typedef struct backward_run {
    const ps_norm_backward *n;
    bool centred;
    const float *gain;
    int64_t grain, pieces;
    size_t padded;  /* floats of a row */
    float *sums;    /* [pieces][2] rows: dgain, dbias */
    float *scratch; /* for BF16: dy, x and dx a thread */
} backward_run;

static void backward_row(const backward_run *r, int64_t row, float *sums, float *scratch)
{
    const ps_norm_backward *n = r->n;
    int64_t columns = n->x.shape[1], at = row_at(row, columns, n->each, n->ld_dy);
    ps_cpu_moments m = {.mean = r->centred ? ((const float *)ps_tensor_address(n->mean))[row] : 0,
                        .rstd = ((const float *)ps_tensor_address(n->rstd))[row]};
    const float *dy = ps_cpu_load(n->dy, at, columns, scratch);
    const float *x =
        ps_cpu_load(n->x, row_at(row, columns, n->each, n->ld_x), columns, scratch + r->padded);
    const float *before =
        n->add_dx ? ps_cpu_load(n->dx, at, columns, scratch + 2 * r->padded) : NULL;
    float *dx = ps_cpu_place(n->dx, at, scratch + 2 * r->padded);
    row_sums means = row_backward_sums(sums, sums + r->padded, dy, x, r->gain, columns, m);
    if (!r->centred)
        means.g = 0;
    if (n->constant_rstd)
        means.gh = 0;
    row_backward(dx, before, dy, x, r->gain, columns, m, means);
    ps_cpu_store(n->dx, at, columns, dx);
}

static void backward_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const backward_run *r = context;
    float *sums = r->sums + 2 * r->padded * (size_t)(begin / r->grain);
    memset(sums, 0, 2 * r->padded * sizeof *sums);
    for (int64_t row = begin; row < end; row++)
        backward_row(r, row, sums, r->scratch + 3 * r->padded * (size_t)slot);
}

static void add_pieces_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const backward_run *r = context;
    const ps_norm_backward *n = r->n;
    ps_cpu_add_pieces((float *)ps_tensor_address(n->dgain) + begin, n->beta, r->sums + begin,
                      2 * r->padded, r->pieces, end - begin);
    if (r->centred)
        ps_cpu_add_pieces((float *)ps_tensor_address(n->dbias) + begin, n->beta,
                          r->sums + r->padded + begin, 2 * r->padded, r->pieces, end - begin);
}

static void backward(ps_stream *s, const ps_norm_backward *n, bool centred)
{
    int64_t rows = n->x.shape[0], columns = n->x.shape[1];
    backward_run r = {.n = n, .centred = centred, .padded = ps_cpu_padded(columns)};
    int64_t grain = (rows + PIECES_MAX - 1) / PIECES_MAX;
    r.grain = grain > PIECE_ROWS ? grain : PIECE_ROWS;
    r.pieces = (rows + r.grain - 1) / r.grain;
    size_t lines = 1 + 2 * (size_t)r.pieces + 3 * (size_t)ps_cpu_threads(s);
    float *scratch = ps_cpu_scratch(s, lines * r.padded);
    if (!scratch)
        return;
    r.gain = load_gain(n->gain, n->gain_offset, scratch);
    r.sums = scratch + r.padded;
    r.scratch = r.sums + 2 * (size_t)r.pieces * r.padded;
    ps_cpu_for(s, rows, r.grain, backward_cb, &r);
    if (ps_tensor_present(n->dgain))
        ps_cpu_for(s, columns, ps_cpu_column_grain(s, columns), add_pieces_cb, &r);
}

void ps_cpu_layernorm_backward(ps_stream *s, const ps_norm_backward *n)
{
    backward(s, n, true);
}

void ps_cpu_rmsnorm_backward(ps_stream *s, const ps_norm_backward *n)
{
    backward(s, n, false);
}
