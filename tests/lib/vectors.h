/* vectors: published test vectors as lines of words (tests/golden), one at a time. */
#ifndef PS_TEST_VECTORS_H
#define PS_TEST_VECTORS_H

#include "common/base/slice.h"

#include <stdio.h>

enum { PS_VECTOR_WORDS = 7, PS_VECTOR_LINE = 64 << 10 };

typedef struct ps_vector {
    char line[PS_VECTOR_LINE];
    const char *words[PS_VECTOR_WORDS]; /* in it; those that it has not stay as they were */
} ps_vector;

/* A file below tests/golden, or at a path of its own that begins with /; fails the test. */
FILE *ps_vectors_open(const char *path);
bool ps_vector_next(FILE *file, ps_vector *v);
bool ps_vector_is(const ps_vector *v, size_t word, const char *text);
/* The bytes of a word in hexadecimal; "-" has none. */
ps_slice ps_vector_bytes(const ps_vector *v, size_t word, uint8_t *out, size_t room);

#endif
