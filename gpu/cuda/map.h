/* map: operations that are done element by element. F is a struct with
 *
 *     enum { inputs = 2, outputs = 1 };
 *     __device__ void operator()(float *y, const float *x) const   // y[outputs] from x[inputs]
 *
 * and ps_map_run applies it to tensors of n elements. An output may be an input's memory. Threads
 * take V elements at a time, 16 bytes where the types are the same, if all addresses allow it. */
#ifndef PS_CUDA_MAP_H
#define PS_CUDA_MAP_H

#include "gpu/cuda/real.h"

#define PS_MAP_THREADS 256
#define PS_MAP_BLOCKS  2048

template <int Bytes> struct ps_bits;
template <> struct ps_bits<16> {
    typedef uint4 type;
};
template <> struct ps_bits<8> {
    typedef uint2 type;
};

/* V elements that are read and written at once. */
template <typename T, int V> union ps_pack {
    T x[V];
    typename ps_bits<(int)sizeof(T) * V>::type bits;
};

template <typename In, typename Out, typename F> struct ps_map {
    Out *out[F::outputs];
    const In *in[F::inputs > 0 ? F::inputs : 1];
    int64_t n;
};

template <typename In, typename Out, typename F>
static __device__ __forceinline__ void ps_map_one(const F &f, const ps_map<In, Out, F> &m,
                                                  int64_t i)
{
    float x[F::inputs > 0 ? F::inputs : 1], y[F::outputs];
    for (int k = 0; k < F::inputs; k++)
        x[k] = ps_float(m.in[k][i]);
    f(y, x);
    for (int k = 0; k < F::outputs; k++)
        ps_store(m.out[k] + i, y[k]);
}

template <int V, typename In, typename Out, typename F>
static __device__ __forceinline__ void ps_map_pack(const F &f, const ps_map<In, Out, F> &m,
                                                   int64_t at)
{
    ps_pack<In, V> in[F::inputs > 0 ? F::inputs : 1];
    ps_pack<Out, V> out[F::outputs];
    for (int k = 0; k < F::inputs; k++)
        in[k].bits = *reinterpret_cast<const decltype(in[k].bits) *>(m.in[k] + at);
#pragma unroll
    for (int i = 0; i < V; i++) {
        float x[F::inputs > 0 ? F::inputs : 1], y[F::outputs];
        for (int k = 0; k < F::inputs; k++)
            x[k] = ps_float(in[k].x[i]);
        f(y, x);
        for (int k = 0; k < F::outputs; k++)
            ps_store(&out[k].x[i], y[k]);
    }
    for (int k = 0; k < F::outputs; k++)
        *reinterpret_cast<decltype(out[k].bits) *>(m.out[k] + at) = out[k].bits;
}

template <int V, typename In, typename Out, typename F>
static __global__ void __launch_bounds__(PS_MAP_THREADS) ps_map_packs(F f, ps_map<In, Out, F> m)
{
    int64_t step = (int64_t)gridDim.x * blockDim.x * V;
    int64_t at = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * V;
    for (; at + V <= m.n; at += step)
        ps_map_pack<V>(f, m, at);
    for (; at < m.n; at++) /* the rest is one thread's */
        ps_map_one(f, m, at);
}

template <typename In, typename Out, typename F>
static __global__ void __launch_bounds__(PS_MAP_THREADS) ps_map_ones(F f, ps_map<In, Out, F> m)
{
    int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < m.n; i += step)
        ps_map_one(f, m, i);
}

template <typename In, typename Out, typename F>
static inline bool ps_map_aligned(const ps_map<In, Out, F> &m, size_t in, size_t out)
{
    bool aligned = true;
    for (int k = 0; k < F::inputs; k++)
        aligned = aligned && reinterpret_cast<uintptr_t>(m.in[k]) % in == 0;
    for (int k = 0; k < F::outputs; k++)
        aligned = aligned && reinterpret_cast<uintptr_t>(m.out[k]) % out == 0;
    return aligned;
}

template <typename In, typename Out, typename F>
static inline void ps_map_run(ps_stream *s, const char *what, F f, const ps_map<In, Out, F> &m)
{
    constexpr int V = 16 / (int)(sizeof(In) > sizeof(Out) ? sizeof(In) : sizeof(Out));
    if (!ps_cuda_begin(s))
        return;
    cudaStream_t q = ps_cuda_queue(s);
    if (ps_map_aligned(m, V * sizeof(In), V * sizeof(Out)))
        ps_cuda_end(s, what,
                    GPU_LAUNCH((ps_map_packs<V, In, Out, F>),
                               ps_blocks(m.n, V * PS_MAP_THREADS, PS_MAP_BLOCKS), PS_MAP_THREADS, 0,
                               q, f, m));
    else
        ps_cuda_end(s, what,
                    GPU_LAUNCH((ps_map_ones<In, Out, F>),
                               ps_blocks(m.n, PS_MAP_THREADS, PS_MAP_BLOCKS), PS_MAP_THREADS, 0, q,
                               f, m));
}

#endif
