/* http2_session: one side of a connection over a pipe, for fuzz_http2_session, with limits small
 * enough to be met, and what holds for it at any time.
 *
 * An input is three bytes and what the peer says. Byte 0 is a set of PS_FUZZ_*, byte 1 the seed of
 * where it is cut into pieces (0: not), byte 2 how narrow the pipe is. The preface and SETTINGS of
 * the peer come before it, and are answered, unless RAW. With FRAMES it is a list of frames, [type,
 * flags, stream, length, payload], so that a length that is changed does not lose all that follows;
 * otherwise plain bytes. http2_seeds.py writes the corpus.
 */
#ifndef PS_FUZZ_HTTP2_SESSION_H
#define PS_FUZZ_HTTP2_SESSION_H

#include "common/base/buf.h"
#include "common/transport/server/rpc_internal.h"
#include "tests/lib/echo.h"
#include "tests/lib/pipe.h"

enum { PS_FUZZ_HEAD = 3 };
enum {
    PS_FUZZ_CLIENT = 1, /* our side is the client's */
    PS_FUZZ_RAW = 2,
    PS_FUZZ_FRAMES = 4,
    PS_FUZZ_DEAF = 8, /* the peer reads nothing */
    PS_FUZZ_END_SHIFT = 4,
};
enum { PS_FUZZ_END_CLOSE, PS_FUZZ_END_DRAIN, PS_FUZZ_END_HANG_UP };

#define PS_FUZZ_CALLS 4

typedef struct ps_fuzz_session {
    ps_loop *loop;
    ps_layer *far;  /* the peer's end; NULL once hung up */
    ps_http2 *conn; /* a reference of ours */
    bool client, deaf, closed;
    ps_http2_stats *traffic;
    ps_budget *budget;
    ps_rpc_server *server; /* server side: made by hand, as it has no socket and no TLS */
    ps_test_echo echo;
    ps_http2_stats client_traffic;
    ps_call *calls[PS_FUZZ_CALLS]; /* client side */
    unsigned started, ended;
    ps_message *kept;
} ps_fuzz_session;

void ps_fuzz_session_open(ps_fuzz_session *s, bool client, bool deaf, const ps_pipe_faults *faults);
/* What a peer says first, and what it says by an input's bytes behind their head. */
void ps_fuzz_session_greeting(const ps_fuzz_session *s, ps_buf *out);
void ps_fuzz_session_bytes(unsigned flags, ps_slice input, ps_buf *out);
/* Aborts when a limit is passed. */
void ps_fuzz_session_check(ps_fuzz_session *s);
/* After the connection was closed and has settled; aborts when anything is left of it. */
void ps_fuzz_session_close(ps_fuzz_session *s);

#endif
