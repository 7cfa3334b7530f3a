/* form_panel: codes of some columns, taken apart once for many rows of x, and rows with them, as
 * bytes or as float32 (form_kernel.h). */
#ifndef PS_CPU_FORM_PANEL_H
#define PS_CPU_FORM_PANEL_H

#include "gpu/cpu/form_one.h"

/* Columns that a panel has at most: with it eight rows of x are multiplied before the next. */
enum { SLICE = 2048, CHUNKS = SLICE / PS_FORM_CHUNK, EXACT_SLICE = 256 };

/* Where chunks are: the block that has the next one, and which of its chunks that is. */
typedef struct place {
    const uint8_t *block;
    int64_t j;
} place;

static inline place place_of(const ps_form_call *c, int64_t column)
{
    return (place){.block = c->sixteen + column / c->block * c->block_bytes,
                   .j = column % c->block / PS_FORM_CHUNK};
}

static inline void next(const ps_form_call *c, int chunks, place *p)
{
    p->j += chunks;
    if (p->j * PS_FORM_CHUNK >= c->block) {
        p->block += c->block_bytes;
        p->j = 0;
    }
}

/* ---- codes of some columns, taken apart ---- */

/* Codes of a step stand where x's numbers do. */
typedef struct panel {
    uint8_t codes[CHUNKS][STEPS][4 * LANES];
    float scale[CHUNKS][2][LANES], least[CHUNKS][2][LANES];
} panel;

INLINE void put_head(panel *p, int chunk, int part, head h)
{
    f_store(p->scale[chunk][part], h.scale);
    f_store(p->least[chunk][part], h.least);
}

INLINE void unpack_chunk(const ps_form_call *c, ps_form_kind kind, place at, int lane, int chunk,
                         panel *p)
{
    V bits;
    uint8_t room[8 * WORD];
    const uint8_t *words = first_words(kind, at.block, lane, &bits) + at.j * words_of(kind) * WORD;
    words = whole_words(c, kind, words, at.j, room);
    put_head(p, chunk, 0, read_head(kind, at.block, lane));
#pragma GCC unroll 8
    for (int s = 0; s < STEPS; s++)
        v_store(p->codes[chunk][at_of(kind, s) / 4], code(kind, words, bits, s));
}

INLINE void unpack_group(ps_form_kind kind, place at, int lane, int chunk, panel *p)
{
    const int n = together_of(kind);
    int g = (int)at.j / n;
#pragma GCC unroll 8
    for (int s = 0; s < STEPS; s++) {
        V u[TOGETHER];
        codes_k(kind, at.block + 4 * lane, g, s, u);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
            v_store(p->codes[chunk + i][s], u[i]);
    }
    for (int i = 0; i < n; i++)
        for (int part = 0; part < parts_of(kind); part++)
            put_head(p, chunk + i, part, head_k(kind, at.block, lane, g * n + i, part));
}

INLINE void unpack(const ps_form_call *c, ps_form_kind kind, int64_t column, int lane, int chunks,
                   panel *p)
{
    place at = place_of(c, column);
    for (int k = 0; k < chunks; k += together_of(kind)) {
        if (is_k(kind))
            unpack_group(kind, at, lane, k, p);
        else
            unpack_chunk(c, kind, at, lane, k, p);
        next(c, together_of(kind), &at);
    }
}

/* ---- rows of x with a panel ---- */

typedef struct turn {
    const ps_form_call *c;
    int64_t column; /* the panel's first */
    int n, lane;    /* columns; lane: the panel's first output */
    int row;        /* of x */
} turn;

static inline float *y_of(const turn *t, int m)
{
    return t->c->y + (t->row + m) * PS_FORM_ROWS_TOGETHER + t->lane;
}

/* Of `rows` rows with one chunk: each lane's sum times its scale, and what is least. */
INLINE void add_chunk(const turn *t, const panel *p, int k, int rows, int parts, bool least,
                      sized size, F *y)
{
    const ps_form_call *c = t->c;
    int64_t ld = c->x.ld / PS_FORM_CHUNK, chunk = t->column / PS_FORM_CHUNK + k;
    const int8_t *q = c->x.q + t->row * c->x.ld + chunk * PS_FORM_CHUNK;
    const ps_form_side *side = c->x.sides + t->row * ld + chunk;
    F total[8];
#pragma GCC unroll 2
    for (int part = 0; part < parts; part++) {
        V sum[8];
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++)
            sum[m] = first_sum(size, least, side + m * ld, part);
        const int steps = STEPS / parts;
#pragma GCC unroll 8
        for (int s = part * steps; s < (part + 1) * steps; s++) {
            V u = v_load(p->codes[k][s]);
#pragma GCC unroll 8
            for (int m = 0; m < rows; m++)
                sum[m] = dot(size, sum[m], u, q + m * c->x.ld + 4 * s);
        }
        F scale = f_load(p->scale[k][part]);
#pragma GCC unroll 8
        for (int m = 0; m < rows; m++) {
            F of_part = v_float(sum[m]);
            total[m] = part ? f_madd(of_part, scale, total[m]) : f_mul(of_part, scale);
            if (least)
                y[m] = f_madd(f_load(p->least[k][part]), f_set1(side[m * ld].sum[part]), y[m]);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < rows; m++)
        y[m] = f_madd(total[m], f_set1(side[m * ld].scale), y[m]);
}

