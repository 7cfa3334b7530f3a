/* Happy path: a lease begins, pushes are booked under it, it ends with nothing left. What a worker
 * can get wrong is found before anything is booked. */
#include "server/params/ledger.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/params/ledger_private.h"

#include <inttypes.h>
#include <string.h>

enum {
    HALVES_MAX = 4096,
    HALVES_OF_LEASE = 64, /* a worker has two under way at most */
};

void ps_ledger_state_free(ps_ledger_state *state)
{
    ps_row_set_free(&state->done[0]);
    ps_row_set_free(&state->done[1]);
}

void ps_ledger_create(uint64_t n_rows, uint32_t n_epochs, uint64_t blocks, ps_ledger **out)
{
    ps_ledger *l = ps_new(ps_ledger);
    ps_mutex_init(&l->lock);
    l->blocks = blocks;
    l->state.n_rows = n_rows;
    l->state.n_epochs = n_epochs;
    *out = l;
}

static void half_free(ps_ledger_half *half)
{
    free(half->applied);
    free(half->pending);
    free(half->come);
}

void ps_ledger_free(ps_ledger **ledger)
{
    ps_ledger *l = *ledger;
    if (!l)
        return;
    ps_ledger_state_free(&l->state);
    ps_row_set_free(&l->pending[0]);
    ps_row_set_free(&l->pending[1]);
    for (size_t i = 0; i < l->n_halves; i++)
        half_free(&l->halves[i]);
    free(l->halves);
    for (size_t i = 0; i < l->n_leases; i++)
        free(l->leases[i].worker);
    free(l->leases);
    ps_mutex_destroy(&l->lock);
    ps_free(ledger);
}

/* ---- what is done ---- */

static void drop_half(ps_ledger *l, size_t at)
{
    PS_REQUIRE(at < l->n_halves);
    half_free(&l->halves[at]);
    l->halves[at] = l->halves[--l->n_halves];
}

/* Epochs that are done make room for the next. */
static void turn_epochs(ps_ledger *l)
{
    ps_mutex_require_held(&l->lock);
    PS_REQUIRE(l->state.done[0].rows <= l->state.n_rows &&
               l->state.done[1].rows <= l->state.n_rows);
    ps_ledger_state *s = &l->state;
    while (s->done_epochs < s->n_epochs && s->done[0].rows == s->n_rows) {
        ps_row_set_free(&s->done[0]);
        ps_row_set_free(&l->pending[0]);
        s->done[0] = s->done[1];
        l->pending[0] = l->pending[1];
        s->done[1] = l->pending[1] = (ps_row_set){0};
        s->done_epochs++;
    }
}

void ps_ledger_settle(ps_ledger *l)
{
    ps_mutex_require_held(&l->lock);
    for (int k = 0; k < 2; k++) {
        ps_row_set_add_set(&l->state.done[k], &l->pending[k]);
        ps_row_set_free(&l->pending[k]);
    }
    for (size_t i = l->n_halves; i-- > 0;) {
        ps_ledger_half *half = &l->halves[i];
        for (size_t b = 0; b < ps_ledger_bits(l); b++)
            half->applied[b] |= half->pending[b];
        memset(half->pending, 0, ps_ledger_bits(l));
        if (half->whole)
            drop_half(l, i);
    }
    turn_epochs(l);
}

/* Rows of an epoch that are not among the open ones are done, or were never given out. */
static bool is_open(const ps_ledger *l, uint32_t epoch)
{
    const ps_ledger_state *s = &l->state;
    return epoch >= s->done_epochs && epoch - s->done_epochs < 2 && epoch < s->n_epochs;
}

/* What of these rows is neither done nor pending. */
static void rows_left(const ps_ledger *l, uint32_t epoch, ps_row_span rows, ps_row_set *out)
{
    if (!is_open(l, epoch))
        return;
    uint32_t k = epoch - l->state.done_epochs;
    ps_row_set both = {0};
    ps_row_set_add_set(&both, &l->state.done[k]);
    ps_row_set_add_set(&both, &l->pending[k]);
    ps_row_set_gaps(&both, rows.begin, rows.end, out);
    ps_row_set_free(&both);
}

static uint64_t count_done(const ps_ledger *l)
{
    ps_mutex_require_held(&l->lock);
    const ps_ledger_state *s = &l->state;
    return s->done_epochs * s->n_rows + s->done[0].rows + s->done[1].rows;
}

/* Of rows that are done in other portions than they were pushed in, or by a worker who says none:
 * nothing is left to be remembered. */
