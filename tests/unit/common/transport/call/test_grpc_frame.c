#include "common/transport/call/grpc_frame.h"

#include "tests/lib/check_main.h"

#include <malloc.h>

static ps_budget *budget;
static size_t limit = 1000;

static ps_status make(void *user, size_t len, ps_message **out)
{
    (void)user;
    if (len > limit)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "over the limit");
    return ps_message_create(budget, NULL, len, NULL, NULL, out);
}

/* prefix and body of a message of n bytes, each its index */
static size_t put(uint8_t *out, size_t n)
{
    out[0] = 0;
    ps_put_u32be(out + 1, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        out[5 + i] = (uint8_t)i;
    return n + 5;
}

START_TEST(messages_come_out_whole_however_they_are_cut)
{
    static const size_t sizes[] = {0, 1, 5, 300, 0, 999, 64};
    uint8_t bytes[2000];
    size_t len = 0;
    ps_budget_create(1 << 20, &budget);
    for (size_t i = 0; i < 7; i++)
        len += put(bytes + len, sizes[i]);
    for (size_t cut = 1; cut < 600; cut += cut < 12 ? 1 : 97) {
        ps_grpc_frame frame = {0};
        size_t n = 0;
        for (size_t at = 0; at < len; at += cut) {
            ps_slice in = ps_slice_of(bytes + at, len - at < cut ? len - at : cut);
            while (in.len > 0) {
                ps_message *message = NULL;
                ck_ok(ps_grpc_frame_feed(&frame, &in, make, NULL, &message));
                if (!message)
                    continue;
                ps_slice got = ps_message_bytes(message);
                ck_assert_uint_eq(got.len, sizes[n++]);
                for (size_t i = 0; i < got.len; i++)
                    ck_assert_uint_eq(got.data[i], (uint8_t)i);
                ps_message_release(&message);
            }
        }
        ck_assert_uint_eq(n, 7);
        ck_assert(!ps_grpc_frame_is_partial(&frame));
    }
    ck_assert_uint_eq(ps_budget_used(budget), 0);
    ps_budget_unref(&budget);
}
END_TEST

START_TEST(bytes_that_were_read_into_their_place_are_not_moved)
{
    uint8_t bytes[105];
    put(bytes, 100);
    ps_budget_create(1 << 20, &budget);
    ps_grpc_frame frame = {0};
    ps_message *message = NULL;
    ps_slice in = ps_slice_of(bytes, 6);
    ck_ok(ps_grpc_frame_feed(&frame, &in, make, NULL, &message));
    ps_slice space = ps_grpc_frame_space(&frame);
    ck_assert_uint_eq(space.len, 99);
    memcpy((uint8_t *)(uintptr_t)space.data, bytes + 6, 99);
    in = space;
    ck_ok(ps_grpc_frame_feed(&frame, &in, make, NULL, &message));
    ck_assert_ptr_nonnull(message);
    ck_assert_int_eq(memcmp(ps_message_bytes(message).data, bytes + 5, 100), 0);
    ps_message_release(&message);
    ps_budget_unref(&budget);
}
END_TEST

static ps_status feed_prefix(const uint8_t prefix[5])
{
    ps_grpc_frame frame = {0};
    ps_message *message = NULL;
    ps_slice in = ps_slice_of(prefix, 5);
    ps_status st = ps_grpc_frame_feed(&frame, &in, make, NULL, &message);
    ps_grpc_frame_clear(&frame);
    ps_message_release(&message);
    return st;
}

START_TEST(what_is_not_acceptable_is_refused_before_memory_is_taken)
{
    ps_budget_create(800, &budget);
    ck_assert_int_eq(feed_prefix((const uint8_t[]){1, 0, 0, 0, 4}), PS_UNIMPLEMENTED);
    ck_assert_int_eq(feed_prefix((const uint8_t[]){2, 0, 0, 0, 4}), PS_PROTOCOL);
    ck_assert_int_eq(feed_prefix((const uint8_t[]){0, 255, 255, 255, 255}), PS_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(feed_prefix((const uint8_t[]){0, 0, 0, 2, 88}), PS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(ps_budget_used(budget), 0);
    ck_ok(feed_prefix((const uint8_t[]){0, 0, 0, 1, 244})); /* 500 */
    ck_assert_uint_eq(ps_budget_used(budget), 0);           /* cleared */
    ps_budget_unref(&budget);
}
END_TEST

/* Judged by the allocator (which says 0 under a sanitizer). */
START_TEST(a_message_is_charged_at_least_what_it_takes)
{
    enum { N = 1000 };
    static ps_message *messages[N];
    static const size_t sizes[] = {0, 1, 20, 64, 1000, 40000};
    limit = 100000;
    ps_budget_create(N * limit, &budget);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t before = mallinfo2().uordblks;
        for (int i = 0; i < N; i++)
            ck_ok(make(NULL, sizes[k], &messages[i]));
        size_t takes = mallinfo2().uordblks - before;
        ck_assert_uint_ge(ps_budget_used(budget), takes);
        ck_assert_uint_ge(ps_budget_used(budget), N * (sizes[k] + 128));
        for (int i = 0; i < N; i++)
            ps_message_release(&messages[i]);
        ck_assert_uint_eq(ps_budget_used(budget), 0);
    }
    ps_budget_unref(&budget);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_message_is_charged_at_least_what_it_takes},
    {&messages_come_out_whole_however_they_are_cut},
    {&bytes_that_were_read_into_their_place_are_not_moved},
    {&what_is_not_acceptable_is_refused_before_memory_is_taken},
    {0},
};

int main(void)
{
    return ps_check_main("transport/grpc_frame", cases);
}
