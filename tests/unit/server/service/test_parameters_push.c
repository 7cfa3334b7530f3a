/* parameters_push: over a connection, a push is answered when it lasts, on the loop, by whatever
 * thread that is said; a call that ends before is nobody's any more. */
#include "psd/v1/parameters.pb-c.h"
#include "server/params/push.h"
#include "server/service/services.h"
#include "tests/lib/check_main.h"
#include "tests/lib/echo_rig.h"
#include "tests/lib/late_committer.h"
#include "tests/lib/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { JOB = 7, COLUMNS = 64 * 1024 };

typedef struct push_rig {
    echo_rig net;
    ps_services services;
    late_committer late;
} push_rig;

/* One Push call, and what came of it. */
typedef struct asked {
    ps_call *call;
    uint64_t version; /* of the answer */
    bool answered, duplicate, ended;
    ps_status status;
    char message[PS_ERROR_MAX];
} asked;

static void open_rig(push_rig *r)
{
    test_params p;
    ps_param_store *store;
    *r = (push_rig){.services = {.push_bytes = 1 << 22}};
    late_committer_init(&r->late);
    test_params_init(&p, 1, COLUMNS);
    p.config.host.committer = &r->late.row;
    ck_ok(ps_param_store_create(&p.config, &store));
    r->services.runs = ps_runs_create(ps_clock_system);
    ps_runs_add(r->services.runs, JOB, store, true);

    echo_rig *net = &r->net;
    echo_rig_pki(net);
    ps_test_pki_client(&net->pki, PS_ROLE_ADMIN, "root"); /* needs no lease */
    pthread_mutex_init(&net->lock, NULL);
    net->server_tls = ps_test_pki_context(&net->pki, PS_TLS_SERVER, "psd");
    ck_ok(ps_loops_create(1, false, &net->loops));
    ck_ok(ps_rpc_server_create(&(ps_rpc_server_options){.loops = net->loops,
                                                        .address = "127.0.0.1",
                                                        .tls = net->server_tls,
                                                        .limits = PS_RPC_LIMITS_DEFAULT},
                               &net->server));
    ps_services_add(&r->services, net->server);
    ck_ok(ps_rpc_server_start(net->server));
    (void)snprintf(net->target, sizeof net->target, "127.0.0.1:%u",
                   ps_rpc_server_port(net->server));
    net->client_tls = ps_test_pki_context(&net->pki, PS_TLS_CLIENT, "root");
    ck_ok(ps_loop_create(&net->loop));
    echo_rig_connect(net, NULL);
}

static void close_rig(push_rig *r)
{
    echo_rig_close(&r->net);
    ps_runs_free(&r->services.runs);
    late_committer_clear(&r->late);
}

static void message_cb(ps_call *call, ps_message *message, void *user)
{
    asked *a = user;
    ps_slice bytes = ps_message_bytes(message);
    Psd__V1__PushResponse *reply = psd__v1__push_response__unpack(NULL, bytes.len, bytes.data);
    ck_assert_ptr_nonnull(reply);
    a->answered = true;
    a->version = reply->version;
    a->duplicate = reply->duplicate;
    psd__v1__push_response__free_unpacked(reply, NULL);
    ps_message_release(&message);
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    asked *a = user;
    a->ended = true;
    a->status = status;
    (void)snprintf(a->message, sizeof a->message, "%s", message ? message : "");
    ps_call_unref(call);
}

static const ps_call_events events = {.on_message = message_cb, .on_end = end_cb};

/* Of `count` elements of the vector: of a few it is applied on the loop, of all on the pool. */
static void push_of(push_rig *r, asked *a, uint64_t sequence, uint32_t count, float value)
{
    static float gradient[COLUMNS];
    gradient[0] = value;
    Psd__V1__PushHeader header = PSD__V1__PUSH_HEADER__INIT;
    Psd__V1__Chunk chunk = PSD__V1__CHUNK__INIT;
    Psd__V1__PushRequest request = PSD__V1__PUSH_REQUEST__INIT;
    *a = (asked){0};
    a->call = ps_channel_call(r->net.channel, "/psd.v1.Parameters/Push",
                              &(ps_call_options){.wait_for_ready = true}, &events, a);
    header.job_id = JOB;
    header.incarnation = 1;
    header.sequence = sequence;
    chunk.tensor_id = 1;
    chunk.count = count;
    chunk.codec = PSD__V1__CODEC__CODEC_FLOAT32;
    request.header = &header;
    request.chunk = &chunk;
    const ps_payload payload = {.bytes = ps_slice_of(gradient, count * sizeof *gradient)};
    ps_call_send(a->call, &request.base, &payload);
    ps_call_half_close(a->call);
}

static void push(push_rig *r, asked *a, uint64_t sequence, uint32_t count)
{
    push_of(r, a, sequence, count, 0);
}

