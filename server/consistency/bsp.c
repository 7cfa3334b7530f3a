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
 * Locks: the store's gate is entered before `lock`, and the sums have locks of their own. Nothing
 * fails here but what a worker got wrong. */
#include "common/base/mem.h"
#include "server/consistency/accumulator.h"
#include "server/consistency/rows.h"
#include "server/consistency/vector_clock.h"

#include <assert.h>
#include <pthread.h>

struct ps_controller {
    ps_param_store *store;
    ps_accumulator *sums;
    pthread_mutex_t lock;
    pthread_cond_t opened; /* `applying` ended */
    ps_vector_clock *members;
    uint64_t clock;  /* the one that is open, from 1 */
    uint32_t adding; /* pushes being added */
    uint64_t pushes; /* added in this clock */
    bool applying;
    bool abandoned; /* the last member has left: what was pushed is all that this clock gets */
    bool closed;    /* nobody is kept waiting any more */
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

static ps_status create(ps_param_store *store, ps_controller **out)
{
    ps_accumulator *sums;
    ps_status st = ps_accumulator_create(store, &sums);
    if (st)
        return st;
    ps_controller *c = ps_new(ps_controller);
    c->store = store;
    c->sums = sums;
    c->clock = 1;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->opened, NULL);
    ps_vector_clock_create(&c->members);
    *out = c;
    return PS_OK;
}

static void answer_all(ps_controller *c, ps_status status, const char *why, answers *a);

static void bsp_free(ps_controller *c)
{
    answers a = {0};
    answer_all(c, PS_CANCELLED, "the job has ended", &a);
    give_answers(&a);
    ps_accumulator_free(&c->sums);
    ps_vector_clock_free(&c->members);
    pthread_cond_destroy(&c->opened);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- the end of a clock ---- */

static bool is_over(const ps_controller *c)
{
    if (c->stopped || c->applying || c->adding > 0)
        return false;
    if (ps_vector_clock_count(c->members) == 0)
        return c->abandoned && c->pushes > 0 && !ps_update_has_halves(c->store, c->clock);
    return ps_vector_clock_slowest(c->members, 0) >= c->clock;
}

static ps_clock_reply reply_now(ps_controller *c)
{
    return (ps_clock_reply){
        .version = ps_param_store_version(c->store),
        .slowest_clock = c->clock - 1,
    };
}

static void apply_sums(ps_controller *c)
{
    if (!c->pushes)
        return;
    c->applying = true;
    pthread_mutex_unlock(&c->lock);
    ps_accumulator_apply(c->sums);
    pthread_mutex_lock(&c->lock);
    c->applying = false;
    c->pushes = 0;
}

/* In the gate and with the lock, which is let go while the update is applied. */
static void end_clock_if_over(ps_controller *c, answers *a)
{
    if (!is_over(c))
        return;
    apply_sums(c);
    c->clock++;
    a->reply = reply_now(c);
    for (size_t i = 0; i < ps_vector_clock_count(c->members); i++)
        answer_later(a, ps_vector_clock_at(c->members, i), PS_OK, NULL);
    pthread_cond_broadcast(&c->opened);
}

/* The gate first: whoever waits for `opened` inside it then waits for one that is inside, too. */
static void enter(ps_controller *c)
{
    ps_update_enter(c->store);
    pthread_mutex_lock(&c->lock);
    while (c->applying)
        pthread_cond_wait(&c->opened, &c->lock);
}

static void leave_all(ps_controller *c, answers *a)
{
    pthread_mutex_unlock(&c->lock);
    ps_update_leave(c->store);
    give_answers(a);
}

/* ---- pushes ---- */

static ps_status check_clock(const ps_controller *c, uint64_t clock)
{
    if (clock == 0 || clock == c->clock)
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "push: a gradient of clock %llu, the job is at %llu: call Clock, pull, and go "
                   "on from there",
                   (unsigned long long)clock, (unsigned long long)c->clock);
}

static ps_status check(ps_controller *c, const ps_push_header *header)
{
    pthread_mutex_lock(&c->lock);
    ps_status st = check_clock(c, header->clock);
    pthread_mutex_unlock(&c->lock);
    return st;
}

