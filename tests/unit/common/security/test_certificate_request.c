/* certificate_request, certificate_renew: requests and certificates that the openssl command makes,
 * judged by us; and ours, judged by it. */
#include "common/security/certificate.h"
#include "common/security/certificate_renew.h"
#include "common/security/certificate_request.h"
#include "common/security/pem_file.h"

#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static ps_test_pki pki;
static X509 *w1;
static EVP_PKEY *w1_key;
static STACK_OF(X509) * cas;

static void begin(void)
{
    char path[PS_TEST_PATH_MAX];
    ps_test_pki_open(&pki, "lab");
    ck_assert_int_eq(chdir(pki.folder), 0);
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    ck_ok(ps_pem_read_certificate(ps_test_pki_path(&pki, "w1", ".pem", path), "certificate", &w1));
    ck_ok(ps_pem_read_key(ps_test_pki_path(&pki, "w1", ".key", path), &w1_key));
    ck_ok(ps_pem_read_certificates(ps_test_pki_path(&pki, "ca", ".pem", path), "CA file", &cas));
}

static void end(void)
{
    ps_certificate_unref(&w1);
    ps_certificate_key_free(&w1_key);
    ps_certificate_chain_free(&cas);
    ck_assert_int_eq(chdir("/"), 0);
    ps_test_pki_close(&pki);
}

static void shell(const char *command)
{
    char line[2048];
    (void)snprintf(line, sizeof line, "(%s) >log 2>&1 || { cat log; false; }", command);
    ck_assert_msg(system(line) == 0, "%s", command);
}

static void shell_says(const char *command, const char *part)
{
    char line[2048];
    (void)snprintf(line, sizeof line, "(%s) 2>&1 | grep -qF -- '%s'", command, part);
    ck_assert_msg(system(line) == 0, "%s: '%s' is not there", command, part);
}

static void put(const char *path, ps_slice bytes)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
    ck_assert_int_eq(fclose(file), 0);
}

static ps_buf get(const char *path)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 2 << 20, &out));
    return out;
}

START_TEST(ours_is_one_to_openssl)
{
    begin();
    ps_buf der = PS_BUF_EMPTY;
    X509_REQ *request = NULL;
    ck_ok(ps_certificate_request_make(w1, w1_key, &der));
    ck_ok(ps_certificate_request_read(ps_buf_slice(&der), &request));
    ck_ok(ps_certificate_request_check(request, w1));
    put("csr", ps_buf_slice(&der));
    const char *text = "openssl req -inform DER -in csr -noout -verify -text";
    shell_says(text, "verify OK");
    shell_says(text, "Subject: CN = w1");
    shell_says(text, "URI:spiffe://lab/worker/w1");
    shell_says(text, "NIST CURVE: P-256");
    ps_buf_clear(&der);
    ps_certificate_request_pem(request, &der);
    put("pem", ps_buf_slice(&der));
    shell_says("openssl req -in pem -noout -verify", "verify OK");
    ps_certificate_request_free(&request);
    ps_buf_free(&der);
    end();
}
END_TEST

/* What happens to a request in the file csr. */
static ps_status offer(ps_slice der)
{
    X509_REQ *request = NULL;
    ps_status st = ps_certificate_request_read(der, &request);
    st = st ? st : ps_certificate_request_check(request, w1);
    ps_certificate_request_free(&request);
    return st;
}

static void expect(ps_slice der, ps_status wanted, const char *words)
{
    ps_status st = offer(der);
    ck_assert_msg(st == wanted, "%s: %s %s", words, ps_status_name(st), ps_error_message());
    ck_assert_msg(strstr(ps_error_message(), words) != NULL, "'%s' is not '%s'", words,
                  ps_error_message());
}

#define ME      "-subj /CN=w1 -addext subjectAltName=URI:spiffe://lab/worker/w1"
#define REQUEST "openssl req -new -outform DER -out csr "

