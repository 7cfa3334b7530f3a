#include "gpu/cpu/kernels.h"

#include "common/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

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

/* libgcc and compiler-rt look at XCR0 as well, that is at what the system saves. Clang's builtin
 * does not know f16c: the processor is asked, once the system is known to save AVX's registers. */
#if defined(__x86_64__)
static bool has_f16c(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
}
#endif

ps_cpu_features ps_cpu_features_read(void)
{
    ps_cpu_features f = {0};
#if defined(__x86_64__)
    f.avx = __builtin_cpu_supports("avx");
    f.avx2 = f.avx && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    f.avx512 = f.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
    f.avx512_bf16 = f.avx512 && __builtin_cpu_supports("avx512bf16");
    f.avx512_vnni = f.avx512 && __builtin_cpu_supports("avx512vnni");
    f.f16c = f.avx && has_f16c();
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

typedef struct check {
    int64_t m, n, k;
    float a[2][MOST], b[2][MOST]; /* as they are, and transposed */
    float right[MOST], c[MOST];
} check;

/* Numbers whose products and sums float32 holds exactly, in any order: what comes out is right or
 * it is wrong. */
static void fill(float *x, int64_t n, uint32_t seed)
{
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)((int)(seed >> 24) % 17 - 8);
    }
}

static void transpose(const float *x, int64_t rows, int64_t columns, float *out)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            out[j * rows + i] = x[i * columns + j];
}

/* In plain C, a row of b at a time, which compilers make vector code of. */
static void reference(check *t)
{
    memset(t->right, 0, sizeof t->right);
    for (int64_t i = 0; i < t->m; i++)
        for (int64_t l = 0; l < t->k; l++) {
            float x = t->a[0][i * t->k + l];
            for (int64_t j = 0; j < t->n; j++)
                t->right[i * t->n + j] += x * t->b[0][l * t->n + j];
        }
}

static bool is_right(void (*product)(const ps_cpu_product *p), check *t, bool transpose_a,
                     bool transpose_b)
{
    for (int64_t i = 0; i < t->m * t->n; i++)
        t->c[i] = NAN; /* beta 0 does not read it */
    product(&(ps_cpu_product){.transpose_a = transpose_a,
                              .transpose_b = transpose_b,
                              .m = t->m,
                              .n = t->n,
                              .k = t->k,
                              .alpha = 1,
                              .a = t->a[transpose_a],
                              .b = t->b[transpose_b],
                              .c = t->c,
                              .ld_a = transpose_a ? t->m : t->k,
                              .ld_b = transpose_b ? t->k : t->n,
                              .ld_c = t->n});
    for (int64_t i = 0; i < t->m * t->n; i++)
        if (t->c[i] != t->right[i])
            return false;
    return true;
}

bool ps_kernels_right(void (*product)(const ps_cpu_product *p))
{
    check *t = ps_new(check);
    bool right = true;
    fill(t->a[0], MOST, 1);
    fill(t->b[0], MOST, 2);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        t->m = sizes[i].m, t->n = sizes[i].n, t->k = sizes[i].k;
        transpose(t->a[0], t->m, t->k, t->a[1]);
        transpose(t->b[0], t->k, t->n, t->b[1]);
        reference(t);
        for (int layout = 0; layout < 4; layout++)
            right = right && is_right(product, t, (layout & 1) != 0, (layout & 2) != 0);
    }
    ps_free(&t);
    return right;
}
