/* output: the tokens that a generate job has said so far, in one growing array; so whoever comes
 * late gets all of them. At most the job's max_tokens. The scheduler's mutex guards it. */
#ifndef PS_SCHED_OUTPUT_H
#define PS_SCHED_OUTPUT_H

#include "psd/v1/jobs.pb-c.h"

#include <stddef.h>

typedef struct ps_output {
    uint32_t *tokens;
    size_t n, capacity;
} ps_output;

/* Takes over what is new in it, up to `most` tokens in all; returns how many. One that begins
 * behind what is known has a hole before it, and is left out. */
size_t ps_output_add(ps_output *output, const Psd__V1__Output *more, size_t most);
void ps_output_free(ps_output *output);
/* The tokens from `first` on, at most `most` of them; the caller's, as an unpacked message. */
Psd__V1__Output *ps_output_message(const ps_output *output, size_t first, size_t most);

#endif
