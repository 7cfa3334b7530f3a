/* The matrix of weights, for who asks for it: a block a query of a head, a thread a key. */
#include "gpu/cuda/attention.h"

namespace
{
enum { THREADS = 256 };

template <typename T>
__global__ void __launch_bounds__(THREADS)
    weigh(ps_heads<T> a, float *p, int64_t columns, int64_t rows)
{
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        int64_t unit = row / a.queries, t = row % a.queries, b = unit / a.heads;
        int head = (int)(unit % a.heads);
        const T *q = a.q + a.query_at(b, t, head, a.ld_q);
        const T *k = a.k + a.key_at(b, 0, head / (a.heads / a.kv_heads), a.ld_k);
        ps_seen seen = a.template seen_by<true>(b, t);
        float lse = a.lse[row];
        for (int64_t key = threadIdx.x; key < columns; key += blockDim.x) {
            bool seen_too = key >= seen.begin && key < seen.end;
            float score = 0;
            for (int i = 0; seen_too && i < a.head_dim; i++)
                score += ps_float(q[i]) * ps_float(k[key * a.ld_k + i]);
            p[row * columns + key] = seen_too ? expf(a.capped(score * a.scale) - lse) : 0.0f;
        }
    }
}

template <typename T> void run(ps_stream *s, const ps_attention_weights *w)
{
    const ps_attention *a = w->forward;
    int64_t rows = a->batch * a->heads * a->queries, columns = w->p.shape[w->p.rank - 1];
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "attention_weights",
                    GPU_LAUNCH((weigh<T>), ps_blocks(rows, 1, PS_CUDA_ROW_BLOCKS),
                               ps_row_threads(columns), 0, ps_cuda_queue(s), ps_heads_of<T>(a),
                               ps_at<float>(w->p), columns, rows));
}
} // namespace

void ps_cuda_attention_weights(ps_stream *s, const ps_attention_weights *w)
{
    PS_CUDA_CALL(w->forward->q, run, s, w);
}
