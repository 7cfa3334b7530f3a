/* Signs are made once, a bit an element; a run's rotation whenever the run begins. What is added
 * goes by pieces that lie side by side on both sides, 32 elements at a time, as vector code. Fails
 * at creation alone, for want of memory. */
#include "common/record/sketch.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/slice.h"
#include "common/base/vector.h"

#include <math.h>
#include <string.h>

enum { SIGNS = 0, ROTATIONS = 1, LANES = 32, PIECE = 512 };

#define KEY UINT32_C(0x70736431)

typedef struct sketch_unit {
    uint64_t elements;
    ps_sketch_part part;
    uint32_t *signs; /* a bit an element, and a word more; NULL: of a shape */
} sketch_unit;

struct ps_sketch {
    size_t n, width;
    uint32_t draw;
    sketch_unit *units;
};

static void philox(uint32_t c[4], uint32_t key0, uint32_t key1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t x = UINT64_C(0xD2511F53) * c[0], y = UINT64_C(0xCD9E8D57) * c[2];
        const uint32_t next[] = {(uint32_t)(y >> 32) ^ c[1] ^ key0, (uint32_t)y,
                                 (uint32_t)(x >> 32) ^ c[3] ^ key1, (uint32_t)x};
        for (int i = 0; i < 4; i++)
            c[i] = next[i];
        key0 += UINT32_C(0x9E3779B9);
        key1 += UINT32_C(0xBB67AE85);
    }
}

static uint32_t rotation(uint32_t draw, size_t unit, uint64_t run, uint32_t width)
{
    uint32_t c[] = {(uint32_t)run, (uint32_t)(run >> 32), ROTATIONS, draw};
    philox(c, (uint32_t)unit, KEY);
    return (uint32_t)(((uint64_t)c[0] * width) >> 32);
}

uint32_t ps_sketch_width_of(uint64_t elements, uint64_t all, uint32_t size)
{
    PS_REQUIRE(elements > 0 && elements <= all && size <= PS_SKETCH_SIZE_MAX);
    uint64_t width = (uint64_t)((double)size * ((double)elements / (double)all));
    if (width < PS_SKETCH_WIDTH_MIN)
        width = PS_SKETCH_WIDTH_MIN;
    return (uint32_t)(width < elements ? width : elements);
}

static bool make_signs(sketch_unit *u, uint32_t draw, size_t number)
{
    uint64_t words = u->elements / LANES + 2;
    u->signs = ps_try_alloc((size_t)(words + 3) / 4 * 4 * sizeof *u->signs);
    for (uint64_t i = 0; u->signs && i < words; i += 4) {
        uint32_t c[] = {(uint32_t)(i / 4), (uint32_t)(i / 4 >> 32), SIGNS, draw};
        philox(c, (uint32_t)number, KEY);
        for (int j = 0; j < 4; j++)
            u->signs[i + (uint64_t)j] = c[j];
    }
    return u->signs != NULL;
}

void ps_sketch_shape(const uint64_t *elements, size_t units, uint32_t size, ps_sketch **out)
{
    uint64_t all = 0;
    ps_sketch *s = ps_new(ps_sketch);
    s->units = ps_alloc_array(units, sizeof *s->units);
    s->n = units;
    for (size_t i = 0; i < units; i++)
        all += elements[i];
    for (size_t i = 0; i < units; i++) {
        s->units[i].elements = elements[i];
        s->units[i].part.at = (uint32_t)s->width;
        s->units[i].part.width = ps_sketch_width_of(elements[i], all, size);
        s->width += s->units[i].part.width;
    }
    *out = s;
}

ps_status ps_sketch_create(const uint64_t *elements, size_t units, uint32_t size, ps_sketch **out)
{
    return ps_sketch_create_drawn(elements, units, size, 0, out);
}

ps_status ps_sketch_create_drawn(const uint64_t *elements, size_t units, uint32_t size,
                                 uint32_t draw, ps_sketch **out)
{
    ps_sketch *s;
    ps_sketch_shape(elements, units, size, &s);
    s->draw = draw;
    for (size_t i = 0; i < units; i++) {
        if (make_signs(&s->units[i], draw, i))
            continue;
        ps_sketch_free(&s);
        return ps_fail(PS_NO_MEMORY, "out of memory for the signs of a sketch, a bit a parameter");
    }
    *out = s;
    return PS_OK;
}

void ps_sketch_free(ps_sketch **sketch)
{
    ps_sketch *s = *sketch;
    for (size_t i = 0; s && i < s->n; i++)
        free(s->units[i].signs);
    if (s)
        free(s->units);
    ps_free(sketch);
}

size_t ps_sketch_units(const ps_sketch *sketch)
{
    return sketch->n;
}

ps_sketch_part ps_sketch_part_of(const ps_sketch *sketch, size_t unit)
{
    PS_REQUIRE(unit < sketch->n);
    return sketch->units[unit].part;
}

size_t ps_sketch_width(const ps_sketch *sketch)
{
    return sketch->width;
}

