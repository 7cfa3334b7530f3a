/* model_sign: what PyPI's model-signing has signed (tests/golden/signing) is verified, what psd
 * signs too; whoever is no signer, and whatever is not what was signed, is refused. */
#include "common/signing/model_sign.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/security/certificate_build.h"
#include "common/security/crl_issue.h"
#include "common/security/ecdsa.h"
#include "common/security/pem_file.h"
#include "common/security/pem_pair.h"
#include "common/signing/bundle.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400
#define RECORD                                                                         \
    "{\"format\":\"psd-provenance/1\",\"cluster\":\"lab\",\"model\":{\"name\":\"m\"}," \
    "\"made\":{\"how\":\"import\"}}"

/* The cluster's CA as always (ca.pem, with a worker w1), and beside it a signers' CA with anna. */
static ps_test_pki pki;

static const char *at(const char *name)
{
    static char paths[8][PS_TEST_PATH_MAX];
    static unsigned next;
    return ps_test_pki_path(&pki, name, "", paths[next++ % 8]);
}

static void save(const char *name, const char *text)
{
    ck_ok(ps_new_file_save(at(name), ps_slice_str(text), &(ps_new_file_options){.force = true}));
}

static void move(const char *from, const char *to)
{
    ck_assert_int_eq(rename(at(from), at(to)), 0);
}

/* With that in the middle of the statement. */
static void copy_bundle(const char *from, const char *to, uint8_t change)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_bundle b;
    ck_ok(ps_disk_read_file(&ps_disk_system, at(from), 1 << 20, &text));
    ck_ok(ps_bundle_read(ps_buf_slice(&text), &b));
    b.payload.data[b.payload.len / 2] ^= change;
    text.len = 0;
    ps_bundle_write(&b, &text);
    save(to, ps_buf_cstr(&text));
    ps_bundle_free(&b);
    ps_buf_free(&text);
}

static void make_signer(const char *name, ps_validity validity)
{
    char cert[32], key[32];
    (void)snprintf(cert, sizeof cert, "%s.pem", name);
    (void)snprintf(key, sizeof key, "%s.key", name);
    ck_ok(ps_certificate_create_signer(&(ps_leaf_request){.ca_cert_file = at("signers.pem"),
                                                          .ca_key_file = at("signers.key"),
                                                          .name = name,
                                                          .cert_file = at(cert),
                                                          .key_file = at(key),
                                                          .validity = validity}));
}

static void make_signers_ca(const char *cluster, const char *cert, const char *key)
{
    const int64_t begin = (int64_t)time(NULL) - 1000 * DAY_S;
    ck_ok(ps_certificate_create_ca(&(ps_ca_request){.cluster = cluster,
                                                    .cert_file = at(cert),
                                                    .key_file = at(key),
                                                    .signers = true,
                                                    .validity = {.not_before = begin}}));
}

static void begin(void)
{
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    make_signers_ca("lab", "signers.pem", "signers.key");
    make_signer("anna", (ps_validity){0});
    ck_assert_int_eq(mkdir(at("m"), 0755), 0);
    ck_assert_int_eq(mkdir(at("m/sub"), 0755), 0);
    save("m/config.json", "{}\n");
    save("m/sub/weights.bin", "0123456789abcdefghij0123456789");
}

static ps_status sign_as(const char *key, const char *certificate, uint64_t shard_size)
{
    ps_model_signed done;
    return ps_model_sign(&(ps_model_signing){.folder = at("m"),
                                             .key = at(key),
                                             .certificate = certificate ? at(certificate) : NULL,
                                             .shard_size = shard_size,
                                             .force = true},
                         &done);
}

static ps_status verify(ps_signer_trust trust, ps_model_signed *out)
{
    ps_model_signed any;
    return ps_model_verify(&(ps_model_verifying){.folder = at("m"), .trust = trust},
                           out ? out : &any);
}

static ps_status verify_anna(void)
{
    return verify((ps_signer_trust){.ca = at("signers.pem")}, NULL);
}

static void refused(ps_status st, const char *why)
{
    ck_assert_msg(st != PS_OK, "accepted; wanted: %s", why);
    ck_assert_msg(strstr(ps_error_message(), why), "'%s' is not in: %s", why, ps_error_message());
}

/* ---- who signs ---- */

