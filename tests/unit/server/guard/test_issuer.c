/* issuer: by a key, and by hooks of every kind. */
#include "server/guard/issuer.h"

#include "common/base/disk.h"
#include "common/base/process.h"
#include "common/security/certificate_request.h"
#include "common/security/crl_issue.h"
#include "common/security/pem_file.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static ps_test_pki pki;
static struct x509_st *w1;
static ps_buf request;
static char source[PS_TEST_PATH_MAX + 8];

static void begin(void)
{
    struct evp_pkey_st *key = NULL;
    ps_test_pki_open(&pki, "lab");
    ck_assert_int_eq(chdir(pki.folder), 0);
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    ck_ok(ps_pem_read_certificate("w1.pem", "certificate", &w1));
    ck_ok(ps_pem_read_key("w1.key", &key));
    ck_ok(ps_certificate_request_make(w1, key, &request));
    ps_certificate_key_free(&key);
}

static void end(void)
{
    ps_certificate_unref(&w1);
    ps_buf_free(&request);
    ck_assert_int_eq(chdir("/"), 0);
    ps_test_pki_close(&pki);
}

static ps_status open_signer(const char *kind, const char *name, unsigned patience_ms,
                             ps_issuer **out)
{
    (void)snprintf(source, sizeof source, "%s%s/%s", kind, pki.folder, name);
    return ps_issuer_open(
        &(ps_issuer_conf){
            .source = source, .ca_file = "ca.pem", .leaf_ms = 3600000, .patience_ms = patience_ms},
        &ps_clock_system, out);
}

static bool shell(const char *command)
{
    char line[2048];
    (void)snprintf(line, sizeof line, "(%s) >log 2>&1", command);
    return system(line) == 0;
}

static void expect_good(ps_issuer *signer)
{
    ps_buf chain = PS_BUF_EMPTY;
    ps_certificate_info made;
    ck_ok(ps_issuer_renew(signer, w1, ps_buf_slice(&request), &chain, &made));
    ck_assert_str_eq(made.identity.name, "w1");
    ck_assert_int_gt(made.not_after, (int64_t)time(NULL) + 1000);
    ps_certificate_info_clear(&made);
    ps_buf_free(&chain);
}

START_TEST(a_key_signs_and_the_list_beside_it_knows)
{
    ps_issuer *signer = NULL;
    begin();
    ck_ok(open_signer("file:", "ca.key", 0, &signer));
    expect_good(signer);
    expect_good(signer);
    ck_assert(shell("test $(grep -c worker/w1 ca.issued) = 3"));
    ps_issuer_close(&signer);
    end();
}
END_TEST

static void refuse_to_open(const char *kind, const char *name, ps_status wanted, const char *words)
{
    ps_issuer *signer = NULL;
    ps_status st = open_signer(kind, name, 0, &signer);
    ck_assert_msg(st == wanted && strstr(ps_error_message(), words) &&
                      strstr(ps_error_message(), "identity.signer"),
                  "%s%s: %s: %s", kind, name, ps_status_name(st), ps_error_message());
}

START_TEST(who_cannot_sign_is_told_at_the_start)
{
    begin();
    refuse_to_open("file:", "none.key", PS_NOT_FOUND, "none.key");
    refuse_to_open("file:", "w1.key", PS_FAILED_PRECONDITION, "it is the key of no CA in tls.ca");
    ck_assert(shell("cp w1.pem junk; chmod 600 junk"));
    refuse_to_open("file:", "junk", PS_INVALID_ARGUMENT, "holds no PEM private key");
    refuse_to_open("vault:", "x", PS_INVALID_ARGUMENT,
                   "a signer is named as file:PATH or exec:PROGRAM");
    refuse_to_open("exec:", "none", PS_NOT_FOUND, "none");
    refuse_to_open("exec:", "w1.pem", PS_NO_ACCESS, "w1.pem");
    ck_assert_int_eq(chmod("ca.key", 0644), 0);
    refuse_to_open("file:", "ca.key", PS_FAILED_PRECONDITION,
                   "others may read it (mode 644): chmod 600 it");
    ck_assert_int_eq(ps_issuer_check("file:"), PS_INVALID_ARGUMENT);
    ck_assert_int_eq(ps_issuer_check(""), PS_INVALID_ARGUMENT);
    ck_ok(ps_issuer_check("exec:/x"));
    end();
}
END_TEST

