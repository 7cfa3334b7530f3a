/* step: a normalizer, pre-tokenizer or decoder of a tokenizer.json: a table for each, whose rows
 * are the types it may have. A new type is a file with its row, and its line in the table
 * (step_rows.c). Private to common/tokenizer.
 *
 * Texts are any bytes: what is no UTF-8 passes a step as a symbol of one byte. Steps are read-only
 * once made and may be shared by threads. */
#ifndef PS_TOKENIZER_STEP_H
#define PS_TOKENIZER_STEP_H

#include "common/tokenizer/part.h"
#include "common/tokenizer/pieces.h"
#include "common/tokenizer/regex.h"

enum {
    PS_TOKENIZER_MAX_STEPS = 64,       /* of one table, however they are nested */
    PS_TOKENIZER_MAX_GROWTH = 4 << 20, /* bytes that a block may become */
    PS_TOKENIZER_MAX_WORD = 256,       /* bytes of a text that a step puts into others */
};

typedef struct ps_step ps_step;

/* Of a block of text: whether the text that it is of begins and ends with it. A long one is cut
 * into several. */
typedef struct ps_edges {
    bool begins, ends;
} ps_edges;

/* Of the token of a text that is decoded. */
typedef struct ps_token_place {
    bool first, last;
} ps_token_place;

typedef struct ps_step_row {
    const char *type;
    /* The keys of the part; NULL: it has none. */
    ps_status (*read)(const ps_part *part, ps_step *step);
    /* Normalizers: appends what text becomes. spans: memory. */
    ps_status (*normalize)(const ps_step *step, ps_edges edges, ps_slice text, ps_spans *spans,
                           ps_buf *out);
    /* What is left of lead (see cut) where that depends on what follows it, after normalize and
     * with the spans that it left. NULL: what normalize makes of those bytes by themselves. */
    size_t (*lead)(const ps_step *step, const ps_spans *spans, size_t lead);
    /* Normalizers without lead: where the first character goes, the next one is the first. */
    bool hands_on;
    /* Pre-tokenizers: appends what a piece becomes. lead: how many of its bytes are of the
     * first character of the text that is encoded; 0: the text does not begin with it. spans:
     * memory. */
    ps_status (*cut)(const ps_step *step, ps_slice piece, size_t lead, ps_spans *spans,
                     ps_cut_pieces *out);
    /* Decoders: changes the text of one token. spans: memory. */
    void (*decode)(const ps_step *step, ps_token_place place, ps_spans *spans, ps_buf *token);
    bool fuses; /* Decoders: what follows is done to the whole text, and no longer to each token. */
    /* Decoders: a token that follows itself is no other one. Such a step is its decoder's only
     * one. */
    bool once;
} ps_step_row;

/* What the rows keep of their keys; each says what it uses. */
struct ps_step {
    const ps_step_row *row;
    ps_buf text, with;
    ps_regex *regex;
    ps_cut_how how;
    bool invert, is[4];
    uint64_t number, stop;
    bool fused; /* decoders: a step before it fuses */
    bool waits; /* decoders: to the last token it does something else */
};

typedef struct ps_steps {
    ps_step *at;
    size_t n;
    bool waits;    /* one of them does */
    uint64_t hash; /* of the part, blanks apart */
    char *json;    /* the part; NULL: there is none */
} ps_steps;

extern const ps_step_row *const ps_normalizer_rows[];    /* NULL at the end */
extern const ps_step_row *const ps_pre_tokenizer_rows[]; /* the same */
extern const ps_step_row *const ps_decoder_rows[];       /* the same */

/* A part of any type of the table, a Sequence (its parts under sequence_key) or null. Fills steps,
 * which the caller frees in any case. PS_INVALID_ARGUMENT: what is not supported, and where. */
PS_MUST_CHECK ps_status ps_steps_read(const ps_step_row *const *rows, const char *sequence_key,
                                      const ps_part *part, ps_steps *steps);
/* Whether both do the same, each written in its own way. */
bool ps_steps_same(const ps_steps *a, const ps_steps *b);
void ps_steps_free(ps_steps *steps);

/* ---- for the rows ---- */

/* The key "pattern": {"String": …} into text, or {"Regex": …} into regex. */
PS_MUST_CHECK ps_status ps_step_pattern(const ps_part *part, ps_step *step);
/* Where text or regex matches. */
PS_MUST_CHECK ps_status ps_step_find(const ps_step *step, ps_slice text, ps_spans *out);
/* Where a character is of a kind; each is a match of its own. */
void ps_spans_of_kind(ps_slice text, bool (*is)(uint32_t code_point), ps_spans *out);
/* Each place of `what`, not empty, in a token becomes `with`. */
void ps_step_replace(ps_buf *token, ps_slice what, ps_slice with);
/* The spaces go that English has not before points, commas, n't and so on. */
void ps_step_clean_up(ps_buf *token);
/* The character at the start of text (not empty); *n: its bytes. What is no UTF-8 is one byte, and
 * above every code point. */
uint32_t ps_step_char(ps_slice text, size_t *n);

#endif
