/* Happy path: a connection is counted in its peer's account from its TLS handshake to its end.
 *
 * Failure: it is one too many. A client would understand nothing of a connection that is closed at
 * once, and make the next; so it stays for a second, in which its first call is answered with the
 * reason and when to come again, unless there is room by then. Few stay so: they hold files that
 * are others'. Those who come from there next wait for their turn (rpc_pace.c). */
#include "common/transport/server/rpc_internal.h"

#include "common/base/require.h"

enum { LINGER_MS = 1000, LINGERING_MOST = 16 };

static void stop_lingering(ps_rpc_connection *c)
{
    if (c->lingers)
        c->home->server->lingering--;
    c->lingers = false;
}

static void linger(ps_rpc_connection *c, const ps_error *why)
{
    ps_rpc_server *server = c->home->server;
    c->lingers = server->lingering++ < LINGERING_MOST;
    if (c->lingers) {
        ps_http2_close_within(c->conn, LINGER_MS, why->message);
    } else {
        server->lingering--;
        ps_http2_close(c->conn, why->code, why->message);
    }
}

void ps_rpc_connection_enter(ps_rpc_connection *c)
{
    ps_loop_require_on(c->home->loop);
    PS_REQUIRE(!c->counted && !c->lingers);
    ps_rpc_server *server = c->home->server;
    if (!server->options.account)
        return;
    const ps_identity *peer = ps_http2_peer(c->conn);
    ps_account *account = server->options.account(server->options.user, peer);
    ps_http2_set_account(c->conn, account);
    ps_status st = ps_account_take(account, PS_ACCOUNT_CONNECTIONS, 1);
    c->counted = !st;
    if (!st)
        return;
    ps_error why;
    ps_error_save(&why, st);
    c->refused = true;
    server->handshakes_refused++;
    ps_rpc_refused(server, c->address, peer, NULL, why.message);
    ps_rpc_pace_refused(c);
    linger(c, &why);
}

ps_status ps_rpc_connection_admit(ps_rpc_connection *c)
{
    ps_loop_require_on(c->home->loop);
    if (!c->lingers)
        return PS_OK;
    ps_status st = ps_account_take(c->conn->account, PS_ACCOUNT_CONNECTIONS, 1);
    c->counted = !st;
    if (!st) {
        stop_lingering(c);
        ps_http2_keep(c->conn);
        ps_rpc_connection_verify(c); /* against certificates that were read again meanwhile */
    }
    return st;
}

void ps_rpc_connection_leave(ps_rpc_connection *c)
{
    ps_loop_require_on(c->home->loop);
    stop_lingering(c);
    if (c->counted)
        ps_account_give(c->conn->account, PS_ACCOUNT_CONNECTIONS, 1);
    c->counted = false;
}
