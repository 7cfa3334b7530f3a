/* some_tensors: two of a job's four tensors, over the real transport: what is pulled and pushed is
 * theirs, and no other's. The fake subtracts what is pushed. */
#include "worker/exchange/some_tensors.h"

#include "tests/lib/check_main.h"
#include "tests/lib/fake_parameters.h"
#include "tests/lib/remote_rig.h"

#include <string.h>

enum { COUNT = 4 };

static struct {
    ps_test_remote_rig rig;
    fake_parameters fake;
    uint64_t sequence;
} r;

static const char *const names[COUNT] = {"psd.tokens", "a.weight", "b.weight", "psd.sum.0"};
static const int64_t shapes[COUNT][2] = {{2}, {5, 6}, {30}, {21}};

/* Every element is its own number: thousands say of which tensor. */
static void begin(void)
{
    memset(&r, 0, sizeof r);
    fake_parameters_init(&r.fake);
    ps_rpc_service service = fake_parameters_service(&r.fake);
    ps_test_remote_rig_open_on(&r.rig, PS_TEST_CPU, &service, 1);
    for (size_t t = 0; t < COUNT; t++) {
        fake_parameters_add(&r.fake, names[t], shapes[t][1] ? 2 : 1, shapes[t]);
        for (size_t i = 0; i < 30; i++)
            r.fake.tensors[t].values[i] = (float)(1000 * t + i);
    }
}

static void end(void)
{
    ps_test_remote_rig_close(&r.rig);
}

static ps_status open_some(const char *const *wanted, size_t n, uint64_t max, ps_some_tensors **out)
{
    return ps_some_tensors_open(&(ps_some_tensors_options){.remote = &r.rig.remote,
                                                           .backend = r.rig.backend,
                                                           .job_id = 1,
                                                           .incarnation = 5,
                                                           .sequence = &r.sequence,
                                                           .names = wanted,
                                                           .count = n,
                                                           .max = max},
                                out);
}

START_TEST(only_what_was_named_is_pulled_and_pushed)
{
    begin();
    const char *const wanted[] = {"psd.sum.0", "a.weight"}; /* in an order of our own */
    ps_some_tensors *some;
    ck_ok(open_some(wanted, 2, 30, &some));
    ck_assert_uint_eq(ps_some_tensors_elements(some, 0), 21);
    ck_assert_uint_eq(ps_some_tensors_elements(some, 1), 30);
    float *sum = ps_some_tensors_memory(some, 0), *a = ps_some_tensors_memory(some, 1);
    ck_assert(sum[0] == 0 && a[29] == 0);
    fault_next(&r.fake.break_pulls, 1);
    ck_ok(ps_some_tensors_pull(some));
    ck_assert_uint_ge(r.fake.ranges, 1);
    for (size_t i = 0; i < 30; i++) {
        ck_assert(a[i] == (float)(1000 + i));
        if (i < 21)
            ck_assert(sum[i] == (float)(3000 + i));
    }
    fault_next(&r.fake.lose_acks, 1); /* it is made again, and applied once */
    ck_ok(ps_some_tensors_push(some, 77, 0, 0));
    ck_assert_uint_eq(r.fake.lease, 77);
    for (size_t t = 0; t < COUNT; t++) {
        bool ours = t == 1 || t == 3;
        size_t n = t == 0 ? 2 : t == 3 ? 21 : 30;
        for (size_t i = 0; i < n; i++)
            ck_assert(r.fake.tensors[t].values[i] == (ours ? 0 : (float)(1000 * t + i)));
    }
    ck_ok(ps_some_tensors_pull(some)); /* as psd has them now */
    ck_assert(a[7] == 0 && sum[20] == 0);
    ps_some_tensors_close(&some);
    ck_assert_ptr_null(some);
    end();
}
END_TEST

START_TEST(what_is_not_there_or_too_large_is_said)
{
    begin();
    const char *const unknown[] = {"a.weight", "c.weight"}, *const twice[] = {"a.weight",
                                                                              "a.weight"};
    ps_some_tensors *some = NULL;
    ck_assert_int_eq(open_some(unknown, 2, 30, &some), PS_FAILED_PRECONDITION);
    ck_assert_str_eq(ps_error_message(), "psd has no tensor c.weight");
    ck_assert_int_eq(open_some(twice, 2, 30, &some), PS_FAILED_PRECONDITION);
    ck_assert_int_eq(open_some(names + 1, 1, 29, &some), PS_FAILED_PRECONDITION);
    ck_assert_str_eq(ps_error_message(), "tensor a.weight: psd has another shape than is due");
    r.fake.tensors[2].shape[0] = 0;
    ck_assert_int_eq(open_some(names + 2, 1, 29, &some), PS_FAILED_PRECONDITION);
    ck_assert_ptr_null(some);
    end();
}
END_TEST

START_TEST(a_push_that_psd_refuses_fails_with_its_words)
{
    begin();
    ps_some_tensors *some;
    ck_ok(open_some(names, 2, 30, &some));
    fault_next(&r.fake.refuse_pushes, 1);
    ck_assert_int_eq(ps_some_tensors_push(some, 7, 0, 10), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "NaN in tensor x"));
    ck_ok(ps_some_tensors_push(some, 7, 0, 10));
    ps_some_tensors_close(&some);
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&only_what_was_named_is_pulled_and_pushed},
    {&what_is_not_there_or_too_large_is_said},
    {&a_push_that_psd_refuses_fails_with_its_words},
    {0},
};

int main(void)
{
    return ps_check_main("exchange/some_tensors", tests);
}
