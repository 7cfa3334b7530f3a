/* context_comments: what somebody wrote into the context file beside the contexts, which goes when
 * the file is written anew unless it is taken along. One thread (not asserted: psctl has no
 * other). */
#ifndef PS_CLI_CONTEXT_COMMENTS_H
#define PS_CLI_CONTEXT_COMMENTS_H

#include "common/base/buf.h"
#include "common/base/slice.h"

/* Each comment of the YAML, a line each from its # on, appended to out; but none that is there. */
void ps_context_comments(ps_slice yaml, ps_buf *out);

#endif