START_TEST(what_a_signer_signs_is_verified)
{
    ps_model_signed found;
    begin();
    ck_ok(sign_as("anna.key", "anna.pem", 0));
    ck_ok(verify((ps_signer_trust){.ca = at("signers.pem"), .identity = "spiffe://lab/signer/anna"},
                 &found));
    ck_assert_str_eq(found.signer, "spiffe://lab/signer/anna");
    ck_assert_uint_eq(found.files, 2);
    ck_assert_uint_eq(found.bytes, 33);
    ck_assert(!found.shards && !found.provenance);
    ck_ok(sign_as("anna.key", "anna.pem", 10));
    save("m/" PS_MODEL_PROVENANCE, RECORD);
    refused(verify_anna(), "m/psd-provenance.json is not signed");
    ck_ok(sign_as("anna.key", "anna.pem", 10));
    ck_ok(verify((ps_signer_trust){.ca = at("signers.pem")}, &found));
    ck_assert(found.shards && found.provenance && found.slsa && found.files == 3);
    ps_test_pki_close(&pki);
}
END_TEST

/* ---- in SLSA's words, beside it ---- */

START_TEST(what_is_said_for_slsa_is_of_the_same_signer_about_the_same_model)
{
    begin();
    make_signer("bert", (ps_validity){0});
    save("m/" PS_MODEL_PROVENANCE, RECORD);
    ck_ok(sign_as("bert.key", "bert.pem", 0));
    move("m/model.slsa.sig", "berts.sig");
    ck_ok(sign_as("anna.key", "anna.pem", 0));
    move("m/model.slsa.sig", "annas.sig");
    ck_ok(verify_anna()); /* it need not be there */
    move("berts.sig", "m/model.slsa.sig");
    refused(verify_anna(), "m/model.slsa.sig: it is signed by spiffe://lab/signer/bert, and the "
                           "model by spiffe://lab/signer/anna");
    copy_bundle("m/model.sig", "m/model.slsa.sig", 0);
    refused(verify_anna(), "predicateType: it is not https://slsa.dev/provenance/v1");
    save("m/model.slsa.sig", "{}");
    refused(verify_anna(), "m/model.slsa.sig: no bundle of a signature");
    ck_assert_int_eq(unlink(at("m/model.slsa.sig")), 0);
    ck_assert_int_eq(symlink("nowhere", at("m/model.slsa.sig")), 0);
    refused(verify_anna(), "m/model.slsa.sig: No such file");
    ck_assert_int_eq(unlink(at("m/model.slsa.sig")), 0);
    copy_bundle("annas.sig", "m/model.slsa.sig", 1);
    refused(verify_anna(), "m/model.slsa.sig: the signature is not of this key");
    copy_bundle("annas.sig", "m/model.slsa.sig", 0);
    ck_ok(verify_anna());
    save("m/config.json", "{ }\n"); /* another model of hers, and the words about this one */
    ck_ok(sign_as("anna.key", "anna.pem", 0));
    ck_ok(verify_anna());
    move("annas.sig", "m/model.slsa.sig");
    refused(verify_anna(), "m/model.slsa.sig: it is about another model");
    ps_test_pki_close(&pki);
}
END_TEST

static ps_status sign_into(const char *signature, bool force)
{
    ps_model_signed done;
    return ps_model_sign(&(ps_model_signing){.folder = at("m"),
                                             .signature = at(signature),
                                             .key = at("anna.key"),
                                             .certificate = at("anna.pem"),
                                             .force = force},
                         &done);
}

START_TEST(two_signatures_are_written_or_none)
{
    begin();
    save("m/" PS_MODEL_PROVENANCE, "{}");
    refused(sign_into("m/model.sig", false), "m: psd-provenance.json: format is missing");
    ck_assert(access(at("m/model.sig"), 0) && access(at("m/model.slsa.sig"), 0));
    save("m/" PS_MODEL_PROVENANCE, RECORD);
    save("m/model.slsa.sig", "mine");
    refused(sign_into("m/model.sig", false), "m/model.slsa.sig");
    ck_assert(access(at("m/model.sig"), 0));
    ck_ok(
        sign_into("m/x", true)); /* no .sig to be replaced; that of another name is one more file */
    ck_assert(!access(at("m/x"), 0) && !access(at("m/x.slsa.sig"), 0));
    ck_assert_int_eq(unlink(at("m/x")) | unlink(at("m/x.slsa.sig")), 0);
    ck_ok(sign_into("m/model.sig", true));
    ck_ok(verify_anna());
    ck_assert_int_eq(unlink(at("m/" PS_MODEL_PROVENANCE)) | unlink(at("m/model.sig")), 0);
    refused(sign_into("m/model.sig", false), "model.slsa.sig is there already; --force removes it");
    ck_assert(access(at("m/model.sig"), 0));
    ck_ok(sign_into("m/model.sig", true));
    ck_assert(access(at("m/model.slsa.sig"), 0));
    ck_ok(verify_anna());
    ps_test_pki_close(&pki);
}
END_TEST

