/* ecdsa: Wycheproof's vectors (tests/golden/signing/wycheproof.py), and keys that models are not
 * signed with. */
#include "common/security/ecdsa.h"

#include "common/base/mem.h"
#include "common/security/pem_file.h"
#include "tests/lib/check_main.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 8192, LINE = 4 * BYTES };

static FILE *open_golden(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/golden/signing/%s", getenv("PSD_SOURCE_ROOT"),
                   name);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file, "%s", path);
    return file;
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

static EVP_PKEY *key_of(const char *hex)
{
    static uint8_t bytes[BYTES];
    ps_slice der = bytes_of(hex, bytes);
    const unsigned char *at = der.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)der.len);
    ck_assert_ptr_nonnull(key);
    ck_ok(ps_ecdsa_check_key(key, "Wycheproof's"));
    return key;
}

static void do_file(const char *name, size_t all, size_t invalid)
{
    static char line[LINE];
    static uint8_t message[BYTES], signature[BYTES];
    FILE *file = open_golden(name);
    EVP_PKEY *key = NULL;
    size_t n = 0, refused = 0;
    while (fgets(line, sizeof line, file)) {
        char *rest = line, *number = strtok_r(rest, " \n", &rest), *result;
        result = strtok_r(rest, " \n", &rest);
        if (!strcmp(number, "key")) {
            EVP_PKEY_free(key);
            key = key_of(result);
            continue;
        }
        ps_slice m = bytes_of(strtok_r(rest, " \n", &rest), message);
        ps_slice s = bytes_of(strtok_r(rest, " \n", &rest), signature);
        ps_status st = ps_ecdsa_verify(key, m, s);
        ck_assert_msg(st == (strcmp(result, "valid") ? PS_CORRUPT : PS_OK), "%s: vector %s is %s",
                      name, number, result);
        refused += st != PS_OK;
        n++;
    }
    EVP_PKEY_free(key);
    (void)fclose(file);
    ck_assert_uint_eq(n, all);
    ck_assert_uint_eq(refused, invalid);
}

START_TEST(p256_does_what_wycheproof_says)
{
    do_file("ecdsa_secp256r1_sha256.txt", 484, 310);
}
END_TEST

START_TEST(p384_does_what_wycheproof_says)
{
    do_file("ecdsa_secp384r1_sha384.txt", 504, 310);
}
END_TEST

/* And over every curve what is signed is what is verified, and nothing else. */
START_TEST(what_is_signed_verifies_over_the_three_curves)
{
    static const char *const curves[] = {"P-256", "P-384", "P-521"};
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        EVP_PKEY *key = EVP_EC_gen(curves[i]), *other = EVP_EC_gen(curves[i]);
        ps_buf signature = PS_BUF_EMPTY;
        ps_slice message = ps_slice_str("a model");
        ck_ok(ps_ecdsa_sign(key, message, &signature));
        ck_ok(ps_ecdsa_verify(key, message, ps_buf_slice(&signature)));
        ck_assert_int_eq(ps_ecdsa_verify(other, message, ps_buf_slice(&signature)), PS_CORRUPT);
        ck_assert_int_eq(ps_ecdsa_verify(key, ps_slice_str("a modem"), ps_buf_slice(&signature)),
                         PS_CORRUPT);
        for (size_t b = 0; b < signature.len; b++) {
            signature.data[b] ^= 1;
            ck_assert_int_eq(ps_ecdsa_verify(key, message, ps_buf_slice(&signature)), PS_CORRUPT);
            signature.data[b] ^= 1;
        }
        ps_buf_free(&signature);
        EVP_PKEY_free(key);
        EVP_PKEY_free(other);
    }
}
END_TEST

START_TEST(keys_that_models_are_not_signed_with_are_refused)
{
    EVP_PKEY *keys[] = {EVP_EC_gen("secp256k1"), EVP_RSA_gen(2048),
                        EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        ck_assert_int_eq(ps_ecdsa_check_key(keys[i], "x.pem"), PS_INVALID_ARGUMENT);
        ck_assert_msg(strstr(ps_error_message(), "x.pem: models are signed by ECDSA"), "%s",
                      ps_error_message());
        EVP_PKEY_free(keys[i]);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&p256_does_what_wycheproof_says},
    {&p384_does_what_wycheproof_says},
    {&what_is_signed_verifies_over_the_three_curves},
    {&keys_that_models_are_not_signed_with_are_refused},
    {0},
};

int main(void)
{
    return ps_check_main("security/ecdsa", cases);
}
