#include "common/base/crc32c.h"

#include "tests/lib/check_main.h"

#include <string.h>

START_TEST(published_vectors)
{
    /* RFC 3720, appendix B.4; the check value of the CRC catalogue */
    uint8_t bytes[48];
    memset(bytes, 0, 32);
    ck_assert_uint_eq(ps_crc32c(0, bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, 32);
    ck_assert_uint_eq(ps_crc32c(0, bytes, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    ck_assert_uint_eq(ps_crc32c(0, bytes, 32), 0x46dd794eu);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    ck_assert_uint_eq(ps_crc32c(0, bytes, 32), 0x113fdb5cu);
    const uint8_t scsi_read[48] = {0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
                                   0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
                                   0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0};
    ck_assert_uint_eq(ps_crc32c(0, scsi_read, 48), 0xd9963a56u);
    ck_assert_uint_eq(ps_crc32c(0, "123456789", 9), 0xe3069283u);
    ck_assert_uint_eq(ps_crc32c_table(0, "123456789", 9), 0xe3069283u);
    ck_assert_uint_eq(ps_crc32c(0, "", 0), 0);
}
END_TEST

START_TEST(both_forms_agree_for_every_length_and_start)
{
    uint8_t bytes[160];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 151 + 7);
    for (size_t start = 0; start < 9; start++)
        for (size_t len = 0; len + start <= sizeof bytes; len++)
            ck_assert_uint_eq(ps_crc32c(17, bytes + start, len),
                              ps_crc32c_table(17, bytes + start, len));
}
END_TEST

START_TEST(a_checksum_can_be_taken_in_pieces)
{
    const char text[] = "the whole is the same as its parts";
    uint32_t whole = ps_crc32c(0, text, sizeof text);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        uint32_t first = ps_crc32c(0, text, cut);
        ck_assert_uint_eq(ps_crc32c(first, text + cut, sizeof text - cut), whole);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&published_vectors},
    {&both_forms_agree_for_every_length_and_start},
    {&a_checksum_can_be_taken_in_pieces},
    {0},
};

int main(void)
{
    return ps_check_main("base/crc32c", cases);
}