INLINE void multiply(const turn *t, const panel *p, int rows, int parts, bool least, sized size)
{
    F y[8];
    for (int m = 0; m < rows; m++)
        y[m] = f_load(y_of(t, m));
    for (int k = 0; k * PS_FORM_CHUNK < t->n; k++)
        add_chunk(t, p, k, rows, parts, least, size, y);
    for (int m = 0; m < rows; m++)
        f_store(y_of(t, m), y[m]);
}

/* floats: [n][LANES]. One row goes to four sums, which do not wait for each other. */
INLINE void multiply_floats(const turn *t, const float *floats, int rows)
{
    const ps_form_call *c = t->c;
    const float *x = c->x_exact + t->row * c->ld_exact + t->column;
    const int sums = rows == 1 ? 4 : 1;
    F y[8];
    for (int m = 0; m < rows * sums; m++)
        y[m] = m < rows ? f_load(y_of(t, m)) : f_zero();
    int i = 0;
    for (; i + sums <= t->n; i += sums)
#pragma GCC unroll 8
        for (int m = 0; m < rows * sums; m++)
            y[m] = f_madd(f_load(floats + (i + (sums == 4 ? m : 0)) * LANES),
                          f_set1(sums == 4 ? x[i + m] : x[m * c->ld_exact + i]), y[m]);
    for (; i < t->n; i++)
        y[0] = f_madd(f_load(floats + i * LANES), f_set1(x[i]), y[0]);
    for (int m = 1; m < sums; m++)
        y[0] = f_madd(y[m], f_set1(1), y[0]);
    for (int m = 0; m < rows; m++)
        f_store(y_of(t, m), y[m]);
}

#define MULTIPLY(name, parts, least, size)                     \
    TARGET static void name##_8(const turn *t, const panel *p) \
    {                                                          \
        multiply(t, p, 8, parts, least, size);                 \
    }                                                          \
    TARGET static void name##_4(const turn *t, const panel *p) \
    {                                                          \
        multiply(t, p, 4, parts, least, size);                 \
    }                                                          \
    TARGET static void name##_1(const turn *t, const panel *p) \
    {                                                          \
        multiply(t, p, 1, parts, least, size);                 \
    }
MULTIPLY(whole, 1, false, SIZED_LOW)
MULTIPLY(whole_less, 1, false, SIZED_LESS)
MULTIPLY(whole_least, 1, true, SIZED_LOW)
MULTIPLY(whole_least_any, 1, true, SIZED_ANY)
MULTIPLY(parted, 2, false, SIZED_LOW)
MULTIPLY(parted_least, 2, true, SIZED_LOW)
typedef void (*multiply_fn)(const turn *t, const panel *p);

TARGET static void floats_8(const turn *t, const float *floats)
{
    multiply_floats(t, floats, 8);
}
TARGET static void floats_4(const turn *t, const float *floats)
{
    multiply_floats(t, floats, 4);
}
TARGET static void floats_1(const turn *t, const float *floats)
{
    multiply_floats(t, floats, 1);
}

/* Eight rows at a time, then four, then each. */
static inline int rows_of(const turn *t)
{
    int left = t->c->rows - t->row;
    return left >= 8 ? 8 : left >= 4 ? 4 : 1;
}

static void multiply_rows(const turn *first, const panel *p, const multiply_fn by[3])
{
    int n;
    for (turn t = *first; t.row < t.c->rows; t.row += n) {
        n = rows_of(&t);
        by[n == 8 ? 0 : n == 4 ? 1 : 2](&t, p);
    }
}

static void multiply_floats_rows(const turn *first, const float *floats)
{
    int n;
    for (turn t = *first; t.row < t.c->rows; t.row += n) {
        n = rows_of(&t);
        (n == 8 ? floats_8 : n == 4 ? floats_4 : floats_1)(&t, floats);
    }
}

/* ---- codes as float32 ---- */

/* Byte b of step s of a chunk is of a column by the order's spread. */
INLINE void to_floats(const turn *t, const panel *p, int k, int parts, bool least, float *floats)
{
    const ps_form_order *o = t->c->order;
    V zero = v_set1(-o->zero);
    for (int s = 0; s < STEPS; s++) {
        V codes = v_load(p->codes[k][s]);
        int part = parts == 2 ? s / 4 : 0;
        F scale = f_load(p->scale[k][part]), under = f_load(p->least[k][part]);
        float *out = floats + (s / o->spread * 4 * o->spread + s % o->spread) * LANES;
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) {
            V u = v_and(v_srl(codes, 8 * b), v_set1(0xFF));
            F w = least ? f_madd(v_float(u), scale, under) : f_mul(v_float(v_add(u, zero)), scale);
            f_store(out + b * o->spread * LANES, w);
        }
    }
}

#endif
