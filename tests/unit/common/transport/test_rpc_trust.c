/* Whom a connection trusts, and for how long: certificates that are refused, expire, or lose their
 * CA; over mTLS on loopback. */
#include "common/security/crl_issue.h"
#include "common/security/crl_list.h"
#include "tests/lib/check_main.h"
#include "tests/lib/echo_rig.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static echo_rig rig;

static ps_rpc_stats stats(void)
{
    ps_rpc_stats s;
    ps_rpc_server_stats(rig.server, &s);
    return s;
}

/* Both sides' words when `client` shows this certificate. */
static void expect_rejected(ps_tls_context *client, const char *to_client, const char *to_server)
{
    ps_channel_options o = {.tls = client};
    echo_rig_connect(&rig, &o);
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_assert_int_eq(echo_unary(&rig, &request, NULL, NULL), PS_UNAUTHENTICATED);
    ck_assert_msg(strstr(ps_error_message(), to_client), "client: %s", ps_error_message());
    char refused[PS_ERROR_MAX] = "";
    for (int i = 0; i < 100 && !strstr(refused, to_server); i++) {
        echo_run_ms(&rig, 10);
        echo_rig_refused(&rig, refused);
    }
    ck_assert_msg(strstr(refused, to_server), "server: %s", refused);
    ps_channel_free(&rig.channel);
}

START_TEST(a_certificate_that_is_refused_is_explained_on_both_sides)
{
    echo_rig_open(&rig, NULL);
    ps_test_pki other;
    ps_test_pki_open(&other, "lab");
    ps_test_pki_client(&other, PS_ROLE_WORKER, "w2");
    int64_t now = time(NULL);
    ps_test_pki_client_at(&rig.pki, PS_ROLE_WORKER, "old", now - 7200, now - 3600);
    ps_tls_context *expired = ps_test_pki_context(&rig.pki, PS_TLS_CLIENT, "old");
    expect_rejected(expired, "rejected our certificate: expired", "expired");
    ps_tls_context_unref(&expired);
    ps_tls_context *stranger = ps_test_pki_context(&other, PS_TLS_CLIENT, "w2");
    ps_channel_options o = {.tls = stranger};
    echo_rig_connect(&rig, &o);
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_assert_int_eq(echo_unary(&rig, &request, NULL, NULL), PS_UNAUTHENTICATED);
    ps_channel_free(&rig.channel);
    ps_tls_context_unref(&stranger);
    ps_test_pki_close(&other);
    echo_rig_close(&rig);
}
END_TEST

static void run_until_none(void)
{
    for (int i = 0; i < 400 && stats().connections; i++)
        echo_run_ms(&rig, 10);
    ck_assert_uint_eq(stats().connections, 0);
}

/* One call ends in time, the other would go on for ever. */
START_TEST(a_connection_does_not_outlive_its_certificate)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.stall_ms = 1500;
    echo_rig_open(&rig, &limits);
    int64_t now = time(NULL);
    ps_test_pki_client_at(&rig.pki, PS_ROLE_WORKER, "brief", now - 60, now + 2);
    ps_tls_context *brief = ps_test_pki_context(&rig.pki, PS_TLS_CLIENT, "brief");
    echo_rig_connect(&rig, &(ps_channel_options){.tls = brief, .backoff_min_ms = 5000});
    echo_call slow = {0}, endless = {0};
    echo_start(&rig, &endless, ECHO_TALK, NULL);
    echo_send(&endless, 0, "", (ps_slice){0});
    echo_start_slow(&rig, &slow, 3300);
    while (endless.messages == 0)
        echo_run_ms(&rig, 5);
    echo_wait(&rig, &slow);
    ck_assert_msg(slow.status == PS_OK, "%s", slow.message);
    ck_assert(time(NULL) > now + 2);
    ck_assert(!endless.done);
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_assert_int_eq(echo_unary(&rig, &request, NULL, NULL), PS_UNAUTHENTICATED);
    ck_assert_msg(strstr(ps_error_message(), "expired"), "%s", ps_error_message());
    echo_wait(&rig, &endless);
    ck_assert_int_eq(endless.status, PS_UNAVAILABLE);
    run_until_none();
    echo_clear(&slow);
    echo_clear(&endless);
    ps_tls_context_unref(&brief);
    echo_rig_close(&rig);
}
END_TEST

/* The certificates of another CA of the same cluster. */
static ps_tls_context *from_other_ca(ps_tls_side side)
{
    ps_test_pki other;
    ps_test_pki_open(&other, "lab");
    ps_test_pki_server(&other, "psd", "localhost");
    ps_test_pki_client(&other, PS_ROLE_WORKER, "w1");
    ps_tls_context *context =
        ps_test_pki_context(&other, side, side == PS_TLS_SERVER ? "psd" : "w1");
    ps_test_pki_close(&other);
    return context;
}

