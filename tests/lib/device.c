#include "tests/lib/device.h"

#include "common/base/mem.h"
#include "tests/lib/ck_ok.h"
#include "tests/lib/ref64.h"

#include <check.h>
#include <math.h>
#include <string.h>

#define CANARY_BYTES 64
#define CANARY       0xA5

const ps_dtype ps_test_types[PS_TEST_TYPES] = {PS_DTYPE_F32, PS_DTYPE_BF16};

double ps_test_tolerance(ps_dtype type, double f32)
{
    return type == PS_DTYPE_BF16 ? f32 + 1.0 / 256 : f32;
}

const char *ps_test_backend(void)
{
    const char *name = getenv("PSD_TEST_BACKEND");
    return name && *name ? name : "cpu";
}

bool ps_test_leave_out(int64_t elements)
{
    const char *most = getenv("PSD_TEST_MOST");
    return most && elements > strtoll(most, NULL, 10);
}

void ps_test_device_open(ps_test_device *d, const char *backend)
{
    ps_test_device_open_threads(d, backend, 2);
}

void ps_test_device_open_threads(ps_test_device *d, const char *backend, int threads)
{
    *d = (ps_test_device){0};
    ps_backend_options options = {.threads = threads};
    ck_ok(ps_backend_open(backend, &options, &d->backend));
    ck_ok(ps_stream_new(d->backend, &d->stream));
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
    ck_ok(ps_stream_sync(d->stream));
    ps_stream_free(&d->stream);
    ps_backend_close(&d->backend);
}

static ps_tensor make(ps_test_device *d, ps_tensor t, const void *values)
{
    ck_assert_uint_lt(d->count, PS_TEST_TENSORS_MAX);
    ck_ok(ps_buffer_new(d->backend, ps_tensor_bytes(t) + CANARY_BYTES, &t.buffer));
    uint8_t canary[CANARY_BYTES];
    memset(canary, CANARY, sizeof canary);
    ps_copy_to_device(d->stream, t, values, ps_tensor_bytes(t));
    ps_copy_to_device(d->stream, canary_of(t), canary, sizeof canary);
    ck_ok(ps_stream_sync(d->stream));
    d->tensors[d->count++] = t;
    return t;
}

ps_tensor ps_test_f32(ps_test_device *d, int64_t rows, int64_t columns, const float *values)
{
    return ps_test_real(d, PS_DTYPE_F32, rows, columns, values);
}

/* To the nearest of 8 bits, ties to even, by arithmetic: nothing of the product's. */
static uint16_t round_to_bf16(float x)
{
    int exponent;
    double fraction = frexp((double)x, &exponent);
    float rounded = (float)ldexp(nearbyint(ldexp(fraction, 8)), exponent - 8);
    uint32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    return (uint16_t)(bits >> 16);
}

ps_tensor ps_test_real(ps_test_device *d, ps_dtype type, int64_t rows, int64_t columns,
                       const float *values)
{
    ps_tensor t =
        rows ? ps_tensor_2d(NULL, 0, type, rows, columns) : ps_tensor_1d(NULL, 0, type, columns);
    int64_t n = ps_tensor_count(t);
    float *x = ps_alloc_array((size_t)n, sizeof *x);
    uint16_t *rounded = ps_alloc_array((size_t)n, sizeof *rounded);
    for (int64_t i = 0; i < n; i++) {
        x[i] = values ? values[i] : (float)ps_rng_normal(&d->rng);
        if (type == PS_DTYPE_BF16)
            rounded[i] = round_to_bf16(x[i]);
    }
    t = make(d, t, type == PS_DTYPE_BF16 ? (void *)rounded : x);
    free(x);
    free(rounded);
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

ps_tensor ps_test_u8(ps_test_device *d, int64_t rows, int64_t columns, const uint8_t *values)
{
    return make(d, ps_tensor_2d(NULL, 0, PS_DTYPE_U8, rows, columns), values);
}

void *ps_test_read(ps_test_device *d, ps_tensor t)
{
    void *out = ps_alloc(ps_tensor_bytes(t));
    ck_ok(ps_copy_to_host(d->stream, out, t, ps_tensor_bytes(t)));
    return out;
}

/* The elements as float32; the caller frees. */
static float *read_f32(ps_test_device *d, ps_tensor t)
{
    if (t.dtype == PS_DTYPE_F32)
        return ps_test_read(d, t);
    ck_assert_int_eq(t.dtype, PS_DTYPE_BF16);
    uint16_t *host = ps_test_read(d, t);
    float *out = ps_alloc_array((size_t)ps_tensor_count(t), sizeof *out);
    for (int64_t i = 0; i < ps_tensor_count(t); i++) {
        uint32_t bits = (uint32_t)host[i] << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
    free(host);
    return out;
}

double *ps_test_read64(ps_test_device *d, ps_tensor t)
{
    float *host = read_f32(d, t);
    double *out = ps_ref64_from_f32(host, (size_t)ps_tensor_count(t));
    free(host);
    return out;
}

double ps_test_error(ps_test_device *d, ps_tensor t, const double *want)
{
    float *host = read_f32(d, t);
    double error = ps_ref64_error(host, want, (size_t)ps_tensor_count(t));
    free(host);
    return error;
}
