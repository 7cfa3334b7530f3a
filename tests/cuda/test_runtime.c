/* What the toolkit's functions promise, and no more than that: what was not waited for has not
 * happened, memory belongs to one side, errors stay, everything may fail. */
#include "tests/cuda/kernels.h"
#include "tests/cuda/planted.h"
#include "tests/cuda/rig.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <string.h>

enum { N = PLANTED_N };

static float x[N], got[N];
static const size_t bytes = sizeof x;

static void begin(void)
{
    for (int i = 0; i < N; i++)
        x[i] = (float)i;
    ps_shim_keep_findings();
}

static cudaStream_t new_stream(unsigned flags)
{
    cudaStream_t s = NULL;
    ck_assert_int_eq(cudaStreamCreateWithFlags(&s, flags), cudaSuccess);
    return s;
}

static float *pinned(void)
{
    void *memory = NULL;
    ck_assert_int_eq(cudaMallocHost(&memory, bytes), cudaSuccess);
    return memory;
}

START_TEST(a_pinned_copy_that_is_read_before_it_is_waited_for_holds_garbage)
{
    begin();
    cudaStream_t s = new_stream(cudaStreamNonBlocking);
    float *in = rig_device(x, bytes), *host = pinned();
    memset(host, 0, bytes);
    ck_assert_int_eq(cudaMemcpyAsync(host, in, bytes, cudaMemcpyDeviceToHost, s), cudaSuccess);
    ck_assert(isnan(host[1]));
    ck_assert_int_eq(cudaStreamSynchronize(s), cudaSuccess);
    ck_assert_mem_eq(host, x, bytes);
}
END_TEST

START_TEST(a_pinned_source_that_is_changed_too_early_arrives_changed)
{
    begin();
    cudaStream_t s = new_stream(cudaStreamNonBlocking);
    float *out = rig_device(NULL, bytes), *host = pinned();
    memcpy(host, x, bytes);
    ck_assert_int_eq(cudaMemcpyAsync(out, host, bytes, cudaMemcpyHostToDevice, s), cudaSuccess);
    host[1] = 77;
    ck_assert_int_eq(cudaStreamSynchronize(s), cudaSuccess);
    rig_to_host(got, out, bytes);
    ck_assert_float_eq(got[1], 77);
}
END_TEST

START_TEST(a_pageable_source_is_taken_at_once)
{
    begin();
    cudaStream_t s = new_stream(cudaStreamNonBlocking);
    float *out = rig_device(NULL, bytes);
    ck_assert_int_eq(cudaMemcpyAsync(out, x, bytes, cudaMemcpyHostToDevice, s), cudaSuccess);
    x[1] = 77;
    ck_assert_int_eq(cudaStreamSynchronize(s), cudaSuccess);
    rig_to_host(got, out, bytes);
    ck_assert_float_eq(got[1], 1);
}
END_TEST

START_TEST(a_stream_that_does_not_wait_for_another_reads_garbage)
{
    begin();
    cudaStream_t first = new_stream(cudaStreamNonBlocking),
                 next = new_stream(cudaStreamNonBlocking);
    float *in = rig_device(x, bytes), *middle = rig_device(NULL, bytes),
          *out = rig_device(NULL, bytes);
    ck_assert_int_eq(cudaMemset(middle, 0xff, bytes), cudaSuccess);
    ck_assert_int_eq(planted_copy(middle, in, first), cudaSuccess);
    ck_assert_int_eq(planted_copy(out, middle, next), cudaSuccess);
    ck_assert_int_eq(cudaStreamSynchronize(next), cudaSuccess);
    rig_to_host(got, out, bytes);
    ck_assert(isnan(got[1]));

    cudaEvent_t done = NULL;
    ck_assert_int_eq(cudaEventCreateWithFlags(&done, cudaEventDisableTiming), cudaSuccess);
    ck_assert_int_eq(planted_copy(middle, in, first), cudaSuccess);
    ck_assert_int_eq(cudaEventRecord(done, first), cudaSuccess);
    ck_assert_int_eq(cudaStreamWaitEvent(next, done, 0), cudaSuccess);
    ck_assert_int_eq(planted_copy(out, middle, next), cudaSuccess);
    ck_assert_int_eq(cudaStreamSynchronize(next), cudaSuccess);
    rig_to_host(got, out, bytes);
    ck_assert_mem_eq(got, x, bytes);
    ck_assert_int_eq(cudaEventDestroy(done), cudaSuccess);
}
END_TEST

