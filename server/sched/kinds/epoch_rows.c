/* Happy path: pieces are cut from the fresh rows one after the other, and done. What comes back is
 * kept sorted and goes out first. */
#include "server/sched/kinds/epoch_rows.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

void ps_epoch_rows_init(ps_epoch_rows *rows, uint64_t n_rows, uint32_t n_epochs, uint64_t per_task,
                        bool overlap)
{
    PS_REQUIRE(n_rows > 0 && n_rows <= PS_ROWS_MAX && n_epochs > 0 && per_task > 0);
    *rows = (ps_epoch_rows){.n_rows = n_rows,
                            .n_epochs = n_epochs,
                            .per_task = per_task,
                            .overlap = overlap,
                            .left = {n_rows, n_epochs > 1 ? n_rows : 0}};
}

void ps_epoch_rows_free(ps_epoch_rows *rows)
{
    ps_free(&rows->back);
    rows->n_back = rows->capacity = 0;
}

/* Rows of `epoch` that were never out. */
static uint64_t fresh_of(const ps_epoch_rows *r, uint32_t epoch)
{
    if (epoch >= r->n_epochs || epoch < r->fresh_epoch)
        return 0;
    return epoch == r->fresh_epoch ? r->n_rows - r->fresh_row : r->n_rows;
}

static void remove_back(ps_epoch_rows *rows, size_t at)
{
    rows->n_back--;
    memmove(rows->back + at, rows->back + at + 1, (rows->n_back - at) * sizeof *rows->back);
}

/* At most per_task rows of the piece; the rest of it stays. */
static ps_row_range cut_back(ps_epoch_rows *rows, size_t at)
{
    PS_REQUIRE(at < rows->n_back && rows->per_task > 0);
    ps_row_range piece = rows->back[at];
    if (piece.end - piece.begin <= rows->per_task) {
        remove_back(rows, at);
        return piece;
    }
    piece.end = piece.begin + rows->per_task;
    rows->back[at].begin = piece.end;
    return piece;
}

static bool may_open(const ps_epoch_rows *rows)
{
    if (rows->fresh_epoch >= rows->n_epochs)
        return false;
    return rows->fresh_epoch == rows->done_epochs ||
           (rows->overlap && rows->fresh_epoch == rows->done_epochs + 1);
}

static ps_row_range cut_fresh(ps_epoch_rows *rows)
{
    PS_REQUIRE(rows->fresh_row < rows->n_rows && rows->per_task > 0);
    uint64_t room = rows->n_rows - rows->fresh_row;
    uint64_t take = room < rows->per_task ? room : rows->per_task;
    ps_row_range piece = {
        .epoch = rows->fresh_epoch, .begin = rows->fresh_row, .end = rows->fresh_row + take};
    rows->fresh_row += take;
    if (rows->fresh_row == rows->n_rows) {
        rows->fresh_epoch++;
        rows->fresh_row = 0;
    }
    return piece;
}

ps_status ps_epoch_rows_take(ps_epoch_rows *rows, const char *worker, bool others, bool fresh,
                             uint64_t now_ns, ps_row_range *out)
{
    for (size_t i = 0; i < rows->n_back; i++) {
        const ps_row_range *p = &rows->back[i];
        if (p->ready_ns > now_ns || (others && strcmp(p->avoid, worker) == 0))
            continue;
        *out = cut_back(rows, i);
        return PS_OK;
    }
    if (!fresh || !may_open(rows))
        return PS_END;
    *out = cut_fresh(rows);
    return PS_OK;
}

void ps_epoch_rows_done(ps_epoch_rows *rows, uint32_t epoch, uint64_t count)
{
    uint32_t which = epoch - rows->done_epochs;
    PS_REQUIRE(epoch >= rows->done_epochs && which < 2 && count <= rows->left[which]);
    rows->left[which] -= count;
    while (rows->done_epochs < rows->n_epochs && rows->left[0] == 0) {
        rows->done_epochs++;
        rows->left[0] = rows->left[1];
        rows->left[1] = rows->done_epochs + 1 < rows->n_epochs ? rows->n_rows : 0;
    }
}

static bool before(const ps_row_range *a, const ps_row_range *b)
{
    return a->epoch != b->epoch ? a->epoch < b->epoch : a->begin < b->begin;
}

