/* words: vocab.txt of BERT (Devlin et al. 2018), a token a line, whose number from 0 is its id. It
 * becomes the text of the tokenizer.json that BertTokenizer of `transformers` 5 makes of it, and is
 * read as such. Private to common/tokenizer; any thread. */
#ifndef PS_TOKENIZER_WORDS_H
#define PS_TOKENIZER_WORDS_H

#include "common/tokenizer/beside.h"

/* Bytes are hostile. beside: of kind PS_BESIDE_WORDS; NULL: nothing. White space at the end of a
 * line is none of its token's; an empty line is an id that no token has; of lines that are the same
 * the last one counts. PS_INVALID_ARGUMENT: which line, or what beside it, no tokenizer can be made
 * of; PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_tokenizer_from_words(ps_slice text, const ps_beside *beside,
                                                ps_tokenizer **out);

#endif
