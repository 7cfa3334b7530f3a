/* form_codes: how the codes and scales of a block of 16 rows (form_order.h) come into registers,
 * for the registers of the file that includes this: 16 or 8 lanes, each an output. Before it, that
 * file defines LANES, V (32-bit lanes), F (floats), H (16-bit lanes), INLINE, TARGET and
 *
 *     v_load v_store v_set1 v_and v_or v_add v_mul v_srl v_sll v_sra   on 32-bit lanes
 *     v_halves(at)       LANES numbers of 16 bits, without sign, as lanes; v_bytes(at) of 8
 *     v_table(t, places) bytes that are places in a table of 16 bytes
 *     v_dot(sum, u, q)   each lane's sum of the products of 4 bytes u, without sign, and q's 4;
 *                        v_dot_low(sum, u, q) likewise, where u are below 128;
 *                        v_dot_less(sum, u, q) with 128 taken from each u, where LESS_128 is 1
 *     v_float(v), f_zero f_set1 f_mul f_madd(a, b, c) f_add f_sub f_load f_store
 *     f_halves(at)       float16; f_bits(v) what a lane's bits are as a float
 *     f_e4m3(at, even, odd, no_number), f_no_number(seen): two a lane; h_zero
 *
 * A kind is a constant wherever these are called, so that only its own case is left.
 */
#ifndef PS_CPU_FORM_CODES_H
#define PS_CPU_FORM_CODES_H

#include "gpu/cpu/form_kernels.h"

enum {
    WORD = 4 * PS_FORM_ROWS_TOGETHER,
    HALF = 2 * PS_FORM_ROWS_TOGETHER,
    TOGETHER = 4, /* chunks whose codes share words, at most */
    STEPS = PS_FORM_CHUNK / 4,
    BLOCK_CHUNKS = 256 / PS_FORM_CHUNK /* of ggml's blocks of 256 */
};

/* ---- kinds ---- */

/* A zero that each block says. */
static inline bool has_zero(ps_form_kind kind)
{
    return kind == PS_FORM_BYTES_ZERO || kind == PS_FORM_PAIRS_ZERO ||
           kind == PS_FORM_EIGHTS_ZERO || kind == PS_FORM_FOURS_ZERO;
}

static inline bool has_least(ps_form_kind kind)
{
    return has_zero(kind) || kind == PS_FORM_HALVES_MIN || kind == PS_FORM_FIVE_MIN ||
           kind == PS_FORM_Q2_K || kind == PS_FORM_Q4_K || kind == PS_FORM_Q5_K;
}

static inline bool is_five(ps_form_kind kind)
{
    return kind == PS_FORM_FIVE || kind == PS_FORM_FIVE_MIN;
}

static inline bool is_k(ps_form_kind kind)
{
    return kind >= PS_FORM_Q2_K && kind <= PS_FORM_Q6_K;
}

/* Scales of a chunk. */
static inline int parts_of(ps_form_kind kind)
{
    return kind == PS_FORM_Q2_K || kind == PS_FORM_Q3_K || kind == PS_FORM_Q6_K ? 2 : 1;
}

/* How large codes are: the products' sums are found in another way. */
typedef enum sized {
    SIZED_LOW,  /* below 128 */
    SIZED_LESS, /* of a zero of 128 */
    SIZED_ANY,
} sized;

static inline sized size_of(ps_form_kind kind)
{
    return kind == PS_FORM_BYTES || kind == PS_FORM_TABLE ? SIZED_LESS
           : kind == PS_FORM_BYTES_ZERO                   ? SIZED_ANY
                                                          : SIZED_LOW;
}

INLINE V dot(sized size, V sum, V u, const int8_t *q)
{
    return size == SIZED_LOW    ? v_dot_low(sum, u, q)
           : size == SIZED_LESS ? v_dot_less(sum, u, q)
                                : v_dot(sum, u, q);
}

/* What the sum of a chunk's products, of this part, begins with: with what its zero adds. */
INLINE V first_sum(sized size, bool least, const ps_form_side *side, int part)
{
    return v_set1(least || (LESS_128 && size == SIZED_LESS) ? 0 : side->under[part]);
}

/* Chunks whose codes are bits of the same words. */
static inline int together_of(ps_form_kind kind)
{
    return parts_of(kind) == 2 ? 4 : is_k(kind) ? 2 : 1;
}

/* Where the numbers of x that step s multiplies are in a chunk: halves of 16 are in one byte. */
static inline int at_of(ps_form_kind kind, int s)
{
    bool halves = kind >= PS_FORM_HALVES && kind <= PS_FORM_POWER;
    return halves ? s % 2 * 16 + s / 2 * 4 : s * 4;
}

