/* device_put, on a device on which nothing happens before somebody waits for it: what was computed
 * before reads the old values, what comes after the new ones. */
#include "worker/exchange/device_put.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/lazy_backend.h"

enum { FIRST = 3, SECOND = 5 };

static struct {
    ps_backend *backend;
    ps_stream *compute;
    ps_buffer *memory;
    ps_tensor parameters[2], seen; /* seen: where the computing puts the second parameter */
    ps_device_put *put;
} t;

static void begin(void)
{
    ps_test_lazy_open(&t.backend);
    ck_ok(ps_stream_new(t.backend, &t.compute));
    ck_ok(ps_buffer_new(t.backend, 1024, &t.memory));
    t.parameters[0] = ps_tensor_1d(t.memory, 0, PS_DTYPE_F32, FIRST);
    t.parameters[1] = ps_tensor_1d(t.memory, 256, PS_DTYPE_F32, SECOND);
    t.seen = ps_tensor_1d(t.memory, 512, PS_DTYPE_F32, SECOND);
    ck_ok(ps_device_put_create(
        &(ps_device_put_options){
            .backend = t.backend, .compute = t.compute, .parameters = t.parameters, .count = 2},
        &t.put));
}

static void end(void)
{
    ps_device_put_free(&t.put);
    ps_stream_free(&t.compute);
    ps_buffer_free(t.backend, &t.memory);
    ps_backend_close(&t.backend);
}

static void send_all(float value)
{
    ck_ok(ps_device_put_wait(t.put));
    for (int k = 0; k < SECOND; k++)
        ps_device_put_landing(t.put, 1)[k] = value;
    ps_ranges all = {.list = {{0, SECOND}}, .count = 1};
    ps_device_put_send(t.put, 1, &all);
}

static void assert_all(ps_tensor tensor, float want)
{
    float got[SECOND];
    ck_ok(ps_copy_to_host(t.compute, got, tensor, sizeof got));
    for (int k = 0; k < SECOND; k++)
        ck_assert_float_eq(got[k], want);
}

START_TEST(what_was_computed_before_sees_the_old_values)
{
    begin();
    send_all(1);
    ps_copy(t.compute, t.seen, t.parameters[1]);
    send_all(2);
    ck_ok(ps_device_put_wait(t.put)); /* the copies are done, and it before them */
    assert_all(t.seen, 1);
    assert_all(t.parameters[1], 2);
    end();
}
END_TEST

START_TEST(landing_may_be_written_after_a_wait)
{
    begin();
    send_all(1);
    ck_ok(ps_device_put_wait(t.put));
    for (int k = 0; k < SECOND; k++)
        ps_device_put_landing(t.put, 1)[k] = 9;
    assert_all(t.parameters[1], 1);
    end();
}
END_TEST

START_TEST(copies_do_not_wait_for_what_is_computed_meanwhile)
{
    begin();
    ps_ranges one = {.list = {{0, 1}}, .count = 1};
    ps_device_put_send(t.put, 0, &one);
    for (int i = 0; i < 10; i++) /* the first layers, say */
        ps_copy(t.compute, t.seen, t.parameters[1]);
    ps_device_put_send(t.put, 1, &one);
    unsigned before = ps_test_lazy_done(t.backend);
    ck_ok(ps_device_put_wait(t.put));
    ck_assert_uint_lt(ps_test_lazy_done(t.backend) - before, 10);
    ck_ok(ps_stream_sync(t.compute));
    ck_assert_uint_ge(ps_test_lazy_done(t.backend) - before, 10);
    end();
}
END_TEST

START_TEST(only_the_ranges_change)
{
    begin();
    send_all(1);
    ck_ok(ps_device_put_wait(t.put));
    for (int k = 0; k < SECOND; k++)
        ps_device_put_landing(t.put, 1)[k] = 2;
    ps_device_put_send(t.put, 1, &(ps_ranges){.list = {{0, 1}, {3, 5}}, .count = 2});
    float got[SECOND];
    ck_ok(ps_copy_to_host(t.compute, got, t.parameters[1], sizeof got));
    ck_assert(got[0] == 2 && got[1] == 1 && got[2] == 1 && got[3] == 2 && got[4] == 2);
    end();
}
END_TEST

START_TEST(it_can_be_freed_with_copies_under_way)
{
    begin();
    send_all(4);
    ps_device_put_free(&t.put); /* else the device reads what is freed */
    assert_all(t.parameters[1], 4);
    end();
}
END_TEST

START_TEST(a_lost_device_is_told_to_who_waits_and_to_who_computes)
{
    begin();
    ps_test_lazy_lose_after(t.backend, 1);
    send_all(1);
    ck_assert_int_eq(ps_device_put_wait(t.put), PS_INTERNAL);
    ck_assert_int_eq(ps_stream_sync(t.compute), PS_INTERNAL);
    ck_assert_str_eq(ps_error_message(), "the device was lost");
    end();
}
END_TEST

static const ps_check_case tests[] = {{&what_was_computed_before_sees_the_old_values},
                                      {&landing_may_be_written_after_a_wait},
                                      {&copies_do_not_wait_for_what_is_computed_meanwhile},
                                      {&only_the_ranges_change},
                                      {&it_can_be_freed_with_copies_under_way},
                                      {&a_lost_device_is_told_to_who_waits_and_to_who_computes},
                                      {0}};

int main(void)
{
    return ps_check_main("worker/exchange/device_put", tests);
}
