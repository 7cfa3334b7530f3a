/* client: what every command of psctl works with: the global flags, where output goes, and the
 * connection to psd, made at the first call. One thread (not asserted: psctl has no other). */
#ifndef PS_CALL_CLIENT_H
#define PS_CALL_CLIENT_H

#include "client/cli/command.h"
#include "client/show/table.h"
#include "common/loop/loop.h"
#include "common/transport/channel/channel.h"

struct ps_client {
    ps_globals globals;
    ps_buf out;     /* what goes to standard output; written when the command has ended */
    ps_style style; /* of standard output */
    bool json;
    bool usage;         /* the failure is one of usage: exit status 2 */
    bool interrupted;   /* exit status 130 */
    int interrupted_by; /* the signal, of a job that was followed; 0: not known */
    /* the connection; ps_client_connect */
    char *server;
    ps_loop *loop;
    ps_channel *channel;
    void (*on_state)(void *user, bool up, const char *reason); /* may be NULL */
    void *on_state_user;
};

void ps_client_init(ps_client *client);
/* After the flags are known: output form and style. */
void ps_client_prepare(ps_client *client);
void ps_client_clear(ps_client *client); /* closes the connection */

/* PS_INVALID_ARGUMENT with the text, and exit status 2. */
ps_status ps_client_usage(ps_client *client, const char *format, ...) PS_PRINTF(2, 3);

/* Puts the server before this thread's message when it was the way to it that failed. */
ps_status ps_client_explain(const ps_client *client, ps_status status);

/* Reads context and certificates and starts to connect; nothing when it was done before. */
PS_MUST_CHECK ps_status ps_client_connect(ps_client *client);

/* One unary call, at most --timeout (30 s). path: "/psd.v1.Jobs/Get". *reply is the caller's
 * (protobuf_c_message_free_unpacked). */
PS_MUST_CHECK ps_status ps_client_unary(ps_client *client, const char *path,
                                        const ProtobufCMessage *request,
                                        const ProtobufCMessageDescriptor *type,
                                        ProtobufCMessage **reply);

/* One request, many replies: each message's bytes go to on_message, in place; a failure from there
 * ends the call and is returned (PS_END: enough, returned as PS_OK). */
PS_MUST_CHECK ps_status ps_client_stream(ps_client *client, const char *path,
                                         const ProtobufCMessage *request,
                                         ps_status (*on_message)(void *user, ps_slice bytes),
                                         void *user);

/* Many requests, one reply: `next` sends the next message (ps_call_send) and returns PS_OK, PS_END
 * when there is none, or a failure that ends the call. It is called only while the call has room.
 */
PS_MUST_CHECK ps_status ps_client_upload(ps_client *client, const char *path,
                                         ps_status (*next)(void *user, ps_call *call), void *user,
                                         const ProtobufCMessageDescriptor *type,
                                         ProtobufCMessage **reply);

/* Frees a message that may be NULL and clears the pointer. */
#define ps_reply_free(pointer)                                                              \
    do {                                                                                    \
        if (*(pointer))                                                                     \
            protobuf_c_message_free_unpacked((ProtobufCMessage *)(void *)*(pointer), NULL); \
        *(pointer) = NULL;                                                                  \
    } while (0)

#endif
