/* What the transport takes of an account: over loopback, from two connections of one identity. */
#include "tests/lib/check_main.h"
#include "tests/lib/echo_rig.h"

#include "common/transport/server/pace.h"
#include "server/quota/quotas.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1u << 20)

static echo_rig rig;
static ps_quotas *quotas;
static ps_quota_conf conf;
static ps_channel *first, *second; /* of the same identity */
static uint8_t mib[MIB];

static ps_account *account_of(void *user, const ps_identity *peer)
{
    (void)user;
    return ps_quotas_account(quotas, peer);
}

static void open_rig(const ps_quota_limits *worker)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.connection_bytes = 16 * MIB;
    memset(&rig, 0, sizeof rig);
    conf = (ps_quota_conf){.worker = *worker};
    ps_quotas_create(&conf, &ps_clock_system, &quotas);
    rig.account = account_of;
    echo_rig_open(&rig, &limits);
    echo_rig_connect(&rig, NULL);
    first = rig.channel;
}

static void open_second(void)
{
    const ps_channel_options options = {.target = rig.target, .tls = rig.client_tls};
    ck_ok(ps_channel_create(rig.loop, &options, &second));
}

static void use(ps_channel *channel)
{
    rig.channel = channel;
}

static void close_rig(void)
{
    use(first);
    ps_channel_free(&second);
    echo_rig_close(&rig);
    ps_quotas_free(&quotas);
}

static uint64_t used(ps_quota quota)
{
    ps_quota_account_use all;
    ps_quotas_look(ps_quotas_account_named(quotas, "spiffe://lab/worker/w1"), &all);
    return all.of[quota].used;
}

static void wait_used(ps_quota quota, uint64_t n)
{
    for (int i = 0; i < 1000 && used(quota) != n; i++)
        echo_run_ms(&rig, 10);
    ck_assert_uint_eq(used(quota), n);
}

/* A unary call's status, with the message it ended with. */
static ps_status ask(void)
{
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    return echo_unary(&rig, &request, &(ps_call_options){.wait_for_ready = true}, NULL);
}

START_TEST(one_connection_too_many_is_told_so_and_may_come_later)
{
    open_rig(&(ps_quota_limits){.connections = 1});
    ck_ok(ask());
    ck_assert_uint_eq(used(PS_QUOTA_CONNECTIONS), 1);
    open_second();
    use(second);
    ck_assert_int_eq(ask(), PS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(ps_error_message(),
                     "quota of spiffe://lab/worker/w1: 1 connection; try again in 1 s");
    ck_assert_int_eq(ps_error_retry_ms(), 1000);
    char refused[PS_ERROR_MAX];
    echo_rig_refused(&rig, refused);
    ck_assert_str_eq(refused, "handshake: quota of spiffe://lab/worker/w1: 1 connection; try "
                              "again in 1 s");
    use(first); /* which has noticed nothing */
    ck_ok(ask());
    ps_channel_free(&first);
    use(second);
    ps_status st;
    for (int i = 0; (st = ask()) == PS_RESOURCE_EXHAUSTED && i < 500; i++)
        echo_run_ms(&rig, 10);
    ck_ok(st);
    ck_assert_uint_eq(used(PS_QUOTA_CONNECTIONS), 1);
    close_rig();
}
END_TEST

START_TEST(many_too_many_do_not_stay)
{
    enum { MANY = 40 };
    ps_channel *more[MANY];
    open_rig(&(ps_quota_limits){.connections = 1});
    ck_ok(ask());
    const ps_channel_options options = {
        .target = rig.target, .tls = rig.client_tls, .backoff_min_ms = 10000};
    for (int i = 0; i < MANY; i++)
        ck_ok(ps_channel_create(rig.loop, &options, &more[i]));
    ps_rpc_stats s = {0};
    for (int i = 0; i < 1000 && s.handshakes_refused < MANY; i++) {
        echo_run_ms(&rig, 10);
        ps_rpc_server_stats(rig.server, &s);
        ck_assert_uint_le(used(PS_QUOTA_CONNECTIONS), 1);
    }
    ck_assert_uint_ge(s.handshakes_refused, MANY);
    ck_ok(ask());
    for (int i = 0; i < 1000 && s.connections > 1; i++) { /* the last ones after their second */
        echo_run_ms(&rig, 10);
        ps_rpc_server_stats(rig.server, &s);
    }
    ck_assert_uint_eq(s.connections, 1);
    for (int i = 0; i < MANY; i++)
        ps_channel_free(&more[i]);
    close_rig();
}
END_TEST

/* One that sends a record of TLS with a message that there is not, from 127.0.0.`last`. */
static int nonsense(unsigned last)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000 + last)},
                       to = {.sin_family = AF_INET,
                             .sin_port = htons(ps_rpc_server_port(rig.server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    (void)!send(fd, "\x16\x03\x01\0\4\x7f\0\0\0", 9, MSG_NOSIGNAL); /* it may be closed */
    return fd;
}

/* Was its handshake begun? Then an alert came. */
static bool was_begun(int fd)
{
    char alert[64];
    ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 20000), 1);
    bool begun = recv(fd, alert, sizeof alert, 0) > 0;
    close(fd);
    return begun;
}

