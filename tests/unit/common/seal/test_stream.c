/* stream: files that Tink publishes, and files whose digests another Tink (tink-py) has confirmed.
 */
#include "common/seal/stream.h"

#include "common/base/mem.h"
#include "common/security/aead.h"
#include "common/security/digest.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <string.h>

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (; hex[2 * n]; n++) {
        unsigned byte;
        ck_assert_int_eq(sscanf(hex + 2 * n, "%2x", &byte), 1);
        out[n] = (uint8_t)byte;
    }
    return n;
}

/* tink-crypto/tink-cross-lang-tests: 16 bytes of key, segments of 64, nothing in it. */
START_TEST(a_file_that_tink_publishes_is_opened)
{
    static const ps_seal_shape shape = {.segment = 64, .key_bytes = 16};
    uint8_t key[16], file[64], out[64];
    ck_assert_uint_eq(from_hex("6eb56cdc726dfbe5d57f2fcdc6e9345b", key), 16);
    size_t n = from_hex(
        "18be78bce0cab6fd38a9041eea8ab0ffc4cf17e3c00b661d3927f5f79069f41a210fedc40b25648c", file);
    ck_assert_uint_eq(n, ps_seal_file_bytes(&shape, 0));
    ps_seal_stream *stream;
    ck_ok(ps_seal_stream_of(&shape, ps_slice_of(key, sizeof key), (ps_slice){0},
                            ps_slice_of(file, 24), &stream));
    ck_ok(ps_seal_segment_open(stream, 0, 0, true, file + 24, n - 24, out));
    ck_assert_int_eq(ps_seal_segment_open(stream, 1, 0, false, file + 24, n - 24, out), PS_CORRUPT);
    ps_seal_stream_free(&stream);
}
END_TEST

/* Key 00 to 1f, salt 20 to 3f, nonce 40 to 46, aad psd/v1, byte i is 7 i + 3. */
static void digest_of(uint64_t n, char out[PS_DIGEST_TEXT])
{
    uint8_t header[40] = {40}, key[32];
    for (size_t i = 0; i < 32; i++)
        key[i] = (uint8_t)i;
    for (size_t i = 1; i < sizeof header; i++)
        header[i] = (uint8_t)(0x1f + i);
    ps_seal_stream *stream;
    ck_ok(ps_seal_stream_of(&ps_seal_1mb, ps_slice_of(key, sizeof key), ps_slice_str("psd/v1"),
                            ps_slice_of(header, sizeof header), &stream));
    uint8_t *segment = ps_alloc(PS_SEAL_SEGMENT);
    ps_digest *digest = ps_digest_new();
    ps_digest_add(digest, header, sizeof header);
    uint64_t at = 0, bytes = sizeof header;
    for (uint64_t number = 0; at < n || !number; number++) {
        ck_assert_uint_eq(at, ps_seal_plain_at(&ps_seal_1mb, number));
        ck_assert_uint_eq(bytes, ps_seal_file_at(&ps_seal_1mb, number));
        size_t most = ps_seal_plain_most(&ps_seal_1mb, number), len = n - at < most ? n - at : most;
        for (size_t i = 0; i < len; i++)
            segment[i] = (uint8_t)(7 * (at + i) + 3);
        ps_seal_segment(stream, number % PS_SEAL_LANES, number, at + len == n, segment, len,
                        segment);
        ps_digest_add(digest, segment, len + PS_AEAD_TAG);
        at += len;
        bytes += len + PS_AEAD_TAG;
    }
    ck_assert_uint_eq(bytes, ps_seal_file_bytes(&ps_seal_1mb, n));
    ps_digest_end(&digest, out);
    ps_free(&segment);
    ps_seal_stream_free(&stream);
}

START_TEST(whole_files_are_those_of_tink)
{
    static const struct {
        uint64_t n;
        const char *digest;
    } cases[] = {
        {0, "4910572eebcb05f9ac5a0f1500f79d41bef543ea87d1194c7b50818f44eb1645"},
        {1048520, "e0c84f486b13718b8dd4cc71cd11d1c86e6f82eb45e25fb13452b6262b5840db"},
        {1048521, "68ae3a79708e8298e643405400da86f34df47b64c7f9ab9e5f6b1db015145549"},
        {3145728, "511e6342bf3ab3ffdfcf0d5530b073a0ee0cef86186e763995d78f05881fad45"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char digest[PS_DIGEST_TEXT];
        digest_of(cases[i].n, digest);
        ck_assert_str_eq(digest, cases[i].digest);
    }
}
END_TEST

START_TEST(sizes_go_both_ways_and_others_are_no_stream)
{
    static const ps_seal_shape shape = {.segment = 64, .key_bytes = 16};
    uint64_t next = ps_seal_file_bytes(&shape, 0), plain;
    for (uint64_t n = 0; n < 300; n++) {
        uint64_t file = ps_seal_file_bytes(&shape, n);
        for (; next < file; next++) /* between two sizes that there are */
            ck_assert_int_eq(ps_seal_plain_bytes(&shape, next, &plain), PS_CORRUPT);
        ck_ok(ps_seal_plain_bytes(&shape, file, &plain));
        ck_assert_uint_eq(plain, n);
        next = file + 1;
        uint64_t number = ps_seal_segment_of(&shape, n);
        ck_assert_uint_le(ps_seal_plain_at(&shape, number), n);
        ck_assert_uint_gt(ps_seal_plain_at(&shape, number + 1), n);
    }
    ck_assert_int_eq(ps_seal_plain_bytes(&shape, 39, &plain), PS_CORRUPT);
    ck_assert_int_eq(ps_seal_plain_bytes(&shape, UINT64_MAX, &plain), PS_CORRUPT);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_file_that_tink_publishes_is_opened},
    {&whole_files_are_those_of_tink},
    {&sizes_go_both_ways_and_others_are_no_stream},
    {0},
};

int main(void)
{
    return ps_check_main("seal/stream", tests);
}
