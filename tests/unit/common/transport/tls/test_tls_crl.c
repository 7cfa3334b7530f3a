/* Revoked certificates at handshakes and in live sessions, and which lists a holder takes. */
#include "common/transport/tls/tls_holder.h"
#include "common/transport/tls/tls_session.h"
#include "common/transport/tls/tls_verify.h"

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/security/authority.h"
#include "common/security/crl_build.h"
#include "common/security/crl_issue.h"
#include "common/security/crl_list.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400

static ps_test_pki pki;
static ps_tls_holder *holder;
static char ca[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX],
    crl[PS_TEST_PATH_MAX];

static ps_tls_options options_of(ps_tls_side side, const char *name)
{
    return (ps_tls_options){.side = side,
                            .ca_file = ps_test_pki_path(&pki, "ca", ".pem", ca),
                            .cert_file = ps_test_pki_path(&pki, name, ".pem", cert),
                            .key_file = ps_test_pki_path(&pki, name, ".key", key),
                            .crl_file = ps_test_pki_path(&pki, "in-force", ".crl", crl)};
}

static void put_list(const ps_test_pki *of, const char *revoked, uint8_t reason)
{
    char to[PS_TEST_PATH_MAX];
    ps_crl_result result;
    ck_ok(ps_test_pki_crl(
        of, (ps_crl_request){.names = &revoked, .n_names = revoked ? 1 : 0, .reason = reason},
        &result));
    ps_test_pki_path(&pki, "in-force", ".crl", to);
    (void)unlink(to);
    ck_assert_int_eq(link(result.file, to),
                     0); /* the file that is named is written anew each time */
    ps_crl_result_clear(&result);
}

/* A list of this CA with these dates. */
static void put_dated(uint8_t number, int64_t from, int64_t to)
{
    uint8_t numbers[PS_CRL_SERIAL] = {[PS_CRL_SERIAL - 1] = number};
    char path[PS_TEST_PATH_MAX], ca_key[PS_TEST_PATH_MAX];
    ps_authority authority = {0};
    ps_buf pem = PS_BUF_EMPTY;
    ck_ok(ps_authority_read(ps_test_pki_path(&pki, "ca", ".pem", path),
                            ps_test_pki_path(&pki, "ca", ".key", ca_key), &authority));
    ck_ok(ps_crl_build(&(ps_crl_plan){.this_update = from, .next_update = to, .number = numbers},
                       &authority, &pem));
    FILE *f = fopen(ps_test_pki_path(&pki, "in-force", ".crl", path), "w");
    fwrite(pem.data, 1, pem.len, f);
    fclose(f);
    ps_buf_free(&pem);
    ps_authority_clear(&authority);
}

static void put_text(const char *name, const char *text)
{
    char path[PS_TEST_PATH_MAX];
    FILE *f = fopen(ps_test_pki_path(&pki, name, "", path), "w");
    fputs(text, f);
    fclose(f);
}

static void set_up(void)
{
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w2");
}

/* ---- two ends in memory ---- */

typedef struct ends {
    SSL *client, *server;
    char client_error[PS_ERROR_MAX], server_error[PS_ERROR_MAX]; /* "": none */
} ends;

