/* form_kernel: the kernels of form_kernels.h, for the registers of the file that includes this: 16
 * or 8 lanes, each an output. Before it, that file defines LANES, V (32-bit lanes), F (floats),
 * INLINE, TARGET and
 *
 *     v_load v_set1 v_and v_or v_add v_mul v_srl v_sll v_sra   on 32-bit lanes
 *     v_halves(at)       LANES numbers of 16 bits, without sign, as lanes
 *     v_table(places)    bytes that are places in iq4_nl's table, + 128
 *     v_dot(sum, u, q)   each lane's sum of the products of 4 bytes u, without sign, and q's 4
 *     v_float(v), f_zero f_set1 f_mul f_madd(a, b, c) f_sub f_store, f_halves(at): float16
 */
#ifndef PS_CPU_FORM_KERNEL_H
#define PS_CPU_FORM_KERNEL_H

#include "gpu/cpu/form_kernels.h"

enum { WORD = 4 * PS_FORM_ROWS_TOGETHER, HALF = 2 * PS_FORM_ROWS_TOGETHER };

/* ---- what stands before the codes ---- */

typedef struct head {
    F scale, least; /* w = scale · code + least */
} head;

static inline bool has_least(ps_form_kind kind)
{
    return kind == PS_FORM_BYTES_ZERO || kind == PS_FORM_PAIRS_ZERO || kind == PS_FORM_HALVES_MIN ||
           kind == PS_FORM_FIVE_MIN || kind == PS_FORM_Q4_K || kind == PS_FORM_Q5_K;
}

static inline bool has_zero(ps_form_kind kind)
{
    return kind == PS_FORM_BYTES_ZERO || kind == PS_FORM_PAIRS_ZERO;
}

static inline bool is_five(ps_form_kind kind)
{
    return kind == PS_FORM_FIVE || kind == PS_FORM_FIVE_MIN;
}

INLINE F zero_at(const uint8_t *at)
{
    V both = v_halves(at);
    V parts = v_or(v_sll(v_and(both, v_set1(255)), 8), v_srl(both, 8));
    return f_mul(v_float(parts), f_set1(1.0F / 256));
}

/* Of forms with one scale a block; `at` is the lanes' own. */
INLINE head read_head(ps_form_kind kind, const uint8_t *at)
{
    head h = {.scale = f_halves(at), .least = f_zero()};
    if (has_zero(kind)) /* −zero · scale, which has its whole part in its first byte */
        h.least = f_mul(f_sub(f_zero(), zero_at(at + HALF)), h.scale);
    else if (has_least(kind))
        h.least = f_halves(at + HALF);
    return h;
}

/* Part j of 8 of q4_k and q5_k: d·scale and −dmin·min, of 6 bits each; at: d, dmin, and then three
 * words (common/form/q4_k.c). */
INLINE head read_head_k(const uint8_t *at, const uint8_t *words, int j)
{
    V first = v_load(words), second = v_load(words + WORD), third = v_load(words + 2 * WORD);
    V scale, least;
    int shift = 8 * (j % 4);
    if (j < 4) {
        scale = v_and(v_srl(first, shift), v_set1(63));
        least = v_and(v_srl(second, shift), v_set1(63));
    } else {
        scale = v_or(v_and(v_srl(third, shift), v_set1(15)),
                     v_sll(v_and(v_srl(first, shift + 6), v_set1(3)), 4));
        least = v_or(v_and(v_srl(third, shift + 4), v_set1(15)),
                     v_sll(v_and(v_srl(second, shift + 6), v_set1(3)), 4));
    }
    return (head){.scale = f_mul(f_halves(at), v_float(scale)),
                  .least = f_sub(f_zero(), f_mul(f_halves(at + HALF), v_float(least)))};
}

/* ---- codes ---- */

INLINE V nibble(const uint8_t *word, bool high)
{
    V v = v_load(word);
    return v_and(high ? v_srl(v, 4) : v, v_set1(0x0F0F0F0F));
}

/* Bits [first, first + 4) of each lane, one in bit 4 of each byte. */
INLINE V fifth(V bits, int first)
{
    V four = v_and(v_srl(bits, first), v_set1(15));
    return v_sll(v_and(v_mul(four, v_set1(0x00204081)), v_set1(0x01010101)), 4);
}

/* Codes of step s of 8 of a chunk whose words begin there, 4 a lane. */
INLINE V code(ps_form_kind kind, const uint8_t *words, V bits, int s)
{
    switch (kind) {
    case PS_FORM_BYTES:
    case PS_FORM_BYTES_ZERO:
        return v_load(words + s * WORD);
    case PS_FORM_TABLE:
        return v_table(nibble(words + s / 2 * WORD, s % 2));
    case PS_FORM_FIVE:
    case PS_FORM_FIVE_MIN:
        return v_or(nibble(words + s / 2 * WORD, s % 2), fifth(bits, s / 2 * 4 + s % 2 * 16));
    default:
        return nibble(words + s / 2 * WORD, s % 2);
    }
}

