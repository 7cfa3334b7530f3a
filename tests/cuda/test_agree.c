/* The CUDA backend against the CPU's: the same sequence of all operations on the same numbers
 * leaves the same results, but for rounding. */
#include "common/base/mem.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cuda/cuda.h"
#include "tests/cuda/sequence.h"
#include "tests/cuda/shim.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <string.h>

static uint8_t *run(ps_backend *b, sequence *q)
{
    ps_stream *s = NULL;
    ps_buffer *buffer = NULL;
    ck_ok(ps_stream_new(b, &s));
    ck_ok(ps_buffer_new(b, SEQUENCE_BYTES, &buffer));
    sequence_run(q, s, buffer, 2);
    uint8_t *out = ps_alloc(SEQUENCE_BYTES);
    ps_tensor used = ps_tensor_1d(buffer, 0, PS_DTYPE_I8, (int64_t)q->used);
    ck_ok(ps_copy_to_host(s, out, used, q->used));
    ps_buffer_free(b, &buffer);
    ps_stream_free(&s);
    ps_backend_close(&b);
    return out;
}

static double element(const uint8_t *at, ps_dtype type, int64_t i)
{
    float x = 0;
    uint32_t bits;
    int32_t n;
    switch (type) {
    case PS_DTYPE_F32:
        memcpy(&x, at + 4 * i, sizeof x);
        return (double)x;
    case PS_DTYPE_BF16:
        bits = (uint32_t)at[2 * i + 1] << 24 | (uint32_t)at[2 * i] << 16;
        memcpy(&x, &bits, sizeof x);
        return (double)x;
    case PS_DTYPE_I32:
        memcpy(&n, at + 4 * i, sizeof n);
        return n;
    default:
        return (int8_t)at[i];
    }
}

/* Mean of squared differences over that of squares, as ggml judges its backends. */
static double difference(const uint8_t *a, const uint8_t *b, ps_tensor t)
{
    double errors = 0, squares = 0;
    for (int64_t i = 0; i < ps_tensor_count(t); i++) {
        double x = element(a + t.offset, t.dtype, i), y = element(b + t.offset, t.dtype, i);
        ck_assert(isfinite(x) && isfinite(y));
        errors += (x - y) * (x - y);
        squares += x * x;
    }
    return errors == 0 ? 0 : errors / squares;
}

START_TEST(all_operations_agree)
{
    static sequence q;
    ps_backend *cpu = NULL, *cuda = NULL;
    ck_ok(ps_cpu_open(&(ps_backend_options){.threads = 2}, &cpu));
    ck_ok(ps_plugin_open_entry(ps_backend_plugin(), "cuda", &(ps_backend_options){0}, &cuda));
    uint8_t *want = run(cpu, &q), *got = run(cuda, &q);
    ck_assert_uint_gt(q.count, 100);
    for (size_t i = 0; i < q.count; i++) {
        ps_tensor t = q.tensors[i];
        if (t.dtype == PS_DTYPE_U8) /* a matrix in a form: in an order of the backend's own */
            continue;
        double most = t.dtype == PS_DTYPE_F32 ? 1e-9 : t.dtype == PS_DTYPE_BF16 ? 1e-5 : 0;
        double d = difference(want, got, t);
        ck_assert_msg(d <= most, "tensor %zu, %lld elements of %d bytes: off by %g", i,
                      (long long)ps_tensor_count(t), (int)ps_dtype_bytes(t.dtype), d);
    }
    ps_free(&want);
    ps_free(&got);
}
END_TEST

static const ps_check_case cases[] = {{&all_operations_agree, 60}, {NULL}};

int main(void)
{
    return ps_check_main("cuda/agree", cases);
}
