/* Memory, copies, streams and how a stream keeps its first failure. */
#include "gpu/backend.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "tests/lib/fault.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static ps_test_device device;

START_TEST(what_is_copied_in_comes_out)
{
    ps_test_device_open(&device, "cpu");
    const float values[] = {1, 2, 3, 4, 5, 6};
    ps_tensor t = ps_test_f32(&device, 2, 3, values);
    ps_tensor row = ps_tensor_1d(t.buffer, 3 * sizeof(float), PS_DTYPE_F32, 3);
    float got[3];
    ck_ok(ps_copy_to_host(device.stream, got, row, sizeof got));
    ck_assert_mem_eq(got, values + 3, sizeof got);

    ps_tensor other = ps_test_f32(&device, 0, 3, NULL);
    ps_copy(device.stream, other, row);
    memset(got, 0, sizeof got);
    ck_ok(ps_copy_to_host(device.stream, got, other, sizeof got));
    ck_assert_mem_eq(got, values + 3, sizeof got);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(the_host_sees_memory_that_it_shares)
{
    ps_test_device_open(&device, "cpu");
    const float values[] = {1, 2, 3};
    ps_tensor t = ps_test_f32(&device, 0, 3, values);
    ck_assert(device.backend->info.host_addressable);
    ck_assert_mem_eq(ps_tensor_host(device.backend, t), values, sizeof values);
    device.backend->info.host_addressable = false;
    ck_assert_ptr_null(ps_tensor_host(device.backend, t));
    ps_test_device_close(&device);
}
END_TEST

START_TEST(a_buffer_too_large_is_an_error_and_leaves_nothing)
{
    ps_test_device_open(&device, "cpu");
    ps_buffer *buffer = NULL;
    ck_assert_int_eq(ps_buffer_new(device.backend, SIZE_MAX - 1, &buffer), PS_NO_MEMORY);
    ck_assert_ptr_null(buffer);
    fault_memory(1);
    ck_assert_int_eq(ps_buffer_new(device.backend, 4096, &buffer), PS_NO_MEMORY);
    ck_assert_ptr_null(buffer);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "buffer of 4096 bytes"));
    ps_buffer_free(device.backend, &buffer); /* NULL is nothing */
    ps_test_device_close(&device);
}
END_TEST

/* Of this process, in memory. */
static int64_t resident(void)
{
    long long pages = -1;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%*s %lld", &pages), 1);
    ck_assert_int_eq(fclose(f), 0);
    return pages * sysconf(_SC_PAGESIZE);
}

START_TEST(of_a_sparse_buffer_only_what_is_touched_is_in_memory)
{
    enum { MIB = 1 << 20, COUNT = 128 };
    ps_test_device_open(&device, "cpu");
    ps_buffer *buffer = NULL;
    int64_t before = resident();
    ck_ok(ps_buffer_new_sparse(device.backend, (size_t)COUNT * MIB, &buffer));
    for (size_t i = 0; i < COUNT; i++)
        ((volatile char *)buffer->memory)[i * MIB] = 1;
    ck_assert_int_lt(resident() - before, COUNT * MIB / 4);
    ps_buffer_free(device.backend, &buffer);
    ps_test_device_close(&device);
}
END_TEST

/* The stream is broken by hand, as a device does when a launch is refused. */
START_TEST(a_stream_that_has_failed_does_nothing_more_and_says_why)
{
    ps_test_device_open(&device, "cpu");
    const float values[] = {1, 2, 3};
    ps_tensor t = ps_test_f32(&device, 0, 3, values);
    ps_stream *s = NULL;
    ck_ok(ps_stream_new(device.backend, &s));
    ck_ok(ps_stream_sync(s));
    ps_stream_fail(s, ps_fail(PS_IO, "launch refused"));
    ps_stream_fail(s, ps_fail(PS_INTERNAL, "a later one"));
    ps_op_fill(s, t, 9);
    ps_op_axpy(s, t, 1, t);
    ps_copy_to_device(s, t, (const float[]){7, 7, 7}, sizeof values);

    float got[3] = {0};
    ck_assert_int_eq(ps_copy_to_host(s, got, t, sizeof got), PS_IO);
    ck_assert_str_eq(ps_error_message(), "launch refused");
    ck_assert(got[0] == 0);
    (void)ps_fail(PS_END, "something else in between");
    ck_assert_int_eq(ps_stream_sync(s), PS_IO);
    ck_assert_str_eq(ps_error_message(), "launch refused");
    ps_stream_free(&s);
    ck_assert_ptr_null(s);

    /* another stream of the same device goes on */
    ck_ok(ps_copy_to_host(device.stream, got, t, sizeof got));
    ck_assert_mem_eq(got, values, sizeof got);
    ps_test_device_close(&device);
}
END_TEST

