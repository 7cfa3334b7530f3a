/* sketch: changes of a model's parameters, or gradients of them, in so few numbers that one can be
 * kept of every push, and that still have their inner products (count-sketch: Charikar, Chen,
 * Farach-Colton 2002; Weinberger and others 2009, "feature hashing").
 *
 * Parameters are cut into units, the column blocks of the tensors in the order of the store, and a
 * unit of e elements has `width` numbers of its own. Element i of it is added, with a random sign,
 * to number (i + rotation of its run) % width, where a run is `width` elements side by side and has
 * a random rotation: so elements of one run never meet, those of two meet with probability 1/width,
 * and what lies side by side in memory does so in the sketch. For two vectors a, b of a unit
 *
 *     E⟨Sa, Sb⟩ = ⟨a, b⟩,   deviation ≤ (‖a‖‖b‖ + ⟨a, b⟩) / √width;   width = e: exactly ⟨a, b⟩
 *
 * S is linear. Signs and rotations are Philox 4x32-10 (Salmon and others 2011) by the numbers of
 * draw, unit and element alone, so that psd, workers and psctl have the same without a word.
 * Read-only after creation; any thread.
 */
#ifndef PS_RECORD_SKETCH_H
#define PS_RECORD_SKETCH_H

#include "common/codec/codec.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_sketch ps_sketch;

enum {
    PS_SKETCH_SIZE_MIN = 64,
    PS_SKETCH_SIZE_MAX = 1 << 20,
    PS_SKETCH_WIDTH_MIN = 16, /* of a unit that has so many elements */
};

/* Where a unit's numbers lie in a sketch. */
typedef struct ps_sketch_part {
    uint32_t at, width;
} ps_sketch_part;

/* elements: of each unit, at least 1; [units]. size is shared out in proportion to them; no unit
 * has more numbers than elements, nor less than PS_SKETCH_WIDTH_MIN unless it has not more
 * elements. PS_NO_MEMORY: an eighth of a byte a parameter is needed for the signs. */
PS_MUST_CHECK ps_status ps_sketch_create(const uint64_t *elements, size_t units, uint32_t size,
                                         ps_sketch **out);
/* The same with other signs and rotations: those of draw 0 are _create's. */
PS_MUST_CHECK ps_status ps_sketch_create_drawn(const uint64_t *elements, size_t units,
                                               uint32_t size, uint32_t draw, ps_sketch **out);
/* The same of one that nothing is added to: it has no signs. */
void ps_sketch_shape(const uint64_t *elements, size_t units, uint32_t size, ps_sketch **out);
void ps_sketch_free(ps_sketch **sketch);

size_t ps_sketch_units(const ps_sketch *sketch);
ps_sketch_part ps_sketch_part_of(const ps_sketch *sketch, size_t unit);
size_t ps_sketch_width(const ps_sketch *sketch); /* numbers of all units together */

/* The width of a unit of so many elements of `all`; what _create goes by. */
uint32_t ps_sketch_width_of(uint64_t elements, uint64_t all, uint32_t size);

/* Adds factor · values to the sketch `out` [ps_sketch_width]: elements [begin, begin + n) of the
 * unit. Allocates nothing. */
void ps_sketch_add(const ps_sketch *sketch, size_t unit, uint64_t begin,
                   const ps_wire_float *values, size_t n, float factor, float *out);
/* The same of after - before. */
void ps_sketch_add_change(const ps_sketch *sketch, size_t unit, uint64_t begin, const float *before,
                          const float *after, size_t n, float *out);

/* The numbers of a unit as codes of one scale, which are those of the codec int8 with the largest
 * 127: f32 scale, i8 × width; number = code × scale. And back: bytes are hostile, but as many; a
 * scale that is no number makes zeros. */
enum { PS_SKETCH_SCALE_BYTES = 4 };
void ps_sketch_encode(const float *numbers, uint32_t width, uint8_t *out);
void ps_sketch_decode(const uint8_t *bytes, uint32_t width, float *numbers);

/* In double. */
double ps_sketch_dot(const float *a, const float *b, size_t n);

#endif
