#include "common/transport/tls/tls_session.h"

#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400

/* Two ends of one connection in memory: what a writes b reads. */
typedef struct link {
    SSL *client, *server;
    ps_status client_status, server_status;
    char client_error[PS_ERROR_MAX], server_error[PS_ERROR_MAX];
    ps_identity seen_by_client, seen_by_server;
} link_t;

static void connect_bios(SSL *a, SSL *b)
{
    BIO *one = NULL, *other = NULL;
    ck_assert_int_eq(BIO_new_bio_pair(&one, 1 << 16, &other, 1 << 16), 1);
    SSL_set_bio(a, one, one);
    SSL_set_bio(b, other, other);
}

/* One step of a side; true when it may still get on. */
static bool step(SSL *ssl, ps_status *status, char *message)
{
    if (*status)
        return false;
    char byte;
    ERR_clear_error();
    int rc = SSL_is_init_finished(ssl) ? SSL_read(ssl, &byte, 1) : SSL_do_handshake(ssl);
    int error = SSL_get_error(ssl, rc);
    if (rc > 0 || error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return true;
    *status = ps_tls_session_failure(ssl, error);
    (void)snprintf(message, PS_ERROR_MAX, "%s", ps_error_message());
    return false;
}

static void pump(link_t *l)
{
    for (int i = 0; i < 12; i++) {
        (void)step(l->client, &l->client_status, l->client_error);
        (void)step(l->server, &l->server_status, l->server_error);
    }
}

static void link_start(link_t *l, ps_tls_context *client, ps_tls_context *server, const char *host)
{
    *l = (link_t){0};
    ck_ok(ps_tls_session_new(client, host, &l->client));
    ck_ok(ps_tls_session_new(server, NULL, &l->server));
    connect_bios(l->client, l->server);
}

static void link_end(link_t *l)
{
    SSL_free(l->client);
    SSL_free(l->server);
}

/* Both names are certificates of pki; contexts are dropped before the handshake, so that sessions
 * must hold them. */
static void dial(link_t *l, const ps_test_pki *client_pki, const char *client,
                 const ps_test_pki *server_pki, const char *server, const char *host)
{
    ps_tls_context *c = ps_test_pki_context(client_pki, PS_TLS_CLIENT, client);
    ps_tls_context *s = ps_test_pki_context(server_pki, PS_TLS_SERVER, server);
    link_start(l, c, s, host);
    ps_tls_context_unref(&c);
    ps_tls_context_unref(&s);
    pump(l);
}

#define assert_contains(text, part) \
    ck_assert_msg(strstr((text), (part)) != NULL, "'%s' is not in '%s'", (part), (text))

START_TEST(both_sides_know_each_other)
{
    ps_test_pki pki;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    const char *hosts[] = {"localhost", "127.0.0.1"};
    for (int i = 0; i < 2; i++) {
        link_t l;
        dial(&l, &pki, "w1", &pki, "psd", hosts[i]);
        ck_assert_msg(!l.client_status && !l.server_status, "%s / %s", l.client_error,
                      l.server_error);
        ps_identity peer;
        char text[PS_IDENTITY_TEXT_MAX];
        ck_ok(ps_tls_session_established(l.client, &peer));
        ck_assert_str_eq(ps_identity_format(&peer, text), "spiffe://lab/server/psd");
        ck_ok(ps_tls_session_established(l.server, &peer));
        ck_assert_str_eq(ps_identity_format(&peer, text), "spiffe://lab/worker/w1");
        ck_assert_str_eq(SSL_get_version(l.server), "TLSv1.3");
        ck_assert_str_eq(SSL_get_cipher(l.server), "TLS_AES_256_GCM_SHA384");
        ck_assert_str_eq(ps_tls_session_group(l.server), ps_tls_session_group(l.client));
        ck_assert_str_eq(ps_tls_verify_reason(l.server), "");
        link_end(&l);
    }
    ps_test_pki_close(&pki);
}
END_TEST

/* Who is refused, by whom, and what both sides say. */
static void expect_refused(link_t *l, const char *server_says, const char *client_says)
{
    ck_assert_int_eq(l->server_status, PS_UNAUTHENTICATED);
    ck_assert_int_eq(l->client_status, PS_UNAUTHENTICATED);
    assert_contains(l->server_error, server_says);
    assert_contains(l->client_error, client_says);
    ps_identity nobody;
    ck_assert_int_eq(ps_tls_session_established(l->server, &nobody) == PS_OK, 0);
    link_end(l);
}

START_TEST(an_expired_client_certificate_is_refused_with_its_date)
{
    ps_test_pki pki;
    link_t l;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_client_at(&pki, PS_ROLE_WORKER, "old", 1735689600, 1738368000); /* 2025-02-01 */
    dial(&l, &pki, "old", &pki, "psd", "localhost");
    ck_assert_str_eq(ps_tls_peer_claim(l.server), "spiffe://lab/worker/old");
    expect_refused(&l, "certificate of spiffe://lab/worker/old expired on 2025-02-01 00:00:00 UTC",
                   "the server rejected our certificate: expired");
    int64_t soon = (int64_t)time(NULL) + DAY_S;
    ps_test_pki_client_at(&pki, PS_ROLE_WORKER, "early", soon, soon + DAY_S);
    dial(&l, &pki, "early", &pki, "psd", "localhost");
    expect_refused(&l, "certificate of spiffe://lab/worker/early is not in force before 20",
                   "not yet in force");
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(an_expired_server_certificate_is_refused_by_the_client)
{
    ps_test_pki pki;
    link_t l;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server_at(&pki, "psd", "localhost", 1735689600, 1738368000);
    ps_test_pki_client(&pki, PS_ROLE_ADMIN, "root");
    dial(&l, &pki, "root", &pki, "psd", "localhost");
    expect_refused(&l, "the client rejected our certificate: expired",
                   "server refused: certificate of spiffe://lab/server/psd expired on 2025-02-01");
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_certificate_of_another_ca_is_refused)
{
    ps_test_pki ours, theirs;
    link_t l;
    ps_test_pki_open(&ours, "lab");
    ps_test_pki_open(&theirs, "lab"); /* the same name, another key */
    ps_test_pki_server(&ours, "psd", "localhost");
    ps_test_pki_client(&theirs, PS_ROLE_WORKER, "w1");
    /* the client trusts our CA, but shows what theirs has signed */
    char ca[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    ps_tls_options options = {
        .side = PS_TLS_CLIENT,
        .ca_file = ps_test_pki_path(&ours, "ca", ".pem", ca),
        .cert_file = ps_test_pki_path(&theirs, "w1", ".pem", cert),
        .key_file = ps_test_pki_path(&theirs, "w1", ".key", key),
        .unchecked = true,
    };
    ps_tls_context *client = NULL, *server = ps_test_pki_context(&ours, PS_TLS_SERVER, "psd");
    ck_ok(ps_tls_context_new(&options, &client));
    link_start(&l, client, server, "localhost");
    pump(&l);
    expect_refused(&l, "is signed by an unknown CA (issuer O = lab, CN = psd CA)",
                   "the server rejected our certificate: signed by a CA unknown there");
    ps_tls_context_unref(&client);
    ps_tls_context_unref(&server);
    ps_test_pki_server(&theirs, "psd", "localhost");
    ps_test_pki_client(&ours, PS_ROLE_WORKER, "w1");
    dial(&l, &ours, "w1", &theirs, "psd", "localhost");
    expect_refused(
        &l, "the client rejected our certificate: signed by a CA unknown there",
        "server refused: certificate of spiffe://lab/server/psd is signed by an unknown");
    ps_test_pki_close(&ours);
    ps_test_pki_close(&theirs);
}
END_TEST

START_TEST(a_certificate_serves_one_side_only)
{
    ps_test_pki pki;
    link_t l;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_server(&pki, "psd2", "localhost");
    ps_test_pki_client(&pki, PS_ROLE_ADMIN, "root");
    dial(&l, &pki, "psd2", &pki, "psd", "localhost"); /* a server dials as a client */
    expect_refused(&l, "certificate of spiffe://lab/server/psd2 is not one for a client",
                   "not made for this side of a connection");
    dial(&l, &pki, "root", &pki, "root", "localhost"); /* a client listens as a server */
    expect_refused(&l, "not made for this side of a connection",
                   "certificate of spiffe://lab/admin/root is not one for a server");
    ps_test_pki_close(&pki);
}
END_TEST

/* Certificates that our CA signed, but that psctl would not have made: x.pem, with extensions in
 * openssl's own language. */
static void sign_foreign(const ps_test_pki *pki, const char *extensions)
{
    char command[1024];
    (void)snprintf(
        command, sizeof command,
        "cd %s && printf '%s' > e && openssl req -new -newkey ec -pkeyopt "
        "ec_paramgen_curve:P-256 -nodes -keyout x.key -subj /CN=x 2>&1 | openssl x509 "
        "-req -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile e -out x.pem 2>/dev/null",
        pki->folder, extensions);
    ck_assert_int_eq(system(command), 0);
}

/* A plain OpenSSL client shows x.pem to our server. */
static void dial_plain(link_t *l, const ps_test_pki *pki, const char *cert_name, int version,
                       const char *alpn);

START_TEST(a_signed_certificate_without_a_proper_identity_is_refused)
{
    static const struct {
        const char *extensions, *says;
    } foreign[] = {
        {"extendedKeyUsage=clientAuth", "certificate has no URI name"},
        {"extendedKeyUsage=clientAuth\\nsubjectAltName=DNS:w1", "certificate has no URI name"},
        {"extendedKeyUsage=clientAuth\\nsubjectAltName=URI:spiffe://lab/worker/a,"
         "URI:spiffe://lab/admin/b",
         "certificate has 2 URI names"},
        {"extendedKeyUsage=clientAuth\\nsubjectAltName=URI:spiffe://lab/root/a",
         "role 'root' is not one of"},
        {"extendedKeyUsage=clientAuth\\nsubjectAltName=URI:spiffe://other/worker/a",
         "certificate of spiffe://other/worker/a is of cluster other, not of ours, lab"},
        {"subjectAltName=URI:spiffe://lab/worker/a", /* good for everything, OpenSSL would say */
         "certificate of spiffe://lab/worker/a is not one for a client (clientAuth)"},
        {"extendedKeyUsage=serverAuth\\nsubjectAltName=URI:spiffe://lab/worker/a",
         "certificate of spiffe://lab/worker/a is not one for a client (clientAuth)"},
        {"extendedKeyUsage=clientAuth\\nsubjectAltName=URI:spiffe://lab/server/a",
         "role server may not connect here (spiffe://lab/server/a); allowed roles: worker, "
         "submitter, observer, admin"},
    };
    ps_test_pki pki;
    link_t l;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        sign_foreign(&pki, foreign[i].extensions);
        dial_plain(&l, &pki, "x", TLS1_3_VERSION, "\x02h2");
        expect_refused(&l, foreign[i].says, "the server rejected our certificate: ");
    }
    sign_foreign(&pki, "extendedKeyUsage=clientAuth\\nsubjectAltName=URI:spiffe://lab/worker/a");
    dial_plain(&l, &pki, "x", TLS1_3_VERSION, "\x02h2");
    ck_assert_msg(!l.server_status, "%s", l.server_error); /* the way of making them is sound */
    link_end(&l);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_leaf_cannot_sign_another)
{
    ps_test_pki pki;
    link_t l;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    char command[1024];
    (void)snprintf(command, sizeof command,
                   "cd %s && mv ca.key real.key && mv ca.pem real.pem && cp w1.key ca.key && "
                   "cp w1.pem ca.pem",
                   pki.folder);
    ck_assert_int_eq(system(command), 0);
    sign_foreign(&pki, "extendedKeyUsage=clientAuth\\nsubjectAltName=URI:spiffe://lab/admin/root");
    (void)snprintf(command, sizeof command, "cd %s && cat w1.pem >> x.pem && mv real.pem ca.pem",
                   pki.folder);
    ck_assert_int_eq(system(command), 0);
    dial_plain(&l, &pki, "x", TLS1_3_VERSION, "\x02h2");
    ck_assert_int_eq(l.server_status, PS_UNAUTHENTICATED);
    assert_contains(l.server_error,
                    "client refused: certificate of spiffe://lab/admin/root is "
                    "signed by an unknown CA (issuer O = lab, OU = worker, CN = w1)");
    link_end(&l);
    ps_test_pki_close(&pki);
}
END_TEST

/* Fully qualified, as resolvers take it: in the certificate's request, and by whoever dials. */
START_TEST(a_dot_at_the_end_of_a_name_changes_nothing)
{
    ps_test_pki pki;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "node7.lab");
    ps_test_pki_server(&pki, "dotted", "node7.lab.");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    static const struct {
        const char *server, *host;
    } pairs[] = {{"psd", "node7.lab."}, {"dotted", "node7.lab"}, {"dotted", "node7.lab."}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        link_t l;
        dial(&l, &pki, "w1", &pki, pairs[i].server, pairs[i].host);
        ck_assert_msg(l.client_status == PS_OK, "%s", l.client_error);
        link_end(&l);
    }
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_server_of_another_name_is_refused)
{
    ps_test_pki pki;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "node7.lab");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    const char *wrong[] = {"localhost", "127.0.0.2", "::1", "psd"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        link_t l;
        char text[128];
        dial(&l, &pki, "w1", &pki, "psd", wrong[i]);
        (void)snprintf(text, sizeof text, "is for node7.lab, 127.0.0.1, not for %s", wrong[i]);
        expect_refused(&l, "the client rejected our certificate", text);
    }
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_role_that_may_not_be_there_is_refused)
{
    ps_test_pki pki;
    link_t l;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_client(&pki, PS_ROLE_OBSERVER, "eve");
    char ca[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    ps_tls_options options = {
        .side = PS_TLS_SERVER,
        .ca_file = ps_test_pki_path(&pki, "ca", ".pem", ca),
        .cert_file = ps_test_pki_path(&pki, "psd", ".pem", cert),
        .key_file = ps_test_pki_path(&pki, "psd", ".key", key),
        .peer_roles = PS_ROLE_BIT(PS_ROLE_WORKER) | PS_ROLE_BIT(PS_ROLE_ADMIN),
    };
    ps_tls_context *server = NULL, *client = ps_test_pki_context(&pki, PS_TLS_CLIENT, "eve");
    ck_ok(ps_tls_context_new(&options, &server));
    link_start(&l, client, server, "localhost");
    pump(&l);
    expect_refused(&l,
                   "role observer may not connect here (spiffe://lab/observer/eve); allowed "
                   "roles: worker, admin",
                   "its identity may not connect there");
    ps_tls_context_unref(&client);
    ps_tls_context_unref(&server);
    ps_test_pki_close(&pki);
}
END_TEST

/* A client of plain OpenSSL, which may break our rules. */
static void dial_plain(link_t *l, const ps_test_pki *pki, const char *cert_name, int version,
                       const char *alpn)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    char path[PS_TEST_PATH_MAX];
    SSL_CTX_set_max_proto_version(ctx, version);
    if (cert_name) {
        ck_assert_int_eq(SSL_CTX_use_certificate_file(
                             ctx, ps_test_pki_path(pki, cert_name, ".pem", path), SSL_FILETYPE_PEM),
                         1);
        ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(
                             ctx, ps_test_pki_path(pki, cert_name, ".key", path), SSL_FILETYPE_PEM),
                         1);
    }
    if (alpn)
        SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)alpn, (unsigned)strlen(alpn));
    ps_tls_context *server = ps_test_pki_context(pki, PS_TLS_SERVER, "psd");
    *l = (link_t){0};
    l->client = SSL_new(ctx);
    SSL_set_connect_state(l->client);
    ck_ok(ps_tls_session_new(server, NULL, &l->server));
    connect_bios(l->client, l->server);
    ps_tls_context_unref(&server);
    SSL_CTX_free(ctx);
    pump(l);
}

