#include "worker/exchange/stage.h"

#include "common/base/rng.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <string.h>

enum { TENSORS = 3, MOST = 5000 };
static char asp[] = "asp", bsp[] = "bsp";
static float gradients[TENSORS][MOST];
static double reference[TENSORS][MOST];
static const uint64_t elements[TENSORS] = {5000, 17, 1};

static ps_stage_step step_of(const ps_spec_train *train)
{
    static float *pointers[TENSORS] = {gradients[0], gradients[1], gradients[2]};
    return (ps_stage_step){
        .train = train, .gradients = pointers, .elements = elements, .count = TENSORS, .clock = 41};
}

static double fill(uint64_t seed)
{
    ps_rng rng;
    ps_rng_seed(&rng, seed);
    double sum = 0;
    for (int i = 0; i < TENSORS; i++)
        for (uint64_t k = 0; k < elements[i]; k++) {
            gradients[i][k] = (float)(ps_rng_normal(&rng) * pow(10, 3 * ps_rng_uniform(&rng)));
            reference[i][k] = (double)gradients[i][k];
            sum += reference[i][k] * reference[i][k];
        }
    return sqrt(sum);
}

START_TEST(clipping_agrees_with_float64)
{
    for (uint64_t seed = 1; seed < 10; seed++) {
        double norm = fill(seed);
        ps_spec_train train = {.consistency = {.mode = asp},
                               .clip_norm = norm / (double)(seed + 1)};
        ps_stage_step step = step_of(&train);
        ck_assert(ps_stages_whole(&train));
        ck_ok(ps_stages_apply(&step));
        double clipped = 0;
        for (int i = 0; i < TENSORS; i++)
            for (uint64_t k = 0; k < elements[i]; k++) {
                double want = reference[i][k] * train.clip_norm / norm;
                ck_assert_double_le(fabs((double)gradients[i][k] - want), 1e-6 * fabs(want));
                clipped += (double)gradients[i][k] * (double)gradients[i][k];
            }
        ck_assert_double_eq_tol(sqrt(clipped), train.clip_norm, 1e-6 * train.clip_norm);
    }
}
END_TEST

START_TEST(gradients_below_the_norm_stay_bit_for_bit)
{
    double norm = fill(3);
    ps_spec_train train = {.consistency = {.mode = asp}, .clip_norm = norm * 1.0001};
    ps_stage_step step = step_of(&train);
    ck_ok(ps_stages_apply(&step));
    for (int i = 0; i < TENSORS; i++)
        for (uint64_t k = 0; k < elements[i]; k++)
            ck_assert((double)gradients[i][k] == reference[i][k]);
}
END_TEST

START_TEST(without_clip_norm_nothing_waits_and_nothing_changes)
{
    fill(4);
    ps_spec_train train = {.consistency = {.mode = asp}, .clip_norm = 0};
    ps_stage_step step = step_of(&train);
    ck_assert(!ps_stages_whole(&train));
    ck_ok(ps_stages_apply(&step));
    ck_assert((double)gradients[0][0] == reference[0][0]);
}
END_TEST

START_TEST(under_bsp_the_workers_part_of_a_gradient_is_not_clipped)
{
    fill(4);
    ps_spec_train train = {.consistency = {.mode = bsp}, .clip_norm = 1e-3};
    ps_stage_step step = step_of(&train);
    ck_assert(!ps_stages_whole(&train)); /* so it leaves layer by layer */
    ck_ok(ps_stages_apply(&step));
    ck_assert((double)gradients[0][0] == reference[0][0]);
}
END_TEST

START_TEST(a_norm_that_is_not_finite_is_refused_and_names_the_clock)
{
    fill(5);
    gradients[1][3] = NAN;
    ps_spec_train train = {.consistency = {.mode = asp}, .clip_norm = 1};
    ps_stage_step step = step_of(&train);
    ck_assert_int_eq(ps_stages_apply(&step), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "NaN"));
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "clock 41"));
}
END_TEST

static const ps_check_case tests[] = {{&clipping_agrees_with_float64},
                                      {&gradients_below_the_norm_stay_bit_for_bit},
                                      {&without_clip_norm_nothing_waits_and_nothing_changes},
                                      {&under_bsp_the_workers_part_of_a_gradient_is_not_clipped},
                                      {&a_norm_that_is_not_finite_is_refused_and_names_the_clock},
                                      {0}};

int main(void)
{
    return ps_check_main("worker/exchange/stage", tests);
}
