/* tokenizer_check: what holds of a tokenizer, whichever bytes it was made of. */
#ifndef PS_FUZZ_TOKENIZER_CHECK_H
#define PS_FUZZ_TOKENIZER_CHECK_H

#include "common/tokenizer/beside.h"

/* Any bytes as tokenizer_config.json beside a file of this kind, or, where that is refused, as both
 * of the others. Clear out with ps_beside_clear in any case. */
PS_MUST_CHECK ps_status ps_fuzz_read_beside(ps_beside_kind kind, ps_slice bytes, ps_beside *out);
/* Aborts where a text has other ids whole than in pieces. */
void ps_fuzz_check_encoding(const ps_tokenizer *tokenizer, ps_slice text, bool added);
/* Decodes and joins the ids of a text, and decodes those of the vocabulary: aborts where what comes
 * out is no UTF-8, or an id has no type. */
void ps_fuzz_check_text(const ps_tokenizer *tokenizer, ps_slice text);
/* All of that, and where one of lists is not as its tokenizer.json says. */
void ps_fuzz_check_listed(const ps_tokenizer *tokenizer, ps_slice text);

#endif
