/* onig: patterns of tokenizer files, which are written for Oniguruma (syntax ONIG_SYNTAX_ONIGURUMA
 * of its doc/RE), in the words of PCRE2 with the same meaning: ^ and $ are of lines, (?m) is what
 * (?s) is elsewhere, an option holds to the end of its group, \h is a hexadecimal digit, sets nest
 * and intersect, {,n} counts from 0, {n}+ repeats {n}, \w, [[:punct:]] and scripts are other
 * characters. What has no such words is refused by name. Private to common/tokenizer; any thread;
 * patterns are hostile. */
#ifndef PS_TOKENIZER_ONIG_H
#define PS_TOKENIZER_ONIG_H

#include "common/base/buf.h"

/* Appends to out, which is of use only on PS_OK. PS_INVALID_ARGUMENT: what is not understood, and
 * at which byte. */
PS_MUST_CHECK ps_status ps_onig_translate(ps_slice pattern, ps_buf *out);

#endif
