/* form_one: one row of x with a sixteen, multiplied as codes are read (form_kernel.h). */
#ifndef PS_CPU_FORM_ONE_H
#define PS_CPU_FORM_ONE_H

#include "gpu/cpu/form_codes.h"

#include <string.h>

enum { AHEAD = 2048 /* bytes that are asked for before they are multiplied */ };

/* The last chunk of a row may be short: its words are copied, and zeros behind them. */
INLINE const uint8_t *whole_words(const ps_form_call *c, ps_form_kind kind, const uint8_t *words,
                                  int64_t j, uint8_t *room)
{
    int64_t numbers = c->block - j * PS_FORM_CHUNK;
    if (numbers >= PS_FORM_CHUNK)
        return words;
    int64_t n = numbers * words_of(kind) / PS_FORM_CHUNK;
    memset(room, 0, 8 * WORD);
    for (int64_t i = 0; i < n; i++)
        memcpy(room + i * WORD, words + i * WORD, 4 * LANES);
    return room;
}

INLINE F add_sums(ps_form_kind kind, F y, const V *sum, const head *h, const ps_form_side *side)
{
    F total = f_mul(v_float(sum[0]), h[0].scale);
    if (parts_of(kind) == 2)
        total = f_madd(v_float(sum[1]), h[1].scale, total);
    y = f_madd(total, f_set1(side->scale), y);
    for (int part = 0; has_least(kind) && part < parts_of(kind); part++)
        y = f_madd(h[part].least, f_set1(side->sum[part]), y);
    return y;
}

INLINE F one_chunk(const ps_form_call *c, ps_form_kind kind, int64_t chunk, const uint8_t *words,
                   V bits, const head *h, F y)
{
    const int8_t *q = c->x.q + chunk * PS_FORM_CHUNK;
    const ps_form_side *side = c->x.sides + chunk;
    V sum = first_sum(size_of(kind), has_least(kind), side, 0);
#pragma GCC unroll 8
    for (int s = 0; s < STEPS; s++)
        sum = dot(size_of(kind), sum, code(kind, words, bits, s), q + at_of(kind, s));
    return add_sums(kind, y, &sum, h, side);
}

/* Codes of 4 bits and fewer are multiplied faster than the processor's own reading ahead brings
 * them, which ends with a page. */
INLINE void prefetch_words(ps_form_kind kind, const uint8_t *words, int lane)
{
    if (lane == 0)
#pragma GCC unroll 16
        for (int at = 0; at < words_of(kind) * WORD; at += 64)
            __builtin_prefetch(words + AHEAD + at);
}

/* A block with one scale. */
INLINE F one_block(const ps_form_call *c, ps_form_kind kind, int64_t chunk, const uint8_t *block,
                   int lane, F y)
{
    V bits;
    uint8_t room[8 * WORD];
    head h = read_head(kind, block, lane);
    const uint8_t *words = first_words(kind, block, lane, &bits);
    int64_t left = c->block;
    for (; left >= PS_FORM_CHUNK; left -= PS_FORM_CHUNK) {
        prefetch_words(kind, words, lane);
        y = one_chunk(c, kind, chunk++, words, bits, &h, y);
        words += words_of(kind) * WORD;
    }
    if (left)
        y = one_chunk(c, kind, chunk, whole_words(c, kind, words, c->block / PS_FORM_CHUNK, room),
                      bits, &h, y);
    return y;
}

/* Blocks of many fields are read back and forth, and the processor does not see what is next: step
 * `step` of `steps` asks for its share of the next block. */
INLINE void prefetch_share(const ps_form_call *c, const uint8_t *block, int step, int steps)
{
    int64_t begin = c->block_bytes * step / steps, end = c->block_bytes * (step + 1) / steps;
    for (int64_t at = begin; at < end; at += 64)
        __builtin_prefetch(block + c->block_bytes + at);
}

INLINE F one_group(const ps_form_call *c, ps_form_kind kind, int64_t chunk, const uint8_t *block,
                   int lane, int g, F y)
{
    const int n = together_of(kind), parts = parts_of(kind);
    const int8_t *q = c->x.q + (chunk + g * n) * PS_FORM_CHUNK;
    const ps_form_side *sides = c->x.sides + chunk + g * n;
    V sum[TOGETHER][2];
#pragma GCC unroll 8
    for (int i = 0; i < n * parts; i++)
        sum[i / parts][i % parts] =
            first_sum(SIZED_LOW, has_least(kind), sides + i / parts, i % parts);
#pragma GCC unroll 8
    for (int s = 0; s < STEPS; s++) {
        V u[TOGETHER];
        int part = s * parts / STEPS;
        if (lane == 0)
            prefetch_share(c, block, g * STEPS + s, STEPS * BLOCK_CHUNKS / n);
        codes_k(kind, block + 4 * lane, g, s, u);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
            sum[i][part] = v_dot_low(sum[i][part], u[i], q + i * PS_FORM_CHUNK + 4 * s);
    }
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        head h[2] = {head_k(kind, block, lane, g * n + i, 0),
                     head_k(kind, block, lane, g * n + i, 1)};
        y = add_sums(kind, y, sum[i], h, sides + i);
    }
    return y;
}

INLINE F one_block_k(const ps_form_call *c, ps_form_kind kind, int64_t chunk, const uint8_t *block,
                     int lane, F y)
{
    const int groups = BLOCK_CHUNKS / together_of(kind);
#pragma GCC unroll 4
    for (int g = 0; g < groups; g++)
        y = one_group(c, kind, chunk, block, lane, g, y);
    return y;
}

/* Block by block for all lanes: what is read once is near when it is read again. */
INLINE void one(const ps_form_call *c, ps_form_kind kind)
{
    enum { PARTS = PS_FORM_ROWS_TOGETHER / LANES };
    const uint8_t *block = c->sixteen;
    F y[PARTS];
    for (int i = 0; i < PARTS; i++)
        y[i] = f_zero();
    for (int64_t at = 0; at < c->columns; at += c->block, block += c->block_bytes)
#pragma GCC unroll 2
        for (int i = 0; i < PARTS; i++)
            y[i] = is_k(kind) ? one_block_k(c, kind, at / PS_FORM_CHUNK, block, i * LANES, y[i])
                              : one_block(c, kind, at / PS_FORM_CHUNK, block, i * LANES, y[i]);
    for (int i = 0; i < PARTS; i++)
        f_store(c->y + i * LANES, y[i]);
}

#endif