static void drop_stale(ps_ledger *l, uint32_t epoch, ps_row_span rows)
{
    for (size_t i = l->n_halves; i-- > 0;) {
        const ps_ledger_half *half = &l->halves[i];
        if (!half->whole && half->epoch == epoch && half->rows.begin < rows.end &&
            rows.begin < half->rows.end)
            drop_half(l, i);
    }
}

/* clock 0: at once. */
static void rows_done(ps_ledger *l, uint32_t epoch, ps_row_span rows, uint64_t clock)
{
    if (!is_open(l, epoch))
        return;
    uint32_t k = epoch - l->state.done_epochs;
    ps_row_set_add(clock ? &l->pending[k] : &l->state.done[k], rows.begin, rows.end);
    drop_stale(l, epoch, rows);
    turn_epochs(l);
}

/* ---- leases ---- */

static ps_ledger_lease *find_lease(ps_ledger *l, uint64_t id)
{
    ps_mutex_require_held(&l->lock);
    for (size_t i = 0; i < l->n_leases; i++)
        if (l->leases[i].id == id)
            return &l->leases[i];
    return NULL;
}

void ps_ledger_lease_begin(ps_ledger *l, uint64_t id, uint32_t epoch, ps_row_span rows)
{
    ps_mutex_lock(&l->lock);
    PS_REQUIRE(id != 0 && !find_lease(l, id) && rows.begin < rows.end);
    PS_REQUIRE(!is_open(l, epoch) || rows.end <= l->state.n_rows);
    if (l->n_leases == l->leases_capacity) {
        l->leases_capacity = l->leases_capacity ? 2 * l->leases_capacity : 8;
        l->leases = ps_realloc(l->leases, l->leases_capacity * sizeof *l->leases);
    }
    l->leases[l->n_leases++] =
        (ps_ledger_lease){.id = id, .epoch = epoch, .rows = rows, .words = PS_LEDGER_NO_WORDS};
    ps_mutex_unlock(&l->lock);
}

void ps_ledger_lease_limit(ps_ledger *l, uint64_t id, const char *worker, uint32_t words)
{
    ps_mutex_lock(&l->lock);
    ps_ledger_lease *lease = find_lease(l, id);
    PS_REQUIRE(lease && !lease->worker);
    lease->worker = ps_strdup(worker);
    lease->words = words;
    ps_mutex_unlock(&l->lock);
}

uint64_t ps_ledger_lease_report(ps_ledger *l, uint64_t id, uint64_t position)
{
    ps_mutex_lock(&l->lock);
    const ps_ledger_lease *lease = find_lease(l, id);
    if (lease && !lease->says && position > lease->rows.begin && position <= lease->rows.end)
        rows_done(l, lease->epoch, (ps_row_span){lease->rows.begin, position}, 0);
    if (lease) {
        ps_row_set left = {0};
        rows_left(l, lease->epoch, lease->rows, &left);
        position = left.n ? left.list[0].begin : lease->rows.end;
        ps_row_set_free(&left);
    }
    ps_mutex_unlock(&l->lock);
    return position;
}

bool ps_ledger_lease_end(ps_ledger *l, uint64_t id, bool done, ps_row_set *left)
{
    ps_mutex_lock(&l->lock);
    ps_ledger_lease *lease = find_lease(l, id);
    bool known = lease != NULL;
    if (known) {
        if (done && !lease->says)
            rows_done(l, lease->epoch, lease->rows, 0);
        rows_left(l, lease->epoch, lease->rows, left);
        free(lease->worker);
        *lease = l->leases[--l->n_leases];
    }
    ps_mutex_unlock(&l->lock);
    return known;
}

/* ---- pushes ---- */

static ps_status has_ended(uint64_t lease)
{
    return ps_fail(PS_PERMISSION_DENIED, "lease %" PRIu64 " has ended", lease);
}

ps_status ps_ledger_check(ps_ledger *l, uint64_t lease, const char *client)
{
    if (lease == 0)
        return PS_OK;
    ps_mutex_lock(&l->lock);
    const ps_ledger_lease *known = find_lease(l, lease);
    bool others = known && known->worker && strcmp(known->worker, client) != 0;
    ps_mutex_unlock(&l->lock);
    if (others)
        return ps_fail(PS_PERMISSION_DENIED, "lease %" PRIu64 " is not %s's", lease, client);
    return known ? PS_OK : has_ended(lease);
}

