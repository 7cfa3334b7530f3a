/* The exchange with a device that has memory of its own: what goes there and back is what would
 * have been shared, only what arrived is copied, and a device that is lost at any point ends the
 * step, the exchange and nothing else. */
#include "tests/lib/check_main.h"
#include "tests/lib/fault.h"
#include "tests/unit/worker/exchange/exchange_rig.h"

enum { STEPS = 12, LOST_MAX = 200 };

/* The server's values after some steps, which another device is to reach as well. */
static void train_all(ps_test_where where, bool pull_ahead, fake_tensor *out)
{
    begin(where, 0);
    ck_ok(open_cut(pull_ahead, 128, 64));
    for (uint64_t clock = 0; clock < STEPS; clock++)
        ck_ok(train_step(clock));
    memcpy(out, r.fake.tensors, sizeof(r.fake.tensors));
    end();
}

START_TEST(training_ends_at_the_same_bits_as_in_shared_memory)
{
    static fake_tensor shared[FAKE_TENSORS], apart[FAKE_TENSORS];
    train_all(PS_TEST_CPU, false, shared);
    train_all(PS_TEST_LAZY, _i, apart);
    for (size_t i = 0; i < FAKE_TENSORS; i++)
        ck_assert_msg(!memcmp(shared[i].values, apart[i].values, sizeof(shared[i].values)), "%s",
                      shared[i].name);
}
END_TEST

static void mark(size_t i, float value)
{
    float *values = read_tensor(ps_model_parameter(r.model, i));
    ps_tensor t = ps_model_parameter(r.model, i);
    for (size_t k = 0; k < ps_tensor_bytes(t) / sizeof(float); k++)
        values[k] = value;
    ps_copy_to_device(ps_model_stream(r.model), t, values, ps_tensor_bytes(t));
    ck_ok(ps_stream_sync(ps_model_stream(r.model)));
    ps_free(&values);
}

static size_t marked(size_t i, float value)
{
    ps_tensor t = ps_model_parameter(r.model, i);
    float *values = read_tensor(t);
    size_t n = 0;
    for (size_t k = 0; k < ps_tensor_bytes(t) / sizeof(float); k++)
        n += values[k] == value;
    ps_free(&values);
    return n;
}

START_TEST(only_what_has_arrived_goes_to_the_device)
{
    begin(PS_TEST_LAZY, 0);
    uint64_t version;
    ck_ok(open_exchange(false));
    ck_ok(ps_exchange_pull(r.exchange, &version));
    assert_model_is_server();
    for (size_t i = 0; i < r.fake.count; i++)
        mark(i, 5000);
    r.fake.version = r.fake.tensors[1].version = 11;
    ck_ok(ps_exchange_pull(r.exchange, &version));
    for (size_t i = 0; i < r.fake.count; i++)
        ck_assert_uint_eq(marked(i, 5000),
                          i == 1 ? 0 : r.fake.tensors[i].rows * r.fake.tensors[i].columns);
    ps_exchange_stop(r.exchange); /* the next pull is whole */
    ck_ok(ps_exchange_pull(r.exchange, &version));
    assert_model_is_server();
    end();
}
END_TEST

/* Trains until the n-th thing that the device does loses it. False: the step did not get so far. */
static bool lose_at(unsigned n, bool pull_ahead)
{
    static fake_tensor before[FAKE_TENSORS];
    begin(PS_TEST_LAZY, 0);
    ck_ok(open_cut(pull_ahead, 64, 64));
    ck_ok(train_step(0));
    memcpy(before, r.fake.tensors, sizeof(before));
    ps_test_lazy_lose_after(r.rig.backend, n);
    ps_status st = train_step(1);
    if (st) {
        ck_assert_int_eq(st, PS_INTERNAL);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), "the device was lost"));
        ps_exchange_stop(r.exchange);
        /* what has left is a true gradient, and never what a copy had not brought */
        pthread_mutex_lock(&r.fake.lock);
        for (size_t i = 0; i < r.fake.count; i++)
            for (uint64_t k = 0; k < r.fake.tensors[i].rows * r.fake.tensors[i].columns; k++)
                ck_assert(isfinite(r.fake.tensors[i].values[k]));
        pthread_mutex_unlock(&r.fake.lock);
    }
    end();
    return st != PS_OK;
}

