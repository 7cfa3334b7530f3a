/* base64: RFC 4648, section 4: the alphabet with + and /, padded. Any thread. */
#ifndef PS_BASE_BASE64_H
#define PS_BASE_BASE64_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

/* Appends the text of the bytes. */
void ps_base64_write(ps_buf *out, ps_slice bytes);
/* Appends the bytes of the text, whose one spelling it must be: padded, without spaces, unused bits
 * zero. PS_CORRUPT otherwise, with the place; then out is as before. */
PS_MUST_CHECK ps_status ps_base64_read(ps_slice text, ps_buf *out);

/* The same without padding, as age has it ("raw"): what is left over are two or three letters. */
void ps_base64_write_bare(ps_buf *out, ps_slice bytes);
PS_MUST_CHECK ps_status ps_base64_read_bare(ps_slice text, ps_buf *out);

#endif