/* No clock ends between this and on_push or withdraw. */
static ps_status admit(ps_controller *c, const ps_push_header *header, uint64_t *pending_clock)
{
    pthread_mutex_lock(&c->lock);
    while (c->applying)
        pthread_cond_wait(&c->opened, &c->lock);
    ps_status st = check_clock(c, header->clock);
    if (!st) {
        c->adding++;
        *pending_clock = c->clock;
    }
    pthread_mutex_unlock(&c->lock);
    return st;
}

static void withdraw(ps_controller *c)
{
    answers a = {0};
    pthread_mutex_lock(&c->lock);
    c->adding--;
    end_clock_if_over(c, &a);
    pthread_mutex_unlock(&c->lock);
    give_answers(&a);
}

static void on_push(ps_controller *c, const ps_push *push, ps_push_reply *out)
{
    const ps_push_header *header = ps_push_header_of(push);
    ps_accumulator_add(c->sums, push, header->weight);

    out->version = ps_update_count(c->store); /* no clock ends while this one is being added */
    out->staleness =
        out->version > header->pulled_version ? out->version - header->pulled_version : 0;
    answers a = {0};
    pthread_mutex_lock(&c->lock);
    c->adding--;
    c->pushes++;
    ps_clock_member *member = ps_vector_clock_find(c->members, ps_push_client(push));
    if (member && ps_push_is_whole(push))
        member->pushed = c->clock;
    end_clock_if_over(c, &a); /* a push of one that is not a member may come last */
    pthread_mutex_unlock(&c->lock);
    give_answers(&a);
}

/* ---- members ---- */

static ps_status add_member(ps_controller *c, const char *name, ps_clock_member **out)
{
    bool under_way = c->pushes > 0 || c->adding > 0;
    for (size_t i = 0; i < ps_vector_clock_count(c->members); i++)
        under_way |= ps_vector_clock_at(c->members, i)->ended >= c->clock;
    bool next = under_way && ps_vector_clock_count(c->members) > 0;
    return ps_vector_clock_add(c->members, name, next ? c->clock : c->clock - 1, out);
}

/* The task it had before is over. Of the clock that is open it did what it pushed, and no more. */
static void change_task(ps_controller *c, ps_clock_member *member, answers *a)
{
    answer_later(a, member, PS_ABORTED, "the worker has another task of the job");
    if (member->pushed == c->clock && member->ended < c->clock)
        member->ended = c->clock;
}

static ps_status join(ps_controller *c, const char *name, uint64_t lease, uint64_t *first_clock)
{
    answers a = {0};
    ps_status st = PS_OK;
    enter(c);
    ps_clock_member *member = ps_vector_clock_find(c->members, name);
    if (!member)
        st = add_member(c, name, &member);
    else if (member->lease != lease)
        change_task(c, member, &a);
    if (!st) {
        member->lease = lease;
        *first_clock = member->ended + 1;
        c->abandoned = false;
        end_clock_if_over(c, &a);
    }
    leave_all(c, &a);
    return st;
}

static void leave(ps_controller *c, const char *name)
{
    answers a = {0};
    enter(c);
    ps_clock_member *member = ps_vector_clock_find(c->members, name);
    if (member) {
        answer_later(&a, member, PS_ABORTED, "the member has left the job");
        ps_vector_clock_remove(c->members, name);
        c->abandoned = ps_vector_clock_count(c->members) == 0;
        end_clock_if_over(c, &a);
    }
    leave_all(c, &a);
}

/* The member has ended `clock`; answered when its next one is open. */
static ps_status end_of(ps_controller *c, const ps_clock_end *end, answers *a,
                        ps_clock_reply *reply, bool *parked, ps_clock_waiter waiter)
{
    uint64_t clock = end->clock;
    ps_clock_member *member;
    if (c->stopped)
        return ps_fail(PS_FAILED_PRECONDITION, "the job has ended");
    ps_status st = ps_vector_clock_enter(c->members, end->member, end->lease, &member);
    if (st)
        return st;
    if (clock > member->ended + 1 || (clock == member->ended + 1 && clock > c->clock))
        return ps_fail(PS_FAILED_PRECONDITION, "%s: the end of clock %llu, it is at %llu",
                       end->member, (unsigned long long)clock,
                       (unsigned long long)member->ended + 1);
    answer_later(a, member, PS_ABORTED, "another call of the same member took its place");
    if (clock == member->ended + 1)
        member->ended = clock;
    end_clock_if_over(c, a);
    *parked = member->ended >= c->clock;
    if (*parked && c->closed)
        return ps_fail(PS_UNAVAILABLE, "psd is stopping");
    if (*parked)
        member->waiter = waiter;
    else
        *reply = reply_now(c);
    return PS_OK;
}

