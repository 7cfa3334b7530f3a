/* rows: every row of every epoch is out once, and once more only if it came back. */
#include "server/sched/kinds/epoch_rows.h"
#include "tests/lib/check_main.h"

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <string.h>

static bool take(ps_epoch_rows *rows, const char *worker, ps_row_range *piece)
{
    return ps_epoch_rows_take(rows, worker, true, true, 0, piece) == PS_OK;
}

static void finish(ps_epoch_rows *rows, const ps_row_range *piece)
{
    ps_epoch_rows_done(rows, piece->epoch, piece->end - piece->begin);
}

START_TEST(pieces_cover_an_epoch_and_the_last_is_shorter)
{
    ps_epoch_rows rows;
    ps_row_range p;
    ps_epoch_rows_init(&rows, 25, 1, 10, true);
    static const uint64_t ends[] = {10, 20, 25};
    for (size_t i = 0; i < 3; i++) {
        ck_assert(take(&rows, "w", &p));
        ck_assert_uint_eq(p.begin, i * 10);
        ck_assert_uint_eq(p.end, ends[i]);
        finish(&rows, &p);
    }
    ck_assert(!take(&rows, "w", &p));
    ck_assert(ps_epoch_rows_all_done(&rows));
    ck_assert_uint_eq(ps_epoch_rows_count_done(&rows), 25);
    ps_epoch_rows_free(&rows);
}
END_TEST

START_TEST(with_overlap_the_next_epoch_begins_when_all_are_out_but_no_third_one)
{
    ps_epoch_rows rows;
    ps_row_range a, b, c;
    ps_epoch_rows_init(&rows, 10, 3, 10, true);
    ck_assert(take(&rows, "w", &a));
    ck_assert(take(&rows, "w", &b));
    ck_assert_uint_eq(b.epoch, 1);
    ck_assert(!take(&rows, "w", &c));
    finish(&rows, &b); /* the later one first */
    ck_assert(!take(&rows, "w", &c));
    ck_assert_uint_eq(ps_epoch_rows_count_done(&rows), 10);
    finish(&rows, &a);
    ck_assert_uint_eq(rows.done_epochs, 2);
    ck_assert(take(&rows, "w", &c));
    ck_assert_uint_eq(c.epoch, 2);
    finish(&rows, &c);
    ck_assert(ps_epoch_rows_all_done(&rows));
    ps_epoch_rows_free(&rows);
}
END_TEST

START_TEST(without_overlap_an_epoch_waits_for_the_one_before)
{
    ps_epoch_rows rows;
    ps_row_range a, b;
    ps_epoch_rows_init(&rows, 10, 2, 10, false);
    ck_assert(take(&rows, "w", &a));
    ck_assert(!take(&rows, "w", &b));
    finish(&rows, &a);
    ck_assert(take(&rows, "w", &b));
    ck_assert_uint_eq(b.epoch, 1);
    ps_epoch_rows_free(&rows);
}
END_TEST

START_TEST(what_comes_back_goes_out_first_and_not_to_whom_it_failed_on)
{
    ps_epoch_rows rows;
    ps_row_range a, b;
    ps_epoch_rows_init(&rows, 100, 1, 10, true);
    ck_assert(take(&rows, "w1", &a));
    a.begin = 7; /* 7 rows are done */
    ps_epoch_rows_done(&rows, 0, 7);
    memcpy(a.avoid, "w1", 3);
    a.ready_ns = 50;
    ps_epoch_rows_back(&rows, &a);
    ck_assert_int_eq(ps_epoch_rows_take(&rows, "w2", true, false, 49, &b), PS_END); /* too early */
    ck_ok(ps_epoch_rows_take(&rows, "w1", true, true, 50, &b));
    ck_assert_uint_eq(b.begin, 10); /* w1 gets a fresh one */
    ck_ok(ps_epoch_rows_take(&rows, "w2", true, true, 50, &b));
    ck_assert_uint_eq(b.begin, 7);
    ck_assert_uint_eq(b.end, 10);
    ps_epoch_rows_back(&rows, &b);
    ck_ok(ps_epoch_rows_take(&rows, "w1", false, true, 50, &b)); /* nobody else */
    ck_assert_uint_eq(b.begin, 7);
    ps_epoch_rows_free(&rows);
}
END_TEST

