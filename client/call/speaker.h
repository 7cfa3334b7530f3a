/* speaker: a stored language model that is to say something, or one of texts that is to embed them:
 * which version of it, its tokenizer, and the tokens that begin and end its texts. One thread (not
 * asserted: psctl has no other). */
#ifndef PS_CALL_SPEAKER_H
#define PS_CALL_SPEAKER_H

#include "client/call/client.h"
#include "common/conf/job_spec.h"
#include "common/format/safetensors.h"
#include "common/format/token_ids.h"
#include "common/tokenizer/tokenizer.h"

typedef struct ps_speaker {
    const char *name; /* borrowed */
    char *version;    /* whose tokenizer this is, and whose answers are wanted */
    ps_spec_model *model;
    ps_safetensors *header;
    ps_tokenizer *tokenizer;
    ps_token_ids ids;
    int64_t vocab_size, context_length;
} ps_speaker;

/* tokenizer: as ps_tokenizer_open takes it, instead of the model's own; NULL: the model's. Free it
 * in any case. PS_FAILED_PRECONDITION: no model that says text. */
PS_MUST_CHECK ps_status ps_speaker_open(ps_client *client, const char *name, const char *tokenizer,
                                        ps_speaker *out);
/* The same of one that embeds texts. */
PS_MUST_CHECK ps_status ps_speaker_open_texts(ps_client *client, const char *name,
                                              const char *tokenizer, ps_speaker *out);
void ps_speaker_free(ps_speaker *speaker);

/* The i-th token that begins a text, or ends what is generated: those that came with the model, and
 * when it says none, GPT-2's mark between two texts. false: there are no more. */
bool ps_speaker_mark(const ps_speaker *speaker, ps_token_role role, size_t i, uint32_t *id);

#endif