static uint64_t now_ms(void)
{
    return ps_clock_ms(&ps_clock_system);
}

START_TEST(after_one_too_many_others_from_there_wait_and_get_in)
{
    enum { MANY = 60 };
    open_rig(&(ps_quota_limits){.connections = 1});
    ck_ok(ask());
    for (int i = 0; i < 3 * PS_PACE_BURST; i++)
        ck_assert(was_begun(nonsense(1))); /* nobody was refused for his quota */
    open_second();
    use(second);
    ck_assert_int_eq(ask(), PS_RESOURCE_EXHAUSTED);
    ps_channel_free(&second);
    int fds[MANY];
    uint64_t begin = now_ms();
    for (int i = 0; i < MANY; i++)
        fds[i] = nonsense(1);
    ck_assert(was_begun(nonsense(2))); /* from elsewhere */
    unsigned begun = 0;
    for (int i = 0; i < MANY; i++)
        begun += was_begun(fds[i]);
    uint64_t took = now_ms() - begin;
    ck_assert_uint_ge(begun, PS_PACE_BURST);
    ck_assert_uint_le(begun, PS_PACE_BURST + 1 + took * PS_PACE_RATE / 1000);
    /* another identity behind the same address, beside as many as may wait, and more that left */
    ps_test_pki_client(&rig.pki, PS_ROLE_WORKER, "w2");
    ps_tls_context *other = ps_test_pki_context(&rig.pki, PS_TLS_CLIENT, "w2");
    for (int i = 0; i < PS_PACE_WAITING - 1; i++)
        fds[i] = nonsense(1);
    for (int i = 0; i < 3 * PS_PACE_WAITING; i++)
        close(nonsense(1));
    const ps_channel_options options = {.target = rig.target, .tls = other};
    ck_ok(ps_channel_create(rig.loop, &options, &second));
    use(second);
    ck_ok(ask());
    use(first); /* which has noticed nothing */
    ck_ok(ask());
    for (int i = 0; i < PS_PACE_WAITING - 1; i++)
        (void)was_begun(fds[i]);
    ps_channel_free(&second);
    for (int i = 0; i < PS_PACE_BURST + 3; i++)
        fds[i] = nonsense(1); /* some wait while the server stops */
    close_rig();
    ps_tls_context_unref(&other);
    for (int i = 0; i < PS_PACE_BURST + 3; i++)
        close(fds[i]);
}
END_TEST

