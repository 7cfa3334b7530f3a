/* A real model on the PS_TEST_CPU, and on a device with memory of its own, the real transport over
 * mTLS on loopback, and a Parameters service that can lose, break and refuse. What arrives is
 * compared with what is there, element by element. */
#include "common/base/buf.h"
#include "common/base/half.h"
#include "common/base/log.h"
#include "tests/lib/check_main.h"
#include "tests/unit/worker/exchange/exchange_rig.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

START_TEST(a_pull_puts_every_column_block_where_it_belongs)
{
    begin(_i, 0);
    uint64_t version;
    ck_ok(open_exchange(false));
    ck_ok(ps_exchange_pull(r.exchange, &version));
    ck_assert_uint_eq(version, 10);
    assert_model_is_server();
    end();
}
END_TEST

START_TEST(the_next_pull_asks_only_for_what_is_newer)
{
    begin(_i, 0);
    uint64_t version, bytes, again;
    ps_pusher_stats stats;
    ck_ok(open_exchange(false));
    ck_ok(ps_exchange_pull(r.exchange, &version));
    ps_exchange_stats(r.exchange, &stats, &bytes);
    r.fake.version = r.fake.tensors[1].version = 11;
    r.fake.tensors[1].values[2] = 77;
    ck_ok(ps_exchange_pull(r.exchange, &version));
    ck_assert_uint_eq(r.fake.newer_than, 10);
    ck_assert_uint_eq(version, 11);
    ps_exchange_stats(r.exchange, &stats, &again);
    ck_assert_uint_eq(again - bytes, HIDDEN * sizeof(float)); /* one bias */
    assert_model_is_server();
    end();
}
END_TEST

START_TEST(a_broken_pull_goes_on_with_what_is_missing_and_the_next_is_whole)
{
    begin(_i, 0);
    uint64_t version;
    fault_next(&r.fake.break_pulls, 2);
    ck_ok(open_exchange(false));
    ck_ok(ps_exchange_pull(r.exchange, &version));
    ck_assert_uint_eq(r.fake.pulls, 3);
    ck_assert_uint_gt(r.fake.ranges, 0);
    assert_model_is_server();
    ck_ok(ps_exchange_pull(r.exchange, &version));
    ck_assert_uint_eq(r.fake.newer_than, 0);
    ck_assert_uint_eq(r.fake.ranges, 0);
    end();
}
END_TEST

START_TEST(gradients_arrive_and_are_applied)
{
    begin(_i, 0);
    static fake_tensor before[FAKE_TENSORS];
    memcpy(before, r.fake.tensors, sizeof(before));
    ck_ok(open_exchange(false));
    ck_ok(train_step(3));
    assert_applied_once(before);
    ck_assert_uint_eq(r.fake.clock, 3);
    ck_assert_uint_eq(r.fake.pulled_version, 10);
    ck_assert_double_eq(r.fake.weight, ROWS);
    ck_assert_uint_eq(ps_exchange_position(r.exchange), 4 * ROWS);
    ck_assert_uint_eq(r.sequence, 1); /* one bucket */
    end();
}
END_TEST

/* What the log says, a line after the other; under lock. */
static struct {
    pthread_mutex_t lock;
    ps_buf text;
} told = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void tell_cb(void *state, ps_log_level level, const char *line)
{
    (void)state, (void)level;
    pthread_mutex_lock(&told.lock);
    ps_buf_puts(&told.text, line);
    ps_buf_putc(&told.text, '\n');
    pthread_mutex_unlock(&told.lock);
}

/* Behind `from`; fails when it is not there. */
static const char *then(const char *from, const char *what)
{
    const char *at = strstr(from, what);
    ck_assert_msg(at != NULL, "no '%s' in\n%s", what, from);
    return at + strlen(what);
}

