/* output: the tokens that a generate job has generated so far, in one growing array; so whoever
 * comes late gets all of them. At most the job's max_tokens. The scheduler's mutex guards it (not
 * asserted: it does not know the scheduler). */
#ifndef PS_SCHED_OUTPUT_H
#define PS_SCHED_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

typedef struct ps_output {
    uint32_t *tokens;
    size_t n, capacity;
} ps_output;

/* Some of them in a row. */
typedef struct ps_tokens {
    uint64_t first; /* the job has so many before these */
    size_t n_tokens;
    uint32_t *tokens;
} ps_tokens;

/* Takes over what is new in it, up to `most` tokens in all; returns how many. One that begins
 * behind what is known has a hole before it, and is left out. */
size_t ps_output_add(ps_output *output, const ps_tokens *more, size_t most);
void ps_output_free(ps_output *output);
/* A copy of the tokens from `first` on, at most `most` of them. */
ps_tokens *ps_output_copy(const ps_output *output, size_t first, size_t most);
void ps_tokens_free(ps_tokens **tokens); /* NULL is nothing */

#endif
