#include "common/format/deflate.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <zlib.h>

void ps_deflate(ps_slice plain, ps_buf *out)
{
    uLongf len = compressBound((uLong)plain.len);
    uint8_t *packed = ps_alloc(len);
    int rc = compress2(packed, &len, plain.data, (uLong)plain.len, Z_BEST_SPEED);
    PS_REQUIRE(rc == Z_OK); /* the bound is zlib's own */
    ps_buf_append(out, packed, len);
    ps_free(&packed);
}
