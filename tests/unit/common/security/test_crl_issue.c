/* What a CA issues is listed, and revoked by name, file or serial number. */
#include "common/security/crl_build.h"
#include "common/security/crl_issue.h"
#include "common/security/crl_list.h"
#include "common/security/issued.h"
#include "common/security/pem_file.h"

#include "common/base/new_file.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <fcntl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400

static ps_test_pki pki;

static void must_say(const char *command, bool good, const char *part)
{
    ps_test_pki_expect(&pki, command, good, part);
}

static void set_up(void)
{
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w2");
}

static ps_crl_result revoke_name(const char *name, uint8_t reason)
{
    ps_crl_result result;
    ck_ok(ps_test_pki_crl(&pki, (ps_crl_request){.names = &name, .n_names = 1, .reason = reason},
                          &result));
    return result;
}

static void revoke_fails(ps_crl_request request, ps_status code, const char *says)
{
    ps_crl_result result;
    ck_assert_int_eq(ps_test_pki_crl(&pki, request, &result), code);
    ck_assert_msg(strstr(ps_error_message(), says), "'%s' is not in '%s'", says,
                  ps_error_message());
}

START_TEST(a_name_is_all_its_certificates_that_have_not_ended)
{
    set_up();
    int64_t now = time(NULL);
    must_say("rm w1.*; echo ok", true, "ok");
    ps_test_pki_client_at(&pki, PS_ROLE_WORKER, "w1", now - 7200, now - 3600); /* over */
    must_say("rm w1.*; echo ok", true, "ok");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    ps_crl_result r = revoke_name("spiffe://lab/worker/w1", PS_CRL_CESSATION);
    ck_assert_uint_eq(r.n_revoked, 2);
    ck_assert_uint_eq(r.entries, 2);
    ck_assert(r.written && r.listed_from == 0);
    ps_crl_result_clear(&r);
    r = revoke_name("w1", PS_CRL_KEY_COMPROMISE); /* again: nothing changes */
    ck_assert(!r.written && r.revoked[0].already);
    ck_assert_int_eq(r.revoked[0].entry.reason, PS_CRL_CESSATION);
    ck_assert_str_eq(r.number, "1");
    ps_crl_result_clear(&r);
    ps_test_pki_client_at(&pki, PS_ROLE_WORKER, "gone", now - 7200, now - 3600);
    const char *name = "gone";
    revoke_fails((ps_crl_request){.names = &name, .n_names = 1}, PS_FAILED_PRECONDITION,
                 "all certificates of spiffe://lab/worker/gone have expired");
    name = "nobody";
    revoke_fails((ps_crl_request){.names = &name, .n_names = 1}, PS_NOT_FOUND,
                 "this CA has issued no certificate of the name 'nobody'");
    must_say("mkdir x && mv w2.* x/; echo ok", true, "ok");
    ps_test_pki_client(&pki, PS_ROLE_SUBMITTER, "w2");
    name = "w2";
    revoke_fails((ps_crl_request){.names = &name, .n_names = 1}, PS_INVALID_ARGUMENT,
                 "'w2' is spiffe://lab/worker/w2 and spiffe://lab/submitter/w2: say which");
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_ca_of_ed25519_that_somebody_else_made_signs_both)
{
    ps_test_pki_open(&pki, "lab");
    must_say("rm ca.*; openssl req -x509 -newkey ed25519 -nodes -days 9 -keyout ca.key -out ca.pem "
             "-subj /O=lab/CN=ours -addext subjectAltName=URI:spiffe://lab "
             "-addext keyUsage=critical,keyCertSign,cRLSign && echo made",
             true, "made");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    must_say("openssl verify -purpose sslclient -CAfile ca.pem w1.pem", true, "OK");
    ps_crl_result r = revoke_name("w1", PS_CRL_KEY_COMPROMISE);
    ck_assert(r.written);
    ps_crl_result_clear(&r);
    must_say("openssl crl -in ca.crl -CAfile ca.pem -noout 2>&1", true, "verify OK");
    must_say("openssl verify -crl_check -CRLfile ca.crl -CAfile ca.pem w1.pem 2>&1", false,
             "certificate revoked");
    r = revoke_name("w1", PS_CRL_KEY_COMPROMISE); /* by its own list */
    ck_assert(!r.written && r.revoked[0].already);
    ps_crl_result_clear(&r);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_certificate_is_revoked_by_its_file_or_serial)
{
    set_up();
    char path[PS_TEST_PATH_MAX], serial[200];
    const char *file = ps_test_pki_path(&pki, "w1", ".pem", path), *number = serial;
    ck_assert_int_eq(ps_test_pki_shell(
                         &pki, "openssl x509 -in w2.pem -noout -serial | cut -d= -f2 | tr -d '\\n'",
                         serial, sizeof serial),
                     0);
    ps_crl_result r;
    ck_ok(ps_test_pki_crl(
        &pki, (ps_crl_request){.files = &file, .n_files = 1, .serials = &number, .n_serials = 1},
        &r));
    ck_assert_uint_eq(r.entries, 2);
    ck_assert_str_eq(r.revoked[1].identity, "spiffe://lab/worker/w2");
    ps_crl_result_clear(&r);
    number = "12:3z";
    revoke_fails((ps_crl_request){.serials = &number, .n_serials = 1}, PS_INVALID_ARGUMENT,
                 "'12:3z' is no serial number");
    file = ps_test_pki_path(&pki, "ca", ".pem", path);
    revoke_fails((ps_crl_request){.files = &file, .n_files = 1}, PS_INVALID_ARGUMENT, "is a CA's");
    ps_test_pki other, ours = pki;
    ps_test_pki_open(&other, "lab");
    ps_test_pki_client(&other, PS_ROLE_WORKER, "w9");
    file = ps_test_pki_path(&other, "w9", ".pem", path);
    pki = ours;
    revoke_fails((ps_crl_request){.files = &file, .n_files = 1}, PS_INVALID_ARGUMENT,
                 "is not signed by this CA");
    ps_test_pki_close(&other);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_ca_from_before_the_list_says_what_to_do)
{
    set_up();
    must_say("rm ca.issued; echo ok", true, "ok");
    const char *name = "w1";
    revoke_fails((ps_crl_request){.names = &name, .n_names = 1}, PS_NOT_FOUND,
                 "has no 'w1'; revoke a certificate from before with --file, or with the --serial");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w3");
    ps_crl_result r = revoke_name("w3", PS_CRL_UNSPECIFIED);
    ck_assert_int_ne(r.listed_from, 0);
    ps_crl_result_clear(&r);
    must_say("printf '{\"identity\":\"spi' >> ca.issued; echo ok", true, "ok"); /* a crash */
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w4");
    r = revoke_name("w4", PS_CRL_UNSPECIFIED);
    ck_assert_uint_eq(r.entries, 2);
    ps_crl_result_clear(&r);
    must_say("sed -i '2s/spiffe/[/' ca.issued; sed -i '2s/^{/[/' ca.issued; echo ok", true, "ok");
    revoke_fails((ps_crl_request){.names = &name, .n_names = 1}, PS_CORRUPT,
                 "ca.issued: line 2 is damaged");
    ps_test_pki_close(&pki);
}
END_TEST