uint32_t ps_ledger_lease_epoch(ps_ledger *l, uint64_t lease)
{
    ps_mutex_lock(&l->lock);
    const ps_ledger_lease *known = find_lease(l, lease);
    uint32_t epoch = known ? known->epoch : 0;
    ps_mutex_unlock(&l->lock);
    return epoch;
}

bool ps_ledger_may_set(ps_ledger *l, uint64_t lease, uint32_t tensor)
{
    ps_mutex_lock(&l->lock);
    const ps_ledger_lease *known = find_lease(l, lease);
    bool may = known && known->words == tensor && tensor != PS_LEDGER_NO_WORDS;
    ps_mutex_unlock(&l->lock);
    return may;
}

ps_ledger_half *ps_ledger_half_add(ps_ledger *l, uint32_t epoch, ps_row_span rows)
{
    ps_mutex_require_held(&l->lock);
    if (l->n_halves == l->halves_capacity) {
        l->halves_capacity = l->halves_capacity ? 2 * l->halves_capacity : 8;
        l->halves = ps_realloc(l->halves, l->halves_capacity * sizeof *l->halves);
    }
    ps_ledger_half *half = &l->halves[l->n_halves++];
    *half = (ps_ledger_half){.epoch = epoch, .rows = rows};
    half->applied = ps_alloc(ps_ledger_bits(l));
    half->pending = ps_alloc(ps_ledger_bits(l));
    half->come = ps_alloc(ps_ledger_bits(l));
    return half;
}

static ps_ledger_half *find_half(ps_ledger *l, uint32_t epoch, ps_row_span rows)
{
    ps_mutex_require_held(&l->lock);
    for (size_t i = 0; i < l->n_halves; i++) {
        ps_ledger_half *half = &l->halves[i];
        if (!half->whole && half->epoch == epoch && half->rows.begin == rows.begin &&
            half->rows.end == rows.end)
            return half;
    }
    return NULL;
}

static ps_status check_rows(const ps_ledger *l, const ps_ledger_lease *lease, ps_row_span rows)
{
    if (rows.begin >= rows.end || rows.begin < lease->rows.begin || rows.end > lease->rows.end)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "push: rows %" PRIu64 "..%" PRIu64 ", the task has %" PRIu64 "..%" PRIu64,
                       rows.begin, rows.end, lease->rows.begin, lease->rows.end);
    uint32_t k = lease->epoch - l->state.done_epochs;
    if (!is_open(l, lease->epoch) || ps_row_set_meets(&l->state.done[k], rows.begin, rows.end) ||
        ps_row_set_meets(&l->pending[k], rows.begin, rows.end))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "push: rows %" PRIu64 "..%" PRIu64 " of epoch %u are in the parameters "
                       "already",
                       rows.begin, rows.end, lease->epoch + 1);
    return PS_OK;
}

/* What of the push is new; the blocks that had these rows are left out. false: all of it has come
 * before with a part of the same gradient. */
static bool mark_blocks(const ps_ledger *l, const ps_ledger_push *push, ps_ledger_half *half)
{
    bool fresh = false;
    uint8_t *bits = push->clock ? half->pending : half->applied;
    for (size_t i = 0; i < push->n_blocks; i++) {
        uint64_t b = push->blocks[i];
        PS_REQUIRE(b < l->blocks && (i == 0 || b > push->blocks[i - 1]));
        uint8_t bit = (uint8_t)(1u << b % 8);
        push->left_out[i] = ((half->applied[b / 8] | half->pending[b / 8]) & bit) != 0;
        bits[b / 8] |= bit;
        fresh |= !(half->come[b / 8] & bit);
        half->come[b / 8] |= bit;
    }
    return fresh;
}

/* One of several pushes of a gradient, or one of rows that some blocks have. */
static bool book_part(ps_ledger *l, const ps_ledger_push *push, uint32_t epoch,
                      ps_ledger_half *half)
{
    if (!half)
        half = ps_ledger_half_add(l, epoch, push->rows);
    if (half->lease != push->lease || half->clock != push->clock) {
        half->parts = 0; /* computed again, from the first part on */
        memset(half->come, 0, ps_ledger_bits(l));
    }
    half->lease = push->lease;
    half->clock = push->clock;
    half->parts += mark_blocks(l, push, half);
    uint32_t parts = push->parts ? push->parts : 1;
    if (half->parts < parts)
        return false;
    half->whole = true;
    if (!push->clock)
        drop_half(l, (size_t)(half - l->halves));
    return true;
}

/* One that a task that has ended left gives way: should its rows be computed again, some blocks get
 * them twice, which is better than that nobody can go on. What waits for its clock stays. */
