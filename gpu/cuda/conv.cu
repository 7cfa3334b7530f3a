/* Convolutions as products of matrices that are nowhere: a block makes a tile of 64 × 64, and takes
 * the numbers of both operands from where they lie in images, 16 deep at a time, into shared
 * memory.
 *
 *     y[out, pixels]   = weight[out, taps] · x's taps[taps, pixels of all images]
 *     dx[in, pixels]   = weight's transpose[in, out·kh·kw] · dy's[out·kh·kw, pixels of x]
 *     dweight[out,taps] = dy[out, pixels of all images] · x's taps transposed
 *
 * The last has the longest sums: they are cut into pieces, which lie in the stream's scratch and
 * are added in their order. */
#include "gpu/cuda/reduce.h"

namespace
{
enum { TILE = 64, DEEP = 16, SIDE = 4, THREADS = 256, PIECE = 2048, PIECES = 64 };

struct sizes {
    int64_t images;
    int in, h, w, out, kh, kw, oh, ow, stride, padding;
    int taps, pixels;
};

sizes sizes_of(const ps_conv *c)
{
    const int64_t *x = c->x.shape, *w = c->weight.shape, *y = c->y.shape;
    sizes z = {x[0],
               (int)x[1],
               (int)x[2],
               (int)x[3],
               (int)w[0],
               (int)w[2],
               (int)w[3],
               (int)y[2],
               (int)y[3],
               (int)c->stride,
               (int)c->padding,
               (int)(w[1] * w[2] * w[3]),
               (int)(y[2] * y[3])};
    return z;
}

/* A number of an image, by its number among those of all: [images, pixels]. */
struct place {
    int64_t image;
    int row, column;
    bool there;
};

__device__ __forceinline__ place place_of(int64_t n, int64_t images, int rows, int columns)
{
    place p = {n / ((int64_t)rows * columns), 0, 0, false};
    int at = (int)(n - p.image * rows * columns);
    p.row = at / columns;
    p.column = at - p.row * columns;
    p.there = p.image < images;
    return p;
}

/* x's number that a pixel of y at p finds for a tap; 0 outside. */
__device__ __forceinline__ float tap_of(const sizes &z, const float *x, const place &p, int tap)
{
    int channel = tap / (z.kh * z.kw), i = tap / z.kw % z.kh, j = tap % z.kw;
    int row = p.row * z.stride + i - z.padding, column = p.column * z.stride + j - z.padding;
    bool inside = p.there && row >= 0 && row < z.h && column >= 0 && column < z.w;
    return inside ? x[((p.image * z.in + channel) * z.h + row) * z.w + column] : 0.0f;
}

/* What a product is of: m × n numbers, each a sum of k; a(row, k) and b(k, column), and put. */
struct forward {
    sizes z;
    float *y;
    const float *x, *weight, *bias;
    __host__ __device__ int64_t m() const
    {
        return z.out;
    }
    __host__ __device__ int64_t n() const
    {
        return z.images * z.pixels;
    }
    __host__ __device__ int64_t k() const
    {
        return z.taps;
    }
    __device__ float a(int64_t m, int64_t k) const
    {
        return weight[m * z.taps + k];
    }
    __device__ place column(int64_t n) const
    {
        return place_of(n, z.images, z.oh, z.ow);
    }
    __device__ float b(int64_t k, const place &p) const
    {
        return tap_of(z, x, p, (int)k);
    }
    __device__ void put(int64_t m, int64_t n, float sum, int64_t) const
    {
        place p = column(n);
        y[(p.image * z.out + m) * z.pixels + p.row * z.ow + p.column] = bias ? sum + bias[m] : sum;
    }
};

/* A pixel of x gets what went into y from it: of tap (o, i, j) that of y's pixel from which it is
 * (i, j) away. */
struct input {
    sizes z;
    float *dx;
    const float *dy, *weight;
    __host__ __device__ int64_t m() const
    {
        return z.in;
    }
    __host__ __device__ int64_t n() const
    {
        return z.images * z.h * z.w;
    }
    __host__ __device__ int64_t k() const
    {
        return (int64_t)z.out * z.kh * z.kw;
    }
    __device__ float a(int64_t m, int64_t k) const
    {
        int64_t o = k / (z.kh * z.kw);
        return weight[(o * z.in + m) * (z.kh * z.kw) + (k - o * z.kh * z.kw)];
    }
    __device__ place column(int64_t n) const
    {
        return place_of(n, z.images, z.h, z.w);
    }
    __device__ float b(int64_t k, const place &p) const
    {
        int tap = (int)k, o = tap / (z.kh * z.kw), i = tap / z.kw % z.kh, j = tap % z.kw;
        int row = p.row + z.padding - i, column = p.column + z.padding - j;
        bool inside = p.there && row >= 0 && column >= 0 && row % z.stride == 0 &&
                      column % z.stride == 0 && row / z.stride < z.oh && column / z.stride < z.ow;
        return inside ? dy[(p.image * z.out + o) * z.pixels + row / z.stride * z.ow +
                           column / z.stride]
                      : 0.0f;
    }
    __device__ void put(int64_t m, int64_t n, float sum, int64_t) const
    {
        place p = column(n);
        dx[((p.image * z.in + m) * z.h + p.row) * z.w + p.column] = sum;
    }
};

/* sums: [pieces][out,taps], or the gradient itself where there is one piece. */
struct weight {
    sizes z;
    float *sums;
    const float *dy, *x;
    float beta;
    __host__ __device__ int64_t m() const
    {
        return z.out;
    }
    __host__ __device__ int64_t n() const
    {
        return z.taps;
    }
    __host__ __device__ int64_t k() const
    {
        return z.images * z.pixels;
    }
    __device__ float a(int64_t m, int64_t k) const
    {
        int64_t image = k / z.pixels;
        return dy[(image * z.out + m) * z.pixels + (k - image * z.pixels)];
    }
    __device__ int64_t column(int64_t n) const
    {
        return n;
    }
    __device__ float b(int64_t k, int64_t n) const
    {
        return n < z.taps ? tap_of(z, x, place_of(k, z.images, z.oh, z.ow), (int)n) : 0.0f;
    }
    __device__ void put(int64_t m, int64_t n, float sum, int64_t piece) const
    {
        float *to = sums + (piece * z.out + m) * z.taps + n;
        *to = beta == 0 ? sum : sum + beta * *to;
    }
};

/* The tile at (blockIdx.y, blockIdx.x) of piece blockIdx.z, which has `deep` of k. */
template <typename P> __global__ void __launch_bounds__(THREADS) multiply(P p, int64_t deep)
{
    __shared__ float a[DEEP][TILE + 1], b[DEEP][TILE];
    int thread = threadIdx.x, wide = thread % TILE, high = thread / TILE;
    int64_t m0 = (int64_t)blockIdx.y * TILE, n0 = (int64_t)blockIdx.x * TILE;
    int64_t k0 = (int64_t)blockIdx.z * deep, end = k0 + deep < p.k() ? k0 + deep : p.k();
    auto column = p.column(n0 + wide);
    float sum[SIDE][SIDE] = {};
    for (; k0 < end; k0 += DEEP) {
        for (int i = thread; i < DEEP * TILE; i += THREADS) {
            int64_t m = m0 + i / DEEP, k = k0 + i % DEEP;
            a[i % DEEP][i / DEEP] = m < p.m() && k < end ? p.a(m, k) : 0.0f;
        }
        for (int i = high; i < DEEP; i += THREADS / TILE)
            b[i][wide] = k0 + i < end ? p.b(k0 + i, column) : 0.0f;
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEEP; k++) {
            float row[SIDE], col[SIDE];
            for (int i = 0; i < SIDE; i++) {
                row[i] = a[k][thread / (TILE / SIDE) + i * (TILE / SIDE)];
                col[i] = b[k][thread % (TILE / SIDE) + i * (TILE / SIDE)];
            }
            for (int i = 0; i < SIDE; i++)
                for (int j = 0; j < SIDE; j++)
                    sum[i][j] += row[i] * col[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int64_t m = m0 + thread / (TILE / SIDE) + i * (TILE / SIDE);
            int64_t n = n0 + thread % (TILE / SIDE) + j * (TILE / SIDE);
            if (m < p.m() && n < p.n())
                p.put(m, n, sum[i][j], blockIdx.z);
        }
}

template <typename P>
bool run(ps_stream *s, const char *what, const P &p, int64_t deep, unsigned pieces)
{
    dim3 grid((unsigned)((p.n() + TILE - 1) / TILE), (unsigned)((p.m() + TILE - 1) / TILE), pieces);
    return ps_cuda_end(s, what,
                       GPU_LAUNCH((multiply<P>), grid, THREADS, 0, ps_cuda_queue(s), p, deep));
}

__global__ void __launch_bounds__(THREADS)
    add_pieces(float *d, const float *sums, int64_t n, unsigned pieces, float beta)
{
    int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        float sum = 0;
        for (unsigned p = 0; p < pieces; p++)
            sum += sums[p * n + i];
        d[i] = beta == 0 ? sum : sum + beta * d[i];
    }
}

/* A channel of dy a block. */
__global__ void __launch_bounds__(THREADS)
    sum_channels(float *dbias, const float *dy, int64_t images, int64_t out, int64_t pixels,
                 float beta)
{
    for (int64_t o = blockIdx.x; o < out; o += gridDim.x) {
        float sum = 0;
        for (int64_t image = 0; image < images; image++)
            for (int64_t i = threadIdx.x; i < pixels; i += blockDim.x)
                sum += dy[(image * out + o) * pixels + i];
        sum = ps_block_sum(sum);
        if (threadIdx.x == 0)
            dbias[o] = beta == 0 ? sum : sum + beta * dbias[o];
    }
}

void run_weight(ps_stream *s, const ps_conv *c, const sizes &z)
{
    int64_t size = (int64_t)z.out * z.taps, k = z.images * z.pixels;
    int64_t fit = (int64_t)(PS_CUDA_SCRATCH / sizeof(float)) / size;
    fit = fit > PIECES ? (int64_t)PIECES : fit < 1 ? 1 : fit;
    unsigned pieces = ps_blocks(k, PIECE, fit);
    int64_t deep = ((k + pieces - 1) / pieces + DEEP - 1) / DEEP * DEEP;
    float *d = ps_at<float>(c->weight);
    float *sums = pieces > 1 ? static_cast<float *>(ps_cuda_scratch(s)) : d;
    weight p = {z, sums, ps_at<float>(c->y), ps_at<float>(c->x), pieces > 1 ? 0 : c->beta};
    if (!run(s, "conv_backward_weight", p, deep, pieces) || pieces == 1)
        return;
    ps_cuda_end(s, "conv_backward_weight",
                GPU_LAUNCH(add_pieces, ps_blocks(size, THREADS, 1024), THREADS, 0, ps_cuda_queue(s),
                           d, sums, size, pieces, c->beta));
}
} // namespace

