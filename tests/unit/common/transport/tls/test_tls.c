/* The TLS layer over a pipe in memory, whole and with faults. */
#include "common/transport/tls/tls.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pipe.h"
#include "tests/lib/pki.h"

#include <stdio.h>

#define BYTES 700000u

typedef struct side {
    ps_layer *layer;
    ps_status status; /* what ended it; PS_OK: nothing did */
    char message[PS_ERROR_MAX];
    bool up;
    const uint8_t *out; /* to send */
    size_t out_len, sent;
    uint8_t *in; /* received */
    size_t in_len, in_capacity;
    size_t slice; /* sends in slices of this size, growing and shrinking */
} side;

static ps_loop *loop;
static ps_test_pki pki;
static ps_tls_context *client_tls, *server_tls;
static bool over;
static side client, server;

static void fail_side(side *s, ps_status st)
{
    s->status = st;
    snprintf(s->message, sizeof s->message, "%s", ps_error_message());
    over = true;
}

/* Sends what is left; false when the layer takes no more for now. */
static void send_more(side *s)
{
    while (s->sent < s->out_len && !s->status) {
        size_t n = s->slice * (1 + s->sent % 3);
        size_t left = s->out_len - s->sent, taken = 0;
        n = n < left ? n : left;
        ps_slice two[2] = {ps_slice_of(s->out + s->sent, n / 2),
                           ps_slice_of(s->out + s->sent + n / 2, n - n / 2)};
        ps_status st = s->layer->ops->send(s->layer, two, 2, &taken);
        if (st == PS_AGAIN)
            break;
        if (st) {
            fail_side(s, st);
            return;
        }
        s->sent += taken;
    }
    ps_status st = s->layer->ops->flush(s->layer);
    if (st && st != PS_AGAIN && !s->status)
        fail_side(s, st);
    bool more = st == PS_AGAIN || s->sent < s->out_len;
    s->layer->ops->want(s->layer, PS_LAYER_READABLE | (more ? PS_LAYER_WRITABLE : 0));
}

static void recv_more(side *s)
{
    while (!s->status) {
        size_t got = 0, room = s->in_capacity - s->in_len;
        uint8_t extra;
        ps_status st = room ? s->layer->ops->recv(s->layer, s->in + s->in_len, room, &got)
                            : s->layer->ops->recv(s->layer, &extra, 1, &got);
        if (st == PS_AGAIN)
            return;
        if (st) {
            fail_side(s, st);
            return;
        }
        ck_assert(room > 0); /* more than was sent */
        s->in_len += got;
    }
}

static void ready_cb(void *above, unsigned events)
{
    (void)events;
    side *s = above;
    if (s->status)
        return;
    if (!s->up) {
        ps_status st = s->layer->ops->handshake(s->layer);
        if (st == PS_AGAIN)
            return;
        if (st) {
            fail_side(s, st);
            return;
        }
        s->up = true;
    }
    send_more(s);
    recv_more(s);
    if (client.in_len == server.out_len && server.in_len == client.out_len && client.up &&
        server.up)
        over = true;
}

static void open_side(side *s, ps_layer *below, ps_tls_context *tls, const char *host,
                      const uint8_t *out, size_t out_len, size_t in_capacity, size_t slice)
{
    *s = (side){.out = out, .out_len = out_len, .in_capacity = in_capacity, .slice = slice};
    s->in = ps_alloc(in_capacity + 1);
    ck_ok(ps_tls_layer_create(below, tls, host, &s->layer));
    s->layer->on_ready = ready_cb;
    s->layer->above = s;
}

static uint8_t up[BYTES], down[BYTES];

static void set_up(void)
{
    ps_rng rng;
    ps_rng_seed(&rng, 42);
    for (size_t i = 0; i < BYTES; i++) {
        up[i] = (uint8_t)ps_rng_next(&rng);
        down[i] = (uint8_t)ps_rng_next(&rng);
    }
    ck_ok(ps_loop_create(&loop));
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");
    client_tls = ps_test_pki_context(&pki, PS_TLS_CLIENT, "w1");
    server_tls = ps_test_pki_context(&pki, PS_TLS_SERVER, "psd");
}

