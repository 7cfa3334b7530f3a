/* CRLs as psctl makes them and psd takes them, judged by the openssl command, which knows nothing
 * of psd; and those that openssl makes, taken or refused. */
#include "common/security/crl.h"
#include "common/security/crl_issue.h"
#include "common/security/crl_list.h"
#include "common/security/pem_file.h"

#include "common/base/log.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static ps_status read_list(const char *file, const char *ca, ps_crl_list **out)
{
    char path[PS_TEST_PATH_MAX], ca_path[PS_TEST_PATH_MAX];
    STACK_OF(X509) *cas = NULL;
    ck_ok(ps_pem_read_certificates(ps_test_pki_path(&pki, ca, ".pem", ca_path), "CA", &cas));
    ps_status st = ps_crl_list_read(ps_test_pki_path(&pki, file, "", path), cas, out);
    sk_X509_pop_free(cas, X509_free);
    return st;
}

static void refused(const char *file, ps_status code, const char *says)
{
    ps_crl_list *list = NULL;
    ck_assert_msg(read_list(file, "ca", &list) == code, "%s: %s", file, ps_error_message());
    ck_assert_msg(strstr(ps_error_message(), says), "'%s' is not in '%s'", says,
                  ps_error_message());
    ck_assert_msg(strstr(ps_error_message(), file), "no file in '%s'", ps_error_message());
}

/* Is NAME.pem, signed by ca.pem, in the list? */
static ps_status look_up(const ps_crl_list *list, const char *name)
{
    char path[PS_TEST_PATH_MAX];
    X509 *leaf = NULL, *ca = NULL;
    ck_ok(ps_pem_read_certificate(ps_test_pki_path(&pki, name, ".pem", path), "leaf", &leaf));
    ck_ok(ps_pem_read_certificate(ps_test_pki_path(&pki, "ca", ".pem", path), "CA", &ca));
    STACK_OF(X509) *chain = sk_X509_new_null();
    sk_X509_push(chain, leaf);
    sk_X509_push(chain, ca);
    ps_status st = ps_crl_list_check(list, chain);
    sk_X509_pop_free(chain, X509_free);
    return st;
}

START_TEST(openssl_agrees_with_what_is_made)
{
    set_up();
    ps_crl_result r = revoke_name("w1", PS_CRL_KEY_COMPROMISE);
    ck_assert_str_eq(r.number, "1");
    ck_assert_uint_eq(r.entries, 1);
    ck_assert_str_eq(r.revoked[0].identity, "spiffe://lab/worker/w1");
    ps_crl_result_clear(&r);
    must_say("openssl crl -in ca.crl -noout -verify -CAfile ca.pem", true, "verify OK");
    must_say("openssl crl -in ca.crl -noout -text", true, "Version 2 (0x1)");
    must_say("openssl crl -in ca.crl -noout -text", true, "Key Compromise");
    must_say("openssl crl -in ca.crl -noout -crlnumber", true, "crlNumber=0x01");
    must_say("cat ca.pem ca.crl > both.pem; openssl verify -crl_check -CAfile both.pem w1.pem",
             false, "certificate revoked");
    must_say("openssl verify -crl_check -CAfile both.pem w2.pem", true, "w2.pem: OK");
    must_say("openssl x509 -in w1.pem -noout -serial | cut -d= -f2 > s; "
             "openssl crl -in ca.crl -noout -text | grep -c \"Serial Number: $(cat s)\"",
             true, "1");
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(who_is_in_it_is_named_with_day_and_reason)
{
    set_up();
    ps_crl_result r = revoke_name("worker/w1", PS_CRL_KEY_COMPROMISE);
    char when[PS_CERTIFICATE_TIME_MAX], says[200];
    (void)snprintf(says, sizeof says,
                   "certificate of spiffe://lab/worker/w1 was revoked on %s (keyCompromise)",
                   ps_certificate_time_text(r.revoked[0].entry.at, when));
    ps_crl_result_clear(&r);
    ps_crl_list *list = NULL;
    ck_ok(read_list("ca.crl", "ca", &list));
    ck_assert_int_eq(look_up(list, "w1"), PS_UNAUTHENTICATED);
    ck_assert_str_eq(ps_error_message(), says);
    ck_ok(look_up(list, "w2"));
    ck_ok(ps_crl_list_check_dates(list, (int64_t)time(NULL)));
    ps_crl_facts facts = ps_crl_list_facts(list);
    ck_assert_uint_eq(facts.entries, 1);
    ck_assert_int_eq(facts.next_update - facts.this_update, 7 * DAY_S);
    ps_crl_list_unref(&list);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(an_expired_one_is_told_with_its_date)
{
    set_up();
    ps_crl_result r = revoke_name("w1", PS_CRL_UNSPECIFIED);
    ps_crl_result_clear(&r);
    ps_crl_list *list = NULL;
    ck_ok(read_list("ca.crl", "ca", &list));
    int64_t end = ps_crl_list_facts(list).next_update;
    ck_ok(ps_crl_list_check_dates(list, end));
    ck_assert_int_eq(ps_crl_list_check_dates(list, end + 1), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "ca.crl expired on "));
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "psctl cert crl"));
    ck_assert_int_eq(ps_crl_list_check_dates(list, end - 8 * DAY_S), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "is not in force before"));
    ps_crl_list_unref(&list);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(an_older_one_does_not_take_the_place_of_a_newer_one)
{
    set_up();
    ps_crl_list *first = NULL, *second = NULL, *other = NULL;
    ps_crl_result r;
    ck_ok(ps_test_pki_crl(&pki, (ps_crl_request){0}, &r));
    ps_crl_result_clear(&r);
    ck_ok(read_list("ca.crl", "ca", &first));
    must_say("cp ca.crl one.crl; echo ok", true, "ok");
    r = revoke_name("w1", PS_CRL_SUPERSEDED);
    ck_assert_str_eq(r.number, "2");
    ps_crl_result_clear(&r);
    ck_ok(read_list("ca.crl", "ca", &second));
    ck_ok(ps_crl_list_check_newer(second, first));
    ck_assert_int_eq(ps_crl_list_check_newer(first, second), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(
        ps_error_message(), "is older than the one in force: number 1, not 2; make a new one"));
    must_say("mv one.crl ca.crl; echo ok", true, "ok"); /* the folder of yesterday */
    r = revoke_name("w2", PS_CRL_SUPERSEDED);
    ck_assert_str_eq(r.number, "2");
    ps_crl_result_clear(&r);
    ck_ok(read_list("ca.crl", "ca", &other));
    ck_assert(!ps_crl_list_same(other, second) && ps_crl_list_same(second, second));
    ck_assert_int_eq(ps_crl_list_check_newer(other, second), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "has the number of the one in force, 2"));
    ps_crl_list_unref(&first);
    ps_crl_list_unref(&second);
    ps_crl_list_unref(&other);
    ps_test_pki_close(&pki);
}
END_TEST

