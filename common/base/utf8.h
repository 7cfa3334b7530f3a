/* utf8: RFC 3629, strictly: shortest forms, no surrogates, at most U+10FFFF. Any thread. */
#ifndef PS_BASE_UTF8_H
#define PS_BASE_UTF8_H

#include "common/base/slice.h"

#include <stdbool.h>

/* Bytes of the sequence at the start of text; 0 when it is not one or text is empty. */
size_t ps_utf8_length(ps_slice text);
/* Whether all of it is of such sequences. */
bool ps_utf8_is(ps_slice text);
/* The code point at the start of text, where ps_utf8_length is not 0. */
uint32_t ps_utf8_decode(ps_slice text);
/* Bytes at the start of text, at most 3, that are the beginning of a sequence but not a whole one;
 * 0 when its first byte begins none. */
size_t ps_utf8_partial(ps_slice text);
/* Writes the code point (below 0x110000) and returns how many bytes that took. */
size_t ps_utf8_encode(uint32_t code_point, uint8_t out[4]);

#endif
