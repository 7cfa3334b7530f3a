/* kept_gradient: what was kept is there again for the same parameters alone. */
#include "worker/tasks/kept_gradient.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

START_TEST(a_gradient_is_that_of_its_parameters_alone)
{
    float parameters[] = {1, 2, 3, 4}, gradient[] = {0.5f, -1, 0, 2};
    double loss = -1;
    ck_assert_ptr_null(ps_kept_gradient_at(NULL, parameters, 4, &loss));
    ps_kept_gradient *kept = ps_kept_gradient_make(parameters, gradient, 4, 0.25);
    ck_assert_ptr_nonnull(kept);
    for (size_t i = 0; i < 4; i++) { /* as of a waypoint of that number, and psd has restarted */
        parameters[i] += 1e-6f;
        ck_assert_ptr_null(ps_kept_gradient_at(kept, parameters, 4, &loss));
        parameters[i] = (float)(i + 1);
    }
    ck_assert_ptr_null(ps_kept_gradient_at(kept, parameters, 3, &loss));
    ck_assert_double_eq(loss, -1);
    const float *found = ps_kept_gradient_at(kept, parameters, 4, &loss);
    ck_assert_ptr_nonnull(found);
    ck_assert_mem_eq(found, gradient, sizeof gradient);
    ck_assert_double_eq(loss, 0.25);
    ps_free(&kept);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_gradient_is_that_of_its_parameters_alone},
    {0},
};

int main(void)
{
    return ps_check_main("worker/tasks/kept_gradient", cases);
}