START_TEST(strangers_are_refused_each_with_its_reason)
{
    ps_test_pki pki;
    link_t l;
    ps_identity peer;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");

    dial_plain(&l, &pki, "w1", TLS1_3_VERSION, "\x08http/1.1\x02h2"); /* the good one */
    ck_assert_msg(!l.server_status, "%s", l.server_error);
    ck_ok(ps_tls_session_established(l.server, &peer));
    link_end(&l);

    dial_plain(&l, &pki, NULL, TLS1_3_VERSION, "\x02h2");
    ck_assert_int_eq(l.server_status, PS_UNAUTHENTICATED);
    ck_assert_str_eq(l.server_error, "the client showed no certificate");
    ck_assert_str_eq(l.client_error, "the server requires a certificate, we showed none");
    link_end(&l);

    dial_plain(&l, &pki, "w1", TLS1_2_VERSION, "\x02h2");
    ck_assert_int_eq(l.server_status, PS_PROTOCOL);
    ck_assert_str_eq(l.server_error, "the client does not speak TLS 1.3");
    ck_assert_str_eq(l.client_error, "the server does not speak TLS 1.3");
    link_end(&l);

    dial_plain(&l, &pki, "w1", TLS1_3_VERSION, "\x08http/1.1");
    ck_assert_int_eq(l.server_status, PS_PROTOCOL);
    ck_assert_str_eq(l.server_error, "the client does not speak HTTP/2 (no ALPN h2)");
    link_end(&l);

    dial_plain(&l, &pki, "w1", TLS1_3_VERSION, NULL); /* complete, but not for us */
    ck_assert_msg(!l.server_status, "%s", l.server_error);
    ck_assert_int_eq(ps_tls_session_established(l.server, &peer), PS_PROTOCOL);
    link_end(&l);
    ps_test_pki_close(&pki);
}
END_TEST