START_TEST(a_push_can_be_followed_from_the_gradient_to_the_wire_and_back)
{
    ps_log_set_sink(tell_cb, NULL);
    ps_log_set_level(PS_LOG_TRACE);
    begin(_i, 0);
    ck_ok(open_exchange(false));
    ck_ok(train_step(3));
    end();
    ps_log_set_sink(NULL, NULL);
    ps_log_set_level(PS_LOG_INFO);
    const char *at = then(ps_buf_cstr(&told.text), "pull: opened job=");
    at = then(at, "pull: ended job=");
    at = then(at, "push: begun job=");
    at = then(at, " clock=3 version=10\n");
    at = then(at, "push: ready job=");
    const char *opened = then(at, "push: opened job=");
    at = then(then(opened, " sequence=1 "), " call=");
    char call[64];
    snprintf(call, sizeof call, "call: written call=%.*s ", (int)strcspn(at, "\n"), at);
    at = then(at, call);
    at = then(at, "push: acknowledged job=");
    then(at, " sequence=1 version=11 ");
    ps_buf_free(&told.text);
}
END_TEST

static char *word(const char *name)
{
    return (char *)(uintptr_t)name;
}

START_TEST(parameters_come_in_the_codec_of_the_job)
{
    begin(_i, 0);
    r.train.codec.parameters = word("bf16");
    for (size_t i = 0; i < r.fake.count; i++)
        r.fake.tensors[i].values[0] = 1.0f / 3;
    ck_ok(open_exchange(false));
    uint64_t version, bytes, again, elements = 0;
    ps_pusher_stats stats;
    static fake_tensor exact[FAKE_TENSORS];
    memcpy(exact, r.fake.tensors, sizeof exact);
    ck_ok(ps_exchange_pull_start(r.exchange));
    ck_ok(ps_exchange_pull_finish(r.exchange, &version));
    bool changed;
    const ps_model_hooks *hooks = ps_exchange_hooks(r.exchange);
    for (size_t i = 0; i < r.fake.count; i++)
        ck_ok(hooks->before_use(hooks->user, i, &changed));
    for (size_t i = 0; i < r.fake.count; i++) {
        fake_tensor *t = &r.fake.tensors[i];
        elements += t->rows * t->columns;
        for (uint64_t k = 0; k < t->rows * t->columns; k++)
            t->values[k] = ps_bf16_value(ps_bf16_of(t->values[k]));
    }
    assert_model_is_server();
    ps_exchange_stats(r.exchange, &stats, &bytes);
    ck_assert_uint_eq(bytes, 2 * elements);
    memcpy(r.fake.tensors, exact, sizeof exact); /* an evaluation wants them as they are */
    ck_ok(ps_exchange_pull(r.exchange, &version));
    assert_model_is_server();
    ps_exchange_stats(r.exchange, &stats, &again);
    ck_assert_uint_eq(again - bytes, 4 * elements);
    end();
}
END_TEST

/* In three steps, whose answers are partly lost, psd has been given the sum of the gradients but
 * for what the last one rounded off; rounding alone, three times, would be further off. */
START_TEST(gradients_leave_in_the_codec_of_the_job)
{
    enum { STEPS = 3 };
    begin(_i, 0);
    static fake_tensor before[FAKE_TENSORS];
    static double sum[FAKE_TENSORS][FAKE_ELEMENTS];
    memset(sum, 0, sizeof sum);
    memcpy(before, r.fake.tensors, sizeof(before));
    r.train.codec.gradients = word("int8");
    fault_next(&r.fake.lose_acks, 2);
    ck_ok(open_cut(false, 64, 64));
    double most = 0;
    for (uint64_t clock = 0; clock < STEPS; clock++) {
        ck_ok(train_step(clock));
        for (size_t i = 0; i < r.fake.count; i++) {
            float *g = read_tensor(ps_model_gradient(r.model, i));
            for (uint64_t k = 0; k < before[i].rows * before[i].columns; k++) {
                sum[i][k] += (double)g[k];
                most = fmax(most, fabs((double)g[k]));
            }
            ps_free(&g);
        }
    }
    ck_assert_uint_eq(r.fake.codec, 3);
    ck_assert_double_gt(most, 0.01);
    for (size_t i = 0; i < r.fake.count; i++)
        for (uint64_t k = 0; k < before[i].rows * before[i].columns; k++) {
            double moved = (double)before[i].values[k] - (double)r.fake.tensors[i].values[k];
            ck_assert_double_eq_tol(moved, sum[i][k], 1.1 * most / 127 / 2 + 1e-6);
        }
    ps_pusher_stats stats;
    uint64_t pulled;
    ps_exchange_stats(r.exchange, &stats, &pulled);
    ck_assert_uint_eq(stats.duplicates, 2);
    end();
}
END_TEST