static void step(SSL *ssl, char *error)
{
    char byte;
    if (*error)
        return;
    ERR_clear_error();
    int rc = SSL_is_init_finished(ssl) ? SSL_read(ssl, &byte, 1) : SSL_do_handshake(ssl);
    int why = SSL_get_error(ssl, rc);
    if (rc > 0 || why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return;
    ck_assert_int_ne(ps_tls_session_failure(ssl, why), PS_OK);
    (void)snprintf(error, PS_ERROR_MAX, "%s", ps_error_message());
}

static ends meet(ps_tls_context *client, ps_tls_context *server)
{
    ends e = {0};
    BIO *one = NULL, *other = NULL;
    ck_ok(ps_tls_session_new(client, "localhost", &e.client));
    ck_ok(ps_tls_session_new(server, NULL, &e.server));
    ck_assert_int_eq(BIO_new_bio_pair(&one, 1 << 16, &other, 1 << 16), 1);
    SSL_set_bio(e.client, one, one);
    SSL_set_bio(e.server, other, other);
    for (int i = 0; i < 12; i++) {
        step(e.client, e.client_error);
        step(e.server, e.server_error);
    }
    return e;
}

static void part(ends *e)
{
    SSL_free(e->client);
    SSL_free(e->server);
}

static ps_tls_context *context_of(ps_tls_side side, const char *name, bool with_list)
{
    ps_tls_options o = options_of(side, name);
    ps_tls_context *context = NULL;
    if (!with_list)
        o.crl_file = NULL;
    ck_ok(ps_tls_context_new(&o, &context));
    return context;
}

#define has(text, part_) \
    ck_assert_msg(strstr((text), (part_)) != NULL, "'%s' is not in '%s'", (part_), (text))

START_TEST(who_was_revoked_is_refused_with_day_and_reason)
{
    set_up();
    put_list(&pki, "w1", PS_CRL_KEY_COMPROMISE);
    const char *names[] = {"w1", "w2"};
    ps_tls_context *server = context_of(PS_TLS_SERVER, "psd", true);
    for (int i = 0; i < 2; i++) {
        ps_tls_context *client = context_of(PS_TLS_CLIENT, names[i], false);
        ends e = meet(client, server);
        if (i == 0) {
            has(e.server_error, "client refused: certificate of spiffe://lab/worker/w1 was revoked "
                                "on 20");
            has(e.server_error, " UTC (keyCompromise)");
            has(e.client_error, "the server rejected our certificate: revoked");
        } else {
            ck_assert_str_eq(e.server_error, "");
            ck_assert_str_eq(e.client_error, "");
        }
        part(&e);
        ps_tls_context_unref(&client);
    }
    ps_tls_context_unref(&server);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_server_that_was_revoked_is_refused_by_its_clients)
{
    set_up();
    put_list(&pki, "server/psd", PS_CRL_SUPERSEDED);
    ps_tls_context *server = context_of(PS_TLS_SERVER, "psd", false);
    ps_tls_context *client = context_of(PS_TLS_CLIENT, "w1", true);
    ends e = meet(client, server);
    has(e.client_error, "server refused: certificate of spiffe://lab/server/psd was revoked on ");
    has(e.server_error, "the client rejected our certificate: revoked");
    part(&e);
    ps_tls_context_unref(&client);
    ps_tls_context_unref(&server);
    ps_test_pki_close(&pki);
}
END_TEST

static void holds(ps_status expected, SSL *ssl, bool expected_revoked)
{
    bool revoked = !expected_revoked;
    ps_tls_context *context = ps_tls_holder_get(holder);
    ps_status st = ps_tls_verify_again(ssl, context, &revoked);
    ck_assert_msg(st == expected && revoked == expected_revoked, "%d %d: %s", st, revoked,
                  ps_error_message());
    ps_tls_context_unref(&context);
}

/* By a look into the list alone, and when the certificates are read again, too. */
START_TEST(a_live_session_is_looked_up_again)
{
    set_up();
    put_list(&pki, NULL, 0);
    ps_tls_options o = options_of(PS_TLS_SERVER, "psd");
    ck_ok(ps_tls_holder_new(&o, &holder));
    ps_tls_context *server = ps_tls_holder_get(holder);
    ps_tls_context *one = context_of(PS_TLS_CLIENT, "w1", false);
    ps_tls_context *two = context_of(PS_TLS_CLIENT, "w2", false);
    ends a = meet(one, server), b = meet(two, server);
    holds(PS_OK, a.server, false);
    uint64_t trust = ps_tls_context_trust(server);
    put_list(&pki, "w1", PS_CRL_KEY_COMPROMISE);
    ck_ok(ps_tls_holder_reload_crl(holder));
    ps_tls_context *now = ps_tls_holder_get(holder);
    ck_assert_uint_eq(ps_tls_context_trust(now), trust);
    ps_tls_context_unref(&now);
    holds(PS_UNAUTHENTICATED, a.server, true);
    has(ps_error_message(), "spiffe://lab/worker/w1 was revoked on ");
    holds(PS_OK, b.server, false);
    ck_ok(ps_tls_holder_reload(holder));
    now = ps_tls_holder_get(holder);
    ck_assert_uint_ne(ps_tls_context_trust(now), trust);
    ps_tls_context_unref(&now);
    holds(PS_UNAUTHENTICATED, a.server, true);
    holds(PS_OK, b.server, false);
    part(&a);
    part(&b);
    ps_tls_context_unref(&one);
    ps_tls_context_unref(&two);
    ps_tls_context_unref(&server);
    ps_tls_holder_free(&holder);
    ps_test_pki_close(&pki);
}
END_TEST

static const char *number_in_force(void)
{
    static char number[PS_CRL_NUMBER_TEXT];
    ps_tls_context *context = ps_tls_holder_get(holder);
    (void)snprintf(number, sizeof number, "%s", ps_tls_context_dates(context).crl_number);
    ps_tls_context_unref(&context);
    return number;
}

static void stays(const char *number, const char *says)
{
    ck_assert_int_ne(ps_tls_holder_reload_crl(holder), PS_OK);
    has(ps_error_message(), says);
    has(ps_error_message(), "in-force.crl");
    ck_assert_str_eq(number_in_force(), number);
}

START_TEST(a_list_that_may_not_be_taken_leaves_the_old_one_in_force)
{
    set_up();
    int64_t now = time(NULL);
    put_dated(5, now - 60, now + DAY_S);
    ps_tls_options o = options_of(PS_TLS_SERVER, "psd");
    ck_ok(ps_tls_holder_new(&o, &holder));
    ck_assert_str_eq(number_in_force(), "5");
    put_dated(4, now - 60, now + DAY_S);
    stays("5", "is older than the one in force: number 4, not 5");
    put_dated(5, now - 50, now + DAY_S);
    stays("5", "has the number of the one in force, 5, and is another one");
    put_dated(6, now - DAY_S, now - 60);
    stays("5", "expired on ");
    put_dated(6, now + DAY_S, now + 2 * DAY_S);
    stays("5", "is not in force before ");
    put_text("in-force.crl", "-----BEGIN X509 CRL-----\nAAAA\n");
    stays("5", "damaged PEM");
    put_text("in-force.crl", "");
    stays("5", "holds no PEM CRL");
    ck_assert_int_eq(unlink(o.crl_file), 0);
    stays("5", "No such file or directory");
    ck_assert_int_eq(mkfifo(o.crl_file, 0600), 0);
    stays("5", "in-force.crl: not a regular file"); /* nobody waits for who writes there */
    ck_assert_int_eq(unlink(o.crl_file), 0);
    ps_test_pki other;
    ps_test_pki_open(&other, "lab");
    put_list(&other, NULL, 0);
    stays("5", "is of another CA");
    ps_test_pki_close(&other);
    (void)unlink(o.crl_file);
    put_dated(6, now - 60, now + DAY_S);
    ck_ok(ps_tls_holder_reload_crl(holder));
    ck_assert_str_eq(number_in_force(), "6");
    ps_tls_holder_free(&holder);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_bad_certificate_holds_up_no_list_nor_the_other_way)
{
    set_up();
    int64_t now = time(NULL);
    put_dated(1, now - 60, now + DAY_S);
    ps_tls_options o = options_of(PS_TLS_SERVER, "psd");
    ck_ok(ps_tls_holder_new(&o, &holder));
    char kept[4096] = "", path[PS_TEST_PATH_MAX];
    FILE *f = fopen(ps_test_pki_path(&pki, "psd", ".key", path), "r");
    ck_assert_uint_gt(fread(kept, 1, sizeof kept - 1, f), 0);
    fclose(f);
    put_text("psd.key", "half a k");
    put_dated(2, now - 60, now + DAY_S);
    ck_assert_int_ne(ps_tls_holder_reload(holder), PS_OK);
    has(ps_error_message(), "psd.key: holds no PEM private key");
    ck_assert_str_eq(number_in_force(), "2");
    put_text("in-force.crl", "no list");
    ck_assert_int_ne(ps_tls_holder_reload(holder), PS_OK);
    has(ps_error_message(), "psd.key: holds no PEM private key; CRL ");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_ne(ps_tls_holder_reload(holder), PS_OK);
    has(ps_error_message(), "psd.key: not a regular file; CRL ");
    ck_assert_int_eq(unlink(path), 0);
    put_text("psd.key", kept);
    ps_tls_context *before = ps_tls_holder_get(holder), *after;
    ck_assert_int_ne(ps_tls_holder_reload(holder), PS_OK);
    has(ps_error_message(), "holds no PEM CRL");
    after = ps_tls_holder_get(holder);
    ck_assert_uint_ne(ps_tls_context_trust(before), ps_tls_context_trust(after));
    ck_assert_str_eq(number_in_force(), "2");
    ps_tls_context_unref(&before);
    ps_tls_context_unref(&after);
    ps_tls_holder_free(&holder);
    ps_test_pki_close(&pki);
}
END_TEST

/* refuse: nobody new, and nobody is cut; warn: as if it still counted. */
START_TEST(a_list_whose_time_is_over_counts_as_it_was_said)
{
    set_up();
    int64_t now = time(NULL);
    put_dated(1, now - DAY_S, now - 60);
    ps_tls_options o = options_of(PS_TLS_SERVER, "psd");
    ck_assert_int_eq(ps_tls_holder_new(&o, &holder), PS_FAILED_PRECONDITION);
    has(ps_error_message(), "in-force.crl expired on ");
    has(ps_error_message(), "psctl cert crl");
    ps_tls_context *client = context_of(PS_TLS_CLIENT, "w1", false);
    o = options_of(PS_TLS_SERVER, "psd"); /* the names' places are shared */
    o.crl_stale = true;
    ck_ok(ps_tls_holder_new(&o, &holder));
    ps_tls_context *lenient = ps_tls_holder_get(holder), *strict = NULL;
    ends e = meet(client, lenient);
    ck_assert_str_eq(e.server_error, "");
    /* the same list with the other word: as when it ends while it is in force */
    o.crl_stale = false;
    o.crl_file = NULL;
    ps_tls_context *bare = NULL;
    ck_ok(ps_tls_context_new(&o, &bare));
    ps_tls_context_with_crl(bare, ps_tls_context_crl(lenient), &strict);
    bool revoked = true;
    ck_ok(ps_tls_verify_again(e.server, strict, &revoked));
    ck_assert(!revoked);
    part(&e);
    e = meet(client, strict);
    has(e.server_error, "client refused: CRL ");
    has(e.server_error, "in-force.crl expired on ");
    has(e.client_error, "the server rejected our certificate: not acceptable");
    part(&e);
    ps_tls_context_unref(&bare);
    ps_tls_context_unref(&strict);
    ps_tls_context_unref(&lenient);
    ps_tls_context_unref(&client);
    ps_tls_holder_free(&holder);
    ps_test_pki_close(&pki);
}
END_TEST

static void keep_error(void *out, ps_log_level level, const char *line)
{
    if (level == PS_LOG_ERROR)
        (void)snprintf(out, 1024, "%s", line);
}

START_TEST(our_own_certificate_in_the_list_is_said)
{
    set_up();
    put_list(&pki, NULL, 0);
    ps_tls_options o = options_of(PS_TLS_SERVER, "psd");
    ck_ok(ps_tls_holder_new(&o, &holder));
    put_list(&pki, "server/psd", PS_CRL_KEY_COMPROMISE);
    char error[1024] = "";
    ps_log_set_sink(keep_error, error);
    ck_ok(ps_tls_holder_reload_crl(holder)); /* the others in it are to be shut out all the same */
    ps_log_set_sink(NULL, NULL);
    has(error, "our own certificate is revoked: ");
    ck_assert_str_eq(number_in_force(), "2");
    ck_assert_int_eq(ps_tls_holder_reload(holder), PS_FAILED_PRECONDITION);
    ps_tls_context *context = NULL;
    ck_assert_int_eq(ps_tls_context_new(&o, &context), PS_FAILED_PRECONDITION);
    has(ps_error_message(), "psd.pem: certificate of spiffe://lab/server/psd was revoked on ");
    has(ps_error_message(), "issue a new one with psctl cert create-server");
    ps_tls_holder_free(&holder);
    ps_test_pki_close(&pki);
}
END_TEST

static const ps_check_case cases[] = {
    {&who_was_revoked_is_refused_with_day_and_reason},
    {&a_server_that_was_revoked_is_refused_by_its_clients},
    {&a_live_session_is_looked_up_again},
    {&a_list_that_may_not_be_taken_leaves_the_old_one_in_force},
    {&a_bad_certificate_holds_up_no_list_nor_the_other_way},
    {&a_list_whose_time_is_over_counts_as_it_was_said},
    {&our_own_certificate_in_the_list_is_said},
    {0},
};

int main(void)
{
    return ps_check_main("transport/tls_crl", cases);
}
