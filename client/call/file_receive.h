/* file_receive: a file that psd sends, chunk by chunk (Models.Export, Models.GetArtifact). One
 * thread (not asserted: psctl has no other). */
#ifndef PS_CALL_FILE_RECEIVE_H
#define PS_CALL_FILE_RECEIVE_H

#include "client/call/client.h"

/* Each piece of the file goes to take, in order and in place; a failure from there ends the call
 * and is returned (PS_END: enough, returned as PS_OK). *bytes (may be NULL): how many have come.
 * PS_DATA_LOSS: the call has ended well before the file did. */
PS_MUST_CHECK ps_status ps_receive_file(ps_client *client, const char *path,
                                        const ProtobufCMessage *request,
                                        ps_status (*take)(void *user, ps_slice piece), void *user,
                                        uint64_t *bytes);

#endif
