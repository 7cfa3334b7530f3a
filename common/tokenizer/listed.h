/* listed: what makes a tokenizer of lists, a row for each model; private to common/tokenizer. */
#ifndef PS_TOKENIZER_LISTED_H
#define PS_TOKENIZER_LISTED_H

#include "common/tokenizer/token_lists.h"
#include "common/tokenizer/tokenizer_internal.h"

/* The parts of a tokenizer.json, as JSON; empty: there is none. */
typedef struct ps_listed_parts {
    ps_buf normalizer, pre_tokenizer, post, decoder;
} ps_listed_parts;

typedef struct ps_listed_row {
    const char *model; /* as GGUF calls it */
    const ps_token_model *type;
    /* What files mean that say nothing. */
    void (*defaults)(ps_token_lists *lists);
    /* The text of a token as a tokenizer.json has it, appended. */
    void (*text)(const ps_token_lists *lists, uint32_t id, ps_buf *out);
    /* Parts, but for post, and keys. PS_INVALID_ARGUMENT: what is not known. */
    ps_status (*parts)(const ps_token_lists *lists, ps_listed_parts *parts, ps_model_keys *keys);
    /* Merges or scores, once the model is made. NULL: it has none. */
    ps_status (*finish)(ps_tokenizer *tokenizer, const ps_token_lists *lists);
} ps_listed_row;

extern const ps_listed_row ps_listed_gpt2, ps_listed_llama, ps_listed_gemma4; /* listed_bpe.c */
extern const ps_listed_row ps_listed_t5, ps_listed_bert;                      /* listed_other.c */
extern const ps_listed_row *const ps_listed_rows[];                           /* NULL at the end */

/* Is it an id that a text may have? */
bool ps_listed_is_text(const ps_token_lists *lists, uint32_t id);
/* Merges for all the ways in which two tokens make a third, the best third first
 * (listed_merges.c). */
PS_MUST_CHECK ps_status ps_listed_merges(ps_tokenizer *tokenizer, const ps_token_lists *lists);

/* ---- SentencePiece's texts: spaces are U+2581 ---- */

#define PS_LOWER_BLOCK "\xe2\x96\x81"
/* The steps for what a SentencePiece model's normalizer does, but for spaces; and with them. */
void ps_listed_put_charsmap(ps_json_writer *w, const ps_token_lists *lists);
void ps_listed_put_normalizer(const ps_token_lists *lists, ps_buf *out);
void ps_listed_put_replace(ps_json_writer *w, const char *kind, const char *what, const char *with);
/* U+2581 in the place of spaces, and before a text, as a step of pre-tokenizers and decoders. */
void ps_listed_put_metaspace(ps_json_writer *w, const ps_token_lists *lists);
void ps_listed_put_type(ps_json_writer *w, const char *type); /* a step without keys */

#endif
