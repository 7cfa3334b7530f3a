/* tokenizer_internal: what the files of common/tokenizer share. */
#ifndef PS_TOKENIZER_TOKENIZER_INTERNAL_H
#define PS_TOKENIZER_TOKENIZER_INTERNAL_H

#include "common/tokenizer/bpe.h"
#include "common/tokenizer/tokenizer.h"
#include "common/tokenizer/vocab.h"

typedef struct ps_piece_cache ps_piece_cache;

/* A row of the table: how its texts are cut and what a piece becomes. */
typedef struct ps_tokenizer_row {
    const char *name;
    /* Bytes of the first piece of text (not empty); 0: that depends on what follows, which `whole`
     * says will not come. */
    size_t (*split)(ps_slice text, bool whole);
    void (*encode)(const ps_tokenizer *tokenizer, ps_bpe_scratch *scratch, ps_slice piece,
                   ps_ids *out);
} ps_tokenizer_row;

typedef struct ps_added_token {
    uint32_t id;
    bool special;
} ps_added_token;

struct ps_tokenizer {
    const ps_tokenizer_row *row;
    uint32_t vocab_size;
    uint64_t hash;
    /* gpt2 */
    ps_vocab *vocab;
    ps_bpe *bpe;
    ps_added_token *added;
    size_t n_added;
    size_t longest_added; /* bytes */
    bool prefix_space;    /* a text that does not begin with a space gets a space first */
};

extern const ps_tokenizer_row ps_tokenizer_row_bytes;
extern const ps_tokenizer_row ps_tokenizer_row_gpt2;

/* NULL: the id is of no added token. */
const ps_added_token *ps_tokenizer_find_added(const ps_tokenizer *tokenizer, uint32_t id);

/* ---- making one (tokenizer_make.c) ---- */

/* text becomes part of the vocabulary when it is not yet. */
PS_MUST_CHECK ps_status ps_tokenizer_add_added(ps_tokenizer *tokenizer, ps_slice text, uint64_t id,
                                               bool special);
/* Once the vocabulary is there, and before the merges: finds the 256 bytes in it. */
PS_MUST_CHECK ps_status ps_tokenizer_make_bpe(ps_tokenizer *tokenizer);
PS_MUST_CHECK ps_status ps_tokenizer_add_merge(ps_tokenizer *tokenizer, ps_slice left,
                                               ps_slice right);
/* "left right" */
PS_MUST_CHECK ps_status ps_tokenizer_add_merge_line(ps_tokenizer *tokenizer, ps_slice line);
/* The end of making: with PS_OK it is settled and given out, otherwise freed and st comes back. */
PS_MUST_CHECK ps_status ps_tokenizer_made(ps_tokenizer *tokenizer, ps_status st,
                                          ps_tokenizer **out);
/* Checks that a gpt2 tokenizer is complete, and fills in what follows from its parts. */
PS_MUST_CHECK ps_status ps_tokenizer_settle(ps_tokenizer *tokenizer);

#endif
