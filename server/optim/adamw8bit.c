/* adamw8bit: adamw with both moments in a byte each (Dettmers et al. 2022, "8-bit Optimizers via
 * Block-wise Quantization", arXiv 2110.02861). Parameters stay float32.
 *
 * A group of 256 elements at a time: m and v are unpacked, the update of adamw.c is made with all
 * their bits, and they are packed again; so what is rounded is only what the next update finds.
 * How, says dynamic8.h. Elements of the group that have no gradient are packed again with it: they
 * move by the rounding to the group's new scale and no further.
 *
 * State of a block of n elements in s = ⌈n/256⌉ groups: float scales of m [s], of v [s], bytes of m
 * [n], of v [n]: 2 + 8/256 bytes an element. */
#include "common/base/require.h"
#include "server/optim/adamw.h"
#include "server/optim/dynamic8.h"
#include "server/optim/rows.h"

#include <math.h>
#include <string.h>

enum { GROUP = PS_DYNAMIC8_GROUP };

typedef struct moments {
    float *m_scale, *v_scale;
    uint8_t *m, *v;
} moments;

static size_t groups(size_t elements)
{
    return (elements + GROUP - 1) / GROUP;
}

static size_t state_bytes(size_t elements)
{
    return 2 * (groups(elements) * sizeof(float) + elements);
}

static moments moments_of(void *state, size_t elements)
{
    moments of = {.m_scale = state};
    of.v_scale = of.m_scale + groups(elements);
    of.m = (uint8_t *)(of.v_scale + groups(elements));
    of.v = of.m + elements;
    return of;
}

static void state_init(const ps_optimizer_config *config, void *state, size_t elements)
{
    moments of = moments_of(state, elements);
    memset(state, 0, state_bytes(elements));
    memset(of.m, PS_DYNAMIC8_SIGNED_ZERO, elements);
}

static size_t less(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void step(const ps_optimizer_config *config, const ps_optimizer_step *step,
                 const ps_optimizer_part *part)
{
    PS_REQUIRE(part->state && part->begin + part->count <= part->elements);
    const ps_adamw_factors factors = ps_adamw_prepare(config, step);
    const moments of = moments_of(part->state, part->elements);
    _Alignas(64) float m[GROUP], v[GROUP];
    for (size_t done = 0, n; done < part->count; done += n) {
        size_t at = part->begin + done, group = at / GROUP, first = group * GROUP;
        size_t len = less(GROUP, part->elements - first);
        n = less(part->count - done, first + len - at);
        ps_dynamic8_unpack_signed(of.m + first, of.m_scale[group], len, m);
        ps_dynamic8_unpack_unsigned(of.v + first, of.v_scale[group], len, v);
        ps_adamw_apply(n, part->in + done, part->out + done, part->g + done, m + (at - first),
                       v + (at - first), factors);
        of.m_scale[group] = ps_dynamic8_pack_signed(m, len, of.m + first);
        of.v_scale[group] = ps_dynamic8_pack_unsigned(v, len, of.v + first);
    }
}

static void second_moment(const ps_optimizer_config *config, const void *state, size_t elements,
                          uint64_t count, float *out)
{
    const moments of = moments_of((void *)(uintptr_t)state, elements); /* only read */
    float m[GROUP], v[GROUP];
    for (size_t first = 0, group = 0; first < elements; first += GROUP, group++) {
        size_t len = less(GROUP, elements - first);
        ps_dynamic8_unpack_signed(of.m + first, of.m_scale[group], len, m);
        ps_dynamic8_unpack_unsigned(of.v + first, of.v_scale[group], len, v);
        ps_adamw_variance(config, count, len, m, v, out + first);
    }
}

const ps_optimizer ps_optimizer_adamw8bit = {
    .name = "adamw8bit",
    .state_format = 3,
    .state_bytes = state_bytes,
    .state_init = state_init,
    .step = step,
    .second_moment = second_moment,
};
