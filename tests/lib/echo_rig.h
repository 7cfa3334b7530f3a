/* echo_rig: a server of Echo on two loops and a client's channel, in one process over mTLS on
 * loopback; and calls that are run to their end. What fails here fails the test.
 */
#ifndef PS_TEST_ECHO_RIG_H
#define PS_TEST_ECHO_RIG_H

#include "common/transport/channel/channel.h"
#include "tests/lib/echo.h"
#include "tests/lib/pki.h"

#include <pthread.h>

#define ECHO_UNARY    "/psd.test.v1.Echo/Unary"
#define ECHO_DOWNLOAD "/psd.test.v1.Echo/Download"
#define ECHO_UPLOAD   "/psd.test.v1.Echo/Upload"
#define ECHO_TALK     "/psd.test.v1.Echo/Talk"

typedef struct echo_rig {
    ps_test_pki pki;
    ps_tls_context *server_tls, *client_tls;
    ps_loops *loops;
    ps_loop *loop; /* the client's, run by the test's thread */
    ps_rpc_server_options options;
    ps_rpc_server *server;
    ps_channel *channel;
    ps_test_echo echo;
    ps_status (*authorise)(void *user, const ps_identity *peer, const char *path);
    ps_account *(*account)(void *user, const ps_identity *peer); /* the user is the rig */
    char target[64];
    pthread_mutex_t lock;
    char refused[PS_ERROR_MAX]; /* the last refusal: "path: reason" */
    char states[4096];          /* "up;" and "down: reason;" of the channel */
} echo_rig;

/* All of it but the channel. limits may be NULL. rig is zero but for echo, authorise and
 * account. */
void echo_rig_open(echo_rig *rig, const ps_rpc_limits *limits);
void echo_rig_connect(echo_rig *rig, const ps_channel_options *options /* or NULL */);
void echo_rig_close(echo_rig *rig);
/* The parts, for two processes. */
void echo_rig_pki(echo_rig *rig);
void echo_rig_serve(echo_rig *rig, const ps_rpc_limits *limits);
void echo_rig_stop(echo_rig *rig);
void echo_rig_dial(echo_rig *rig, uint16_t port);

void echo_rig_refused(echo_rig *rig, char out[PS_ERROR_MAX]);

/* One call and what came of it. */
typedef struct echo_call {
    ps_call *call;
    ps_status status;
    char message[PS_ERROR_MAX];
    bool done, keep, no_crc; /* keep: messages are not released but kept */
    unsigned messages;
    uint64_t bytes;
    uint32_t crc;
    ps_message *kept[512];
    unsigned n_kept;
    void (*on_message)(struct echo_call *c, const Psd__Test__V1__Piece *piece);
    void (*on_writable)(struct echo_call *c);
    Psd__Test__V1__Sum *sum; /* an upload's */
    void *user;
} echo_call;

void echo_start(echo_rig *rig, echo_call *c, const char *path, const ps_call_options *options);
/* A whole unary call, answered after delay_ms. */
void echo_start_slow(echo_rig *rig, echo_call *c, unsigned delay_ms);
void echo_send(echo_call *c, uint64_t number, const char *text, ps_slice payload);
void echo_send_counted(echo_call *c, ps_slice payload, unsigned *released);
void echo_wait(echo_rig *rig, echo_call *c); /* to its end */
void echo_run_ms(echo_rig *rig, unsigned ms);
void echo_clear(echo_call *c);
/* A unary call with this request: its status; reply may be NULL. */
ps_status echo_unary(echo_rig *rig, Psd__Test__V1__Piece *request, const ps_call_options *options,
                     Psd__Test__V1__Piece **reply);

#endif