START_TEST(the_default_stream_and_blocking_ones_take_turns)
{
    begin();
    cudaStream_t blocking = new_stream(cudaStreamDefault),
                 other = new_stream(cudaStreamNonBlocking);
    float *in = rig_device(x, bytes), *middle = rig_device(NULL, bytes),
          *out = rig_device(NULL, bytes);
    ck_assert_int_eq(planted_copy(middle, in, blocking), cudaSuccess);
    ck_assert_int_eq(planted_copy(out, middle, NULL), cudaSuccess);
    rig_to_host(got, out, bytes);
    ck_assert_mem_eq(got, x, bytes);

    ck_assert_int_eq(planted_copy(middle, out, other), cudaSuccess);
    ck_assert_int_eq(cudaMemset(out, 0, bytes), cudaSuccess); /* does not wait for other */
    ck_assert_int_eq(cudaStreamSynchronize(other), cudaSuccess);
    rig_to_host(got, middle, bytes);
    ck_assert_float_eq(got[1], 0);
}
END_TEST

START_TEST(events_are_asked_and_timed)
{
    begin();
    cudaStream_t s = new_stream(cudaStreamNonBlocking);
    cudaEvent_t start = NULL, end = NULL;
    float *in = rig_device(x, bytes), *out = rig_device(NULL, bytes), ms = -1;
    ck_assert_int_eq(cudaEventCreate(&start), cudaSuccess);
    ck_assert_int_eq(cudaEventCreate(&end), cudaSuccess);
    ck_assert_int_eq(cudaEventQuery(end), cudaSuccess); /* never recorded */
    ck_assert_int_eq(cudaEventRecord(start, s), cudaSuccess);
    ck_assert_int_eq(planted_copy(out, in, s), cudaSuccess);
    ck_assert_int_eq(cudaEventRecord(end, s), cudaSuccess);
    ck_assert_int_eq(cudaEventElapsedTime(&ms, start, end), cudaErrorNotReady);
    int asked = 0;
    while (cudaEventQuery(end) == cudaErrorNotReady)
        asked++;
    ck_assert_int_eq(asked, 3);
    ck_assert_int_eq(cudaEventElapsedTime(&ms, start, end), cudaSuccess);
    ck_assert(ms >= 0 && ms < 10000);
    ck_assert_int_eq(cudaStreamQuery(s), cudaSuccess);
    ck_assert_int_eq(cudaGetLastError(), cudaSuccess);
    ck_assert_int_eq(cudaEventDestroy(start), cudaSuccess);
    ck_assert_int_eq(cudaEventDestroy(end), cudaSuccess);
}
END_TEST

static void note_cb(void *context)
{
    *(int *)context += 1;
}

static void call_cb(void *context)
{
    *(cudaError_t *)context = cudaDeviceSynchronize();
}

START_TEST(a_host_function_may_call_nothing)
{
    begin();
    cudaError_t code = cudaSuccess;
    ck_assert_int_eq(cudaLaunchHostFunc(NULL, call_cb, &code), cudaSuccess);
    ck_assert_int_eq(cudaDeviceSynchronize(), cudaSuccess);
    ck_assert_int_eq(code, cudaErrorNotPermitted);
}
END_TEST

START_TEST(a_host_function_runs_when_its_stream_gets_there)
{
    begin();
    cudaStream_t s = new_stream(cudaStreamNonBlocking);
    int called = 0;
    ck_assert_int_eq(cudaLaunchHostFunc(s, note_cb, &called), cudaSuccess);
    ck_assert_int_eq(called, 0);
    ck_assert_int_eq(cudaStreamSynchronize(s), cudaSuccess);
    ck_assert_int_eq(called, 1);
}
END_TEST