static void put_hook(const char *script)
{
    FILE *file = fopen("hook", "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_gt(fprintf(file, "#!/bin/sh\n%s", script), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod("hook", 0700), 0);
}

/* Signs for what it is told, in a way that the rest of the line may change. */
#define HOOK(uri, after)                                                                       \
    "cd ${0%/*}; cat >csr; printf 'keyUsage=digitalSignature\\nextendedKeyUsage=clientAuth\\n" \
    "subjectAltName=URI:%s\\n' " uri " >ext\n"                                                 \
    "openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -extfile ext -days 1 2>>hook.log "     \
    ">made\n" after

static const char short_life[] =
    "cd ${0%/*}; cat >csr; test \"$1\" = \"$PSD_IDENTITY\" && test $2 = $PSD_LIFE_SECONDS &&"
    " test $2 = 3600 || exit 7\n"
    "mkdir -p ca.d; : >ca.d/index; echo 01 >ca.d/serial\n"
    "printf '[ca]\\ndefault_ca=c\\n[c]\\ndir=ca.d\\nnew_certs_dir=ca.d\\ndatabase=ca.d/index\\n"
    "serial=ca.d/serial\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' >cnf\n"
    "printf 'keyUsage=digitalSignature\\nextendedKeyUsage=clientAuth\\nsubjectAltName=URI:%s\\n' "
    "$1 >ext\n"
    "openssl ca -batch -config cnf -cert ca.pem -keyfile ca.key -extfile ext -in csr -out made "
    "-notext -startdate $(date -u +%Y%m%d%H%M%SZ) -enddate $(date -u -d +3600sec "
    "+%Y%m%d%H%M%SZ) 2>>hook.log >&2 && cat made\n";

START_TEST(a_hook_gets_the_request_and_prints_the_chain)
{
    ps_issuer *signer = NULL;
    begin();
    put_hook(short_life);
    ck_ok(open_signer("exec:", "hook", 60000, &signer));
    expect_good(signer);
    ps_issuer_close(&signer);
    end();
}
END_TEST

START_TEST(a_hook_that_does_not_do_it_is_no_way_to_a_certificate)
{
    static const struct {
        const char *script;
        unsigned patience_ms;
    } bad[] = {
        {"exec sleep 1000\n", 300},
        {"echo broken >&2; exit 1\n", 60000},
        {"echo no certificate\n", 60000},
        {"yes\n", 60000},
        {"", 60000},
        {"cat w1.pem\n", 60000}, /* the one before: another key */
        {HOOK("spiffe://lab/worker/w2", "cat made\n"), 60000},
        {HOOK("spiffe://lab/admin/w1", "cat made\n"), 60000},
        {HOOK("$1", "cat made\n"), 60000},         /* for a day, where an hour was said */
        {HOOK("$1", "cat made; exit 3\n"), 60000}, /* and then it failed */
    };
    begin();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ps_issuer *signer = NULL;
        ps_buf chain = PS_BUF_EMPTY;
        ps_certificate_info made;
        put_hook(bad[i].script);
        ck_ok(open_signer("exec:", "hook", bad[i].patience_ms, &signer));
        ps_status st = ps_issuer_renew(signer, w1, ps_buf_slice(&request), &chain, &made);
        ck_assert_msg(st == PS_UNAVAILABLE, "%zu: %s", i, ps_status_name(st));
        ck_assert_ptr_nonnull(strstr(ps_error_message(), "the signer gave no certificate for "
                                                         "spiffe://lab/worker/w1"));
        ck_assert_ptr_null(strstr(ps_error_message(), pki.folder)); /* no paths of ours */
        ck_assert_uint_eq(chain.len, 0);
        ps_issuer_close(&signer);
        ps_buf_free(&chain);
    }
    ck_assert(shell("rm -f csr ext made hook hook.log"));
    end();
}
END_TEST

START_TEST(a_request_that_is_none_reaches_no_signer)
{
    ps_issuer *signer = NULL;
    ps_buf chain = PS_BUF_EMPTY;
    ps_certificate_info made;
    begin();
    put_hook("touch ${0%/*}/asked\n");
    ck_ok(open_signer("exec:", "hook", 0, &signer));
    ck_assert_int_eq(ps_issuer_renew(signer, w1, ps_slice_str("hello"), &chain, &made),
                     PS_INVALID_ARGUMENT);
    ck_assert(shell("rm w1.pem w1.key"));
    ps_test_pki_client(&pki, PS_ROLE_ADMIN, "w1"); /* another one, in the same file */
    ps_certificate_unref(&w1);
    ck_ok(ps_pem_read_certificate("w1.pem", "certificate", &w1));
    ck_assert_int_eq(ps_issuer_renew(signer, w1, ps_buf_slice(&request), &chain, &made),
                     PS_PERMISSION_DENIED);
    ck_assert(shell("test ! -e asked"));
    ps_issuer_close(&signer);
    ps_buf_free(&chain);
    end();
}
END_TEST

