/* aead: Wycheproof's vectors of AES-GCM, ChaCha20-Poly1305 and of HKDF with SHA-256
 * (tests/golden/seal/wycheproof.py), and HMAC of RFC 4231. */
#include "common/security/aead.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/vectors.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES = 255 * 32 };

static bool is_valid(const ps_vector *v)
{
    return ps_vector_is(v, 1, "valid");
}

static ps_slice bytes_of(const ps_vector *v, size_t word, uint8_t out[BYTES])
{
    return ps_vector_bytes(v, word, out, BYTES);
}

/* True: it was one for us, whose nonces have `least` to `most` bytes. */
static bool try_aead(const ps_vector *v, ps_aead *(*make)(ps_slice key), size_t least, size_t most)
{
    static uint8_t k[BYTES], n[BYTES], a[BYTES], m[BYTES], s[BYTES], out[BYTES];
    ps_slice key = bytes_of(v, 2, k), nonce = bytes_of(v, 3, n);
    ps_slice associated = bytes_of(v, 4, a), plain = bytes_of(v, 5, m);
    ps_slice sealed = bytes_of(v, 6, s);
    if (nonce.len < least || nonce.len > most)
        return false;
    ps_aead *aead = make(key);
    memset(out, 1, sizeof out);
    ps_status st = ps_aead_open(aead, nonce, associated, sealed.data, sealed.len, out);
    if (is_valid(v)) {
        ck_assert_msg(!st && !memcmp(out, plain.data, plain.len), "vector %s", v->words[0]);
        ps_aead_seal(aead, nonce, associated, plain.data, plain.len, out);
        ck_assert_msg(!memcmp(out, sealed.data, sealed.len), "vector %s", v->words[0]);
        size_t some = plain.len / 3;
        memset(out, 1, sizeof out);
        ps_aead_begin(aead, nonce, associated);
        ps_aead_add(aead, plain.data, some, out);
        ps_aead_add(aead, plain.data + some, plain.len - some, out + some);
        ps_aead_end(aead, out + plain.len);
        ck_assert_msg(!memcmp(out, sealed.data, sealed.len), "vector %s in parts", v->words[0]);
    } else {
        ck_assert_msg(st == PS_CORRUPT, "vector %s", v->words[0]);
        for (size_t i = 0; i + PS_AEAD_TAG < sealed.len; i++)
            ck_assert_uint_eq(out[i], 0);
    }
    ps_aead_free(&aead);
    return true;
}

START_TEST(aes_gcm_does_what_wycheproof_says)
{
    static ps_vector v;
    FILE *file = ps_vectors_open("seal/aes_gcm.txt");
    size_t tried = 0, all = 0;
    for (; ps_vector_next(file, &v); all++)
        tried += try_aead(&v, ps_aead_new, 1, PS_AEAD_NONCE_MAX);
    (void)fclose(file);
    ck_assert_uint_eq(all, 316);
    ck_assert_uint_eq(tried, 307); /* of the rest six have nonces of 257 bytes, three none */
}
END_TEST

START_TEST(chacha20_poly1305_does_what_wycheproof_says)
{
    static ps_vector v;
    FILE *file = ps_vectors_open("seal/chacha20_poly1305.txt");
    size_t tried = 0, all = 0;
    for (; ps_vector_next(file, &v); all++)
        tried += try_aead(&v, ps_aead_new_chacha20, PS_AEAD_NONCE, PS_AEAD_NONCE);
    (void)fclose(file);
    ck_assert_uint_eq(all, 325);
    ck_assert_uint_eq(tried, 316); /* the rest have nonces of other lengths */
}
END_TEST

/* RFC 4231, section 4.3. */
START_TEST(hmac_is_that_of_the_rfc)
{
    static const uint8_t wanted[32] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
                                       0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
                                       0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83,
                                       0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    uint8_t out[32];
    ps_hmac_sha256(ps_slice_str("Jefe"), ps_slice_str("what do ya want for nothing?"), out);
    ck_assert_mem_eq(out, wanted, sizeof out);
}
END_TEST

START_TEST(hkdf_does_what_wycheproof_says)
{
    static ps_vector v;
    static uint8_t k[BYTES], s[BYTES], f[BYTES], o[BYTES], out[255 * 32];
    FILE *file = ps_vectors_open("seal/hkdf_sha256.txt");
    size_t tried = 0, all = 0;
    for (; ps_vector_next(file, &v); all++) {
        size_t size = strtoul(v.words[5], NULL, 10);
        ck_assert_int_eq(is_valid(&v),
                         size <= sizeof out); /* what it says of the rest is our contract */
        if (!is_valid(&v))
            continue;
        ps_slice wanted = bytes_of(&v, 6, o);
        ps_hkdf_sha256(bytes_of(&v, 2, k), bytes_of(&v, 3, s), bytes_of(&v, 4, f), out, size);
        ck_assert_msg(wanted.len == size && !memcmp(out, wanted.data, size), "vector %s",
                      v.words[0]);
        tried++;
    }
    (void)fclose(file);
    ck_assert_uint_eq(all, 86);
    ck_assert_uint_eq(tried, 83);
}
END_TEST

START_TEST(what_is_too_short_for_a_tag_is_refused)
{
    static const uint8_t key[32], nonce[PS_AEAD_NONCE], few[PS_AEAD_TAG - 1];
    uint8_t out[1];
    ps_aead *aead = ps_aead_new(ps_slice_of(key, sizeof key));
    ck_assert_int_eq(
        ps_aead_open(aead, ps_slice_of(nonce, sizeof nonce), (ps_slice){0}, few, sizeof few, out),
        PS_CORRUPT);
    ps_aead_free(&aead);
}
END_TEST

static const ps_check_case tests[] = {
    {&aes_gcm_does_what_wycheproof_says},      {&chacha20_poly1305_does_what_wycheproof_says},
    {&hkdf_does_what_wycheproof_says},         {&hmac_is_that_of_the_rfc},
    {&what_is_too_short_for_a_tag_is_refused}, {0},
};

int main(void)
{
    return ps_check_main("security/aead", tests);
}