/* The CPU's streams get more memory to work in when an operation needs it: here for a long row. */
START_TEST(an_operation_without_memory_to_work_in_fails_its_stream)
{
    ps_test_device_open(&device, "cpu");
    enum { COLUMNS = 100000 };
    ps_tensor t = ps_test_f32(&device, 1, COLUMNS, NULL),
              gain = ps_test_f32(&device, 0, COLUMNS, NULL);
    ps_tensor other = ps_test_f32(&device, 1, COLUMNS, NULL);
    ps_norm n = {.y = other, .x = t, .gain = gain, .rstd = ps_test_f32(&device, 0, 1, NULL)};
    ps_stream *s = NULL;
    ck_ok(ps_stream_new(device.backend, &s));
    float *before = ps_test_read(&device, t);
    fault_memory(1);
    ps_op_scale(s, t, 2); /* needs none */
    ps_op_rmsnorm(s, &n);
    fault_memory(0);
    ps_op_scale(s, t, 2);
    ck_assert_int_eq(ps_stream_sync(s), PS_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "floats to work in"));
    float *after = ps_test_read(&device, t);
    for (int i = 0; i < COLUMNS; i++)
        ck_assert_float_eq(after[i], 2 * before[i]);
    ps_free(&before);
    ps_free(&after);
    ps_stream_free(&s);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(events_order_two_streams)
{
    ps_test_device_open(&device, "cpu");
    ps_tensor t = ps_test_f32(&device, 0, 3, NULL);
    ps_stream *s = NULL;
    ps_event *e = NULL;
    ck_ok(ps_stream_new(device.backend, &s));
    ck_ok(ps_event_new(device.backend, &e));
    ps_op_fill(device.stream, t, 4);
    ps_event_record(device.stream, e);
    ps_event_wait(s, e);
    ps_op_axpy(s, t, 1, t);
    float got[3];
    ck_ok(ps_copy_to_host(s, got, t, sizeof got));
    ck_ok(ps_event_sync(device.backend, e));
    ck_assert(got[0] == 8 && got[1] == 8 && got[2] == 8);
    ps_event_free(device.backend, &e);
    ps_stream_free(&s);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(what_waits_for_a_failed_stream_fails_with_it)
{
    ps_test_device_open(&device, "cpu");
    ps_stream *failed = NULL, *s = NULL;
    ps_event *e = NULL;
    ck_ok(ps_stream_new(device.backend, &failed));
    ck_ok(ps_stream_new(device.backend, &s));
    ck_ok(ps_event_new(device.backend, &e));
    ps_event_record(device.stream, e); /* an event that was well before */
    ps_stream_fail(failed, ps_fail(PS_INTERNAL, "a launch was refused"));
    ps_event_record(failed, e);
    ps_event_wait(s, e);
    ck_assert_int_eq(ps_event_sync(device.backend, e), PS_INTERNAL);
    ck_assert_str_eq(ps_error_message(), "a launch was refused");
    ck_assert_int_eq(ps_stream_sync(s), PS_INTERNAL);
    ck_assert_str_eq(ps_error_message(), "a launch was refused");
    ps_event_record(device.stream, e); /* and is so again */
    ck_ok(ps_event_sync(device.backend, e));
    ps_event_free(device.backend, &e);
    ps_stream_free(&s);
    ps_stream_free(&failed);
    ps_test_device_close(&device);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &what_is_copied_in_comes_out},
    {.test = &the_host_sees_memory_that_it_shares},
    {.test = &a_buffer_too_large_is_an_error_and_leaves_nothing},
    {.test = &of_a_sparse_buffer_only_what_is_touched_is_in_memory},
    {.test = &a_stream_that_has_failed_does_nothing_more_and_says_why},
    {.test = &an_operation_without_memory_to_work_in_fails_its_stream},
    {.test = &events_order_two_streams},
    {.test = &what_waits_for_a_failed_stream_fails_with_it},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/backend", tests);
}
