/* sessions: what the scheduler says, from any thread, on real streams over mTLS. */
#include "server/service/sessions.h"

#include "common/base/mem.h"
#include "common/transport/channel/channel.h"
#include "common/transport/server/rpc_server.h"
#include "psd/v1/workers.pb-c.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { STREAMS = 3, TALK = 500 };

/* ---- a server whose streams are sessions ---- */

typedef struct rig {
    ps_test_pki pki;
    ps_tls_context *server_tls, *client_tls;
    ps_loops *loops;
    ps_loop *loop; /* the client's: this thread's */
    ps_rpc_server *server;
    ps_channel *channels[STREAMS]; /* connections, on the server's loops in turn */
    ps_sessions *sessions;
    atomic_uint_fast64_t numbers[STREAMS]; /* of the sessions, by the stream's number */
} rig;

static rig r;

typedef struct served {
    uint64_t session;
} served;

/* The first message says which of the streams it is. */
static void served_message(ps_call *call, ps_message *message, void *user)
{
    served *s = user;
    ps_slice bytes = ps_message_bytes(message);
    Psd__V1__WorkerMessage *m = psd__v1__worker_message__unpack(NULL, bytes.len, bytes.data);
    ck_assert_ptr_nonnull(m);
    ck_assert_int_eq(m->body_case, PSD__V1__WORKER_MESSAGE__BODY_RESULT);
    s->session = ps_sessions_open(r.sessions, call);
    atomic_store(&r.numbers[m->result->lease_id], s->session);
    psd__v1__worker_message__free_unpacked(m, NULL);
    ps_message_release(&message);
}

static void served_end(ps_call *call, ps_status status, const char *message, void *user)
{
    served *s = user;
    ps_sessions_close(r.sessions, s->session);
    ps_call_unref(call);
    ps_free(&s);
}

static void serve(ps_call *call, void *service)
{
    static const ps_call_events events = {.on_message = served_message, .on_end = served_end};
    ps_call_ref(call);
    ps_call_set_events(call, &events, ps_new(served));
}

static ps_status allow(void *user, const ps_identity *peer, const char *path)
{
    return PS_OK;
}

static void open_rig(void)
{
    static const ps_rpc_method methods[] = {
        {.name = "Attach", .request = &psd__v1__worker_message__descriptor, .stream = serve}, {0}};
    static const ps_rpc_service service = {.name = "psd.test.Sessions", .methods = methods};
    char target[64];
    ps_test_pki_open(&r.pki, "lab");
    ps_test_pki_server(&r.pki, "psd", "localhost");
    ps_test_pki_client(&r.pki, PS_ROLE_WORKER, "w1");
    r.server_tls = ps_test_pki_context(&r.pki, PS_TLS_SERVER, "psd");
    r.client_tls = ps_test_pki_context(&r.pki, PS_TLS_CLIENT, "w1");
    r.sessions = ps_sessions_create();
    ck_ok(ps_loop_create(&r.loop));
    ck_ok(ps_loops_create(2, true, &r.loops));
    const ps_rpc_server_options options = {.loops = r.loops,
                                           .address = "127.0.0.1",
                                           .tls = r.server_tls,
                                           .limits = PS_RPC_LIMITS_DEFAULT,
                                           .authorise = allow};
    ck_ok(ps_rpc_server_create(&options, &r.server));
    ps_rpc_server_add(r.server, &service);
    ck_ok(ps_rpc_server_start(r.server));
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", ps_rpc_server_port(r.server));
    for (size_t i = 0; i < STREAMS; i++) {
        const ps_channel_options to = {.target = target, .tls = r.client_tls};
        ck_ok(ps_channel_create(r.loop, &to, &r.channels[i]));
    }
}

static void close_rig(void)
{
    for (size_t i = 0; i < STREAMS; i++)
        ps_channel_free(&r.channels[i]);
    ps_loop_free(&r.loop);
    ps_rpc_server_free(&r.server);
    ps_loops_free(&r.loops);
    ck_assert_uint_eq(ps_sessions_count(r.sessions), 0);
    ps_sessions_free(&r.sessions);
    ps_tls_context_unref(&r.server_tls);
    ps_tls_context_unref(&r.client_tls);
    ps_test_pki_close(&r.pki);
}