/* Marks every row; out of order, with losses, and with a save and load now and then. */
static void simulate(uint64_t seed)
{
    enum { ROWS = 97, EPOCHS = 4, OUT = 5 };
    ps_rng rng;
    ps_rng_seed(&rng, seed);
    ps_epoch_rows rows;
    ps_row_range out[OUT];
    size_t n = 0;
    uint8_t done[EPOCHS][ROWS] = {{0}};
    bool overlap = ps_rng_below(&rng, 2);
    uint64_t per_task = 1 + ps_rng_below(&rng, 30);
    ps_epoch_rows_init(&rows, ROWS, EPOCHS, per_task, overlap);
    for (int step = 0; !ps_epoch_rows_all_done(&rows); step++) {
        ck_assert_int_lt(step, 100000);
        uint64_t what = ps_rng_below(&rng, 10);
        if (what < 4 && n < OUT && take(&rows, "w", &out[n])) {
            n++;
        } else if (what < 8 && n > 0) {
            ps_row_range *p = &out[ps_rng_below(&rng, n)];
            uint64_t count = ps_rng_below(&rng, p->end - p->begin + 1);
            for (uint64_t r = p->begin; r < p->begin + count; r++)
                done[p->epoch][r]++;
            p->begin += count;
            ps_epoch_rows_done(&rows, p->epoch, count);
            if (p->begin == p->end)
                *p = out[--n];
        } else if (what == 8 && n > 0) {
            size_t at = ps_rng_below(&rng, n);
            ps_epoch_rows_back(&rows, &out[at]);
            out[at] = out[--n];
        } else if (what == 9) {
            ps_buf blob = PS_BUF_EMPTY;
            ps_epoch_rows_save(&rows, out, n, &blob);
            uint64_t before = ps_epoch_rows_count_done(&rows);
            ps_epoch_rows_free(&rows);
            ps_cursor c = ps_cursor_of(ps_buf_slice(&blob));
            ck_assert_msg(ps_epoch_rows_load(&rows, per_task, overlap, &c) == PS_OK, "seed %lu: %s",
                          (unsigned long)seed, ps_error_message());
            ck_assert_uint_eq(ps_cursor_left(&c), 0);
            ck_assert_uint_eq(ps_epoch_rows_count_done(&rows), before);
            if (ps_rng_below(&rng, 2)) { /* the same, by what the parameters know */
                ps_ledger_state state;
                ps_epoch_rows_state(&rows, &state);
                ps_epoch_rows_free(&rows);
                ps_epoch_rows_from_state(&state, per_task, overlap, &rows);
                ck_assert_uint_eq(ps_epoch_rows_count_done(&rows), before);
                ps_ledger_state_free(&state);
            }
            ps_buf_free(&blob);
            n = 0;
        }
    }
    for (size_t e = 0; e < EPOCHS; e++)
        for (size_t r = 0; r < ROWS; r++)
            ck_assert_msg(done[e][r] == 1, "seed %lu: epoch %zu row %zu: %u times",
                          (unsigned long)seed, e, r, done[e][r]);
    ps_epoch_rows_free(&rows);
}

START_TEST(every_row_is_done_once_whatever_is_lost_and_restored)
{
    for (uint64_t seed = 1; seed <= 300; seed++)
        simulate(seed);
}
END_TEST

START_TEST(a_blob_that_contradicts_itself_is_refused_whole)
{
    ps_epoch_rows rows, loaded = {.n_rows = 77};
    ps_row_range a, b;
    ps_epoch_rows_init(&rows, 50, 2, 20, true);
    ck_assert(take(&rows, "w", &a));
    ck_assert(take(&rows, "w", &b));
    ps_epoch_rows_back(&rows, &a);
    ps_buf blob = PS_BUF_EMPTY;
    ps_epoch_rows_save(&rows, &b, 1, &blob);
    ps_rng rng;
    ps_rng_seed(&rng, 5);
    unsigned refused = 0;
    for (size_t i = 0; i < blob.len; i++) {
        blob.data[i] ^= 0xff;
        ps_cursor c = ps_cursor_of(ps_buf_slice(&blob));
        ps_status st = ps_epoch_rows_load(&loaded, 20, true, &c);
        ck_assert(st == PS_OK || st == PS_CORRUPT);
        if (st) {
            refused++;
            ck_assert_uint_eq(loaded.n_rows, 77);
        } else {
            ps_epoch_rows_free(&loaded);
            loaded.n_rows = 77;
        }
        blob.data[i] ^= 0xff;
    }
    ck_assert_uint_gt(refused, blob.len / 2);
    for (size_t len = 0; len < blob.len; len++) {
        ps_cursor c = ps_cursor_of(ps_slice_of(blob.data, len));
        ck_assert_int_eq(ps_epoch_rows_load(&loaded, 20, true, &c), PS_CORRUPT);
    }
    ps_buf_free(&blob);
    ps_epoch_rows_free(&rows);
}
END_TEST

static const ps_check_case cases[] = {
    {&pieces_cover_an_epoch_and_the_last_is_shorter},
    {&with_overlap_the_next_epoch_begins_when_all_are_out_but_no_third_one},
    {&without_overlap_an_epoch_waits_for_the_one_before},
    {&what_comes_back_goes_out_first_and_not_to_whom_it_failed_on},
    {&every_row_is_done_once_whatever_is_lost_and_restored},
    {&a_blob_that_contradicts_itself_is_refused_whole},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/kinds/epoch_rows", cases);
}
