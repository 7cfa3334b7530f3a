/* The CUDA backend as a device: what it says of itself, how it waits, and what becomes of every
 * call that can fail. Its results are judged by tests/unit/gpu. */
#include "common/base/mem.h"
#include "gpu/cuda/run.h"
#include "tests/cuda/sequence.h"
#include "tests/cuda/shim.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ps_status open_cuda(ps_backend_options options, ps_backend **out)
{
    *out = NULL;
    return ps_plugin_open_entry(ps_backend_plugin(), "cuda", &options, out);
}

static ps_backend *must_open(void)
{
    ps_backend *b;
    ck_ok(open_cuda((ps_backend_options){0}, &b));
    return b;
}

START_TEST(a_device_says_what_it_is)
{
    ps_shim_set_devices(2);
    ps_backend *b = NULL;
    ck_ok(open_cuda((ps_backend_options){.device = 1}, &b));
    ck_assert_str_eq(b->info.name, "cuda");
    ck_assert_str_eq(b->info.label, "cuda:1");
    ck_assert_str_eq(b->info.device, "psd test device 1");
    ck_assert_str_eq(b->info.reason, "");
    ck_assert_uint_eq(b->info.memory, (uint64_t)8 << 30);
    ck_assert(!b->info.host_addressable);
    ps_backend_close(&b);
}
END_TEST

static void check_refused(int device, const char *words)
{
    ps_backend *b;
    ck_assert_int_eq(open_cuda((ps_backend_options){.device = device}, &b), PS_UNAVAILABLE);
    ck_assert_ptr_null(b);
    ck_assert_msg(strstr(ps_error_message(), words) != NULL, "%s", ps_error_message());
}

START_TEST(a_device_that_is_not_there_is_refused)
{
    check_refused(1, "cuda: no GPU 1: the driver shows 1, counted from 0");
    check_refused(-1, "cuda: no GPU -1: the driver shows 1");
    ps_shim_set_devices(0);
    check_refused(0, "cudaErrorNoDevice");
}
END_TEST

START_TEST(tf32_is_for_those_who_ask)
{
    for (int tf32 = 0; tf32 < 2; tf32++) {
        ps_backend *b = NULL;
        ps_stream *s = NULL;
        cublasMath_t mode;
        ck_ok(open_cuda((ps_backend_options){.tf32 = tf32}, &b));
        ck_assert_int_eq(b->info.tf32, tf32);
        ck_ok(ps_stream_new(b, &s));
        ck_assert_int_eq(cublasGetMathMode(((ps_cuda_stream *)s)->blas, &mode), 0);
        ck_assert_int_eq((mode & CUBLAS_TF32_TENSOR_OP_MATH) != 0, tf32);
        ck_assert_int_ne(mode & CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION, 0);
        ps_stream_free(&s);
        ps_backend_close(&b);
    }
}
END_TEST

/* A stream of `b`, and a tensor of n floats. */
typedef struct rig {
    ps_backend *b;
    ps_stream *s;
    ps_tensor t;
} rig;

static rig open_rig(int64_t n)
{
    rig r = {.b = must_open()};
    ps_buffer *buffer = NULL;
    ck_ok(ps_stream_new(r.b, &r.s));
    ck_ok(ps_buffer_new(r.b, (size_t)n * sizeof(float), &buffer));
    r.t = ps_tensor_1d(buffer, 0, PS_DTYPE_F32, n);
    return r;
}

static void close_rig(rig *r)
{
    ps_buffer_free(r->b, &r->t.buffer);
    ps_stream_free(&r->s);
    ps_backend_close(&r->b);
    ck_assert_int_eq(ps_shim_live(), 0);
}

START_TEST(a_copy_to_the_host_is_there_when_an_event_after_it_is)
{
    rig r = open_rig(3);
    ps_event *e = NULL;
    void *host = NULL;
    ck_ok(ps_event_new(r.b, &e));
    ck_ok(ps_host_new(r.b, 3 * sizeof(float), &host));
    float *x = host;
    ps_op_fill(r.s, r.t, 4);
    ps_copy_to_host_async(r.s, x, r.t, 3 * sizeof(float));
    ps_event_record(r.s, e);
    ck_assert(isnan(x[0])); /* the shim's mark: not yet */
    ck_ok(ps_event_sync(r.b, e));
    ck_assert(x[0] == 4 && x[2] == 4);
    ps_event_free(r.b, &e);
    ps_host_free(r.b, &host);
    close_rig(&r);
}
END_TEST

