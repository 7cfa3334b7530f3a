/* nearest: what a misspelt word was meant to be, and which words there are. Pure. */
#ifndef PS_CONF_NEAREST_H
#define PS_CONF_NEAREST_H

#include "common/base/buf.h"

#include <stddef.h>

/* The word nearest to text if it is near enough to be meant, else NULL. next(state, i) gives the
 * i-th word, NULL after the last. */
const char *ps_conf_nearest(const char *text, const char *(*next)(const void *state, size_t i),
                            const void *state);
/* "; did you mean 'x'? allowed: a, b, c" into out. */
void ps_conf_allowed(const char *text, const char *(*next)(const void *state, size_t i),
                     const void *state, ps_buf *out);

#endif
