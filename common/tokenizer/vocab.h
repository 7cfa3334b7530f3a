/* vocab: texts and their ids, both ways; private to common/tokenizer. Sized by a file, so adding
 * can fail. */
#ifndef PS_TOKENIZER_VOCAB_H
#define PS_TOKENIZER_VOCAB_H

#include "common/base/slice.h"
#include "common/base/status.h"

typedef struct ps_vocab ps_vocab;

ps_vocab *ps_vocab_new(void);
void ps_vocab_free(ps_vocab **vocab);
/* PS_INVALID_ARGUMENT: too long, an id out of range, or text or id is taken. */
PS_MUST_CHECK ps_status ps_vocab_add(ps_vocab *vocab, ps_slice text, uint64_t id);
bool ps_vocab_find(const ps_vocab *vocab, ps_slice text, uint32_t *id);
/* {NULL, 0} when no text has this id. Valid until the next add. */
ps_slice ps_vocab_at(const ps_vocab *vocab, uint32_t id);
uint32_t ps_vocab_end(const ps_vocab *vocab); /* one more than the highest id */

#endif
