/* Happy path: bytes from the budget, of the message and of what goes with it; the end of the
 * message is aligned, so that a payload, which is its last field, is aligned for floats when its
 * size is a multiple of theirs. The last release goes to the loop of the message when it is made on
 * another thread.
 *
 * Failure: over the budget, or no memory. */
#include "common/transport/call/message.h"

#include "common/transport/call/message_internal.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <stdatomic.h>

#define ALIGN 64u
/* The struct, what its handler keeps beside it (a chunk of a push), and malloc's own: else a peer
 * could make us hold many times what it may by messages of a few bytes. */
#define BESIDE 256u

struct ps_message {
    atomic_uint refs;
    uint8_t *data;
    size_t len;
    uint8_t *buffer;
    size_t capacity;
    ps_budget *budget;
    ps_loop *loop;
    ps_loop_task job;
    void (*on_release)(void *owner, size_t len);
    void *owner;
};

static size_t room_for(size_t len)
{
    return len ? (len + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
}

size_t ps_message_cost(size_t len)
{
    return room_for(len) + BESIDE;
}

ps_status ps_message_create(ps_budget *budget, ps_loop *loop, size_t len,
                            void (*on_release)(void *owner, size_t len), void *owner,
                            ps_message **out)
{
    PS_REQUIRE(budget && (loop || !on_release));
    if (!ps_budget_take(budget, ps_message_cost(len)))
        return ps_fail_retry(PS_RESOURCE_EXHAUSTED, PS_MESSAGE_RETRY_MS,
                             "message of %zu bytes: the memory for messages is in use, retry", len);
    size_t capacity = 0;
    size_t room = room_for(len);
    uint8_t *buffer = ps_budget_buffer(budget, room, &capacity);
    if (!buffer) {
        ps_budget_give(budget, ps_message_cost(len));
        return ps_fail_retry(PS_NO_MEMORY, PS_MESSAGE_RETRY_MS,
                             "message of %zu bytes: out of memory", len);
    }
    ps_message *message = ps_new(ps_message);
    atomic_store(&message->refs, 1);
    message->len = len;
    message->buffer = buffer;
    message->data = buffer + (room - len);
    message->capacity = capacity;
    message->budget = budget;
    ps_budget_ref(budget);
    message->loop = loop;
    message->on_release = on_release;
    message->owner = owner;
    *out = message;
    return PS_OK;
}

uint8_t *ps_message_data(ps_message *message)
{
    return message->data;
}

ps_slice ps_message_bytes(const ps_message *message)
{
    return ps_slice_of(message->data, message->len);
}

void ps_message_ref(ps_message *message)
{
    unsigned before = atomic_fetch_add(&message->refs, 1);
    PS_REQUIRE(before > 0);
}

static void give_back(ps_message *message)
{
    ps_budget_buffer_give(message->budget, message->buffer, message->capacity);
    ps_budget_give(message->budget, ps_message_cost(message->len));
    if (message->on_release) {
        ps_loop_require_on(message->loop);
        message->on_release(message->owner, message->len);
    }
    ps_budget_unref(&message->budget);
    free(message);
}

static void released_cb(ps_loop_task *job)
{
    give_back(ps_container(job, ps_message, job));
}

void ps_message_release(ps_message **pointer)
{
    ps_message *message = *pointer;
    *pointer = NULL;
    if (!message || atomic_fetch_sub(&message->refs, 1) != 1)
        return;
    if (!message->on_release || ps_loop_is_current(message->loop)) {
        give_back(message);
        return;
    }
    ps_loop_task_init(&message->job, released_cb);
    ps_loop_post(message->loop, &message->job);
}