/* The gradients in the model's memory are those of another step then. */
START_TEST(gradients_that_could_not_be_computed_are_not_pushed)
{
    begin(_i, 0);
    ck_ok(open_exchange(false));
    ck_ok(train_step(0));
    ck_ok(begin_forward(1));
    ps_stream_fail(ps_model_stream(r.model), ps_fail(PS_NO_MEMORY, "no room to work in"));
    ps_status st = ps_model_backward(r.model, ps_exchange_hooks(r.exchange));
    ck_assert_int_eq(st ? st : ps_exchange_push_end(r.exchange), PS_NO_MEMORY);
    ps_exchange_stop(r.exchange);
    ck_assert_uint_eq(r.fake.applied_count, 1);
    end();
}
END_TEST

START_TEST(a_tensor_that_is_cut_arrives_whole)
{
    static fake_tensor before[FAKE_TENSORS];
    for (int ahead = 0; ahead < 2; ahead++) {
        begin(_i, 0);
        memcpy(before, r.fake.tensors, sizeof(before));
        fault_next(&r.fake.lose_acks, 2);
        ck_ok(open_cut(ahead, 64, 64));
        ck_ok(train_step(0));
        assert_applied_once(before);
        /* 6×8, 8, 8×3 and 3 floats, in pieces of at most 64 bytes and a block of 28 */
        ck_assert_uint_ge(r.sequence, 4 * (6 * 8 + 8 + 8 * 3 + 3) / (64 + 28) + 1);
        ck_assert_uint_eq(r.fake.applied_count, r.sequence);
        end();
    }
}
END_TEST

START_TEST(a_push_that_is_made_again_has_not_fallen_out_of_the_window)
{
    begin_hidden(_i, 0, 400);
    static fake_tensor before[FAKE_TENSORS];
    memcpy(before, r.fake.tensors, sizeof(before));
    ck_ok(open_cut(false, 28, 28));
    for (uint64_t clock = 0; clock < 2; clock++) {
        memcpy(before, r.fake.tensors, sizeof(before));
        fault_next(&r.fake.lose_acks, 3);
        ck_ok(train_step(clock));
        assert_applied_once(before);
    }
    ck_assert_uint_gt(r.sequence, 2 * FAKE_WINDOW); /* it would have, else */
    /* nor do all of them come at once: psd has room for some */
    ck_assert_uint_gt(r.fake.most_open, 1);
    ck_assert_uint_le(r.fake.most_open, 8);
    end();
}
END_TEST

START_TEST(a_push_whose_answers_are_lost_is_applied_once)
{
    begin(_i, 0);
    static fake_tensor before[FAKE_TENSORS];
    memcpy(before, r.fake.tensors, sizeof(before));
    fault_next(&r.fake.lose_acks, 3);
    ck_ok(open_exchange(false));
    ck_ok(train_step(0));
    ck_assert_uint_eq(r.fake.pushes, 4);
    ck_assert_uint_eq(r.fake.applied_count, 1);
    assert_applied_once(before);
    uint64_t bytes;
    ps_pusher_stats stats;
    ps_exchange_stats(r.exchange, &stats, &bytes);
    ck_assert_uint_eq(stats.pushes, 1);
    ck_assert_uint_eq(stats.duplicates, 1);
    ck_assert_uint_eq(stats.retries, 3);
    end();
}
END_TEST