/* Likewise of chunk j of 8 of a block of 256, whose words begin there. */
INLINE V code_k(ps_form_kind kind, const uint8_t *words, int j, int s)
{
    if (kind == PS_FORM_Q6_K) {
        const uint8_t *low = words + (j / 4 * 16 + j % 2 * 8 + s) * WORD;
        V high = v_load(words + (32 + j / 4 * 8 + s) * WORD);
        high = v_and(v_srl(high, j % 4 * 2), v_set1(0x03030303));
        return v_or(nibble(low, j % 4 / 2), v_sll(high, 4));
    }
    if (kind == PS_FORM_Q4_K)
        return nibble(words + (3 + j / 2 * 8 + s) * WORD, j % 2);
    V high = v_and(v_srl(v_load(words + (3 + s) * WORD), j), v_set1(0x01010101));
    return v_or(nibble(words + (11 + j / 2 * 8 + s) * WORD, j % 2), v_sll(high, 4));
}

/* Where the numbers of x that step s multiplies are in a chunk. */
static inline int at_of(ps_form_kind kind, int s)
{
    bool halves = kind == PS_FORM_HALVES || kind == PS_FORM_HALVES_MIN || kind == PS_FORM_TABLE ||
                  is_five(kind);
    return halves ? s % 2 * 16 + s / 2 * 4 : s * 4;
}

/* ---- chunks ---- */

INLINE const int8_t *row_of(const ps_form_call *c, int m, int64_t chunk)
{
    return c->x.q + m * c->x.ld + chunk * PS_FORM_CHUNK;
}

INLINE const ps_form_side *side_of(const ps_form_call *c, int m, int64_t chunk)
{
    return c->x.sides + m * (c->x.ld / PS_FORM_CHUNK) + chunk;
}

/* y[m] += h.scale·d·sum[m] + h.least·(d·Σq) */
INLINE void add_chunk(const ps_form_call *c, ps_form_kind kind, int rows, int64_t chunk,
                      const V *sum, head h, F *y)
{
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++) {
        const ps_form_side *side = side_of(c, m, chunk);
        y[m] = f_madd(f_mul(v_float(sum[m]), f_set1(side->scale)), h.scale, y[m]);
        if (has_least(kind))
            y[m] = f_madd(h.least, f_set1(side->sum), y[m]);
    }
}

INLINE void add_step(const ps_form_call *c, int rows, int64_t chunk, int at, V u, V *sum)
{
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
        sum[m] = v_dot(sum[m], u, row_of(c, m, chunk) + at);
}

INLINE void begin(const ps_form_call *c, ps_form_kind kind, int rows, int64_t chunk, int part,
                  V *sum)
{
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
        sum[m] = v_set1(has_least(kind) ? 0 : side_of(c, m, chunk)->under[part]);
}

INLINE void whole_chunk(const ps_form_call *c, ps_form_kind kind, int rows, int64_t chunk,
                        const uint8_t *words, V bits, head h, F *y)
{
    V sum[PS_FORM_ROWS_X];
    begin(c, kind, rows, chunk, 0, sum);
#pragma GCC unroll 8
    for (int s = 0; s < 8; s++)
        add_step(c, rows, chunk, at_of(kind, s), code(kind, words, bits, s), sum);
    add_chunk(c, kind, rows, chunk, sum, h, y);
}

/* The last of a row, of fewer than 8 steps: pairs have two a word. */
INLINE void short_chunk(const ps_form_call *c, ps_form_kind kind, int rows, int64_t chunk,
                        const uint8_t *words, int64_t steps, head h, F *y)
{
    V sum[PS_FORM_ROWS_X];
    bool pairs = kind == PS_FORM_PAIRS || kind == PS_FORM_PAIRS_ZERO;
    begin(c, kind, rows, chunk, 0, sum);
    for (int s = 0; s < steps; s += 1 + pairs) {
        add_step(c, rows, chunk, s * 4, code(kind, words, v_set1(0), s), sum);
        if (pairs)
            add_step(c, rows, chunk, s * 4 + 4, code(kind, words, v_set1(0), s + 1), sum);
    }
    add_chunk(c, kind, rows, chunk, sum, h, y);
}

/* ---- blocks ---- */

static inline int words_of(ps_form_kind kind)
{
    return kind == PS_FORM_BYTES || kind == PS_FORM_BYTES_ZERO ? 8 : 4;
}

