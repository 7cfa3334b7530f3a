/* audit_anchor: who may write the file may make its chain anew, but not what psd's key has signed.
 */
#include "common/security/audit_anchor.h"

#include "common/base/base64.h"
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

enum { LINES = 12, LINE = 8192, DAY = 86400 };

static char noon[40], later[40]; /* in two days; in 15 */

static ps_test_pki pki, other; /* another CA of the same cluster's name */
static char body[LINES][LINE]; /* up to where seq and prev follow */
static char lines[LINES][LINE];
static int n;

/* ---- a log ---- */

/* The chain, made anew: what who may write the file can do. */
static void chain(void)
{
    ps_audit_head head = ps_audit_head_none();
    for (int i = 0; i < n; i++) {
        int len =
            snprintf(lines[i], LINE, "%s,\"seq\":%d,\"prev\":\"%s\"}", body[i], i + 1, head.sha256);
        ck_assert_int_lt(len, LINE);
        ps_audit_head_advance(&head, ps_slice_str(lines[i]));
    }
}

static void add_call(const char *what)
{
    (void)snprintf(body[n++], LINE, "{\"time\":\"%s\",\"event\":\"%s\"", noon, what);
    chain();
}

static void add_anchor_at(const ps_test_pki *from, const char *name, const char *time, bool show)
{
    char path[PS_TEST_PATH_MAX];
    ps_anchor_signer signer = {0};
    ck_ok(ps_pem_read_certificate(ps_test_pki_path(from, name, ".pem", path), "certificate",
                                  &signer.certificate));
    ck_ok(ps_pem_read_key(ps_test_pki_path(from, name, ".key", path), &signer.key));
    ps_audit_head head = ps_audit_head_none();
    head.seq = (uint64_t)n - 1;
    ps_audit_head_advance(&head, ps_slice_str(lines[n - 1]));
    ps_buf text = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&text);
    ps_json_object(&w);
    ps_json_put_string(&w, "time", time);
    ck_ok(ps_anchor_write(&signer, time, &head, show, &w));
    ck_assert_uint_lt(text.len, LINE);
    (void)snprintf(body[n++], LINE, "%s", ps_buf_cstr(&text));
    chain();
    ps_buf_free(&text);
    X509_free(signer.certificate);
    EVP_PKEY_free(signer.key);
}

static void add_anchor(const char *name, bool show)
{
    add_anchor_at(&pki, name, noon, show);
}

/* psd is renewed in between: calls, an anchor, calls, an anchor of another certificate, a call. */
static void make_log(void)
{
    n = 0;
    add_call("a");
    add_call("b");
    add_anchor("psd", true);
    add_call("c");
    add_anchor("psd", false);
    add_call("d");
    add_anchor("renewed", true);
    add_call("e");
}

static void time_text(int64_t at, char out[40])
{
    time_t seconds = (time_t)at;
    struct tm utc;
    ck_assert_ptr_nonnull(gmtime_r(&seconds, &utc));
    ck_assert_uint_gt(strftime(out, 40, "%Y-%m-%dT%H:%M:%S.000Z", &utc), 0);
}

static void set_up(void)
{
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_open(&other, "lab");
    int64_t now = (int64_t)time(NULL);
    time_text(now + 2 * DAY, noon);
    time_text(now + 15 * DAY, later);
    ps_test_pki_server_at(&pki, "psd", "localhost", now - DAY, now + 60 * DAY);
    ps_test_pki_server_at(&pki, "renewed", "localhost", now, now + 80 * DAY);
    ps_test_pki_server_at(&pki, "short", "localhost", now + 10 * DAY, now + 20 * DAY);
    ps_test_pki_client_at(&pki, PS_ROLE_WORKER, "w1", now, now + 80 * DAY);
    ps_test_pki_server_at(&other, "psd", "localhost", now - DAY, now + 60 * DAY);
    make_log();
}

static void tear_down(void)
{
    ps_test_pki_close(&pki);
    ps_test_pki_close(&other);
}

/* ---- what psctl audit verify does ---- */

static ps_anchor_found found;

