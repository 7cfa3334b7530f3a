#include "tests/lib/device.h"

#include "common/base/mem.h"
#include "tests/lib/ref64.h"

#include <check.h>
#include <string.h>

#define CANARY_BYTES 64
#define CANARY       0xA5

void ps_test_device_open(ps_test_device *d, const char *backend)
{
    *d = (ps_test_device){0};
    ck_assert_int_eq(ps_backend_open(backend, &(ps_backend_options){.threads = 2}, &d->backend),
                     PS_OK);
    ck_assert_int_eq(ps_stream_new(d->backend, &d->stream), PS_OK);
    ps_rng_seed(&d->rng, 7);
}

static ps_tensor canary_of(ps_tensor t)
{
    return ps_tensor_1d(t.buffer, t.offset + ps_tensor_bytes(t), t.dtype,
                        CANARY_BYTES / (int64_t)ps_dtype_bytes(t.dtype));
}

void ps_test_device_close(ps_test_device *d)
{
    for (size_t i = 0; i < d->count; i++) {
        uint8_t *behind = ps_test_read(d, canary_of(d->tensors[i]));
        for (int j = 0; j < CANARY_BYTES; j++)
            ck_assert_msg(behind[j] == CANARY, "tensor %zu: written behind its end", i);
        free(behind);
        ps_buffer_free(d->backend, &d->tensors[i].buffer);
    }
    ck_assert_int_eq(ps_stream_sync(d->stream), PS_OK);
    ps_stream_free(&d->stream);
    ps_backend_close(&d->backend);
}

static ps_tensor make(ps_test_device *d, ps_tensor t, const void *values)
{
    ck_assert_uint_lt(d->count, PS_TEST_TENSORS_MAX);
    ck_assert_int_eq(ps_buffer_new(d->backend, ps_tensor_bytes(t) + CANARY_BYTES, &t.buffer),
                     PS_OK);
    uint8_t canary[CANARY_BYTES];
    memset(canary, CANARY, sizeof canary);
    ps_copy_to_device(d->stream, t, values, ps_tensor_bytes(t));
    ps_copy_to_device(d->stream, canary_of(t), canary, sizeof canary);
    ck_assert_int_eq(ps_stream_sync(d->stream), PS_OK);
    d->tensors[d->count++] = t;
    return t;
}

ps_tensor ps_test_f32(ps_test_device *d, int64_t rows, int64_t columns, const float *values)
{
    ps_tensor t = rows ? ps_tensor_2d(NULL, 0, PS_DTYPE_F32, rows, columns)
                       : ps_tensor_1d(NULL, 0, PS_DTYPE_F32, columns);
    float *random = NULL;
    if (!values) {
        random = ps_alloc(ps_tensor_bytes(t));
        for (int64_t i = 0; i < ps_tensor_count(t); i++)
            random[i] = (float)ps_rng_normal(&d->rng);
    }
    t = make(d, t, values ? values : random);
    free(random);
    return t;
}

ps_tensor ps_test_i32(ps_test_device *d, int64_t n, const int32_t *values)
{
    int32_t *unset = NULL;
    if (!values) {
        unset = ps_alloc((size_t)n * sizeof *unset);
        memset(unset, 0xFF, (size_t)n * sizeof *unset);
    }
    ps_tensor t = make(d, ps_tensor_1d(NULL, 0, PS_DTYPE_I32, n), values ? values : unset);
    free(unset);
    return t;
}

void *ps_test_read(ps_test_device *d, ps_tensor t)
{
    void *out = ps_alloc(ps_tensor_bytes(t));
    ck_assert_int_eq(ps_copy_to_host(d->stream, out, t, ps_tensor_bytes(t)), PS_OK);
    return out;
}

double *ps_test_read64(ps_test_device *d, ps_tensor t)
{
    float *host = ps_test_read(d, t);
    double *out = ps_ref64_from_f32(host, (size_t)ps_tensor_count(t));
    free(host);
    return out;
}

double ps_test_error(ps_test_device *d, ps_tensor t, const double *want)
{
    float *host = ps_test_read(d, t);
    double error = ps_ref64_error(host, want, (size_t)ps_tensor_count(t));
    free(host);
    return error;
}
