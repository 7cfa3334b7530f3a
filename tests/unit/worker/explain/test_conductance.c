/* conductance where its sum cannot be told; what it is worth is in test_golden. */
#include "tests/unit/worker/explain/net.h"

#include "tests/lib/check_main.h"

START_TEST(a_sum_that_is_no_number_is_not_all_is_well)
{
    const ps_spec_explain_method spec = {
        .method = (char *)(uintptr_t) "conductance", .steps = 2, .steps_max = 2, .tolerance = 0.01};
    net n;
    ps_explain_part part;
    net_open(&n, 5, 3e38); /* what the baseline is answered is not finite */
    net_run(&n, &spec, &part);
    for (size_t row = 0; row < NET_ROWS; row++)
        ck_assert(isnan(net_array(&part, "residual")[row]));
    ps_explain_part_free(&part);
    net_close(&n);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_sum_that_is_no_number_is_not_all_is_well},
    {0},
};

int main(void)
{
    return ps_check_main("explain/conductance", cases);
}