static ps_status check_from(int first, const char *ca, const char *certificate)
{
    char ca_file[PS_TEST_PATH_MAX], certificate_file[PS_TEST_PATH_MAX];
    const ps_anchor_trust trust = {
        .ca = ca ? ps_test_pki_path(&pki, ca, ".pem", ca_file) : NULL,
        .certificate =
            certificate ? ps_test_pki_path(&pki, certificate, ".pem", certificate_file) : NULL};
    ps_audit_check c = {0};
    ps_anchor_check *anchors;
    ck_ok(ps_anchor_check_new(&trust, &anchors));
    ps_status st = PS_OK;
    for (int i = first; !st && i < n; i++) {
        st = ps_audit_check_line(&c, ps_slice_str(lines[i]));
        if (!st)
            st = ps_anchor_check_line(anchors, ps_slice_str(lines[i]), &c.before);
    }
    ps_anchor_check_found(anchors, &found);
    ps_anchor_check_free(&anchors);
    return st;
}

static ps_status check(const char *ca, const char *certificate)
{
    return check_from(0, ca, certificate);
}

static void is_found(ps_status st, const char *words)
{
    ck_assert_int_eq(st, PS_CORRUPT);
    ck_assert_msg(strstr(ps_error_message(), words) != NULL, "%s", ps_error_message());
}

START_TEST(what_is_signed_is_whole)
{
    set_up();
    ck_ok(check("ca", NULL));
    ck_assert_uint_eq(found.anchors, 3);
    ck_assert_uint_eq(found.signed_to, 6);
    ck_assert_uint_eq(found.signers, 2);
    ck_assert_str_eq(found.signer.name, "renewed");
    ck_assert_str_eq(found.time, noon);
    ck_ok(check(NULL, NULL));
    n = 6;
    ck_ok(check("ca", "psd"));
    tear_down();
}
END_TEST

/* Each line changed, taken, put in or swapped, and the chain made to fit again. */
START_TEST(a_chain_that_was_made_anew_is_found)
{
    set_up();
    for (int i = 0; i < 6; i++) { /* the last call is not signed for yet */
        if (i == 2 || i == 4)
            continue; /* anchors: below */
        make_log();
        strcat(body[i], ",\"x\":1");
        chain();
        is_found(check("ca", NULL), "it signs for another line than the one before it");
        make_log();
        memmove(body[i], body[i + 1], sizeof *body * (size_t)(n - i - 1));
        n--;
        chain();
        ck_assert_int_eq(check("ca", NULL), PS_CORRUPT);
        make_log();
        memmove(body[i + 1], body[i], sizeof *body * (size_t)(n - i));
        n++;
        chain();
        ck_assert_int_eq(check("ca", NULL), PS_CORRUPT);
    }
    make_log();
    char kept[LINE];
    strcpy(kept, body[0]);
    strcpy(body[0], body[1]);
    strcpy(body[1], kept);
    chain();
    ck_assert_int_eq(check("ca", NULL), PS_CORRUPT);
    make_log();
    lines[3][40] ^= 1; /* and the chain does not fit */
    is_found(check("ca", NULL), "the line before it, 4, was changed");
    tear_down();
}
END_TEST

/* Anchors whose head says what fits: the signature does not. */
START_TEST(an_anchor_that_was_changed_is_found)
{
    set_up();
    strcat(body[3], ",\"x\":1");
    chain();
    ps_audit_head head = ps_audit_head_none();
    head.seq = 3;
    ps_audit_head_advance(&head, ps_slice_str(lines[3]));
    char text[PS_AUDIT_HEAD_TEXT];
    ps_audit_head_text(&head, text);
    memcpy(strstr(body[4], "\"head\":\"") + 8, text, strlen(text));
    chain();
    is_found(check("ca", NULL), "its signature is not of the lines before it");
    make_log();
    memcpy(strstr(body[4], noon), later, strlen(later)); /* the time is signed, too */
    chain();
    is_found(check("ca", NULL), "its signature is not");
    make_log();
    char *sig = strstr(body[4], "\"sig\":\"") + 20;
    *sig = *sig == 'A' ? 'B' : 'A';
    chain();
    ck_assert_int_eq(check("ca", NULL), PS_CORRUPT);
    make_log(); /* nothing of it reaches a terminal as it is */
    memcpy(strstr(body[4], noon), "\\u001b[2J", 9);
    chain();
    is_found(check(NULL, NULL), "it has no time");
    make_log();
    memcpy(strstr(body[4], "\"signer\":\"") + 10, "\\u001b[2J", 9);
    chain();
    is_found(check(NULL, NULL), "it names no certificate");
    make_log();
    strcat(body[4], ",\"certificates\":[\"AAAA\"]");
    chain();
    is_found(check("ca", NULL), "no certificate");
    tear_down();
}
END_TEST