static void start_endless(echo_call *c)
{
    *c = (echo_call){0};
    echo_start(&rig, c, ECHO_TALK, NULL);
    echo_send(c, 0, "", (ps_slice){0});
    while (c->messages == 0 && !c->done)
        echo_run_ms(&rig, 5);
    ck_assert(!c->done);
}

START_TEST(who_has_a_certificate_of_a_ca_that_was_removed_is_let_go)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.stall_ms = 500;
    echo_rig_open(&rig, &limits);
    echo_rig_connect(&rig, &(ps_channel_options){.backoff_min_ms = 5000});
    echo_call endless;
    start_endless(&endless);
    ps_tls_context *same = ps_test_pki_context(&rig.pki, PS_TLS_SERVER, "psd");
    ps_rpc_server_set_tls(rig.server, same);
    echo_run_ms(&rig, 1000);
    ck_assert(!endless.done); /* it is still good */
    ck_assert_str_eq(rig.states, "up;");
    ps_tls_context *other = from_other_ca(PS_TLS_SERVER);
    ps_rpc_server_set_tls(rig.server, other);
    echo_wait(&rig, &endless);
    ck_assert_int_eq(endless.status, PS_UNAVAILABLE);
    run_until_none();
    ck_assert_msg(strstr(rig.states, "unknown CA"), "%s", rig.states); /* said by the client */
    echo_clear(&endless);
    ps_tls_context_unref(&same);
    ps_tls_context_unref(&other);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_channel_leaves_a_server_whose_ca_was_removed)
{
    echo_rig_open(&rig, NULL);
    echo_rig_connect(&rig, NULL);
    echo_call quick = {0};
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_ok(echo_unary(&rig, &request, NULL, NULL));
    ps_channel_set_tls(rig.channel, rig.client_tls);
    echo_start_slow(&rig, &quick, 300);
    echo_run_ms(&rig, 100);
    ck_assert_str_eq(rig.states, "up;");
    ps_tls_context *other = from_other_ca(PS_TLS_CLIENT);
    ps_channel_set_tls(rig.channel, other);
    echo_wait(&rig, &quick);
    ck_assert_msg(quick.status == PS_OK, "%s", quick.message); /* it was under way */
    ck_assert_int_eq(echo_unary(&rig, &request, NULL, NULL), PS_UNAUTHENTICATED);
    run_until_none();
    echo_clear(&quick);
    ps_tls_context_unref(&other);
    echo_rig_close(&rig);
}
END_TEST

/* The same files as they were read, with a list that names one certificate. */
static ps_tls_context *with_list(ps_tls_context *context, const char *revoked)
{
    ps_crl_result result;
    ps_crl_list *list = NULL;
    ps_tls_context *out = NULL;
    ck_ok(ps_test_pki_crl(
        &rig.pki,
        (ps_crl_request){.names = &revoked, .n_names = 1, .reason = PS_CRL_KEY_COMPROMISE},
        &result));
    ck_ok(ps_tls_context_read_crl(context, result.file, &list));
    ps_tls_context_with_crl(context, list, &out);
    ps_crl_list_unref(&list);
    ps_crl_result_clear(&result);
    return out;
}

static double seconds(void)
{
    return (double)ps_clock_ns(&ps_clock_system) * 1e-9;
}

/* At once, though a call of his is under way that others would get 30 s for; who was not revoked
 * goes on. */
START_TEST(who_is_revoked_is_cut_and_the_others_are_not)
{
    echo_rig_open(&rig, NULL);
    ps_test_pki_client(&rig.pki, PS_ROLE_WORKER, "w2");
    ps_tls_context *second = ps_test_pki_context(&rig.pki, PS_TLS_CLIENT, "w2");
    echo_rig_connect(&rig, &(ps_channel_options){.tls = second, .backoff_min_ms = 5000});
    ps_channel *of_second = rig.channel;
    echo_call good, bad;
    start_endless(&good);
    echo_rig_connect(&rig, &(ps_channel_options){.backoff_min_ms = 5000});
    start_endless(&bad);
    ps_tls_context *now = with_list(rig.server_tls, "w1");
    double began = seconds();
    ps_rpc_server_set_tls(rig.server, now);
    echo_wait(&rig, &bad);
    ck_assert_double_lt(seconds() - began, 5.0); /* on a machine that does other things */
    ck_assert_int_eq(bad.status, PS_UNAVAILABLE);
    char refused[PS_ERROR_MAX];
    echo_rig_refused(&rig, refused);
    ck_assert_msg(strstr(refused, "certificate of spiffe://lab/worker/w1 was revoked on "), "%s",
                  refused);
    ck_assert_ptr_nonnull(strstr(refused, "(keyCompromise)"));
    echo_run_ms(&rig, 200);
    ck_assert(!good.done);
    ps_channel_free(&rig.channel);
    rig.channel = of_second;
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_ok(echo_unary(&rig, &request, NULL, NULL));
    echo_clear(&bad);
    ps_channel_free(&rig.channel);
    echo_wait(&rig, &good);
    echo_clear(&good);
    ps_tls_context_unref(&now);
    ps_tls_context_unref(&second);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_channel_cuts_a_server_that_was_revoked)
{
    echo_rig_open(&rig, NULL);
    echo_rig_connect(&rig, &(ps_channel_options){.backoff_min_ms = 50, .backoff_max_ms = 50});
    echo_call endless;
    start_endless(&endless);
    ps_tls_context *now = with_list(rig.client_tls, "server/psd");
    double began = seconds();
    ps_channel_set_tls(rig.channel, now);
    echo_wait(&rig, &endless);
    ck_assert_double_lt(seconds() - began, 5.0); /* on a machine that does other things */
    ck_assert_int_eq(endless.status, PS_UNAVAILABLE);
    ck_assert_msg(strstr(rig.states, "certificate of spiffe://lab/server/psd was revoked on "),
                  "%s", rig.states);
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ps_status st = PS_UNAVAILABLE; /* while it is being cut, and dials anew */
    for (int i = 0; i < 200 && st == PS_UNAVAILABLE; i++) {
        st = echo_unary(&rig, &request, NULL, NULL);
        echo_run_ms(&rig, 10);
    }
    ck_assert_int_eq(st, PS_UNAUTHENTICATED);
    ck_assert_msg(strstr(rig.states, "server refused: certificate of "), "%s", rig.states);
    echo_clear(&endless);
    ps_tls_context_unref(&now);
    echo_rig_close(&rig);
}
END_TEST

