/* tls_groups: what OpenSSL itself says that it has agreed on; 3.0 and 3.5, whichever is here. */
#include "common/transport/tls/tls_context.h"
#include "common/transport/tls/tls_session.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <openssl/ssl.h>
#include <string.h>

static ps_test_pki pki;

static void open_pki(void)
{
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
}

static ps_status make(ps_tls_side side, ps_tls_groups groups, ps_tls_context **out)
{
    const char *name = side == PS_TLS_SERVER ? "psd" : "w1";
    char ca[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    const ps_tls_options o = {.side = side,
                              .groups = groups,
                              .ca_file = ps_test_pki_path(&pki, "ca", ".pem", ca),
                              .cert_file = ps_test_pki_path(&pki, name, ".pem", cert),
                              .key_file = ps_test_pki_path(&pki, name, ".key", key)};
    return ps_tls_context_new(&o, out);
}

static SSL *session(ps_tls_side side, ps_tls_groups groups)
{
    ps_tls_context *context = NULL;
    SSL *ssl = NULL;
    ck_ok(make(side, groups, &context));
    ck_ok(ps_tls_session_new(context, side == PS_TLS_CLIENT ? "localhost" : NULL, &ssl));
    ps_tls_context_unref(&context);
    return ssl;
}

/* group: NULL: they have none in common. */
static void agree(ps_tls_groups client, ps_tls_groups server, const char *group)
{
    SSL *c = session(PS_TLS_CLIENT, client), *s = session(PS_TLS_SERVER, server);
    BIO *one = NULL, *other = NULL;
    ck_assert_int_eq(BIO_new_bio_pair(&one, 1 << 16, &other, 1 << 16), 1);
    SSL_set_bio(c, one, one);
    SSL_set_bio(s, other, other);
    int done = 0;
    for (int i = 0; i < 12 && done != 2; i++)
        done = (SSL_do_handshake(c) == 1) + (SSL_do_handshake(s) == 1);
    ck_assert_int_eq(done == 2, group != NULL);
    if (group) {
        ck_assert_str_eq(ps_tls_session_group(c), group);
        ck_assert_str_eq(ps_tls_session_group(s), group);
    }
    SSL_free(c);
    SSL_free(s);
}

START_TEST(the_best_that_both_sides_have_is_taken)
{
    bool has = OpenSSL_version_num() >= 0x30500000;
    open_pki();
    agree(PS_TLS_GROUPS_AUTO, PS_TLS_GROUPS_AUTO, has ? "X25519MLKEM768" : "x25519");
    agree(PS_TLS_GROUPS_AUTO, PS_TLS_GROUPS_CLASSIC, "x25519");
    agree(PS_TLS_GROUPS_CLASSIC, PS_TLS_GROUPS_AUTO, "x25519");
    if (has) {
        agree(PS_TLS_GROUPS_PQ, PS_TLS_GROUPS_AUTO, "X25519MLKEM768");
        agree(PS_TLS_GROUPS_AUTO, PS_TLS_GROUPS_PQ, "X25519MLKEM768");
        agree(PS_TLS_GROUPS_CLASSIC, PS_TLS_GROUPS_PQ, NULL);
        agree(PS_TLS_GROUPS_PQ, PS_TLS_GROUPS_CLASSIC, NULL);
    } else {
        ps_tls_context *context = NULL;
        ck_assert_int_eq(make(PS_TLS_SERVER, PS_TLS_GROUPS_PQ, &context), PS_FAILED_PRECONDITION);
        ck_assert_ptr_nonnull(
            strstr(ps_error_message(), "tls.groups: pq needs X25519MLKEM768, which OpenSSL 3"));
    }
    ps_test_pki_close(&pki);
}
END_TEST

static const ps_check_case cases[] = {{&the_best_that_both_sides_have_is_taken}, {0}};

int main(void)
{
    return ps_check_main("transport/tls_groups", cases);
}