/* Of a block of one scale, the lanes' own words of codes, behind its head; bits: the fifth ones. */
INLINE const uint8_t *first_words(ps_form_kind kind, const uint8_t *block, int lane, V *bits)
{
    const uint8_t *words = block + HALF + 4 * lane;
    *bits = v_set1(0);
    if (has_least(kind))
        words += HALF;
    if (!is_five(kind))
        return words;
    *bits = v_load(words);
    return words + WORD;
}

/* One scale a block. halves, words: of the lanes' own. */
INLINE void block_of_chunks(const ps_form_call *c, ps_form_kind kind, int rows, int64_t chunk,
                            const uint8_t *block, int lane, F *y)
{
    V bits;
    head h = read_head(kind, block + 2 * lane);
    const uint8_t *words = first_words(kind, block, lane, &bits);
    int64_t left = c->block;
    for (; left >= PS_FORM_CHUNK; left -= PS_FORM_CHUNK, chunk++) {
        whole_chunk(c, kind, rows, chunk, words, bits, h, y);
        words += words_of(kind) * WORD;
    }
    if (left)
        short_chunk(c, kind, rows, chunk, words, left / 4, h, y);
}

/* q4_k, q5_k */
INLINE void block_of_parts(const ps_form_call *c, ps_form_kind kind, int rows, int64_t chunk,
                           const uint8_t *block, int lane, F *y)
{
    const uint8_t *words = block + 2 * HALF + 4 * lane;
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        V sum[PS_FORM_ROWS_X];
        begin(c, kind, rows, chunk + j, 0, sum);
#pragma GCC unroll 8
        for (int s = 0; s < 8; s++)
            add_step(c, rows, chunk + j, s * 4, code_k(kind, words, j, s), sum);
        add_chunk(c, kind, rows, chunk + j, sum, read_head_k(block + 2 * lane, words, j), y);
    }
}

/* Blocks of many fields are read back and forth, and the processor does not see what is next. */
INLINE void prefetch_block(const ps_form_call *c, const uint8_t *block)
{
    for (int64_t at = 0; at < c->block_bytes; at += 64)
        __builtin_prefetch(block + c->block_bytes + at);
}

/* q6_k: each half of a chunk has a scale of 8 bits, with sign. */
INLINE void block_of_sixteenths(const ps_form_call *c, int rows, int64_t chunk,
                                const uint8_t *block, int lane, F *y)
{
    const uint8_t *words = block + 4 * lane;
    if (lane == 0 && rows == 1)
        prefetch_block(c, block);
    head h = {.scale = f_halves(block + 52 * WORD + 2 * lane), .least = f_zero()};
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        V sum[2][PS_FORM_ROWS_X], scales = v_load(words + (48 + j / 2) * WORD);
#pragma GCC unroll 2
        for (int part = 0; part < 2; part++) {
            begin(c, PS_FORM_Q6_K, rows, chunk + j, part, sum[part]);
#pragma GCC unroll 4
            for (int s = 4 * part; s < 4 * part + 4; s++)
                add_step(c, rows, chunk + j, s * 4, code_k(PS_FORM_Q6_K, words, j, s), sum[part]);
            V scale = v_sra(v_sll(scales, 24 - 8 * (j % 2 * 2 + part)), 24);
#pragma GCC unroll 8
            for (int m = 0; m < rows; m++)
                sum[part][m] = v_mul(sum[part][m], scale);
        }
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++)
            sum[0][m] = v_add(sum[0][m], sum[1][m]);
        add_chunk(c, PS_FORM_Q6_K, rows, chunk + j, sum[0], h, y);
    }
}

/* ---- exact products ---- */

/* What codes are above their numbers, where that is not a block's to say. */
static inline int zero_of(ps_form_kind kind)
{
    switch (kind) {
    case PS_FORM_BYTES:
    case PS_FORM_TABLE:
        return 128;
    case PS_FORM_PAIRS:
    case PS_FORM_HALVES:
        return 8;
    case PS_FORM_FIVE:
        return 16;
    case PS_FORM_Q6_K:
        return 32;
    default:
        return 0;
    }
}

/* Codes of 4 columns, `apart` from one to the next. */
INLINE void add_exact(const ps_form_call *c, ps_form_kind kind, int rows, int64_t column, int apart,
                      V codes, head h, F *y)
{
#pragma GCC unroll 4
    for (int b = 0; b < 4; b++) {
        V u = v_and(v_srl(codes, 8 * b), v_set1(0xFF));
        F w = has_least(kind) ? f_madd(v_float(u), h.scale, h.least)
                              : f_mul(v_float(v_add(u, v_set1(-zero_of(kind)))), h.scale);
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++)
            y[m] = f_madd(w, f_set1(c->x_exact[m * c->ld_exact + column + b * apart]), y[m]);
    }
}

