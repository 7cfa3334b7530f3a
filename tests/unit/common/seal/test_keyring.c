/* keyring: a wrapped key whose bytes were made by hand and opened by tink-py, one that tink-py has
 * made (tests/golden/seal/make.py), and every way to change one. */
#include "common/seal/keyring.h"

#include "common/base/base64.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/seal/keyset.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ps_secret *counted(unsigned from)
{
    ps_secret *secret = ps_secret_new();
    for (size_t i = 0; i < PS_SECRET_BYTES; i++)
        ps_secret_bytes(secret)[i] = (uint8_t)(from + i);
    return secret;
}

static ps_keyring *ring_of(unsigned from)
{
    ps_secret *kek = counted(from);
    return ps_keyring_new(&kek);
}

static const char aad[] = "psd/v1 lab model fashion-mlp 3";

static const char keyset_hex[] = "080112770a6f0a3d747970652e676f6f676c65617069732e636f6d2f676f6f676"
                                 "c652e63727970746f2e74696e6b2e4165"
                                 "7347636d486b646653747265616d696e674b6579122c120808808040102018031"
                                 "a206465666768696a6b6c6d6e6f707172"
                                 "737475767778797a7b7c7d7e7f808182831801100118012003";
static const char sealed_hex[] = "000102030405060708090a0b4f03c46ccf8ac826f938e7ee9f8e1702e4bae2558"
                                 "0122c525b0888aa7a066fd56d75809fdd"
                                 "b862ec1b8a0b84e6ec06798b2a27ee379ec8be59c45e6b7d8298879e5b8d1faac"
                                 "30a73145c2aeeaf9f2ef03b90e9061305"
                                 "34009497f5a0159ed6fdba8a2a92d137bf62e76645ce350b5eff3be5e1b3e2d52"
                                 "4824cdf544081db36ee9a91a00c31cdcf"
                                 "785cc688";

static void put_hex(ps_buf *out, const char *hex)
{
    for (; *hex; hex += 2) {
        unsigned byte;
        ck_assert_int_eq(sscanf(hex, "%2x", &byte), 1);
        ps_buf_putc(out, (char)byte);
    }
}

START_TEST(a_keyset_is_that_of_tink_to_the_byte)
{
    ps_buf wanted = PS_BUF_EMPTY;
    put_hex(&wanted, keyset_hex);
    ps_secret *key = counted(0x64), *back = NULL;
    uint8_t *bytes;
    size_t len = ps_keyset_pack(key, 1, &bytes);
    ck_assert_uint_eq(len, wanted.len);
    ck_assert_mem_eq(bytes, wanted.data, len);
    uint32_t id;
    ck_ok(ps_keyset_unpack(ps_slice_of(bytes, len), &id, &back));
    ck_assert_uint_eq(id, 1);
    ck_assert_mem_eq(ps_secret_const(back), ps_secret_const(key), PS_SECRET_BYTES);
    for (size_t n = 0; n < len; n++) { /* cut anywhere it is none */
        ps_secret *none = NULL;
        ck_assert_int_eq(ps_keyset_unpack(ps_slice_of(bytes, n), &id, &none), PS_CORRUPT);
    }
    ps_secret_release(bytes);
    ps_secret_free(&key);
    ps_secret_free(&back);
    ps_buf_free(&wanted);
}
END_TEST

START_TEST(a_published_sidecar_is_opened_with_and_without_its_info)
{
    ps_buf sealed = PS_BUF_EMPTY, text = PS_BUF_EMPTY;
    put_hex(&sealed, sealed_hex);
    ps_buf_puts(&text, "{\"encryptedKeyset\":\"");
    ps_base64_write(&text, ps_buf_slice(&sealed));
    ps_buf_puts(&text, "\"}");
    ps_keyring *ring = ring_of(0);
    ps_secret *key, *wanted = counted(0x64);
    uint32_t kek, said = 7;
    ck_ok(ps_keyring_unwrap(ring, ps_buf_slice(&text), ps_slice_str(aad), &key, &kek));
    ck_assert_mem_eq(ps_secret_const(key), ps_secret_const(wanted), PS_SECRET_BYTES);
    ck_assert_uint_eq(kek, ps_keyring_current(ring));
    ck_ok(ps_sidecar_kek(ps_buf_slice(&text), &said));
    ck_assert_uint_eq(said, 0);
    ps_secret_free(&key);
    ps_secret_free(&wanted);
    ps_keyring_free(&ring);
    ps_buf_free(&sealed);
    ps_buf_free(&text);
}
END_TEST

START_TEST(what_tink_wrapped_is_opened_by_whichever_key_fits)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/golden/seal/tink.key", getenv("PSD_SOURCE_ROOT"));
    ps_buf text = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, path, PS_SIDECAR_MOST, &text));
    ps_keyring *ring = ring_of(1);
    ps_secret *previous = counted(0), *key = NULL;
    uint32_t kek, fits = ps_kek_id(previous);
    ps_slice whose = ps_slice_str("psd/v1 lab model x 3");
    ck_assert_int_eq(ps_keyring_unwrap(ring, ps_buf_slice(&text), whose, &key, &kek),
                     PS_FAILED_PRECONDITION);
    ck_ok(ps_keyring_add(ring, &previous));
    ck_ok(ps_keyring_unwrap(ring, ps_buf_slice(&text), whose, &key, &kek));
    ck_assert_uint_eq(kek, fits);
    ps_secret_free(&key);
    ps_keyring_free(&ring);
    ps_buf_free(&text);
}
END_TEST

