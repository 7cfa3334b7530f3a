/* A network for images: convolutions, each with its norm, activation and pool, and linear layers
 * behind them. It fails as ps_graph_tensor_add does. */
#include "common/model/graph_build.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct layer {
    const ps_convolution *is;
    size_t i;
    ps_image_size in, given, left;
} layer;

static uint64_t numbers(ps_image_size s)
{
    return (uint64_t)ps_image_numbers(s);
}

/* What leaves the last node: "32 channels of 14 × 14". */
static void say_size(ps_graph_builder *b, ps_image_size s)
{
    ps_graph_node *node = &b->graph->nodes[b->graph->n_nodes - 1];
    (void)snprintf(node->about, sizeof node->about, "%" PRId64 " channel%s of %" PRId64 "x%" PRId64,
                   s.channels, s.channels == 1 ? "" : "s", s.height, s.width);
}

static ps_status add_vector(ps_graph_builder *b, const char *list, const layer *l, const char *what)
{
    char name[PS_LM_NAME];
    (void)snprintf(name, sizeof name, "%s.%zu.%s", list, l->i, what);
    ps_graph_wanted wanted = {.name = name, .n_dims = 1, .shape = {(uint64_t)l->is->channels}};
    return ps_graph_tensor_add(b, &wanted);
}

static ps_status add_convolution(ps_graph_builder *b, const layer *l, uint32_t *last)
{
    char name[PS_LM_NAME - 8], weight[PS_LM_NAME];
    uint64_t side = (uint64_t)l->is->kernel, out = numbers(l->given);
    uint64_t in = (uint64_t)l->in.channels, channels = (uint64_t)l->is->channels;
    (void)snprintf(name, sizeof name, "convolutions.%zu", l->i);
    ps_graph_plain_add(b, PS_GRAPH_CONVOLUTION, name, out,
                       (double)out * (2 * (double)(in * side * side) + 1), last);
    say_size(b, l->given);
    (void)snprintf(weight, sizeof weight, "%s.weight", name);
    ps_status st = ps_graph_tensor_add(
        b, &(ps_graph_wanted){.name = weight, .n_dims = 4, .shape = {channels, in, side, side}});
    return st ? st : add_vector(b, "convolutions", l, "bias");
}

static ps_status add_norm(ps_graph_builder *b, const layer *l, uint32_t *last)
{
    char name[PS_LM_NAME];
    if (l->is->norm != PS_CONVOLUTION_GROUP)
        return PS_OK;
    (void)snprintf(name, sizeof name, "norms.%zu", l->i);
    ps_graph_plain_add(b, PS_GRAPH_NORM, name, numbers(l->given), (double)numbers(l->given), last);
    ps_graph_node *node = &b->graph->nodes[b->graph->n_nodes - 1];
    (void)snprintf(node->about, sizeof node->about, "%" PRId64 " groups", l->is->norm_groups);
    ps_status st = add_vector(b, "norms", l, "weight");
    return st ? st : add_vector(b, "norms", l, "bias");
}

static ps_status add_layer(ps_graph_builder *b, const layer *l, uint32_t *last)
{
    static const char *const pools[] = {[PS_CONVOLUTION_MAX] = "largest",
                                        [PS_CONVOLUTION_AVERAGE] = "mean",
                                        [PS_CONVOLUTION_GLOBAL] = "mean of all"};
    ps_status st = add_convolution(b, l, last);
    if (!st)
        st = add_norm(b, l, last);
    if (st)
        return st;
    ps_graph_plain_add(b, PS_GRAPH_ACTIVATION, ps_graph_activation(b), numbers(l->given),
                       (double)numbers(l->given), last);
    if (l->is->pool == PS_CONVOLUTION_NO_POOL)
        return PS_OK;
    ps_graph_plain_add(b, PS_GRAPH_POOL, pools[l->is->pool], numbers(l->left),
                       (double)numbers(l->given), last);
    say_size(b, l->left);
    return PS_OK;
}

ps_status ps_graph_images(ps_graph_builder *b)
{
    const ps_spec_model *m = b->model;
    uint32_t last = ps_graph_inputs_add(b);
    layer l = {.left = ps_spec_model_image(m)};
    ps_status st = PS_OK;
    say_size(b, l.left);
    for (l.i = 0; !st && l.i < m->n_convolutions; l.i++) {
        l.is = &m->convolutions[l.i];
        l.in = l.left;
        l.given = ps_convolution_given(l.is, l.in);
        l.left = ps_convolution_pooled(l.is, l.given);
        st = add_layer(b, &l, &last);
    }
    return st ? st : ps_graph_linears_add(b, &last);
}