static void wait_for(push_rig *r, uint64_t position, unsigned waiting)
{
    while (late_committer_waiting(&r->late, position) < waiting)
        echo_run_ms(&r->net, 2);
}

static void wait_for_end(push_rig *r, asked *a)
{
    while (!a->ended)
        echo_run_ms(&r->net, 2);
}

/* Some are applied on the loop, some on the pool. */
static const uint32_t counts[] = {16, COLUMNS};

START_TEST(a_push_is_answered_when_it_lasts)
{
    push_rig r;
    asked a[3];
    open_rig(&r);
    for (uint64_t i = 0; i < 3; i++) {
        push(&r, &a[i], i + 1, counts[_i]);
        wait_for(&r, i + 1, 1);
    }
    echo_run_ms(&r.net, 20);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(!a[i].answered && !a[i].ended);
    late_committer_answer(&r.late, 3, PS_OK);
    wait_for_end(&r, &a[2]);
    ck_assert(!a[0].ended && !a[1].ended);
    late_committer_answer(&r.late, 1, PS_OK);
    wait_for_end(&r, &a[0]);
    late_committer_answer(&r.late, 2, PS_NO_SPACE);
    wait_for_end(&r, &a[1]);
    ck_assert_int_eq(a[0].status, PS_OK);
    ck_assert_uint_eq(a[0].version, 1);
    ck_assert_uint_eq(a[2].version, 3);
    ck_assert(!a[1].answered);
    ck_assert_int_ne(a[1].status, PS_OK);
    ck_assert_ptr_nonnull(strstr(a[1].message, "the log is full"));
    close_rig(&r);
}
END_TEST

/* Its answer comes all the same, and nobody hears it; the worker asks again, and does. */
START_TEST(a_call_that_ends_before_its_answer_is_forgotten)
{
    push_rig r;
    asked gone, again;
    open_rig(&r);
    push(&r, &gone, 1, counts[_i]);
    wait_for(&r, 1, 1);
    ps_call_cancel(gone.call);
    wait_for_end(&r, &gone);
    echo_run_ms(&r.net, 20); /* psd hears of it */
    push(&r, &again, 1, counts[_i]);
    wait_for(&r, 1, 2);
    late_committer_answer(&r.late, 1, PS_OK);
    wait_for_end(&r, &again);
    ck_assert(again.answered && again.duplicate);
    ck_assert_uint_eq(again.version, 1);
    ck_assert(!gone.answered);
    close_rig(&r);
}
END_TEST

/* The server has closed it, and its loops run still. */
START_TEST(an_answer_may_come_when_the_connection_is_no_more)
{
    push_rig r;
    asked a;
    open_rig(&r);
    push(&r, &a, 1, counts[_i]);
    wait_for(&r, 1, 1);
    ps_channel_free(&r.net.channel);
    wait_for_end(&r, &a);
    ps_rpc_server_stop(r.net.server, 0);
    late_committer_answer(&r.late, 1, PS_OK);
    close_rig(&r);
}
END_TEST

static void note_counts(void *user, const char *client, uint64_t pushes, uint64_t refused)
{
    ps_buf_printf(user, "%s:%llu/%llu ", client, (unsigned long long)pushes,
                  (unsigned long long)refused);
}

/* What is no gradient counts against who pushed it. */
START_TEST(pushes_are_counted_and_so_are_those_that_are_refused)
{
    push_rig r;
    asked a;
    ps_run *run = NULL;
    ps_buf counted = PS_BUF_EMPTY;
    open_rig(&r);
    push_of(&r, &a, 1, 16, NAN);
    wait_for_end(&r, &a);
    ck_assert_int_eq(a.status, PS_INVALID_ARGUMENT);
    push(&r, &a, 2, 0); /* nothing at all */
    wait_for_end(&r, &a);
    ck_assert_int_eq(a.status, PS_INVALID_ARGUMENT);
    push(&r, &a, 3, counts[_i]);
    wait_for(&r, 1, 1);
    late_committer_answer(&r.late, 1, PS_OK);
    wait_for_end(&r, &a);
    ck_assert_int_eq(a.status, PS_OK);
    ck_ok(ps_runs_find(r.services.runs, JOB, &run));
    ps_push_contributors(ps_run_store(run), note_counts, &counted);
    ck_assert_str_eq(ps_buf_cstr(&counted), "root:1/2 ");
    ps_buf_free(&counted);
    ps_run_unref(&run);
    close_rig(&r);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_push_is_answered_when_it_lasts, 0, 2},
    {&pushes_are_counted_and_so_are_those_that_are_refused, 0, 2},
    {&a_call_that_ends_before_its_answer_is_forgotten, 0, 2},
    {&an_answer_may_come_when_the_connection_is_no_more, 0, 2},
    {0},
};

int main(void)
{
    return ps_check_main("server/service/parameters_push", tests);
}
