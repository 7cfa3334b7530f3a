/* beside: what stands beside a tokenizer.model and changes its ids: tokenizer_config.json,
 * special_tokens_map.json and added_tokens.json, read as `transformers` does it: where the first
 * has added_tokens_decoder, the other two are passed over. Bytes are hostile. Private to
 * common/tokenizer; any thread. */
#ifndef PS_TOKENIZER_BESIDE_H
#define PS_TOKENIZER_BESIDE_H

#include "common/tokenizer/tokenizer_internal.h"

enum { PS_UNSAID = -1 };

typedef struct ps_beside_token {
    ps_buf text;
    uint64_t id; /* UINT64_MAX: not said; it is that of its text, or a new one behind all others */
    ps_added_token like;
} ps_beside_token;

typedef struct ps_beside {
    int add_bos, add_eos, prefix_space, legacy; /* or PS_UNSAID */
    ps_buf bos, eos;                            /* texts; empty: not said */
    ps_beside_token *tokens; /* those with ids first; at most PS_TOKENIZER_MAX_ADDED */
    size_t n;
} ps_beside;

/* Empty slices: there is no such file. The caller clears out in any case. PS_INVALID_ARGUMENT: in
 * which file what is not supported, or wrong. */
PS_MUST_CHECK ps_status ps_beside_read(ps_slice config, ps_slice special_map, ps_slice added,
                                       ps_beside *out);
void ps_beside_clear(ps_beside *beside);

#endif
