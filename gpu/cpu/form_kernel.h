/* form_kernel: the kernels of form_kernels.h, by what form_codes.h brings into registers. A file
 * for each kind of processor includes it, and so gets functions rounded and exact. */
#ifndef PS_CPU_FORM_KERNEL_H
#define PS_CPU_FORM_KERNEL_H

#include "gpu/cpu/form_float.h"

/* ---- kinds, in the order of ps_form_kind ---- */

#define WIDE(X)     X(BYTES) X(BYTES_ZERO) X(PAIRS) X(PAIRS_ZERO)
#define NARROW(X)   X(EIGHTS) X(EIGHTS_ZERO) X(FOURS) X(FOURS_ZERO)
#define HALVED(X)   X(HALVES) X(HALVES_MIN) X(FIVE) X(FIVE_MIN) X(TABLE) X(POWER)
#define OF_256(X)   X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K)
#define INTEGERS(X) WIDE(X) NARROW(X) HALVED(X) OF_256(X)
#define FLOATS(X)   X(F16) X(BF16) X(E4M3)

#define INTEGER(kind)                                                                            \
    TARGET static void one_##kind(const ps_form_call *c)                                         \
    {                                                                                            \
        one(c, PS_FORM_##kind);                                                                  \
    }                                                                                            \
    TARGET static void unpack_##kind(const ps_form_call *c, const turn *t, int chunks, panel *p) \
    {                                                                                            \
        unpack(c, PS_FORM_##kind, t->column, t->lane, chunks, p);                                \
    }
#define FLOAT(kind)                                                                     \
    TARGET static void one_##kind(const ps_form_call *c)                                \
    {                                                                                   \
        one_of_floats(c, PS_FORM_##kind);                                               \
    }                                                                                   \
    TARGET static void fill_##kind(const ps_form_call *c, const turn *t, float *floats) \
    {                                                                                   \
        fill(c, PS_FORM_##kind, t, floats);                                             \
    }
INTEGERS(INTEGER)
FLOATS(FLOAT)

/* unpack: of integers; fill: of floats. */
typedef struct kernels {
    void (*one)(const ps_form_call *c);
    void (*unpack)(const ps_form_call *c, const turn *t, int chunks, panel *p);
    void (*fill)(const ps_form_call *c, const turn *t, float *floats);
} kernels;
#define OF_INTEGER(kind) {one_##kind, unpack_##kind, NULL},
#define OF_FLOAT(kind)   {one_##kind, NULL, fill_##kind},
static const kernels kernels_of[PS_FORM_KINDS] = {INTEGERS(OF_INTEGER) FLOATS(OF_FLOAT)};

/* ---- sixteens ---- */

static inline int chunks_of(const turn *t)
{
    return (t->n + PS_FORM_CHUNK - 1) / PS_FORM_CHUNK;
}

static void rounded_slice(const turn *t)
{
    static const multiply_fn whole[][3] = {{whole_8, whole_4, whole_1},
                                           {whole_less_8, whole_less_4, whole_less_1}},
                             least[][3] = {{whole_least_8, whole_least_4, whole_least_1},
                                           {whole_least_any_8, whole_least_any_4,
                                            whole_least_any_1}},
                             parted[][3] = {{parted_8, parted_4, parted_1},
                                            {parted_least_8, parted_least_4, parted_least_1}};
    ps_form_kind kind = t->c->order->kind;
    panel p;
    kernels_of[kind].unpack(t->c, t, chunks_of(t), &p);
    multiply_rows(t, &p,
                  parts_of(kind) == 2 ? parted[has_least(kind)]
                  : has_least(kind)   ? least[size_of(kind) == SIZED_ANY]
                                      : whole[size_of(kind) == SIZED_LESS]);
}

TARGET static void panel_to_floats(const turn *t, const panel *p, float *floats)
{
    ps_form_kind kind = t->c->order->kind;
    for (int k = 0; k < chunks_of(t); k++, floats += PS_FORM_CHUNK * LANES)
        to_floats(t, p, k, parts_of(kind), has_least(kind), floats);
}

static void exact_slice(const turn *t)
{
    ps_form_kind kind = t->c->order->kind;
    float floats[EXACT_SLICE * LANES];
    panel p;
    if (kernels_of[kind].fill) {
        kernels_of[kind].fill(t->c, t, floats);
    } else {
        kernels_of[kind].unpack(t->c, t, chunks_of(t), &p);
        panel_to_floats(t, &p, floats);
    }
    multiply_floats_rows(t, floats);
}

static void by_slices(const ps_form_call *c, int columns, void (*slice)(const turn *t))
{
    memset(c->y, 0, (size_t)c->rows * PS_FORM_ROWS_TOGETHER * sizeof *c->y);
    for (int lane = 0; lane < PS_FORM_ROWS_TOGETHER; lane += LANES)
        for (int64_t at = 0; at < c->columns; at += columns)
            slice(&(turn){.c = c,
                          .column = at,
                          .n = c->columns - at < columns ? (int)(c->columns - at) : columns,
                          .lane = lane});
}

static void rounded(const ps_form_call *c)
{
    if (c->rows == 1)
        kernels_of[c->order->kind].one(c);
    else
        by_slices(c, SLICE, rounded_slice);
}

static void exact(const ps_form_call *c)
{
    if (c->rows == 1 && kernels_of[c->order->kind].fill)
        kernels_of[c->order->kind].one(c);
    else
        by_slices(c, EXACT_SLICE, exact_slice);
}

#endif