static ps_status clock_ended(ps_controller *c, const ps_clock_end *end, ps_clock_reply *reply,
                             bool *parked, ps_clock_cb cb, void *user)
{
    answers a = {0};
    enter(c);
    ps_error error = {0};
    ps_status st = end_of(c, end, &a, reply, parked, (ps_clock_waiter){cb, user});
    if (st)
        ps_error_save(&error, st);
    leave_all(c, &a);
    return st ? ps_error_raise(&error) : PS_OK;
}

static bool clock_cancel(ps_controller *c, const char *name, void *user)
{
    pthread_mutex_lock(&c->lock);
    ps_clock_member *member = ps_vector_clock_find(c->members, name);
    bool waits = member && member->waiter.cb && member->waiter.user == user;
    if (waits)
        member->waiter = (ps_clock_waiter){0};
    pthread_mutex_unlock(&c->lock);
    return waits;
}

static void answer_all(ps_controller *c, ps_status status, const char *why, answers *a)
{
    for (size_t i = 0; i < ps_vector_clock_count(c->members); i++)
        answer_later(a, ps_vector_clock_at(c->members, i), status, why);
}

static void bsp_close(ps_controller *c)
{
    answers a = {0};
    pthread_mutex_lock(&c->lock);
    c->closed = true;
    answer_all(c, PS_UNAVAILABLE, "psd is stopping", &a);
    pthread_mutex_unlock(&c->lock);
    give_answers(&a);
}

/* A member that was lost after it had pushed may have left a clock without an end. */
static void stop(ps_controller *c)
{
    answers a = {0};
    enter(c);
    if (c->pushes) {
        apply_sums(c);
        c->clock++; /* a checkpoint has it from now on */
    }
    c->stopped = true;
    answer_all(c, PS_CANCELLED, "the job has ended", &a);
    pthread_cond_broadcast(&c->opened);
    leave_all(c, &a);
}

static void stats(ps_controller *c, ps_param_stats *out)
{
    pthread_mutex_lock(&c->lock);
    out->clock = c->clock - 1;
    out->members = (uint32_t)ps_vector_clock_count(c->members);
    pthread_mutex_unlock(&c->lock);
}

static uint64_t save(ps_controller *c, ps_buf *out)
{
    uint8_t bytes[8];
    pthread_mutex_lock(&c->lock);
    uint64_t clock = c->clock;
    pthread_mutex_unlock(&c->lock);
    ps_put_u64le(bytes, clock);
    ps_buf_append(out, bytes, sizeof bytes);
    return clock;
}

static ps_status load(ps_controller *c, ps_slice bytes)
{
    ps_cursor cursor = ps_cursor_of(bytes);
    uint64_t clock = ps_read_u64le(&cursor);
    if (cursor.failed || ps_cursor_left(&cursor) || clock == 0)
        return ps_fail(PS_CORRUPT, "state of bsp: damaged");
    c->clock = clock;
    return PS_OK;
}

static uint64_t bytes_held(ps_controller *c)
{
    return ps_accumulator_bytes(c->sums);
}

const ps_controller_ops ps_controller_bsp = {
    .name = "bsp",
    .create = create,
    .free = bsp_free,
    .check = check,
    .admit = admit,
    .withdraw = withdraw,
    .on_push = on_push,
    .join = join,
    .leave = leave,
    .clock = clock_ended,
    .clock_cancel = clock_cancel,
    .close = bsp_close,
    .stop = stop,
    .stats = stats,
    .save = save,
    .load = load,
    .bytes = bytes_held,
};
