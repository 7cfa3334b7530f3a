/* message_internal: how the transport makes messages. */
#ifndef PS_TRANSPORT_CALL_MESSAGE_INTERNAL_H
#define PS_TRANSPORT_CALL_MESSAGE_INTERNAL_H

#include "common/loop/loop.h"
#include "common/transport/call/budget.h"
#include "common/transport/call/message.h"

/* When memory that is in use may be free again. */
#define PS_MESSAGE_RETRY_MS 500

/* What a message of len bytes takes of the budget: its memory, with all that goes with it. */
size_t ps_message_cost(size_t len);
/* A message of len bytes, not yet filled, charged to the budget; it keeps a reference of it. The
 * last release calls on_release(owner, len) on the loop. PS_RESOURCE_EXHAUSTED over the budget,
 * PS_NO_MEMORY. on_release may be NULL. */
PS_MUST_CHECK ps_status ps_message_create(ps_budget *budget, ps_loop *loop, size_t len,
                                          void (*on_release)(void *owner, size_t len), void *owner,
                                          ps_message **out);
uint8_t *ps_message_data(ps_message *message);

#endif
