/* Happy path: nobody was refused of late, and an accepted socket goes to its loop at once.
 *
 * Failure: one was, for it was one connection too many of its identity (rpc_account.c, on whatever
 * loop): that is told to the loop that accepts, which alone has the table (pace.h). Sockets from
 * there wait for their turn, without a byte being read, or are closed, without a handshake. They
 * count as connections meanwhile: they hold files. */
#include "common/transport/server/rpc_internal.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/transport/server/pace.h"

#include <poll.h>
#include <unistd.h>

typedef struct refusal {
    ps_loop_task job;
    ps_rpc_server *server;
    ps_pace_source source;
} refusal;

static ps_loop *acceptor(const ps_rpc_server *server)
{
    return server->homes[0].loop;
}

static uint64_t now_ns(void)
{
    return ps_clock_ns(&ps_clock_system);
}

static void wait_for_turn(ps_rpc_server *server)
{
    const uint64_t ms_ns = 1000000;
    uint64_t due = ps_pace_due_ns(server->pace), now = now_ns();
    if (due == UINT64_MAX)
        return;
    ps_timer_start(server->pace_timer, due > now ? (due - now + ms_ns - 1) / ms_ns : 0, 0);
}

static void turn_cb(void *user)
{
    ps_rpc_server *server = user;
    for (int fd; (fd = ps_pace_next(server->pace, now_ns())) >= 0;)
        ps_rpc_connection_begin(server, fd);
    wait_for_turn(server);
}

static void turn_away(ps_rpc_server *server, int fd, const char *address, bool say)
{
    (void)close(fd);
    ps_rpc_count_connections(server, -1);
    server->handshakes_refused++;
    if (say)
        ps_rpc_refused(server, address, NULL, NULL,
                       "too many connections wait from this address, where one identity opens "
                       "more than its quota again and again");
}

static bool is_gone(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1; /* or an error, of which nobody asks to be told */
}

/* Places that nobody needs any more are given back when they are all taken: else who connects and
 * leaves, again and again, would keep the others out. */
static ps_pace_turn ask(ps_rpc_server *server, const ps_pace_source *source, int fd)
{
    ps_pace_turn turn = ps_pace_ask(server->pace, source, fd, now_ns());
    if (turn == PS_PACE_BEGIN || turn == PS_PACE_WAIT)
        return turn;
    int left = ps_pace_take_gone(server->pace, source, is_gone);
    if (left < 0)
        return turn;
    for (; left >= 0; left = ps_pace_take_gone(server->pace, source, is_gone))
        turn_away(server, left, "?", false);
    return ps_pace_ask(server->pace, source, fd, now_ns());
}

void ps_rpc_pace_accepted(ps_rpc_server *server, int fd)
{
    ps_loop_require_on(acceptor(server));
    char address[PS_ADDRESS_TEXT];
    ps_pace_source source;
    ps_pace_turn turn = PS_PACE_BEGIN;
    if (ps_pace_any(server->pace)) {
        ps_tcp_peer_text(fd, address);
        if (ps_pace_source_of(address, &source))
            turn = ask(server, &source, fd);
    }
    if (turn == PS_PACE_BEGIN)
        ps_rpc_connection_begin(server, fd);
    else if (turn == PS_PACE_WAIT)
        wait_for_turn(server);
    else
        turn_away(server, fd, address, turn == PS_PACE_CLOSE_SAY);
}

static void refused_cb(ps_loop_task *job)
{
    refusal *r = ps_container(job, refusal, job);
    ps_pace_refused(r->server->pace, &r->source, now_ns());
    free(r);
}

void ps_rpc_pace_refused(ps_rpc_connection *connection)
{
    ps_loop_require_on(connection->home->loop);
    ps_pace_source source;
    if (!ps_pace_source_of(connection->address, &source))
        return;
    refusal *r = ps_new(refusal);
    *r = (refusal){.server = connection->home->server, .source = source};
    ps_loop_task_init(&r->job, refused_cb);
    ps_loop_post(acceptor(r->server), &r->job);
}

void ps_rpc_pace_start(ps_rpc_server *server)
{
    ps_loop_require_on(acceptor(server));
    ps_timer_create(acceptor(server), turn_cb, server, &server->pace_timer);
}

void ps_rpc_pace_stop(ps_rpc_server *server)
{
    ps_loop_require_on(acceptor(server));
    ps_timer_free(&server->pace_timer);
    for (int fd; (fd = ps_pace_give_up(server->pace)) >= 0;)
        turn_away(server, fd, "?", false);
}
