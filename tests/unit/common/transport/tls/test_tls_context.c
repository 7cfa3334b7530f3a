#include "common/transport/tls/tls_context.h"
#include "common/transport/tls/tls_holder.h"
#include "common/transport/tls/tls_session.h"

#include "common/base/log.h"

#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400

static ps_test_pki pki;
static char ca[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];

static ps_tls_options files(ps_tls_side side, const char *cert_name, const char *key_name)
{
    return (ps_tls_options){
        .side = side,
        .ca_file = ps_test_pki_path(&pki, "ca", ".pem", ca),
        .cert_file = ps_test_pki_path(&pki, cert_name, ".pem", cert),
        .key_file = ps_test_pki_path(&pki, key_name, ".key", key),
    };
}

static void setup(void)
{
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
}

static void expect_bad(const ps_tls_options *options, const char *says)
{
    ps_tls_context *context = NULL;
    ck_assert_msg(ps_tls_context_new(options, &context) != PS_OK, "not refused: %s", says);
    ck_assert_ptr_null(context);
    ck_assert_msg(strstr(ps_error_message(), says) != NULL, "'%s' is not in '%s'", says,
                  ps_error_message());
}

static int warnings;
static char last_warning[1024];

static void count_warnings(void *state, ps_log_level level, const char *line)
{
    (void)state;
    if (level != PS_LOG_WARNING)
        return;
    warnings++;
    (void)snprintf(last_warning, sizeof last_warning, "%s", line);
}