START_TEST(calls_of_two_connections_are_one_sum)
{
    enum { WAIT_MS = 60000 };
    open_rig(&(ps_quota_limits){.streams = 2});
    open_second();
    echo_call a = {0}, b = {0};
    echo_start_slow(&rig, &a, WAIT_MS);
    wait_used(PS_QUOTA_CALLS, 1);
    use(second);
    echo_start_slow(&rig, &b, WAIT_MS);
    wait_used(PS_QUOTA_CALLS, 2); /* the limit */
    ck_assert_int_eq(ask(), PS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(ps_error_message(),
                     "quota of spiffe://lab/worker/w1: 2 calls at once; try again in 100 ms");
    use(first);
    ck_assert_int_eq(ask(), PS_RESOURCE_EXHAUSTED);
    ps_call_cancel(b.call);
    echo_wait(&rig, &b);
    ps_call_cancel(a.call);
    echo_wait(&rig, &a);
    wait_used(PS_QUOTA_CALLS, 0);
    ck_ok(ask());
    wait_used(PS_QUOTA_CALLS, 0);
    echo_clear(&a);
    echo_clear(&b);
    close_rig();
}
END_TEST

static void upload(echo_call *c, bool hold)
{
    echo_start(&rig, c, ECHO_UPLOAD, NULL);
    Psd__Test__V1__Piece piece = PSD__TEST__V1__PIECE__INIT;
    piece.hold = hold;
    ps_call_send(c->call, &piece.base, NULL);
}

static void send_mib(echo_call *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        echo_send(c, i, "", ps_slice_of(mib, sizeof mib));
}

START_TEST(bytes_that_are_held_are_one_sum_and_come_back)
{
    open_rig(&(ps_quota_limits){.in_flight = 8 * MIB});
    open_second();
    echo_call a = {0}, b = {0}, c = {0};
    upload(&a, true);
    send_mib(&a, 3);
    for (int i = 0; i < 1000 && used(PS_QUOTA_BYTES) < 3 * MIB; i++)
        echo_run_ms(&rig, 10);
    use(second);
    upload(&b, true);
    send_mib(&b, 4);
    for (int i = 0; i < 1000 && used(PS_QUOTA_BYTES) < 7 * MIB; i++)
        echo_run_ms(&rig, 10);
    ck_assert_uint_ge(used(PS_QUOTA_BYTES), 7 * MIB);
    upload(&c, true); /* on the same connection, where there is room */
    send_mib(&c, 1);
    echo_wait(&rig, &c);
    ck_assert_int_eq(c.status, PS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(c.message,
                     "quota of spiffe://lab/worker/w1: 8 MiB in flight; try again in 120 ms");
    ck_assert_uint_le(used(PS_QUOTA_BYTES), 8 * MIB);
    ps_call_cancel(a.call);
    echo_wait(&rig, &a);
    ps_channel_free(&second); /* in the middle of it */
    echo_wait(&rig, &b);
    wait_used(PS_QUOTA_BYTES, 0);
    wait_used(PS_QUOTA_CALLS, 0);
    wait_used(PS_QUOTA_CONNECTIONS, 1);
    echo_clear(&a);
    echo_clear(&b);
    echo_clear(&c);
    close_rig();
}
END_TEST

START_TEST(answers_that_nobody_takes_are_of_the_same_sum)
{
    enum { CALLS = 32 };
    open_rig(&(ps_quota_limits){.in_flight = 4 * MIB});
    static echo_call c[CALLS];
    memset(c, 0, sizeof c);
    const ps_channel_options small = {
        .target = rig.target, .tls = rig.client_tls, .window_bytes = 65536};
    ck_ok(ps_channel_create(rig.loop, &small, &second));
    use(second);
    unsigned refused = 0;
    for (unsigned i = 0; i < CALLS; i++) {
        c[i].keep = true; /* so that its window stays shut */
        echo_start(&rig, &c[i], ECHO_DOWNLOAD, NULL);
        Psd__Test__V1__Ask ask_for = PSD__TEST__V1__ASK__INIT;
        ask_for.count = 64;
        ask_for.size = MIB / 2;
        ps_call_send(c[i].call, &ask_for.base, NULL);
        ps_call_half_close(c[i].call);
        echo_run_ms(&rig, 20);
        ck_assert_uint_le(used(PS_QUOTA_BYTES), 8 * MIB); /* and what one call was let begin with */
    }
    for (unsigned i = 0; i < CALLS; i++)
        refused += c[i].done && c[i].status == PS_RESOURCE_EXHAUSTED;
    ck_assert_uint_ge(refused, 1);
    use(first);
    ps_channel_free(&second);
    for (unsigned i = 0; i < CALLS; i++) {
        echo_wait(&rig, &c[i]);
        echo_clear(&c[i]);
    }
    wait_used(PS_QUOTA_BYTES, 0);
    close_rig();
}
END_TEST

static const ps_check_case tests[] = {
    {&one_connection_too_many_is_told_so_and_may_come_later, 60},
    {&many_too_many_do_not_stay, 60},
    {&after_one_too_many_others_from_there_wait_and_get_in, 60},
    {&calls_of_two_connections_are_one_sum, 60},
    {&bytes_that_are_held_are_one_sum_and_come_back, 60},
    {&answers_that_nobody_takes_are_of_the_same_sum, 60},
    {0},
};

int main(void)
{
    return ps_check_main("server/quota/connections", tests);
}
