#include "server/durable/manifest.h"

#include "tests/lib/check_main.h"

#include "common/base/crc32c.h"

static ps_status parse(const char *lines, bool with_crc, ps_manifest *out)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_buf_puts(&text, lines);
    if (with_crc)
        ps_buf_printf(&text, "crc32c %08x\n", ps_crc32c(0, lines, strlen(lines)));
    ps_status st = ps_manifest_parse(ps_buf_slice(&text), out);
    ps_buf_free(&text);
    return st;
}

START_TEST(what_it_says_is_read)
{
    ps_manifest m;
    ck_ok(parse("psd-manifest 1\n"
                "checkpoint 7 version 1200 bytes 5678\n"
                "checkpoint 6 version 18446744073709551615 bytes 0\n",
                true, &m));
    ck_assert_uint_eq(m.n, 2);
    ck_assert_uint_eq(m.entries[0].number, 7);
    ck_assert_uint_eq(m.entries[0].version, 1200);
    ck_assert_uint_eq(m.entries[0].bytes, 5678);
    ck_assert_uint_eq(m.entries[1].version, UINT64_MAX);
    ck_ok(parse("psd-manifest 1\n", true, &m));
    ck_assert_uint_eq(m.n, 0);
}
END_TEST

START_TEST(anything_else_is_damage)
{
    ps_manifest m;
    const char *bad[] = {
        "",
        "psd-manifest 2\n",
        "psd-manifest 1\ncheckpoint 7 version 1 bytes 5 \n",
        "psd-manifest 1\ncheckpoint 07 version 1 bytes 5\n",
        "psd-manifest 1\ncheckpoint -1 version 1 bytes 5\n",
        "psd-manifest 1\n\n",
        /* newest first, each once */
        "psd-manifest 1\ncheckpoint 7 version 1 bytes 5\ncheckpoint 7 version 1 bytes 5\n",
        "psd-manifest 1\ncheckpoint 6 version 1 bytes 5\ncheckpoint 7 version 1 bytes 5\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(parse(bad[i], true, &m), PS_CORRUPT);
    ck_assert_int_eq(parse("psd-manifest 1\n", false, &m), PS_CORRUPT);
    ck_assert_int_eq(parse("psd-manifest 1\ncrc32c 00000000\n", false, &m), PS_CORRUPT);
}
END_TEST

START_TEST(every_flipped_bit_and_truncation_is_found)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_buf_puts(&text, "psd-manifest 1\ncheckpoint 7 version 1200 bytes 5678\n");
    ps_buf_printf(&text, "crc32c %08x\n", ps_crc32c(0, text.data, text.len));
    ps_manifest m;
    ck_ok(ps_manifest_parse(ps_buf_slice(&text), &m));
    for (size_t i = 0; i < text.len; i++) {
        ck_assert_int_eq(ps_manifest_parse(ps_slice_of(text.data, i), &m), PS_CORRUPT);
        for (int bit = 0; bit < 8; bit++) {
            text.data[i] ^= (uint8_t)(1 << bit);
            ck_assert_int_eq(ps_manifest_parse(ps_buf_slice(&text), &m), PS_CORRUPT);
            text.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    ps_buf_free(&text);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_it_says_is_read},
    {&anything_else_is_damage},
    {&every_flipped_bit_and_truncation_is_found},
    {0},
};

int main(void)
{
    return ps_check_main("durable/manifest", cases);
}
