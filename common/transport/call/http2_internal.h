/* http2_internal: the fields of a connection and of a call, for http2*.c, flow.c, grpc_call.c and
 * the parts of the server and the channel that make calls. */
#ifndef PS_TRANSPORT_CALL_HTTP2_INTERNAL_H
#define PS_TRANSPORT_CALL_HTTP2_INTERNAL_H

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/transport/call/call_stats.h"
#include "common/transport/call/floods.h"
#include "common/transport/call/grpc_frame.h"
#include "common/transport/call/http2.h"
#include "common/transport/tcp/tcp.h"

#include <nghttp2/nghttp2.h>

#define PS_HTTP2_FRAME_MAX   (1u << 20)  /* SETTINGS_MAX_FRAME_SIZE, and of what we send */
#define PS_HTTP2_HEADERS_MAX (16u << 10) /* decoded bytes of one request's headers */
#define PS_CALL_HIGH_WATER   (1u << 20)
#define PS_CALL_LOW_WATER    (256u << 10)
#define PS_NEVER             UINT64_MAX
#define PS_HTTP2_WINDOW      (1u << 20) /* of a call at first; grows when data comes, see flow.c */

/* A DATA frame that nghttp2 believes sent: its bytes are taken from the call's queue as the layer
 * takes them. At most one of a connection. */
typedef struct ps_http2_tx {
    ps_call *call; /* NULL: none; a reference */
    uint8_t head[9];
    size_t len, done; /* head included */
} ps_http2_tx;

/*     handshake --TLS is done--> open --fails, drained, or is closed--> closing
 *         \______________________________________________________________^ |
 *                                                   a turn of the loop later v
 *                                                                         closed
 * Legal moves: http2.c. */
typedef enum ps_http2_state {
    PS_HTTP2_HANDSHAKE,
    PS_HTTP2_OPEN,
    PS_HTTP2_CLOSING, /* close_job is queued */
    PS_HTTP2_CLOSED,
    PS_HTTP2_STATES,
} ps_http2_state;

struct ps_http2 {
    ps_loop *loop;
    ps_layer *layer;
    unsigned refs;
    bool server;
    unsigned state; /* ps_http2_state */
    ps_http2_limits limits;
    ps_budget *budget;
    ps_account *account; /* server: its peer's; NULL: none */
    ps_http2_stats *stats;
    const ps_clock *clock;
    const ps_identity *(*peer_of)(const ps_layer *layer);
    int64_t (*peer_not_after_of)(const ps_layer *layer);
    const ps_http2_events *events;
    void *owner;
    char address[PS_ADDRESS_TEXT];
    ps_identity peer;
    int64_t peer_not_after; /* INT64_MAX: for ever */
    nghttp2_session *session;
    ps_list calls;
    unsigned n_calls;

    /* reading */
    ps_loop_task read_job; /* there may be more to read than one turn allows */
    bool up;               /* the peer's SETTINGS have come */
    ps_call *data_call;    /* of the DATA frame under way, without reference */
    size_t data_left;      /* of it */
    size_t header_bytes;   /* decoded of the header block under way */
    uint64_t received;     /* bytes, of all calls and of HTTP/2 itself */
    int fault;             /* nghttp2's error code of the last frame that it refused; 0: none */

    /* writing */
    ps_loop_task write_job;
    ps_http2_tx tx;
    const uint8_t *control; /* nghttp2's bytes that the layer has not taken */
    size_t control_len;
    uint64_t written;    /* bytes that the layer has taken */
    uint64_t blocked_ns; /* since when the layer has taken nothing; PS_NEVER: not blocked */

    /* flow control: bytes of messages, see flow.c */
    size_t held;    /* the cost of all that were begun and are not released */
    size_t lacking; /* of them, what has not come yet */
    size_t waiting; /* server: of answers that the layer has not taken */
    bool was_full;  /* these reached the limit, and have not fallen to half of it since */

