/* sum: a tensor that adds up what is pushed: the ΣXXᵀ of calibration, say, of which many workers
 * bring parts. A pull gives the sum, rounded to float32.
 *
 * The same parts must make the same sum in whatever order they come, or a model that four workers
 * compressed would differ from one worker's. So a sum is held in two numbers: f, the float32
 * nearest to it, and a double r, what f lacks: 77 bits together. Addends are float32, of 24 bits;
 * so nothing is lost, and no order seen, while they differ by less than a factor of 2^50. An
 * addition is
 *
 *     s + e = f + x          exactly (Knuth, The Art of Computer Programming 2, 4.2.2, theorem B)
 *     f' = float(s + (r + e))
 *     r' = (s − f') + (r + e), where the first difference is exact
 *
 * It is a dense block under a rule of its own: f is the element and r the rule's state, so that a
 * checkpoint has both. */
#include "common/base/vector.h"
#include "server/params/block_kinds.h"
#include "server/params/dense_block.h"

PS_VECTOR_CLONES
static void kernel(size_t n, const float *in, float *out, double *rest, const ps_wire_float *g,
                   double scale)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        double f = (double)in[i], x = scale * (double)g[i];
        double s = f + x, b = s - f;
        double r = rest[i] + ((f - (s - b)) + (x - b));
        float nearest = (float)(s + r);
        out[i] = nearest;
        rest[i] = (s - (double)nearest) + r;
    }
}

static size_t state_bytes(size_t elements)
{
    return elements * sizeof(double);
}

static void add(const ps_optimizer_config *config, const ps_optimizer_step *step,
                const ps_optimizer_part *part)
{
    (void)config;
    kernel(part->count, part->in, part->out, (double *)part->state + part->begin, part->g,
           step->gradient_scale);
}

static const ps_optimizer rule = {.name = "sum", .state_bytes = state_bytes, .step = add};

static ps_status check(const ps_block *block, const ps_block_chunk *chunk, double *sum_sq)
{
    (void)block;
    ps_status st = ps_codec_check(chunk->codec, chunk->payload, chunk->count);
    if (st)
        return st;
    ps_codec_scan scan = chunk->codec->scan(chunk->payload, chunk->count, sum_sq != NULL);
    if (!scan.finite)
        return ps_fail(PS_INVALID_ARGUMENT, "NaN or infinity in what is to be added to its sum");
    if (sum_sq)
        *sum_sq += scan.sum_sq;
    return PS_OK;
}

const ps_block_kind ps_block_sum = {
    .name = "sum",
    .right = PS_BLOCK_ROWS,
    .rule = &rule,
    .alone = true,
    .check = check,
    PS_BLOCK_DENSELY,
};