static void keep_warning(void *out, ps_log_level level, const char *line)
{
    if (level == PS_LOG_WARNING)
        (void)snprintf(out, 1024, "%s", line);
}

/* One CA takes over from another of the same name. */
START_TEST(a_file_has_a_list_of_each_ca)
{
    char warning[1024] = "";
    set_up();
    ps_crl_result r = revoke_name("w1", PS_CRL_UNSPECIFIED);
    ps_crl_result_clear(&r);
    must_say("mkdir new && cp ca.pem old.pem && cp ca.crl old.crl; echo ok", true, "ok");
    ps_test_pki other, ours = pki;
    ps_test_pki_open(&other, "lab");
    pki = other;
    ck_ok(ps_test_pki_crl(&pki, (ps_crl_request){0}, &r));
    ps_crl_result_clear(&r);
    pki = ours;
    char command[400];
    (void)snprintf(command, sizeof command,
                   "cp %s/ca.crl new.crl; cat %s/ca.pem old.pem > two.pem; "
                   "cat new.crl old.crl > two.crl; cat old.crl old.crl > twice.crl; echo ok",
                   other.folder, other.folder);
    must_say(command, true, "ok");
    ps_crl_list *one = NULL, *two = NULL;
    ck_ok(read_list("two.crl", "two", &two));
    ck_assert_int_eq(look_up(two, "w1"), PS_UNAUTHENTICATED);
    refused("new.crl", PS_FAILED_PRECONDITION, "is of another CA of the name");
    refused("twice.crl", PS_FAILED_PRECONDITION, "has two of one CA");
    ps_log_set_sink(keep_warning, warning);
    ck_ok(read_list("new.crl", "two", &one));
    ps_log_set_sink(NULL, NULL);
    ck_assert_msg(strstr(warning, "has none of the CA "), "%s", warning);
    ck_assert_int_eq(ps_crl_list_check_newer(one, two), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "has none any more of a CA"));
    ck_ok(ps_crl_list_check_newer(two, one));
    ps_crl_list_unref(&one);
    ps_crl_list_unref(&two);
    ps_test_pki_close(&other);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(what_is_no_list_of_this_ca_is_refused_with_what_is_wrong)
{
    set_up();
    ps_crl_result r = revoke_name("w1", PS_CRL_UNSPECIFIED);
    ps_crl_result_clear(&r);
    must_say("head -3 ca.crl > cut.crl; cp ca.pem pem.crl; : > empty.crl; "
             "truncate -s 134217729 huge.crl; "
             "openssl crl -in ca.crl -outform DER -out der.crl; "
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout x.key "
             "-subj /CN=other -days 3 -out x.pem 2>/dev/null; "
             "printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=i.txt\\ncrlnumber=n\\n"
             "default_md=sha256\\ndefault_crl_days=3\\ncrl_extensions=e\\n[e]\\n"
             "authorityKeyIdentifier=keyid:always\\n' > c; : > i.txt; echo 05 > n; "
             "openssl ca -gencrl -config c -keyfile x.key -cert x.pem -out stranger.crl; "
             "openssl ca -gencrl -config c -keyfile ca.key -cert ca.pem -out theirs.crl; "
             "openssl ca -gencrl -config c -keyfile ca.key -cert ca.pem -md sha1 -out weak.crl; "
             "sed -i -e '/crlnumber/d' -e '/crl_ext/d' c; "
             "openssl ca -gencrl -config c -keyfile ca.key -cert ca.pem -out v1.crl; echo done",
             true, "done");
    refused("cut.crl", PS_CORRUPT, "damaged PEM");
    refused("pem.crl", PS_CORRUPT, "holds no PEM CRL");
    refused("huge.crl", PS_RESOURCE_EXHAUSTED, "more than 134217728 bytes");
    refused("empty.crl", PS_CORRUPT, "holds no PEM CRL");
    refused("der.crl", PS_CORRUPT, "holds no PEM CRL");
    refused("absent.crl", PS_NOT_FOUND, "No such file");
    refused("stranger.crl", PS_FAILED_PRECONDITION, "is of another CA (CN = other)");
    refused("v1.crl", PS_UNIMPLEMENTED, "is of version 1");
    refused("weak.crl", PS_FAILED_PRECONDITION, "no key of the CA file made its signature");
    ps_crl_list *list = NULL;
    ck_ok(read_list("theirs.crl", "ca", &list)); /* a stock CA's is as good */
    ck_assert_str_eq(ps_crl_list_facts(list).number, "6");
    ck_ok(look_up(list, "w1"));
    ps_crl_list_unref(&list);
    ps_test_pki_close(&pki);
}
END_TEST

