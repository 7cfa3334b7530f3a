/* bsp: bulk synchronous parallel: every member's gradients of a clock are averaged by weight and
 * applied once, when the last member has ended it; then all go on together.
 *
 *     open ── all members ended, no push being added ──▶ applying ──▶ open, next clock
 *
 * A push belongs to the clock that is open; one that names another is refused, and its worker goes
 * on from there (clock call, pull, compute again). Anybody may push; only members are waited for. A
 * member that leaves is no longer waited for; the pushes it completed stay, being gradients of the
 * same parameters as all others, and when it was the last one they end the clock, unless a gradient
 * has come in part: the rest is computed again, from the same parameters. A member that
 * comes when a clock is under way enters at the next one, and so does one that comes with a new
 * task after it has pushed to this clock under another: a clock call with the clock before, or with
 * 0, answers when that begins. Without members a clock stays open. The sums of an unfinished clock
 * are not part of a checkpoint, nor are its pushes: after a restart they are made again.
 *
 * Locks: the store's gate is entered before `lock`: whoever waits for `opened` inside the gate then
 * waits for one that is inside, too. Nothing fails here but what a worker got wrong. */
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "server/consistency/clock_members.h"
#include "server/consistency/rows.h"

#include <pthread.h>

#define CLOCK_MAX (UINT64_C(1) << 62) /* further no job comes */

struct ps_controller {
    ps_ledger *ledger;
    ps_mutex lock;
    pthread_cond_t opened; /* `applying` ended */
    ps_clock_members *members;
    uint64_t clock;  /* the one that is open, from 1 */
    uint32_t adding; /* pushes being added */
    uint64_t pushes; /* added in this clock */
    bool applying;   /* from a turn to `turned` */
    bool abandoned;  /* the last member has left: what was pushed is all that this clock gets */
    bool closed;     /* nobody is kept waiting any more */
    bool stopped;
};

/* Callbacks to make when no lock is held any more. */
typedef struct answers {
    struct answer {
        ps_clock_waiter waiter;
        ps_status status;
        const char *why;
    } * list;
    size_t n, capacity;
    ps_clock_reply reply;
} answers;

static void answer_later(answers *a, ps_clock_member *member, ps_status status, const char *why)
{
    if (!member->waiter.cb)
        return;
    if (a->n == a->capacity) {
        a->capacity = a->capacity ? 2 * a->capacity : 8;
        a->list = ps_realloc(a->list, a->capacity * sizeof *a->list);
    }
    a->list[a->n++] = (struct answer){member->waiter, status, why};
    member->waiter = (ps_clock_waiter){0};
}

static void answer_all(ps_controller *c, ps_status status, const char *why, answers *a)
{
    for (size_t i = 0; i < ps_clock_members_count(c->members); i++)
        answer_later(a, ps_clock_members_at(c->members, i), status, why);
}

static void give_answers(answers *a)
{
    for (size_t i = 0; i < a->n; i++) {
        ps_status st = a->list[i].status;
        if (st)
            st = ps_fail(st, "%s", a->list[i].why);
        a->list[i].waiter.cb(a->list[i].waiter.user, st, st ? NULL : &a->reply);
    }
    free(a->list);
}

static ps_status create(const ps_consistency_options *options, ps_ledger *ledger,
                        ps_controller **out)
{
    ps_controller *c = ps_new(ps_controller);
    c->ledger = ledger;
    c->clock = 1;
    ps_mutex_init(&c->lock);
    pthread_cond_init(&c->opened, NULL);
    ps_clock_members_create(&c->members);
    *out = c;
    return PS_OK;
}

static void bsp_free(ps_controller *c)
{
    answers a = {0};
    answer_all(c, PS_CANCELLED, "the job has ended", &a);
    give_answers(&a);
    ps_clock_members_free(&c->members);
    pthread_cond_destroy(&c->opened);
    ps_mutex_destroy(&c->lock);
    free(c);
}

/* ---- the end of a clock ---- */

/* "After each period of L time units, a global check is made to determine whether the superstep has
 * been completed by all the components. If it has, the machine proceeds to the next superstep."
 * (Valiant, A Bridging Model for Parallel Computation, 1990.) Here the check is made when a push, a
 * clock call or a leave may have been the last that was missing, and not from time to time. */
static bool is_over(const ps_controller *c)
{
    ps_mutex_require_held(&c->lock);
    if (c->stopped || c->applying || c->adding > 0)
        return false;
    if (ps_clock_members_count(c->members) == 0)
        return c->abandoned && c->pushes > 0 && !ps_ledger_has_halves(c->ledger, c->clock);
    return ps_clock_members_slowest(c->members, 0) >= c->clock;
}

static ps_turn begin_turn(ps_controller *c)
{
    PS_REQUIRE(!c->applying && c->adding == 0); /* what is applied is all of the clock's */
    c->applying = true;
    return c->pushes ? PS_TURN_APPLY : PS_TURN_NEXT;
}

/* In the gate and with the lock. */
static ps_turn turn_if_over(ps_controller *c)
{
    return is_over(c) ? begin_turn(c) : PS_TURN_NONE;
}

