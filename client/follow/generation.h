/* generation: what a generate job has generated, as it comes: token ids, and the text that they are
 * so far. A character whose bytes have not all come is held back. One thread (not asserted: psctl
 * has no other). */
#ifndef PS_FOLLOW_GENERATION_H
#define PS_FOLLOW_GENERATION_H

#include "client/show/table.h"
#include "common/tokenizer/tokenizer.h"
#include "psd/v1/jobs.pb-c.h"

typedef struct ps_generation {
    ps_decoder decoder;
    ps_ids ids;  /* all that was generated */
    ps_buf text; /* of these, what the caller has not taken away */
} ps_generation;

/* What the result of a job says besides its tokens; 0 where it does not. */
typedef struct ps_generation_end {
    char ended[16]; /* "length", "stop", "context" */
    uint64_t prompt_tokens;
    double load_seconds, prompt_seconds, generate_seconds, seconds;
} ps_generation_end;

void ps_generation_init(ps_generation *generation, const ps_tokenizer *tokenizer);
void ps_generation_free(ps_generation *generation);
/* Takes what is new in it. PS_ABORTED: what is not new is not what was generated before: the job
 * began again on other hardware, and the text that was shown is not its output. */
PS_MUST_CHECK ps_status ps_generation_add(ps_generation *generation, const Psd__V1__Output *more);
/* The end: Job.result (hostile), which has all tokens. PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_generation_finish(ps_generation *generation, const char *result,
                                             ps_generation_end *end);

#endif
