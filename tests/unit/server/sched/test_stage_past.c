/* stage_past: what is put is taken again, and what was cut or is another's is refused. */
#include "server/sched/stage_past.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <string.h>

static void put(unsigned stage, ps_buf *out)
{
    ps_stage_past past = {.version = (char *)(uintptr_t) "models/a.safetensors", .sha256 = "abc"};
    past.told[0] = (char *)(uintptr_t) "{\"a\":1}";
    past.told[1] = (char *)(uintptr_t) "{}";
    ps_stage_past_put(stage ? &past : NULL, stage, out);
    ps_buf_puts(out, "rest");
}

START_TEST(what_is_put_is_taken)
{
    for (unsigned stage = 0; stage < PS_STAGES; stage++) {
        ps_buf bytes = PS_BUF_EMPTY;
        put(stage, &bytes);
        ps_cursor c = ps_cursor_of(ps_buf_slice(&bytes));
        unsigned found = 9;
        ps_stage_past *past = NULL;
        ck_ok(ps_stage_past_take(&c, &found, &past));
        ck_assert_uint_eq(found, stage);
        ck_assert_uint_eq(ps_cursor_left(&c), 4);
        ck_assert((past != NULL) == (stage > 0));
        if (past) {
            ck_assert_str_eq(past->version, "models/a.safetensors");
            ck_assert_str_eq(past->sha256, "abc");
            ck_assert_str_eq(past->told[0], "{\"a\":1}");
            ck_assert((past->told[1] != NULL) == (stage > 1));
        }
        ps_stage_past_free(&past);
        ps_buf_free(&bytes);
    }
}
END_TEST

static ps_status take(ps_slice bytes)
{
    ps_cursor c = ps_cursor_of(bytes);
    unsigned stage;
    ps_stage_past *past = NULL;
    ps_status st = ps_stage_past_take(&c, &stage, &past);
    ps_stage_past_free(&past);
    return st;
}

START_TEST(what_is_cut_or_changed_is_refused)
{
    ps_buf bytes = PS_BUF_EMPTY;
    put(2, &bytes);
    size_t whole = bytes.len - strlen("rest");
    for (size_t n = 0; n < whole; n++)
        ck_assert_int_eq(take(ps_slice_of(bytes.data, n)), PS_CORRUPT);
    static const struct {
        size_t at;
        uint8_t to;
    } bad[] = {{0, 3}, {4, 0}, {8, PS_STAGES}, {15, 0x7f}, {18, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t *byte = (uint8_t *)bytes.data + bad[i].at, was = *byte;
        *byte = bad[i].to;
        ck_assert_msg(take(ps_buf_slice(&bytes)) == PS_CORRUPT, "%zu", bad[i].at);
        *byte = was;
    }
    bytes.data[4] = 2; /* may have anything behind it */
    ck_assert_int_eq(take(ps_buf_slice(&bytes)), PS_UNIMPLEMENTED);
    bytes.data[4] = 1;
    ck_ok(take(ps_buf_slice(&bytes)));
    ps_buf_free(&bytes);
}
END_TEST

static const ps_check_case tests[] = {
    {&what_is_put_is_taken},
    {&what_is_cut_or_changed_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("sched/stage_past", tests);
}
