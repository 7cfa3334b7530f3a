/* beside: what stands beside a tokenizer.model or a vocab.txt and changes its ids:
 * tokenizer_config.json, special_tokens_map.json and added_tokens.json, read as `transformers` does
 * it: where the first has added_tokens_decoder, the other two are passed over. Bytes are hostile.
 * Private to common/tokenizer; any thread. */
#ifndef PS_TOKENIZER_BESIDE_H
#define PS_TOKENIZER_BESIDE_H

#include "common/tokenizer/tokenizer_internal.h"

enum { PS_UNSAID = -1 };

/* Which file stands there. */
typedef enum ps_beside_kind {
    PS_BESIDE_PIECES, /* tokenizer.model of SentencePiece */
    PS_BESIDE_WORDS,  /* vocab.txt of BERT */
} ps_beside_kind;

typedef enum ps_beside_role {
    PS_ROLE_BOS,
    PS_ROLE_EOS,
    PS_ROLE_UNK,
    PS_ROLE_SEP,
    PS_ROLE_PAD,
    PS_ROLE_CLS,
    PS_ROLE_MASK,
    PS_ROLES,
} ps_beside_role;

typedef struct ps_beside_token {
    ps_buf text;
    uint64_t id; /* UINT64_MAX: not said; it is that of its text, or a new one behind all others */
    ps_added_token like;
    bool says_normalized; /* else a special one is not */
} ps_beside_token;

typedef struct ps_beside {
    int add_bos, add_eos, prefix_space, legacy;   /* of pieces; or PS_UNSAID */
    int lower_case, strip_accents, chinese_chars; /* of words, the same */
    ps_buf roles[PS_ROLES];  /* texts; empty: not said; those that words always have are there */
    ps_beside_token *tokens; /* those with ids first, by id; at most PS_TOKENIZER_MAX_ADDED */
    size_t n;
} ps_beside;

/* Empty slices: there is no such file. The caller clears out in any case. PS_INVALID_ARGUMENT: in
 * which file what is not supported, or wrong. */
PS_MUST_CHECK ps_status ps_beside_read(ps_beside_kind kind, ps_slice config, ps_slice special_map,
                                       ps_slice added, ps_beside *out);
void ps_beside_clear(ps_beside *beside);
/* there: `file` has the token's text as id; else id is the next that is free.
 * PS_INVALID_ARGUMENT: the token says another one. */
PS_MUST_CHECK ps_status ps_beside_check_id(const ps_beside_token *token, const char *file,
                                           bool there, uint32_t id);

#endif