static void turned(ps_controller *c, uint64_t version, ps_clock_reply *reply)
{
    answers a = {0};
    ps_mutex_lock(&c->lock);
    PS_REQUIRE(c->applying && c->adding == 0);
    PS_REQUIRE(c->stopped || ps_clock_members_slowest(c->members, c->clock) >= c->clock);
    a.reply = *reply = (ps_clock_reply){.version = version, .slowest_clock = c->clock};
    c->clock++;
    c->pushes = 0;
    c->applying = false;
    if (c->stopped)
        answer_all(c, PS_CANCELLED, "the job has ended", &a);
    else
        answer_all(c, PS_OK, NULL, &a);
    pthread_cond_broadcast(&c->opened);
    ps_mutex_unlock(&c->lock);
    give_answers(&a);
}

static void enter(ps_controller *c)
{
    ps_mutex_lock(&c->lock);
    while (c->applying)
        ps_mutex_wait(&c->lock, &c->opened);
}

static void leave_all(ps_controller *c, answers *a)
{
    ps_mutex_require_held(&c->lock);
    ps_mutex_unlock(&c->lock);
    give_answers(a);
}

/* ---- pushes ---- */

static ps_status check_clock(const ps_controller *c, uint64_t clock)
{
    ps_mutex_require_held(&c->lock);
    if (clock == 0 || clock == c->clock)
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "push: a gradient of clock %llu, the job is at %llu: call Clock, pull, and go "
                   "on from there",
                   (unsigned long long)clock, (unsigned long long)c->clock);
}

static ps_status check(ps_controller *c, const ps_push_header *header)
{
    ps_mutex_lock(&c->lock);
    ps_status st = check_clock(c, header->clock);
    ps_mutex_unlock(&c->lock);
    return st;
}

static ps_status admit(ps_controller *c, const ps_push_header *header, ps_verdict *out)
{
    enter(c);
    ps_status st = check_clock(c, header->clock);
    if (!st) {
        c->adding++;
        *out = (ps_verdict){.held_clock = c->clock};
    }
    ps_mutex_unlock(&c->lock);
    return st;
}

/* Since it was let in its clock has not ended. */
static void leave_adding(ps_controller *c)
{
    PS_REQUIRE(c->adding > 0 && !c->applying);
    c->adding--;
}

static ps_turn withdraw(ps_controller *c)
{
    ps_mutex_lock(&c->lock);
    leave_adding(c);
    ps_turn turn = turn_if_over(c);
    ps_mutex_unlock(&c->lock);
    return turn;
}

/* A push of one that is not a member may come last, too. */
static ps_turn added(ps_controller *c, const char *client, bool whole)
{
    ps_mutex_lock(&c->lock);
    leave_adding(c);
    c->pushes++;
    ps_clock_member *member = ps_clock_members_find(c->members, client);
    if (member && whole)
        member->pushed = c->clock;
    ps_turn turn = turn_if_over(c);
    ps_mutex_unlock(&c->lock);
    return turn;
}

/* ---- members ---- */

static ps_status add_member(ps_controller *c, const char *name, ps_clock_member **out)
{
    ps_mutex_require_held(&c->lock);
    bool under_way = c->pushes > 0 || c->adding > 0;
    for (size_t i = 0; i < ps_clock_members_count(c->members); i++)
        under_way |= ps_clock_members_at(c->members, i)->ended >= c->clock;
    bool next = under_way && ps_clock_members_count(c->members) > 0;
    return ps_clock_members_add(c->members, name, next ? c->clock : c->clock - 1, out);
}

/* The task it had before is over. Of the clock that is open it did what it pushed, and no more. */
static void change_task(ps_controller *c, ps_clock_member *member, answers *a)
{
    ps_mutex_require_held(&c->lock);
    answer_later(a, member, PS_ABORTED, "the worker has another task of the job");
    if (member->pushed == c->clock && member->ended < c->clock)
        member->ended = c->clock;
}

static ps_status join(ps_controller *c, const char *name, uint64_t lease, uint64_t *first_clock,
                      ps_turn *turn)
{
    answers a = {0};
    ps_status st = PS_OK;
    enter(c);
    ps_clock_member *member = ps_clock_members_find(c->members, name);
    if (!member)
        st = add_member(c, name, &member);
    else if (member->lease != lease)
        change_task(c, member, &a);
    if (!st) {
        member->lease = lease;
        *first_clock = member->ended + 1;
        c->abandoned = false;
        *turn = turn_if_over(c);
    }
    leave_all(c, &a);
    return st;
}

static ps_turn leave(ps_controller *c, const char *name)
{
    answers a = {0};
    ps_turn turn = PS_TURN_NONE;
    enter(c);
    ps_clock_member *member = ps_clock_members_find(c->members, name);
    if (member) {
        answer_later(&a, member, PS_ABORTED, "the member has left the job");
        ps_clock_members_remove(c->members, name);
        c->abandoned = ps_clock_members_count(c->members) == 0;
        turn = turn_if_over(c);
    }
    leave_all(c, &a);
    return turn;
}

