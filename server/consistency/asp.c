/* asp: asynchronous parallel (Recht et al. 2011, Hogwild): a push is applied when it has come,
 * block by block, beside others; nobody waits for anybody. Clocks are only counted. A member that
 * joins enters after the fastest, so that it does not look like a straggler. Nothing fails but the
 * name of a member. */
#include "common/base/mem.h"
#include "server/consistency/rows.h"
#include "server/consistency/vector_clock.h"
#include "server/params/update.h"

#include <pthread.h>

struct ps_controller {
    ps_param_store *store;
    pthread_mutex_t lock; /* the clock's; not held while parameters change */
    ps_vector_clock *clock;
    uint64_t fastest; /* the highest clock a member has ended */
};

static ps_status create(ps_param_store *store, ps_controller **out)
{
    ps_controller *c = ps_new(ps_controller);
    c->store = store;
    pthread_mutex_init(&c->lock, NULL);
    ps_vector_clock_create(&c->clock);
    *out = c;
    return PS_OK;
}

static void asp_free(ps_controller *c)
{
    ps_vector_clock_free(&c->clock);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static ps_status check(ps_controller *c, const ps_push_header *header)
{
    return PS_OK;
}

typedef struct application {
    ps_update update;
    double scale;
} application;

static void apply_block(void *user, uint64_t block, const ps_block_piece *pieces, size_t n)
{
    application *a = user;
    ps_update_block(&a->update, block, pieces, n, a->scale);
}

static ps_status admit(ps_controller *c, const ps_push_header *header, uint64_t *pending_clock)
{
    return PS_OK;
}

static void withdraw(ps_controller *c)
{
}

static void on_push(ps_controller *c, const ps_push *push, ps_push_reply *out)
{
    application a = {.scale = ps_push_clip_scale(push)};
    ps_update_begin(c->store, ps_push_elements(push), ps_push_rows_before(push), &a.update);
    ps_push_each_block(push, apply_block, &a);
    ps_update_end(&a.update);
    uint64_t before = a.update.version - 1, pulled = ps_push_header_of(push)->pulled_version;
    *out = (ps_push_reply){
        .version = a.update.version,
        .staleness = before > pulled ? before - pulled : 0,
    };
}

static ps_status join(ps_controller *c, const char *name, uint64_t lease, uint64_t *first_clock)
{
    ps_status st = PS_OK;
    pthread_mutex_lock(&c->lock);
    ps_clock_member *member = ps_vector_clock_find(c->clock, name);
    if (!member)
        st = ps_vector_clock_add(c->clock, name, c->fastest, &member);
    if (!st) {
        member->lease = lease;
        *first_clock = member->ended + 1;
    }
    pthread_mutex_unlock(&c->lock);
    return st;
}

static void leave(ps_controller *c, const char *name)
{
    pthread_mutex_lock(&c->lock);
    ps_vector_clock_remove(c->clock, name);
    pthread_mutex_unlock(&c->lock);
}

static ps_status clock_ended(ps_controller *c, const ps_clock_end *end, ps_clock_reply *reply,
                             bool *parked, ps_clock_cb cb, void *user)
{
    pthread_mutex_lock(&c->lock);
    ps_clock_member *member;
    ps_status st = ps_vector_clock_enter(c->clock, end->member, end->lease, &member);
    if (!st) {
        if (end->clock > member->ended)
            member->ended = end->clock;
        if (end->clock > c->fastest)
            c->fastest = end->clock;
        reply->slowest_clock = ps_vector_clock_slowest(c->clock, c->fastest);
    }
    pthread_mutex_unlock(&c->lock);
    if (st)
        return st;
    reply->version = ps_param_store_version(c->store);
    *parked = false;
    return PS_OK;
}

static bool clock_cancel(ps_controller *c, const char *name, void *user)
{
    return false; /* nothing ever waits */
}

static void close_or_stop(ps_controller *c)
{
}

static void stats(ps_controller *c, ps_param_stats *out)
{
    pthread_mutex_lock(&c->lock);
    out->clock = ps_vector_clock_slowest(c->clock, c->fastest);
    out->members = (uint32_t)ps_vector_clock_count(c->clock);
    pthread_mutex_unlock(&c->lock);
}

/* The fastest clock, then how far the schedule is: updates do not tell, they may be parts of steps.
 */
static uint64_t save(ps_controller *c, ps_buf *out)
{
    uint8_t bytes[24];
    uint64_t steps, part;
    ps_update_steps(c->store, &steps, &part);
    ps_put_u64le(bytes + 8, steps);
    ps_put_u64le(bytes + 16, part);
    pthread_mutex_lock(&c->lock);
    ps_put_u64le(bytes, c->fastest);
    pthread_mutex_unlock(&c->lock);
    ps_buf_append(out, bytes, sizeof bytes);
    return 0;
}

static ps_status load(ps_controller *c, ps_slice bytes)
{
    ps_cursor cursor = ps_cursor_of(bytes);
    uint64_t fastest = ps_read_u64le(&cursor);
    if (!cursor.failed && ps_cursor_left(&cursor) == 0) { /* of a psd that took updates for steps */
        c->fastest = fastest;
        return PS_OK;
    }
    uint64_t steps = ps_read_u64le(&cursor), part = ps_read_u64le(&cursor);
    if (cursor.failed || ps_cursor_left(&cursor) || part >= ps_update_elements(c->store))
        return ps_fail(PS_CORRUPT, "state of asp: %zu bytes, must be 24", bytes.len);
    c->fastest = fastest;
    ps_update_restore_steps(c->store, steps, part);
    return PS_OK;
}

static uint64_t bytes_held(ps_controller *c)
{
    return 0;
}

const ps_controller_ops ps_controller_asp = {
    .name = "asp",
    .never_waits = true,
    .create = create,
    .free = asp_free,
    .check = check,
    .admit = admit,
    .withdraw = withdraw,
    .on_push = on_push,
    .join = join,
    .leave = leave,
    .clock = clock_ended,
    .clock_is_quick = true,
    .clock_cancel = clock_cancel,
    .close = close_or_stop,
    .stop = close_or_stop,
    .stats = stats,
    .save = save,
    .load = load,
    .bytes = bytes_held,
};
