/* What a checkpoint has no room for is not kept. */
#include "server/record/losses.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

enum { UNITS = 3, GRADIENT = 16 << 20 };

static void put(ps_losses *losses, uint64_t begin)
{
    ps_loss_segment segment = {.begin = begin,
                               .end = begin + 1,
                               .parts = ps_alloc_array(UNITS, sizeof(double)),
                               .gradient = ps_alloc(GRADIENT), /* of the kernel's zeros */
                               .gradient_bytes = GRADIENT};
    ps_losses_put(losses, &segment);
    ck_assert_ptr_null(segment.parts);
    ck_assert_ptr_null(segment.gradient);
}

START_TEST(segments_end_where_a_checkpoint_is_full)
{
    ps_losses *losses;
    size_t n;
    ps_losses_create(0.02, UNITS, GRADIENT, &losses);
    for (uint64_t i = 15; i > 0; i--) {
        ck_assert(!ps_losses_is_full(losses));
        put(losses, i);
    }
    ck_assert(ps_losses_is_full(losses)); /* 16 of 16 MiB and some bytes are more than 256 MiB */
    put(losses, 16);
    const ps_loss_segment *list = ps_losses_list(losses, &n);
    ck_assert_uint_eq(n, 15);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(list[i].begin, i + 1);
    ps_losses_free(&losses);
}
END_TEST

static const ps_check_case cases[] = {
    {&segments_end_where_a_checkpoint_is_full},
    {0},
};

int main(void)
{
    return ps_check_main("record/losses", cases);
}