static void feed(ps_tls_context *server, const char *bytes, size_t len, const char *says)
{
    link_t l = {0};
    ck_ok(ps_tls_session_new(server, NULL, &l.server));
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(l.server, in, out);
    ck_assert_int_eq(BIO_write(in, bytes, (int)len), (int)len);
    ck_assert(!step(l.server, &l.server_status, l.server_error));
    ck_assert_int_eq(l.server_status, PS_PROTOCOL);
    assert_contains(l.server_error, says);
    link_end(&l);
}

START_TEST(what_is_not_tls_is_named)
{
    ps_test_pki pki;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_tls_context *server = ps_test_pki_context(&pki, PS_TLS_SERVER, "psd");
    char noise[256];
    memset(noise, 0xa5, sizeof noise);
    feed(server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "speaks plain HTTP, not TLS");
    feed(server, noise, sizeof noise, "the client does not speak TLS");
    ps_tls_context_unref(&server);
    ps_test_pki_close(&pki);
}
END_TEST

static const ps_check_case cases[] = {
    {&both_sides_know_each_other},
    {&an_expired_client_certificate_is_refused_with_its_date},
    {&an_expired_server_certificate_is_refused_by_the_client},
    {&a_certificate_of_another_ca_is_refused},
    {&a_certificate_serves_one_side_only},
    {&a_signed_certificate_without_a_proper_identity_is_refused, 60},
    {&a_leaf_cannot_sign_another, 60},
    {&a_dot_at_the_end_of_a_name_changes_nothing, 60},
    {&a_server_of_another_name_is_refused},
    {&a_role_that_may_not_be_there_is_refused},
    {&strangers_are_refused_each_with_its_reason},
    {&what_is_not_tls_is_named},
    {0},
};

int main(void)
{
    return ps_check_main("transport/tls_session", cases);
}
