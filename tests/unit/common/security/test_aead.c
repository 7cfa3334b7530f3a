/* aead: Wycheproof's vectors of AES-GCM and of HKDF with SHA-256 (tests/golden/seal/wycheproof.py).
 */
#include "common/security/aead.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 7, BYTES = 255 * 32, LINE = 4 * BYTES };

typedef struct vector {
    char line[LINE];
    const char *words[WORDS];
    bool valid;
} vector;

static FILE *open_golden(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/golden/seal/%s", getenv("PSD_SOURCE_ROOT"), name);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file, "%s", path);
    return file;
}

static bool next_vector(FILE *file, vector *v)
{
    if (!fgets(v->line, sizeof v->line, file))
        return false;
    char *rest = v->line, *word;
    for (size_t i = 0; i < WORDS && (word = strtok_r(rest, " \n", &rest)); i++)
        v->words[i] = word;
    v->valid = !strcmp(v->words[1], "valid");
    return true;
}

static ps_slice bytes_of(const char *hex, uint8_t out[BYTES])
{
    size_t n = 0;
    for (const char *at = hex; *at && *at != '-'; at += 2) {
        unsigned byte;
        ck_assert_int_eq(sscanf(at, "%2x", &byte), 1);
        ck_assert_uint_lt(n, BYTES);
        out[n++] = (uint8_t)byte;
    }
    return ps_slice_of(out, n);
}

/* True: it was one for us, whose nonces have 1 to PS_AEAD_NONCE_MAX bytes. */
static bool try_gcm(const vector *v)
{
    static uint8_t k[BYTES], n[BYTES], a[BYTES], m[BYTES], s[BYTES], out[BYTES];
    ps_slice key = bytes_of(v->words[2], k), nonce = bytes_of(v->words[3], n);
    ps_slice associated = bytes_of(v->words[4], a), plain = bytes_of(v->words[5], m);
    ps_slice sealed = bytes_of(v->words[6], s);
    if (!nonce.len || nonce.len > PS_AEAD_NONCE_MAX)
        return false;
    ps_aead *aead = ps_aead_new(key);
    memset(out, 1, sizeof out);
    ps_status st = ps_aead_open(aead, nonce, associated, sealed.data, sealed.len, out);
    if (v->valid) {
        ck_assert_msg(!st && !memcmp(out, plain.data, plain.len), "vector %s", v->words[0]);
        ps_aead_seal(aead, nonce, associated, plain.data, plain.len, out);
        ck_assert_msg(!memcmp(out, sealed.data, sealed.len), "vector %s", v->words[0]);
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
    static vector v;
    FILE *file = open_golden("aes_gcm.txt");
    size_t tried = 0, all = 0;
    for (; next_vector(file, &v); all++)
        tried += try_gcm(&v);
    (void)fclose(file);
    ck_assert_uint_eq(all, 316);
    ck_assert_uint_eq(tried, 307); /* of the rest six have nonces of 257 bytes, three none */
}
END_TEST

START_TEST(hkdf_does_what_wycheproof_says)
{
    static vector v;
    static uint8_t k[BYTES], s[BYTES], f[BYTES], o[BYTES], out[255 * 32];
    FILE *file = open_golden("hkdf_sha256.txt");
    size_t tried = 0, all = 0;
    for (; next_vector(file, &v); all++) {
        size_t size = strtoul(v.words[5], NULL, 10);
        ck_assert_int_eq(v.valid,
                         size <= sizeof out); /* what it says of the rest is our contract */
        if (!v.valid)
            continue;
        ps_slice wanted = bytes_of(v.words[6], o);
        ps_hkdf_sha256(bytes_of(v.words[2], k), bytes_of(v.words[3], s), bytes_of(v.words[4], f),
                       out, size);
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
    {&aes_gcm_does_what_wycheproof_says},
    {&hkdf_does_what_wycheproof_says},
    {&what_is_too_short_for_a_tag_is_refused},
    {0},
};

int main(void)
{
    return ps_check_main("security/aead", tests);
}
