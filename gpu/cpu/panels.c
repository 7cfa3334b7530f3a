/* AVX-512: 8 × 48 sums in 24 registers; each lane of A is broadcast and multiplied by three
 * registers of B. Three loads of B and eight of A feed 24 multiplications, which leaves the loads
 * idle half of the time even where two multiplications are begun at once.
 *
 * Copying by rows transposes: 16 lanes of 8 rows at a time, first within quarters of registers
 * (4 × 4 lanes), then the quarters. */
#include "gpu/cpu/panels.h"

#include "gpu/cpu/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define AVX512      __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,avx512bf16")))
#define INLINE      static inline __attribute__((always_inline))

enum { LANES = 16 /* in a register */ };

/* ---- copying ---- */

/* Of the halves of a register: those of the first `bytes` bytes. */
static __mmask32 first_bytes(int64_t bytes)
{
    return bytes >= 64 ? 0xFFFFFFFFu : (__mmask32)((1u << (bytes / 2)) - 1);
}

/* Lanes [0, n) of 8 rows that begin at in, in + ld bytes, …; `rows` of them are there. To
 * out[lane][width]. */
AVX512
static void transpose_block(const char *in, int64_t ld, int64_t rows, int64_t bytes, int64_t n,
                            int64_t width, uint32_t *out)
{
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __mmask32 some = first_bytes(bytes);
    __m512i row[8], pair[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        row[i] = i < rows ? _mm512_maskz_loadu_epi16(some, in + i * ld) : _mm512_setzero_si512();
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        pair[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
        pair[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
        pair[i + 2] = _mm512_unpacklo_epi32(row[i + 2], row[i + 3]);
        pair[i + 3] = _mm512_unpackhi_epi32(row[i + 2], row[i + 3]);
        row[i] = _mm512_unpacklo_epi64(pair[i], pair[i + 2]);
        row[i + 1] = _mm512_unpackhi_epi64(pair[i], pair[i + 2]);
        row[i + 2] = _mm512_unpacklo_epi64(pair[i + 1], pair[i + 3]);
        row[i + 3] = _mm512_unpackhi_epi64(pair[i + 1], pair[i + 3]);
    }
    __m256i column[LANES];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m512i first = _mm512_permutex2var_epi64(row[i], low, row[i + 4]);
        __m512i last = _mm512_permutex2var_epi64(row[i], high, row[i + 4]);
        column[i] = _mm512_castsi512_si256(first);
        column[i + 4] = _mm512_extracti64x4_epi64(first, 1);
        column[i + 8] = _mm512_castsi512_si256(last);
        column[i + 12] = _mm512_extracti64x4_epi64(last, 1);
    }
    if (n >= LANES) {
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            _mm256_storeu_si256((__m256i *)(void *)(out + i * width), column[i]);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        _mm256_storeu_si256((__m256i *)(void *)(out + i * width), column[i]);
}

static void copy_rows(const ps_panel_copy *c, int64_t element)
{
    int64_t ld = c->ld * element, bytes = c->k * element, lanes = (bytes + 3) / 4;
    for (int64_t j = 0; j < c->count; j += 8) {
        const char *in = (const char *)c->in + j * ld;
        uint32_t *out = c->out + j / c->width * c->stride + j % c->width;
        for (int64_t l = 0; l < lanes; l += LANES)
            transpose_block(in + 4 * l, ld, c->count - j, bytes - 4 * l, lanes - l, c->width,
                            out + l * c->width);
    }
    for (int64_t j = (c->count + 7) / 8 * 8; j % c->width; j += 8) /* what the last panel lacks */
        for (int64_t l = 0; l < lanes; l++)
            for (int64_t i = 0; i < 8; i++)
                c->out[j / c->width * c->stride + l * c->width + j % c->width + i] = 0;
}

/* Elements of neighbouring panels together: the operand is read in the order in which it lies, and
 * no more panels are written at a time than a cache holds lines of one address. */
enum { PANELS_TOGETHER = 8 };

/* Lanes: their rows lie far apart, and the processor does not see by itself which are next. */
enum { AHEAD = 12 };

static int64_t padded(int64_t count, int64_t width)
{
    return (count + width - 1) / width * width;
}

/* Elements [j, j + 16) of a k, of which `left` are there, to their panels; 8 at a time. */
AVX512
INLINE void put_lanes(const ps_panel_copy *c, int64_t j, int64_t l, __m512i lanes)
{
    uint32_t *out = c->out + j / c->width * c->stride + l * c->width + j % c->width;
    if (c->width % LANES == 0) {
        _mm512_storeu_si512(out, lanes);
        return;
    }
    _mm256_storeu_si256((__m256i *)(void *)out, _mm512_castsi512_si256(lanes));
    if (j + 8 < padded(c->count, c->width))
        _mm256_storeu_si256((__m256i *)(void *)(out + c->stride),
                            _mm512_extracti64x4_epi64(lanes, 1));
}

static __mmask16 first_lanes(int64_t n)
{
    return n >= LANES ? 0xFFFFu : n <= 0 ? 0 : (__mmask16)((1u << n) - 1);
}

AVX512
INLINE __m512i load_f32(const ps_panel_copy *c, int64_t j, int64_t l)
{
    const float *in = (const float *)c->in + l * c->ld + j;
    __builtin_prefetch(in + AHEAD * c->ld);
    return _mm512_maskz_loadu_epi32(first_lanes(c->count - j), in);
}

/* Of two rows, the first in the lower halves. */
AVX512
INLINE __m512i load_bf16(const ps_panel_copy *c, int64_t j, int64_t l)
{
    const uint16_t *in = (const uint16_t *)c->in + 2 * l * c->ld + j;
    __builtin_prefetch(in + 2 * AHEAD * c->ld);
    __builtin_prefetch(in + (2 * AHEAD + 1) * c->ld);
    __mmask16 some = first_lanes(c->count - j);
    __mmask16 second = 2 * l + 1 < c->k ? some : 0;
    __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(some, in));
    __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(second, in + c->ld));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

#define COPY_COLUMNS(name, load)                                                 \
    AVX512                                                                       \
    static void name(const ps_panel_copy *c, int64_t lanes)                      \
    {                                                                            \
        int64_t end = padded(c->count, c->width);                                \
        int64_t some = PANELS_TOGETHER * c->width;                               \
        for (int64_t begin = 0; begin < end; begin += some)                      \
            for (int64_t l = 0; l < lanes; l++)                                  \
                for (int64_t j = begin; j < end && j < begin + some; j += LANES) \
                    put_lanes(c, j, l, load(c, j, l));                           \
    }

COPY_COLUMNS(copy_columns_f32, load_f32)
COPY_COLUMNS(copy_columns_bf16, load_bf16)

static void copy_f32(const ps_panel_copy *c)
{
    if (c->by_rows)
        copy_rows(c, 4);
    else
        copy_columns_f32(c, c->k);
}

static void copy_bf16(const ps_panel_copy *c)
{
    if (c->by_rows)
        copy_rows(c, 2);
    else
        copy_columns_bf16(c, (c->k + 1) / 2);
}

/* ---- multiplying ---- */

AVX512
INLINE void store(const ps_panel_product *p, float *c, __m512 sum, __mmask16 some)
{
    __m512 y = _mm512_mul_ps(sum, _mm512_set1_ps(p->alpha));
    if (p->beta != 0)
        y = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(some, c), _mm512_set1_ps(p->beta), y);
    _mm512_mask_storeu_ps(c, some, y);
}