START_TEST(a_key_that_is_gone_is_no_end)
{
    ps_issuer *signer = NULL;
    ps_buf chain = PS_BUF_EMPTY;
    ps_certificate_info made;
    begin();
    ck_ok(open_signer("file:", "ca.key", 0, &signer));
    ck_assert_int_eq(rename("ca.key", "away"), 0);
    ck_assert_int_eq(ps_issuer_renew(signer, w1, ps_buf_slice(&request), &chain, &made),
                     PS_UNAVAILABLE);
    ck_assert_int_eq(rename("away", "ca.key"), 0);
    expect_good(signer);
    ps_issuer_close(&signer);
    end();
}
END_TEST

/* Whoever renewed a stolen certificate in time does not renew what he got. */
START_TEST(what_comes_of_a_revoked_certificate_is_not_renewed)
{
    ps_issuer *signer = NULL;
    ps_tls_holder *tls = NULL;
    ps_buf chain = PS_BUF_EMPTY;
    ps_certificate_info made;
    ps_crl_result result;
    const char *serial, *revoked[] = {"w2"};
    char one[PS_CERTIFICATE_SERIAL_MAX];
    begin();
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w2");
    serial = ps_certificate_serial_hex(w1, one);
    ps_crl_request list = {
        .ca_cert_file = "ca.pem", .ca_key_file = "ca.key", .names = revoked, .n_names = 1};
    ck_ok(ps_crl_issue(&list, &result));
    ps_tls_options options = {.side = PS_TLS_SERVER,
                              .ca_file = "ca.pem",
                              .cert_file = "psd.pem",
                              .key_file = "psd.key",
                              .crl_file = "ca.crl"};
    ck_ok(ps_tls_holder_new(&options, &tls));
    (void)snprintf(source, sizeof source, "file:%s/ca.key", pki.folder);
    ck_ok(ps_issuer_open(
        &(ps_issuer_conf){.source = source, .ca_file = "ca.pem", .leaf_ms = 3600000, .tls = tls},
        &ps_clock_system, &signer));
    ck_ok(ps_issuer_renew(signer, w1, ps_buf_slice(&request), &chain, &made));
    ck_assert(strncmp(made.serial, serial, 16) == 0 && strcmp(made.serial, serial) != 0);
    FILE *file = fopen("w1.pem", "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(chain.data, 1, chain.len, file), chain.len);
    ck_assert_int_eq(fclose(file), 0);
    ps_crl_result_clear(&result);
    list = (ps_crl_request){
        .ca_cert_file = "ca.pem", .ca_key_file = "ca.key", .serials = &serial, .n_serials = 1};
    ck_ok(ps_crl_issue(&list, &result)); /* the first one alone */
    ck_ok(ps_tls_holder_reload_crl(tls));
    for (int i = 0; i < 2; i++) { /* the first, and what came of it */
        ck_assert_int_eq(ps_issuer_renew(signer, w1, ps_buf_slice(&request), &chain, &made),
                         PS_UNAUTHENTICATED);
        ck_assert_ptr_nonnull(
            strstr(ps_error_message(), "certificate of spiffe://lab/worker/w1 was revoked on "));
        ps_certificate_unref(&w1);
        ck_ok(ps_pem_read_certificate("w1.pem", "certificate", &w1));
    }
    ps_crl_result_clear(&result);
    ps_certificate_info_clear(&made);
    ps_issuer_close(&signer);
    ps_tls_holder_free(&tls);
    ps_buf_free(&chain);
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&a_key_signs_and_the_list_beside_it_knows, 60},
    {&who_cannot_sign_is_told_at_the_start, 60},
    {&a_hook_gets_the_request_and_prints_the_chain, 60},
    {&a_hook_that_does_not_do_it_is_no_way_to_a_certificate, 60},
    {&a_request_that_is_none_reaches_no_signer, 60},
    {&a_key_that_is_gone_is_no_end, 60},
    {&what_comes_of_a_revoked_certificate_is_not_renewed, 60},
    {0},
};

int main(void)
{
    ps_process_begin();
    return ps_check_main("guard/issuer", tests);
}