/* Words of a chunk, of kinds with one scale a block. */
static inline int words_of(ps_form_kind kind)
{
    switch (kind) {
    case PS_FORM_BYTES:
    case PS_FORM_BYTES_ZERO:
        return 8;
    case PS_FORM_EIGHTS:
    case PS_FORM_EIGHTS_ZERO:
        return 3;
    case PS_FORM_FOURS:
    case PS_FORM_FOURS_ZERO:
        return 2;
    default:
        return 4;
    }
}

/* ---- codes ---- */

/* Two or four bits of each byte. */
INLINE V nibble(V v, int high)
{
    return v_and(high ? v_srl(v, 4) : v, v_set1(0x0F0F0F0F));
}

INLINE V pair(V v, int place)
{
    return v_and(place ? v_srl(v, 2 * place) : v, v_set1(0x03030303));
}

/* Bit `from` of each byte, as bit `to`. */
INLINE V bit(V v, int from, int to)
{
    V moved = from >= to ? v_srl(v, from - to) : v_sll(v, to - from);
    return v_and(moved, v_set1(0x01010101 << to));
}

/* Bits [first, first + 4) of each lane, one in bit 4 of each byte. */
INLINE V fifth(V bits, int first)
{
    V four = v_and(v_srl(bits, first), v_set1(15));
    return v_sll(v_and(v_mul(four, v_set1(0x00204081)), v_set1(0x01010101)), 4);
}

/* common/form/tables.c's, + 128 and + 12. */
static const int8_t uneven[16] = {1,           24,          45,          63,
                                  79,          93,          106,         118,
                                  (int8_t)129, (int8_t)141, (int8_t)153, (int8_t)166,
                                  (int8_t)181, (int8_t)197, (int8_t)217, (int8_t)241};
