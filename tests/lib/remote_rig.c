#include "tests/lib/remote_rig.h"

#include "tests/lib/ck_ok.h"
#include "tests/lib/lazy_backend.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static void make_channel(void *state)
{
    ps_test_remote_rig *r = state;
    ps_channel_options options = {
        .target = r->target, .tls = r->client_tls, .backoff_min_ms = 20, .backoff_max_ms = 50};
    ck_ok(ps_channel_create(r->remote.loop, &options, &r->remote.channel));
}

static void drop_channel(void *state)
{
    ps_channel_free(&((ps_test_remote_rig *)state)->remote.channel);
}

static void open_server(ps_test_remote_rig *r, const ps_rpc_service *services, size_t n)
{
    ps_test_pki_open(&r->pki, "lab");
    ps_test_pki_server(&r->pki, "psd", "localhost");
    ps_test_pki_client(&r->pki, PS_ROLE_WORKER, "w1");
    r->server_tls = ps_test_pki_context(&r->pki, PS_TLS_SERVER, "psd");
    r->client_tls = ps_test_pki_context(&r->pki, PS_TLS_CLIENT, "w1");
    ck_ok(ps_loops_create(1, false, &r->server_loops));
    ck_ok(ps_loops_create(1, false, &r->client_loops));
    ps_rpc_server_options options = {.loops = r->server_loops,
                                     .address = "127.0.0.1",
                                     .tls = r->server_tls,
                                     .limits = PS_RPC_LIMITS_DEFAULT};
    ck_ok(ps_rpc_server_create(&options, &r->server));
    for (size_t i = 0; i < n; i++)
        ps_rpc_server_add(r->server, &services[i]);
    ck_ok(ps_rpc_server_start(r->server));
    snprintf(r->target, sizeof(r->target), "127.0.0.1:%u", ps_rpc_server_port(r->server));
}

static void open_remote(ps_test_remote_rig *r, const ps_rpc_service *services, size_t n)
{
    memset(r, 0, sizeof(*r));
    open_server(r, services, n);
    ps_gate_init(&r->gate);
    r->remote = (ps_remote){
        .loop = ps_loops_get(r->client_loops, 0), .gate = &r->gate, .clock = &ps_clock_system};
    ps_remote_run(&r->remote, make_channel, r);
}

void ps_test_remote_rig_open_on(ps_test_remote_rig *r, ps_test_where where,
                                const ps_rpc_service *services, size_t n)
{
    /* It changes the environment, which no thread may read meanwhile: before there are any. */
    ps_backend *backend = NULL;
    if (where == PS_TEST_LAZY)
        ps_test_lazy_open(&backend);
    else
        ck_ok(ps_backend_open("cpu", &(ps_backend_options){.threads = 1}, &backend));
    open_remote(r, services, n);
    r->backend = backend;
}

void ps_test_remote_rig_open(ps_test_remote_rig *r, const ps_rpc_service *services, size_t n)
{
    ps_test_remote_rig_open_on(r, PS_TEST_CPU, services, n);
}

void ps_test_remote_rig_close(ps_test_remote_rig *r)
{
    ps_backend_close(&r->backend);
    ps_remote_run(&r->remote, drop_channel, r);
    ps_loops_free(&r->client_loops);
    ps_rpc_server_free(&r->server);
    ps_loops_free(&r->server_loops);
    ps_tls_context_unref(&r->server_tls);
    ps_tls_context_unref(&r->client_tls);
    ps_test_pki_close(&r->pki);
    ps_gate_destroy(&r->gate);
}