START_TEST(events_order_two_streams)
{
    rig r = open_rig(3);
    ps_stream *other = NULL;
    ps_event *e = NULL;
    ck_ok(ps_stream_new(r.b, &other));
    ck_ok(ps_event_new(r.b, &e));
    ps_op_fill(r.s, r.t, 4);
    ps_event_record(r.s, e);
    ps_event_wait(other, e);
    ps_op_axpy(other, r.t, 1, r.t);
    float x[3];
    ck_ok(ps_copy_to_host(other, x, r.t, sizeof x));
    ck_assert(x[0] == 8 && x[1] == 8 && x[2] == 8);
    ps_event_free(r.b, &e);
    ps_stream_free(&other);
    close_rig(&r);
}
END_TEST

START_TEST(the_first_failure_stays_with_its_stream)
{
    rig r = open_rig(3);
    ps_stream *other = NULL;
    float x[3] = {0};
    ck_ok(ps_stream_new(r.b, &other));
    ps_op_fill(r.s, r.t, 4);
    ps_shim_fail_call(2); /* the device is chosen, then the kernel launched */
    ps_op_fill(r.s, r.t, 5);
    ck_assert(ps_shim_call_failed());
    ps_op_fill(r.s, r.t, 6);
    (void)ps_fail(PS_END, "something else");
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(i ? ps_stream_sync(r.s) : ps_copy_to_host(r.s, x, r.t, sizeof x),
                         PS_INTERNAL);
        ck_assert_str_eq(ps_error_message(),
                         "cuda: fill: cudaErrorLaunchFailure: unspecified launch failure");
    }
    ck_assert(x[0] == 0);
    ck_ok(ps_copy_to_host(other, x, r.t, sizeof x));
    ck_assert(x[0] == 4);
    ps_stream_free(&other);
    close_rig(&r);
}
END_TEST

START_TEST(memory_that_is_not_there_is_an_error_and_blames_nobody_else)
{
    rig r = open_rig(3);
    ps_buffer *buffer = NULL;
    void *host = NULL;
    ck_assert_int_eq(ps_buffer_new(r.b, SIZE_MAX - 1, &buffer), PS_NO_MEMORY);
    ck_assert_ptr_null(buffer);
    ps_shim_set_memory((size_t)100 << 20);
    ck_assert_int_eq(ps_buffer_new(r.b, (size_t)200 << 20, &buffer), PS_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "for a buffer of 209715200 bytes"));
    ps_shim_fail_call(2);
    ck_assert_int_eq(ps_host_new(r.b, 4096, &host), PS_NO_MEMORY);
    ck_assert_ptr_null(host);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "4096 bytes of pinned memory"));
    ps_op_fill(r.s, r.t, 4);
    ck_ok(ps_stream_sync(r.s));
    close_rig(&r);
}
END_TEST

START_TEST(what_the_kernels_cannot_do_is_refused)
{
    rig r = open_rig(1024);
    ps_tensor t = r.t, one = ps_tensor_head(t, 1);
    ps_attention a = {.batch = 1,
                      .queries = 1,
                      .keys = 1,
                      .key_rows = 1,
                      .heads = 1,
                      .kv_heads = 1,
                      .head_dim = 257,
                      .ld_q = 257,
                      .ld_k = 257,
                      .ld_v = 257,
                      .ld_y = 257,
                      .y = t,
                      .q = t,
                      .k = t,
                      .v = t,
                      .lse = one,
                      .scale = 1,
                      .causal = true};
    ps_attention_backward b = {&a, t, t, t, t, one};
    ps_gemm g = {.m = 1,
                 .n = 1,
                 .k = 1,
                 .a = t,
                 .b = t,
                 .c = t,
                 .ld_a = (int64_t)1 << 31,
                 .ld_b = 1,
                 .ld_c = 1,
                 .batch = 1};
    for (int i = 0; i < 3; i++) {
        ps_stream *s = NULL;
        ck_ok(ps_stream_new(r.b, &s));
        if (i == 0)
            ps_op_attention(s, &a);
        else if (i == 1)
            ps_op_attention_backward(s, &b);
        else
            r.b->ops->gemm(s, &g); /* no tensor is as large */
        ck_assert_int_eq(ps_stream_sync(s), PS_UNIMPLEMENTED);
        ck_assert_ptr_nonnull(
            strstr(ps_error_message(), i < 2 ? "heads of 257, at most 256" : "rows of 2147483648"));
        ps_stream_free(&s);
    }
    close_rig(&r);
}
END_TEST

