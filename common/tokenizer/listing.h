/* listing: what ps_tokenizer_list is made of; private to common/tokenizer. */
#ifndef PS_TOKENIZER_LISTING_H
#define PS_TOKENIZER_LISTING_H

#include "common/tokenizer/token_lists.h"
#include "common/tokenizer/tokenizer_internal.h"

/* The charsmap, which is borrowed, prefix_space and strip_spaces that the steps of a tokenizer
 * mean; to remarks, lines of what llama.cpp does otherwise. PS_INVALID_ARGUMENT: the first step
 * that these do not say, by its type (listing_spaces.c). */
PS_MUST_CHECK ps_status ps_listing_spaces(const ps_tokenizer *tokenizer, ps_token_lists *lists,
                                          ps_buf *remarks);

/* Whether the tokenizer that the lists make is the one that they were made of: its texts, merges or
 * scores, keys, steps and what stands around a text. PS_INVALID_ARGUMENT: what would be lost
 * (listing_check.c). */
PS_MUST_CHECK ps_status ps_listing_check(const ps_tokenizer *tokenizer, ps_token_listing *listing);

#endif
