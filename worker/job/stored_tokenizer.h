/* stored_tokenizer: which tokenizer a stored model came with, by its hash, so that it can be told
 * whether data or another model are of the same. One thread (not asserted: it is its task's). */
#ifndef PS_JOB_STORED_TOKENIZER_H
#define PS_JOB_STORED_TOKENIZER_H

#include "worker/job/stored_stream.h"

/* ps_tokenizer_hash of it; 0: the model came without one, or with one that psd cannot read. Fails
 * as a stream does. */
PS_MUST_CHECK ps_status ps_stored_tokenizer(ps_remote *remote, const ps_stored_model *which,
                                            uint64_t *hash);

#endif
