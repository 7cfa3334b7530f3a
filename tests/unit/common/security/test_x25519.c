/* x25519: Wycheproof's vectors (tests/golden/seal/wycheproof.py); points of low order are refused.
 */
#include "common/security/x25519.h"

#include "tests/lib/check_main.h"
#include "tests/lib/vectors.h"

#include <string.h>

START_TEST(it_does_what_wycheproof_says)
{
    static ps_vector v;
    static const uint8_t zeros[PS_X25519_BYTES];
    uint8_t secret[PS_X25519_BYTES], point[PS_X25519_BYTES], wanted[PS_X25519_BYTES],
        out[PS_X25519_BYTES];
    FILE *file = ps_vectors_open("seal/x25519.txt");
    size_t all = 0, refused = 0;
    for (; ps_vector_next(file, &v); all++) {
        (void)ps_vector_bytes(&v, 2, secret, sizeof secret);
        (void)ps_vector_bytes(&v, 3, point, sizeof point);
        (void)ps_vector_bytes(&v, 4, wanted, sizeof wanted);
        bool zero = !memcmp(wanted, zeros, sizeof zeros);
        memset(out, 1, sizeof out);
        ck_assert_msg(ps_x25519(secret, point, out) == (zero ? PS_CORRUPT : PS_OK), "vector %s",
                      v.words[0]);
        ck_assert_msg(!memcmp(out, wanted, sizeof out), "vector %s", v.words[0]);
        refused += zero;
    }
    (void)fclose(file);
    ck_assert_uint_eq(all, 518);
    ck_assert_uint_eq(refused, 31);
}
END_TEST

/* RFC 7748, section 6.1: the point of Alice's secret. */
START_TEST(a_secret_has_the_point_of_the_rfc)
{
    static const uint8_t secret[PS_X25519_BYTES] = {0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d,
                                                    0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45,
                                                    0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a,
                                                    0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a};
    static const uint8_t wanted[PS_X25519_BYTES] = {0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54,
                                                    0x74, 0x8b, 0x7d, 0xdc, 0xb4, 0x3e, 0xf7, 0x5a,
                                                    0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38, 0x1a, 0xf4,
                                                    0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a};
    uint8_t out[PS_X25519_BYTES];
    ps_x25519_point(secret, out);
    ck_assert_mem_eq(out, wanted, sizeof out);
}
END_TEST

static const ps_check_case tests[] = {
    {&it_does_what_wycheproof_says},
    {&a_secret_has_the_point_of_the_rfc},
    {0},
};

int main(void)
{
    return ps_check_main("security/x25519", tests);
}