/* RFC 5280 section 5: an entry stays until a list was made after its certificate had ended. */
START_TEST(who_has_ended_leaves_the_list_one_list_later)
{
    set_up();
    int64_t now = time(NULL);
    ps_test_pki_client_at(&pki, PS_ROLE_WORKER, "brief", now - DAY_S, now - 400);
    char out[200];
    /* its serial, as the list has it */
    ck_assert_int_eq(
        ps_test_pki_shell(&pki,
                          "openssl x509 -in brief.pem -noout -serial | cut -d= -f2 | tr -d '\\n'",
                          out, sizeof out),
        0);
    const char *serial = out;
    ps_crl_result r;
    ck_ok(ps_test_pki_crl(&pki, (ps_crl_request){.serials = &serial, .n_serials = 1}, &r));
    ck_assert_uint_eq(r.entries, 1);
    ps_crl_result_clear(&r);
    ck_ok(ps_test_pki_crl(&pki, (ps_crl_request){0}, &r));
    ck_assert_uint_eq(r.entries, 0);
    ck_assert_str_eq(r.number, "2");
    ps_crl_result_clear(&r);
    ps_test_pki_close(&pki);
}
END_TEST

static X509 *read_certificate(const char *name)
{
    char path[PS_TEST_PATH_MAX];
    X509 *cert = NULL;
    ck_ok(ps_pem_read_certificate(ps_test_pki_path(&pki, name, ".pem", path), name, &cert));
    return cert;
}

