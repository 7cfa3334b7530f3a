/* digest: the examples of FIPS 180-4's SHA-256 (csrc.nist.gov, "SHA256.pdf" and the million letters
 * a of FIPS 180-2, appendix B). */
#include "common/security/digest.h"

#include "tests/lib/check_main.h"

#include <string.h>

static void assert_digest(const char *text, size_t times, size_t piece, const char *wanted)
{
    char out[PS_DIGEST_TEXT];
    ps_digest *digest = ps_digest_new();
    size_t len = strlen(text);
    for (size_t i = 0; i < times; i++)
        for (size_t at = 0; at < len; at += piece)
            ps_digest_add(digest, text + at, len - at < piece ? len - at : piece);
    ps_digest_end(&digest, out);
    ck_assert_ptr_null(digest);
    ck_assert_str_eq(out, wanted);
}

START_TEST(published_digests_come_out_however_the_bytes_are_cut)
{
    for (size_t piece = 1; piece < 60; piece += 7) {
        assert_digest("", 1, piece,
                      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_digest("abc", 1, piece,
                      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, piece,
                      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
    assert_digest("aaaaaaaaaa", 100000, 10,
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

static const ps_check_case tests[] = {
    {&published_digests_come_out_however_the_bytes_are_cut},
    {0},
};

int main(void)
{
    return ps_check_main("security/digest", tests);
}
