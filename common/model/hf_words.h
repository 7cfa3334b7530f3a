/* hf_words: words that config.json and the model section have other names for, as rows of
 * common/arch write them: "gelu_new=gelu_tanh gelu=gelu". Private to hf_*.c; pure. */
#ifndef PS_MODEL_HF_WORDS_H
#define PS_MODEL_HF_WORDS_H

#include <stdbool.h>

enum { PS_HF_WORD = 32, PS_HF_WORDS = 128 };

/* What stands behind the value's '='. false: no such value. */
bool ps_hf_word(const char *words, const char *value, char out[PS_HF_WORD]);
/* What stands before each: "gelu_new gelu". */
void ps_hf_words_known(const char *words, char out[PS_HF_WORDS]);

#endif
