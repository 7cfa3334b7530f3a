/* Every check ends in an assertion with the expression that was wrong. */
#include "gpu/op_check.h"

#include "common/base/require.h"

void ps_op_check(ps_tensor t, ps_dtype dtype)
{
    PS_REQUIRE(t.buffer && t.dtype == dtype);
    PS_REQUIRE(t.rank >= 0 && t.rank <= PS_TENSOR_RANK_MAX);
    PS_REQUIRE(t.offset % ps_dtype_bytes(dtype) == 0);
    PS_REQUIRE(ps_tensor_count(t) > 0);
    PS_REQUIRE(t.offset <= t.buffer->bytes && ps_tensor_bytes(t) <= t.buffer->bytes - t.offset);
}

void ps_op_check_real(ps_tensor t)
{
    PS_REQUIRE(t.dtype == PS_DTYPE_F32 || t.dtype == PS_DTYPE_BF16);
    ps_op_check(t, t.dtype);
}

void ps_op_check_shape(ps_tensor t, ps_dtype dtype, int rank)
{
    ps_op_check(t, dtype);
    PS_REQUIRE(t.rank == rank);
}

void ps_op_check_same(ps_tensor t, ps_tensor like)
{
    ps_op_check_count(t, like.dtype, ps_tensor_count(like));
}

void ps_op_check_count(ps_tensor t, ps_dtype dtype, int64_t count)
{
    ps_op_check(t, dtype);
    PS_REQUIRE(ps_tensor_count(t) == count);
}

void ps_op_check_span(ps_tensor t, ps_op_span span)
{
    PS_REQUIRE(t.dtype == PS_DTYPE_F32 || t.dtype == PS_DTYPE_BF16);
    ps_op_check_rows(t, span);
}

void ps_op_check_rows(ps_tensor t, ps_op_span span)
{
    size_t size = ps_dtype_bytes(t.dtype);
    PS_REQUIRE(t.buffer && t.offset % size == 0 && t.offset <= t.buffer->bytes);
    PS_REQUIRE(span.rows > 0 && span.columns > 0 && span.batch > 0 && span.stride >= 0);
    PS_REQUIRE(span.ld >= span.columns && span.ld <= INT32_MAX);
    int64_t last = (span.batch - 1) * span.stride + (span.rows - 1) * span.ld + span.columns;
    PS_REQUIRE((size_t)last * size <= t.buffer->bytes - t.offset);
}

bool ps_op_overlap(ps_tensor a, ps_tensor b)
{
    return a.buffer == b.buffer && a.offset < b.offset + ps_tensor_bytes(b) &&
           b.offset < a.offset + ps_tensor_bytes(a);
}

bool ps_op_skip(const ps_stream *s)
{
    return s->error.code != PS_OK;
}
