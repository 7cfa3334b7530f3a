/* hf_words: words that config.json and the model section have other names for, as rows of
 * common/arch write them: "gelu_new=gelu_tanh gelu=gelu". Private to hf_*.c; pure. */
#ifndef PS_MODEL_HF_WORDS_H
#define PS_MODEL_HF_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PS_HF_WORD = 32, PS_HF_WORDS = 128 };

/* What stands behind the value's '='. false: no such value. */
bool ps_hf_word(const char *words, const char *value, char out[PS_HF_WORD]);
/* What stands before each: "gelu_new gelu". */
void ps_hf_words_known(const char *words, char out[PS_HF_WORDS]);

/* A word of each layer, as they come; zeroed to begin with. */
typedef struct ps_hf_layers {
    int64_t n;
    char first[PS_HF_WORD];
    bool others;   /* not all are the first */
    int64_t every; /* the first full_attention is number every, from 1; 0: there is none so far */
    bool wrong;    /* they say nothing that is known */
    int64_t full;  /* full_attention before any other; */
    bool again;    /* it came behind one, too, */
    bool strange;  /* or one that is not sliding_attention did */
} ps_hf_layers;
void ps_hf_layers_add(ps_hf_layers *layers, const char *word);
/* The one word, or "every 6", or "from 6": behind so many all are sliding_attention; with a blank,
 * which no word of a file has. false: they say something else, or nothing. */
bool ps_hf_layers_word(const ps_hf_layers *layers, char *out, size_t size);
/* Is it such an "every 6", or such a "from 6"? *digits: "6". */
bool ps_hf_every(const char *value, const char **digits);
bool ps_hf_from(const char *value, const char **digits);

/* The same word, or the same number. */
bool ps_hf_same(const char *a, const char *b);
/* The value is one of those between the spaces of the list. */
bool ps_hf_allows(const char *must, const char *value);

#endif