/* A bundle as somebody would make it who has this key and certificate, whatever they are for. */
static void forge(const char *key_name, const char *cert_name)
{
    ps_bundle b;
    ps_buf text = PS_BUF_EMPTY, message = PS_BUF_EMPTY;
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    unsigned char *der = NULL;
    ck_ok(sign_as("anna.key", "anna.pem", 0));
    ck_ok(ps_disk_read_file(&ps_disk_system, at("m/model.sig"), 1 << 20, &text));
    ck_ok(ps_bundle_read(ps_buf_slice(&text), &b));
    ck_ok(ps_pem_read_key(at(key_name), &key));
    ck_ok(ps_pem_read_certificate(at(cert_name), "certificate", &cert));
    int len = i2d_X509(cert, &der);
    ps_buf_clear(&b.certificates[0]);
    ps_buf_append(&b.certificates[0], der, (size_t)len);
    ps_bundle_signed(ps_buf_slice(&b.payload), &message);
    ps_buf_clear(&b.signature);
    ck_ok(ps_ecdsa_sign(key, ps_buf_slice(&message), &b.signature));
    ps_buf_clear(&text);
    ps_bundle_write(&b, &text);
    save("m/model.sig", ps_buf_cstr(&text));
    OPENSSL_free(der);
    X509_free(cert);
    EVP_PKEY_free(key);
    ps_bundle_free(&b);
    ps_buf_free(&message);
    ps_buf_free(&text);
}

/* A signer's certificate by the CA that lets workers connect: psctl makes none, whoever has its key
 * can. */
static void forge_signer(void)
{
    X509 *ca = NULL;
    EVP_PKEY *ca_key = NULL;
    ps_pem_pair to = {.cert_file = at("eve.pem"), .key_file = at("eve.key")};
    const int64_t now = (int64_t)time(NULL);
    ck_ok(ps_pem_read_certificate(at("ca.pem"), "CA", &ca));
    ck_ok(ps_pem_read_key(at("ca.key"), &ca_key));
    ck_ok(ps_certificate_new_key(&to.key));
    ck_ok(ps_certificate_build(&(ps_certificate_facts){.cluster = "lab",
                                                       .common_name = "eve",
                                                       .uri = "spiffe://lab/signer/eve",
                                                       .not_before = now - 10,
                                                       .not_after = now + DAY_S,
                                                       .for_signing = true},
                               to.key, ca, ca_key, &to.cert));
    ck_ok(ps_pem_pair_write(&to));
    X509_free(to.cert);
    EVP_PKEY_free(to.key);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
}

