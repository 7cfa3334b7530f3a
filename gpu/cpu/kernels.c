#include "gpu/cpu/kernels.h"

#include "common/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef struct kernels {
    const char *name; /* in OPENBLAS_CORETYPE */
    ps_cpu_features needs;
} kernels;

/* Best first. Those named after other processors (Zen, Cooperlake) are one of these for float32. */
static const kernels all_kernels[] = {
#if defined(__x86_64__)
    {"SkylakeX", {.avx = true, .avx2 = true, .avx512 = true}},
    {"Haswell", {.avx = true, .avx2 = true}},
    {"Sandybridge", {.avx = true}},
    {"Nehalem", {0}},
    {"Prescott", {0}},
#endif
    {NULL, {0}},
};

/* libgcc and compiler-rt look at XCR0 as well, that is at what the system saves. */
ps_cpu_features ps_cpu_features_read(void)
{
    ps_cpu_features f = {0};
#if defined(__x86_64__)
    f.avx = __builtin_cpu_supports("avx");
    f.avx2 = f.avx && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    f.avx512 = f.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
#endif
    return f;
}

static bool fits(const ps_cpu_features *needs, const ps_cpu_features *has)
{
    return (!needs->avx || has->avx) && (!needs->avx2 || has->avx2) &&
           (!needs->avx512 || has->avx512);
}

static void add_name(char *names, size_t size, const char *name)
{
    size_t length = strlen(names);
    (void)snprintf(names + length, size - length, "%s%s", length ? ", " : "", name);
}

/* Loaded as it comes: the last resort, and for who has chosen himself. */
static ps_status take_as_it_is(const ps_kernels_port *port, void *user, const char *passed_over)
{
    const char *loaded = "";
    ps_status st = port->load(user, NULL, &loaded);
    if (st || ps_kernels_right(port->product))
        return st;
    return ps_fail(PS_UNAVAILABLE,
                   "OpenBLAS computes wrong on this processor with its kernels %s%s%s", loaded,
                   *passed_over ? ", as with " : "", passed_over);
}

/* A library that does not know a name, or has only one kind, takes what it likes. */
ps_status ps_kernels_choose(const ps_cpu_features *features, bool by_user,
                            const ps_kernels_port *port, void *user, char *passed_over, size_t size)
{
    *passed_over = '\0';
    for (const kernels *k = all_kernels; k->name && !by_user; k++) {
        if (!fits(&k->needs, features))
            continue;
        const char *loaded = "";
        ps_status st = port->load(user, k->name, &loaded);
        if (st)
            return st;
        if (strcasecmp(loaded, k->name) != 0)
            continue;
        if (ps_kernels_right(port->product))
            return PS_OK;
        add_name(passed_over, size, k->name);
    }
    return take_as_it_is(port, user, passed_over);
}

/* ---- the test ---- */

/* Small ones may have kernels of their own; none is a multiple of what registers hold. */
static const struct {
    int64_t m, n, k;
} sizes[] = {{7, 13, 29}, {67, 83, 101}, {131, 149, 163}};
enum { MOST = 163 * 149 };

/* Numbers whose products and sums float32 holds exactly, in any order: what comes out is right or
 * it is wrong. */
static void fill(float *x, int64_t n, uint32_t seed)
{
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)((int)(seed >> 24) % 17 - 8);
    }
}

static float element(const ps_cpu_product *p, int64_t row, int64_t column)
{
    float sum = 0;
    for (int64_t i = 0; i < p->k; i++)
        sum += (p->transpose_a ? p->a[i * p->ld_a + row] : p->a[row * p->ld_a + i]) *
               (p->transpose_b ? p->b[column * p->ld_b + i] : p->b[i * p->ld_b + column]);
    return sum;
}

static bool is_right(void (*product)(const ps_cpu_product *p), const ps_cpu_product *p)
{
    for (int64_t i = 0; i < p->m * p->n; i++)
        p->c[i] = NAN; /* beta 0 does not read it */
    product(p);
    for (int64_t i = 0; i < p->m * p->n; i++) {
        if (p->c[i] != element(p, i / p->n, i % p->n))
            return false;
    }
    return true;
}

bool ps_kernels_right(void (*product)(const ps_cpu_product *p))
{
    float *memory = ps_alloc_array(3 * MOST, sizeof *memory);
    fill(memory, 2 * MOST, 1);
    bool right = true;
    for (size_t i = 0; i < 4 * sizeof sizes / sizeof *sizes && right; i++) {
        bool transpose_a = i & 1, transpose_b = i & 2;
        int64_t m = sizes[i / 4].m, n = sizes[i / 4].n, k = sizes[i / 4].k;
        ps_cpu_product p = {.transpose_a = transpose_a,
                            .transpose_b = transpose_b,
                            .m = m,
                            .n = n,
                            .k = k,
                            .alpha = 1,
                            .a = memory,
                            .b = memory + MOST,
                            .c = memory + 2 * MOST,
                            .ld_a = transpose_a ? m : k,
                            .ld_b = transpose_b ? k : n,
                            .ld_c = n};
        right = is_right(product, &p);
    }
    ps_free(&memory);
    return right;
}