static const int8_t e2m1[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

/* Codes of step s of a chunk whose words begin there, 4 a lane; bits: the fifth ones. */
INLINE V code(ps_form_kind kind, const uint8_t *words, V bits, int s)
{
    switch (kind) {
    case PS_FORM_BYTES:
    case PS_FORM_BYTES_ZERO:
        return v_load(words + s * WORD);
    case PS_FORM_EIGHTS:
    case PS_FORM_EIGHTS_ZERO:
        return v_or(pair(v_load(words + s / 4 * WORD), s % 4), bit(v_load(words + 2 * WORD), s, 2));
    case PS_FORM_FOURS:
    case PS_FORM_FOURS_ZERO:
        return pair(v_load(words + s / 4 * WORD), s % 4);
    case PS_FORM_TABLE:
        return v_table(uneven, nibble(v_load(words + s / 2 * WORD), s % 2));
    case PS_FORM_POWER:
        return v_table(e2m1, nibble(v_load(words + s / 2 * WORD), s % 2));
    case PS_FORM_FIVE:
    case PS_FORM_FIVE_MIN:
        return v_or(nibble(v_load(words + s / 2 * WORD), s % 2),
                    fifth(bits, s / 2 * 4 + s % 2 * 16));
    default:
        return nibble(v_load(words + s / 2 * WORD), s % 2);
    }
}

/* Likewise of the chunks of group g of a block of 256, whose words begin there: each in u[its
 * place]. Where fields lie is said in common/form/q2_k.c to q6_k.c. */
INLINE void codes_k(ps_form_kind kind, const uint8_t *words, int g, int s, V *u)
{
    if (kind == PS_FORM_Q4_K || kind == PS_FORM_Q5_K) {
        V low = v_load(words + ((kind == PS_FORM_Q5_K ? 12 : 4) + g * STEPS + s) * WORD);
        u[0] = nibble(low, 0);
        u[1] = nibble(low, 1);
        if (kind == PS_FORM_Q5_K) {
            V high = v_load(words + (4 + s) * WORD);
            u[0] = v_or(u[0], bit(high, 2 * g, 4));
            u[1] = v_or(u[1], bit(high, 2 * g + 1, 4));
        }
        return;
    }
    if (kind == PS_FORM_Q6_K) {
        V first = v_load(words + (16 * g + s) * WORD),
          second = v_load(words + (16 * g + 8 + s) * WORD);
        V high = v_load(words + (32 + 8 * g + s) * WORD);
        u[0] = v_or(nibble(first, 0), v_sll(pair(high, 0), 4));
        u[1] = v_or(nibble(second, 0), v_sll(pair(high, 1), 4));
        u[2] = v_or(nibble(first, 1), v_sll(pair(high, 2), 4));
        u[3] = v_or(nibble(second, 1), v_sll(pair(high, 3), 4));
        return;
    }
    V low = v_load(words + ((kind == PS_FORM_Q2_K ? 4 : 8) + g * STEPS + s) * WORD);
#pragma GCC unroll 4
    for (int i = 0; i < TOGETHER; i++) {
        u[i] = pair(low, i);
        if (kind == PS_FORM_Q3_K)
            u[i] = v_or(u[i], bit(v_load(words + s * WORD), 4 * g + i, 2));
    }
}

/* ---- what codes are multiplied with ---- */

typedef struct head {
    F scale, least; /* w = scale · code + least, or scale · (code − the order's zero) */
} head;

/* 2^(e − 128), by two factors that are floats as any: for all e from 0 to 255. */
INLINE F power(V e)
{
    V half = v_srl(e, 1), rest = v_add(v_srl(v_add(e, v_set1(1)), 1), v_set1(63));
    return f_mul(f_bits(v_sll(v_add(half, v_set1(63)), 23)), f_bits(v_sll(rest, 23)));
}

/* A zero has its whole part in its first byte, 256ths in its second. */
INLINE F zero_at(const uint8_t *at)
{
    V both = v_halves(at);
    V parts = v_or(v_sll(v_and(both, v_set1(255)), 8), v_srl(both, 8));
    return f_mul(v_float(parts), f_set1(1.0F / 256));
}

/* Of forms with one scale a block. */
INLINE head read_head(ps_form_kind kind, const uint8_t *block, int lane)
{
    const uint8_t *at = block + 2 * lane;
    if (kind == PS_FORM_POWER)
        return (head){.scale = power(v_bytes(block + lane)), .least = f_zero()};
    head h = {.scale = f_halves(at), .least = f_zero()};
    if (has_zero(kind)) /* −zero · scale */
        h.least = f_mul(f_sub(f_zero(), zero_at(at + HALF)), h.scale);
    else if (has_least(kind))
        h.least = f_halves(at + HALF);
    return h;
}

/* Of such a block, the lanes' own words of codes, behind its head; bits: the fifth ones. */
INLINE const uint8_t *first_words(ps_form_kind kind, const uint8_t *block, int lane, V *bits)
{
    const uint8_t *words = block + (kind == PS_FORM_POWER ? HALF / 2 : HALF) + 4 * lane;
    *bits = v_set1(0);
    if (has_least(kind))
        words += HALF;
    if (!is_five(kind))
        return words;
    *bits = v_load(words);
    return words + WORD;
}

/* Part j of 8 of q4_k and q5_k: a scale and a least number of 6 bits each, in three words behind d
 * and dmin. */
INLINE head head_of_six(const uint8_t *block, int lane, int j)
{
    const uint8_t *words = block + 4 * lane, *d = block + 2 * lane;
    V first = v_load(words + WORD), second = v_load(words + 2 * WORD);
    V third = v_load(words + 3 * WORD), scale, least;
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
    return (head){.scale = f_mul(f_halves(d), v_float(scale)),
                  .least = f_sub(f_zero(), f_mul(f_halves(d + HALF), v_float(least)))};
}

/* Part p of 16 of q2_k: 4 bits each. */
INLINE head head_of_four(const uint8_t *block, int lane, int p)
{
    const uint8_t *d = block + 20 * WORD + 2 * lane;
    V both = v_srl(v_load(block + p / 4 * WORD + 4 * lane), 8 * (p % 4));
    F scale = v_float(v_and(both, v_set1(15))), least = v_float(v_and(v_srl(both, 4), v_set1(15)));
    return (head){.scale = f_mul(f_halves(d), scale),
                  .least = f_sub(f_zero(), f_mul(f_halves(d + HALF), least))};
}

/* Of q3_k, a scale of 6 bits, less 32; of q6_k one of 8 with sign. */
INLINE head head_of_scale(ps_form_kind kind, const uint8_t *block, int lane, int p)
{
    const uint8_t *words = block + 4 * lane, *d = block + 2 * lane;
    V scale;
    if (kind == PS_FORM_Q3_K) {
        V low = v_srl(v_load(words + (24 + p / 4 % 2) * WORD), 8 * (p % 4) + p / 8 * 4);
        V high = v_srl(v_load(words + 26 * WORD), 8 * (p % 4) + p / 4 * 2);
        scale = v_or(v_and(low, v_set1(15)), v_sll(v_and(high, v_set1(3)), 4));
        scale = v_add(scale, v_set1(-32));
        d += 27 * WORD;
    } else {
        scale = v_sra(v_sll(v_load(words + (48 + p / 4) * WORD), 24 - 8 * (p % 4)), 24);
        d += 52 * WORD;
    }
    return (head){.scale = f_mul(f_halves(d), v_float(scale)), .least = f_zero()};
}

/* Of part `part` of chunk j of a block of 256. */
INLINE head head_k(ps_form_kind kind, const uint8_t *block, int lane, int j, int part)
{
    if (kind == PS_FORM_Q4_K || kind == PS_FORM_Q5_K)
        return head_of_six(block, lane, j);
    return kind == PS_FORM_Q2_K ? head_of_four(block, lane, 2 * j + part)
                                : head_of_scale(kind, block, lane, 2 * j + part);
}

#endif