START_TEST(what_is_not_ones_own_is_refused_by_name)
{
    static const struct {
        const char *options, *words;
        ps_status st;
    } bad[] = {
        {"-key k -subj /CN=w1 -addext subjectAltName=URI:spiffe://lab/worker/w2",
         "is for spiffe://lab/worker/w2, and the caller is spiffe://lab/worker/w1",
         PS_PERMISSION_DENIED},
        {"-key k -subj /CN=w1 -addext subjectAltName=URI:spiffe://lab/admin/w1",
         "is for spiffe://lab/admin/w1, and the caller is", PS_PERMISSION_DENIED},
        {"-key k -subj /CN=w1 -addext subjectAltName=URI:spiffe://other/worker/w1",
         "is for spiffe://other/worker/w1", PS_PERMISSION_DENIED},
        {"-key k -subj /CN=w1 -addext subjectAltName=URI:https://lab/worker/w1",
         "is not for spiffe://lab/worker/w1: ", PS_PERMISSION_DENIED},
        {"-key k -subj /CN=w1", "it has no URI name", PS_PERMISSION_DENIED},
        {"-key k -subj /CN=w1 -addext "
         "subjectAltName=URI:spiffe://lab/worker/w1,URI:spiffe://lab/worker/w2",
         "it has several URI names", PS_PERMISSION_DENIED},
        {"-key k " ME ",DNS:psd.example",
         "asks for names that spiffe://lab/worker/w1's certificate", PS_PERMISSION_DENIED},
        {"-key k " ME " -addext basicConstraints=critical,CA:TRUE",
         "asks for X509v3 Basic Constraints; nothing but names", PS_PERMISSION_DENIED},
        {"-key k " ME " -addext extendedKeyUsage=serverAuth", "asks for X509v3 Extended Key Usage",
         PS_PERMISSION_DENIED},
        {"-key k -subj /CN=w2 -addext subjectAltName=URI:spiffe://lab/worker/w1",
         "has the common name 'w2', the caller's certificate 'w1'", PS_PERMISSION_DENIED},
        {"-key rsa1024 " ME, "its key is weak (RSA 1024)", PS_INVALID_ARGUMENT},
        {"-key p192 " ME, "its key is weak (prime192v1)", PS_INVALID_ARGUMENT},
        {"-key rsa2048 " ME, "its key is RSA 2048, that of the caller's certificate P-256",
         PS_PERMISSION_DENIED},
        {"-key p384 " ME, "its key is secp384r1, that of the caller's", PS_PERMISSION_DENIED},
        {"-key ed " ME, "its key is ED25519, that of the caller's", PS_PERMISSION_DENIED},
    };
    begin();
    shell("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k;"
          "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384;"
          "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime192v1 -out p192;"
          "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa1024;"
          "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa2048;"
          "openssl genpkey -algorithm ED25519 -out ed");
    shell(REQUEST "-key k " ME);
    ps_buf der = get("csr");
    ck_ok(offer(ps_buf_slice(&der)));
    ps_buf_free(&der);
    shell(REQUEST "-key k -subj / -addext subjectAltName=URI:spiffe://lab/worker/w1");
    der = get("csr"); /* no subject at all will do */
    ck_ok(offer(ps_buf_slice(&der)));
    ps_buf_free(&der);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char command[512];
        (void)snprintf(command, sizeof command, REQUEST "%s", bad[i].options);
        shell(command);
        der = get("csr");
        expect(ps_buf_slice(&der), bad[i].st, bad[i].words);
        ps_buf_free(&der);
    }
    end();
}
END_TEST

