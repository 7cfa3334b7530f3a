/* cuts: how byte-level BPE cuts a text, by the names that llama.cpp has for it
 * (tokenizer.ggml.pre), as parts of a tokenizer.json. A new name is a line of the table. Private to
 * common/tokenizer; any thread. */
#ifndef PS_TOKENIZER_CUTS_H
#define PS_TOKENIZER_CUTS_H

#include "common/base/buf.h"

#include <stdbool.h>

typedef struct ps_cut_step ps_cut_step;

typedef struct ps_cuts {
    const char *names;        /* with spaces between; the first is written into files */
    const ps_cut_step *steps; /* up to one without a type */
    bool nfc;                 /* the published tokenizers of this name normalize */
    bool ignore_merges;
    bool add_bos; /* when the file does not say */
} ps_cuts;

extern const ps_cuts ps_cuts_rows[]; /* the last has no names */

const ps_cuts *ps_cuts_find(const char *name); /* NULL: none */
/* The pre_tokenizer; space: a text gets one first. */
void ps_cuts_json(const ps_cuts *cuts, bool space, ps_buf *out);
/* A step ByteLevel, as all parts have it. */
void ps_cuts_byte_level(bool space, bool regex, ps_buf *out);

#endif