START_TEST(a_device_that_is_lost_at_any_point_ends_the_step)
{
    unsigned n = 1;
    while (n < LOST_MAX && lose_at(n, _i))
        n++;
    ck_assert_uint_gt(n, 30); /* copies of four tensors there and back, and the passes between */
    ck_assert_uint_lt(n, LOST_MAX);
}
END_TEST

START_TEST(a_step_that_is_given_up_leaves_nothing_under_way)
{
    begin(PS_TEST_LAZY, 0);
    static fake_tensor before[FAKE_TENSORS];
    ck_ok(open_cut(_i, 64, 64));
    ck_ok(begin_step(0));
    ps_exchange_stop(r.exchange); /* its gradients are computed, and on their way to the host */
    ck_assert(!ps_exchange_failed(r.exchange));
    memcpy(before, r.fake.tensors, sizeof(before));
    ck_ok(train_step(1));
    assert_applied_once(before);
    ck_ok(begin_step(2));
    end(); /* closes with all of it under way */
}
END_TEST

START_TEST(steps_that_do_not_wait_for_answers_are_all_applied)
{
    begin(_i / 2, 0);
    ck_ok(open_cut(_i % 2, 64, 64));
    double sum = 0, before = 0;
    for (size_t i = 0; i < r.fake.count; i++)
        for (uint64_t k = 0; k < r.fake.tensors[i].rows * r.fake.tensors[i].columns; k++)
            before += (double)r.fake.tensors[i].values[k];
    for (uint64_t clock = 0; clock < STEPS; clock++) {
        ck_ok(train_step_ahead(clock));
        for (size_t i = 0; i < r.fake.count; i++) {
            float *g = read_tensor(ps_model_gradient(r.model, i));
            for (uint64_t k = 0; k < r.fake.tensors[i].rows * r.fake.tensors[i].columns; k++)
                sum += (double)g[k];
            ps_free(&g);
        }
    }
    ck_ok(ps_exchange_drain(r.exchange));
    double after = 0;
    for (size_t i = 0; i < r.fake.count; i++)
        for (uint64_t k = 0; k < r.fake.tensors[i].rows * r.fake.tensors[i].columns; k++)
            after += (double)r.fake.tensors[i].values[k];
    ck_assert_double_gt(fabs(sum), 0.1);
    ck_assert_double_eq_tol(before - after, sum, 1e-3 * fabs(sum));
    ck_assert_uint_eq(r.fake.applied_count, r.sequence);
    end();
}
END_TEST

START_TEST(no_room_on_the_host_is_said_and_leaves_nothing)
{
    begin(PS_TEST_LAZY, 0);
    for (int nth = 1;; nth++) {
        fault_memory(nth);
        ps_status st = open_exchange(false);
        fault_memory(0);
        if (!st) {
            ck_assert_int_gt(nth, 2);
            break;
        }
        ck_assert_int_eq(st, PS_NO_MEMORY);
        ck_assert_ptr_null(r.exchange);
    }
    ck_ok(train_step(0));
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&training_ends_at_the_same_bits_as_in_shared_memory, .timeout_s = 30, .repeat = 2},
    {&only_what_has_arrived_goes_to_the_device},
    {&a_device_that_is_lost_at_any_point_ends_the_step, .timeout_s = 60, .repeat = 2},
    {&a_step_that_is_given_up_leaves_nothing_under_way, .repeat = 2},
    {&steps_that_do_not_wait_for_answers_are_all_applied, .repeat = 2 * PS_TEST_DEVICES},
    {&no_room_on_the_host_is_said_and_leaves_nothing},
    {0}};

int main(void)
{
    return ps_check_main("worker/exchange/exchange_device", tests);
}