    uint64_t narrow_ns; /* calls begin with a small window until then; 0: they do not */

    /* draining: GOAWAY was sent or received */
    bool draining, goaway_final;
    uint64_t retired_ns; /* closed at the latest then, for this reason; PS_NEVER: not retired */
    char retired_for[PS_ERROR_MAX];

    /* timers, see http2_timers.c */
    ps_timer *timer;
    uint64_t timer_ns;  /* when it fires; PS_NEVER: stopped */
    uint64_t begun_ns;  /* the handshake */
    uint64_t heard_ns;  /* the last byte from the peer */
    uint64_t pinged_ns; /* keepalive PING under way; PS_NEVER: none */
    bool looked;        /* what had come was read since the last tick found somebody late */
    bool look;          /* it did in this one */
    ps_floods floods;

    ps_loop_task close_job;
    ps_error close_error;
};

typedef enum ps_call_kind { PS_CALL_CLIENT, PS_CALL_UNARY, PS_CALL_STREAM } ps_call_kind;

struct ps_call {
    ps_list link; /* of its connection, or of the channel's waiting calls */
    ps_loop *loop;
    ps_http2 *conn; /* NULL before and after; a reference */
    unsigned refs;
    ps_call_kind kind;
    int32_t stream_id; /* 0: none yet */
    char *path;
    ps_buf metadata; /* key, 0, value, 0, and so on */
    const ps_call_events *events;
    void *user;
    bool wait_for_ready;
    uint64_t deadline_ns;               /* of the system clock's monotonic_ns; PS_NEVER: none */
    const struct ps_rpc_method *method; /* server */
    void *service;
    ps_call_stats *stats; /* server: of its method; NULL: there is none */
    uint64_t began_ns;

    /* sending */
    ps_list out;       /* outgoing */
    size_t out_off;    /* of the first one, bytes that the layer has taken */
    size_t queued;     /* bytes no frame was made of */
    uint64_t moved_ns; /* when the layer last took some of it, or the queue was empty */
    bool submitted;    /* the stream has a data source */
    bool was_high;     /* on_writable is owed, once the queue is low */
    bool tell_writable;
    size_t expected; /* ps_call_expect */
    bool local_end;  /* nothing follows what is queued: half-closed or finished */
    bool end_sent;   /* END_STREAM has left us */
    int finish_grpc; /* server: the status to send; -1: not finished */
    char *finish_text;
    uint64_t told_at_ns; /* server: the status is held back until then; 0: it is not */

    /* receiving */
    ps_grpc_frame frame;
    ps_message *request;  /* a unary call's, until it ends */
    size_t held, lacking; /* as of the connection */
    size_t beside;        /* of held, what is not bytes of messages */
    uint64_t fed_ns;      /* when data last came */
    uint64_t fed_at;      /* and what the connection had received then */
    size_t keeps;         /* of ps_call_keep; 0: what is received is released as it comes */
    bool counted;         /* server: in the account; until the last reference is dropped */
    int retry_ms;         /* after how long what failed may be tried again, as ps_error_retry_ms */
    bool remote_end, no_reading;
    ps_error refuse; /* server: why the headers are not acceptable; code PS_OK: they are */
    int refuse_http; /* with this status of HTTP, when not 0 */
    bool has_method, has_te, has_type;

    /* client: what the headers said */
    int http_status, grpc_status; /* 0 and -1: nothing yet */
    ps_buf grpc_message;
    bool bad_type, compressed;

    /* the end */
    bool ended, told_end; /* on_end is queued; was delivered */
    ps_error end;
    ps_loop_task job; /* on_writable and on_end, outside of every call of ours */
};

