/* budget: bytes that received messages may take, and a server's answers that wait to be sent, of a
 * server or of a channel, and the buffers of messages that are done, to be used again. Counted
 * references; any thread.
 */
#ifndef PS_TRANSPORT_CALL_BUDGET_H
#define PS_TRANSPORT_CALL_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ps_budget ps_budget;

void ps_budget_create(size_t limit, ps_budget **out);
void ps_budget_ref(ps_budget *budget);
void ps_budget_unref(ps_budget **budget);
bool ps_budget_take(ps_budget *budget, size_t bytes);   /* false: it would be over the limit */
void ps_budget_charge(ps_budget *budget, size_t bytes); /* is held already, over the limit or not */
void ps_budget_give(ps_budget *budget, size_t bytes);
size_t ps_budget_used(const ps_budget *budget);
size_t ps_budget_left(const ps_budget *budget);

/* A buffer of at least `bytes` and its true size; NULL when out of memory. Not zeroed. Large ones
 * come from those that were given back before. */
uint8_t *ps_budget_buffer(ps_budget *budget, size_t bytes, size_t *capacity);
void ps_budget_buffer_give(ps_budget *budget, uint8_t *buffer, size_t capacity);

#endif