/* The member has ended a clock; answered when its next one is open: now, if this ended it for all.
 */
static ps_status end_of(ps_controller *c, const ps_clock_end *end, ps_clock_waiter waiter,
                        bool *parked, ps_turn *turn, answers *a)
{
    ps_mutex_require_held(&c->lock);
    PS_REQUIRE(!c->applying);
    uint64_t clock = end->clock;
    ps_clock_member *member;
    if (c->stopped)
        return ps_fail(PS_FAILED_PRECONDITION, "the job has ended");
    ps_status st = ps_clock_members_enter(c->members, end->member, end->lease, &member);
    if (st)
        return st;
    if (clock > member->ended + 1 || (clock == member->ended + 1 && clock > c->clock))
        return ps_fail(PS_FAILED_PRECONDITION, "%s: the end of clock %llu, it is at %llu",
                       end->member, (unsigned long long)clock,
                       (unsigned long long)member->ended + 1);
    answer_later(a, member, PS_ABORTED, "another call of the same member took its place");
    if (clock == member->ended + 1)
        member->ended = clock;
    PS_REQUIRE(member->ended <= c->clock); /* nobody is ahead of the clock that is open */
    *turn = turn_if_over(c);
    *parked = !*turn && member->ended >= c->clock;
    PS_REQUIRE(!*parked || waiter.cb); /* and there is nobody else to be answered in its place */
    PS_REQUIRE(!member->waiter.cb);
    if (*parked && c->closed)
        return ps_fail(PS_UNAVAILABLE, "psd is stopping");
    if (*parked)
        member->waiter = waiter;
    return PS_OK;
}

static ps_status clock_ended(ps_controller *c, const ps_clock_end *end, ps_clock_waiter waiter,
                             bool *parked, uint64_t *slowest, ps_turn *turn)
{
    answers a = {0};
    enter(c);
    ps_error error = {0};
    ps_status st = end_of(c, end, waiter, parked, turn, &a);
    *slowest = c->clock - 1;
    if (st)
        ps_error_save(&error, st);
    leave_all(c, &a);
    return st ? ps_error_raise(&error) : PS_OK;
}

static bool clock_cancel(ps_controller *c, const char *name, void *user)
{
    ps_mutex_lock(&c->lock);
    ps_clock_member *member = ps_clock_members_find(c->members, name);
    bool waits = member && member->waiter.cb && member->waiter.user == user;
    if (waits)
        member->waiter = (ps_clock_waiter){0};
    ps_mutex_unlock(&c->lock);
    return waits;
}

static void bsp_close(ps_controller *c)
{
    answers a = {0};
    ps_mutex_lock(&c->lock);
    c->closed = true;
    answer_all(c, PS_UNAVAILABLE, "psd is stopping", &a);
    ps_mutex_unlock(&c->lock);
    give_answers(&a);
}

/* A member that was lost after it had pushed may have left a clock without an end: then it ends
 * here, and a checkpoint has it from now on. */
static ps_turn stop(ps_controller *c)
{
    answers a = {0};
    ps_turn turn = PS_TURN_NONE;
    enter(c);
    c->stopped = true;
    if (c->pushes)
        turn = begin_turn(c);
    else
        answer_all(c, PS_CANCELLED, "the job has ended", &a);
    leave_all(c, &a);
    return turn;
}

static void stats(ps_controller *c, ps_param_stats *out)
{
    ps_mutex_lock(&c->lock);
    out->clock = c->clock - 1;
    out->members = (uint32_t)ps_clock_members_count(c->members);
    ps_mutex_unlock(&c->lock);
}

static uint64_t save(ps_controller *c, ps_buf *out)
{
    uint8_t bytes[8];
    ps_mutex_lock(&c->lock);
    PS_REQUIRE(!c->applying && c->adding == 0); /* the gate is closed: nothing is half way in */
    uint64_t clock = c->clock;
    ps_mutex_unlock(&c->lock);
    ps_put_u64le(bytes, clock);
    ps_buf_append(out, bytes, sizeof bytes);
    return clock;
}

static ps_status load(ps_controller *c, ps_slice bytes)
{
    ps_cursor cursor = ps_cursor_of(bytes);
    uint64_t clock = ps_read_u64le(&cursor);
    if (cursor.failed || ps_cursor_left(&cursor) || clock == 0 || clock > CLOCK_MAX)
        return ps_fail(PS_CORRUPT, "state of bsp: damaged");
    PS_REQUIRE(c->pushes == 0 && ps_clock_members_count(c->members) == 0); /* they join again */
    c->clock = clock;
    return PS_OK;
}

const ps_controller_ops ps_controller_bsp = {
    .name = "bsp",
    .holds = true,
    .create = create,
    .free = bsp_free,
    .check = check,
    .admit = admit,
    .withdraw = withdraw,
    .added = added,
    .join = join,
    .leave = leave,
    .clock = clock_ended,
    .clock_cancel = clock_cancel,
    .close = bsp_close,
    .stop = stop,
    .turned = turned,
    .stats = stats,
    .save = save,
    .load = load,
};
