/* staging: bytes cut at random into tensors of a device that does nothing before somebody waits, so
 * that a piece that is filled again too early shows; and the same into memory that is shared. */
#include "worker/job/staging.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/lib/check_main.h"
#include "tests/lib/fault.h"
#include "tests/lib/lazy_backend.h"

#include <string.h>

enum { TENSORS = 4 };
/* One follows the other at once, one lies apart, one is more than two pieces. */
static const size_t sizes[TENSORS] = {1024, 12, (2 * PS_STAGING_BYTES + 4096), 64};
static const size_t offsets[TENSORS] = {0, 1024, 2048, (2048 + 2 * PS_STAGING_BYTES + 4096)};

static struct {
    ps_backend *backend;
    ps_stream *stream;
    ps_buffer *memory;
    uint8_t *want;
    size_t bytes;
} t;

static void begin(bool lazy)
{
    if (lazy)
        ps_test_lazy_open(&t.backend);
    else
        ck_ok(ps_backend_open("cpu", &(ps_backend_options){.threads = 1}, &t.backend));
    t.bytes = offsets[TENSORS - 1] + sizes[TENSORS - 1];
    t.want = ps_alloc(t.bytes);
    ck_ok(ps_stream_new(t.backend, &t.stream));
    ck_ok(ps_buffer_new(t.backend, t.bytes, &t.memory));
    ps_copy_to_device(t.stream, ps_tensor_1d(t.memory, 0, PS_DTYPE_I8, (int64_t)t.bytes), t.want,
                      t.bytes);
    ck_ok(ps_stream_sync(t.stream));
}

static void end(void)
{
    ps_stream_free(&t.stream);
    ps_buffer_free(t.backend, &t.memory);
    ps_backend_close(&t.backend);
    ps_free(&t.want);
}

/* Pieces of at most `most` bytes, from memory that is overwritten at once. */
static ps_status write_all(ps_staging *staging, ps_rng *rng, size_t most)
{
    uint8_t *piece = ps_alloc(most);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < TENSORS; i++) {
        ps_tensor tensor =
            ps_tensor_1d(t.memory, offsets[i], PS_DTYPE_F32, (int64_t)(sizes[i] / sizeof(float)));
        for (size_t at = 0; !st && at < sizes[i];) {
            size_t n = 1 + ps_rng_below(rng, most);
            n = n < sizes[i] - at ? n : sizes[i] - at;
            for (size_t k = 0; k < n; k += sizeof(uint64_t)) {
                uint64_t bits = ps_rng_next(rng);
                memcpy(piece + k, &bits, n - k < sizeof bits ? n - k : sizeof bits);
            }
            memcpy(t.want + offsets[i] + at, piece, n);
            st = ps_staging_write(staging, tensor, at, piece, n);
            memset(piece, 0xEE, n);
            at += n;
        }
    }
    ps_free(&piece);
    return st;
}

START_TEST(what_is_written_is_on_the_device)
{
    static const size_t most[] = {3000, 1 << 20, 6 << 20};
    begin(_i % 2);
    ps_rng rng;
    ps_rng_seed(&rng, (uint64_t)_i);
    ps_staging *staging;
    ck_ok(ps_staging_open(t.stream, &staging));
    for (int twice = 0; twice < 2; twice++) {
        ck_ok(write_all(staging, &rng, most[_i / 2]));
        ck_ok(ps_staging_end(staging));
        uint8_t *got = ps_alloc(t.bytes);
        ps_tensor all = ps_tensor_1d(t.memory, 0, PS_DTYPE_I8, (int64_t)t.bytes);
        ck_ok(ps_copy_to_host(t.stream, got, all, t.bytes));
        ck_assert_int_eq(memcmp(got, t.want, t.bytes), 0);
        ps_free(&got);
    }
    ps_staging_close(&staging);
    end();
}
END_TEST

START_TEST(closing_waits_for_what_is_under_way)
{
    begin(true);
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    ps_staging *staging;
    ck_ok(ps_staging_open(t.stream, &staging));
    ck_ok(write_all(staging, &rng, 1 << 20));
    (void)ps_fail(PS_CANCELLED, "you said so");
    ps_staging_close(&staging); /* else the device reads what is freed */
    ck_assert_str_eq(ps_error_message(), "you said so");
    uint8_t got[1024];
    ps_tensor first = ps_tensor_1d(t.memory, 0, PS_DTYPE_I8, sizeof got);
    ck_ok(ps_copy_to_host(t.stream, got, first, sizeof got));
    ck_assert_int_eq(memcmp(got, t.want, sizeof got), 0);
    end();
}
END_TEST

START_TEST(a_lost_device_is_said)
{
    begin(true);
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    ps_staging *staging;
    ck_ok(ps_staging_open(t.stream, &staging));
    ps_test_lazy_lose_after(t.backend, 2);
    ps_status st = write_all(staging, &rng, 1 << 20);
    ck_assert_int_eq(st ? st : ps_staging_end(staging), PS_INTERNAL);
    ck_assert_str_eq(ps_error_message(), "the device was lost");
    ps_staging_close(&staging);
    end();
}
END_TEST

START_TEST(no_room_for_pieces_is_said)
{
    begin(true);
    ps_staging *staging = NULL;
    for (unsigned long nth = 1; nth <= 2; nth++) {
        fault_memory(nth);
        ck_assert_int_eq(ps_staging_open(t.stream, &staging), PS_NO_MEMORY);
        fault_memory(0);
    }
    ck_ok(ps_staging_open(t.stream, &staging));
    ps_staging_close(&staging);
    end();
}
END_TEST

static const ps_check_case tests[] = {{&what_is_written_is_on_the_device, .repeat = 6},
                                      {&closing_waits_for_what_is_under_way},
                                      {&a_lost_device_is_said},
                                      {&no_room_for_pieces_is_said},
                                      {0}};

int main(void)
{
    return ps_check_main("worker/job/staging", tests);
}
