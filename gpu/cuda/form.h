/* form: products and rows of matrices in a form, for kernels of one form each. F is a struct with
 *
 *     static __device__ unsigned bytes(unsigned group);                    // of a block
 *     static __device__ float value(const uint8_t *block, unsigned group, unsigned i);
 *
 * and ps_cuda_form_row<F>("name") its row in form.cu. Bytes stay as they are in files. Of few rows
 * of x, a warp makes one column of y, decoding a row of w as it goes; for more, rows of w are
 * decoded into the stream's scratch memory, some at a time, and multiplied by cuBLAS. */
#ifndef PS_CUDA_FORM_H
#define PS_CUDA_FORM_H

#include "gpu/cuda/reduce.h"

#include <cuda_fp16.h>

/* A form as form.cu finds it. */
typedef struct ps_cuda_form {
    const char *name; /* the form's */
    void (*product)(ps_stream *s, const ps_form_product *p);
    void (*embedding)(ps_stream *s, ps_tensor y, const ps_form_matrix *table, ps_tensor ids,
                      bool add);
    /* Of few rows, which may be rounded to 8 bits (form_dot.h); NULL: none is. */
    void (*rounded)(ps_stream *s, const ps_form_product *p);
} ps_cuda_form;

/* Two bytes as a float16, wherever they lie. */
static __device__ __forceinline__ float ps_form_half(const uint8_t *at)
{
    return __half2float(__ushort_as_half((unsigned short)(at[0] | at[1] << 8)));
}