/* http2.c */
void ps_http2_write_soon(ps_http2 *conn);
uint64_t ps_http2_now(const ps_http2 *conn);
static inline bool ps_http2_is_alive(const ps_http2 *conn)
{
    return conn->state == PS_HTTP2_HANDSHAKE || conn->state == PS_HTTP2_OPEN;
}
/* http2_callbacks.c: an nghttp2 session with our options and SETTINGS. */
PS_MUST_CHECK ps_status ps_http2_session_create(ps_http2 *conn);
static inline uint32_t ps_http2_first_window(const ps_http2 *conn)
{
    size_t most = conn->limits.call_bytes;
    return most < PS_HTTP2_WINDOW ? (uint32_t)most : PS_HTTP2_WINDOW;
}
/* http2_send.c */
PS_MUST_CHECK ps_status ps_http2_write(ps_http2 *conn);
nghttp2_data_provider ps_http2_data_of(ps_call *call);
int ps_http2_send_data_cb(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                          size_t length, nghttp2_data_source *source, void *user);
ssize_t ps_http2_frame_size_cb(nghttp2_session *session, uint8_t type, int32_t stream_id,
                               int32_t session_window, int32_t stream_window, uint32_t frame_max,
                               void *user);
/* http2_server.c, http2_client.c: headers in and out */
void ps_http2_server_header(ps_call *call, ps_slice name, ps_slice value);
void ps_http2_server_headers_done(ps_call *call);
void ps_http2_server_respond(ps_call *call); /* headers, before the first message */
void ps_http2_server_trailers(ps_call *call, bool with_headers); /* status, ends the stream */
void ps_http2_client_header(ps_call *call, ps_slice name, ps_slice value);
void ps_http2_client_headers_done(ps_call *call);
void ps_http2_client_stream_closed(ps_call *call, uint32_t error_code);
/* http2_timers.c */
void ps_http2_timer_at(ps_http2 *conn, uint64_t when_ns); /* not later than this */
void ps_http2_timer_cb(void *user);
void ps_http2_heard(ps_http2 *conn);
/* held_back.c: before ps_call_finish of a call that failed so: told_at_ns, and a shorter retry_ms,
 * when its peer has come again before it was told to. */
void ps_held_back_begin(ps_call *call, ps_status code);
/* Its time may have come; PS_NEVER: nothing is held back. */
uint64_t ps_held_back_check(ps_call *call, uint64_t now);
/* Calls may begin with their whole window again; when that is due, or PS_NEVER. */
uint64_t ps_held_back_widen(ps_http2 *conn, uint64_t now);
/* flow.c */
ps_status ps_flow_make(void *call, size_t len, ps_message **out); /* a ps_grpc_frame_make */
void ps_flow_filled(ps_call *call);
void ps_flow_forget(ps_call *call); /* what is partial is not waited for any more */
void ps_flow_update(ps_http2 *conn, ps_call *call);
void ps_flow_next(ps_http2 *conn); /* the oldest call that keeps what it gets may be another */

/* grpc_call.c */
void ps_call_create(ps_loop *loop, ps_call_kind kind, const char *path, ps_call **out);
void ps_call_attach(ps_call *call, ps_http2 *conn); /* into its list, with a reference */
/* on_end with status and text, soon; drops what is queued. Only the first one counts. */
void ps_call_end(ps_call *call, ps_status status, const char *text);
void ps_call_message(ps_call *call, ps_message *message);  /* one has arrived */
void ps_call_remote_end(ps_call *call);                    /* no more will */
void ps_call_refuse_data(ps_call *call, ps_status status); /* what has arrived is not acceptable */
/* Removes bytes that the layer took from the queue. */
void ps_call_sent(ps_call *call, size_t bytes);
/* Up to n slices of what is queued first. */
size_t ps_call_peek(const ps_call *call, ps_slice *slices, size_t n, size_t bytes);
void ps_call_reset(ps_call *call, uint32_t error_code);
void ps_call_drop_queue(ps_call *call);
/* Ends it for a reason of time: a client is told with the status, as far as it lets itself be. */
void ps_call_give_up(ps_call *call, ps_status status, const char *text);

#endif
