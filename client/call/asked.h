/* asked: questions as psctl chat writes them, for tokens to be trained on: the template that a
 * model's folder has, or one by name, and what ends an answer in it. One thread (not asserted:
 * psctl has no other). */
#ifndef PS_CALL_ASKED_H
#define PS_CALL_ASKED_H

#include "common/base/slice.h"
#include "common/chat/chat.h"

typedef struct ps_asked {
    ps_chat *chat;
    const ps_tokenizer *tokenizer; /* borrowed */
    char *bos, *eos;               /* as the folder names them; NULL: it does not */
    uint32_t bos_id, eos_id;
    uint32_t end; /* the token that ends an answer */
    ps_chat_day today;
} ps_asked;

/* folder: of a model or a tokenizer of Hugging Face. name: a template's, or "own", the folder's.
 * Free it in any case. PS_INVALID_ARGUMENT: there is no such template, the tokenizer lacks its
 * tokens, or nothing ends an answer. */
PS_MUST_CHECK ps_status ps_asked_open(const char *folder, const char *name,
                                      const ps_tokenizer *tokenizer, ps_asked *out);
/* Has the folder a chat template? */
bool ps_asked_has_own(const char *folder);
void ps_asked_free(ps_asked *asked);
/* Appends the tokens of one question, up to where its answer begins. */
PS_MUST_CHECK ps_status ps_asked_put(const ps_asked *asked, ps_slice question, ps_ids *out);

#endif
