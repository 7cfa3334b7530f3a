/* bench_mlp_step: how fast one training step (forward, loss, backward) of the Fashion-MNIST mlp is,
 * 784-512-256-10 with batches of 128, beside the processor's limit taken in the same run (step.h).
 *
 *     bench_mlp_step [--json] [--threads N] [--type bf16]
 */
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/bench/step.h"

enum { BATCH = 128 };

static const int64_t layers[] = {784, 512, 256, 10};

int main(int argc, char **argv)
{
    float *features = ps_alloc_array(BATCH * 784, sizeof(float));
    int32_t labels[BATCH];
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    for (int i = 0; i < BATCH * 784; i++)
        features[i] = (float)ps_rng_uniform(&rng);
    for (int i = 0; i < BATCH; i++)
        labels[i] = i % 10;
    /* forward: 2·rows·in·out a layer; backward the same for weights, and for inputs but the first's
     */
    const double weights = 784.0 * 512 + 512.0 * 256 + 256.0 * 10;
    ps_bench_step bench = {
        .name = "mlp_step",
        .title = "mlp 784-512-256-10, batch 128, forward and backward, float32",
        .config = {.architecture = "mlp", .layers = layers, .layer_count = 4},
        .options = {.max_batch = BATCH},
        .batch = {.rows = BATCH, .features = features, .labels = labels},
        .flops = 2.0 * BATCH * (3 * weights - 784.0 * 512),
        .weight = 0.05,
        .rounds = 12,
    };
    int rc = ps_bench_step_main(&bench, argc, argv);
    ps_free(&features);
    return rc;
}
