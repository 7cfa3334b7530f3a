#include "tests/lib/vectors.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

FILE *ps_vectors_open(const char *path)
{
    char whole[512];
    (void)snprintf(whole, sizeof whole, "%s/tests/golden/%s", getenv("PSD_SOURCE_ROOT"), path);
    const char *name = *path == '/' ? path : whole;
    FILE *file = fopen(name, "r");
    ck_assert_msg(file, "%s", name);
    return file;
}

bool ps_vector_next(FILE *file, ps_vector *v)
{
    if (!fgets(v->line, sizeof v->line, file))
        return false;
    char *rest = v->line, *word;
    for (size_t i = 0; i < PS_VECTOR_WORDS && (word = strtok_r(rest, " \n", &rest)); i++)
        v->words[i] = word;
    return true;
}

bool ps_vector_is(const ps_vector *v, size_t word, const char *text)
{
    return !strcmp(v->words[word], text);
}

ps_slice ps_vector_bytes(const ps_vector *v, size_t word, uint8_t *out, size_t room)
{
    size_t n = 0;
    for (const char *at = v->words[word]; *at && *at != '-'; at += 2) {
        unsigned byte;
        ck_assert_int_eq(sscanf(at, "%2x", &byte), 1);
        ck_assert_uint_lt(n, room);
        out[n++] = (uint8_t)byte;
    }
    return ps_slice_of(out, n);
}
