/* bench_transport: the bare transport, server and client in two processes over mTLS on loopback:
 * pieces of 1 MiB up and down, and unary calls of 1 KiB.
 *
 *     bench_transport [GB=2] [CALLS=5000] [up|down|unary|all]
 *
 * Prints one line each: name, GB/s (1e9 bytes), or p50 and p99 in microseconds. Compare with
 * tls_limit of the same run. */
#include "tests/lib/echo_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE (1u << 20)

static uint8_t piece[PIECE];

static double now_s(void)
{
    return (double)ps_clock_ns(&ps_clock_system) * 1e-9;
}

static void upload_more(echo_call *c)
{
    uint64_t *left = c->user;
    while (*left > 0 && ps_call_writable(c->call)) {
        (*left)--;
        echo_send(c, *left, "", ps_slice_of(piece, sizeof piece));
    }
    if (*left == 0)
        ps_call_half_close(c->call);
}

static void report(const char *name, uint64_t pieces, double seconds)
{
    printf("%-6s %.3f GB/s\n", name, (double)pieces * PIECE / seconds / 1e9);
    fflush(stdout);
}

static void bench_up(echo_rig *rig, uint64_t pieces)
{
    uint64_t left = pieces;
    echo_call c = {.on_writable = upload_more, .user = &left};
    double begin = now_s();
    echo_start(rig, &c, ECHO_UPLOAD, NULL);
    upload_more(&c);
    echo_wait(rig, &c);
    if (c.status || c.sum->messages != pieces)
        printf("up failed: %s\n", c.message);
    report("up", pieces, now_s() - begin);
    echo_clear(&c);
}

static void bench_down(echo_rig *rig, uint64_t pieces)
{
    echo_call c = {.no_crc = true};
    Psd__Test__V1__Ask ask = PSD__TEST__V1__ASK__INIT;
    ask.count = pieces;
    ask.size = PIECE;
    double begin = now_s();
    echo_start(rig, &c, ECHO_DOWNLOAD, NULL);
    ps_call_send(c.call, &ask.base, NULL);
    ps_call_half_close(c.call);
    echo_wait(rig, &c);
    if (c.status || c.messages != pieces)
        printf("down failed: %s\n", c.message);
    report("down", pieces, now_s() - begin);
    echo_clear(&c);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void bench_unary(echo_rig *rig, unsigned calls)
{
    static char text[1001];
    memset(text, 'x', 1000);
    double *us = calloc(calls, sizeof *us);
    for (unsigned i = 0; i < calls; i++) {
        Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
        request.text = text;
        double begin = now_s();
        if (echo_unary(rig, &request, NULL, NULL))
            printf("unary failed: %s\n", ps_error_message());
        us[i] = (now_s() - begin) * 1e6;
    }
    qsort(us, calls, sizeof *us, by_value);
    printf("%-6s p50 %.0f us, p99 %.0f us\n", "unary", us[calls / 2], us[calls * 99 / 100]);
    free(us);
}

/* The server's process: runs until the pipe is closed. */
static void serve(const ps_test_pki *pki, int port_out, int until)
{
    static echo_rig rig;
    rig.pki = *pki;
    rig.echo.no_crc = true;
    echo_rig_serve(&rig, NULL);
    uint16_t port = ps_rpc_server_port(rig.server);
    char byte;
    if (write(port_out, &port, sizeof port) == sizeof port)
        while (read(until, &byte, 1) > 0)
            ;
    echo_rig_stop(&rig);
    _exit(0);
}

static double gb = 2;
static unsigned calls = 5000;
static const char *what = "all";

START_TEST(measure)
{
    static echo_rig rig;
    uint64_t pieces = (uint64_t)(gb * 1e9 / PIECE);
    int port_pipe[2], until[2];
    uint16_t port = 0;
    echo_rig_pki(&rig);
    ck_assert(pipe(port_pipe) == 0 && pipe(until) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(until[1]);
        serve(&rig.pki, port_pipe[1], until[0]);
    }
    ck_assert(read(port_pipe[0], &port, sizeof port) == sizeof port);
    echo_rig_dial(&rig, port);
    memset(piece, 7, sizeof piece);
    bool all = strcmp(what, "all") == 0;
    bench_unary(&rig, 100); /* connected and warm */
    if (all || strcmp(what, "up") == 0)
        bench_up(&rig, pieces);
    if (all || strcmp(what, "down") == 0)
        bench_down(&rig, pieces);
    if (all || strcmp(what, "unary") == 0)
        bench_unary(&rig, calls);
    ps_channel_free(&rig.channel);
    ps_loop_free(&rig.loop);
    ps_tls_context_unref(&rig.client_tls);
    close(until[1]);
    waitpid(child, NULL, 0);
    ps_test_pki_close(&rig.pki);
}
END_TEST

/* As a test of Check, in this process: the certificates come from the tests' library. */
int main(int argc, char **argv)
{
    if (argc > 1)
        gb = atof(argv[1]);
    if (argc > 2)
        calls = (unsigned)atoi(argv[2]);
    if (argc > 3)
        what = argv[3];
    Suite *suite = suite_create("bench");
    TCase *tcase = tcase_create("transport");
    tcase_add_test(tcase, measure);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_MINIMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
