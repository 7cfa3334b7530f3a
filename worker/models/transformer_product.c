/* A linear layer of the model, and the adapter beside it, where it has one. Only enqueues, but for
 * what a hook says. */
#include "worker/models/transformer.h"

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
