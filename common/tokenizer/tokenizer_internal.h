/* tokenizer_internal: what the files of common/tokenizer share. */
#ifndef PS_TOKENIZER_TOKENIZER_INTERNAL_H
#define PS_TOKENIZER_TOKENIZER_INTERNAL_H

#include "common/tokenizer/bpe.h"
#include "common/tokenizer/post.h"
#include "common/tokenizer/prefixes.h"
#include "common/tokenizer/step.h"
#include "common/tokenizer/tokenizer.h"
#include "common/tokenizer/vocab.h"

/* Memory between blocks of text; an encoder's. */
typedef struct ps_scratch {
    ps_bpe_scratch *bpe;
    ps_cut_pieces pieces[2];
    ps_spans spans;
    ps_buf text[2];
    ps_ids ids;
    struct ps_best *best; /* of model Unigram */
    size_t n_best;
    bool added; /* added tokens are looked for */
} ps_scratch;

/* A part of a text. */
typedef struct ps_block {
    ps_slice text;
    bool first;     /* the whole text begins with it */
    ps_edges edges; /* whether what is between two added tokens begins or ends with it */
} ps_block;

/* How a text becomes ids: as bytes, by GPT-2's rules, or by the steps of the file. */
typedef struct ps_tokenizer_row {
    /* Bytes of the first block of text (not empty); 0: that depends on what follows, which `whole`
     * says will not come. */
    size_t (*split)(ps_slice text, bool whole);
    ps_status (*encode)(const ps_tokenizer *tokenizer, ps_scratch *scratch, const ps_block *block,
                        ps_ids *out);
} ps_tokenizer_row;

extern const ps_tokenizer_row ps_tokenizer_row_bytes;
extern const ps_tokenizer_row ps_tokenizer_row_gpt2;
extern const ps_tokenizer_row ps_tokenizer_row_steps;

/* ---- models ---- */

/* The keys of a model in a tokenizer.json, whichever type it is. */
typedef struct ps_model_keys {
    ps_buf unk_token, prefix, suffix;
    bool has_unk, fuse_unk, byte_fallback, ignore_merges;
    uint64_t unk_id, max_chars;
} ps_model_keys;

/* Reads the value of a key into the tokenizer's, one that is none of them over. */
PS_MUST_CHECK ps_status ps_model_key_read(ps_tokenizer *tokenizer, ps_json_reader *json,
                                          const char *key, bool *seen_prefix);

/* A type of model: a file with its row, and its line in the table (models.c). */
typedef struct ps_token_model {
    const char *type;           /* in files */
    const char *name;           /* ps_tokenizer_name */
    bool merges, scores, fuses; /* what its file must have; whether unknown ones are fused if it
                                   does not say */
    bool prefixed; /* it has continuing_subword_prefix, "##" if its file does not say, and
                      max_input_chars_per_word */
    /* Once the vocabulary and the keys are there, and before the merges. */
    ps_status (*make)(ps_tokenizer *tokenizer);
    /* Once all is there; NULL: nothing is to be done. */
    ps_status (*settle)(ps_tokenizer *tokenizer);
    /* Appends the ids of a piece (not empty). */
    ps_status (*encode)(const ps_tokenizer *tokenizer, ps_scratch *scratch, ps_slice piece,
                        ps_ids *out);
} ps_token_model;

/* The score that a number of a vocabulary is, as written in JSON. */
double ps_unigram_score(const char *number);

extern const ps_token_model ps_model_bpe, ps_model_unigram, ps_model_wordpiece, ps_model_wordlevel;
extern const ps_token_model *const ps_token_models[]; /* NULL at the end */

/* ---- added tokens ---- */

typedef struct ps_added_token {
    uint32_t id;
    bool special;
    bool lstrip, rstrip, single_word, normalized;
    bool outside;   /* it is no token of the model */
    ps_buf changed; /* its text as the normalizer has it, if that is how it is looked for */
} ps_added_token;

