/* Every planted bug is found, in words that say what and where, and its right twin passes. What
 * only the checker can find is asserted where the kernels carry it; without it, garbage in the
 * result is what gives a bug away. */
#include "tests/cuda/planted.h"
#include "tests/cuda/rig.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = PLANTED_N };

/* x[i] = i, and room for what comes out */
static float x[2 * N], got[2 * N];
static float *in, *out;

static void begin(void)
{
    for (int i = 0; i < 2 * N; i++)
        x[i] = (float)i;
    in = rig_device(x, sizeof x);
    out = rig_device(NULL, sizeof got);
    ps_shim_keep_findings();
}

/* What has come of the last launch; kernels that a finding ended leave the sticky error. */
static cudaError_t end(cudaError_t launched)
{
    ck_assert_int_eq(launched, cudaSuccess);
    cudaError_t code = cudaDeviceSynchronize();
    if (code == cudaSuccess)
        rig_to_host(got, out, sizeof got);
    return code;
}

static void passes(cudaError_t launched)
{
    ck_assert_int_eq(end(launched), cudaSuccess);
    ck_assert_str_eq(ps_shim_finding(), "");
}

/* Without the checker the bug is let through, and garbage may be seen in the result. */
static void races(cudaError_t launched, const char *words)
{
    ck_assert_int_eq(end(launched), cudaSuccess);
    if (ps_shim_checked())
        rig_found(words);
    else
        ck_assert_str_eq(ps_shim_finding(), "");
}

static bool backwards(int n)
{
    for (int i = 0; i < n; i++)
        if (got[i] != x[i / N * N + N - 1 - i % N])
            return false;
    return true;
}

START_TEST(a_missing_barrier)
{
    begin();
    passes(planted_first_barrier(true, out, in));
    ck_assert(backwards(N));
    races(planted_first_barrier(false, out, in), "reads shared memory, which was never written");
    ck_assert(!backwards(N));
    if (ps_shim_checked())
        rig_found("is a barrier missing?");
}
END_TEST

START_TEST(a_missing_second_barrier)
{
    begin();
    passes(planted_second_barrier(true, out, in));
    ck_assert(backwards(2 * N));
    races(planted_second_barrier(false, out, in), "with no barrier in between");
    if (ps_shim_checked()) {
        rig_found("kernel second<false>, block (0,0,0), thread (");
        rig_found("(planted_barriers.cu:");
        rig_found("race: reads shared memory, which thread (");
    }
}
END_TEST

START_TEST(a_missing_warp_barrier)
{
    begin();
    passes(planted_warp_barrier(true, out, in));
    ck_assert_float_eq(got[3], 28);
    races(planted_warp_barrier(false, out, in), "is a barrier missing?");
}
END_TEST

START_TEST(threads_at_two_barriers)
{
    begin();
    passes(planted_two_barriers(true, out, in));
    ck_assert_int_eq(end(planted_two_barriers(false, out, in)), cudaSuccess);
    rig_found("all threads of a block must reach the same");
}
END_TEST

START_TEST(a_mask_that_names_lanes_which_have_ended)
{
    begin();
    passes(planted_mask(true, out, in));
    ck_assert_float_eq(got[2], 3);
    ck_assert_int_ne(end(planted_mask(false, out, in)), cudaSuccess);
    const char *found = ps_shim_finding(); /* which comes first depends on the order */
    ck_assert_msg(strstr(found, "has ended") || strstr(found, "wait for ever"), "%s", found);
}
END_TEST