/* The list may not be in force yet where it is renewed. */
START_TEST(who_was_revoked_is_not_renewed_any_more)
{
    set_up();
    char file[PS_TEST_PATH_MAX];
    (void)ps_test_pki_path(&pki, "ca", ".key", file);
    X509 *ca = read_certificate("ca"), *one = read_certificate("w1"), *two = read_certificate("w2");
    ck_ok(ps_issued_add_renewed(file, ca, one, one)); /* there is no list */
    ps_crl_result r = revoke_name("w1", PS_CRL_KEY_COMPROMISE);
    ps_crl_result_clear(&r);
    must_say("wc -l < ca.issued", true, "4");
    ck_assert_int_eq(ps_issued_add_renewed(file, ca, one, two), PS_UNAUTHENTICATED);
    ck_assert_ptr_nonnull(
        strstr(ps_error_message(), "certificate of spiffe://lab/worker/w1 was revoked on "));
    must_say("wc -l < ca.issued", true, "4");
    ck_ok(ps_issued_add_renewed(file, ca, two, two));
    X509_free(ca);
    X509_free(one);
    X509_free(two);
    ps_test_pki_close(&pki);
}
END_TEST

static void is_not_made(const char *says)
{
    char ca[PS_TEST_PATH_MAX], ca_key[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX],
        key[PS_TEST_PATH_MAX];
    ck_assert_int_ne(ps_certificate_create_client(&(ps_leaf_request){
                         .ca_cert_file = ps_test_pki_path(&pki, "ca", ".pem", ca),
                         .ca_key_file = ps_test_pki_path(&pki, "ca", ".key", ca_key),
                         .role = PS_ROLE_WORKER,
                         .name = "w3",
                         .cert_file = ps_test_pki_path(&pki, "w3", ".pem", cert),
                         .key_file = ps_test_pki_path(&pki, "w3", ".key", key)}),
                     PS_OK);
    ck_assert_msg(strstr(ps_error_message(), "the list of what the CA issued, ") &&
                      strstr(ps_error_message(), says),
                  "%s", ps_error_message());
    must_say("ls w3.*", false, "No such file");
}

START_TEST(what_cannot_be_listed_is_not_made)
{
    set_up();
    must_say("mv ca.issued away && mkdir ca.issued; echo ok", true, "ok");
    is_not_made("ca.issued: open: Is a directory");
    must_say("rmdir ca.issued && sed '1s/\"ca\":\"./\"ca\":\"x/' away > ca.issued; echo ok", true,
             "ok");
    is_not_made("ca.issued: it is of another CA");
    must_say("printf 'no\\nlist' > ca.issued; echo ok", true, "ok");
    is_not_made("ca.issued: line 1 is not the beginning of a list");
    must_say("cat ca.issued", true, "list"); /* as it was */
    ps_test_pki_close(&pki);
}
END_TEST

/* Lines of certificates that ended then, each 110 bytes or so. */
static void append_rows(int n, int64_t not_after)
{
    char path[PS_TEST_PATH_MAX];
    FILE *f = fopen(ps_test_pki_path(&pki, "ca", ".issued", path), "a");
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < n; i++)
        (void)fprintf(f,
                      "{\"identity\":\"spiffe://lab/worker/w%d\",\"serial\":\"%04x\",\"not_after\":"
                      "%lld}\n",
                      i % 7, i + 1, (long long)not_after);
    (void)fclose(f);
}

/* A line a renewal, some a day for each worker: what has ended does not stay for ever. */
START_TEST(the_list_of_what_was_issued_gets_shorter)
{
    set_up();
    append_rows(1500, 1700000000);
    must_say("wc -l < ca.issued", true, "1503");
    const char *serial = "0007"; /* ended, and in the list of the revoked until the next one */
    ps_crl_result r;
    ck_ok(ps_test_pki_crl(&pki, (ps_crl_request){.serials = &serial, .n_serials = 1}, &r));
    ps_crl_result_clear(&r);
    must_say("wc -l < ca.issued", true, "4");
    must_say("grep -c '\"serial\":\"07\"' ca.issued", true, "1");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w3");
    r = revoke_name("w2", PS_CRL_UNSPECIFIED);
    ck_assert_uint_eq(r.n_revoked, 1);
    ck_assert_int_eq(r.listed_from, 0); /* as complete as it was */
    ck_assert_uint_eq(r.entries, 1);
    ps_crl_result_clear(&r);
    ps_test_pki_close(&pki);
}
END_TEST

