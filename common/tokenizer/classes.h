/* classes: what Unicode (version 16 where nothing else is said) has of a code point; private to
 * common/tokenizer. Code points that are none (from 0x110000 on: a byte that is no UTF-8) are of no
 * class. Any thread. */
#ifndef PS_TOKENIZER_CLASSES_H
#define PS_TOKENIZER_CLASSES_H

#include <stdbool.h>
#include <stdint.h>

bool ps_class_letter(uint32_t cp); /* L */
bool ps_class_number(uint32_t cp); /* N */
bool ps_class_space(uint32_t cp);  /* White_Space */
bool ps_class_word(uint32_t cp);   /* \w of Unicode's regular expressions (UTS 18) */
bool ps_class_han(uint32_t cp);    /* the ideographs that BERT sets apart */

/* The next are, as in the library, of Unicode 8 and 9, after which there are other ones. */
bool ps_class_punctuation(uint32_t cp); /* P, and what of ASCII is no letter, number or control */
bool ps_class_mark(uint32_t cp);        /* M */
bool ps_class_nonspacing(uint32_t cp);  /* Mn */
bool ps_class_control(uint32_t cp);  /* C, but no tab, line feed, carriage return or unassigned */
bool ps_class_formless(uint32_t cp); /* it decomposes, but in no such Unicode */

/* A code point that PCRE2 10.42 (Unicode 14) takes for what cp is, of as many bytes in UTF-8; most
 * are themselves. */
uint32_t ps_class_known(uint32_t cp);

#endif