#define MADD_F32(sum, a, b) _mm512_fmadd_ps(a, b, sum)
#define MADD_BF16(sum, a, b) \
    _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(a), (__m512bh)_mm512_castps_si512(b))

/* B comes from the second cache. */
enum { NEXT_B = 12 * PS_PANEL_B };

/* C's lines are asked for while the sums are made. */
#define MULTIPLY(name, target, registers, madd)                                               \
    target static void name(const ps_panel_product *p)                                        \
    {                                                                                         \
        __m512 sum[PS_PANEL_A][registers];                                                    \
        const float *a = (const float *)p->a, *b = (const float *)p->b;                       \
        for (int64_t i = 0; i < p->m; i++)                                                    \
            for (int j = 0; j < registers; j++)                                               \
                __builtin_prefetch(p->c + i * p->ld_c + j * LANES, 1);                        \
        _Pragma("GCC unroll 8") for (int i = 0; i < PS_PANEL_A; i++)                          \
            _Pragma("GCC unroll 3") for (int j = 0; j < registers; j++) sum[i][j] =           \
                _mm512_setzero_ps();                                                          \
        for (int64_t l = 0; l < p->lanes; l++, a += PS_PANEL_A, b += PS_PANEL_B) {            \
            __m512 column[registers];                                                         \
            _Pragma("GCC unroll 3") for (int j = 0; j < registers; j++)                       \
                __builtin_prefetch(b + NEXT_B + j * LANES);                                   \
            _Pragma("GCC unroll 3") for (int j = 0; j < registers; j++) column[j] =           \
                _mm512_load_ps(b + j * LANES);                                                \
            _Pragma("GCC unroll 8") for (int i = 0; i < PS_PANEL_A; i++)                      \
            {                                                                                 \
                __m512 row = _mm512_set1_ps(a[i]);                                            \
                _Pragma("GCC unroll 3") for (int j = 0; j < registers; j++) sum[i][j] =       \
                    madd(sum[i][j], row, column[j]);                                          \
            }                                                                                 \
        }                                                                                     \
        _Pragma("GCC unroll 8") for (int i = 0; i < PS_PANEL_A; i++)                          \
            _Pragma("GCC unroll 3") for (int j = 0; j < registers; j++) if (i < p->m) store(  \
                p, p->c + i * p->ld_c + j * LANES, sum[i][j], first_lanes(p->n - j * LANES)); \
    }

