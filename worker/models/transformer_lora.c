/* Adapters of a model that reads tokens (ps_model_config.lora): which there are, where their
 * tensors and their room lie, and what they add to products of blocks. Fails with what a hook says.
 */
#include "common/arch/lora.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/models/transformer.h"

#include <math.h>
#include <stdio.h>

/* ---- the layout ---- */

static ps_status add(ps_model_layout *out, const ps_lm_tensor *of, ps_lora_half half, int64_t rank)
{
    int64_t inputs = (int64_t)ps_lora_inputs(of), outputs = (int64_t)ps_lora_outputs(of);
    bool a = half == PS_LORA_A;
    ps_model_parameter_spec spec = {.rank = 2,
                                    .shape = {a ? rank : outputs, a ? inputs : rank},
                                    .init = a ? PS_INIT_UNIFORM : PS_INIT_ZEROS,
                                    .scale = a ? (float)(1 / sqrt((double)inputs)) : 0,
                                    .role = PS_ROLE_MATRIX};
    char name[PS_LM_NAME];
    if (!ps_lora_name(of->name, half, name))
        return ps_fail(PS_INVALID_ARGUMENT, "an adapter of %s would have too long a name",
                       of->name);
    (void)snprintf(spec.name, sizeof spec.name, "%s", name);
    ps_model_layout_add(out, &spec);
    return PS_OK;
}

ps_status ps_transformer_lora_describe(const ps_model_lora *lora, const ps_lm_tensor *tensors,
                                       size_t n, ps_model_layout *out)
{
    ps_status st = PS_OK;
    if (!lora->rank)
        return PS_OK;
    PS_REQUIRE(out->count == n && lora->rank > 0);
    out->base = n;
    for (size_t i = 0; i < n; i++)
        out->parameters[i].frozen = true;
    for (size_t i = 0; !st && i < n; i++) {
        if (!ps_lora_adapts(&tensors[i], lora->targets, lora->n_targets))
            continue;
        st = add(out, &tensors[i], PS_LORA_A, lora->rank);
        if (!st)
            st = add(out, &tensors[i], PS_LORA_B, lora->rank);
    }
    if (!st && out->count == n)
        st = ps_fail(PS_INVALID_ARGUMENT, "train.lora.targets: the model has no such product");
    return st;
}

void ps_transformer_lora_number(ps_transformer *t, const ps_model_lora *lora,
                                const ps_lm_tensor *tensors, size_t n)
{
    size_t next = n;
    t->lora = (ps_transformer_lora){
        .rank = lora->rank, .scale = (float)lora->scale, .rate = (float)lora->dropout};
    if (!lora->rank)
        return;
    t->lora.adapter = ps_alloc_array(n, sizeof *t->lora.adapter);
    for (size_t i = 0; i < n; i++) {
        if (!ps_lora_adapts(&tensors[i], lora->targets, lora->n_targets))
            continue;
        int64_t inputs = (int64_t)ps_lora_inputs(&tensors[i]);
        t->lora.adapter[i] = next;
        t->lora.widest = inputs > t->lora.widest ? inputs : t->lora.widest;
        next += 2;
    }
    PS_REQUIRE(next == t->base.layout.count);
}

/* ---- passes ---- */

/* 0: the part has none. */
static size_t adapter_of(const ps_transformer *t, int64_t l, ps_arch_part part)
{
    return t->lora.adapter ? t->lora.adapter[ps_transformer_parameter(t, part, l)] : 0;
}

static ps_lora layer(const ps_transformer *t, int64_t l, ps_arch_part part, size_t a)
{
    const ps_model *m = &t->base;
    ps_lora lora = {.a = m->weights[a],
                    .b = m->weights[a + 1],
                    .scale = t->lora.scale,
                    .between = t->lora.between,
                    .dbetween = t->lora.dbetween};
    if (m->gradients) {
        lora.a_gradient = m->gradients[a];
        lora.b_gradient = m->gradients[a + 1];
    }
    if (m->train && t->lora.rate > 0) {
        lora.dropped = t->lora.dropped;
        lora.rate = t->lora.rate;
        ps_transformer_drop_bits(t, 1 + 2 * t->size.num_layers + l * PS_PARTS + (int64_t)part,
                                 &lora.seed, &lora.offset);
    }
    return lora;
}

ps_status ps_transformer_lora_use(ps_transformer *t, int64_t l, ps_arch_part part,
                                  const ps_model_hooks *hooks)
{
    size_t a = adapter_of(t, l, part);
    ps_status st = a ? ps_model_use(&t->base, hooks, a) : PS_OK;
    return st || !a ? st : ps_model_use(&t->base, hooks, a + 1);
}

void ps_transformer_lora_forward(ps_transformer *t, int64_t l, ps_arch_part part, ps_tensor y,
                                 int64_t ld, ps_tensor x)
{
    size_t a = adapter_of(t, l, part);
    if (!a)
        return;
    ps_lora lora = layer(t, l, part, a);
    ps_lora_forward(t->base.stream, &lora, y, ld, x);
}

void ps_transformer_lora_backward_input(ps_transformer *t, int64_t l, ps_arch_part part,
                                        ps_tensor dx, ps_tensor dy, int64_t ld)
{
    size_t a = adapter_of(t, l, part);
    if (!a)
        return;
    ps_lora lora = layer(t, l, part, a);
    ps_lora_backward_input(t->base.stream, &lora, dx, dy, ld);
}

ps_status ps_transformer_lora_backward(ps_transformer *t, int64_t l, ps_arch_part part,
                                       ps_tensor dy, int64_t ld, ps_tensor x,
                                       const ps_model_hooks *hooks)
{
    size_t a = adapter_of(t, l, part);
    if (!a)
        return PS_OK;
    ps_lora lora = layer(t, l, part, a);
    ps_lora_backward_weights(t->base.stream, &lora, dy, ld, x, t->beta);
    ps_status st = ps_model_ready(hooks, a + 1);
    return st ? st : ps_model_ready(hooks, a);
}
