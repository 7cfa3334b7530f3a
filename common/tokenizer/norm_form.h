/* norm_form: Unicode's normalization forms; private to common/tokenizer. Any thread. */
#ifndef PS_TOKENIZER_NORM_FORM_H
#define PS_TOKENIZER_NORM_FORM_H

#include "common/base/buf.h"
#include "common/base/status.h"

/* Appends the form of text that utf8proc's options say. */
PS_MUST_CHECK ps_status ps_norm_form(ps_slice text, int options, ps_buf *out);

#endif