namespace
{
enum { PS_FORM_THREADS = 128, PS_FORM_WARPS = PS_FORM_THREADS / 32, PS_FORM_BLOCKS = 4096 };
enum { PS_FORM_FEW = 8 }; /* rows of x that are multiplied at once */

struct ps_form_bytes {
    const uint8_t *bytes;
    int64_t rows, columns, row_bytes;
    unsigned group; /* numbers of a block */
};

ps_form_bytes ps_form_matrix_of(const ps_form_matrix *m)
{
    uint32_t group = m->form.group ? m->form.group : (uint32_t)m->columns;
    return {ps_at<uint8_t>(m->bytes), m->bytes.shape[0], m->columns, m->bytes.shape[1], group};
}

template <typename F>
__device__ float ps_form_number(const ps_form_bytes &m, int64_t row, int64_t column)
{
    unsigned at = (unsigned)column, block = at / m.group;
    return F::value(m.bytes + row * m.row_bytes + (int64_t)block * F::bytes(m.group), m.group,
                    at - block * m.group);
}

/* ---- few rows ---- */

template <typename X, typename Y> struct ps_form_few {
    Y *y;
    const X *x;
    int64_t rows, ld_y, ld_x;
    float beta;
};

template <typename F, typename X, typename Y>
__global__ void __launch_bounds__(PS_FORM_THREADS)
    ps_form_multiply(ps_form_bytes m, ps_form_few<X, Y> p)
{
    unsigned lane = threadIdx.x % PS_CUDA_WARP;
    int64_t first = (int64_t)blockIdx.x * PS_FORM_WARPS + threadIdx.x / PS_CUDA_WARP;
    for (int64_t o = first; o < m.rows; o += (int64_t)gridDim.x * PS_FORM_WARPS) {
        float sums[PS_FORM_FEW] = {};
        for (int64_t k = lane; k < m.columns; k += PS_CUDA_WARP) {
            float w = ps_form_number<F>(m, o, k);
#pragma unroll
            for (int i = 0; i < PS_FORM_FEW; i++)
                sums[i] += i < p.rows ? w * ps_float(p.x[i * p.ld_x + k]) : 0.0f;
        }
#pragma unroll
        for (int i = 0; i < PS_FORM_FEW; i++) {
            float sum = ps_lanes(sums[i], ps_plus());
            if (lane == 0 && i < p.rows) {
                Y *y = p.y + i * p.ld_y + o;
                ps_store(y, p.beta == 0 ? sum : sum + p.beta * ps_float(*y));
            }
        }
    }
}

template <typename F, typename X, typename Y>
void ps_form_multiply_few(ps_stream *s, const ps_form_product *p, int64_t from, int64_t rows)
{
    ps_form_bytes m = ps_form_matrix_of(p->w);
    ps_form_few<X, Y> f = {ps_at<Y>(p->y) + from * p->ld_y,
                           ps_at<X>(p->x) + from * p->ld_x,
                           rows,
                           p->ld_y,
                           p->ld_x,
                           p->beta};
    ps_cuda_end(s, "form_product",
                GPU_LAUNCH((ps_form_multiply<F, X, Y>),
                           ps_blocks(m.rows, PS_FORM_WARPS, PS_FORM_BLOCKS), PS_FORM_THREADS, 0,
                           ps_cuda_queue(s), m, f));
}

/* ---- decoded rows ---- */

template <typename F, typename T>
__global__ void __launch_bounds__(PS_FORM_THREADS)
    ps_form_decode_rows(T *out, ps_form_bytes m, int64_t first, int64_t rows)
{
    int64_t n = rows * m.columns;
    for (int64_t i = (int64_t)blockIdx.x * PS_FORM_THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * PS_FORM_THREADS) {
        int64_t row = i / m.columns;
        ps_store(out + i, ps_form_number<F>(m, first + row, i - row * m.columns));
    }
}

/* BF16 keeps 8 bits of each number: what products of a model in BF16 are made of. */
template <typename F, typename T>
void ps_form_multiply_decoded(ps_stream *s, const ps_form_product *p)
{
    ps_form_bytes m = ps_form_matrix_of(p->w);
    ps_buffer memory = {ps_cuda_scratch(s), PS_CUDA_SCRATCH};
    int64_t elements = (int64_t)(PS_CUDA_SCRATCH / sizeof(T)), at_once = elements / m.columns;
    ps_tensor room = ps_tensor_1d(&memory, 0, p->x.dtype, elements);
    for (int64_t first = 0; first < m.rows; first += at_once) {
        int64_t n = m.rows - first < at_once ? m.rows - first : at_once;
        if (!ps_cuda_end(s, "form_product",
                         GPU_LAUNCH((ps_form_decode_rows<F, T>),
                                    ps_blocks(n * m.columns, PS_FORM_THREADS, PS_FORM_BLOCKS),
                                    PS_FORM_THREADS, 0, ps_cuda_queue(s), ps_at<T>(room), m, first,
                                    n)))
            return;
        ps_gemm g = {};
        g.transpose_b = true;
        g.m = p->rows, g.n = n, g.k = m.columns;
        g.alpha = 1, g.beta = p->beta;
        g.a = p->x, g.b = room, g.c = p->y;
        g.c.offset += (size_t)first * ps_dtype_bytes(p->y.dtype);
        g.ld_a = p->ld_x, g.ld_b = m.columns, g.ld_c = p->ld_y;
        g.batch = 1;
        ps_cuda_gemm(s, &g);
    }
}

template <typename F, typename X> void ps_form_run(ps_stream *s, const ps_form_product *p)
{
    if (p->rows > PS_FORM_FEW && p->w->columns <= (int64_t)(PS_CUDA_SCRATCH / sizeof(float) / 16)) {
        ps_form_multiply_decoded<F, X>(s, p);
        return;
    }
    for (int64_t from = 0; from < p->rows; from += PS_FORM_FEW) {
        int64_t rows = p->rows - from < PS_FORM_FEW ? p->rows - from : (int64_t)PS_FORM_FEW;
        if (p->y.dtype == PS_DTYPE_F32)
            ps_form_multiply_few<F, X, float>(s, p, from, rows);
        else
            ps_form_multiply_few<F, X, __nv_bfloat16>(s, p, from, rows);
    }
}

/* ---- rows by number ---- */

template <typename F, typename T>
__global__ void __launch_bounds__(PS_FORM_THREADS)
    ps_form_look_up(T *y, ps_form_bytes m, const int *ids, int64_t rows, bool add)
{
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        T *to = y + row * m.columns;
        for (int64_t i = threadIdx.x; i < m.columns; i += PS_FORM_THREADS) {
            float x = ps_form_number<F>(m, ids[row], i);
            ps_store(to + i, add ? ps_float(to[i]) + x : x);
        }
    }
}

template <typename F, typename T>
void ps_form_embed(ps_stream *s, ps_tensor y, const ps_form_matrix *table, ps_tensor ids, bool add)
{
    ps_cuda_end(s, "form_embedding",
                GPU_LAUNCH((ps_form_look_up<F, T>), ps_blocks(y.shape[0], 1, PS_CUDA_ROW_BLOCKS),
                           PS_FORM_THREADS, 0, ps_cuda_queue(s), ps_at<T>(y),
                           ps_form_matrix_of(table), ps_at<int>(ids), y.shape[0], add));
}

template <typename F> void ps_form_call_product(ps_stream *s, const ps_form_product *p)
{
    if (p->x.dtype == PS_DTYPE_BF16)
        ps_form_run<F, __nv_bfloat16>(s, p);
    else
        ps_form_run<F, float>(s, p);
}

template <typename F>
void ps_form_call_embedding(ps_stream *s, ps_tensor y, const ps_form_matrix *table, ps_tensor ids,
                            bool add)
{
    if (y.dtype == PS_DTYPE_BF16)
        ps_form_embed<F, __nv_bfloat16>(s, y, table, ids, add);
    else
        ps_form_embed<F, float>(s, y, table, ids, add);
}

template <typename F> constexpr ps_cuda_form ps_cuda_form_row(const char *name)
{
    return {name, ps_form_call_product<F>, ps_form_call_embedding<F>, nullptr};
}
} // namespace

#endif
