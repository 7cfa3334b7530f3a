/* conversation: turns of a person and a stored model, by a chat template. The whole of it goes to
 * the model with each question; where it no longer fits into the model's context, the oldest turns
 * stay out. One thread (not asserted: psctl has no other). */
#ifndef PS_FOLLOW_CONVERSATION_H
#define PS_FOLLOW_CONVERSATION_H

#include "client/follow/say.h"
#include "common/chat/chat.h"

typedef struct ps_turn {
    bool by_model;
    char *text;
} ps_turn;

typedef struct ps_conversation {
    ps_client *client;
    const ps_speaker *speaker;
    const ps_say_keys *keys;
    ps_chat *chat;
    bool special;    /* what people say may hold tokens */
    int64_t most;    /* tokens of an answer, as the keys say */
    char *system;    /* NULL: the template's own, or none */
    char *bos, *eos; /* NULL: the model has none */
    uint32_t bos_id, eos_id;
    ps_turn *turns; /* the person's and the model's, alternating */
    size_t n, capacity;
    size_t left_out; /* the oldest, which no longer fit */
} ps_conversation;

/* template: the name of one; NULL: the model's own. PS_FAILED_PRECONDITION: it has none, or one
 * that is not known, or no tokens for it; what to do is said. Free it in any case. */
PS_MUST_CHECK ps_status ps_conversation_open(ps_client *client, const ps_speaker *speaker,
                                             const ps_say_keys *keys, const char *template,
                                             ps_conversation *out);
void ps_conversation_free(ps_conversation *conversation);

/* NULL: the template's own. PS_INVALID_ARGUMENT, and nothing is changed: it takes none. */
PS_MUST_CHECK ps_status ps_conversation_system(ps_conversation *conversation, const char *text);
void ps_conversation_reset(ps_conversation *conversation); /* no turns; the system prompt stays */

/* A question and its answer. PS_OK: both are part of the conversation. PS_CANCELLED, and
 * client->interrupted: so they are, as far as the answer came. Otherwise nothing has changed.
 * *say is the caller's: ps_say_free, in any case. */
PS_MUST_CHECK ps_status ps_conversation_ask(ps_conversation *conversation, const char *text,
                                            ps_say *say);

#endif
