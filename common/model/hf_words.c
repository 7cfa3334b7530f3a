/* Words are told apart by spaces. Cannot fail. */
#include "common/model/hf_words.h"

#include <stdio.h>
#include <stdlib.h>
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

/* Two words, of which full_attention comes as regularly as the first time. */
void ps_hf_layers_add(ps_hf_layers *l, const char *word)
{
    bool full = !strcmp(word, "full_attention");
    if (l->n == 0)
        (void)snprintf(l->first, sizeof l->first, "%s", word);
    bool other = strcmp(l->first, word) != 0;
    l->n++;
    if (full && !l->every)
        l->every = l->n;
    l->others |= other;
    l->again |= full && l->full < l->n - 1;
    l->full += full && !l->again;
    l->strange |= !full && strcmp(word, "sliding_attention") != 0;
    l->wrong |= (other && !full) || full != (l->every && l->n % l->every == 0);
}

bool ps_hf_layers_word(const ps_hf_layers *l, char *out, size_t size)
{
    if (!l->n)
        return false;
    bool from = l->others && l->full && !l->again && !l->strange;
    if (!l->others)
        (void)snprintf(out, size, "%s", l->first);
    else if (from)
        (void)snprintf(out, size, "from %lld", (long long)l->full);
    else
        (void)snprintf(out, size, "every %lld", (long long)l->every);
    return !l->others || from || (!l->wrong && !strcmp(l->first, "sliding_attention"));
}

static bool begins(const char *value, const char *word, const char **rest)
{
    *rest = value + strlen(word);
    return !strncmp(value, word, strlen(word));
}

bool ps_hf_every(const char *value, const char **digits)
{
    return begins(value, "every ", digits);
}

bool ps_hf_from(const char *value, const char **digits)
{
    return begins(value, "from ", digits);
}

bool ps_hf_same(const char *a, const char *b)
{
    char *end_a, *end_b;
    double x = strtod(a, &end_a), y = strtod(b, &end_b);
    return !strcmp(a, b) || (*a && *b && !*end_a && !*end_b && x == y);
}

bool ps_hf_allows(const char *must, const char *value)
{
    char words[64], *rest = NULL;
    (void)snprintf(words, sizeof words, "%s", must);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (ps_hf_same(word, value))
            return true;
    return false;
}
