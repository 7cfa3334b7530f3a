/* Which of OpenBLAS's kernels are taken: by what a processor can do, tested, never by its name. */
#include "gpu/cpu/kernels.h"

#include "gpu/cpu/cpu.h"
#include "gpu/cpu/openblas.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ps_cpu_features bare = {0}, avx = {.avx = true}, avx2 = {.avx = true, .avx2 = true},
                             avx512 = {.avx = true, .avx2 = true, .avx512 = true};

/* A library with some kernels, some of which compute wrong. */
typedef struct fake {
    const char *has, *wrong; /* names between blanks */
    char loaded[64];
} fake;

static bool loaded_is_wrong;

static void plain_product(const ps_cpu_product *p)
{
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t j = 0; j < p->n; j++) {
            float sum = 0;
            for (int64_t l = 0; l < p->k; l++)
                sum += p->a[p->transpose_a ? l * p->ld_a + i : i * p->ld_a + l] *
                       p->b[p->transpose_b ? j * p->ld_b + l : l * p->ld_b + j];
            p->c[i * p->ld_c + j] = sum;
        }
    }
}

/* Wrong as a kernel is that forgets the last columns of what registers do not fill. */
static void product(const ps_cpu_product *p)
{
    plain_product(p);
    if (loaded_is_wrong && p->n % 16 != 0)
        p->c[p->n - 1] = 0.5f;
}

static ps_status load(void *user, const char *kernels, const char **loaded)
{
    fake *f = user;
    bool known = kernels && strstr(f->has, kernels);
    (void)snprintf(f->loaded, sizeof f->loaded, "%s", known ? kernels : "Katmai");
    loaded_is_wrong = strstr(f->wrong, f->loaded) != NULL;
    *loaded = f->loaded;
    return PS_OK;
}

#define ALL "SkylakeX Haswell Sandybridge Nehalem Prescott"
static const ps_kernels_port port = {.load = load, .product = product};

static const struct {
    const ps_cpu_features *features;
    const char *has, *wrong;
    const char *taken, *passed_over;
} choices[] = {
    {&avx512, ALL, "", "SkylakeX", ""},
    {&avx2, ALL, "", "Haswell", ""},
    {&avx, ALL, "", "Sandybridge", ""},
    {&bare, ALL, "", "Nehalem", ""},
    /* one that computes wrong: the next lower */
    {&avx512, ALL, "SkylakeX", "Haswell", "SkylakeX"},
    {&avx512, ALL, "SkylakeX Haswell", "Sandybridge", "SkylakeX, Haswell"},
    /* a library without the best ones, or with only what it was built for */
    {&avx512, "Haswell Prescott", "", "Haswell", ""},
    {&avx2, "", "", "Katmai", ""},
};

START_TEST(the_best_that_fit_and_compute_right)
{
    fake f = {.has = choices[_i].has, .wrong = choices[_i].wrong};
    char passed_over[64];
    ck_ok(
        ps_kernels_choose(choices[_i].features, false, &port, &f, passed_over, sizeof passed_over));
    ck_assert_str_eq(f.loaded, choices[_i].taken);
    ck_assert_str_eq(passed_over, choices[_i].passed_over);
}
END_TEST

START_TEST(nothing_that_computes_right_is_an_error)
{
    fake f = {.has = ALL, .wrong = ALL " Katmai"};
    char passed_over[128];
    ck_assert_int_eq(ps_kernels_choose(&avx2, false, &port, &f, passed_over, sizeof passed_over),
                     PS_UNAVAILABLE);
    ck_assert_str_eq(ps_error_message(),
                     "OpenBLAS computes wrong on this processor with its kernels Katmai, as with "
                     "Haswell, Sandybridge, Nehalem, Prescott");
}
END_TEST

START_TEST(what_its_user_chose_is_tested_and_not_changed)
{
    fake f = {.has = ALL, .wrong = ""};
    char passed_over[64];
    ck_ok(ps_kernels_choose(&avx2, true, &port, &f, passed_over, sizeof passed_over));
    ck_assert_str_eq(f.loaded, "Katmai"); /* as it comes: nobody named any */
    f.wrong = "Katmai";
    ck_assert_int_eq(ps_kernels_choose(&avx2, true, &port, &f, passed_over, sizeof passed_over),
                     PS_UNAVAILABLE);
}
END_TEST

/* The library of this machine, on this machine's processor. */
START_TEST(the_backend_computes_with_what_the_processor_can)
{
    (void)unsetenv("OPENBLAS_CORETYPE");
    ck_ok(ps_openblas_open());
    ps_cpu_features has = ps_cpu_features_read();
    ck_assert(ps_kernels_right(ps_cpu_product_run));
    if (has.avx2)
        ck_assert_msg(strcmp(ps_openblas_name(), "OpenBLAS SkylakeX") == 0 ||
                          strcmp(ps_openblas_name(), "OpenBLAS Haswell") == 0,
                      "%s", ps_openblas_name());
    ck_assert_ptr_null(getenv("OPENBLAS_CORETYPE"));

    ps_backend *b = NULL;
    ck_ok(ps_cpu_open(&(ps_backend_options){.threads = 1}, &b));
    ck_assert_ptr_nonnull(strstr(b->info.device, ps_openblas_name()));
    ps_backend_close(&b);
}
END_TEST

START_TEST(a_user_chooses_by_the_environment)
{
    (void)setenv("OPENBLAS_CORETYPE", "Nehalem", 1);
    ck_ok(ps_openblas_open());
#if defined(__x86_64__)
    ck_assert_str_eq(ps_openblas_name(), "OpenBLAS Nehalem by OPENBLAS_CORETYPE");
#endif
    ck_assert_str_eq(getenv("OPENBLAS_CORETYPE"), "Nehalem");
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &the_best_that_fit_and_compute_right, .repeat = sizeof choices / sizeof *choices},
    {.test = &nothing_that_computes_right_is_an_error},
    {.test = &what_its_user_chose_is_tested_and_not_changed},
    {.test = &the_backend_computes_with_what_the_processor_can},
    {.test = &a_user_chooses_by_the_environment},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/kernels", tests);
}