START_TEST(a_refused_push_is_not_repeated_and_says_why)
{
    begin(_i, 0);
    fault_next(&r.fake.refuse_pushes, 1);
    ck_ok(open_exchange(false));
    ck_assert_int_eq(train_step(0), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "NaN in tensor x"));
    ck_assert_uint_eq(r.fake.pushes, 1);
    ps_exchange_stop(r.exchange); /* and after that it goes on */
    ck_ok(train_step(1));
    end();
}
END_TEST

START_TEST(clipped_gradients_have_the_norm_that_was_asked_for)
{
    begin(_i, 0.125);
    static fake_tensor before[FAKE_TENSORS];
    memcpy(before, r.fake.tensors, sizeof(before));
    ck_ok(open_exchange(false));
    ck_ok(train_step(0));
    double sum = 0;
    for (size_t i = 0; i < r.fake.count; i++)
        for (uint64_t k = 0; k < r.fake.tensors[i].rows * r.fake.tensors[i].columns; k++) {
            double d = (double)before[i].values[k] - (double)r.fake.tensors[i].values[k];
            sum += d * d;
        }
    ck_assert_double_eq_tol(sqrt(sum), 0.125, 1e-5);
    end();
}
END_TEST

START_TEST(through_host_memory_the_same_arrives)
{
    begin(_i, 0);
    static fake_tensor before[FAKE_TENSORS];
    memcpy(before, r.fake.tensors, sizeof(before));
    ck_ok(open_exchange(true));
    ck_ok(train_step(0));
    assert_applied_once(before);
    memcpy(before, r.fake.tensors, sizeof(before));
    ck_ok(train_step(1));
    assert_applied_once(before);
    end();
}
END_TEST

static void *cancel_soon(void *argument)
{
    (void)argument;
    for (bool waits = false; !waits;) {
        pthread_mutex_lock(&r.fake.lock);
        waits = r.fake.pulls + r.fake.clocks > 0;
        pthread_mutex_unlock(&r.fake.lock);
    }
    ps_gate_cancel(r.rig.remote.gate, "job 1 was cancelled by you");
    return NULL;
}

START_TEST(a_cancelled_task_does_not_wait_for_psd)
{
    begin(_i, 0);
    r.fake.silent = true;
    ck_ok(open_exchange(false));
    pthread_t thread;
    pthread_create(&thread, NULL, cancel_soon, NULL);
    ck_assert_int_eq(train_step(0), PS_CANCELLED);
    ck_assert_str_eq(ps_error_message(), "job 1 was cancelled by you");
    pthread_join(thread, NULL);
    ps_exchange_stop(r.exchange);
    r.fake.pulls = 0;
    ps_gate_reset(&r.rig.gate);
    pthread_create(&thread, NULL, cancel_soon, NULL);
    uint64_t open;
    ck_assert_int_eq(ps_exchange_clock_wait(r.exchange, 3, 1, &open), PS_CANCELLED);
    pthread_join(thread, NULL);
    r.fake.silent = false;
    ps_gate_reset(&r.rig.gate);
    ck_ok(train_step(1));
    end();
}
END_TEST

static void wait_for_clock(uint64_t clock)
{
    uint64_t seen = 0;
    while (seen != clock) { /* the case's time limit ends it */
        pthread_mutex_lock(&r.fake.lock);
        seen = r.fake.clock;
        pthread_mutex_unlock(&r.fake.lock);
    }
}

START_TEST(clocks_that_are_told_do_not_wait_and_the_last_arrives)
{
    begin(_i, 0);
    ck_ok(open_exchange(false));
    for (uint64_t clock = 0; clock < 100; clock++)
        ps_exchange_clock_tell(r.exchange, 3, clock);
    wait_for_clock(99);
    uint64_t open;
    ck_ok(ps_exchange_clock_wait(r.exchange, 4, 100, &open));
    ck_assert_uint_eq(r.fake.clock, 100);
    ck_assert_uint_eq(open, 101);
    ck_assert_uint_eq(r.fake.lease, 4);
    end();
}
END_TEST