START_TEST(a_context_knows_who_it_is)
{
    setup();
    ps_tls_options options = files(PS_TLS_SERVER, "psd", "psd");
    ps_tls_context *context = NULL;
    ps_log_set_sink(count_warnings, NULL);
    ck_assert_msg(ps_tls_context_new(&options, &context) == PS_OK, "%s", ps_error_message());
    char text[PS_IDENTITY_TEXT_MAX];
    ck_assert_str_eq(ps_identity_format(ps_tls_context_identity(context), text),
                     "spiffe://lab/server/psd");
    ck_assert_int_eq(ps_tls_context_side(context), PS_TLS_SERVER);
    ck_assert_uint_eq(ps_tls_context_peer_roles(context), PS_ROLES_CLIENTS);
    int64_t left = ps_tls_context_dates(context).own_not_after - (int64_t)time(NULL);
    ck_assert_int_le(left, 90 * DAY_S);
    ck_assert_int_ge(left, 90 * DAY_S - 360); /* five minutes of it are before now */
    ps_tls_context_unref(&context);
    ck_assert_int_eq(warnings, 0);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(every_bad_file_is_named_with_what_is_wrong)
{
    setup();
    ps_tls_options o = files(PS_TLS_SERVER, "psd", "psd");
    o.ca_file = "/nowhere/ca.pem";
    expect_bad(&o, "CA file /nowhere/ca.pem: No such file or directory");
    o = files(PS_TLS_SERVER, "nothing", "psd");
    expect_bad(&o, "nothing.pem: No such file or directory");
    o = files(PS_TLS_SERVER, "psd", "w1");
    expect_bad(&o, "w1.key does not belong to the certificate");
    o = files(PS_TLS_SERVER, "psd", "psd");
    o.key_file = NULL;
    expect_bad(&o, "a CA file, a certificate file and a key file are needed");
    o = files(PS_TLS_SERVER, "psd", "psd");
    o.key_file = o.cert_file;
    expect_bad(&o, "psd.pem: holds no PEM private key");
    o = files(PS_TLS_SERVER, "psd", "psd");
    o.ca_file = o.cert_file;
    expect_bad(&o, "certificate 1 is not that of a CA");
    o = files(PS_TLS_SERVER, "w1", "w1");
    expect_bad(&o, "certificate of spiffe://lab/worker/w1 is not one for a server");
    o = files(PS_TLS_CLIENT, "psd", "psd");
    expect_bad(&o, "certificate of spiffe://lab/server/psd is not one for a client");
    ps_test_pki other;
    char other_ca[PS_TEST_PATH_MAX];
    ps_test_pki_open(&other, "lab");
    o = files(PS_TLS_SERVER, "psd", "psd");
    o.ca_file = ps_test_pki_path(&other, "ca", ".pem", other_ca);
    expect_bad(&o, "is signed by an unknown CA");
    ps_test_pki_close(&other);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(damaged_files_are_errors)
{
    setup();
    char path[PS_TEST_PATH_MAX];
    FILE *file = fopen(ps_test_pki_path(&pki, "cut", ".pem", path), "w");
    fputs("-----BEGIN CERTIFICATE-----\nAAAA\n", file);
    fclose(file);
    ps_tls_options o = files(PS_TLS_SERVER, "cut", "psd");
    expect_bad(&o, "cut.pem: damaged PEM");
    file = fopen(path, "w");
    for (int i = 0; i < (2 << 20); i++)
        fputc('x', file);
    fclose(file);
    expect_bad(&o, "not a PEM file");
    file = fopen(path, "w");
    fclose(file);
    expect_bad(&o, "holds no PEM certificate");
    char command[1024];
    o = files(PS_TLS_CLIENT, "w1", "locked");
    (void)snprintf(command, sizeof command,
                   "openssl pkey -in %s/w1.key -aes256 -passout pass:x -out %s", pki.folder,
                   o.key_file);
    ck_assert_int_eq(system(command), 0);
    expect_bad(&o, "locked.key: has a pass phrase; store it without one, mode 0600");
    ck_assert_ptr_null(strstr(ps_error_message(), "cancelled")); /* OpenSSL's view of it */
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(an_expired_certificate_is_named_with_its_date)
{
    setup();
    ps_test_pki_server_at(&pki, "old", "localhost", 1735689600, 1738368000);
    ps_tls_options o = files(PS_TLS_SERVER, "old", "old");
    expect_bad(&o, "old.pem expired on 2025-02-01 00:00:00 UTC; issue a new one with psctl cert "
                   "create-server");
    int64_t later = (int64_t)time(NULL) + DAY_S;
    ps_test_pki_client_at(&pki, PS_ROLE_ADMIN, "early", later, later + DAY_S);
    o = files(PS_TLS_CLIENT, "early", "early");
    expect_bad(&o, "certificate of spiffe://lab/admin/early is not in force before");
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(an_open_key_is_warned_of)
{
    setup();
    ps_log_set_sink(count_warnings, NULL);
    ps_tls_options o = files(PS_TLS_CLIENT, "w1", "w1");
    ps_tls_context *context = NULL;
    ck_assert_int_eq(chmod(o.key_file, 0640), 0);
    ck_ok(ps_tls_context_new(&o, &context));
    ck_assert_int_eq(warnings, 1);
    ck_assert_ptr_nonnull(strstr(last_warning, "w1.key can be read by others than its owner"));
    ps_tls_context_unref(&context);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_file_that_begins_with_the_ca_is_said_to_be_in_the_wrong_order)
{
    setup();
    char command[1024];
    (void)snprintf(command, sizeof command, "cd %s && cat ca.pem psd.pem > order.pem", pki.folder);
    ck_assert_int_eq(system(command), 0);
    ps_tls_options o = files(PS_TLS_SERVER, "order", "psd");
    expect_bad(&o,
               "order.pem is in the wrong order: our own certificate must be the first, and the "
               "one of private key ");
    expect_bad(&o, "psd.key is number 2");
    ps_test_pki_close(&pki);
}
END_TEST

static void move(const char *from, const char *to)
{
    char a[PS_TEST_PATH_MAX], b[PS_TEST_PATH_MAX];
    const char *kinds[] = {".pem", ".key"};
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(rename(ps_test_pki_path(&pki, from, kinds[i], a),
                                ps_test_pki_path(&pki, to, kinds[i], b)),
                         0);
}

static const char *holds(ps_tls_holder *holder)
{
    static char text[PS_IDENTITY_TEXT_MAX];
    ps_tls_context *context = ps_tls_holder_get(holder);
    ps_identity_format(ps_tls_context_identity(context), text);
    ps_tls_context_unref(&context);
    return text;
}

START_TEST(a_reload_swaps_and_a_bad_file_keeps_the_old)
{
    setup();
    ps_test_pki_server(&pki, "fresh", "localhost");
    ps_tls_options options = files(PS_TLS_SERVER, "psd", "psd");
    ps_tls_holder *holder = NULL;
    ck_ok(ps_tls_holder_new(&options, &holder));
    memset(cert, 'x', 8); /* the holder has copies of the names */
    ps_tls_context *old = ps_tls_holder_get(holder);
    ck_assert_str_eq(holds(holder), "spiffe://lab/server/psd");

    move("fresh", "psd");
    ck_assert_msg(ps_tls_holder_reload(holder) == PS_OK, "%s", ps_error_message());
    ck_assert_str_eq(holds(holder), "spiffe://lab/server/fresh");
    ck_assert_str_eq(ps_tls_context_identity(old)->name, "psd"); /* still held by us */
    ps_tls_context_unref(&old);

    ps_test_pki_client(&pki, PS_ROLE_WORKER, "wrong");
    move("wrong", "psd");
    ck_assert_int_eq(ps_tls_holder_reload(holder), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "is not one for a server"));
    ck_assert_str_eq(holds(holder), "spiffe://lab/server/fresh");
    ps_tls_holder_free(&holder);
    ck_assert_ptr_null(holder);
    ps_test_pki_close(&pki);
}
END_TEST

START_TEST(a_reload_does_not_move_to_another_cluster)
{
    setup();
    ps_tls_options options = files(PS_TLS_SERVER, "psd", "psd");
    ps_tls_holder *holder = NULL;
    ck_ok(ps_tls_holder_new(&options, &holder));
    ps_test_pki other, ours = pki;
    ps_test_pki_open(&other, "elsewhere");
    ps_test_pki_server(&other, "psd", "localhost");
    char command[1024];
    (void)snprintf(command, sizeof command, "cp -f %s/* %s/", other.folder, ours.folder);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(ps_tls_holder_reload(holder), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "is of cluster elsewhere"));
    ck_assert_str_eq(holds(holder), "spiffe://lab/server/psd");
    ps_tls_holder_free(&holder);
    ps_test_pki_close(&other);
    ps_test_pki_close(&pki);
}
END_TEST

static atomic_bool reloading;

static void *take_contexts(void *holder)
{
    while (atomic_load(&reloading)) {
        ps_tls_context *context = ps_tls_holder_get(holder);
        SSL *ssl = NULL;
        if (ps_tls_session_new(context, NULL, &ssl) != PS_OK)
            abort();
        ps_tls_context_unref(&context);
        SSL_free(ssl);
    }
    return NULL;
}

START_TEST(sessions_are_made_while_files_are_reloaded)
{
    setup();
    ps_tls_options options = files(PS_TLS_SERVER, "psd", "psd");
    ps_tls_holder *holder = NULL;
    ck_ok(ps_tls_holder_new(&options, &holder));
    pthread_t threads[3];
    atomic_store(&reloading, true);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_contexts, holder), 0);
    for (int i = 0; i < 20; i++)
        ck_ok(ps_tls_holder_reload(holder));
    atomic_store(&reloading, false);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ps_tls_holder_free(&holder);
    ps_test_pki_close(&pki);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_context_knows_who_it_is},
    {&every_bad_file_is_named_with_what_is_wrong},
    {&damaged_files_are_errors},
    {&an_expired_certificate_is_named_with_its_date},
    {&an_open_key_is_warned_of},
    {&a_file_that_begins_with_the_ca_is_said_to_be_in_the_wrong_order},
    {&a_reload_swaps_and_a_bad_file_keeps_the_old},
    {&a_reload_does_not_move_to_another_cluster},
    {&sessions_are_made_while_files_are_reloaded, 60},
    {0},
};

int main(void)
{
    return ps_check_main("transport/tls_context", cases);
}
