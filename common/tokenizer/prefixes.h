/* prefixes: a set of texts, and which of them begin a text; private to common/tokenizer. Read-only
 * once made; any thread. */
#ifndef PS_TOKENIZER_PREFIXES_H
#define PS_TOKENIZER_PREFIXES_H

#include "common/base/slice.h"
#include "common/base/status.h"

typedef struct ps_prefix {
    ps_slice text; /* not empty; borrowed */
    uint32_t value;
    bool control; /* it is no text where a text may have no added tokens */
} ps_prefix;

typedef struct ps_prefixes {
    ps_prefix *at; /* by text */
    size_t n;
    size_t starts[257]; /* those whose first byte is b: from starts[b] up to starts[b + 1] */
} ps_prefixes;

/* Takes the n entries at `at`, of ps_try_alloc; of those with one text the one of the largest value
 * stays. */
void ps_prefixes_make(ps_prefixes *set, ps_prefix *at, size_t n);
void ps_prefixes_free(ps_prefixes *set);

typedef struct ps_prefix_walk {
    size_t from, to, depth;
    const ps_prefix *found; /* the text that ends with this byte; NULL: none does */
} ps_prefix_walk;

#define PS_PREFIX_WALK ((ps_prefix_walk){0})
/* The next byte of a text, from its first on; false: no text of the set begins so. */
bool ps_prefixes_next(const ps_prefixes *set, ps_prefix_walk *walk, uint8_t byte);
/* The longest of the set that text begins with; NULL: none. */
const ps_prefix *ps_prefixes_longest(const ps_prefixes *set, ps_slice text);

#endif
