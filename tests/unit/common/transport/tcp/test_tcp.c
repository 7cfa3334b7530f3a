/* What a connection is told when it becomes a layer. */
#include "common/transport/tcp/tcp.h"

#include "tests/lib/check_main.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static ps_loop *loop;

/* A connection from one address of the machine to another; its two ends. */
static void connect_between(const char *from, const char *to, int ends[2])
{
    struct sockaddr_in client = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(from)};
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(to)};
    socklen_t len = sizeof server;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&server, len), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&server, &len), 0);
    ck_assert_int_eq(bind(ends[0], (struct sockaddr *)&client, len), 0);
    ck_assert_int_eq(connect(ends[0], (struct sockaddr *)&server, len), 0);
    ends[1] = accept(listener, NULL, NULL);
    ck_assert_int_ge(ends[1], 0);
    close(listener);
}

static void algorithm_of(int fd, char out[16])
{
    socklen_t len = 16;
    memset(out, 0, len);
    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, out, &len), 0);
}

/* As a layer: which algorithm the end that was given has then. */
static void check(const char *from, const char *to, const char *wanted)
{
    int ends[2];
    connect_between(from, to, ends);
    for (int i = 0; i < 2; i++) {
        char before[16], after[16];
        ps_layer *layer;
        algorithm_of(ends[i], before);
        ck_ok(ps_tcp_layer_create(loop, ends[i], &layer));
        algorithm_of(ends[i], after);
        ck_assert_str_eq(after, wanted ? wanted : before);
        layer->ops->close(layer);
    }
}

START_TEST(packets_within_the_machine_are_not_paced)
{
    ck_ok(ps_loop_create(&loop));
    check("127.0.0.1", "127.0.0.1", "reno");
    check("127.0.0.1", "127.0.0.2", NULL); /* stands for another machine: as the system has it */
    ps_loop_free(&loop);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &packets_within_the_machine_are_not_paced},
    {0},
};

int main(void)
{
    return ps_check_main("common/transport/tcp/tcp", tests);
}