/* Nobody makes a CRL meanwhile. */
START_TEST(what_ended_a_month_ago_goes_when_another_one_is_added)
{
    const int64_t now = (int64_t)time(NULL);
    const char *serial = "0001";
    ps_crl_result r;
    set_up();
    append_rows(1, now - 40 * DAY_S); /* ended, and in the list of the revoked until the next one */
    ck_ok(ps_test_pki_crl(&pki, (ps_crl_request){.serials = &serial, .n_serials = 1}, &r));
    ps_crl_result_clear(&r);
    append_rows(2000, now - 29 * DAY_S);
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w3");
    must_say("wc -l < ca.issued", true, "2005"); /* they are not that old */
    must_say("sed -i 5,2004d ca.issued; wc -l < ca.issued", true, "5");
    append_rows(2000, now - 31 * DAY_S);
    must_say("sed -i '6s/0001/ffff/' ca.issued; chmod 640 ca.issued; echo ok", true, "ok");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w4");
    must_say("sed 1d ca.issued | cut -d'\"' -f4 | cut -d/ -f5 | tr '\n' ' '", true,
             "w1 w2 w0 w3 w4 ");
    must_say("grep -c '\"serial\":\"01\"' ca.issued", true, "1");
    must_say("stat -c %a ca.issued; ls ca.issued*", true, "640\nca.issued\n");
    r = revoke_name("w3", PS_CRL_UNSPECIFIED);
    ck_assert_uint_eq(r.n_revoked, 1);
    ck_assert_int_eq(r.listed_from, 0); /* as complete as it was */
    ps_crl_result_clear(&r);
    revoke_fails((ps_crl_request){.names = (const char *const[]){"w5"}, .n_names = 1}, PS_NOT_FOUND,
                 "no certificate of the name 'w5'");
    ps_test_pki_close(&pki);
}
END_TEST

/* The CRL again, as of a year from now. */
static void make_list_of_next_year(void)
{
    const uint8_t number[PS_CRL_SERIAL] = {[PS_CRL_SERIAL - 1] = 7};
    char crl[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    STACK_OF(X509) *cas = NULL;
    ps_authority ca = {0};
    ps_crl_list *list = NULL;
    ps_buf pem = PS_BUF_EMPTY;
    ps_test_pki_path(&pki, "ca", ".crl", crl);
    ck_ok(ps_authority_read(ps_test_pki_path(&pki, "ca", ".pem", cert),
                            ps_test_pki_path(&pki, "ca", ".key", key), &ca));
    ck_ok(ps_pem_read_certificates(cert, "CA", &cas));
    ck_ok(ps_crl_list_read(crl, cas, &list));
    const ps_crl *now = ps_crl_list_first(list);
    ck_ok(ps_crl_build(&(ps_crl_plan){.this_update = now->this_update + 365 * DAY_S,
                                      .next_update = now->next_update + 365 * DAY_S,
                                      .number = number,
                                      .entries = now->entries,
                                      .n_entries = now->n_entries},
                       &ca, &pem));
    ck_ok(ps_new_file_save(crl, ps_buf_slice(&pem), &(ps_new_file_options){.force = true}));
    ps_authority_clear(&ca);
    ps_crl_list_unref(&list);
    ps_buf_free(&pem);
    sk_X509_pop_free(cas, X509_free);
}

/* w1 ends within the year. */
START_TEST(nobody_leaves_the_list_for_a_clock_that_was_wrong)
{
    set_up();
    ps_crl_result r = revoke_name("w1", PS_CRL_UNSPECIFIED);
    ps_crl_result_clear(&r);
    make_list_of_next_year();
    for (int i = 0; i < 2; i++) {
        ck_ok(ps_test_pki_crl(&pki, (ps_crl_request){0}, &r));
        ck_assert_uint_eq(r.entries, 1);
        ps_crl_result_clear(&r);
    }
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(who_holds_the_list_holds_nobody_up_for_ever)
{
    set_up();
    char path[PS_TEST_PATH_MAX];
    int held = open(ps_test_pki_path(&pki, "ca", ".issued", path), O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(held, 0);
    ck_assert_int_eq(flock(held, LOCK_EX), 0);
    const char *name = "w1";
    revoke_fails((ps_crl_request){.names = &name, .n_names = 1}, PS_UNAVAILABLE,
                 "ca.issued: somebody has held it for 5 s");
    ck_assert_int_eq(close(held), 0);
    ps_crl_result r = revoke_name("w1", PS_CRL_UNSPECIFIED);
    ps_crl_result_clear(&r);
    ps_test_pki_close(&pki);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_name_is_all_its_certificates_that_have_not_ended},
    {&a_ca_of_ed25519_that_somebody_else_made_signs_both, 60},
    {&a_certificate_is_revoked_by_its_file_or_serial, 30},
    {&a_ca_from_before_the_list_says_what_to_do},
    {&who_has_ended_leaves_the_list_one_list_later},
    {&who_was_revoked_is_not_renewed_any_more},
    {&what_cannot_be_listed_is_not_made},
    {&the_list_of_what_was_issued_gets_shorter},
    {&what_ended_a_month_ago_goes_when_another_one_is_added},
    {&nobody_leaves_the_list_for_a_clock_that_was_wrong},
    {&who_holds_the_list_holds_nobody_up_for_ever, 30},
    {0},
};

int main(void)
{
    return ps_check_main("security/crl_issue", cases);
}
