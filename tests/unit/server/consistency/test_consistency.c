/* consistency: the table, and what its rows answer without a store around them. */
#include "server/consistency/consistency.h"

#include "common/conf/train_rows.h"
#include "tests/lib/check_main.h"

#include <string.h>

/* A controller of a job of 8 rows whose parameters are one block. */
typedef struct rig {
    const ps_controller_ops *ops;
    ps_ledger *ledger;
    ps_controller *c;
    ps_clock_reply reply;
    unsigned answers;
    uint64_t answered_version;
} rig;

static void open_rig(rig *r, const char *name)
{
    *r = (rig){0};
    ck_ok(ps_consistency_find(name, &r->ops));
    ps_ledger_create(8, 1, 1, &r->ledger);
    ck_ok(r->ops->create(&(ps_consistency_options){0}, r->ledger, &r->c));
}

static void close_rig(rig *r)
{
    r->ops->free(r->c);
    ps_ledger_free(&r->ledger);
}

static void answered(void *user, ps_status status, const ps_clock_reply *reply)
{
    rig *r = user;
    ck_ok(status);
    r->answers++;
    r->answered_version = reply->version;
}

static uint64_t held_clock(rig *r)
{
    ps_verdict verdict;
    ck_ok(r->ops->admit(r->c, &(ps_push_header){.sequence = 1, .weight = 1}, &verdict));
    return verdict.held_clock;
}

static void join(rig *r, const char *member)
{
    uint64_t first;
    ps_turn turn = PS_TURN_NONE;
    ck_ok(r->ops->join(r->c, member, 0, &first, &turn));
    ck_assert_int_eq(turn, PS_TURN_NONE);
}

/* The turn that the end of the member's clock leaves; *parked: it waits. */
static ps_turn end_clock(rig *r, const char *member, uint64_t clock, bool *parked)
{
    uint64_t slowest;
    ps_turn turn = PS_TURN_NONE;
    const ps_clock_end end = {.member = member, .clock = clock};
    ck_ok(r->ops->clock(r->c, &end, (ps_clock_waiter){answered, r}, parked, &slowest, &turn));
    return turn;
}

START_TEST(a_model_that_is_not_there_is_refused_with_those_that_are)
{
    const ps_controller_ops *row;
    ck_assert_int_eq(ps_consistency_find("strict", &row), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "there is no strict"));
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "asp and bsp"));
    ck_ok(ps_consistency_find(NULL, &row));
    ck_assert_str_eq(row->name, "asp");
}
END_TEST

START_TEST(rows_do_what_the_job_files_table_says_of_them)
{
    for (const char *const *name = ps_mode_names; *name; name++) {
        const ps_mode_row *said = ps_mode_row_find(*name);
        const ps_controller_ops *row;
        ck_ok(ps_consistency_find(*name, &row));
        ck_assert_str_eq(row->name, *name);
        ck_assert_int_eq(row->holds, said->merges);
        ck_assert_int_eq(!row->clock_is_quick, said->waits);
    }
}
END_TEST

START_TEST(asp_applies_at_once_and_never_has_a_turn)
{
    rig r;
    bool parked;
    open_rig(&r, "asp");
    join(&r, "a");
    join(&r, "b");
    ck_assert_uint_eq(held_clock(&r), 0);
    ck_assert_int_eq(r.ops->added(r.c, "a", true), PS_TURN_NONE);
    ck_assert_int_eq(end_clock(&r, "a", 1, &parked), PS_TURN_NONE);
    ck_assert(!parked);
    ck_assert_int_eq(r.ops->leave(r.c, "b"), PS_TURN_NONE);
    ck_assert_int_eq(r.ops->stop(r.c), PS_TURN_NONE);
    close_rig(&r);
}
END_TEST

START_TEST(bsp_has_a_turn_when_the_last_member_has_ended_its_clock)
{
    rig r;
    bool parked;
    open_rig(&r, "bsp");
    join(&r, "a");
    join(&r, "b");
    ck_assert_uint_eq(held_clock(&r), 1);
    ck_assert_int_eq(end_clock(&r, "a", 1, &parked), PS_TURN_NONE);
    ck_assert(parked);
    ck_assert_int_eq(end_clock(&r, "b", 1, &parked), PS_TURN_NONE); /* a push is being added */
    ck_assert(parked);
    ck_assert_int_eq(r.ops->added(r.c, "a", true), PS_TURN_APPLY);
    ck_assert_uint_eq(r.answers, 0);
    r.ops->turned(r.c, 5, &r.reply);
    ck_assert_uint_eq(r.answers, 2);
    ck_assert_uint_eq(r.answered_version, 5);
    ck_assert_uint_eq(r.reply.slowest_clock, 1);
    ck_assert_uint_eq(held_clock(&r), 2);
    ck_assert_int_eq(r.ops->withdraw(r.c), PS_TURN_NONE);
    close_rig(&r);
}
END_TEST

START_TEST(a_bsp_clock_without_a_push_ends_and_applies_nothing)
{
    rig r;
    bool parked;
    open_rig(&r, "bsp");
    join(&r, "a");
    ck_assert_int_eq(end_clock(&r, "a", 1, &parked), PS_TURN_NEXT);
    ck_assert(!parked);
    r.ops->turned(r.c, 0, &r.reply);
    ck_assert_uint_eq(r.answers, 0); /* whoever ended it has the reply */
    ck_assert_uint_eq(r.reply.slowest_clock, 1);
    close_rig(&r);
}
END_TEST

START_TEST(bsp_that_is_stopped_applies_what_it_holds_once)
{
    rig r;
    open_rig(&r, "bsp");
    ck_assert_uint_eq(held_clock(&r), 1);
    ck_assert_int_eq(r.ops->added(r.c, "a", true), PS_TURN_NONE); /* nobody has ended it */
    ck_assert_int_eq(r.ops->stop(r.c), PS_TURN_APPLY);
    r.ops->turned(r.c, 1, &r.reply);
    ck_assert_int_eq(r.ops->stop(r.c), PS_TURN_NONE);
    close_rig(&r);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_model_that_is_not_there_is_refused_with_those_that_are},
    {&rows_do_what_the_job_files_table_says_of_them},
    {&asp_applies_at_once_and_never_has_a_turn},
    {&bsp_has_a_turn_when_the_last_member_has_ended_its_clock},
    {&a_bsp_clock_without_a_push_ends_and_applies_nothing},
    {&bsp_that_is_stopped_applies_what_it_holds_once},
    {0},
};

int main(void)
{
    return ps_check_main("server/consistency/consistency", cases);
}