START_TEST(another_key_is_found)
{
    set_up();
    n = 2;
    add_anchor_at(&other, "psd", noon, true);
    is_found(check("ca", NULL), "is signed by an unknown CA");
    is_found(check(NULL, "psd"), "another key signed it");
    ck_ok(check(NULL, NULL)); /* psctl says that nobody can tell */
    n = 2;
    add_anchor("w1", true);
    is_found(check("ca", NULL), "not one for a server");
    n = 2;
    add_anchor("short", true);
    is_found(check("ca", NULL), "is not in force before");
    n = 2;
    add_anchor_at(&pki, "short", later, true);
    ck_ok(check("ca", NULL)); /* it was in force then */
    make_log();
    is_found(check(NULL, "psd"), "another key signed it");
    tear_down();
}
END_TEST

/* A later file by itself: the chain is checked from its first line on. */
START_TEST(a_certificate_is_shown_or_asked_for)
{
    set_up();
    ck_ok(check_from(5, "ca", NULL));
    ck_assert_uint_eq(found.anchors, 1);
    is_found(check_from(3, "ca", NULL), "no line before it shows the certificate");
    n = 6;
    ck_ok(check_from(3, NULL, "psd"));
    ck_ok(check_from(3, "ca", "psd"));
    is_found(check_from(3, NULL, "renewed"), "no line before it shows the certificate");
    make_log(); /* its signer is the one asked for, and it shows another */
    char *shown = strstr(body[2], "\"certificates\":["), others[LINE];
    strcpy(others, strstr(body[6], "\"certificates\":["));
    strcpy(shown, others);
    n = 3;
    chain();
    ck_ok(check_from(0, NULL, "psd"));
    tear_down();
}
END_TEST

static void write_file(const char *name, ps_slice bytes)
{
    char path[PS_TEST_PATH_MAX];
    FILE *file = fopen(ps_test_pki_path(&pki, name, "", path), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
    ck_assert_int_eq(fclose(file), 0);
}

/* As docs/security.md says it: OpenSSL's own tool takes the certificate from the anchor, and says
 * whether the signature is of this text; of another head it says no. */
START_TEST(openssl_agrees)
{
    set_up();
    char command[1024], head[PS_AUDIT_HEAD_TEXT], text[256];
    ps_buf der = PS_BUF_EMPTY, sig = PS_BUF_EMPTY;
    const char *at = strstr(body[2], "\"certificates\":[\"") + 17;
    ck_ok(ps_base64_read(ps_slice_of(at, strcspn(at, "\"")), &der));
    at = strstr(body[2], "\"sig\":\"") + 7;
    ck_ok(ps_base64_read(ps_slice_of(at, strcspn(at, "\"")), &sig));
    at = strstr(body[2], "\"head\":\"") + 8;
    (void)snprintf(head, sizeof head, "%.*s", (int)strcspn(at, "\""), at);
    write_file("anchor.der", ps_buf_slice(&der));
    write_file("anchor.sig", ps_buf_slice(&sig));
    (void)snprintf(
        command, sizeof command,
        "cd %s && openssl x509 -inform DER -in anchor.der -pubkey -noout > anchor.pub && "
        "openssl dgst -sha256 -verify anchor.pub -signature anchor.sig anchor.txt "
        ">/dev/null 2>&1",
        pki.folder);
    for (int wrong = 0; wrong < 2; wrong++) {
        head[5] = (char)(head[5] ^ wrong);
        (void)snprintf(text, sizeof text, "psd audit anchor\n%s\n%s\n", noon, head);
        write_file("anchor.txt", ps_slice_str(text));
        ck_assert_int_eq(system(command) != 0, wrong);
    }
    ps_buf_free(&der);
    ps_buf_free(&sig);
    tear_down();
}
END_TEST

START_TEST(files_that_are_none_say_so)
{
    set_up();
    ps_anchor_check *anchors;
    ck_assert_int_eq(ps_anchor_check_new(&(ps_anchor_trust){.ca = "/nowhere/ca.pem"}, &anchors),
                     PS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "CA file /nowhere/ca.pem"));
    ck_assert_int_eq(
        ps_anchor_check_new(&(ps_anchor_trust){.certificate = "/nowhere/psd.pem"}, &anchors),
        PS_NOT_FOUND);
    tear_down();
}
END_TEST

static const ps_check_case tests[] = {
    {&what_is_signed_is_whole},
    {&a_chain_that_was_made_anew_is_found},
    {&an_anchor_that_was_changed_is_found},
    {&another_key_is_found},
    {&a_certificate_is_shown_or_asked_for},
    {&openssl_agrees},
    {&files_that_are_none_say_so},
    {0},
};

int main(void)
{
    return ps_check_main("security/audit_anchor", tests);
}