/* ---- adding ---- */

typedef union bits {
    float value;
    uint32_t word;
} bits;

/* `signs` are of 32 elements from the first of these n on; what is added is after - before. */
static inline void add_lanes(const float *before, const float *after, uint32_t signs, size_t n,
                             float *out)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        bits b = {.value = after[i] - before[i]};
        b.word ^= (signs << (31 - i)) & UINT32_C(0x80000000);
        out[i] += b.value;
    }
}

static inline uint32_t signs_from(const uint32_t *words, uint64_t at)
{
    uint64_t two = words[at / LANES] | (uint64_t)words[at / LANES + 1] << 32;
    return (uint32_t)(two >> (at % LANES));
}

PS_VECTOR_CLONES
static void add_signed(const float *before, const float *after, const uint32_t *words, uint64_t at,
                       size_t n, float *out)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        add_lanes(before + i, after + i, signs_from(words, at + i), LANES, out + i);
    if (i < n)
        add_lanes(before + i, after + i, signs_from(words, at + i), n - i, out + i);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Elements [at, end) of the unit, which are of one run. */
static void add_run(const sketch_unit *u, uint32_t turn, uint64_t at, uint64_t end,
                    const float *before, const float *after, float *own)
{
    uint32_t width = u->part.width;
    for (uint64_t first = at, count; at < end; at += count) {
        uint64_t to = (at % width + turn) % width;
        count = least(end - at, width - to);
        add_signed(before + (at - first), after + (at - first), u->signs, at, (size_t)count,
                   own + to);
    }
}

void ps_sketch_add_change(const ps_sketch *sketch, size_t number, uint64_t begin,
                          const float *before, const float *after, size_t n, float *out)
{
    PS_REQUIRE(number < sketch->n);
    const sketch_unit *u = &sketch->units[number];
    PS_REQUIRE(u->signs && begin <= u->elements && n <= u->elements - begin);
    uint32_t width = u->part.width;
    uint64_t at = begin, end = begin + n;
    while (at < end) {
        uint64_t run = at / width, run_end = least((run + 1) * width, end);
        /* a unit of one run has nothing to be turned against */
        uint32_t turn = u->elements > width ? rotation(sketch->draw, number, run, width) : 0;
        add_run(u, turn, at, run_end, before + (at - begin), after + (at - begin),
                out + u->part.at);
        at = run_end;
    }
}

PS_VECTOR_CLONES
static void scale(const ps_wire_float *values, float factor, size_t n, float *out)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++)
        out[i] = factor * values[i];
}

void ps_sketch_add(const ps_sketch *sketch, size_t unit, uint64_t begin,
                   const ps_wire_float *values, size_t n, float factor, float *out)
{
    static const float nothing[PIECE];
    _Alignas(64) float scaled[PIECE];
    for (size_t done = 0, count; done < n; done += count) {
        count = (size_t)least(n - done, PIECE);
        scale(values + done, factor, count, scaled);
        ps_sketch_add_change(sketch, unit, begin + done, nothing, scaled, count, out);
    }
}

/* ---- codes ---- */

/* Of the numbers' sizes, which are in the order of their bits. */
PS_VECTOR_CLONES
static uint32_t largest(const float *numbers, uint32_t n)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < n; i++) {
        bits b = {.value = numbers[i]};
        uint32_t size = b.word & UINT32_C(0x7fffffff);
        most = size > most ? size : most;
    }
    return most;
}

PS_VECTOR_CLONES
static void put_codes(const float *numbers, uint32_t n, float back, int8_t *out)
{
    PS_VECTOR_LOOP
    for (uint32_t i = 0; i < n; i++) {
        float code = numbers[i] * back;
        out[i] = (int8_t)(int32_t)(code + (code < 0 ? -0.5f : 0.5f));
    }
}

void ps_sketch_encode(const float *numbers, uint32_t width, uint8_t *out)
{
    bits most = {.word = largest(numbers, width)}, scale = {.value = most.value / 127};
    ps_put_u32le(out, scale.word);
    /* so small a number that its reciprocal is none becomes nothing */
    float back = scale.value > 0 && isfinite(1 / scale.value) ? 127 / most.value : 0;
    if (back > 0)
        put_codes(numbers, width, back, (int8_t *)(out + PS_SKETCH_SCALE_BYTES));
    else
        memset(out + PS_SKETCH_SCALE_BYTES, 0, width);
}

void ps_sketch_decode(const uint8_t *bytes, uint32_t width, float *numbers)
{
    ps_cursor c = ps_cursor_of(ps_slice_of(bytes, PS_SKETCH_SCALE_BYTES));
    bits scale = {.word = ps_read_u32le(&c)};
    if (!isfinite(scale.value))
        scale.value = 0;
    for (uint32_t i = 0; i < width; i++)
        numbers[i] = scale.value * (float)(int8_t)bytes[PS_SKETCH_SCALE_BYTES + i];
}

double ps_sketch_dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}