START_TEST(a_write_out_of_bounds_meets_the_guard_page)
{
    begin();
    float *exact = rig_device(NULL, N * sizeof *exact);
    passes(planted_out_of_bounds(true, exact, N));
    cudaError_t code = end(planted_out_of_bounds(false, exact, N));
    ck_assert_int_eq(code, cudaErrorIllegalAddress);
    rig_found("writes out of bounds: device memory 3 of 256 bytes, 0 past its end");
    rig_found("thread (64,0,0)");
    ck_assert_int_eq(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
    void *more = NULL;
    ck_assert_int_eq(cudaMalloc(&more, 16), cudaErrorIllegalAddress);
    ck_assert_int_eq(cudaGetLastError(), cudaErrorIllegalAddress);
    ck_assert_int_eq(planted_out_of_bounds(true, exact, N), cudaErrorIllegalAddress);
}
END_TEST

START_TEST(a_write_out_of_bounds_meets_the_canary)
{
    begin();
    float *short_of_256 = rig_device(NULL, (N - 1) * sizeof *short_of_256);
    passes(planted_out_of_bounds(true, short_of_256, N - 1));
    (void)end(planted_out_of_bounds(false, short_of_256, N - 1));
    rig_found("out of bounds: device memory 3 of 252 bytes, 0 past its end");
}
END_TEST

START_TEST(a_read_out_of_bounds)
{
    begin();
    float *exact = rig_device(x, N * sizeof *exact);
    passes(planted_read_out_of_bounds(true, out, exact, N));
    ck_assert_int_eq(end(planted_read_out_of_bounds(false, out, exact, N)),
                     cudaErrorIllegalAddress);
    rig_found("reads out of bounds: device memory 3 of 256 bytes, 0 past its end");
}
END_TEST

START_TEST(memory_that_is_freed)
{
    begin();
    float *freed = rig_device(x, N * sizeof *freed);
    ck_assert_int_eq(cudaFree(freed), cudaSuccess);
    ck_assert_int_eq(end(planted_copy(out, freed, NULL)), cudaErrorIllegalAddress);
    rig_found("which is freed");
}
END_TEST

START_TEST(dynamic_shared_memory_out_of_bounds)
{
    begin();
    passes(planted_dynamic_out_of_bounds(true, out));
    ck_assert_int_eq(end(planted_dynamic_out_of_bounds(false, out)), cudaErrorIllegalAddress);
    rig_found("writes out of the bounds of shared memory");
}
END_TEST

START_TEST(a_static_shared_array_out_of_bounds)
{
    begin();
    passes(planted_static_out_of_bounds(true, out, N));
    if (!ps_shim_checked())
        return; /* its neighbour is read: nothing gives it away */
    (void)end(planted_static_out_of_bounds(false, out, N));
    rig_found("planted_bounds.cu");
    rig_found("index 64 of 'float [64]'");
}
END_TEST

START_TEST(a_sum_over_blocks_without_atomics)
{
    begin();
    ck_assert_int_eq(cudaMemset(out, 0, sizeof got), cudaSuccess);
    passes(planted_blocks(true, out, in));
    ck_assert_float_eq(got[0], N * (N - 1) / 2);
    races(planted_blocks(false, out, in), "of the same launch wrote: blocks have no order");
}
END_TEST

START_TEST(a_missing_fence)
{
    begin();
    unsigned zero = 0, *count = rig_device(&zero, sizeof zero);
    float *partial = rig_device(NULL, N * sizeof *partial);
    passes(planted_fence(true, out, partial, count, in));
    ck_assert_float_eq(got[0], N * (N - 1) / 2);
    races(planted_fence(false, out, partial, count, in), "blocks have no order");
}
END_TEST

START_TEST(shared_memory_that_was_never_written)
{
    begin();
    passes(planted_uninitialised(true, out, in));
    ck_assert_float_eq(got[0], N * (N - 1) / 2);
    races(planted_uninitialised(false, out, in), "reads shared memory, which was never written");
    ck_assert(isnan(got[0]));
}
END_TEST

START_TEST(device_memory_that_was_never_written)
{
    begin();
    float *garbage = rig_device(NULL, N * sizeof *garbage);
    races(planted_copy(out, garbage, NULL), "device memory 3 of 256 bytes, at ");
    ck_assert(isnan(got[0]));
    if (ps_shim_checked())
        rig_found("which was never written");
}
END_TEST

START_TEST(a_vector_that_is_not_aligned)
{
    begin();
    passes(planted_alignment(true, out, in));
    ck_assert_mem_eq(got, x, N * sizeof *x);
    if (!ps_shim_checked())
        return; /* the host may or may not fault, by the instruction that g++ takes */
    (void)end(planted_alignment(false, out, in));
    rig_found(
        "takes 16 bytes at once from an address that is no multiple of that: device memory 1");
}
END_TEST

START_TEST(a_kernel_that_reads_host_memory)
{
    begin();
    float *heap = malloc(sizeof x);
    ck_assert_ptr_nonnull(heap);
    memcpy(heap, x, sizeof x);
    races(planted_copy(out, heap, NULL), "reads host memory");
    free(heap);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_missing_barrier},
    {&a_missing_second_barrier},
    {&a_missing_warp_barrier},
    {&threads_at_two_barriers},
    {&a_mask_that_names_lanes_which_have_ended},
    {&a_write_out_of_bounds_meets_the_guard_page},
    {&a_write_out_of_bounds_meets_the_canary},
    {&a_read_out_of_bounds},
    {&memory_that_is_freed},
    {&dynamic_shared_memory_out_of_bounds},
    {&a_static_shared_array_out_of_bounds},
    {&a_sum_over_blocks_without_atomics},
    {&a_missing_fence},
    {&shared_memory_that_was_never_written},
    {&device_memory_that_was_never_written},
    {&a_vector_that_is_not_aligned},
    {&a_kernel_that_reads_host_memory},
    {NULL},
};

int main(void)
{
    return ps_check_main("cuda/planted", cases);
}
