/* labelled_text: what a line of JSON has at some keys, as a document of a token file that models of
 * texts read: the class, and one text or two with the tokens that the tokenizer puts around them.
 * One thread (not asserted: psctl has no other). */
#ifndef PS_CALL_LABELLED_TEXT_H
#define PS_CALL_LABELLED_TEXT_H

#include "common/base/status.h"
#include "common/format/token_file.h"
#include "common/tokenizer/tokenizer.h"

typedef struct ps_labelled_text {
    const char *text, *pair, *label; /* keys; pair and label may be NULL */
    const char *classes; /* "noun,verb": what labels are called, in their order; NULL: they are
                            numbers from 0 */
    bool added;          /* as ps_tokenizer_encode has it */
    const ps_tokenizer *tokenizer;
    ps_token_writer *writer;
    uint64_t bytes, tokens; /* so far */
} ps_labelled_text;

/* The marks that such a file has. */
uint32_t ps_labelled_text_marks(const ps_labelled_text *l);
/* Writes the document. PS_CORRUPT, as ps_json_text_at, or: the label is no class. */
PS_MUST_CHECK ps_status ps_labelled_text_put(ps_labelled_text *l, ps_slice line);

#endif
