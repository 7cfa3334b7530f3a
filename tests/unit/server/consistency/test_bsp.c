#include "server/params/param_store.h"

#include "server/params/ledger.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"

#include <math.h>

static ps_param_store *store;

static void make_store(void)
{
    test_params p;
    test_params_init(&p, 4, 6);
    p.config.block_elements = 8;
    p.config.controller = test_controller("bsp");
    ck_ok(ps_param_store_create(&p.config, &store));
}

static uint64_t join(const char *name)
{
    uint64_t first = 0;
    ck_ok(ps_param_store_join(store, name, 0, &first));
    return first;
}

static ps_status push(const char *name, uint64_t sequence, uint64_t clock, double weight, float g)
{
    ps_push_header header = {
        .incarnation = 1, .sequence = sequence, .clock = clock, .weight = weight};
    ps_push_reply reply;
    return test_params_push(store, name, &header, g, &reply);
}

/* What a parked call was answered. */
typedef struct answer {
    unsigned times;
    ps_status status;
    ps_clock_reply reply;
} answer;

static void answered(void *user, ps_status status, const ps_clock_reply *reply)
{
    answer *a = user;
    a->times++;
    a->status = status;
    if (reply)
        a->reply = *reply;
}

/* true: parked */
static bool end_clock(const char *name, uint64_t clock, answer *a)
{
    bool parked = false;
    ps_status st = ps_param_store_clock(store, &(ps_clock_end){.member = name, .clock = clock},
                                        &a->reply, &parked, answered, a);
    ck_ok(st);
    return parked;
}