/* Somebody who takes connections and says nothing. Its port. */
static int open_silent(char target[32])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(target, 32, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

/* Files that are read again while a handshake is under way are no reason to begin anew. */
START_TEST(a_connection_that_is_being_made_is_asked_when_it_is_there)
{
    char target[32];
    int silent = open_silent(target);
    echo_rig_open(&rig, NULL);
    echo_rig_connect(&rig, &(ps_channel_options){.target = target});
    echo_run_ms(&rig, 200);
    for (int i = 0; i < 3; i++) {
        ps_channel_set_tls(rig.channel, rig.client_tls);
        echo_run_ms(&rig, 20);
    }
    ck_assert_str_eq(rig.states, "");
    ps_channel_free(&rig.channel);
    (void)close(silent);
    echo_rig_close(&rig);
}
END_TEST

/* A certificate that ends makes way for another one: no call notices. */
START_TEST(a_channel_moves_over_to_a_new_certificate_and_no_call_is_lost)
{
    echo_rig_open(&rig, NULL);
    int64_t now = time(NULL);
    ps_test_pki_client_at(&rig.pki, PS_ROLE_WORKER, "brief", now - 60, now + 3);
    ps_tls_context *brief = ps_test_pki_context(&rig.pki, PS_TLS_CLIENT, "brief");
    echo_rig_connect(&rig, &(ps_channel_options){.tls = brief});
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_ok(echo_unary(&rig, &request, NULL, NULL));
    echo_call slow = {0};
    echo_start_slow(&rig, &slow, 300);
    echo_run_ms(&rig, 50);
    ps_channel_set_tls(rig.channel, rig.client_tls);
    ps_channel_move_over(rig.channel);
    ps_channel_move_over(rig.channel); /* no harm while it is under way */
    ck_ok(echo_unary(&rig, &request, NULL, NULL));
    ck_assert(!slow.done);
    ck_assert_uint_eq(stats().connections, 2);
    echo_wait(&rig, &slow);
    ck_assert_msg(slow.status == PS_OK, "%s", slow.message);
    for (int i = 0; i < 400 && stats().connections > 1; i++)
        echo_run_ms(&rig, 10);
    ck_assert_uint_eq(stats().connections, 1);
    while (time(NULL) <= now + 4) /* the old one is over */
        echo_run_ms(&rig, 100);
    ck_ok(echo_unary(&rig, &request, NULL, NULL));
    ck_assert_uint_eq(stats().connections_total, 2);
    ck_assert_ptr_null(strstr(rig.states, "down"));
    echo_clear(&slow);
    ps_tls_context_unref(&brief);
    echo_rig_close(&rig);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_certificate_that_is_refused_is_explained_on_both_sides, 30},
    {&a_connection_does_not_outlive_its_certificate, 30},
    {&who_has_a_certificate_of_a_ca_that_was_removed_is_let_go, 30},
    {&a_channel_leaves_a_server_whose_ca_was_removed, 30},
    {&who_is_revoked_is_cut_and_the_others_are_not, 30},
    {&a_channel_cuts_a_server_that_was_revoked, 30},
    {&a_connection_that_is_being_made_is_asked_when_it_is_there, 30},
    {&a_channel_moves_over_to_a_new_certificate_and_no_call_is_lost, 30},
    {0},
};

int main(void)
{
    return ps_check_main("transport/rpc_trust", cases);
}
