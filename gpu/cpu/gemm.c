/* Matrix products by OpenBLAS. The only file that sees cblas.h. */
#include "gpu/cpu/cpu.h"

#include <cblas.h>

void ps_cpu_set_threads(int threads)
{
    openblas_set_num_threads(threads);
}

void ps_cpu_gemm(ps_stream *s, const ps_gemm *g)
{
    (void)s;
    const float *a = ps_tensor_address(g->a), *b = ps_tensor_address(g->b);
    float *c = ps_tensor_address(g->c);
    for (int64_t i = 0; i < g->batch; i++)
        cblas_sgemm(CblasRowMajor, g->transpose_a ? CblasTrans : CblasNoTrans,
                    g->transpose_b ? CblasTrans : CblasNoTrans, (blasint)g->m, (blasint)g->n,
                    (blasint)g->k, g->alpha, a + i * g->stride_a, (blasint)g->ld_a,
                    b + i * g->stride_b, (blasint)g->ld_b, g->beta, c + i * g->stride_c,
                    (blasint)g->ld_c);
}
