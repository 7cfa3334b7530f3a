/* bench_cnn_step: how fast one training step (forward, loss, backward) of a network for images is,
 * beside the processor's limit taken in the same run (step.h). tests/bench/cnn runs it beside
 * torch.
 *
 *     bench_cnn_step [--json] [--threads N] [--net fashion|wide|plain]
 *
 * fashion: that of deploy/examples/fashion-cnn.yaml, batches of 64. wide: 64 and 128 channels, on 3
 * × 32 × 32, batches of 32. plain: fashion without norms.
 */
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/bench/step.h"

#include <string.h>

enum { BATCH_MOST = 64 };

#define CONVOLUTION(channels_, norm_groups_, pool_)                             \
    {                                                                           \
        .channels = (channels_), .kernel = 3, .stride = 1, .padding = 1,        \
        .norm = (norm_groups_) ? PS_CONVOLUTION_GROUP : PS_CONVOLUTION_NO_NORM, \
        .norm_groups = (norm_groups_), .pool = (pool_),                         \
        .pool_size = (pool_) == PS_CONVOLUTION_MAX ? 2 : 0,                     \
        .pool_stride = (pool_) == PS_CONVOLUTION_MAX ? 2 : 0                    \
    }

static const ps_convolution fashion[] = {CONVOLUTION(16, 8, PS_CONVOLUTION_MAX),
                                         CONVOLUTION(32, 8, PS_CONVOLUTION_MAX)};
static const ps_convolution plain[] = {CONVOLUTION(16, 0, PS_CONVOLUTION_MAX),
                                       CONVOLUTION(32, 0, PS_CONVOLUTION_MAX)};
static const ps_convolution wide[] = {
    CONVOLUTION(64, 8, PS_CONVOLUTION_NO_POOL), CONVOLUTION(64, 8, PS_CONVOLUTION_MAX),
    CONVOLUTION(128, 8, PS_CONVOLUTION_MAX), CONVOLUTION(128, 8, PS_CONVOLUTION_GLOBAL)};
static const int64_t fashion_layers[] = {64, 10}, wide_layers[] = {10};

typedef struct net {
    const char *name;
    int64_t batch;
    ps_image_size image;
    const ps_convolution *convolutions;
    size_t n;
    const int64_t *layers;
    size_t n_layers;
} net;

static const net nets[] = {{"fashion", 64, {1, 28, 28}, fashion, 2, fashion_layers, 2},
                           {"plain", 64, {1, 28, 28}, plain, 2, fashion_layers, 2},
                           {"wide", 32, {3, 32, 32}, wide, 4, wide_layers, 1}};

/* Of the products of a step: two a multiplication, three passes, but for the images' gradient. */
static double flops_of(const net *n)
{
    ps_image_size size = n->image;
    double flops = 0;
    for (size_t i = 0; i < n->n; i++) {
        const ps_convolution *c = &n->convolutions[i];
        ps_image_size given = ps_convolution_given(c, size);
        flops += (i ? 6.0 : 4.0) * (double)(ps_image_numbers(given) * size.channels * 9);
        size = ps_convolution_pooled(c, given);
    }
    double in = (double)ps_image_numbers(size);
    for (size_t i = 0; i < n->n_layers; i++) {
        flops += 6.0 * in * (double)n->layers[i];
        in = (double)n->layers[i];
    }
    return flops * (double)n->batch;
}

int main(int argc, char **argv)
{
    const net *n = &nets[0];
    for (int i = 1; i + 1 < argc; i++)
        for (size_t k = 0; strcmp(argv[i], "--net") == 0 && k < 3; k++)
            if (strcmp(argv[i + 1], nets[k].name) == 0)
                n = &nets[k];
    int64_t numbers = n->batch * ps_image_numbers(n->image);
    float *features = ps_alloc_array((size_t)numbers, sizeof *features);
    int32_t labels[BATCH_MOST];
    ps_rng rng;
    ps_rng_seed(&rng, 1);
    for (int64_t i = 0; i < numbers; i++)
        features[i] = (float)ps_rng_normal(&rng);
    for (int i = 0; i < BATCH_MOST; i++)
        labels[i] = i % 10;
    ps_bench_step bench = {
        .name = n->name,
        .title = "a network for images, forward and backward, float32",
        .config = {.architecture = "cnn",
                   .image = n->image,
                   .convolutions = n->convolutions,
                   .convolution_count = n->n,
                   .layers = n->layers,
                   .layer_count = n->n_layers,
                   .language = {.norm_epsilon = 1e-5}},
        .options = {.max_batch = n->batch},
        .batch = {.rows = n->batch, .features = features, .labels = labels},
        .flops = flops_of(n),
        .weight = 0.05,
        .rounds = 8,
    };
    int rc = ps_bench_step_main(&bench, argc, argv);
    ps_free(&features);
    return rc;
}
