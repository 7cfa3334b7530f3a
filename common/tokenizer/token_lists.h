/* token_lists: a tokenizer as files have it that list its tokens and say the rest by a name: GGUF's
 * keys tokenizer.ggml.*, in llama.cpp's words, and what SentencePiece's tokenizer.model becomes.
 * Both ways go through the same rows that a tokenizer.json has. Any thread. */
#ifndef PS_TOKENIZER_TOKEN_LISTS_H
#define PS_TOKENIZER_TOKEN_LISTS_H

#include "common/tokenizer/tokenizer.h"

typedef enum ps_listed_kind {
    PS_LISTED_NORMAL,
    PS_LISTED_UNKNOWN, /* stands for what has no token */
    PS_LISTED_CONTROL, /* a special token */
    PS_LISTED_ADDED,   /* its text stands for itself */
    PS_LISTED_UNUSED,  /* an id that no token has */
    PS_LISTED_BYTE,    /* "<0x41>" */
} ps_listed_kind;

#define PS_LISTED_NO_ID UINT32_MAX
enum { PS_LISTED_LSTRIP = 1, PS_LISTED_RSTRIP = 2, PS_LISTED_SINGLE_WORD = 4 };

typedef struct ps_token_lists {
    /* "gpt2": BPE of bytes as letters; "llama": BPE of SentencePiece, by scores; "gemma4": the
     * same by merges; "t5": Unigram; "bert": WordPiece, with U+2581 before what begins a word */
    const char *model;
    const char *pre;       /* of gpt2: how a text is cut, by llama.cpp's names; "": unsaid */
    uint32_t n_tokens;     /* at most PS_TOKENIZER_MAX_VOCAB */
    const ps_slice *texts; /* by id */
    const ps_listed_kind *kinds;
    const float *scores; /* by id; NULL: there are none */
    /* By id, of those that are PS_LISTED_CONTROL or _ADDED: PS_LISTED_LSTRIP and so on; NULL: none
     */
    const uint8_t *rules;
    size_t n_merges;
    const ps_slice *merges;       /* "left right", the first is done first */
    ps_slice charsmap;            /* of SentencePiece's normalizer; empty: none */
    bool prefix_space;            /* a text gets a space first, */
    bool first_alone;             /* unless it begins with one; not what follows an added token */
    bool strip_spaces;            /* several spaces are one, and none at the ends */
    bool keep_case, keep_accents; /* of bert */
    bool add_bos, add_eos;        /* around a text, where its tokens are asked for; */
    uint32_t bos_id, eos_id, unk_id, sep_id; /* of bert: bos is [CLS]; or PS_LISTED_NO_ID */
} ps_token_lists;

/* What a file that says nothing means, of a model and pre. PS_INVALID_ARGUMENT: which of them psd
 * does not know. */
PS_MUST_CHECK ps_status ps_token_lists_defaults(const char *model, const char *pre,
                                                ps_token_lists *out);
/* Lists are hostile, and borrowed for the call. PS_INVALID_ARGUMENT: what does not fit. */
PS_MUST_CHECK ps_status ps_tokenizer_from_lists(const ps_token_lists *lists, ps_tokenizer **out);

/* ---- the way back ---- */

/* Lists that borrow the tokenizer, and what they own besides it. */
typedef struct ps_token_listing {
    ps_token_lists lists;
    char *pre;
    ps_buf texts; /* of tokens and merges */
    ps_slice *tokens, *merges;
    ps_listed_kind *kinds;
    float *scores;
    ps_buf remarks; /* lines: what llama.cpp does otherwise */
} ps_token_listing;

/* n: ids to list, from ps_tokenizer_vocab_size on; those without a token are PS_LISTED_UNUSED,
 * named "[PAD7]". PS_INVALID_ARGUMENT: which part of the tokenizer these lists have no word for;
 * not of bytes. Free out in any case. */
PS_MUST_CHECK ps_status ps_tokenizer_list(const ps_tokenizer *tokenizer, uint32_t n,
                                          ps_token_listing *out);
void ps_token_listing_free(ps_token_listing *listing);

#endif