START_TEST(the_host_may_not_touch_device_memory)
{
    begin();
    float *in = rig_device(x, bytes);
    volatile float *seen = in;
    ck_assert_float_eq(seen[3], 3); /* kept: it goes on */
    rig_found("the host reads device memory 1 of 256 bytes, at 12");
    ps_shim_reset();
    ps_shim_keep_findings();
    ck_assert_int_eq(cudaDeviceSynchronize(), cudaSuccess);
    seen[2] = 1;
    rig_found("the host writes device memory 1 of 256 bytes, at 8");
}
END_TEST

START_TEST(a_host_function_may_not_either)
{
    begin();
    cudaStream_t s = new_stream(cudaStreamNonBlocking);
    int zero = 0, *count = rig_device(&zero, sizeof zero);
    ck_assert_int_eq(cudaLaunchHostFunc(s, note_cb, count), cudaSuccess);
    ck_assert_int_eq(cudaStreamSynchronize(s), cudaSuccess);
    rig_found("the host ");
    rig_found("device memory 1 of 4 bytes, at 0");
}
END_TEST

START_TEST(copies_know_their_sides_and_ends)
{
    begin();
    float *in = rig_device(x, bytes), *out = rig_device(NULL, bytes);
    ck_assert_int_eq(cudaMemcpy(out, x, bytes, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
    rig_found("a copy's source is host memory, the kind says otherwise");
    ps_shim_reset();
    ps_shim_keep_findings();
    ck_assert_int_eq(cudaMemcpy(out + 1, in, bytes, cudaMemcpyDeviceToDevice),
                     cudaErrorInvalidValue);
    rig_found("a copy's destination: 256 bytes from ");
    rig_found("go out of bounds: device memory 2 of 256 bytes, 0 past its end");
    ck_assert_int_eq(cudaGetLastError(), cudaErrorInvalidValue);
    ck_assert_int_eq(cudaGetLastError(), cudaSuccess);
}
END_TEST

START_TEST(rows_are_copied_by_their_pitch)
{
    begin();
    float *out = rig_device(NULL, bytes);
    ck_assert_int_eq(cudaMemset(out, 0, bytes), cudaSuccess);
    /* two floats of every four into columns 1 and 2 of rows of four */
    ck_assert_int_eq(cudaMemcpy2D(out + 1, 16, x, 16, 8, 16, cudaMemcpyHostToDevice), cudaSuccess);
    rig_to_host(got, out, bytes);
    for (int i = 0; i < N; i++)
        ck_assert_float_eq(got[i], i % 4 == 1 || i % 4 == 2 ? (float)(i - 1) : 0);
}
END_TEST

START_TEST(launches_that_no_device_takes_are_refused)
{
    begin();
    float *in = rig_device(x, bytes), *out = rig_device(NULL, bytes);
    ck_assert_int_eq(run_shape(NULL, 0, 1, 0), cudaErrorInvalidConfiguration);
    ck_assert_int_eq(run_shape(NULL, 1, 1025, 0), cudaErrorInvalidConfiguration);
    ck_assert_int_eq(run_shape(NULL, 1, 1, (48 << 10) + 1), cudaErrorInvalidValue);
    ck_assert_int_eq(cudaPeekAtLastError(), cudaErrorInvalidValue);
    ck_assert_int_eq(cudaGetLastError(), cudaErrorInvalidValue);
    ck_assert_int_eq(allow_shape(100 << 10), cudaErrorInvalidValue);
    ck_assert_int_eq(allow_shape(64 << 10), cudaSuccess);
    ck_assert_int_eq(run_shape(NULL, 1, 1, (48 << 10) + 1), cudaSuccess);
    ck_assert_int_eq(planted_copy(out, in, NULL), cudaSuccess);
    ck_assert_int_eq(cudaDeviceSynchronize(), cudaSuccess);
    ck_assert_str_eq(ps_shim_finding(), "");
}
END_TEST

START_TEST(memory_has_an_end)
{
    begin();
    ps_shim_set_memory(1 << 20);
    void *most = NULL, *more = &most;
    size_t left = 0, total = 0;
    ck_assert_int_eq(cudaMalloc(&most, (1 << 20) - 256), cudaSuccess);
    ck_assert_uint_eq((uintptr_t)most % 256, 0);
    ck_assert_int_eq(cudaMemGetInfo(&left, &total), cudaSuccess);
    ck_assert_uint_eq(left, 256);
    ck_assert_uint_eq(total, 1 << 20);
    ck_assert_int_eq(cudaMalloc(&more, 257), cudaErrorMemoryAllocation);
    ck_assert_ptr_null(more);
    ck_assert_int_eq(cudaFree(most), cudaSuccess);
    ck_assert_int_eq(cudaMalloc(&more, 1 << 20), cudaSuccess);
    ck_assert_int_eq(cudaFree(more), cudaSuccess);
    ck_assert_int_eq(cudaFree(more), cudaErrorInvalidValue);
}
END_TEST

/* Makes and releases some of everything; PS_OK or the first failure, after which all is released.
 */
static cudaError_t some_work(void)
{
    cudaStream_t s = NULL;
    cudaEvent_t e = NULL;
    float *memory = NULL, *host = NULL;
    cudaError_t code = cudaStreamCreate(&s);
    if (!code)
        code = cudaEventCreate(&e);
    if (!code)
        code = cudaMalloc((void **)&memory, bytes);
    if (!code)
        code = cudaMallocHost((void **)&host, bytes);
    if (!code)
        code = cudaMemsetAsync(memory, 0, bytes, s);
    if (!code)
        code = planted_copy(memory, memory, s);
    if (!code)
        code = cudaStreamSynchronize(s);
    if (e)
        ck_assert_int_eq(cudaEventDestroy(e), cudaSuccess);
    if (s)
        ck_assert_int_eq(cudaStreamDestroy(s), cudaSuccess);
    ck_assert_int_eq(cudaFree(memory), cudaSuccess);
    ck_assert_int_eq(cudaFreeHost(host), cudaSuccess);
    return code;
}

START_TEST(every_call_can_be_made_to_fail)
{
    begin();
    unsigned k = 1;
    for (;; k++) {
        ps_shim_fail_call(k);
        cudaError_t code = some_work();
        ck_assert_int_eq(ps_shim_live(), 0);
        if (!ps_shim_call_failed()) {
            ck_assert_int_eq(code, cudaSuccess);
            break;
        }
        ck_assert_int_eq(code, k <= 4 ? cudaErrorMemoryAllocation : cudaErrorLaunchFailure);
        (void)cudaGetLastError();
    }
    ck_assert_uint_eq(k, 8);
}
END_TEST

START_TEST(a_device_says_what_it_is)
{
    begin();
    int n = 0;
    struct cudaDeviceProp p;
    ck_assert_int_eq(cudaGetDeviceCount(&n), cudaSuccess);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(cudaGetDeviceProperties(&p, 0), cudaSuccess);
    ck_assert_int_eq(p.warpSize, 32);
    ck_assert_uint_eq(p.totalGlobalMem, 8ull << 30);
    ck_assert_int_eq(cudaSetDevice(1), cudaErrorInvalidDevice);
    ps_shim_set_devices(0);
    ck_assert_int_eq(cudaGetDeviceCount(&n), cudaErrorNoDevice);
    ck_assert_str_eq(cudaGetErrorName(cudaErrorNoDevice), "cudaErrorNoDevice");
    ck_assert_str_eq(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
}
END_TEST

static const ps_check_case cases[] = {
    {&a_pinned_copy_that_is_read_before_it_is_waited_for_holds_garbage},
    {&a_pinned_source_that_is_changed_too_early_arrives_changed},
    {&a_pageable_source_is_taken_at_once},
    {&a_stream_that_does_not_wait_for_another_reads_garbage},
    {&the_default_stream_and_blocking_ones_take_turns},
    {&events_are_asked_and_timed},
    {&a_host_function_runs_when_its_stream_gets_there},
    {&the_host_may_not_touch_device_memory},
    {&a_host_function_may_not_either},
    {&a_host_function_may_call_nothing},
    {&copies_know_their_sides_and_ends},
    {&rows_are_copied_by_their_pitch},
    {&launches_that_no_device_takes_are_refused},
    {&memory_has_an_end},
    {&every_call_can_be_made_to_fail},
    {&a_device_says_what_it_is},
    {NULL},
};

int main(void)
{
    return ps_check_main("cuda/runtime", cases);
}
