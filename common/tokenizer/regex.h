/* regex: the patterns of tokenizer files, matched by PCRE2 (UTF and UCP, no JIT) within limits of
 * steps, depth, memory and time; patterns are hostile. Private to common/tokenizer; any thread.
 *
 * They are Oniguruma's, in the words of PCRE2 (onig.h). A character that is newer than PCRE2's
 * Unicode is matched as one like it. A byte that is no UTF-8 is matched as a control character. */
#ifndef PS_TOKENIZER_REGEX_H
#define PS_TOKENIZER_REGEX_H

#include "common/base/status.h"
#include "common/tokenizer/pieces.h"

enum { PS_REGEX_MAX_PATTERN = 64 << 10, PS_REGEX_SECONDS = 10 };

typedef struct ps_regex ps_regex;

/* PS_INVALID_ARGUMENT: what is wrong with the pattern. */
PS_MUST_CHECK ps_status ps_regex_new(ps_slice pattern, ps_regex **out);
ps_slice ps_regex_pattern(const ps_regex *regex); /* as it was given */
void ps_regex_free(ps_regex **regex);
/* All matches of a text, and what lies between. The time is that of all that is asked of `out`
 * since ps_spans_restart: PS_REGEX_SECONDS, unless out->seconds says another.
 * PS_RESOURCE_EXHAUSTED: a limit. */
PS_MUST_CHECK ps_status ps_regex_spans(const ps_regex *regex, ps_slice text, ps_spans *out);

#endif