static void tear_down(void)
{
    ps_tls_context_unref(&client_tls);
    ps_tls_context_unref(&server_tls);
    ps_test_pki_close(&pki);
    ps_loop_free(&loop);
}

static void run(const ps_pipe_faults *a, const ps_pipe_faults *b, size_t slice, uint64_t rekey)
{
    ps_layer *one = NULL, *other = NULL;
    ps_pipe_create(loop, a, b, &one, &other);
    over = false;
    open_side(&client, one, client_tls, "localhost", up, BYTES, BYTES, slice);
    open_side(&server, other, server_tls, NULL, down, BYTES, BYTES, slice);
    ps_tls_layer_set_rekey(client.layer, rekey);
    ps_tls_layer_set_rekey(server.layer, rekey);
    ready_cb(&client, 0);
    ready_cb(&server, 0);
    ck_assert(ps_loop_run_until(loop, &over));
}

static void close_both(void)
{
    client.layer->ops->close(client.layer);
    server.layer->ops->close(server.layer);
    free(client.in);
    free(server.in);
}

static void expect_all(void)
{
    ck_assert_msg(client.status == PS_OK, "client: %s", client.message);
    ck_assert_msg(server.status == PS_OK, "server: %s", server.message);
    ck_assert_uint_eq(client.in_len, BYTES);
    ck_assert_uint_eq(server.in_len, BYTES);
    ck_assert_int_eq(memcmp(server.in, up, BYTES), 0);
    ck_assert_int_eq(memcmp(client.in, down, BYTES), 0);
    ck_assert_str_eq(ps_tls_layer_peer(server.layer)->name, "w1");
    ck_assert_int_eq(ps_tls_layer_peer(client.layer)->role, PS_ROLE_SERVER);
}

START_TEST(bytes_cross_both_ways_unchanged)
{
    set_up();
    run(NULL, NULL, 50000, 0);
    expect_all();
    close_both();
    tear_down();
}
END_TEST

START_TEST(short_reads_and_writes_change_nothing)
{
    set_up();
    static const struct {
        size_t recv, send, capacity, slice;
    } rows[] = {{1000, 700, 3000, 9000}, {17, 0, 5000, 100}, {0, 333, 0, 40000}, {5, 5, 64, 16384}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ps_pipe_faults faults = {
            .recv_max = rows[i].recv, .send_max = rows[i].send, .capacity = rows[i].capacity};
        run(&faults, &faults, rows[i].slice, 0);
        expect_all();
        close_both();
    }
    tear_down();
}
END_TEST

START_TEST(keys_are_replaced_without_a_gap)
{
    set_up();
    run(NULL, NULL, 20000, 50000); /* about 14 times each way */
    expect_all();
    close_both();
    tear_down();
}
END_TEST

START_TEST(a_cut_pipe_is_a_failure_and_never_a_quiet_end)
{
    set_up();
    static const size_t cuts[] = {1, 100, 500, 900, 1500, 20000, 300000};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        ps_pipe_faults faults = {.cut_after = cuts[i]};
        run(&faults, NULL, 30000, 0);
        ck_assert(client.status || server.status);
        ck_assert(client.status != PS_END && server.status != PS_END);
        ck_assert_uint_lt(server.in_len, BYTES);
        ck_assert_int_eq(memcmp(server.in, up, server.in_len), 0);
        close_both();
    }
    tear_down();
}
END_TEST

START_TEST(a_peer_that_closes_in_order_is_an_end)
{
    set_up();
    run(NULL, NULL, 50000, 0);
    expect_all();
    over = false;
    client.layer->ops->close(client.layer);
    ck_assert(ps_loop_run_until(loop, &over));
    ck_assert_int_eq(server.status, PS_END);
    server.layer->ops->close(server.layer);
    free(client.in);
    free(server.in);
    tear_down();
}
END_TEST

static const ps_check_case cases[] = {
    {&bytes_cross_both_ways_unchanged, 30},
    {&short_reads_and_writes_change_nothing, 60},
    {&keys_are_replaced_without_a_gap, 30},
    {&a_cut_pipe_is_a_failure_and_never_a_quiet_end, 30},
    {&a_peer_that_closes_in_order_is_an_end, 30},
    {0},
};

int main(void)
{
    return ps_check_main("transport/tls", cases);
}
