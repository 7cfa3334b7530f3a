/* split: where GPT-2's pattern cuts a text before the merges; private to common/tokenizer.
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * \s is Unicode's White_Space; categories are those of classes.h. A byte that is no UTF-8 is a
 * symbol ([^\s\p{L}\p{N}]). */
#ifndef PS_TOKENIZER_SPLIT_H
#define PS_TOKENIZER_SPLIT_H

#include "common/base/slice.h"

/* Bytes of the piece at the start of text (not empty). whole: nothing follows the text; otherwise 0
 * when the piece may go on in what follows. */
size_t ps_gpt2_split(ps_slice text, bool whole);

#endif
