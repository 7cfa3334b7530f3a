/* list: a list that the server gives in pages (page_size, page_token, next_page_token; see
 * jobs.proto), as one. One thread (not asserted: psctl has no other). */
#ifndef PS_CALL_LIST_H
#define PS_CALL_LIST_H

#include "client/call/client.h"

/* Asks for page after page, and gives the rows of all of them in one reply of that type, whose
 * first field they are: at most `limit` (0: all). request is any with the two fields, which are set
 * for the call and left empty. */
PS_MUST_CHECK ps_status ps_client_list(ps_client *client, const char *path,
                                       ProtobufCMessage *request,
                                       const ProtobufCMessageDescriptor *type, uint64_t limit,
                                       ProtobufCMessage **reply);

/* The rows of `from` behind those of `into`, which is of the same type; from is left without any.
 */
void ps_list_append_rows(ProtobufCMessage *into, ProtobufCMessage *from);

#endif
