/* prompt: the tokens of a text that a language model is to go on from, the same whichever command
 * it is given to: those of the text, and around them what the tokenizer's post_processor puts
 * there, as transformers has it. One thread (not asserted: psctl has no other). */
#ifndef PS_CALL_PROMPT_H
#define PS_CALL_PROMPT_H

#include "client/call/speaker.h"

/* As flags have it. */
typedef struct ps_prompt_how {
    bool no_added, no_special;
} ps_prompt_how;

/* The flags of a command whose struct of options has a ps_prompt_how `member`. */
#define PS_PROMPT_FLAGS(options, member)                                       \
    {.name = "no-added",                                                       \
     .type = PS_FLAG_SWITCH,                                                   \
     .offset = offsetof(options, member.no_added),                             \
     .help = "added tokens that stand in the prompt are text like any other"}, \
    {                                                                          \
        .name = "no-special", .type = PS_FLAG_SWITCH,                          \
        .offset = offsetof(options, member.no_special),                        \
        .help = "put no special tokens around the prompt"                      \
    }

/* Appends the ids of a whole text. special: with the tokens around it. encoder: of the tokenizer,
 * at the beginning of a text; it fails as ps_encoder_feed does. */
PS_MUST_CHECK ps_status ps_prompt_put(ps_encoder *encoder, const ps_tokenizer *tokenizer,
                                      ps_slice text, bool special, ps_ids *out);
/* The same for a stored model: where that is nothing, the token that begins its texts.
 * PS_INVALID_ARGUMENT, too: there is none. */
PS_MUST_CHECK ps_status ps_prompt_encode(const ps_speaker *speaker, ps_slice text,
                                         const ps_prompt_how *how, ps_ids *out);

#endif