/* ---- the worker's side ---- */

typedef struct stream {
    ps_call *call;
    uint64_t leases[2 * TALK]; /* of tasks as they came; of a cancel: 2^32 and more */
    size_t n;
    char last_reason[64];
    bool done;
    ps_status status;
    char message[PS_ERROR_MAX];
} stream;

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    stream *s = user;
    ps_slice bytes = ps_message_bytes(message);
    Psd__V1__ServerMessage *m = psd__v1__server_message__unpack(NULL, bytes.len, bytes.data);
    ck_assert_ptr_nonnull(m);
    if (s->n == 2 * TALK) /* the last ones overwrite each other */
        s->n--;
    if (m->body_case == PSD__V1__SERVER_MESSAGE__BODY_TASK) {
        s->leases[s->n++] = m->task->lease_id;
    } else {
        ck_assert_int_eq(m->body_case, PSD__V1__SERVER_MESSAGE__BODY_CANCEL);
        s->leases[s->n++] = (UINT64_C(1) << 32) + m->cancel->lease_id;
        (void)snprintf(s->last_reason, sizeof s->last_reason, "%s", m->cancel->reason);
    }
    psd__v1__server_message__free_unpacked(m, NULL);
    ps_message_release(&message);
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    stream *s = user;
    ck_assert(!s->done);
    s->done = true;
    s->status = status;
    (void)snprintf(s->message, sizeof s->message, "%s", message);
}

static void nothing_cb(void *user)
{
    *(bool *)user = true;
}

static void run_ms(unsigned ms)
{
    bool over = false;
    ps_timer *timer = NULL;
    ps_timer_create(r.loop, nothing_cb, &over, &timer);
    ps_timer_start(timer, ms, 0);
    ck_assert(ps_loop_run_until(r.loop, &over));
    ps_timer_free(&timer);
}

/* Opens stream i; returns its session's number. */
static uint64_t begin(stream *s, size_t i)
{
    static const ps_call_events events = {.on_message = message_cb, .on_end = end_cb};
    static const ps_call_options options = {.wait_for_ready = true};
    Psd__V1__TaskResult result = PSD__V1__TASK_RESULT__INIT;
    Psd__V1__WorkerMessage hello = PSD__V1__WORKER_MESSAGE__INIT;
    hello.body_case = PSD__V1__WORKER_MESSAGE__BODY_RESULT;
    hello.result = &result;
    result.lease_id = i;
    *s = (stream){0};
    atomic_store(&r.numbers[i], 0);
    s->call = ps_channel_call(r.channels[i], "/psd.test.Sessions/Attach", &options, &events, s);
    ps_call_send(s->call, &hello.base, NULL);
    while (!atomic_load(&r.numbers[i]))
        run_ms(2);
    return atomic_load(&r.numbers[i]);
}

static void end(stream *s)
{
    ck_assert(ps_loop_run_until(r.loop, &s->done));
    ps_call_unref(s->call);
    s->call = NULL;
}

static void say_task(uint64_t session, uint64_t lease)
{
    const ps_task task = {
        .lease_id = lease, .spec = "x", .settled = "", .model_version = "", .model_config = ""};
    ps_sessions_to_workers.send_task(r.sessions, session, &task);
}

/* ---- cases ---- */

typedef struct talker {
    pthread_t thread;
    uint64_t session;
} talker;

static void *talk(void *user)
{
    const talker *t = user;
    for (uint64_t i = 0; i < TALK; i++) {
        if (i % 5 == 4)
            ps_sessions_to_workers.send_cancel(r.sessions, t->session, i, "no need");
        else
            say_task(t->session, i);
    }
    ps_sessions_to_workers.drop_session(r.sessions, t->session, "said everything");
    say_task(t->session, 9999); /* after the end: swallowed */
    return NULL;
}