/* A task that ends between a call and its answer, one that nobody waits for and one that was left:
 * when the answer comes, or the connection is lost as here, the gate is gone or somebody else's. */
START_TEST(calls_on_their_way_outlive_the_task_and_its_gate)
{
    begin(_i, 0);
    ps_gate gate;
    ps_gate_init(&gate);
    r.rig.remote.gate = &gate;
    ck_ok(open_exchange(false));
    r.fake.silent = true;
    ps_exchange_clock_tell(r.exchange, 3, 7);
    wait_for_clock(7);
    r.fake.clocks = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, cancel_soon, NULL);
    uint64_t open;
    ck_assert_int_eq(ps_exchange_clock_wait(r.exchange, 3, 8, &open), PS_CANCELLED);
    pthread_join(thread, NULL);
    ps_exchange_close(&r.exchange);
    r.rig.remote.gate = &r.rig.gate;
    ps_gate_lock(&gate); /* whoever asks for it waits for ever */
    end();
    ps_gate_unlock(&gate);
    ps_gate_destroy(&gate);
}
END_TEST

START_TEST(another_shape_at_psd_is_refused_by_name)
{
    begin(_i, 0);
    r.fake.tensors[2].shape[1]++;
    ck_assert_int_eq(open_exchange(false), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), r.fake.tensors[2].name));
    r.fake.tensors[2].shape[1]--;
    r.fake.count--;
    ck_assert_int_eq(open_exchange(false), PS_FAILED_PRECONDITION);
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&a_pull_puts_every_column_block_where_it_belongs, .repeat = PS_TEST_DEVICES},
    {&the_next_pull_asks_only_for_what_is_newer, .repeat = PS_TEST_DEVICES},
    {&a_broken_pull_goes_on_with_what_is_missing_and_the_next_is_whole, .repeat = PS_TEST_DEVICES},
    {&gradients_arrive_and_are_applied, .repeat = PS_TEST_DEVICES},
    {&a_push_can_be_followed_from_the_gradient_to_the_wire_and_back, .repeat = PS_TEST_DEVICES},
    {&parameters_come_in_the_codec_of_the_job, .repeat = PS_TEST_DEVICES},
    {&gradients_leave_in_the_codec_of_the_job, .repeat = PS_TEST_DEVICES},
    {&gradients_that_could_not_be_computed_are_not_pushed, .repeat = PS_TEST_DEVICES},
    {&a_tensor_that_is_cut_arrives_whole, .repeat = PS_TEST_DEVICES},
    {&a_push_that_is_made_again_has_not_fallen_out_of_the_window, .repeat = PS_TEST_DEVICES},
    {&a_push_whose_answers_are_lost_is_applied_once, .repeat = PS_TEST_DEVICES},
    {&a_refused_push_is_not_repeated_and_says_why, .repeat = PS_TEST_DEVICES},
    {&clipped_gradients_have_the_norm_that_was_asked_for, .repeat = PS_TEST_DEVICES},
    {&through_host_memory_the_same_arrives, .repeat = PS_TEST_DEVICES},
    {&a_cancelled_task_does_not_wait_for_psd, .repeat = PS_TEST_DEVICES},
    {&clocks_that_are_told_do_not_wait_and_the_last_arrives, .repeat = PS_TEST_DEVICES},
    {&calls_on_their_way_outlive_the_task_and_its_gate, .repeat = PS_TEST_DEVICES},
    {&another_shape_at_psd_is_refused_by_name, .repeat = PS_TEST_DEVICES},
    {0}};

int main(void)
{
    return ps_check_main("worker/exchange/exchange", tests);
}