START_TEST(what_is_no_request_is_refused)
{
    begin();
    ps_buf der = PS_BUF_EMPTY;
    ck_ok(ps_certificate_request_make(w1, w1_key, &der));
    size_t len = der.len;
    expect((ps_slice){0}, PS_INVALID_ARGUMENT, "is none in DER (PKCS #10)");
    for (size_t cut = 1; cut < len; cut++)
        expect(ps_slice_of(der.data, cut), PS_INVALID_ARGUMENT, "is none in DER");
    ps_buf_putc(&der, 'x');
    expect(ps_buf_slice(&der), PS_INVALID_ARGUMENT, "1 bytes follow it");
    unsigned refused = 0; /* no flipped byte gets through: the signature covers all but itself */
    for (size_t i = 0; i < len; i++) {
        der.data[i] ^= 1;
        refused += offer(ps_slice_of(der.data, len)) != PS_OK;
        der.data[i] ^= 1;
    }
    ck_assert_uint_eq(refused, len);
    der.data[len - 1] ^= 1;
    expect(ps_slice_of(der.data, len), PS_INVALID_ARGUMENT,
           "it is not signed by its own key (P-256)");
    ps_buf much = PS_BUF_EMPTY;
    while (much.len < 1 << 20)
        ps_buf_append(&much, der.data, len);
    expect(ps_buf_slice(&much), PS_INVALID_ARGUMENT, " bytes, at most 16384");
    ps_buf_free(&much);
    ps_buf_free(&der);
    end();
}
END_TEST

static EVP_PKEY *ca_key(void)
{
    EVP_PKEY *key = NULL;
    ck_ok(ps_pem_read_key("ca.key", &key));
    return key;
}

START_TEST(a_new_one_is_like_the_one_before_but_for_key_and_dates)
{
    begin();
    EVP_PKEY *signer = ca_key(), *key = NULL;
    X509 *ca = NULL, *made = NULL;
    STACK_OF(X509) *chain = NULL;
    shell("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k");
    ck_ok(ps_pem_read_key("k", &key));
    ck_ok(ps_certificate_authority(cas, signer, &ca));
    ck_assert_int_eq(ps_certificate_authority(cas, key, &ca), PS_FAILED_PRECONDITION);
    int64_t now = (int64_t)time(NULL);
    ck_ok(ps_certificate_renew(w1, key, ca, signer, 3600, &made));
    int64_t from = ps_certificate_not_before(made), to = ps_certificate_not_after(made);
    ck_assert(to >= now + 3600 && to <= now + 3660 && from <= now && from >= now - 400);
    ps_buf pem = PS_BUF_EMPTY;
    ps_certificate_pem(made, &pem);
    put("new.pem", ps_buf_slice(&pem));
    ck_ok(ps_certificate_chain_read(ps_buf_slice(&pem), &chain));
    ck_ok(ps_certificate_chain_check(chain, cas, w1, key, 0));
    shell("openssl verify -x509_strict -purpose sslclient -CAfile ca.pem new.pem");
    shell("openssl x509 -in new.pem -noout -checkend 3500");
    shell("! openssl x509 -in new.pem -noout -checkend 3700");
    for (const char *const *same = (const char *const[]){"-subject", "-issuer",
                                                         "-ext subjectAltName,extendedKeyUsage,"
                                                         "keyUsage,basicConstraints",
                                                         NULL};
         *same; same++) {
        char command[256];
        (void)snprintf(command, sizeof command,
                       "openssl x509 -in w1.pem -noout %s >a; openssl x509 -in new.pem -noout %s "
                       ">b; cmp a b",
                       *same, *same);
        shell(command);
    }
    shell("openssl x509 -in new.pem -noout -pubkey >a; openssl pkey -in k -pubout >b; cmp a b");
    ps_buf_free(&pem);
    ps_certificate_unref(&made);
    ps_certificate_chain_free(&chain);
    ps_certificate_key_free(&key);
    ps_certificate_key_free(&signer);
    end();
}
END_TEST

#define SIGN "openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -extfile ext -out made.pem "
#define LEAF "printf 'keyUsage=digitalSignature\\nextendedKeyUsage=clientAuth\\nsubjectAltName="