INLINE void step_exact(const ps_form_call *c, ps_form_kind kind, int rows, int64_t column,
                       const uint8_t *words, V bits, int s, head h, F *y)
{
    bool pairs = kind == PS_FORM_PAIRS || kind == PS_FORM_PAIRS_ZERO;
    column += pairs ? s / 2 * 8 + s % 2 : at_of(kind, s);
    add_exact(c, kind, rows, column, 1 + pairs, code(kind, words, bits, s), h, y);
}

INLINE void block_exact(const ps_form_call *c, ps_form_kind kind, int rows, int64_t column,
                        const uint8_t *block, int lane, F *y)
{
    V bits;
    head h = read_head(kind, block + 2 * lane);
    const uint8_t *words = first_words(kind, block, lane, &bits);
    int64_t left = c->block;
    for (; left >= PS_FORM_CHUNK; left -= PS_FORM_CHUNK, column += PS_FORM_CHUNK) {
#pragma GCC unroll 8
        for (int s = 0; s < 8; s++)
            step_exact(c, kind, rows, column, words, bits, s, h, y);
        words += words_of(kind) * WORD;
    }
    for (int s = 0; s < left / 4; s++)
        step_exact(c, kind, rows, column, words, bits, s, h, y);
}

/* q4_k, q5_k, q6_k */
INLINE void block_exact_k(const ps_form_call *c, ps_form_kind kind, int rows, int64_t column,
                          const uint8_t *block, int lane, F *y)
{
    bool sixteenths = kind == PS_FORM_Q6_K;
    const uint8_t *words = block + (sixteenths ? 0 : 2 * HALF) + 4 * lane;
    for (int j = 0; j < 8; j++) {
        head h = {.scale = f_zero(), .least = f_zero()};
        if (!sixteenths)
            h = read_head_k(block + 2 * lane, words, j);
#pragma GCC unroll 8
        for (int s = 0; s < 8; s++) {
            if (sixteenths && s % 4 == 0) {
                V scale = v_load(words + (48 + j / 2) * WORD);
                scale = v_sra(v_sll(scale, 24 - 8 * (j % 2 * 2 + s / 4)), 24);
                h.scale = f_mul(f_halves(block + 52 * WORD + 2 * lane), v_float(scale));
            }
            add_exact(c, kind, rows, column + j * PS_FORM_CHUNK + s * 4, 1,
                      code_k(kind, words, j, s), h, y);
        }
    }
}

/* ---- sixteens ---- */

INLINE void run(const ps_form_call *c, ps_form_kind kind, int rows, bool exact)
{
    bool k = kind == PS_FORM_Q4_K || kind == PS_FORM_Q5_K;
    for (int lane = 0; lane < PS_FORM_ROWS_TOGETHER; lane += LANES) {
        F y[PS_FORM_ROWS_X];
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++)
            y[m] = f_zero();
        const uint8_t *block = c->sixteen;
        for (int64_t at = 0; at < c->columns; at += c->block, block += c->block_bytes) {
            int64_t chunk = at / PS_FORM_CHUNK;
            if (exact && (k || kind == PS_FORM_Q6_K))
                block_exact_k(c, kind, rows, at, block, lane, y);
            else if (exact)
                block_exact(c, kind, rows, at, block, lane, y);
            else if (kind == PS_FORM_Q6_K)
                block_of_sixteenths(c, rows, chunk, block, lane, y);
            else if (k)
                block_of_parts(c, kind, rows, chunk, block, lane, y);
            else
                block_of_chunks(c, kind, rows, chunk, block, lane, y);
        }
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++)
            f_store(c->y + m * PS_FORM_ROWS_TOGETHER + lane, y[m]);
    }
}

#define KERNEL(kind, rows)                                            \
    TARGET static void rounded_##kind##_##rows(const ps_form_call *c) \
    {                                                                 \
        run(c, PS_FORM_##kind, rows, false);                          \
    }                                                                 \
    TARGET static void exact_##kind##_##rows(const ps_form_call *c)   \
    {                                                                 \
        run(c, PS_FORM_##kind, rows, true);                           \
    }
#define KERNELS_OF(kind) KERNEL(kind, 1) KERNEL(kind, 2) KERNEL(kind, 4) KERNEL(kind, 8)

#define KINDS(X)                                                                              \
    X(BYTES) X(BYTES_ZERO) X(PAIRS) X(PAIRS_ZERO) X(HALVES) X(HALVES_MIN) X(FIVE) X(FIVE_MIN) \
        X(TABLE) X(Q4_K) X(Q5_K) X(Q6_K)
KINDS(KERNELS_OF)

#define ROUNDED(kind)                                                               \
    [PS_FORM_##kind] = {rounded_##kind##_1, rounded_##kind##_2, rounded_##kind##_4, \
                        rounded_##kind##_8},
#define EXACT(kind) \
    [PS_FORM_##kind] = {exact_##kind##_1, exact_##kind##_2, exact_##kind##_4, exact_##kind##_8},

#endif