START_TEST(whoever_is_no_signer_is_refused)
{
    const int64_t now = (int64_t)time(NULL);
    begin();
    refused(sign_as("w1.key", "w1.pem", 0), "spiffe://lab/worker/w1 is no signer");
    forge("w1.key", "w1.pem");
    refused(verify_anna(), "model.sig: spiffe://lab/worker/w1 is no signer");
    refused(verify((ps_signer_trust){.ca = at("ca.pem")}, NULL), "is not one of signers");
    forge_signer();
    forge("eve.key", "eve.pem");
    refused(verify_anna(), "certificate of spiffe://lab/signer/eve is signed by an unknown CA");

    make_signer("old", (ps_validity){.not_before = now - 900 * DAY_S, .not_after = now - DAY_S});
    make_signer("new", (ps_validity){.not_before = now + DAY_S, .not_after = now + 9 * DAY_S});
    refused(sign_as("old.key", "old.pem", 0), "certificate of spiffe://lab/signer/old expired on");
    forge("old.key", "old.pem");
    refused(verify_anna(), "certificate of spiffe://lab/signer/old expired on");
    forge("new.key", "new.pem");
    refused(verify_anna(), "certificate of spiffe://lab/signer/new is not in force before");

    ck_ok(sign_as("anna.key", "anna.pem", 0));
    refused(
        verify((ps_signer_trust){.ca = at("signers.pem"), .identity = "spiffe://lab/signer/bert"},
               NULL),
        "it is signed by spiffe://lab/signer/anna, not by spiffe://lab/signer/bert");
    make_signers_ca("lab2", "others.pem", "others.key");
    refused(verify((ps_signer_trust){.ca = at("others.pem")}, NULL), "is signed by an unknown CA");
    refused(sign_as("w1.key", "anna.pem", 0), "does not belong to");
    forge("w1.key", "anna.pem"); /* anna's certificate, and not her key */
    refused(verify_anna(), "the signature is not of this key");
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(who_is_revoked_is_refused)
{
    const char *names[] = {"anna"};
    ps_crl_request request = {.ca_cert_file = at("signers.pem"), .ca_key_file = at("signers.key")};
    ps_crl_result result;
    begin();
    ck_ok(sign_as("anna.key", "anna.pem", 0));
    request.ca_cert_file = at("signers.pem");
    request.ca_key_file = at("signers.key");
    ck_ok(ps_crl_issue(&request, &result));
    ps_crl_result_clear(&result);
    const ps_signer_trust trust = {.ca = at("signers.pem"), .crl = at("signers.crl")};
    ck_ok(verify(trust, NULL));
    request.names = names;
    request.n_names = 1;
    request.reason = PS_CRL_KEY_COMPROMISE;
    ck_ok(ps_crl_issue(&request, &result));
    ps_crl_result_clear(&result);
    refused(verify(trust, NULL), "certificate of spiffe://lab/signer/anna was revoked on");
    ck_ok(verify_anna()); /* who does not ask is not told */
    ps_test_pki_close(&pki);
}
END_TEST

/* ---- what is signed ---- */

START_TEST(a_folder_that_is_not_what_was_signed_is_refused)
{
    for (uint64_t shards = 0; shards < 20; shards += 10) {
        begin();
        ck_ok(sign_as("anna.key", "anna.pem", shards));
        save("m/sub/weights.bin", "0123456789abcdefghij012345678X");
        refused(verify_anna(), shards
                                   ? "m/sub/weights.bin is not what was signed, in bytes 20 to 30"
                                   : "m/sub/weights.bin is not what was signed");
        save("m/sub/weights.bin", "0123456789abcdefghij0123456789+");
        refused(verify_anna(), shards ? "has 31 bytes, and 30 are signed" : "not what was signed");
        save("m/sub/weights.bin", "0123456789abcdefghij012345678");
        refused(verify_anna(), shards ? "has 29 bytes, and 30 are signed" : "not what was signed");
        ck_assert_int_eq(unlink(at("m/sub/weights.bin")), 0);
        refused(verify_anna(), "m/sub/weights.bin is signed, and is not there");
        save("m/sub/weights.bin", "0123456789abcdefghij0123456789");
        ck_ok(verify_anna());
        save("m/more", "");
        refused(verify_anna(), "m/more is not signed");
        ck_assert_int_eq(unlink(at("m/more")), 0);
        save("m/sub/zz", "");
        refused(verify_anna(), "m/sub/zz is not signed");
        ps_test_pki_close(&pki);
    }
}
END_TEST

START_TEST(links_and_other_things_are_refused)
{
    begin();
    ck_ok(sign_as("anna.key", "anna.pem", 0));
    ck_assert_int_eq(rename(at("m/config.json"), at("config.json")), 0);
    ck_assert_int_eq(symlink(at("config.json"), at("m/config.json")), 0);
    refused(verify_anna(), "m/config.json is a symbolic link");
    refused(sign_as("anna.key", "anna.pem", 0), "m/config.json is a symbolic link");
    ck_assert_int_eq(unlink(at("m/config.json")), 0);
    ck_assert_int_eq(mkfifo(at("m/config.json"), 0600), 0);
    refused(verify_anna(), "m/config.json is neither file nor folder");
    ck_assert_int_eq(unlink(at("m/config.json")), 0);
    ck_assert_int_eq(rename(at("config.json"), at("m/config.json")), 0);
    ck_ok(verify_anna());
    save("m/\xff", "");
    refused(verify_anna(), "is not UTF-8");
    ck_assert_int_eq(unlink(at("m/\xff")), 0);
    ck_assert_int_eq(mkdir(at("m/.git"), 0755), 0);
    save("m/.git/config", "x");
    refused(verify_anna(), "m/.git/config is not signed; --ignore .git/config");
    const char *const git[] = {".git", NULL};
    ps_model_signed found;
    ck_ok(ps_model_verify(&(ps_model_verifying){.folder = at("m"),
                                                .trust = {.ca = at("signers.pem")},
                                                .ignored = git},
                          &found));
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_signature_that_is_none_is_refused)
{
    begin();
    refused(verify_anna(), "m/model.sig");
    save("m/model.sig", "");
    refused(verify_anna(), "no bundle of a signature");
    ck_assert_int_eq(truncate(at("m/model.sig"), 100 << 20), 0);
    refused(verify_anna(), "m/model.sig: more than 16 MiB: no signature is so long");
    ck_ok(sign_as("anna.key", "anna.pem", 0));
    ps_buf text = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, at("m/model.sig"), 1 << 20, &text));
    uint8_t *payload = memmem(text.data, text.len, "\"payload\":\"", 11);
    payload[40] = payload[40] == 'A' ? 'B' : 'A'; /* in the statement */
    save("m/model.sig", ps_buf_cstr(&text));
    refused(verify_anna(), "the signature is not of this key");
    ck_assert_int_eq(mkdir(at("empty"), 0755), 0);
    ps_model_signed done;
    refused(ps_model_sign(&(ps_model_signing){.folder = at("empty"), .key = at("anna.key")}, &done),
            "has no file to sign");
    save("m/none", "");
    refused(sign_as("anna.key", "anna.pem", 10), "has an empty file, which shards do not sign");
    ps_buf_free(&text);
    ps_test_pki_close(&pki);
}
END_TEST

