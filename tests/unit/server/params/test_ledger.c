/* ledger: every row of every epoch gets into every block once, whatever is lost on the way. */
#include "server/params/ledger.h"

#include "common/base/rng.h"
#include "tests/lib/check_main.h"

#include <string.h>

/* ---- sets of rows ---- */

START_TEST(a_set_of_rows_is_what_was_added_in_any_order)
{
    enum { ROWS = 64 };
    ps_rng rng;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        bool in[ROWS] = {false};
        ps_row_set set = {0}, gaps = {0};
        ps_rng_seed(&rng, seed);
        for (int k = 0; k < 12; k++) {
            uint64_t begin = ps_rng_below(&rng, ROWS), end = begin + ps_rng_below(&rng, 9);
            end = end < ROWS ? end : ROWS;
            ps_row_set_add(&set, begin, end);
            for (uint64_t r = begin; r < end; r++)
                in[r] = true;
            uint64_t rows = 0;
            for (uint64_t r = 0; r < ROWS; r++) {
                rows += in[r];
                ck_assert_int_eq(ps_row_set_meets(&set, r, r + 1), in[r]);
                uint64_t gap = r;
                while (gap < ROWS && in[gap])
                    gap++;
                ck_assert_uint_eq(ps_row_set_first_gap(&set, r), gap);
            }
            ck_assert_uint_eq(set.rows, rows);
            for (size_t i = 1; i < set.n; i++)
                ck_assert_uint_lt(set.list[i - 1].end, set.list[i].begin);
        }
        ps_row_set_gaps(&set, 3, ROWS, &gaps);
        for (uint64_t r = 0; r < ROWS; r++)
            ck_assert_int_eq(ps_row_set_meets(&gaps, r, r + 1), r >= 3 && !in[r]);
        ps_row_set_free(&set);
        ps_row_set_free(&gaps);
    }
}
END_TEST

/* ---- booking ---- */

static ps_status book(ps_ledger *l, uint64_t lease, uint64_t begin, uint64_t end, uint64_t clock)
{
    uint64_t before;
    bool whole;
    const ps_ledger_push push = {.lease = lease, .rows = {begin, end}, .clock = clock};
    return ps_ledger_book(l, &push, &before, &whole);
}

static uint64_t count_done(ps_ledger *l)
{
    uint64_t total;
    return ps_ledger_rows_done(l, &total);
}

