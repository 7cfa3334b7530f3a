/* deflate: bytes as a zlib stream (RFC 1950), as PNG wants it. Pure; any thread. */
#ifndef PS_FORMAT_DEFLATE_H
#define PS_FORMAT_DEFLATE_H

#include "common/base/buf.h"

/* Appended to out. Fast rather than small; cannot fail. */
void ps_deflate(ps_slice plain, ps_buf *out);

#endif