START_TEST(gradients_of_a_clock_are_averaged_by_weight_and_applied_once)
{
    make_store();
    ck_assert_uint_eq(join("a"), 1);
    ck_assert_uint_eq(join("b"), 1);
    float *before = test_params_read(store, 0);
    answer a = {0}, b = {0};
    ck_ok(push("a", 1, 1, 3, 1.0f));
    ck_assert(end_clock("a", 1, &a));
    ck_assert_uint_eq(ps_param_store_version(store), 0);
    ck_ok(push("b", 1, 1, 1, 5.0f));
    ck_assert_uint_eq(a.times, 0);
    ck_assert(!end_clock("b", 1, &b));
    ck_assert_uint_eq(b.reply.version, 1);
    ck_assert_uint_eq(b.reply.slowest_clock, 1);
    ck_assert_uint_eq(a.times, 1);
    ck_assert_int_eq(a.status, PS_OK);
    ck_assert_uint_eq(a.reply.version, 1);
    ck_assert_uint_eq(b.times, 0); /* it was answered at once */
    float *after = test_params_read(store, 0);
    for (int i = 0; i < 24; i++)
        ck_assert_double_eq_tol(after[i], before[i] - (3 * 1.0 + 1 * 5.0) / 4, 1e-6);
    free(before);
    free(after);
    /* the next clock starts from nothing */
    ck_ok(push("a", 2, 2, 1, 0));
    ck_assert(end_clock("a", 2, &a));
    ck_assert(!end_clock("b", 2, &b));
    before = test_params_read(store, 0);
    ck_assert_uint_eq(ps_param_store_version(store), 2);
    free(before);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(two_pushes_give_the_same_bits_in_either_order)
{
    float *result[2];
    for (int order = 0; order < 2; order++) {
        make_store();
        answer a = {0};
        (void)join("a");
        ck_ok(push(order ? "x" : "y", 1, 1, order ? 3 : 7, order ? 0.1f : 0.7f));
        ck_ok(push(order ? "y" : "x", 1, 1, order ? 7 : 3, order ? 0.7f : 0.1f));
        ck_assert(!end_clock("a", 1, &a));
        result[order] = test_params_read(store, 0);
        ps_param_store_unref(&store);
    }
    ck_assert_mem_eq(result[0], result[1], 24 * sizeof(float));
    free(result[0]);
    free(result[1]);
}
END_TEST

START_TEST(a_member_that_leaves_is_not_waited_for_and_its_pushes_stay)
{
    make_store();
    (void)join("a");
    (void)join("b");
    (void)join("c");
    float *before = test_params_read(store, 0);
    answer a = {0}, b = {0};
    ck_ok(push("a", 1, 1, 1, 1));
    ck_ok(push("c", 1, 1, 1, 3));
    ck_assert(end_clock("a", 1, &a));
    ck_assert(end_clock("b", 1, &b));
    ps_param_store_leave(store, "c");
    ck_assert_uint_eq(a.times, 1);
    ck_assert_uint_eq(b.times, 1);
    float *after = test_params_read(store, 0);
    ck_assert_double_eq_tol(after[0], before[0] - 2.0, 1e-6);
    free(before);
    free(after);
    /* one that is parked itself is told */
    ck_assert(end_clock("a", 2, &a));
    ps_param_store_leave(store, "a");
    ck_assert_uint_eq(a.times, 2);
    ck_assert_int_eq(a.status, PS_ABORTED);
    ps_param_store_leave(store, "nobody");
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(a_late_member_enters_at_the_next_clock)
{
    make_store();
    (void)join("a");
    ck_ok(push("a", 1, 1, 1, 1));
    ck_assert_uint_eq(join("late"), 2);
    ck_assert_uint_eq(join("late"), 2);
    answer late = {0}, a = {0};
    ck_assert(end_clock("late", 0, &late)); /* waits for its first clock */
    ck_assert_int_eq(push("late", 1, 2, 1, 1), PS_FAILED_PRECONDITION);
    ck_assert(!end_clock("a", 1, &a)); /* nobody waits for the late one yet */
    ck_assert_uint_eq(late.times, 1);
    ck_assert_uint_eq(late.reply.slowest_clock, 1);
    ck_assert(end_clock("a", 2, &a)); /* now they do */
    ck_ok(push("late", 1, 2, 1, 1));
    ck_assert(!end_clock("late", 2, &late));
    ck_assert_uint_eq(a.times, 1);
    ck_assert_uint_eq(join("early"), 3); /* clock 3 has not started: it is in */
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(wrong_clocks_are_refused_and_old_ones_answered)
{
    make_store();
    (void)join("a");
    answer a = {0};
    bool parked;
    ck_assert_int_eq(push("a", 1, 2, 1, 1), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "the job is at 1"));
    ck_assert_int_eq(ps_param_store_clock(store, &(ps_clock_end){.member = "a", .clock = 2},
                                          &a.reply, &parked, answered, &a),
                     PS_FAILED_PRECONDITION);
    ck_assert_int_eq(ps_param_store_clock(store, &(ps_clock_end){.member = "b", .clock = 1},
                                          &a.reply, &parked, answered, &a),
                     PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "b is not a member"));
    ck_assert(!end_clock("a", 1, &a));
    ck_assert_uint_eq(a.reply.version, 0); /* no gradients, no update */
    ck_assert(!end_clock("a", 1, &a));
    ck_assert(!end_clock("a", 0, &a));
    ck_assert_int_eq(push("a", 1, 1, 1, 1), PS_FAILED_PRECONDITION);
    ck_ok(push("a", 1, 0, 1, 1)); /* not said: whichever is open */
    ck_assert_uint_eq(a.times, 0);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(parked_calls_can_be_cancelled_replaced_and_stopped)
{
    make_store();
    (void)join("a");
    (void)join("b");
    answer first = {0}, second = {0}, b = {0};
    ck_assert(end_clock("a", 1, &first));
    ck_assert(!ps_param_store_clock_cancel(store, "a", &second));
    ck_assert(ps_param_store_clock_cancel(store, "a", &first));
    ck_assert(!ps_param_store_clock_cancel(store, "a", &first));
    ck_assert(end_clock("a", 1, &first)); /* came back */
    ck_assert(end_clock("a", 1, &second));
    ck_assert_uint_eq(first.times, 1);
    ck_assert_int_eq(first.status, PS_ABORTED);
    ps_param_store_stop(store);
    ck_assert_uint_eq(second.times, 1);
    ck_assert_int_eq(second.status, PS_CANCELLED);
    bool parked;
    ck_assert_int_eq(ps_param_store_clock(store, &(ps_clock_end){.member = "b", .clock = 1},
                                          &b.reply, &parked, answered, &b),
                     PS_FAILED_PRECONDITION);
    ck_assert_uint_eq(b.times + first.times, 1);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(a_push_of_part_of_the_model_leaves_the_rest_as_it_is)
{
    make_store();
    (void)join("a");
    float *before = test_params_read(store, 0);
    const float ones[3] = {1, 1, 1};
    ps_push *half;
    ps_push_reply reply;
    answer a = {0};
    ck_ok(test_params_begin(store, 1, &half));
    ps_push_chunk_header at = {.offset = 10, .count = 3};
    ck_ok(ps_push_chunk(half, &at, ps_slice_of(ones, sizeof ones), (ps_push_owner){0}));
    ck_ok(ps_push_commit(&half, &reply, NULL));
    ck_assert(!end_clock("a", 1, &a));
    float *after = test_params_read(store, 0);
    for (int i = 0; i < 24; i++)
        ck_assert_float_eq(after[i], i >= 10 && i < 13 ? before[i] - 1 : before[i]);
    ck_assert_uint_eq(ps_param_store_block_version(store, 0, 0, 0), 0);
    ck_assert_uint_eq(ps_param_store_block_version(store, 0, 0, 1), 1);
    free(before);
    free(after);
    ps_param_store_unref(&store);
}
END_TEST

static uint64_t join_with(const char *name, uint64_t lease)
{
    uint64_t first = 0;
    ck_ok(ps_param_store_join(store, name, lease, &first));
    return first;
}

static ps_status end_with(const char *name, uint64_t lease, uint64_t clock, bool *parked, answer *a)
{
    const ps_clock_end end = {.member = name, .lease = lease, .clock = clock};
    return ps_param_store_clock(store, &end, &a->reply, parked, answered, a);
}

START_TEST(a_call_of_a_task_that_has_ended_is_not_taken_for_one_of_the_next)
{
    make_store();
    (void)join("other");
    ck_assert_uint_eq(join_with("a", 7), 1);
    ck_assert_uint_eq(join_with("a", 8), 1); /* it has pushed nothing: this clock is its */
    bool parked;
    answer a = {0}, other = {0};
    ck_assert_int_eq(end_with("a", 7, 1, &parked, &a), PS_PERMISSION_DENIED);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "lease 7 has ended"));
    ck_assert(end_clock("other", 1, &other)); /* still waits for a */
    ck_ok(push("a", 1, 1, 1, 1));
    ck_ok(end_with("a", 8, 1, &parked, &a));
    ck_assert(!parked);
    ck_assert_uint_eq(other.times, 1);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(a_new_task_begins_after_what_the_one_before_has_pushed)
{
    make_store();
    (void)join("other");
    (void)join_with("a", 7);
    ck_ok(push("a", 1, 1, 1, 1)); /* and is lost before it has said so */
    ck_assert_uint_eq(join_with("a", 8), 2);
    ck_assert_uint_eq(ps_param_store_version(store), 0);
    bool parked;
    answer a = {0}, other = {0};
    ck_ok(end_with("a", 8, 1, &parked, &a));
    ck_assert(parked); /* its first clock has not begun */
    ck_assert(!end_clock("other", 1, &other));
    ck_assert_uint_eq(a.times, 1);
    ck_assert_uint_eq(ps_param_store_version(store), 1);
    /* alone, it need not wait for anybody */
    ps_param_store_leave(store, "other");
    ck_ok(push("a", 2, 2, 1, 1));
    ck_assert_uint_eq(join_with("a", 9), 3);
    ck_assert_uint_eq(ps_param_store_version(store), 2);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(a_clock_whose_last_member_has_left_ends_with_what_it_has)
{
    make_store();
    (void)join("a");
    ck_ok(push("a", 1, 1, 1, 1));
    ps_param_store_leave(store, "a");
    ck_assert_uint_eq(ps_param_store_version(store), 1);
    ck_assert_uint_eq(join("b"), 2);
    /* what nobody's clock will end is applied when the job ends */
    ps_param_store_leave(store, "b");
    ck_ok(push("c", 1, 2, 1, 1));
    ps_param_store_stop(store);
    ck_assert_uint_eq(ps_param_store_version(store), 2);
    ps_param_store_unref(&store);
}
END_TEST

START_TEST(a_closed_store_lets_everybody_go_at_once)
{
    make_store();
    (void)join("a");
    (void)join("b");
    answer a = {0}, b = {0};
    bool parked;
    ck_assert(end_clock("a", 1, &a));
    ps_param_store_close(store);
    ck_assert_uint_eq(a.times, 1);
    ck_assert_int_eq(a.status, PS_UNAVAILABLE);
    ck_assert_int_eq(end_with("a", 0, 1, &parked, &a), PS_UNAVAILABLE);
    ck_ok(push("b", 1, 1, 1, 1)); /* what is under way still counts */
    ck_assert(!end_clock("b", 1, &b));
    ck_assert_uint_eq(a.times, 1);
    ps_param_store_unref(&store);
}
END_TEST

/* As torch clips: the step's gradient, not what each worker has of it. */
START_TEST(the_mean_of_a_clock_is_clipped_and_not_its_parts)
{
    test_params p;
    test_params_init(&p, 4, 6);
    p.config.block_elements = 8;
    p.config.controller = test_controller("bsp");
    p.config.clip_norm = 2 * sqrt(30); /* a gradient of 2 everywhere has it: w and b are 30 */
    ck_ok(ps_param_store_create(&p.config, &store));
    (void)join("a");
    answer a = {0};
    float *before = test_params_read(store, 0);
    /* far above it each, but their mean, 1, is not */
    ck_ok(push("a", 1, 1, 1, 9));
    ck_ok(push("b", 1, 1, 1, -7));
    ck_assert(!end_clock("a", 1, &a));
    float *after = test_params_read(store, 0);
    ck_assert_float_eq_tol(after[0], before[0] - 1, 1e-6f);
    /* a mean of 3 is */
    ck_ok(push("a", 2, 2, 3, 4));
    ck_ok(push("b", 2, 2, 1, 0));
    ck_assert(!end_clock("a", 2, &a));
    float *last = test_params_read(store, 0);
    ck_assert_float_eq_tol(last[0], after[0] - 2, 1e-5f);
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

static ps_status push_part(const char *name, uint64_t sequence, uint64_t lease, uint32_t tensor,
                           uint64_t clock)
{
    ps_push_header header = {.incarnation = 1,
                             .sequence = sequence,
                             .clock = clock,
                             .lease = lease,
                             .rows = {0, 10},
                             .parts = 2};
    ps_push *part;
    ps_push_reply reply;
    ps_status st = ps_push_begin(store, name, &header, &part);
    if (st)
        return st;
    ck_ok(test_params_add(store, part, tensor, one, NULL));
    st = ps_push_commit(&part, &reply, NULL);
    ck_assert(st || !reply.duplicate);
    return st;
}

/* A lone worker is lost in the middle of a step: the clock waits for the rest of it, and what comes
 * again is computed from the same parameters and added once. */
START_TEST(a_clock_that_has_half_of_a_gradient_waits_for_the_other_half)
{
    test_params p;
    test_params_init(&p, 4, 6);
    p.config.controller = test_controller("bsp");
    p.config.rows = 20;
    p.config.epochs = 1;
    ck_ok(ps_param_store_create(&p.config, &store));
    ps_ledger *ledger = ps_param_store_ledger(store);
    float *w = test_params_read(store, 0), *b = test_params_read(store, 1);
    ps_ledger_lease_begin(ledger, 7, 0, (ps_row_span){0, 20});
    ck_assert_uint_eq(join_with("a", 7), 1);
    ck_ok(push_part("a", 1, 7, 1, 1));
    ps_row_set left = {0};
    ck_assert(ps_ledger_lease_end(ledger, 7, false, &left));
    ck_assert_uint_eq(left.rows, 20);
    ps_row_set_free(&left);
    ps_param_store_leave(store, "a");
    ck_assert_uint_eq(ps_param_store_version(store), 0);
    ck_assert_int_eq(push_part("a", 2, 7, 0, 1), PS_PERMISSION_DENIED);
    ps_ledger_lease_begin(ledger, 8, 0, (ps_row_span){0, 20});
    ck_assert_uint_eq(join_with("a", 8), 1);
    ck_ok(push_part("a", 3, 8, 1, 1));
    ck_ok(push_part("a", 4, 8, 0, 1));
    bool parked;
    answer a = {0};
    ck_ok(end_with("a", 8, 1, &parked, &a));
    ck_assert_uint_eq(ps_param_store_version(store), 1);
    float *w2 = test_params_read(store, 0), *b2 = test_params_read(store, 1);
    ck_assert_float_eq(w2[5], w[5] - 1);
    ck_assert_float_eq(b2[5], b[5] - 1);
    free(w);
    free(b);
    free(w2);
    free(b2);
    ps_param_store_unref(&store);
}
END_TEST

static const ps_check_case cases[] = {
    {&gradients_of_a_clock_are_averaged_by_weight_and_applied_once},
    {&two_pushes_give_the_same_bits_in_either_order},
    {&a_member_that_leaves_is_not_waited_for_and_its_pushes_stay},
    {&a_late_member_enters_at_the_next_clock},
    {&wrong_clocks_are_refused_and_old_ones_answered},
    {&parked_calls_can_be_cancelled_replaced_and_stopped},
    {&a_push_of_part_of_the_model_leaves_the_rest_as_it_is},
    {&a_call_of_a_task_that_has_ended_is_not_taken_for_one_of_the_next},
    {&a_new_task_begins_after_what_the_one_before_has_pushed},
    {&a_clock_whose_last_member_has_left_ends_with_what_it_has},
    {&a_closed_store_lets_everybody_go_at_once},
    {&the_mean_of_a_clock_is_clipped_and_not_its_parts},
    {&a_clock_that_has_half_of_a_gradient_waits_for_the_other_half},
    {0},
};

int main(void)
{
    return ps_check_main("consistency/bsp", cases);
}
