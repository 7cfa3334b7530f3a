/* Names of taps, and copies of what they show. */
#include "worker/models/tap.h"

#include "common/base/require.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *short_name, *name;
    ps_tap_place place;
} rows[PS_TAP_KINDS] = {
#define X(kind, short_name, name, place) [PS_TAP_##kind] = {short_name, name, place},
    PS_TAPS(X)
#undef X
};

static const char *const before[] = {
    [PS_TAP_ONCE] = "", [PS_TAP_IN_BLOCK] = "blocks.", [PS_TAP_IN_LAYER] = "layers."};

#define X(kind, short_name, name, place) " " short_name
static const char short_names[] = PS_TAPS(X);
#undef X

const char *ps_tap_name(ps_tap tap, char out[PS_TAP_NAME])
{
    PS_REQUIRE(tap.kind < PS_TAP_KINDS && tap.layer >= 0);
    const char *name = rows[tap.kind].name;
    if (rows[tap.kind].place == PS_TAP_ONCE)
        (void)snprintf(out, PS_TAP_NAME, "%s", name);
    else
        (void)snprintf(out, PS_TAP_NAME, "%s%lld.%s", before[rows[tap.kind].place],
                       (long long)tap.layer, name);
    return out;
}

/* The layer's number, and what stands behind it; NULL: there is none. */
static const char *skip_layer(const char *text, ps_tap_place place, int64_t *layer)
{
    size_t n = strlen(before[place]);
    *layer = 0;
    if (place == PS_TAP_ONCE)
        return text;
    if (strncmp(text, before[place], n) != 0)
        return NULL;
    text += n;
    const char *digits = text;
    for (; *text >= '0' && *text <= '9' && text - digits < 9; text++)
        *layer = *layer * 10 + (*text - '0');
    return text > digits && *text == '.' ? text + 1 : NULL;
}

ps_status ps_tap_parse(const char *name, ps_tap *out)
{
    for (int kind = 0; kind < PS_TAP_KINDS; kind++) {
        int64_t layer;
        const char *rest = skip_layer(name, rows[kind].place, &layer);
        if (!rest || strcmp(rest, rows[kind].name) != 0)
            continue;
        *out = (ps_tap){.kind = (ps_tap_kind)kind, .layer = layer};
        return PS_OK;
    }
    return ps_fail(PS_INVALID_ARGUMENT,
                   "%s is no point of a pass: there are names as blocks.0.attn.hook_z, and "
                   "layers.0.post, of the kinds%s",
                   name, short_names);
}

ps_status ps_tap_kind_parse(const char *name, ps_tap_kind *out)
{
    for (int kind = 0; kind < PS_TAP_KINDS; kind++) {
        if (strcmp(name, rows[kind].short_name) != 0)
            continue;
        *out = (ps_tap_kind)kind;
        return PS_OK;
    }
    return ps_fail(PS_INVALID_ARGUMENT, "%s is no kind of a point: there are%s", name, short_names);
}

const char *ps_tap_kind_name(ps_tap_kind kind)
{
    PS_REQUIRE(kind < PS_TAP_KINDS);
    return rows[kind].short_name;
}

ps_tap_place ps_tap_place_of(ps_tap_kind kind)
{
    PS_REQUIRE(kind < PS_TAP_KINDS);
    return rows[kind].place;
}

static ps_tensor row_of(ps_tensor x, int64_t ld, int64_t row)
{
    PS_REQUIRE(x.dtype == PS_DTYPE_F32 && x.rank == 2 && ld >= x.shape[1]);
    x.offset += (size_t)(row * ld) * sizeof(float);
    return ps_tensor_head(x, 1);
}

/* At once where rows are dense, else one by one. */
ps_status ps_tap_read(ps_stream *s, ps_tensor x, int64_t ld, float *out)
{
    ps_status st = PS_OK;
    if (ld == x.shape[1])
        return ps_copy_to_host(s, out, x, ps_tensor_bytes(x));
    for (int64_t i = 0; !st && i < x.shape[0]; i++) {
        ps_tensor row = row_of(x, ld, i);
        st = ps_copy_to_host(s, out + i * x.shape[1], row, ps_tensor_bytes(row));
    }
    return st;
}

ps_status ps_tap_write(ps_stream *s, ps_tensor x, int64_t ld, const float *values)
{
    int64_t n = ld == x.shape[1] ? 1 : x.shape[0];
    for (int64_t i = 0; i < n; i++) {
        ps_tensor some = n == 1 ? x : row_of(x, ld, i);
        ps_copy_to_device(s, some, values + i * x.shape[1], ps_tensor_bytes(some));
    }
    return ps_stream_sync(s);
}