START_TEST(each_stream_gets_what_is_said_to_it_in_order_and_its_end_last)
{
    stream streams[STREAMS];
    talker talkers[STREAMS];
    open_rig();
    for (size_t i = 0; i < STREAMS; i++)
        talkers[i].session = begin(&streams[i], i);
    ck_assert_uint_eq(ps_sessions_count(r.sessions), STREAMS);
    for (size_t i = 0; i < STREAMS; i++)
        ck_assert_int_eq(pthread_create(&talkers[i].thread, NULL, talk, &talkers[i]), 0);
    for (size_t i = 0; i < STREAMS; i++) {
        end(&streams[i]);
        ck_assert_int_eq(pthread_join(talkers[i].thread, NULL), 0);
        ck_assert_int_eq(streams[i].status, PS_UNAVAILABLE);
        ck_assert_str_eq(streams[i].message, "said everything");
        ck_assert_str_eq(streams[i].last_reason, "no need");
        ck_assert_uint_eq(streams[i].n, TALK);
        for (uint64_t n = 0; n < TALK; n++)
            ck_assert_uint_eq(streams[i].leases[n], n % 5 == 4 ? (UINT64_C(1) << 32) + n : n);
    }
    close_rig();
}
END_TEST

START_TEST(numbers_are_never_used_again_and_one_that_has_ended_swallows)
{
    stream s;
    uint64_t last = 0;
    open_rig();
    say_task(1, 5); /* before there is any */
    ps_sessions_to_workers.drop_session(r.sessions, 1, "nobody");
    for (int i = 0; i < 5; i++) {
        uint64_t number = begin(&s, 0);
        ck_assert_uint_gt(number, last);
        if (last)
            say_task(last, 7);
        last = number;
        say_task(number, 8);
        ps_sessions_to_workers.drop_session(r.sessions, number, "go");
        end(&s);
        ck_assert_uint_eq(s.n, 1);
        ck_assert_uint_eq(s.leases[0], 8);
    }
    close_rig();
}
END_TEST

START_TEST(a_stopping_psd_ends_them_all)
{
    stream streams[STREAMS];
    open_rig();
    for (size_t i = 0; i < STREAMS; i++)
        say_task(begin(&streams[i], i), i);
    ps_sessions_drop_all(r.sessions, "psd is stopping");
    for (size_t i = 0; i < STREAMS; i++) {
        end(&streams[i]);
        ck_assert_int_eq(streams[i].status, PS_UNAVAILABLE);
        ck_assert_str_eq(streams[i].message, "psd is stopping");
        ck_assert_uint_eq(streams[i].n, 1);
        ck_assert_uint_eq(streams[i].leases[0], i);
    }
    close_rig();
}
END_TEST

/* Its way here may have begun before. */
START_TEST(one_that_comes_while_psd_stops_is_ended_like_the_others)
{
    stream s;
    open_rig();
    ps_sessions_drop_all(r.sessions, "psd is stopping");
    (void)begin(&s, 0);
    end(&s);
    ck_assert_int_eq(s.status, PS_UNAVAILABLE);
    ck_assert_str_eq(s.message, "psd is stopping");
    close_rig();
}
END_TEST

static atomic_bool go_on;

static void *talk_on(void *user)
{
    while (atomic_load(&go_on))
        for (size_t i = 0; i < STREAMS; i++)
            say_task(atomic_load(&r.numbers[i]), 1);
    return NULL;
}

START_TEST(workers_may_go_while_somebody_speaks_to_them)
{
    pthread_t thread;
    stream s;
    open_rig();
    atomic_store(&go_on, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, talk_on, NULL), 0);
    for (int i = 0; i < 30; i++) {
        (void)begin(&s, (size_t)i % STREAMS);
        ps_call_cancel(s.call);
        end(&s);
        ck_assert_int_eq(s.status, PS_CANCELLED);
    }
    atomic_store(&go_on, false);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    close_rig();
}
END_TEST

static const ps_check_case cases[] = {
    {&each_stream_gets_what_is_said_to_it_in_order_and_its_end_last, 30},
    {&numbers_are_never_used_again_and_one_that_has_ended_swallows, 30},
    {&a_stopping_psd_ends_them_all, 30},
    {&one_that_comes_while_psd_stops_is_ended_like_the_others, 30},
    {&workers_may_go_while_somebody_speaks_to_them, 60},
    {0},
};

int main(void)
{
    return ps_check_main("server/service/sessions", cases);
}
