/* The ledger in a checkpoint, little-endian: version, rows of an epoch, epochs, epochs done; for
 * the two open ones how many ranges, each begin and end; how many halves, each epoch, begin, end
 * and a bit a block, all u64 but the bits. Reading fails on bytes that are not such. */
#include "server/params/ledger_private.h"

#include <string.h>

enum { VERSION = 1 };
#define ROWS_MAX ((uint64_t)1 << 48)

static void put_set(ps_buf *out, const ps_row_set *set)
{
    ps_buf_put_u64le(out, set->n);
    for (size_t i = 0; i < set->n; i++) {
        ps_buf_put_u64le(out, set->list[i].begin);
        ps_buf_put_u64le(out, set->list[i].end);
    }
}

/* One that no block has is none. */
static bool half_counts(const ps_ledger *l, const ps_ledger_half *half)
{
    bool some = false;
    for (size_t i = 0; i < ps_ledger_bits(l); i++)
        some |= half->applied[i] != 0;
    return some;
}

static void put_halves(const ps_ledger *l, ps_buf *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < l->n_halves; i++)
        n += half_counts(l, &l->halves[i]);
    ps_buf_put_u64le(out, n);
    for (size_t i = 0; i < l->n_halves; i++) {
        const ps_ledger_half *half = &l->halves[i];
        if (!half_counts(l, half))
            continue;
        ps_buf_put_u64le(out, half->epoch);
        ps_buf_put_u64le(out, half->rows.begin);
        ps_buf_put_u64le(out, half->rows.end);
        ps_buf_append(out, half->applied, ps_ledger_bits(l));
    }
}

/* What is pending is left out: it is of the clock that has not ended. */
void ps_ledger_save(ps_ledger *l, uint64_t unfinished_clock, ps_buf *out)
{
    ps_mutex_lock(&l->lock);
    if (unfinished_clock != l->clock)
        ps_ledger_settle(l);
    ps_buf_put_u64le(out, VERSION);
    ps_buf_put_u64le(out, l->state.n_rows);
    ps_buf_put_u64le(out, l->state.n_epochs);
    ps_buf_put_u64le(out, l->state.done_epochs);
    put_set(out, &l->state.done[0]);
    put_set(out, &l->state.done[1]);
    put_halves(l, out);
    ps_mutex_unlock(&l->lock);
}

/* ---- reading ---- */

static bool read_span(ps_cursor *c, uint64_t n_rows, ps_row_span *out)
{
    out->begin = ps_read_u64le(c);
    out->end = ps_read_u64le(c);
    return !c->failed && out->begin < out->end && out->end <= n_rows;
}

/* Ascending, with a gap between any two. */
static bool read_set(ps_cursor *c, uint64_t n_rows, ps_row_set *out)
{
    uint64_t n = ps_read_u64le(c);
    if (c->failed || n > ps_cursor_left(c) / 16)
        return false;
    for (uint64_t i = 0; i < n; i++) {
        ps_row_span span;
        if (!read_span(c, n_rows, &span) || (i && span.begin <= out->list[out->n - 1].end))
            return false;
        ps_row_set_add(out, span.begin, span.end);
    }
    return true;
}

/* Is something of these rows done? epoch: none after the open ones. */
static bool any_done(const ps_ledger_state *s, uint64_t epoch, ps_row_span rows)
{
    return epoch < s->done_epochs ||
           ps_row_set_meets(&s->done[epoch - s->done_epochs], rows.begin, rows.end);
}

/* A psd of before kept some of rows that were done since: they say nothing any more. */
static bool read_half(ps_cursor *c, ps_ledger *l)
{
    const ps_ledger_state *s = &l->state;
    uint64_t epoch = ps_read_u64le(c);
    ps_row_span rows;
    if (!read_span(c, s->n_rows, &rows) || epoch >= s->n_epochs || epoch > s->done_epochs + 1)
        return false;
    ps_slice bits = ps_read_bytes(c, ps_ledger_bits(l));
    if (c->failed)
        return false;
    if (any_done(s, epoch, rows))
        return true;
    ps_ledger_half *half = ps_ledger_half_add(l, (uint32_t)epoch, rows);
    memcpy(half->applied, bits.data, bits.len);
    return true;
}

static bool read_head(ps_cursor *c, ps_ledger_state *s)
{
    uint64_t version = ps_read_u64le(c);
    s->n_rows = ps_read_u64le(c);
    uint64_t epochs = ps_read_u64le(c), done = ps_read_u64le(c);
    if (c->failed || version != VERSION || s->n_rows > ROWS_MAX || epochs > UINT32_MAX ||
        done > epochs)
        return false;
    s->n_epochs = (uint32_t)epochs;
    s->done_epochs = (uint32_t)done;
    return true;
}

static ps_status load(ps_ledger *l, ps_slice bytes)
{
    ps_cursor c = ps_cursor_of(bytes);
    ps_ledger_state *s = &l->state;
    bool ok = read_head(&c, s) && read_set(&c, s->n_rows, &s->done[0]) &&
              read_set(&c, s->n_rows, &s->done[1]);
    uint64_t open = s->n_epochs - s->done_epochs;
    ok = ok && (open > 0 || s->done[0].n == 0) && (open > 1 || s->done[1].n == 0) &&
         (open == 0 || s->done[0].rows < s->n_rows || s->n_rows == 0);
    uint64_t halves = ok ? ps_read_u64le(&c) : 0;
    for (uint64_t i = 0; ok && i < halves; i++)
        ok = read_half(&c, l);
    if (!ok || c.failed || ps_cursor_left(&c))
        return ps_fail(PS_CORRUPT, "which rows are in the parameters: damaged");
    return PS_OK;
}

ps_status ps_ledger_load(ps_ledger *l, ps_slice bytes)
{
    ps_mutex_lock(&l->lock);
    PS_REQUIRE(l->n_leases == 0 && l->n_halves == 0 && l->clock == 0);
    ps_status st = load(l, bytes);
    ps_mutex_unlock(&l->lock);
    return st;
}
