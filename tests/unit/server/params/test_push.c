#include "server/params/push.h"

#include "common/codec/codec.h"
#include "server/params/ledger.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"

#include <math.h>

static float by_index(void *user, uint64_t index)
{
    return (float)index * 0.5f;
}

START_TEST(a_push_is_applied_to_every_element_whatever_the_blocks)
{
    for (uint32_t k = 1; k <= 4; k++) {
        test_params p;
        test_params_init(&p, 13, 7);
        p.config.column_blocks = k;
        p.config.block_elements = 5;
        ps_param_store *store;
        ck_ok(ps_param_store_create(&p.config, &store));
        float *before = test_params_read(store, 0);
        ps_push *push;
        ck_ok(test_params_begin(store, 1, &push));
        ck_ok(test_params_add(store, push, 0, by_index, NULL));
        ck_assert_uint_eq(ps_push_bytes(push), 13 * 7 * 4);
        ps_push_reply reply;
        ck_ok(ps_push_commit(&push, &reply, NULL));
        ck_assert_ptr_null(push);
        ck_assert_uint_eq(reply.version, 1);
        ck_assert(!reply.duplicate);
        float *after = test_params_read(store, 0);
        for (int i = 0; i < 13 * 7; i++)
            ck_assert_float_eq(after[i], before[i] - (float)i * 0.5f);
        free(before);
        free(after);
        ps_param_store_unref(&store);
    }
}
END_TEST

static ps_param_store *small_store(void)
{
    test_params p;
    test_params_init(&p, 4, 6);
    p.config.block_elements = 8;
    p.config.host.push_bytes = 4096;
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    return store;
}

static unsigned released;

static void count_release(void *user)
{
    released++;
}

/* One chunk of a push of its own, which is committed when the chunk is taken. */
static ps_status one_chunk(ps_param_store *store, ps_push_chunk_header at, const float *values,
                           size_t bytes)
{
    static uint64_t sequence;
    ps_push *push;
    ck_ok(test_params_begin(store, ++sequence, &push));
    released = 0;
    ps_status st =
        ps_push_chunk(push, &at, ps_slice_of(values, bytes), (ps_push_owner){count_release, NULL});
    ps_push_reply reply;
    if (st)
        ps_push_abort(&push);
    else
        st = ps_push_commit(&push, &reply, NULL);
    ck_assert_uint_eq(released, 1);
    return st;
}

START_TEST(bad_chunks_are_refused_by_name_and_change_nothing)
{
    ps_param_store *store = small_store();
    float *before = test_params_read(store, 0);
    const float zero[16] = {0}, ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    const struct {
        ps_push_chunk_header at;
        const float *values;
        size_t bytes;
        ps_status want;
        const char *says;
    } cases[] = {
        {{.tensor = 2, .count = 1}, zero, 4, PS_NOT_FOUND, "tensor 2"},
        {{.shard = 1, .count = 1}, zero, 4, PS_NOT_FOUND, "tensor w: no shard 1"},
        {{.count = 0}, zero, 0, PS_INVALID_ARGUMENT, "tensor w: a chunk of no elements"},
        {{.offset = 24, .count = 1}, zero, 4, PS_INVALID_ARGUMENT, "it has 24"},
        {{.offset = UINT64_MAX, .count = 2}, zero, 8, PS_INVALID_ARGUMENT, "it has 24"},
        {{.offset = 23, .count = 2}, zero, 8, PS_INVALID_ARGUMENT, "it has 24"},
        {{.offset = 0, .count = UINT32_MAX}, zero, 8, PS_INVALID_ARGUMENT, "it has 24"},
        {{.offset = 7, .count = 2}, zero, 8, PS_INVALID_ARGUMENT, "crosses the border"},
        {{.count = 4}, ones, 12, PS_INVALID_ARGUMENT, "a payload of 12 bytes"},
        {{.count = 4}, ones, 17, PS_INVALID_ARGUMENT, "a payload of 17 bytes"},
        {{.count = 4, .codec = 99}, ones, 16, PS_INVALID_ARGUMENT, "unknown codec 99"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(one_chunk(store, cases[i].at, cases[i].values, cases[i].bytes),
                         cases[i].want);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), cases[i].says));
    }
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++) {
        for (uint32_t at = 0; at < 8; at++) {
            float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
            values[at] = bad[i];
            ck_assert_int_eq(one_chunk(store, (ps_push_chunk_header){.count = 8}, values, 32),
                             PS_INVALID_ARGUMENT);
            ck_assert_ptr_nonnull(strstr(ps_error_message(), "tensor w: NaN or infinity"));
        }
    }
    ck_assert_uint_eq(ps_param_store_version(store), 0);
    float *after = test_params_read(store, 0);
    ck_assert_mem_eq(before, after, 24 * sizeof *before);
    ck_ok(one_chunk(store, (ps_push_chunk_header){.count = 8}, ones, 32));
    ck_assert_uint_eq(ps_param_store_version(store), 1);
    free(before);
    free(after);
    ps_param_store_unref(&store);
}
END_TEST

