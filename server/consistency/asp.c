/* asp: asynchronous parallel (Recht et al. 2011, Hogwild): a push is applied when it has come,
 * block by block, beside others; nobody waits for anybody. Clocks are only counted. A member that
 * joins enters after the fastest, so that it does not look like a straggler. Nothing fails but the
 * name of a member. */
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "server/consistency/clock_members.h"
#include "server/consistency/rows.h"

struct ps_controller {
    ps_mutex lock; /* not held while parameters change */
    ps_clock_members *members;
    uint64_t fastest; /* the highest clock a member has ended */
};

static ps_status create(const ps_consistency_options *options, ps_ledger *ledger,
                        ps_controller **out)
{
    ps_controller *c = ps_new(ps_controller);
    ps_mutex_init(&c->lock);
    ps_clock_members_create(&c->members);
    *out = c;
    return PS_OK;
}

static void asp_free(ps_controller *c)
{
    ps_clock_members_free(&c->members);
    ps_mutex_destroy(&c->lock);
    free(c);
}

static ps_status check(ps_controller *c, const ps_push_header *header)
{
    return PS_OK;
}

/* "This approach is asynchronous in two distinct aspects: the model replicas run independently of
 * each other, and the parameter server shards also run independently of one another." (Dean et al.,
 * Large Scale Distributed Deep Networks, 2012, section 4.1) So every push, and at once. */
static ps_status admit(ps_controller *c, const ps_push_header *header, ps_verdict *out)
{
    *out = (ps_verdict){.held_clock = 0};
    return PS_OK;
}

static ps_turn added(ps_controller *c, const char *client, bool whole)
{
    return PS_TURN_NONE;
}

static ps_status join(ps_controller *c, const char *name, uint64_t lease, uint64_t *first_clock,
                      ps_turn *turn)
{
    ps_status st = PS_OK;
    ps_mutex_lock(&c->lock);
    ps_clock_member *member = ps_clock_members_find(c->members, name);
    if (!member)
        st = ps_clock_members_add(c->members, name, c->fastest, &member);
    if (!st) {
        member->lease = lease;
        *first_clock = member->ended + 1;
    }
    ps_mutex_unlock(&c->lock);
    return st;
}

static ps_turn leave(ps_controller *c, const char *name)
{
    ps_mutex_lock(&c->lock);
    ps_clock_members_remove(c->members, name);
    ps_mutex_unlock(&c->lock);
    return PS_TURN_NONE;
}

static ps_status clock_ended(ps_controller *c, const ps_clock_end *end, ps_clock_waiter waiter,
                             bool *parked, uint64_t *slowest, ps_turn *turn)
{
    ps_mutex_lock(&c->lock);
    ps_clock_member *member;
    ps_status st = ps_clock_members_enter(c->members, end->member, end->lease, &member);
    if (!st) {
        if (end->clock > member->ended)
            member->ended = end->clock;
        if (end->clock > c->fastest)
            c->fastest = end->clock;
        *slowest = ps_clock_members_slowest(c->members, c->fastest);
        PS_REQUIRE(*slowest <= member->ended && member->ended <= c->fastest);
    }
    ps_mutex_unlock(&c->lock);
    *parked = false;
    return st;
}

static bool clock_cancel(ps_controller *c, const char *name, void *user)
{
    return false; /* nothing ever waits */
}

static void asp_close(ps_controller *c)
{
}

/* Also when a push that was let in goes out again: nothing waits for either. */
static ps_turn stop(ps_controller *c)
{
    return PS_TURN_NONE;
}

static void stats(ps_controller *c, ps_param_stats *out)
{
    ps_mutex_lock(&c->lock);
    out->clock = ps_clock_members_slowest(c->members, c->fastest);
    out->members = (uint32_t)ps_clock_members_count(c->members);
    ps_mutex_unlock(&c->lock);
}

static uint64_t save(ps_controller *c, ps_buf *out)
{
    uint8_t bytes[8];
    ps_mutex_lock(&c->lock);
    ps_put_u64le(bytes, c->fastest);
    ps_mutex_unlock(&c->lock);
    ps_buf_append(out, bytes, sizeof bytes);
    return 0;
}

static ps_status load(ps_controller *c, ps_slice bytes)
{
    ps_cursor cursor = ps_cursor_of(bytes);
    uint64_t fastest = ps_read_u64le(&cursor);
    if (cursor.failed || ps_cursor_left(&cursor))
        return ps_fail(PS_CORRUPT, "state of asp: %zu bytes, must be 8", bytes.len);
    PS_REQUIRE(ps_clock_members_count(c->members) == 0); /* they join again */
    c->fastest = fastest;
    return PS_OK;
}

const ps_controller_ops ps_controller_asp = {
    .name = "asp",
    .clock_is_quick = true,
    .create = create,
    .free = asp_free,
    .check = check,
    .admit = admit,
    .withdraw = stop,
    .added = added,
    .join = join,
    .leave = leave,
    .clock = clock_ended,
    .clock_cancel = clock_cancel,
    .close = asp_close,
    .stop = stop,
    .stats = stats,
    .save = save,
    .load = load,
};
