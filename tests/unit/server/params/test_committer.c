/* committer: a push is applied at once, and answered when its committer says that it lasts. */
#include "server/params/committer.h"

#include "server/params/snapshot.h"
#include "tests/lib/check_main.h"
#include "tests/lib/late_committer.h"
#include "tests/lib/params.h"

/* One push, and how it was answered. */
typedef struct asked {
    ps_push_reply reply;
    ps_push_waiter waiter;
    unsigned answers;
    ps_status status;
} asked;

static void answered_cb(void *user, ps_status status)
{
    asked *a = user;
    a->answers++;
    a->status = status;
}

static ps_param_store *new_store(late_committer *late, const char *mode)
{
    test_params p;
    ps_param_store *store;
    late_committer_init(late);
    test_params_init(&p, 2, 3);
    p.config.controller = test_controller(mode);
    p.config.host.committer = &late->row;
    ck_ok(ps_param_store_create(&p.config, &store));
    return store;
}

static float one(void *user, uint64_t index)
{
    return 1;
}

/* Of client "worker"; its answer is waited for in *a. */
static ps_status push(ps_param_store *store, uint64_t sequence, asked *a)
{
    ps_push *p;
    *a = (asked){.waiter = {.cb = answered_cb, .user = a}};
    const ps_push_header header = {.incarnation = 1, .sequence = sequence, .clock = 1};
    ps_status st = ps_push_begin(store, "worker", &header, &p);
    if (st)
        return st;
    ck_ok(test_params_add(store, p, 1, one, NULL));
    st = ps_push_commit(&p, &a->reply, &a->waiter);
    ck_assert_ptr_null(p);
    return st;
}

static float parameter(ps_param_store *store)
{
    float *b = test_params_read(store, 1), first = b[0];
    free(b);
    return first;
}

START_TEST(answers_come_when_the_committer_says_so_in_whatever_order)
{
    late_committer late;
    ps_param_store *store = new_store(&late, "asp");
    asked a[3];
    for (uint64_t i = 0; i < 3; i++) {
        ck_ok(push(store, i + 1, &a[i]));
        ck_assert(a[i].waiter.later);
        ck_assert_uint_eq(a[i].reply.version, i + 1);
    }
    ck_assert_float_eq(parameter(store), -3); /* applied */
    static const unsigned order[] = {2, 0, 1};
    for (unsigned i = 0; i < 3; i++) {
        unsigned k = order[i];
        ck_assert_uint_eq(a[k].answers, 0);
        ck_assert_uint_eq(late.at[a[k].reply.position].sequence, k + 1);
        ck_assert_double_eq(late.at[a[k].reply.position].sum, 3);
        late_committer_answer(&late, a[k].reply.position, PS_OK);
        ck_assert_uint_eq(a[k].answers, 1);
        ck_assert_int_eq(a[k].status, PS_OK);
    }
    ck_assert_uint_eq(a[0].answers + a[1].answers + a[2].answers, 3);
    ps_param_store_unref(&store);
    late_committer_clear(&late);
}
END_TEST

/* Its worker lost the connection, and asks on another one. */
START_TEST(a_push_that_comes_again_waits_for_what_the_first_waits_for)
{
    late_committer late;
    ps_param_store *store = new_store(&late, "asp");
    asked first, again, third;
    ck_ok(push(store, 1, &first));
    ck_ok(push(store, 1, &again));
    ck_assert(again.reply.duplicate && again.waiter.later);
    ck_assert_uint_eq(late.appended, 1);
    ck_assert_float_eq(parameter(store), -1);
    late_committer_answer(&late, 1, PS_OK);
    ck_assert_uint_eq(first.answers, 1);
    ck_assert_uint_eq(again.answers, 1);
    ck_ok(push(store, 1, &third)); /* it lasts now */
    ck_assert(third.reply.duplicate && !third.waiter.later);
    ck_assert_uint_eq(third.answers, 0);
    ps_param_store_unref(&store);
    late_committer_clear(&late);
}
END_TEST

START_TEST(what_does_not_last_is_said_and_the_committer_is_asked_again)
{
    late_committer late;
    ps_param_store *store = new_store(&late, "asp");
    asked first, again;
    ck_ok(push(store, 1, &first));
    late_committer_answer(&late, 1, PS_NO_SPACE);
    ck_assert_uint_eq(first.answers, 1);
    ck_assert_int_eq(first.status, PS_NO_SPACE);
    ck_ok(push(store, 1, &again));
    ck_assert(again.reply.duplicate && again.waiter.later);
    ck_assert_float_eq(parameter(store), -1); /* once */
    late_committer_answer(&late, 1, PS_OK);
    ck_assert_int_eq(again.status, PS_OK);
    ck_assert_uint_eq(again.answers, 1);
    ps_param_store_unref(&store);
    late_committer_clear(&late);
}
END_TEST

/* One that is refused is not in the order, and a held one is. */
START_TEST(only_what_came_in_is_told_to_the_committer)
{
    late_committer late;
    ps_param_store *store = new_store(&late, "bsp");
    uint64_t first;
    asked a, refused;
    ck_ok(ps_param_store_join(store, "worker", 0, &first));
    ck_ok(push(store, 1, &a));
    ck_assert(a.waiter.later);
    ck_assert_uint_eq(ps_param_store_version(store), 0); /* held */
    ps_param_store_stop(store);
    ck_assert_int_eq(push(store, 2, &refused), PS_FAILED_PRECONDITION);
    ck_assert(!refused.waiter.later);
    ck_assert_uint_eq(late.appended, 1);
    late_committer_answer(&late, 1, PS_OK);
    ck_assert_uint_eq(a.answers, 1);
    ps_param_store_unref(&store);
    late_committer_clear(&late);
}
END_TEST

/* A checkpoint has the update and its answer: what it has lasts, whatever the log says. */
START_TEST(an_answer_that_a_checkpoint_has_waits_for_nothing)
{
    late_committer late, other;
    ps_param_store *store = new_store(&late, "asp"), *back = new_store(&other, "asp");
    asked a, again;
    ps_snapshot *snapshot;
    ck_ok(push(store, 1, &a));
    ck_ok(ps_snapshot_begin(store, NULL, NULL, &snapshot));
    const ps_snapshot_small *small = ps_snapshot_small_state(snapshot);
    ck_ok(ps_param_store_restore(back, small->version, ps_buf_slice(&small->windows),
                                 ps_buf_slice(&small->controller), ps_buf_slice(&small->rows)));
    ps_snapshot_end(&snapshot);
    ck_ok(push(back, 1, &again));
    ck_assert(again.reply.duplicate && !again.waiter.later);
    ck_assert_uint_eq(other.appended, 0);
    late_committer_answer(&late, 1, PS_OK);
    ps_param_store_unref(&store);
    ps_param_store_unref(&back);
    late_committer_clear(&late);
    late_committer_clear(&other);
}
END_TEST

static const ps_check_case tests[] = {
    {&answers_come_when_the_committer_says_so_in_whatever_order},
    {&a_push_that_comes_again_waits_for_what_the_first_waits_for},
    {&what_does_not_last_is_said_and_the_committer_is_asked_again},
    {&only_what_came_in_is_told_to_the_committer},
    {&an_answer_that_a_checkpoint_has_waits_for_nothing},
    {0},
};

int main(void)
{
    return ps_check_main("server/params/committer", tests);
}