/* All codecs in one push, and two chunks in a block: what is applied is what each decodes to. */
START_TEST(chunks_are_decoded_as_their_codec_says)
{
    ps_param_store *store = small_store();
    float *before = test_params_read(store, 0);
    uint8_t bytes[3][40];
    float want[12], state[4] = {0};
    ps_push *push;
    ck_ok(test_params_begin(store, 1000, &push));
    for (uint32_t c = 0; c < 3; c++) {
        const float values[4] = {0.1f + (float)c, -0.7f, 1.3f, 1e-3f};
        const ps_codec *codec = ps_codec_by_number(c + 1);
        ps_slice payload = ps_slice_of(bytes[c] + 1, codec->encode(state, values, 4, bytes[c] + 1));
        codec->decode(payload, 4, want + 4 * c);
        const ps_push_chunk_header at = {.offset = 4 * c, .count = 4, .codec = c + 1};
        ck_ok(ps_push_chunk(push, &at, payload, (ps_push_owner){0}));
    }
    ps_push_reply reply;
    ck_ok(ps_push_commit(&push, &reply, NULL));
    float *after = test_params_read(store, 0);
    for (int i = 0; i < 24; i++)
        ck_assert_float_eq(after[i], i < 12 ? before[i] - want[i] : before[i]);
    ck_assert_float_ne(want[4], 1.1f); /* it was rounded */
    free(before);
    free(after);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(encoded_numbers_that_are_not_finite_are_refused)
{
    ps_param_store *store = small_store();
    const uint16_t bf16[4] = {0x3f80, 0xff80, 0x3f80, 0x3f80};
    const struct {
        float scale;
        int8_t codes[4];
    } int8 = {3e38f, {1, 2, 3, 127}};
    ck_assert_int_eq(one_chunk(store, (ps_push_chunk_header){.count = 4, .codec = 2},
                               (const float *)(const void *)bf16, 8),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "tensor w: NaN or infinity"));
    ck_assert_int_eq(
        one_chunk(store, (ps_push_chunk_header){.count = 4, .codec = 3}, &int8.scale, sizeof int8),
        PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "tensor w: NaN or infinity"));
    ck_assert_int_eq(one_chunk(store, (ps_push_chunk_header){.count = 4, .codec = 2},
                               (const float *)(const void *)bf16, 7),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "4 elements of bf16 are 8"));
    ck_assert_uint_eq(ps_param_store_version(store), 0);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(the_largest_finite_numbers_pass)
{
    ps_param_store *store = small_store();
    const float edge[8] = {3.4e38f, -3.4e38f, 1e-45f, 0, -0.0f, 1, 2, 3};
    ck_ok(one_chunk(store, (ps_push_chunk_header){.count = 8}, edge, 32));
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(a_push_is_applied_as_a_whole_or_not_at_all)
{
    ps_param_store *store = small_store();
    float *before = test_params_read(store, 0);
    const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    ps_push *push;
    ps_push_owner owner = {count_release, NULL};
    released = 0;
    ck_ok(test_params_begin(store, 1, &push));
    ps_push_chunk_header good = {.offset = 8, .count = 8};
    ck_ok(ps_push_chunk(push, &good, ps_slice_of(ones, 32), owner));
    ps_push_chunk_header bad = {.offset = 0, .count = 9};
    ck_assert_int_eq(ps_push_chunk(push, &bad, ps_slice_of(ones, 32), owner), PS_INVALID_ARGUMENT);
    ck_assert_uint_eq(released, 1); /* the bad one; the good one is still kept */
    ps_push_abort(&push);
    ck_assert_uint_eq(released, 2);
    float *after = test_params_read(store, 0);
    ck_assert_mem_eq(before, after, 24 * sizeof *before);
    free(before);
    free(after);
    ps_param_store_unref(&store);
}
END_TEST

/* Chunks [a, a+n) and [b, b+m), in this order. */
static ps_status two_chunks(ps_param_store *store, uint64_t sequence, uint32_t a, uint32_t n,
                            uint32_t b, uint32_t m)
{
    const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    ps_push *push;
    ck_ok(test_params_begin(store, sequence, &push));
    ps_push_chunk_header first = {.offset = a, .count = n}, second = {.offset = b, .count = m};
    ps_push_owner owner = {NULL, NULL};
    ck_ok(ps_push_chunk(push, &first, ps_slice_of(ones, n * 4), owner));
    ck_ok(ps_push_chunk(push, &second, ps_slice_of(ones, m * 4), owner));
    ps_push_reply reply;
    return ps_push_commit(&push, &reply, NULL);
}

START_TEST(chunks_that_overlap_are_refused)
{
    ps_param_store *store = small_store();
    float *before = test_params_read(store, 0);
    ck_assert_int_eq(two_chunks(store, 1, 0, 4, 3, 2), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(two_chunks(store, 1, 3, 2, 0, 4), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(two_chunks(store, 1, 2, 1, 2, 1), PS_INVALID_ARGUMENT);
    ck_assert_uint_eq(ps_param_store_version(store), 0);
    /* side by side, in any order, is fine; the same sequence may still be used */
    ck_ok(two_chunks(store, 1, 12, 4, 1, 3));
    float *after = test_params_read(store, 0);
    for (int i = 0; i < 24; i++) {
        bool touched = (i >= 12 && i < 16) || (i >= 1 && i < 4);
        ck_assert_float_eq(after[i], touched ? before[i] - 1 : before[i]);
    }
    free(before);
    free(after);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(a_push_over_its_limit_is_refused)
{
    ps_param_store *store = small_store(); /* 4096 bytes */
    const float one = 1;
    ps_push *push;
    ck_ok(test_params_begin(store, 1, &push));
    ps_status st = PS_OK;
    unsigned chunks = 0;
    ps_push_chunk_header at = {.count = 1};
    while (!st && chunks < 4096) {
        st = ps_push_chunk(push, &at, ps_slice_of(&one, 4), (ps_push_owner){NULL, NULL});
        chunks++;
    }
    ck_assert_int_eq(st, PS_RESOURCE_EXHAUSTED);
    ck_assert_uint_le(chunks, 4096 / 64 + 1);
    ps_push_abort(&push);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(a_push_that_was_begun_before_the_job_ended_is_not_applied_after)
{
    ps_param_store *store = small_store();
    ps_push *push;
    ps_push_reply reply;
    ck_ok(test_params_begin(store, 1, &push));
    ck_ok(test_params_add(store, push, 0, by_index, NULL));
    ps_param_store_stop(store);
    ck_assert_int_eq(ps_push_commit(&push, &reply, NULL), PS_FAILED_PRECONDITION);
    ck_assert_ptr_null(push);
    ck_assert_uint_eq(ps_param_store_version(store), 0);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(an_empty_push_and_bad_headers_are_refused)
{
    ps_param_store *store = small_store();
    ps_push *push;
    ck_ok(test_params_begin(store, 1, &push));
    ps_push_reply reply;
    ck_assert_int_eq(ps_push_commit(&push, &reply, NULL), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(test_params_begin(store, 0, &push), PS_INVALID_ARGUMENT);
    const double weights[] = {-1, NAN, INFINITY, 1e300, 1e-320};
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        ps_push_header header = {.incarnation = 1, .sequence = 2, .weight = weights[i]};
        ck_assert_int_eq(ps_push_begin(store, "worker", &header, &push), PS_INVALID_ARGUMENT);
    }
    ps_param_store_stop(store);
    ck_assert_int_eq(test_params_begin(store, 3, &push), PS_FAILED_PRECONDITION);
    ps_param_stats stats;
    ps_param_store_stats(store, &stats);
    ck_assert_uint_eq(stats.pushes, 0);
    ck_assert_uint_ge(stats.refused, 5);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(a_repeated_push_gets_the_first_answer_and_changes_nothing)
{
    ps_param_store *store = small_store();
    ps_push_header header = {.incarnation = 1, .sequence = 1};
    ps_push_reply first, other, again;
    ck_ok(test_params_push(store, "a", &header, 1, &first));
    ck_ok(test_params_push(store, "b", &header, 1, &other));
    ck_assert_uint_eq(other.version, 2); /* another client's 1 is another push */
    ck_assert_uint_eq(other.staleness, 1);
    float *before = test_params_read(store, 0);
    ck_ok(test_params_push(store, "a", &header, 1, &again));
    ck_assert(again.duplicate);
    ck_assert_uint_eq(again.version, first.version);
    ck_assert_uint_eq(again.staleness, first.staleness);
    float *after = test_params_read(store, 0);
    ck_assert_mem_eq(before, after, 24 * sizeof *before);
    ck_assert_uint_eq(ps_param_store_version(store), 2);
    free(before);
    free(after);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(a_gradient_over_the_clip_norm_is_scaled_down_to_it)
{
    test_params p;
    test_params_init(&p, 1, 2);
    p.config.clip_norm = 1;
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    float *before = test_params_read(store, 0);
    const float g[2] = {3, -4};
    ck_ok(one_chunk(store, (ps_push_chunk_header){.count = 2}, g, 8));
    float *after = test_params_read(store, 0);
    ck_assert_float_eq_tol(after[0], before[0] - 0.6f, 1e-6f);
    ck_assert_float_eq_tol(after[1], before[1] + 0.8f, 1e-6f);
    const float small[2] = {0.3f, 0.4f};
    ck_ok(one_chunk(store, (ps_push_chunk_header){.count = 2}, small, 8));
    float *last = test_params_read(store, 0);
    ck_assert_float_eq(last[0], after[0] - 0.3f);
    free(before);
    free(after);
    free(last);
    ps_param_store_unref(&store);
}
END_TEST

static float one(void *user, uint64_t index)
{
    return 1;
}

/* What a worker pushes in a step is one step of the schedule, in however many pushes it comes: its
 * warm-up counts steps, what comes after goes by the rows. */
START_TEST(the_schedule_counts_steps_and_rows_and_not_their_pushes)
{
    test_params p;
    test_params_init(&p, 4, 6);
    p.config.schedule = (ps_schedule){.kind = PS_SCHEDULE_LINEAR, .warmup_steps = 2};
    p.config.rows = 60;
    p.config.epochs = 1;
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    ps_ledger_lease_begin(ps_param_store_ledger(store), 9, 0, (ps_row_span){0, 60});
    const float rates[] = {1.0f / 3, 2.0f / 3, 1, 0.75f, 0.5f, 0.25f};
    for (uint64_t step = 0; step < 6; step++)
        for (uint32_t tensor = 2; tensor-- > 0;) {
            float *before = test_params_read(store, tensor);
            ps_push *push;
            ps_push_reply reply;
            ps_push_header header = {.incarnation = 1,
                                     .sequence = 2 * step + 2 - tensor,
                                     .lease = 9,
                                     .rows = {10 * step, 10 * step + 10},
                                     .parts = 2};
            ck_ok(ps_push_begin(store, "worker", &header, &push));
            ck_ok(test_params_add(store, push, tensor, one, NULL));
            ck_ok(ps_push_commit(&push, &reply, NULL));
            float *after = test_params_read(store, tensor);
            ck_assert_float_eq_tol(before[0] - after[0], rates[step], 1e-5f);
            free(before);
            free(after);
        }
    ck_assert_uint_eq(ps_param_store_version(store), 12);
    ps_param_stats stats;
    ps_param_store_stats(store, &stats);
    ck_assert_uint_eq(stats.steps, 6);
    ps_param_store_unref(&store);
}
END_TEST

/* A worker that was lost in the middle of a step: whoever computes its rows again pushes all of the
 * gradient, and each block gets the rows once. */
START_TEST(blocks_that_have_the_rows_already_are_left_out)
{
    test_params p;
    test_params_init(&p, 4, 6);
    p.config.rows = 20;
    p.config.epochs = 1;
    ps_param_store *store;
    ps_push *push;
    ps_push_reply reply;
    ck_ok(ps_param_store_create(&p.config, &store));
    ps_ledger *ledger = ps_param_store_ledger(store);
    float *w = test_params_read(store, 0), *b = test_params_read(store, 1);
    ps_ledger_lease_begin(ledger, 1, 0, (ps_row_span){0, 20});
    ps_push_header header = {
        .incarnation = 1, .sequence = 1, .lease = 1, .rows = {0, 10}, .parts = 2};
    ck_ok(ps_push_begin(store, "a", &header, &push));
    ck_ok(test_params_add(store, push, 1, one, NULL));
    ck_ok(ps_push_commit(&push, &reply, NULL));
    ps_row_set left = {0};
    ck_assert(ps_ledger_lease_end(ledger, 1, false, &left));
    ck_assert_uint_eq(left.rows, 20);
    ps_row_set_free(&left);
    /* its second push comes too late */
    header.sequence = 2;
    ck_assert_int_eq(ps_push_begin(store, "a", &header, &push), PS_PERMISSION_DENIED);
    ps_ledger_lease_begin(ledger, 2, 0, (ps_row_span){0, 20});
    header = (ps_push_header){.incarnation = 1, .sequence = 1, .lease = 2, .rows = {0, 10}};
    ck_ok(test_params_push(store, "b", &header, 1, &reply));
    float *w2 = test_params_read(store, 0), *b2 = test_params_read(store, 1);
    for (int i = 0; i < 24; i++)
        ck_assert_float_eq(w2[i], w[i] - 1);
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(b2[i], b[i] - 1);
    uint64_t total;
    ck_assert_uint_eq(ps_ledger_rows_done(ledger, &total), 10);
    /* and rows that are in, in whatever portions, do not come in again */
    header = (ps_push_header){.incarnation = 1, .sequence = 2, .lease = 2, .rows = {5, 15}};
    ck_assert_int_eq(test_params_push(store, "b", &header, 1, &reply), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "in the parameters already"));
    free(w);
    free(b);
    free(w2);
    free(b2);
    ps_param_store_unref(&store);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_push_is_applied_to_every_element_whatever_the_blocks},
    {&bad_chunks_are_refused_by_name_and_change_nothing},
    {&chunks_are_decoded_as_their_codec_says},
    {&encoded_numbers_that_are_not_finite_are_refused},
    {&the_largest_finite_numbers_pass},
    {&a_push_is_applied_as_a_whole_or_not_at_all},
    {&chunks_that_overlap_are_refused},
    {&a_push_over_its_limit_is_refused},
    {&a_push_that_was_begun_before_the_job_ended_is_not_applied_after},
    {&an_empty_push_and_bad_headers_are_refused},
    {&a_repeated_push_gets_the_first_answer_and_changes_nothing},
    {&a_gradient_over_the_clip_norm_is_scaled_down_to_it},
    {&the_schedule_counts_steps_and_rows_and_not_their_pushes},
    {&blocks_that_have_the_rows_already_are_left_out},
    {0},
};

int main(void)
{
    return ps_check_main("params/push", cases);
}