static size_t insert_back(ps_epoch_rows *rows, const ps_row_range *piece)
{
    if (rows->n_back == rows->capacity) {
        rows->capacity = rows->capacity ? rows->capacity * 2 : 8;
        rows->back = ps_realloc(rows->back, rows->capacity * sizeof *rows->back);
    }
    size_t at = rows->n_back;
    while (at > 0 && before(piece, &rows->back[at - 1])) {
        rows->back[at] = rows->back[at - 1];
        at--;
    }
    rows->back[at] = *piece;
    rows->n_back++;
    return at;
}

/* Do the two share no row? a comes first. */
static bool apart(const ps_row_range *a, const ps_row_range *b)
{
    return a->epoch != b->epoch || a->end <= b->begin;
}

void ps_epoch_rows_back(ps_epoch_rows *rows, const ps_row_range *piece)
{
    if (piece->begin >= piece->end)
        return;
    PS_REQUIRE(piece->epoch >= rows->done_epochs && piece->epoch - rows->done_epochs < 2);
    PS_REQUIRE(piece->end <= rows->n_rows - fresh_of(rows, piece->epoch)); /* it was out */
    size_t at = insert_back(rows, piece);
    PS_REQUIRE(at == 0 || apart(&rows->back[at - 1], piece)); /* and not back already */
    PS_REQUIRE(at + 1 == rows->n_back || apart(piece, &rows->back[at + 1]));
}

bool ps_epoch_rows_all_done(const ps_epoch_rows *rows)
{
    return rows->done_epochs >= rows->n_epochs;
}

uint64_t ps_epoch_rows_count_done(const ps_epoch_rows *rows)
{
    uint64_t done = rows->done_epochs * rows->n_rows;
    if (rows->done_epochs < rows->n_epochs)
        done += rows->n_rows - rows->left[0];
    if (rows->done_epochs + 1 < rows->n_epochs)
        done += rows->n_rows - rows->left[1];
    return done;
}

/* ---- as the parameters know it ---- */

/* What of [0, limit) of the epoch is not done has been out and is to be taken again. */
static void gaps_back(ps_epoch_rows *rows, uint32_t epoch, const ps_row_set *done, uint64_t limit)
{
    ps_row_set gaps = {0};
    ps_row_set_gaps(done, 0, limit, &gaps);
    for (size_t i = 0; i < gaps.n; i++)
        ps_epoch_rows_back(
            rows,
            &(ps_row_range){.epoch = epoch, .begin = gaps.list[i].begin, .end = gaps.list[i].end});
    ps_row_set_free(&gaps);
}

/* Rows behind the last that is done were never out, as far as anybody can tell. */
void ps_epoch_rows_from_state(const ps_ledger_state *state, uint64_t per_task, bool overlap,
                              ps_epoch_rows *out)
{
    PS_REQUIRE(state->done_epochs <= state->n_epochs);
    PS_REQUIRE(state->done[0].rows <= state->n_rows && state->done[1].rows <= state->n_rows);
    ps_epoch_rows_init(out, state->n_rows, state->n_epochs, per_task, overlap);
    out->done_epochs = out->fresh_epoch = state->done_epochs;
    for (uint32_t k = 0; k < 2; k++)
        out->left[k] =
            state->done_epochs + k < state->n_epochs ? state->n_rows - state->done[k].rows : 0;
    uint32_t newest = state->done[1].n > 0;
    const ps_row_set *last = &state->done[newest];
    out->fresh_epoch += newest;
    out->fresh_row = last->n ? last->list[last->n - 1].end : 0;
    if (newest)
        gaps_back(out, state->done_epochs, &state->done[0], state->n_rows);
    gaps_back(out, out->fresh_epoch, last, out->fresh_row);
    if (out->fresh_row == out->n_rows) {
        out->fresh_epoch++;
        out->fresh_row = 0;
    }
}

void ps_epoch_rows_state(const ps_epoch_rows *rows, ps_ledger_state *out)
{
    *out = (ps_ledger_state){
        .n_rows = rows->n_rows, .n_epochs = rows->n_epochs, .done_epochs = rows->done_epochs};
    for (uint32_t k = 0; k < 2 && rows->done_epochs + k < rows->n_epochs; k++) {
        uint32_t epoch = rows->done_epochs + k;
        uint64_t at = 0;
        for (size_t i = 0; i < rows->n_back; i++) {
            if (rows->back[i].epoch != epoch)
                continue;
            ps_row_set_add(&out->done[k], at, rows->back[i].begin);
            at = rows->back[i].end;
        }
        ps_row_set_add(&out->done[k], at, rows->n_rows - fresh_of(rows, epoch));
    }
}

/* ---- as bytes ---- */

