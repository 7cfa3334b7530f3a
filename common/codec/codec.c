/* The table, and the pass that plain numbers get. */
#include "common/codec/codec.h"

#include "common/base/vector.h"
#include "common/codec/rows.h"

#include <math.h>

#define ROW(name)  &ps_codec_##name,
#define NAME(name) #name,
static const ps_codec *const table[] = {PS_CODEC_ROWS(ROW)};
const char *const ps_codec_names[] = {PS_CODEC_ROWS(NAME) NULL};
const char *const ps_codec_plain_names[] = {PS_CODEC_PLAIN_ROWS(NAME) NULL};

enum { ROWS = sizeof table / sizeof *table, PART = 4096 };

const ps_codec *ps_codec_by_number(uint32_t number)
{
    if (number == 0)
        return &ps_codec_float32;
    for (int i = 0; i < ROWS; i++)
        if (table[i]->number == number)
            return table[i];
    return NULL;
}

const ps_codec *ps_codec_by_name(const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(table[i]->name, name) == 0)
            return table[i];
    return NULL;
}

ps_status ps_codec_check(const ps_codec *codec, ps_slice payload, uint32_t count)
{
    size_t expected = codec->encoded_max(count);
    if (payload.len != expected)
        return ps_fail(PS_INVALID_ARGUMENT, "a payload of %zu bytes, %u elements of %s are %zu",
                       payload.len, count, codec->name, expected);
    return PS_OK;
}

/* The largest |bits|: above all finite numbers are infinity and then NaN (IEEE 754 ordering). */
typedef int32_t wire_bits __attribute__((aligned(1), may_alias));

PS_VECTOR_CLONES
static int32_t largest_bits(const wire_bits *bits, size_t count)
{
    int32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t magnitude = bits[i] & 0x7fffffff;
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}

/* Eight sums side by side, so that the compiler need not reorder additions. */
PS_VECTOR_CLONES
static double sum_squares(const ps_wire_float *values, size_t count)
{
    double sum[8] = {0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t j = 0; j < 8; j++)
            sum[j] += (double)values[i + j] * (double)values[i + j];
    for (; i < count; i++)
        sum[0] += (double)values[i] * (double)values[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

ps_codec_scan ps_codec_scan_values(const ps_wire_float *values, size_t count, bool want_norm)
{
    ps_codec_scan scan = {.finite = true};
    for (size_t i = 0; i < count && scan.finite; i += PART) {
        size_t n = count - i < PART ? count - i : PART;
        scan.finite = largest_bits((const wire_bits *)(const void *)(values + i), n) < 0x7f800000;
        if (want_norm && scan.finite)
            scan.sum_sq += sum_squares(values + i, n);
    }
    return scan;
}
