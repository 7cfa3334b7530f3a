/* Words are told apart by spaces. Cannot fail. */
#include "common/model/hf_words.h"

#include <stdio.h>
#include <string.h>

bool ps_hf_word(const char *words, const char *value, char out[PS_HF_WORD])
{
    size_t len = strlen(value);
    for (const char *at = words; *at; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        if (strncmp(at, value, len) != 0 || at[len] != '=')
            continue;
        const char *word = at + len + 1;
        (void)snprintf(out, PS_HF_WORD, "%.*s", (int)strcspn(word, " "), word);
        return true;
    }
    return false;
}

void ps_hf_words_known(const char *words, char out[PS_HF_WORDS])
{
    size_t n = 0;
    *out = 0;
    for (const char *at = words; *at && n < PS_HF_WORDS - 1; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        n += (size_t)snprintf(out + n, PS_HF_WORDS - n, "%s%.*s", n ? " " : "",
                              (int)strcspn(at, "="), at);
    }
}