static void put_piece(ps_buf *bytes, const ps_row_range *p)
{
    ps_buf_put_u32le(bytes, p->epoch);
    ps_buf_put_u64le(bytes, p->begin);
    ps_buf_put_u64le(bytes, p->end);
}

/* n_rows u64, n_epochs u32, done_epochs u32, fresh_epoch u32, fresh_row u64, pieces u32, each epoch
 * u32, begin u64, end u64. Failures are forgotten: a restart is a new chance. */
void ps_epoch_rows_save(const ps_epoch_rows *rows, const ps_row_range *out, size_t n, ps_buf *bytes)
{
    size_t pieces = rows->n_back;
    for (size_t i = 0; i < n; i++)
        pieces += out[i].begin < out[i].end;
    ps_buf_put_u64le(bytes, rows->n_rows);
    ps_buf_put_u32le(bytes, rows->n_epochs);
    ps_buf_put_u32le(bytes, rows->done_epochs);
    ps_buf_put_u32le(bytes, rows->fresh_epoch);
    ps_buf_put_u64le(bytes, rows->fresh_row);
    ps_buf_put_u32le(bytes, (uint32_t)pieces);
    for (size_t i = 0; i < rows->n_back; i++)
        put_piece(bytes, &rows->back[i]);
    for (size_t i = 0; i < n; i++)
        if (out[i].begin < out[i].end)
            put_piece(bytes, &out[i]);
}

static bool header_ok(const ps_epoch_rows *r)
{
    if (r->n_rows == 0 || r->n_rows > PS_ROWS_MAX || r->n_epochs == 0 ||
        r->done_epochs > r->n_epochs || r->fresh_row >= r->n_rows)
        return false;
    if (r->fresh_epoch < r->done_epochs || r->fresh_epoch > r->n_epochs)
        return false;
    /* of the epoch after the two open ones, and after the last, nothing was given out */
    uint32_t ahead = r->fresh_epoch - r->done_epochs;
    bool begun = r->fresh_row > 0;
    return ahead <= 2 && (!begun || (ahead < 2 && r->fresh_epoch < r->n_epochs));
}

/* Before the fresh rows, in one of the two open epochs, and not over the piece before it. */
static bool piece_ok(const ps_epoch_rows *r, size_t at)
{
    const ps_row_range *p = &r->back[at];
    if (p->epoch < r->done_epochs || p->epoch - r->done_epochs > 1 || p->epoch >= r->n_epochs)
        return false;
    uint64_t limit = r->n_rows - fresh_of(r, p->epoch);
    if (p->begin >= p->end || p->end > limit)
        return false;
    return at == 0 || r->back[at - 1].epoch != p->epoch || r->back[at - 1].end <= p->begin;
}

static bool pieces_ok(ps_epoch_rows *r)
{
    r->left[0] = fresh_of(r, r->done_epochs);
    r->left[1] = fresh_of(r, r->done_epochs + 1);
    for (size_t i = 0; i < r->n_back; i++) {
        if (!piece_ok(r, i))
            return false;
        r->left[r->back[i].epoch - r->done_epochs] += r->back[i].end - r->back[i].begin;
    }
    return r->done_epochs == r->n_epochs || r->left[0] > 0;
}

ps_status ps_epoch_rows_load(ps_epoch_rows *rows, uint64_t per_task, bool overlap, ps_cursor *bytes)
{
    ps_epoch_rows r = {.per_task = per_task, .overlap = overlap};
    r.n_rows = ps_read_u64le(bytes);
    r.n_epochs = ps_read_u32le(bytes);
    r.done_epochs = ps_read_u32le(bytes);
    r.fresh_epoch = ps_read_u32le(bytes);
    r.fresh_row = ps_read_u64le(bytes);
    uint32_t n = ps_read_u32le(bytes);
    if (bytes->failed || !header_ok(&r) || n > ps_cursor_left(bytes) / 20)
        return ps_fail(PS_CORRUPT, "progress: no valid rows");
    for (uint32_t i = 0; i < n; i++) {
        ps_row_range p = {.epoch = ps_read_u32le(bytes)};
        p.begin = ps_read_u64le(bytes);
        p.end = ps_read_u64le(bytes);
        if (p.begin >= p.end)
            break;                 /* counted as missing below */
        (void)insert_back(&r, &p); /* looked at below */
    }
    if (bytes->failed || r.n_back != n || !pieces_ok(&r)) {
        ps_epoch_rows_free(&r);
        return ps_fail(PS_CORRUPT, "progress: its rows contradict each other");
    }
    *rows = r;
    return PS_OK;
}
