/* byte_text: the letters that stand for bytes in the files of byte-level BPE: printable ones for
 * themselves, the others for U+0100 and on, in order (bytes_to_unicode of GPT-2's encoder.py).
 * Private to common/tokenizer. */
#ifndef PS_TOKENIZER_BYTE_TEXT_H
#define PS_TOKENIZER_BYTE_TEXT_H

#include "common/base/buf.h"
#include "common/base/slice.h"

/* The letter of a byte as UTF-8; returns its length. */
size_t ps_byte_text(uint8_t byte, uint8_t out[4]);
/* Appends the bytes that text stands for; false, and nothing, when a letter stands for none. */
bool ps_byte_text_decode(ps_slice text, ps_buf *out);

#endif