MULTIPLY(multiply_f32_1, AVX512, 1, MADD_F32)
MULTIPLY(multiply_f32_2, AVX512, 2, MADD_F32)
MULTIPLY(multiply_f32_3, AVX512, 3, MADD_F32)
MULTIPLY(multiply_bf16_1, AVX512_BF16, 1, MADD_BF16)
MULTIPLY(multiply_bf16_2, AVX512_BF16, 2, MADD_BF16)
MULTIPLY(multiply_bf16_3, AVX512_BF16, 3, MADD_BF16)

static void multiply_f32(const ps_panel_product *p)
{
    if (p->n > 2 * LANES)
        multiply_f32_3(p);
    else if (p->n > LANES)
        multiply_f32_2(p);
    else
        multiply_f32_1(p);
}

static void multiply_bf16(const ps_panel_product *p)
{
    if (p->n > 2 * LANES)
        multiply_bf16_3(p);
    else if (p->n > LANES)
        multiply_bf16_2(p);
    else
        multiply_bf16_1(p);
}

const ps_panel_kernels *ps_panel_kernels_f32(void)
{
    static const ps_panel_kernels kernels = {
        .lane_k = 1, .copy = copy_f32, .multiply = multiply_f32};
    return ps_cpu_features_read().avx512 ? &kernels : NULL;
}

const ps_panel_kernels *ps_panel_kernels_bf16(void)
{
    static const ps_panel_kernels kernels = {
        .lane_k = 2, .copy = copy_bf16, .multiply = multiply_bf16};
    return ps_cpu_features_read().avx512_bf16 ? &kernels : NULL;
}

#else

const ps_panel_kernels *ps_panel_kernels_f32(void)
{
    return NULL;
}

const ps_panel_kernels *ps_panel_kernels_bf16(void)
{
    return NULL;
}

#endif