START_TEST(what_somebody_else_signed_is_looked_at)
{
    static const struct {
        const char *command, *words;
    } bad[] = {
        {LEAF "URI:spiffe://lab/worker/w2\\n' >ext; " SIGN "-days 1",
         "is of spiffe://lab/worker/w2, not of spiffe://lab/worker/w1"},
        {LEAF "URI:spiffe://lab/admin/w1\\n' >ext; " SIGN "-days 1", "is of spiffe://lab/admin/w1"},
        {LEAF "DNS:w1\\n' >ext; " SIGN "-days 1", "has no URI name"},
        {"printf 'extendedKeyUsage=serverAuth\\nsubjectAltName=URI:spiffe://lab/worker/w1\\n' "
         ">ext; " SIGN "-days 1",
         "is not one for a client (clientAuth)"},
        {"printf "
         "'keyUsage=digitalSignature,keyCertSign\\nextendedKeyUsage=clientAuth\\nsubjectAltName="
         "URI:spiffe://lab/worker/w1\\nbasicConstraints=critical,CA:TRUE\\n' >ext; " SIGN "-days 1",
         "is that of a CA"},
        {LEAF "URI:spiffe://lab/worker/w1\\n' >ext; " SIGN "-days -1", " expired on "},
        {LEAF "URI:spiffe://lab/worker/w1\\n' >ext; openssl req -x509 -newkey rsa:2048 -nodes "
              "-keyout other.key -out other.pem -subj /CN=other -days 1; openssl x509 -req -in "
              "csr.pem -CA other.pem -CAkey other.key -extfile ext -out made.pem -days 1",
         "is signed by an unknown CA"},
        {"cp w1.pem made.pem", "is for another key"},
    };
    begin();
    EVP_PKEY *key = NULL;
    shell("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k;"
          "openssl req -new -key k -subj /CN=w1 -out csr.pem");
    ck_ok(ps_pem_read_key("k", &key));
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
        bool good = i == sizeof bad / sizeof *bad;
        STACK_OF(X509) *chain = NULL;
        shell(good ? LEAF "URI:spiffe://lab/worker/w1\\n' >ext; " SIGN "-days 1" : bad[i].command);
        ps_buf pem = get("made.pem");
        ck_ok(ps_certificate_chain_read(ps_buf_slice(&pem), &chain));
        ps_status st = ps_certificate_chain_check(chain, cas, w1, key, 0);
        ck_assert_msg(st == (good ? PS_OK : PS_FAILED_PRECONDITION), "%zu: %s", i,
                      ps_error_message());
        if (!good)
            ck_assert_msg(strstr(ps_error_message(), bad[i].words) != NULL, "%zu: %s", i,
                          ps_error_message());
        ps_certificate_chain_free(&chain);
        ps_buf_free(&pem);
    }
    ps_certificate_key_free(&key);
    end();
}
END_TEST

START_TEST(a_chain_is_some_certificates_in_pem)
{
    static char much[(64 << 10) + 1];
    STACK_OF(X509) *chain = NULL;
    memset(much, '-', sizeof much);
    ck_assert_int_eq(ps_certificate_chain_read(ps_slice_of(much, sizeof much), &chain),
                     PS_INVALID_ARGUMENT);
    ck_assert_int_eq(ps_certificate_chain_read(ps_slice_str("no certificate"), &chain),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(
        strstr(ps_error_message(), "certificate chain: holds no PEM certificate"));
    ck_assert_int_eq(ps_certificate_chain_read(ps_slice_str("-----BEGIN CERTIFICATE-----\nAAAA\n"
                                                            "-----END CERTIFICATE-----\n"),
                                               &chain),
                     PS_CORRUPT);
    ck_assert_ptr_null(chain);
}
END_TEST

static const ps_check_case tests[] = {
    {&ours_is_one_to_openssl, 60},
    {&what_is_not_ones_own_is_refused_by_name, 60},
    {&what_is_no_request_is_refused, 60},
    {&a_new_one_is_like_the_one_before_but_for_key_and_dates, 60},
    {&what_somebody_else_signed_is_looked_at, 60},
    {&a_chain_is_some_certificates_in_pem, 60},
    {0},
};

int main(void)
{
    return ps_check_main("security/certificate_request", tests);
}
