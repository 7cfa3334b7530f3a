#include "worker/exchange/bucket.h"

#include "common/base/rng.h"
#include "tests/lib/check_main.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

START_TEST(the_example_model_is_one_bucket)
{
    /* 784-512-256-10: weight and bias of each layer, 2.1 MB */
    const uint64_t bytes[] = {784 * 512 * 4, 512 * 4, 512 * 256 * 4, 256 * 4, 256 * 10 * 4, 10 * 4};
    ps_buckets b;
    ps_buckets_plan(bytes, 6, 4 * MIB, &b);
    ck_assert_uint_eq(b.count, 1);
    ck_assert_uint_eq(b.list[0].first, 5);
    ck_assert_uint_eq(b.list[0].last, 0);
    ck_assert_uint_eq(b.list[0].bytes, 784 * 512 * 4 + 512 * 4 + 512 * 256 * 4 + 256 * 4 + 10280);
    ps_buckets_free(&b);
}
END_TEST

START_TEST(large_layers_are_pushed_one_by_one_with_their_biases)
{
    const uint64_t bytes[] = {16 * MIB, 8 * KIB, 16 * MIB, 8 * KIB, 16 * MIB, 8 * KIB};
    ps_buckets b;
    ps_buckets_plan(bytes, 6, 4 * MIB, &b);
    ck_assert_uint_eq(b.count, 3);
    ck_assert_uint_eq(b.list[0].first, 5); /* the last layer's bias opens it, the weight joins */
    ck_assert_uint_eq(b.list[0].last, 3);  /* and so does the small bias before it */
    ck_assert_uint_eq(b.list[1].first, 2);
    ck_assert_uint_eq(b.list[1].last, 1);
    ck_assert_uint_eq(b.list[2].first, 0);
    ck_assert_uint_eq(b.list[2].last, 0);
    ps_buckets_free(&b);
}
END_TEST

START_TEST(every_tensor_is_in_one_bucket_and_none_is_small_unless_all_is)
{
    ps_rng rng;
    ps_rng_seed(&rng, 7);
    for (int round = 0; round < 200; round++) {
        uint64_t bytes[40], total = 0;
        size_t n = 1 + ps_rng_below(&rng, 40);
        for (size_t i = 0; i < n; i++)
            total += bytes[i] = 4 + (ps_rng_below(&rng, 8 * MIB) >> ps_rng_below(&rng, 16));
        ps_buckets b;
        ps_buckets_plan(bytes, n, 4 * MIB, &b);
        size_t next = n;
        for (size_t k = 0; k < b.count; k++) {
            uint64_t sum = 0;
            ck_assert_uint_eq(b.list[k].first + 1, next);
            for (size_t i = b.list[k].last; i <= b.list[k].first; i++)
                sum += bytes[i];
            ck_assert_uint_eq(sum, b.list[k].bytes);
            ck_assert(b.count == 1 || sum >= 4 * MIB / PS_BUCKET_SMALL);
            /* 8 MiB are the largest tensor here; before it, beside it and at the end 512 KiB each
             */
            ck_assert_uint_le(sum, 8 * MIB + 3 * 512 * KIB);
            next = b.list[k].last;
        }
        ck_assert_uint_eq(next, 0);
        ck_assert_uint_ge(total, b.list[0].bytes);
        ps_buckets_free(&b);
    }
}
END_TEST

START_TEST(many_small_ones_do_not_become_one_push)
{
    enum { N = 1000 };
    uint64_t bytes[N];
    for (int i = 0; i < N; i++)
        bytes[i] = 400 * KIB;
    ps_buckets b;
    ps_buckets_plan(bytes, N, 4 * MIB, &b);
    for (size_t k = 0; k < b.count; k++)
        ck_assert_uint_le(b.list[k].bytes, 5 * MIB);
    ck_assert_uint_le(b.count, N * 400 / 4096 + 1 + 10); /* and are not many either */
    ps_buckets_free(&b);
}
END_TEST

static const ps_check_case tests[] = {
    {&the_example_model_is_one_bucket},
    {&large_layers_are_pushed_one_by_one_with_their_biases},
    {&every_tensor_is_in_one_bucket_and_none_is_small_unless_all_is},
    {&many_small_ones_do_not_become_one_push},
    {0}};

int main(void)
{
    return ps_check_main("worker/exchange/bucket", tests);
}