START_TEST(operations_make_nothing)
{
    rig r = open_rig(SEQUENCE_BYTES / sizeof(float));
    sequence q;
    int before = ps_shim_live();
    sequence_run(&q, r.s, r.t.buffer, 2);
    ck_assert_int_eq(ps_shim_live(), before);
    ck_ok(ps_stream_sync(r.s));
    close_rig(&r);
}
END_TEST

/* All there is to do with a device, ended early by the first call that fails. */
static ps_status use_device(ps_backend *b, ps_stream **streams, ps_buffer **buffer, ps_event **e,
                            void **host)
{
    static sequence q;
    ps_status st = ps_stream_new(b, &streams[0]);
    st = st ? st : ps_stream_new(b, &streams[1]);
    st = st ? st : ps_buffer_new(b, SEQUENCE_BYTES, buffer);
    st = st ? st : ps_event_new(b, e);
    st = st ? st : ps_host_new(b, SEQUENCE_BYTES, host);
    if (st)
        return st;
    sequence_run(&q, streams[0], *buffer, 1);
    ps_event_record(streams[0], *e);
    ps_event_wait(streams[1], *e);
    ps_tensor first = ps_tensor_1d(*buffer, 0, PS_DTYPE_F32, 64);
    ps_copy_to_host_async(streams[1], *host, first, ps_tensor_bytes(first));
    st = ps_event_sync(b, *e);
    st = st ? st : ps_copy_to_host(streams[0], *host, first, ps_tensor_bytes(first));
    return st ? st : ps_stream_sync(streams[1]);
}

static ps_status use_all(void)
{
    ps_backend *b;
    ps_status st = open_cuda((ps_backend_options){0}, &b);
    if (st)
        return st;
    ps_stream *streams[2] = {NULL, NULL};
    ps_buffer *buffer = NULL;
    ps_event *e = NULL;
    void *host = NULL;
    st = use_device(b, streams, &buffer, &e, &host);
    ps_error error;
    ps_error_save(&error, st);
    ps_event_free(b, &e);
    ps_host_free(b, &host);
    ps_buffer_free(b, &buffer);
    ps_stream_free(&streams[0]);
    ps_stream_free(&streams[1]);
    ps_backend_close(&b);
    return st ? ps_error_raise(&error) : PS_OK;
}

/* The k-th call fails, for every k; kernels, which are most of the time, run for some of them. What
 * fails while things are released is nobody's loss. */
START_TEST(every_call_may_fail_and_nothing_is_left)
{
    unsigned k = 1, told = 0;
    bool failed;
    do {
        ps_shim_idle(k % 16);
        ps_shim_fail_call(k++);
        ps_status st = use_all();
        failed = ps_shim_call_failed();
        ck_assert_msg(ps_shim_live() == 0, "call %u: %d objects are left", k - 1, ps_shim_live());
        ck_assert(failed || st == PS_OK);
        if (st) {
            ck_assert_msg(strncmp(ps_error_message(), "cuda: ", 6) == 0, "%s", ps_error_message());
            ck_assert_int_ne(st, PS_UNIMPLEMENTED);
            told++;
        }
    } while (failed);
    ps_shim_idle(false);
    ck_assert_uint_gt(told, 200);
    ck_assert_uint_lt(k - told, 12); /* the others were releases, and the last run */
}
END_TEST

static const ps_check_case cases[] = {
    {&a_device_says_what_it_is},
    {&a_device_that_is_not_there_is_refused},
    {&tf32_is_for_those_who_ask},
    {&a_copy_to_the_host_is_there_when_an_event_after_it_is},
    {&events_order_two_streams},
    {&the_first_failure_stays_with_its_stream},
    {&memory_that_is_not_there_is_an_error_and_blames_nobody_else},
    {&what_the_kernels_cannot_do_is_refused},
    {&operations_make_nothing},
    {&every_call_may_fail_and_nothing_is_left, 60},
    {NULL},
};

int main(void)
{
    return ps_check_main("cuda/backend", cases);
}