START_TEST(a_lease_gives_back_what_was_not_booked_for_it_and_nothing_after)
{
    ps_ledger *l;
    ps_row_set left = {0};
    ps_ledger_create(100, 2, 1, &l);
    ps_ledger_lease_begin(l, 7, 0, (ps_row_span){20, 60});
    ck_ok(book(l, 7, 20, 30, 0));
    ck_ok(book(l, 7, 40, 50, 0));                            /* two steps are under way at a time */
    ck_assert_uint_eq(ps_ledger_lease_report(l, 7, 60), 30); /* whatever the worker says */
    ck_assert_int_eq(book(l, 7, 10, 20, 0), PS_INVALID_ARGUMENT); /* another's */
    ck_assert_int_eq(book(l, 7, 55, 65, 0), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(book(l, 7, 25, 35, 0), PS_INVALID_ARGUMENT); /* in part done */
    ck_assert(ps_ledger_lease_end(l, 7, true, &left));            /* nor then */
    ck_assert_uint_eq(left.n, 2);
    ck_assert_uint_eq(left.list[0].begin, 30);
    ck_assert_uint_eq(left.list[1].begin, 50);
    ck_assert_uint_eq(left.rows, 20);
    ck_assert_int_eq(book(l, 7, 30, 40, 0), PS_PERMISSION_DENIED);
    ck_assert_int_eq(ps_ledger_check(l, 7, "w"), PS_PERMISSION_DENIED);
    ck_ok(ps_ledger_check(l, 0, "w"));
    ck_assert(!ps_ledger_lease_end(l, 7, true, &left));
    ck_assert_uint_eq(count_done(l), 20);
    ps_row_set_free(&left);
    ps_ledger_free(&l);
}
END_TEST

START_TEST(a_worker_whose_pushes_say_no_rows_is_believed)
{
    ps_ledger *l;
    ps_row_set left = {0};
    ps_ledger_create(100, 1, 1, &l);
    ps_ledger_lease_begin(l, 7, 0, (ps_row_span){0, 50});
    ps_ledger_lease_begin(l, 8, 0, (ps_row_span){50, 100});
    ck_ok(book(l, 7, 0, 0, 0));
    ck_assert_uint_eq(ps_ledger_lease_report(l, 7, 30), 30);
    ck_assert_uint_eq(count_done(l), 30);
    ck_assert_uint_eq(ps_ledger_lease_report(l, 7, 999), 30);
    ck_assert(ps_ledger_lease_end(l, 7, false, &left));
    ck_assert_uint_eq(left.rows, 20);
    ps_row_set_free(&left);
    ck_assert(ps_ledger_lease_end(l, 8, true, &left));
    ck_assert_uint_eq(left.rows, 0);
    ck_assert_uint_eq(count_done(l), 80);
    ps_ledger_free(&l);
}
END_TEST

START_TEST(rows_of_a_clock_are_out_with_their_worker_and_done_when_it_ends)
{
    ps_ledger *l, *restored;
    ps_row_set left = {0};
    ps_buf bytes = PS_BUF_EMPTY;
    ps_ledger_create(100, 1, 1, &l);
    ps_ledger_lease_begin(l, 7, 0, (ps_row_span){0, 50});
    ck_ok(book(l, 7, 0, 10, 4));
    ck_ok(book(l, 7, 10, 20, 5)); /* clock 4 has ended, then */
    ck_assert_uint_eq(count_done(l), 10);
    ck_assert_uint_eq(ps_ledger_lease_report(l, 7, 0), 20);
    /* psd dies before clock 5 ends, or after */
    for (uint64_t unfinished = 5; unfinished <= 6; unfinished++) {
        ps_buf_clear(&bytes);
        ps_ledger_save(l, unfinished, &bytes);
        ps_ledger_create(0, 0, 1, &restored);
        ck_ok(ps_ledger_load(restored, ps_buf_slice(&bytes)));
        ck_assert_uint_eq(count_done(restored), unfinished == 5 ? 10 : 20);
        ps_ledger_free(&restored);
    }
    ck_assert(ps_ledger_lease_end(l, 7, false, &left)); /* its gradient stays in the clock */
    ck_assert_uint_eq(left.list[0].begin, 20);
    ps_row_set_free(&left);
    ps_buf_free(&bytes);
    ps_ledger_free(&l);
}
END_TEST

/* ---- everything at once ---- */

enum { ROWS = 24, EPOCHS = 3, BLOCKS = 11, STEP = 4, PARTS = 3, OUT = 3 };

/* What the blocks have got; saved and restored with the ledger, as parameters are. */
typedef struct world {
    uint8_t applied[EPOCHS][ROWS][BLOCKS];
    uint8_t pending[EPOCHS][ROWS][BLOCKS]; /* of this clock */
} world;

typedef struct task {
    uint64_t lease;
    uint32_t epoch;
    ps_row_span rows;
    uint64_t first; /* row of the step at hand */
    unsigned part;  /* that goes next */
} task;

typedef struct play {
    ps_rng rng;
    uint64_t seed, lease, clock; /* clock 0: as under asp */
    ps_ledger *ledger;
    world w;
    task out[OUT];
    size_t n;
} play;

static void end_clock(play *p)
{
    if (!p->clock)
        return;
    for (size_t i = 0; i < sizeof p->w.pending; i++)
        ((uint8_t *)p->w.applied)[i] += ((uint8_t *)p->w.pending)[i];
    memset(p->w.pending, 0, sizeof p->w.pending);
    p->clock++;
    for (size_t i = 0; i < p->n; i++)
        p->out[i].part = 0; /* what had come in part is computed again for the next clock */
}

/* Part k of a gradient has every block b with b % PARTS == k. */
static void push_part(play *p, task *t)
{
    uint64_t blocks[BLOCKS], before;
    bool left_out[BLOCKS], whole;
    size_t n = 0;
    for (uint64_t b = t->part; b < BLOCKS; b += PARTS)
        blocks[n++] = b;
    uint64_t end = t->first + STEP < t->rows.end ? t->first + STEP : t->rows.end;
    const ps_ledger_push push = {.lease = t->lease,
                                 .rows = {t->first, end},
                                 .parts = PARTS,
                                 .clock = p->clock,
                                 .blocks = blocks,
                                 .left_out = left_out,
                                 .n_blocks = n};
    ck_assert_msg(ps_ledger_book(p->ledger, &push, &before, &whole) == PS_OK, "seed %lu: %s",
                  (unsigned long)p->seed, ps_error_message());
    ck_assert_int_eq(whole, t->part == PARTS - 1);
    for (size_t i = 0; i < n; i++)
        for (uint64_t r = t->first; r < end && !left_out[i]; r++)
            (p->clock ? p->w.pending : p->w.applied)[t->epoch][r][blocks[i]]++;
    if (++t->part == PARTS) {
        t->part = 0;
        t->first = end;
    }
}

/* Gives out the first rows that nobody has and that are not done; as the scheduler, an epoch after
 * the other. */
static void give_out(play *p)
{
    ps_ledger_state s;
    ps_row_set taken = {0}, gaps = {0};
    ps_ledger_state_get(p->ledger, &s);
    uint32_t epoch = s.done_epochs + (s.done[0].rows == ROWS); /* done, once the clock has ended */
    if (epoch < EPOCHS && p->n < OUT) {
        ps_row_set_add_set(&taken, &s.done[epoch - s.done_epochs]);
        for (size_t i = 0; i < p->n; i++)
            if (p->out[i].epoch == epoch)
                ps_row_set_add(&taken, p->out[i].rows.begin, p->out[i].rows.end);
        ps_row_set_gaps(&taken, 0, ROWS, &gaps);
    }
    if (gaps.n) {
        ps_row_span rows = gaps.list[0];
        rows.end = rows.end - rows.begin > 2 * STEP ? rows.begin + 2 * STEP : rows.end;
        p->out[p->n++] =
            (task){.lease = ++p->lease, .epoch = epoch, .rows = rows, .first = rows.begin};
        ps_ledger_lease_begin(p->ledger, p->lease, epoch, rows);
    }
    ps_row_set_free(&gaps);
    ps_row_set_free(&taken);
    ps_ledger_state_free(&s);
}

static void lose(play *p, size_t at, bool done)
{
    ps_row_set left = {0};
    ck_assert(ps_ledger_lease_end(p->ledger, p->out[at].lease, done, &left));
    ck_assert_msg(left.rows == p->out[at].rows.end - p->out[at].first, "seed %lu",
                  (unsigned long)p->seed);
    ps_row_set_free(&left);
    p->out[at] = p->out[--p->n];
}

typedef struct checkpoint {
    ps_buf ledger;
    world w;
} checkpoint;

static void save(play *p, checkpoint *c)
{
    ps_buf_clear(&c->ledger);
    ps_ledger_save(p->ledger, p->clock, &c->ledger);
    c->w = p->w;
    memset(c->w.pending, 0, sizeof c->w.pending);
}

static void restore(play *p, const checkpoint *c)
{
    ps_ledger_free(&p->ledger);
    ps_ledger_create(0, 0, BLOCKS, &p->ledger);
    ck_assert_msg(ps_ledger_load(p->ledger, ps_buf_slice(&c->ledger)) == PS_OK, "seed %lu",
                  (unsigned long)p->seed);
    p->w = c->w;
    p->n = 0;
    p->clock += p->clock ? 1000 : 0; /* as good as any later one */
}

static void play_one(uint64_t seed)
{
    play p = {.seed = seed, .clock = seed % 2};
    checkpoint c = {.ledger = PS_BUF_EMPTY};
    ps_rng_seed(&p.rng, seed);
    ps_ledger_create(ROWS, EPOCHS, BLOCKS, &p.ledger);
    save(&p, &c);
    for (int step = 0; count_done(p.ledger) < ROWS * EPOCHS; step++) {
        ck_assert_int_lt(step, 100000);
        uint64_t what = ps_rng_below(&p.rng, 40);
        size_t at = p.n ? ps_rng_below(&p.rng, p.n) : 0;
        if (what < 8)
            give_out(&p);
        else if (what < 33 && p.n && p.out[at].first < p.out[at].rows.end)
            push_part(&p, &p.out[at]);
        else if (what < 35 && p.n)
            lose(&p, at, p.out[at].first == p.out[at].rows.end);
        else if (what < 38)
            end_clock(&p);
        else if (what == 38)
            save(&p, &c);
        else
            restore(&p, &c);
        if (p.clock && what >= 35 && what < 38)
            (void)book(p.ledger, 0, 0, 0, p.clock); /* somebody pushes to the next clock */
    }
    end_clock(&p);
    for (size_t e = 0; e < EPOCHS; e++)
        for (size_t r = 0; r < ROWS; r++)
            for (size_t b = 0; b < BLOCKS; b++)
                ck_assert_msg(p.w.applied[e][r][b] == 1,
                              "seed %lu: epoch %zu row %zu block %zu: %u", (unsigned long)seed, e,
                              r, b, p.w.applied[e][r][b]);
    ps_buf_free(&c.ledger);
    ps_ledger_free(&p.ledger);
}

START_TEST(every_block_gets_every_row_once_whoever_is_lost_and_restored)
{
    for (uint64_t seed = 1; seed <= 300; seed++)
        play_one(seed);
}
END_TEST

/* Of a client that makes a push again with a new sequence, though psd had it. */
START_TEST(a_part_that_comes_twice_counts_once)
{
    ps_ledger *l;
    uint64_t blocks[] = {0, 1, 2}, before;
    bool left_out[2], whole;
    ps_ledger_create(40, 1, 3, &l);
    ps_ledger_lease_begin(l, 7, 0, (ps_row_span){0, 40});
    ps_ledger_push part = {
        .lease = 7, .rows = {0, 10}, .parts = 2, .blocks = blocks, .left_out = left_out};
    part.n_blocks = 2;
    ck_ok(ps_ledger_book(l, &part, &before, &whole));
    ck_assert(!whole && !left_out[0] && !left_out[1]);
    ck_ok(ps_ledger_book(l, &part, &before, &whole));
    ck_assert(!whole && left_out[0] && left_out[1]);
    ck_assert_uint_eq(count_done(l), 0);
    part.blocks = blocks + 2;
    part.n_blocks = 1;
    ck_ok(ps_ledger_book(l, &part, &before, &whole));
    ck_assert(whole && !left_out[0]);
    ck_assert_uint_eq(count_done(l), 10);
    ps_ledger_free(&l);
}
END_TEST

/* Of rows [begin, end) of epoch 0, half of what there is. */
static ps_status try_half(ps_ledger *l, uint64_t lease, uint64_t begin, uint64_t end)
{
    uint64_t block = 0, before;
    bool left_out, whole;
    const ps_ledger_push part = {.lease = lease,
                                 .rows = {begin, end},
                                 .parts = 2,
                                 .blocks = &block,
                                 .left_out = &left_out,
                                 .n_blocks = 1};
    ps_status st = ps_ledger_book(l, &part, &before, &whole);
    ck_assert(st || !whole);
    return st;
}

static void book_half(ps_ledger *l, uint64_t lease, uint64_t begin)
{
    ck_ok(try_half(l, lease, begin, begin + 10));
}

/* Of any number of tasks, each of whom leaves as many as it may. */
START_TEST(who_leaves_many_gradients_in_part_stops_nobody_else)
{
    enum { EACH = 64, TASKS = 70, TASK_ROWS = 100000 };
    ps_ledger *l;
    ps_ledger_create(TASK_ROWS, 1, 2, &l);
    for (uint64_t id = 1; id <= TASKS; id++) {
        ps_row_set left = {0};
        ps_ledger_lease_begin(l, id, 0, (ps_row_span){0, TASK_ROWS});
        for (uint64_t i = 0; i < EACH; i++)
            ck_ok(try_half(l, id, EACH * id + i, EACH * id + i + 1));
        ck_assert_int_eq(try_half(l, id, 0, 1), PS_RESOURCE_EXHAUSTED);
        ck_ok(book(l, id, TASK_ROWS - id, TASK_ROWS - id + 1, 0)); /* a whole one */
        ck_assert(ps_ledger_lease_end(l, id, false, &left));
        ps_row_set_free(&left);
    }
    ck_assert_uint_eq(count_done(l), TASKS);
    ps_ledger_free(&l);
}
END_TEST

/* Saves it, and reads that: gradients that have come in part are the last number before their
 * 24 bytes and their bits. */
static void check_saved(ps_ledger *l, uint64_t done, uint64_t halves)
{
    enum { HALF = 3 * 8 + 1 };
    ps_ledger *again;
    ps_buf bytes = PS_BUF_EMPTY;
    ps_ledger_save(l, 0, &bytes);
    ps_ledger_create(0, 0, 2, &again);
    ck_ok(ps_ledger_load(again, ps_buf_slice(&bytes)));
    ck_assert_uint_eq(count_done(again), done);
    ps_cursor c = ps_cursor_of(ps_buf_slice(&bytes));
    (void)ps_read_bytes(&c, bytes.len - halves * HALF - 8);
    ck_assert_uint_eq(ps_read_u64le(&c), halves);
    ps_ledger_free(&again);
    ps_buf_free(&bytes);
}

/* Others may be done with rows whose gradient had come in part, and say none. */
START_TEST(of_rows_that_are_done_no_part_is_kept)
{
    ps_ledger *l;
    ps_row_set left = {0};
    ps_ledger_create(40, 3, 2, &l);
    ps_ledger_lease_begin(l, 7, 0, (ps_row_span){0, 40});
    book_half(l, 7, 0);
    book_half(l, 7, 10);
    book_half(l, 7, 20);
    check_saved(l, 0, 3);
    ck_assert(ps_ledger_lease_end(l, 7, false, &left));
    ps_row_set_free(&left);
    ps_ledger_lease_begin(l, 8, 0, (ps_row_span){0, 40});
    ck_assert_uint_eq(ps_ledger_lease_report(l, 8, 15), 15);
    check_saved(l, 15, 1);
    ck_assert(ps_ledger_lease_end(l, 8, true, &left)); /* and with the epoch */
    check_saved(l, 40, 0);
    ps_row_set_free(&left);
    ps_ledger_free(&l);
}
END_TEST

/* As a psd has written it that kept them. */
START_TEST(parts_of_rows_that_are_done_are_forgotten_when_they_are_read)
{
    enum { DONE_END = 6 * 8 }; /* version, rows, epochs, epochs done, ranges, begin */
    ps_ledger *l;
    ps_buf bytes = PS_BUF_EMPTY;
    ps_ledger_create(40, 3, 2, &l);
    ps_ledger_lease_begin(l, 7, 0, (ps_row_span){0, 40});
    ck_ok(book(l, 7, 0, 10, 0));
    book_half(l, 7, 20);
    check_saved(l, 10, 1);
    ps_ledger_save(l, 0, &bytes);
    ps_ledger_free(&l);
    ps_put_u64le(bytes.data + DONE_END, 25);
    ps_ledger_create(0, 0, 2, &l);
    ck_ok(ps_ledger_load(l, ps_buf_slice(&bytes)));
    check_saved(l, 25, 0);
    ps_ledger_free(&l);
    ps_buf_free(&bytes);
}
END_TEST

START_TEST(bytes_that_are_no_ledger_are_refused)
{
    ps_ledger *l;
    ps_buf bytes = PS_BUF_EMPTY;
    uint64_t blocks[] = {0, 3}, before;
    bool left_out[2], whole;
    ps_ledger_create(40, 3, 9, &l);
    ps_ledger_lease_begin(l, 7, 0, (ps_row_span){0, 40});
    ck_ok(book(l, 7, 0, 10, 0));
    const ps_ledger_push half = {.lease = 7,
                                 .rows = {20, 30},
                                 .parts = 2,
                                 .blocks = blocks,
                                 .left_out = left_out,
                                 .n_blocks = 2};
    ck_ok(ps_ledger_book(l, &half, &before, &whole));
    ps_ledger_save(l, 0, &bytes);
    ps_ledger_free(&l);
    unsigned refused = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bytes.data[i] ^= 0xff;
        ps_ledger_create(0, 0, 9, &l);
        ps_status st = ps_ledger_load(l, ps_buf_slice(&bytes));
        ck_assert(st == PS_OK || st == PS_CORRUPT);
        refused += st != PS_OK;
        ps_ledger_free(&l);
        bytes.data[i] ^= 0xff;
    }
    ck_assert_uint_gt(refused, bytes.len / 2);
    for (size_t len = 0; len < bytes.len; len++) {
        ps_ledger_create(0, 0, 9, &l);
        ck_assert_int_eq(ps_ledger_load(l, ps_slice_of(bytes.data, len)), PS_CORRUPT);
        ps_ledger_free(&l);
    }
    ps_buf_free(&bytes);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_set_of_rows_is_what_was_added_in_any_order},
    {&a_lease_gives_back_what_was_not_booked_for_it_and_nothing_after},
    {&a_worker_whose_pushes_say_no_rows_is_believed},
    {&rows_of_a_clock_are_out_with_their_worker_and_done_when_it_ends},
    {&every_block_gets_every_row_once_whoever_is_lost_and_restored},
    {&a_part_that_comes_twice_counts_once},
    {&who_leaves_many_gradients_in_part_stops_nobody_else},
    {&of_rows_that_are_done_no_part_is_kept},
    {&parts_of_rows_that_are_done_are_forgotten_when_they_are_read},
    {&bytes_that_are_no_ledger_are_refused},
    {0},
};

int main(void)
{
    return ps_check_main("server/params/ledger", cases);
}