struct ps_tokenizer {
    const ps_tokenizer_row *row;
    const ps_token_model *model; /* NULL: bytes */
    const char *name;
    uint32_t vocab_size;
    uint64_t hash;
    ps_vocab *vocab;
    ps_model_keys keys;
    ps_steps normalizer, pre_tokenizer, decoder;
    ps_post post;
    ps_added_token *added;
    size_t n_added;
    uint32_t *by_id;             /* places in added; NULL while it is being made */
    ps_prefixes raw, normalized; /* added tokens that are looked for before and after normalizing */
    size_t longest_added;        /* bytes, of raw */
    bool single_word;            /* one of raw has it */
    bool prefix_space; /* gpt2: a text that does not begin with a space gets a space first */
    /* BPE */
    ps_bpe *bpe;
    bool byte_level;    /* pieces are bytes, not letters */
    bool words;         /* no merge goes over the beginning of a word */
    ps_prefixes tokens; /* Unigram, WordPiece */
    /* Unigram */
    double *scores; /* by id */
    double worst;
};

/* NULL: the id is of no added token. */
const ps_added_token *ps_tokenizer_find_added(const ps_tokenizer *tokenizer, uint32_t id);
/* Of a token of the model. */
bool ps_tokenizer_find(const ps_tokenizer *tokenizer, ps_slice text, uint32_t *id);
/* The same for what stands in a text: no special token where added tokens are not looked for, as a
 * text must not smuggle them in. */
bool ps_tokenizer_find_in(const ps_tokenizer *tokenizer, const ps_scratch *scratch, ps_slice text,
                          uint32_t *id);
/* A `settle` of models: t->tokens, which begin a text. PS_INVALID_ARGUMENT: one is too long. */
PS_MUST_CHECK ps_status ps_tokenizer_make_prefixes(ps_tokenizer *tokenizer);
/* The ids of the bytes of text, "<0x41>"; false, and nothing, when one has none. */
bool ps_tokenizer_put_bytes(const ps_tokenizer *tokenizer, ps_slice text, ps_ids *out);
/* Whether an added token that must stand alone does, between what is before and after it. */
bool ps_added_fits(const ps_added_token *token, ps_slice before, ps_slice after);
/* Bytes of white space at the end, or at the start, of text. */
size_t ps_added_spaces(ps_slice text, bool at_end);

/* ---- making one (tokenizer_make.c) ---- */

enum { PS_WORDPIECE_MAX_CHARS = 100 }; /* of a word, when the file does not say */

/* Without tokens. */
ps_tokenizer *ps_tokenizer_begin(void);
/* text becomes part of the vocabulary when it is not yet. */
PS_MUST_CHECK ps_status ps_tokenizer_add_added(ps_tokenizer *tokenizer, ps_slice text, uint64_t id,
                                               const ps_added_token *like);
PS_MUST_CHECK ps_status ps_tokenizer_add_merge(ps_tokenizer *tokenizer, ps_slice left,
                                               ps_slice right);
/* "left right" */
PS_MUST_CHECK ps_status ps_tokenizer_add_merge_line(ps_tokenizer *tokenizer, ps_slice line);
/* Once the vocabulary is there: BPE behind GPT-2's pattern. */
PS_MUST_CHECK ps_status ps_tokenizer_make_gpt2(ps_tokenizer *tokenizer);
/* The end of making: with PS_OK it is settled and given out, otherwise freed and st comes back. */
PS_MUST_CHECK ps_status ps_tokenizer_made(ps_tokenizer *tokenizer, ps_status st,
                                          ps_tokenizer **out);
/* The text after the normalizer, in out. lead: NULL, or how many of its first bytes are of one
 * character, and then how many are of it afterwards. */
PS_MUST_CHECK ps_status ps_tokenizer_normalize(const ps_tokenizer *tokenizer, ps_edges edges,
                                               ps_slice text, ps_buf *spare, ps_spans *spans,
                                               size_t *lead, ps_buf *out);

#endif
