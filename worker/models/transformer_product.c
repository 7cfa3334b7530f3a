/* A linear layer of the model, and the adapter beside it, where it has one. Only enqueues, but for
 * what a hook says. */
#include "common/base/require.h"
#include "worker/models/transformer.h"

ps_linear ps_transformer_linear(const ps_transformer *t, int64_t l, ps_arch_part part)
{
    PS_REQUIRE(ps_transformer_has(t, part));
    size_t at = ps_transformer_parameter(t, part, l);
    bool bias = t->parts[part].count > 1, gradients = t->base.gradients,
         exact = part == PS_PART_POOLER || part == PS_PART_CLASSES;
    const ps_tensor *weights = exact ? t->base.parameters : t->base.weights;
    ps_linear linear = {.weight = weights[at],
                        .form = t->base.forms[at],
                        .exact = t->base.options.exact,
                        .rank = t->base.ranks[at],
                        .between = t->base.between,
                        .input_major = t->input_major >> part & 1,
                        .ones = t->ones};
    if (bias)
        linear.bias = weights[at + 1];
    if (gradients)
        linear.weight_gradient = t->base.gradients[at];
    if (gradients && bias)
        linear.bias_gradient = t->base.gradients[at + 1];
    return linear;
}

void ps_transformer_product(ps_transformer *t, int64_t l, ps_arch_part part, ps_tensor y,
                            int64_t ld, ps_tensor x)
{
    ps_linear linear = ps_transformer_linear(t, l, part);
    ps_linear_forward(t->base.stream, &linear, y, ld, x);
    ps_transformer_lora_forward(t, l, part, y, ld, x);
}

void ps_transformer_product_backward(ps_transformer *t, int64_t l, ps_arch_part part, ps_tensor dx,
                                     ps_tensor dy, int64_t ld, float beta)
{
    ps_linear linear = ps_transformer_linear(t, l, part);
    ps_linear_backward_input(t->base.stream, &linear, dx, dy, ld, beta);
    ps_transformer_lora_backward_input(t, l, part, dx, dy, ld);
}

ps_status ps_transformer_weights_backward(ps_transformer *t, int64_t l, ps_arch_part part,
                                          ps_tensor dy, int64_t ld, ps_tensor x,
                                          const ps_model_hooks *hooks)
{
    if (!t->base.gradients)
        return PS_OK;
    ps_linear linear = ps_transformer_linear(t, l, part);
    if (ps_tensor_present(linear.weight_gradient))
        ps_linear_backward_weight(t->base.stream, &linear, dy, ld, x, t->beta);
    if (ps_tensor_present(linear.bias_gradient))
        ps_linear_backward_bias(t->base.stream, &linear, dy, ld, t->beta);
    ps_status st = ps_transformer_lora_backward(t, l, part, dy, ld, x, hooks);
    return st ? st : ps_transformer_ready(t, l, part, hooks);
}