/* Every byte of a list in turn, in the middle of three entries: none is taken. */
START_TEST(no_changed_byte_is_taken)
{
    set_up();
    const char *names[] = {"w1", "w2"};
    ps_crl_result r;
    ck_ok(ps_test_pki_crl(&pki, (ps_crl_request){.names = names, .n_names = 2}, &r));
    ps_crl_result_clear(&r);
    char path[PS_TEST_PATH_MAX];
    FILE *f = fopen(ps_test_pki_path(&pki, "ca", ".crl", path), "r");
    unsigned char text[4096];
    size_t n = fread(text, 1, sizeof text, f), taken = 0;
    fclose(f);
    for (size_t i = 0; i < n; i++) {
        ps_crl_list *list = NULL;
        unsigned char was = text[i];
        if (i < 25 || i + 25 > n || was == '\n' || was == '=' || text[i + 1] == '=')
            continue; /* the frame, unused bits: other spellings of the same list */
        text[i] = was == 'A' ? 'B' : 'A';
        f = fopen(ps_test_pki_path(&pki, "bent", ".crl", path), "w");
        fwrite(text, 1, n, f);
        fclose(f);
        text[i] = was;
        taken += read_list("bent.crl", "ca", &list) == PS_OK;
        ps_crl_list_unref(&list);
    }
    ck_assert_uint_eq(taken, 0);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(numbers_and_serials_read_as_they_are_written)
{
    uint8_t bytes[PS_CRL_SERIAL];
    char text[PS_CRL_NUMBER_TEXT];
    ck_ok(ps_crl_serial_parse("0xFF:00:0a", bytes));
    ck_assert_str_eq(ps_crl_serial_text(bytes, text), "ff000a");
    ck_assert_str_eq(ps_crl_number_text(bytes, text), "16711690");
    ck_ok(ps_crl_serial_parse("ffffffffffffffffffffffffffffffffffffffff", bytes));
    ck_assert_str_eq(ps_crl_number_text(bytes, text), "0xffffffffffffffffffffffffffffffffffffffff");
    ck_assert_int_eq(ps_crl_serial_parse("1ffffffffffffffffffffffffffffffffffffffff", bytes),
                     PS_INVALID_ARGUMENT);
    ck_assert_int_eq(ps_crl_serial_parse("", bytes), PS_INVALID_ARGUMENT);
    uint8_t reason = 0;
    ck_assert(ps_crl_reason_parse("privilegeWithdrawn", &reason) && reason == 9);
    ck_assert(!ps_crl_reason_parse("removeFromCRL", &reason));
}
END_TEST

static const ps_check_case cases[] = {
    {&openssl_agrees_with_what_is_made, 30},
    {&who_is_in_it_is_named_with_day_and_reason},
    {&an_expired_one_is_told_with_its_date},
    {&an_older_one_does_not_take_the_place_of_a_newer_one},
    {&a_file_has_a_list_of_each_ca},
    {&what_is_no_list_of_this_ca_is_refused_with_what_is_wrong, 60},
    {&no_changed_byte_is_taken, 60},
    {&numbers_and_serials_read_as_they_are_written},
    {0},
};

int main(void)
{
    return ps_check_main("security/crl", cases);
}
