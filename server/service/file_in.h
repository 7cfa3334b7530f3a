/* file_in: a file up a client stream: a header first, then pieces in order.
 *
 * Pieces are written on the thread pool to a file of a name of its own, one after the other; while
 * they wait they hold the call's flow-control window, so a fast client waits for the disk. After
 * the half-close the file is fsynced and handed to `complete`. Whatever fails, and a call that ends
 * early, leaves no file behind.
 */
#ifndef PS_SERVICE_FILE_IN_H
#define PS_SERVICE_FILE_IN_H

#include "server/service/unary.h"

typedef struct ps_file_in_kind {
    const ProtobufCMessageDescriptor *request; /* payload in field PS_PAYLOAD_FIELD */
    bool (*has_header)(const ProtobufCMessage *message);
    /* On the loop: may this caller, and this header? *data is kept for the other two. */
    PS_MUST_CHECK ps_status (*begin)(ps_services *services, const ps_call *call,
                                     const ProtobufCMessage *message, void **data);
    /* Where the file of this header is to be. */
    ps_stored_place (*place)(const void *data);
    /* Off the loop: the file is whole and on disk at place->incoming. It must be given its name; on
     * failure it is removed. */
    PS_MUST_CHECK ps_status (*complete)(ps_services *services, const ps_caller *caller, void *data,
                                        const ps_stored_place *place, uint64_t bytes,
                                        ProtobufCMessage **reply);
    void (*free)(void *data);
} ps_file_in_kind;

void ps_file_in(ps_call *call, ps_services *services, const ps_file_in_kind *kind);

#endif
