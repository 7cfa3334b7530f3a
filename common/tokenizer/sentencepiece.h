/* sentencepiece: tokenizer.model of SentencePiece (sentencepiece_model.proto, ModelProto): pieces
 * with scores and types, what trained it, and how texts are normalized. Private to
 * common/tokenizer; any thread. */
#ifndef PS_TOKENIZER_SENTENCEPIECE_H
#define PS_TOKENIZER_SENTENCEPIECE_H

#include "common/tokenizer/beside.h"
#include "common/tokenizer/token_lists.h"

/* Bytes are hostile. beside: NULL: nothing. PS_CORRUPT: they are no such message;
 * PS_INVALID_ARGUMENT: what of it is not supported, or does not fit, or beside it; PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_tokenizer_from_sentencepiece(ps_slice bytes, const ps_beside *beside,
                                                        ps_tokenizer **out);

#endif