START_TEST(who_lacks_the_key_is_told_which)
{
    ps_keyring *ring = ring_of(9), *other = ring_of(10);
    ps_secret *key = ps_secret_random(), *back = NULL;
    ps_buf text = PS_BUF_EMPTY;
    ps_keyring_wrap(ring, key, ps_slice_str(aad), &text);
    char name[PS_KEK_TEXT];
    ps_kek_text(ps_keyring_current(ring), name);
    uint32_t said;
    ck_ok(ps_sidecar_kek(ps_buf_slice(&text), &said));
    ck_assert_uint_eq(said, ps_keyring_current(ring));
    ck_assert_int_eq(ps_keyring_unwrap(other, ps_buf_slice(&text), ps_slice_str(aad), &back, NULL),
                     PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), name));
    ps_secret *same = counted(10); /* twice the same key, and more than there may be */
    ck_assert_int_eq(ps_keyring_add(other, &same), PS_ALREADY_EXISTS);
    ps_secret_free(&same);
    for (unsigned i = 1; i < PS_KEYRING_MOST; i++) {
        ps_secret *more = counted(100 + i);
        ck_ok(ps_keyring_add(other, &more));
    }
    ps_secret *most = counted(99);
    ck_assert_int_eq(ps_keyring_add(other, &most), PS_RESOURCE_EXHAUSTED);
    ps_secret_free(&most);
    ps_secret_free(&key);
    ps_keyring_free(&ring);
    ps_keyring_free(&other);
    ps_buf_free(&text);
}
END_TEST

static bool opens(const ps_keyring *ring, ps_slice text, const char *whose)
{
    ps_secret *key = NULL;
    bool opened = !ps_keyring_unwrap(ring, text, ps_slice_str(whose), &key, NULL);
    if (opened)
        ps_secret_free(&key);
    return opened;
}

START_TEST(no_changed_byte_and_no_other_name_is_accepted)
{
    ps_keyring *ring = ring_of(0);
    ps_secret *key = ps_secret_random();
    ps_buf text = PS_BUF_EMPTY;
    ps_keyring_wrap(ring, key, ps_slice_str(aad), &text);
    ck_assert(opens(ring, ps_buf_slice(&text), aad));
    ck_assert(!opens(ring, ps_buf_slice(&text), "psd/v1 lab model fashion-mlp 2"));
    ck_assert(!opens(ring, ps_buf_slice(&text), "psd/v1 lab model fashion-ml p 3"));
    for (size_t i = 0; i < text.len; i++) {
        ck_assert_msg(!opens(ring, ps_slice_of(text.data, i), aad), "cut at %zu", i);
        for (unsigned bit = 0; bit < 8; bit++) {
            text.data[i] ^= (uint8_t)(1u << bit);
            ck_assert_msg(!opens(ring, ps_buf_slice(&text), aad), "byte %zu bit %u", i, bit);
            text.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    ps_secret_free(&key);
    ps_keyring_free(&ring);
    ps_buf_free(&text);
}
END_TEST

START_TEST(a_sidecar_has_its_members_once_and_no_others)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"encryptedKeyset\":\"\"}",
        "{\"encryptedKeyset\":\"Zg==\",\"encryptedKeyset\":\"Zg==\"}",
        "{\"encryptedKeyset\":\"Zg==\",\"kek\":1}",
        "{\"encryptedKeyset\":7}",
        "{\"encryptedKeyset\":\"Zg==\",\"keysetInfo\":{}}",
        "{\"encryptedKeyset\":\"Zg==\",\"keysetInfo\":{\"primaryKeyId\":0,\"keyInfo\":[]}}",
        "{\"encryptedKeyset\":\"Zg==\",\"keysetInfo\":{\"primaryKeyId\":4294967296,\"keyInfo\":[]}"
        "}",
        "{\"encryptedKeyset\":\"Zg==\",\"keysetInfo\":{\"primaryKeyId\":1,\"keyInfo\":[]}}",
        "{\"encryptedKeyset\":\"Zg==\"} {}",
    };
    ps_keyring *ring = ring_of(0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!opens(ring, ps_slice_str(bad[i]), aad), "%s", bad[i]);
    char *large = ps_alloc(PS_SIDECAR_MOST + 2);
    memset(large, ' ', PS_SIDECAR_MOST + 1);
    ck_assert(!opens(ring, ps_slice_str(large), aad));
    ps_free(&large);
    ps_keyring_free(&ring);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_keyset_is_that_of_tink_to_the_byte},
    {&a_published_sidecar_is_opened_with_and_without_its_info},
    {&what_tink_wrapped_is_opened_by_whichever_key_fits},
    {&who_lacks_the_key_is_told_which},
    {&no_changed_byte_and_no_other_name_is_accepted, 60},
    {&a_sidecar_has_its_members_once_and_no_others},
    {0},
};

int main(void)
{
    return ps_check_main("seal/keyring", tests);
}
