/* Unpacking looks the code up. Packing needs no search: within a decade the place of a number's
 * code is a straight line of the number, rounded down, since cells are equal and codes their
 * middles. Where one decade gives way to the next, the middle between the last code of the one and
 * the first of the other decides, which lies a little above the power of ten. Both ways are vector
 * code; nothing can fail. */
#include "server/optim/dynamic8.h"

#include "common/base/bits.h"
#include "common/base/require.h"
#include "common/base/vector.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

enum { DECADES = 7, CODES = 256, POSITIVE = 128 /* of the signed codes, 1 included */ };

/* Of the codes from 0 up to 1, by decade. */
typedef struct half {
    float from[DECADES];  /* the least number that is given a code of this decade */
    float slope[DECADES]; /* place = slope × number + start, and at most stop */
    float start[DECADES];
    float stop[DECADES]; /* the last code's place and a half: beyond it only 1 would be */
    float one;           /* the least number that is given 1 */
} half;

static half positive, unsigned_;
static float signed_code[CODES], unsigned_code[CODES];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Returns how many codes there are. */
static int fill_half(half *h, int cells, float *code)
{
    double below = 0;
    int n = 1;
    code[0] = 0;
    for (int d = 0; d < DECADES; d++, cells *= 2) {
        double top = pow(10, d - 6), first = top * (0.1 + 0.45 / cells);
        h->from[d] = (float)((below + first) / 2);
        h->slope[d] = (float)(cells / 0.9 / top);
        h->start[d] = (float)(n - cells / 9.0);
        h->stop[d] = (float)(n + cells - 0.5);
        for (int j = 0; j < cells; j++) {
            below = top * (0.1 + 0.9 * (j + 0.5) / cells);
            code[n++] = (float)below;
        }
    }
    h->one = (float)((below + 1) / 2);
    code[n++] = 1;
    return n;
}

static void fill(void)
{
    float *zero = signed_code + PS_DYNAMIC8_SIGNED_ZERO;
    int n = fill_half(&positive, 1, zero);
    for (int k = 1; k < n - 1; k++)
        zero[-k] = -zero[k];
    (void)fill_half(&unsigned_, 2, unsigned_code);
}

PS_VECTOR_CLONES
static void unpack(const float *code, const uint8_t *bytes, float scale, size_t n, float *out)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++)
        out[i] = scale * code[bytes[i]];
}

void ps_dynamic8_unpack_signed(const uint8_t *bytes, float scale, size_t n, float *out)
{
    (void)pthread_once(&once, fill);
    unpack(signed_code, bytes, scale, n, out);
}

void ps_dynamic8_unpack_unsigned(const uint8_t *bytes, float scale, size_t n, float *out)
{
    (void)pthread_once(&once, fill);
    unpack(unsigned_code, bytes, scale, n, out);
}

/* As integers, magnitudes are in the order of the floats: a maximum the compiler may reorder. */
PS_VECTOR_CLONES
static float greatest(const float *numbers, size_t n)
{
    uint32_t top = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = ps_bits_of_float(numbers[i]) & 0x7fffffff;
        top = bits > top ? bits : top;
    }
    float out = ps_float_of_bits(top);
    return out < FLT_MAX ? out : FLT_MAX;
}

/* The places of magnitudes among the codes from 0 up. What is above 1, or no number, gets 1's. As
 * whole numbers of 32 bits: four vectors at a time, for bytes, would not fit the registers. */
PS_VECTOR_CLONES
static void find(const half *by, const float *numbers, float inverse, size_t n, int32_t *out)
{
    const half h = *by;
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        float x = fabsf(numbers[i]) * inverse, place = 0;
        for (int d = 0; d < DECADES; d++) {
            float line = h.slope[d] * x + h.start[d];
            line = line < h.stop[d] ? line : h.stop[d];
            place = x < h.from[d] ? place : line;
        }
        out[i] = (int32_t)place + (x < h.one ? 0 : 1);
    }
}

PS_VECTOR_CLONES
static void put_signed(const int32_t *found, const float *numbers, size_t n, uint8_t *out)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        int32_t down = found[i] < POSITIVE ? -found[i] : 1 - POSITIVE;
        out[i] = (uint8_t)(PS_DYNAMIC8_SIGNED_ZERO + (numbers[i] < 0 ? down : found[i]));
    }
}

PS_VECTOR_CLONES
static void put_unsigned(const int32_t *found, const float *numbers, size_t n, uint8_t *out)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        int32_t least = numbers[i] > 0 ? 1 : 0;
        out[i] = (uint8_t)(found[i] > least ? found[i] : least);
    }
}

/* A scale below FLT_MIN has no inverse. */
float ps_dynamic8_pack_signed(const float *numbers, size_t n, uint8_t *out)
{
    PS_REQUIRE(n <= PS_DYNAMIC8_GROUP);
    (void)pthread_once(&once, fill);
    float scale = greatest(numbers, n);
    if (scale < FLT_MIN) {
        memset(out, PS_DYNAMIC8_SIGNED_ZERO, n);
        return 0;
    }
    int32_t found[PS_DYNAMIC8_GROUP];
    find(&positive, numbers, 1 / scale, n, found);
    put_signed(found, numbers, n, out);
    return scale;
}

float ps_dynamic8_pack_unsigned(const float *numbers, size_t n, uint8_t *out)
{
    PS_REQUIRE(n <= PS_DYNAMIC8_GROUP);
    (void)pthread_once(&once, fill);
    float scale = greatest(numbers, n);
    if (scale < FLT_MIN) {
        memset(out, 0, n);
        return 0;
    }
    int32_t found[PS_DYNAMIC8_GROUP];
    find(&unsigned_, numbers, 1 / scale, n, found);
    put_unsigned(found, numbers, n, out);
    return scale;
}
