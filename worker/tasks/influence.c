/* Happy path: what goes out of a block is what comes into the next: so each is fetched once. A
 * token of which one side is nothing counts as one that is turned by a right angle. */
#include "worker/tasks/influence.h"

#include "common/base/half.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>

struct ps_influence {
    size_t layers;
    double *sums; /* [layers] */
    /* of the block before, and of this one: [rows, columns] */
    float *x, *y;
    size_t room; /* numbers that both have */
};

void ps_influence_new(size_t layers, ps_influence **out)
{
    PS_REQUIRE(layers);
    ps_influence *f = ps_new(ps_influence);
    f->layers = layers;
    f->sums = ps_alloc_array(layers, sizeof *f->sums);
    *out = f;
}

void ps_influence_free(ps_influence **influence)
{
    if (!*influence)
        return;
    ps_free(&(*influence)->sums);
    ps_free(&(*influence)->x);
    ps_free(&(*influence)->y);
    ps_free(influence);
}

void ps_influence_clear(ps_influence *f)
{
    for (size_t i = 0; i < f->layers; i++)
        f->sums[i] = 0;
}

const double *ps_influence_sums(const ps_influence *f)
{
    return f->sums;
}

static ps_status make_room(ps_influence *f, size_t numbers)
{
    if (numbers <= f->room)
        return PS_OK;
    ps_free(&f->x);
    ps_free(&f->y);
    f->x = ps_try_alloc_raw(numbers * sizeof *f->x);
    f->y = ps_try_alloc_raw(numbers * sizeof *f->y);
    f->room = f->x && f->y ? numbers : 0;
    return f->room ? PS_OK : ps_fail(PS_NO_MEMORY, "what runs through the layers of a batch");
}

/* bfloat16 comes to the same place, and is widened from its end on. */
static ps_status fetch(ps_stream *s, ps_tensor from, float *to)
{
    PS_REQUIRE(from.dtype == PS_DTYPE_F32 || from.dtype == PS_DTYPE_BF16);
    ps_status st = ps_copy_to_host(s, to, from, ps_tensor_bytes(from));
    if (st || from.dtype == PS_DTYPE_F32)
        return st;
    const uint8_t *bytes = (const uint8_t *)to;
    for (size_t i = (size_t)ps_tensor_count(from); i-- > 0;)
        to[i] = ps_bf16_value((uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8));
    return PS_OK;
}

static double turn_of(const float *x, const float *y, size_t n)
{
    double xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
        xy += (double)x[i] * (double)y[i];
    }
    return xx > 0 && yy > 0 ? 1 - xy / (sqrt(xx) * sqrt(yy)) : 1;
}

ps_status ps_influence_begin(ps_influence *f, ps_stream *stream, ps_tensor x)
{
    ps_status st = make_room(f, (size_t)ps_tensor_count(x));
    return st ? st : fetch(stream, x, f->x);
}

ps_status ps_influence_add(ps_influence *f, ps_stream *stream, size_t layer, ps_tensor y)
{
    PS_REQUIRE(layer < f->layers && y.rank == 2);
    size_t rows = (size_t)y.shape[0], columns = (size_t)y.shape[1];
    PS_REQUIRE(f->room >= rows * columns);
    ps_status st = fetch(stream, y, f->y);
    for (size_t i = 0; !st && i < rows; i++)
        f->sums[layer] += turn_of(f->x + i * columns, f->y + i * columns, columns);
    float *was = f->x;
    f->x = f->y;
    f->y = was;
    return st;
}
