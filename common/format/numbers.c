/* Piece by piece, nothing is held. It fails where a number is not finite and where a read does. */
#include "common/format/numbers.h"

#include "common/base/bits.h"
#include "common/base/half.h"
#include "common/base/slice.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 4096 };

bool ps_numbers_known(ps_safetensors_dtype dtype)
{
    return dtype == PS_SAFETENSORS_F32 || dtype == PS_SAFETENSORS_F16 ||
           dtype == PS_SAFETENSORS_BF16 || dtype == PS_SAFETENSORS_F64;
}

static float narrow(const uint8_t *bytes)
{
    double v;
    memcpy(&v, bytes, sizeof v);
    return (float)v;
}

void ps_numbers_widen(ps_safetensors_dtype dtype, const uint8_t *bytes, size_t n, float *out)
{
    if (dtype == PS_SAFETENSORS_F32)
        memcpy(out, bytes, n * sizeof *out);
    for (size_t i = 0; dtype == PS_SAFETENSORS_F64 && i < n; i++)
        out[i] = narrow(bytes + 8 * i);
    for (size_t i = 0; (dtype == PS_SAFETENSORS_F16 || dtype == PS_SAFETENSORS_BF16) && i < n;
         i++) {
        uint16_t half = (uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);
        out[i] = dtype == PS_SAFETENSORS_F16 ? ps_f16_value(half) : ps_bf16_value(half);
    }
}

size_t ps_numbers_beyond(const float *values, size_t n, float limit)
{
    for (size_t at = 0; at < n; at += PIECE) {
        size_t end = n - at < PIECE ? n : at + PIECE;
        unsigned beyond = 0; /* without a branch, so that the compiler makes vectors of it */
        for (size_t i = at; i < end; i++)
            beyond |= !(fabsf(values[i]) < limit);
        for (size_t i = at; beyond && i < end; i++)
            if (!(fabsf(values[i]) < limit))
                return i;
    }
    return n;
}

ps_sides ps_sides_of(const uint64_t *shape, uint32_t n_dims)
{
    ps_sides out = {.text = "["};
    size_t len = 1;
    for (uint32_t d = 0; d < n_dims; d++)
        len += (size_t)snprintf(out.text + len, sizeof out.text - len, "%s%" PRIu64, d ? ", " : "",
                                shape[d]);
    (void)snprintf(out.text + len, sizeof out.text - len, "]");
    return out;
}

ps_sides ps_sides_at(const uint64_t *shape, uint32_t n_dims, uint64_t at)
{
    uint64_t place[PS_SAFETENSORS_MAX_DIMS] = {0};
    for (uint32_t d = n_dims; d-- > 0;) {
        place[d] = at % shape[d];
        at /= shape[d];
    }
    return ps_sides_of(place, n_dims);
}

ps_status ps_numbers_check(const char *tensor, const uint64_t *shape, uint32_t n_dims,
                           uint64_t first, const float *values, size_t n)
{
    size_t i = ps_numbers_beyond(values, n, INFINITY);
    if (i == n)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "tensor %.100s: element %s is %s; a model's numbers must be finite, in float32",
                   tensor, ps_sides_at(shape, n_dims, first + i).text,
                   isnan(values[i]) ? "nan"
                   : values[i] > 0  ? "inf"
                                    : "-inf");
}

ps_status ps_numbers_check_wide(const char *tensor, const uint64_t *shape, uint32_t n_dims,
                                uint64_t first, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double v;
        memcpy(&v, bytes + 8 * i, sizeof v);
        if (isfinite(v) && !isfinite((float)v))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "tensor %.100s: element %s is %.9g, which is beyond float32", tensor,
                           ps_sides_at(shape, n_dims, first + i).text, v);
    }
    return PS_OK;
}

static bool same(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

ps_status ps_numbers_compare(ps_numbers_read read, void *state, uint64_t all,
                             ps_numbers_differ *out)
{
    float a[PIECE], b[PIECE];
    *out = (ps_numbers_differ){.any = false};
    for (uint64_t at = 0; at < all; at += PIECE) {
        size_t n = all - at < PIECE ? (size_t)(all - at) : PIECE;
        ps_status st = read(state, 0, at, n, a);
        if (!st)
            st = read(state, 1, at, n, b);
        if (st)
            return st;
        for (size_t i = 0; i < n; i++) {
            if (same(a[i], b[i]))
                continue;
            *out = (ps_numbers_differ){.any = true, .at = at + i, .values = {a[i], b[i]}};
            return PS_OK;
        }
    }
    return PS_OK;
}
