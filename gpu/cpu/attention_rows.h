/* attention_rows: a row of all heads' keys, or values, and what few queries do with it; of four
 * rows at a time, which are read side by side (few.h). They are used as they are kept, float32,
 * bfloat16 or bytes with a scale a head: none is written out as float32 first. */
#ifndef PS_CPU_ATTENTION_ROWS_H
#define PS_CPU_ATTENTION_ROWS_H

#include "gpu/cpu/kernels.h"
#include "gpu/ops.h"

enum { PS_CPU_QUARTERS = 4 };

typedef struct ps_cpu_key_rows {
    const void *x[PS_CPU_QUARTERS];       /* [kv_heads, head_dim] */
    const float *scales[PS_CPU_QUARTERS]; /* of I8: [kv_heads] */
    int64_t heads, kv_heads, head_dim;    /* heads: of queries */
    int64_t ld;                           /* from the scores of one head to the next one's */
    int64_t apart;                        /* from the score of one row to the next one's */
} ps_cpu_key_rows;

/* By the type of the rows: F32, BF16, I8. */
typedef struct ps_cpu_row_kernels {
    /* scores[head·ld + row·apart] = scale · q[head]·k[row] */
    void (*score[PS_DTYPE_COUNT])(const ps_cpu_key_rows *k, float *scores, const float *q,
                                  float scale);
    /* sum[head, head_dim] += Σ over the rows of scores[head·ld + row·apart] · v[row] */
    void (*add[PS_DTYPE_COUNT])(const ps_cpu_key_rows *v, float *sum, const float *scores);
} ps_cpu_row_kernels;

/* For processors with these features: there are always some. */
const ps_cpu_row_kernels *ps_cpu_row_kernels_for(const ps_cpu_features *f);

extern const ps_cpu_row_kernels ps_cpu_row_kernels_avx2, ps_cpu_row_kernels_avx512;

#endif