static bool make_room(ps_ledger *l)
{
    for (size_t i = 0; i < l->n_halves; i++) {
        const ps_ledger_half *half = &l->halves[i];
        bool waits = half->clock && half->clock == l->clock;
        if (waits || find_lease(l, half->lease))
            continue;
        drop_half(l, i);
        return true;
    }
    return false;
}

/* Is there room for one more, of this lease? */
static ps_status check_room(ps_ledger *l, uint64_t lease)
{
    size_t own = 0;
    for (size_t i = 0; i < l->n_halves; i++)
        own += l->halves[i].lease == lease;
    if (own >= HALVES_OF_LEASE)
        return ps_fail(PS_RESOURCE_EXHAUSTED,
                       "push: %d gradients of lease %" PRIu64 " have come in part; send the rest "
                       "of them first",
                       HALVES_OF_LEASE, lease);
    if (l->n_halves < HALVES_MAX || make_room(l))
        return PS_OK;
    return ps_fail(PS_RESOURCE_EXHAUSTED, "push: %d gradients have come in part", HALVES_MAX);
}

static ps_status book(ps_ledger *l, const ps_ledger_push *push, bool *whole)
{
    ps_ledger_lease *lease = find_lease(l, push->lease);
    if (!lease)
        return has_ended(push->lease);
    if (push->rows.end == 0)
        return PS_OK;
    ps_status st = check_rows(l, lease, push->rows);
    if (st)
        return st;
    ps_ledger_half *half = find_half(l, lease->epoch, push->rows);
    bool at_once = !half && push->parts <= 1;
    if (!half && !at_once)
        st = check_room(l, push->lease);
    if (st)
        return st;
    lease->says = true;
    *whole = at_once || book_part(l, push, lease->epoch, half);
    if (!*whole)
        return PS_OK;
    uint64_t before = count_done(l);
    rows_done(l, lease->epoch, push->rows, push->clock);
    PS_REQUIRE(push->clock ||
               count_done(l) == before + push->rows.end - push->rows.begin); /* once */
    return PS_OK;
}

ps_status ps_ledger_book(ps_ledger *l, const ps_ledger_push *push, uint64_t *rows_before,
                         bool *whole)
{
    ps_status st = PS_OK;
    *whole = true;
    for (size_t i = 0; i < push->n_blocks; i++)
        push->left_out[i] = false;
    ps_mutex_lock(&l->lock);
    if (push->clock > l->clock) {
        ps_ledger_settle(l);
        l->clock = push->clock;
    }
    *rows_before = count_done(l);
    if (push->lease)
        st = book(l, push, whole);
    ps_mutex_unlock(&l->lock);
    return st;
}

bool ps_ledger_has_halves(ps_ledger *l, uint64_t clock)
{
    bool some = false;
    ps_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n_halves; i++)
        some |= !l->halves[i].whole && l->halves[i].clock == clock;
    ps_mutex_unlock(&l->lock);
    return some;
}

/* ---- what others are told ---- */

bool ps_ledger_all_booked(ps_ledger *l)
{
    ps_mutex_lock(&l->lock);
    uint64_t total = l->state.n_epochs * l->state.n_rows;
    bool all = total > 0 && count_done(l) + l->pending[0].rows + l->pending[1].rows >= total;
    ps_mutex_unlock(&l->lock);
    return all;
}

uint64_t ps_ledger_rows_done(ps_ledger *l, uint64_t *total)
{
    ps_mutex_lock(&l->lock);
    uint64_t done = count_done(l);
    *total = l->state.n_epochs * l->state.n_rows;
    ps_mutex_unlock(&l->lock);
    return done;
}

void ps_ledger_state_get(ps_ledger *l, ps_ledger_state *out)
{
    ps_mutex_lock(&l->lock);
    *out = l->state;
    for (int k = 0; k < 2; k++) {
        out->done[k] = (ps_row_set){0};
        ps_row_set_add_set(&out->done[k], &l->state.done[k]);
        ps_row_set_add_set(&out->done[k], &l->pending[k]);
    }
    ps_mutex_unlock(&l->lock);
}

void ps_ledger_adopt(ps_ledger *l, ps_ledger_state *state)
{
    ps_mutex_lock(&l->lock);
    PS_REQUIRE(l->n_leases == 0 && l->n_halves == 0 && count_done(l) == 0);
    ps_ledger_state_free(&l->state);
    l->state = *state;
    turn_epochs(l);
    ps_mutex_unlock(&l->lock);
    *state = (ps_ledger_state){0};
}
