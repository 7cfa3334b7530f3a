/* device_get, on a device on which nothing happens before somebody waits for it. */
#include "worker/exchange/device_get.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/lazy_backend.h"

#include <string.h>

enum { TENSORS = 3, ELEMENTS = 5 };

static struct {
    ps_backend *backend;
    ps_stream *compute;
    ps_buffer *memory;
    ps_tensor gradients[TENSORS];
    float *host; /* [TENSORS][ELEMENTS] */
    ps_device_get *get;
} t;

static float *host_of(size_t i)
{
    return t.host + i * ELEMENTS;
}

static void begin(void)
{
    void *host;
    ps_test_lazy_open(&t.backend);
    ck_ok(ps_stream_new(t.backend, &t.compute));
    ck_ok(ps_buffer_new(t.backend, 256 * TENSORS, &t.memory));
    ck_ok(ps_host_new(t.backend, TENSORS * ELEMENTS * sizeof(float), &host));
    t.host = host;
    for (size_t i = 0; i < TENSORS; i++)
        t.gradients[i] = ps_tensor_1d(t.memory, 256 * i, PS_DTYPE_F32, ELEMENTS);
    ck_ok(ps_device_get_create(t.backend, t.compute, TENSORS, &t.get));
}

static void end(void)
{
    void *host = t.host;
    ps_device_get_free(&t.get);
    ps_stream_free(&t.compute);
    ps_host_free(t.backend, &host);
    ps_buffer_free(t.backend, &t.memory);
    ps_backend_close(&t.backend);
}

/* Computes gradient i, which becomes `value`, and begins to fetch it. */
static void make(size_t i, float value)
{
    float values[TENSORS][ELEMENTS]; /* to the device at once, then computed with */
    for (int k = 0; k < ELEMENTS; k++)
        values[i][k] = value;
    ps_copy_to_device(t.compute, t.gradients[i], values[i], sizeof values[i]);
    ck_ok(ps_stream_sync(t.compute));
    ps_copy(t.compute, t.gradients[i], t.gradients[i]);
    ps_device_get_begin(t.get, i, host_of(i), t.gradients[i]);
}

static void assert_next(size_t want, float value)
{
    size_t i;
    ck_ok(ps_device_get_next(t.get, &i));
    ck_assert_uint_eq(i, want);
    for (int k = 0; k < ELEMENTS; k++)
        ck_assert_float_eq(host_of(i)[k], value);
}

static void assert_none(void)
{
    size_t i;
    ck_assert_int_eq(ps_device_get_next(t.get, &i), PS_END);
}

START_TEST(gradients_come_in_the_order_they_were_made)
{
    begin();
    for (int step = 0; step < 3; step++) {
        for (size_t i = TENSORS; i-- > 0;)
            make(i, (float)(10 * step) + (float)i);
        for (size_t i = TENSORS; i-- > 0;)
            assert_next(i, (float)(10 * step) + (float)i);
        assert_none();
    }
    end();
}
END_TEST

START_TEST(what_is_dropped_is_not_written_any_more)
{
    begin();
    make(0, 1);
    make(1, 2);
    ps_device_get_drop(t.get);
    memset(t.host, 0, TENSORS * ELEMENTS * sizeof(float));
    assert_none();
    ck_ok(ps_stream_sync(t.compute));
    make(2, 3);
    assert_next(2, 3);
    assert_none();
    for (size_t k = 0; k < 2 * (size_t)ELEMENTS; k++)
        ck_assert_float_eq(t.host[k], 0);
    end();
}
END_TEST

START_TEST(it_can_be_freed_with_copies_under_way)
{
    begin();
    make(0, 1);
    ps_device_get_free(&t.get);
    for (int k = 0; k < ELEMENTS; k++)
        ck_assert_float_eq(host_of(0)[k], 1); /* done, or it would be later */
    end();
}
END_TEST

START_TEST(a_lost_device_is_said)
{
    begin();
    make(0, 1);
    ps_test_lazy_lose_after(t.backend, 1);
    size_t i;
    ck_assert_int_eq(ps_device_get_next(t.get, &i), PS_INTERNAL);
    ck_assert_str_eq(ps_error_message(), "the device was lost");
    ps_device_get_drop(t.get);
    ck_assert(ps_device_get_failed(t.get));
    end();
}
END_TEST

static const ps_check_case tests[] = {{&gradients_come_in_the_order_they_were_made},
                                      {&what_is_dropped_is_not_written_any_more},
                                      {&it_can_be_freed_with_copies_under_way},
                                      {&a_lost_device_is_said},
                                      {0}};

int main(void)
{
    return ps_check_main("worker/exchange/device_get", tests);
}
