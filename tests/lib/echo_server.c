/* echo_server FOLDER: makes a CA and certificates (ca, psd, w1) in FOLDER, serves Echo on a free
 * port of 127.0.0.1, prints the port, and runs until its standard input ends. For clients that are
 * not ours. */
#include "common/base/log.h"
#include "common/security/certificate_issue.h"
#include "common/transport/server/rpc_server.h"
#include "common/transport/tls/tls_context.h"
#include "tests/lib/echo.h"

#include <stdio.h>
#include <unistd.h>

static ps_status make_certificates(void)
{
    ps_ca_request ca = {.cluster = "lab", .cert_file = "ca.pem", .key_file = "ca.key"};
    ps_status st = ps_certificate_create_ca(&ca);
    if (st)
        return st;
    const char *hosts[] = {"localhost", "127.0.0.1"};
    ps_leaf_request server = {.ca_cert_file = "ca.pem",
                              .ca_key_file = "ca.key",
                              .name = "psd",
                              .hosts = hosts,
                              .n_hosts = 2,
                              .cert_file = "psd.pem",
                              .key_file = "psd.key"};
    st = ps_certificate_create_server(&server);
    if (st)
        return st;
    ps_leaf_request client = {.ca_cert_file = "ca.pem",
                              .ca_key_file = "ca.key",
                              .role = PS_ROLE_WORKER,
                              .name = "w1",
                              .cert_file = "w1.pem",
                              .key_file = "w1.key"};
    return ps_certificate_create_client(&client);
}

static ps_status serve(ps_loops *loops, ps_tls_context *tls, ps_test_echo *echo)
{
    ps_rpc_server_options options = {
        .loops = loops, .address = "127.0.0.1", .tls = tls, .limits = PS_RPC_LIMITS_DEFAULT};
    ps_rpc_server *server = NULL;
    ps_status st = ps_rpc_server_create(&options, &server);
    if (st)
        return st;
    ps_rpc_service service = ps_test_echo_service(echo);
    ps_rpc_server_add(server, &service);
    st = ps_rpc_server_start(server);
    if (!st) {
        char byte;
        printf("%u\n", ps_rpc_server_port(server));
        fflush(stdout);
        while (read(STDIN_FILENO, &byte, 1) > 0)
            ;
        ps_rpc_server_stop(server, 1000);
    }
    ps_rpc_server_free(&server);
    return st;
}

int main(int argc, char **argv)
{
    static ps_test_echo echo;
    if (argc != 2 || chdir(argv[1]) != 0)
        return 2;
    ps_tls_options options = {
        .side = PS_TLS_SERVER, .ca_file = "ca.pem", .cert_file = "psd.pem", .key_file = "psd.key"};
    ps_tls_context *tls = NULL;
    ps_loops *loops = NULL;
    ps_status st = make_certificates();
    if (!st)
        st = ps_tls_context_new(&options, &tls);
    if (!st)
        st = ps_loops_create(2, true, &loops);
    if (!st)
        st = serve(loops, tls, &echo);
    if (st)
        ps_log_error("echo", "%s", ps_error_message());
    ps_loops_free(&loops);
    ps_tls_context_unref(&tls);
    return st ? 1 : 0;
}
