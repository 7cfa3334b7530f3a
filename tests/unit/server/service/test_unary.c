/* unary: what the pool works at may have nobody to answer any more. */
#include "server/service/unary.h"

#include "tests/lib/check_main.h"
#include "tests/lib/echo_rig.h"

#include <sched.h>
#include <stdatomic.h>

static echo_rig rig;
static atomic_int begun;
static atomic_bool go_on;

static ps_status body(ps_services *services, const ps_caller *caller,
                      const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    (void)services, (void)caller, (void)request, (void)reply;
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&go_on))
        sched_yield();
    return ps_fail(PS_NOT_FOUND, "nothing is here");
}

static void body_cb(ps_call *call, const ProtobufCMessage *request, void *service)
{
    ps_unary_run(call, request, service, body);
}

static const ps_rpc_method methods[] = {
    {.name = "Unary", .request = &psd__test__v1__piece__descriptor, .unary = body_cb},
    {.name = NULL}};

/* Echo's Unary, as psd's services answer. */
static void open_rig(void)
{
    const ps_rpc_service service = {.name = "psd.test.v1.Echo", .methods = methods};
    echo_rig_pki(&rig);
    pthread_mutex_init(&rig.lock, NULL);
    rig.server_tls = ps_test_pki_context(&rig.pki, PS_TLS_SERVER, "psd");
    ck_ok(ps_loops_create(1, false, &rig.loops));
    ck_ok(ps_rpc_server_create(&(ps_rpc_server_options){.loops = rig.loops,
                                                        .address = "127.0.0.1",
                                                        .tls = rig.server_tls,
                                                        .limits = PS_RPC_LIMITS_DEFAULT},
                               &rig.server));
    ps_rpc_server_add(rig.server, &service);
    ck_ok(ps_rpc_server_start(rig.server));
    echo_rig_dial(&rig, ps_rpc_server_port(rig.server));
}

START_TEST(a_call_that_ends_while_the_pool_works_at_it_ends_nothing_else)
{
    open_rig();
    echo_call gone = {0};
    echo_start(&rig, &gone, ECHO_UNARY, NULL);
    echo_send(&gone, 1, "", (ps_slice){0});
    ps_call_half_close(gone.call);
    while (!atomic_load(&begun))
        echo_run_ms(&rig, 5);
    ps_call_cancel(gone.call);
    echo_wait(&rig, &gone);
    echo_run_ms(&rig, 100); /* psd hears of it */
    atomic_store(&go_on, true);
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_assert_int_eq(echo_unary(&rig, &request, NULL, NULL), PS_NOT_FOUND);
    ck_assert_int_eq(atomic_load(&begun), 2);
    echo_clear(&gone);
    echo_rig_close(&rig);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_call_that_ends_while_the_pool_works_at_it_ends_nothing_else},
    {0},
};

int main(void)
{
    return ps_check_main("service/unary", tests);
}