/* ---- by key, and what the reference has made ---- */

START_TEST(what_model_signing_has_signed_is_verified)
{
    static const struct {
        const char *signature, *key, *ca;
    } made[] = {{"key.sig", "key.pub", NULL},
                {"shards.sig", "key.pub", NULL},
                {"certificate.sig", NULL, "ca.pem"}};
    char *golden = ps_asprintf("%s/tests/golden/signing", getenv("PSD_SOURCE_ROOT"));
    char *model = ps_asprintf("%s/model", golden), *ca = ps_asprintf("%s/ca.pem", golden);
    char *key = ps_asprintf("%s/key.pub", golden);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        char *signature = ps_asprintf("%s/%s", golden, made[i].signature);
        ps_model_signed found;
        ps_status st = ps_model_verify(&(ps_model_verifying){.folder = model,
                                                             .signature = signature,
                                                             .public_key = made[i].key ? key : NULL,
                                                             .trust = {.ca = ca}},
                                       &found);
        ck_assert_msg(!st, "%s: %s", made[i].signature, ps_error_message());
        ck_assert_uint_eq(found.files, 2);
        ck_assert_uint_eq(found.bytes, 2580);
        ps_free(&signature);
    }
    ps_free(&golden);
    ps_free(&model);
    ps_free(&ca);
    ps_free(&key);
}
END_TEST

START_TEST(a_signature_by_key_is_of_that_key)
{
    ps_model_signed found;
    begin();
    ck_ok(sign_as("anna.key", NULL, 0));
    refused(verify_anna(), "signed by a key without a certificate");
    char command[1024];
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "w1" : "anna";
        (void)snprintf(command, sizeof command, "openssl pkey -in %s/%s.key -pubout -out %s/%s.pub",
                       pki.folder, name, pki.folder, name);
        ck_assert_int_eq(system(command), 0);
    }
    ps_model_verifying request = {.folder = at("m"), .public_key = at("anna.pub")};
    ck_ok(ps_model_verify(&request, &found));
    ck_assert_str_eq(found.signer, "");
    ck_assert_uint_eq(strlen(found.key), 64);
    request.public_key = at("w1.pub");
    refused(ps_model_verify(&request, &found), "it is signed by another key than");
    request.public_key = at("anna.key");
    refused(ps_model_verify(&request, &found), "is a private one");
    ps_test_pki_close(&pki);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_a_signer_signs_is_verified},
    {&what_is_said_for_slsa_is_of_the_same_signer_about_the_same_model},
    {&two_signatures_are_written_or_none},
    {&whoever_is_no_signer_is_refused},
    {&who_is_revoked_is_refused},
    {&a_folder_that_is_not_what_was_signed_is_refused},
    {&links_and_other_things_are_refused},
    {&a_signature_that_is_none_is_refused},
    {&what_model_signing_has_signed_is_verified},
    {&a_signature_by_key_is_of_that_key},
    {0},
};

int main(void)
{
    return ps_check_main("common/signing/model_sign", cases);
}