void ps_cuda_conv(ps_stream *s, const ps_conv *c)
{
    sizes z = sizes_of(c);
    forward p = {z, ps_at<float>(c->y), ps_at<float>(c->x), ps_at<float>(c->weight),
                 ps_at<float>(c->bias)};
    if (ps_cuda_begin(s))
        run(s, "conv", p, p.k(), 1);
}

void ps_cuda_conv_backward_input(ps_stream *s, const ps_conv *c)
{
    sizes z = sizes_of(c);
    input p = {z, ps_at<float>(c->x), ps_at<float>(c->y), ps_at<float>(c->weight)};
    if (ps_cuda_begin(s))
        run(s, "conv_backward_input", p, p.k(), 1);
}

void ps_cuda_conv_backward_weight(ps_stream *s, const ps_conv *c)
{
    sizes z = sizes_of(c);
    if (!ps_cuda_begin(s))
        return;
    run_weight(s, c, z);
    if (ps_tensor_present(c->bias))
        ps_cuda_end(s, "conv_backward_weight",
                    GPU_LAUNCH(sum_channels, ps_blocks(z.out, 1, PS_CUDA_ROW_BLOCKS), THREADS, 0,
                               ps_cuda_queue(s), ps_at<float>(c->bias), ps_at<float>(c->y),
                               z.images, z.out, z.pixels, c->beta));
}
