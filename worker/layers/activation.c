#include "worker/layers/activation.h"

#include "common/base/require.h"

#include <string.h>

static const struct {
    const char *name;
    bool keeps_input;
} kinds[PS_ACTIVATION_COUNT] = {
    [PS_ACTIVATION_RELU] = {"relu", false}, [PS_ACTIVATION_GELU] = {"gelu", true},
    [PS_ACTIVATION_TANH] = {"tanh", false}, [PS_ACTIVATION_GELU_TANH] = {"gelu_tanh", true},
    [PS_ACTIVATION_SILU] = {"silu", true},
};

ps_status ps_activation_parse(const char *name, ps_activation *out)
{
    for (int i = 0; i < PS_ACTIVATION_COUNT; i++) {
        if (strcmp(name ? name : "relu", kinds[i].name) == 0) {
            *out = (ps_activation)i;
            return PS_OK;
        }
    }
    return ps_fail(PS_INVALID_ARGUMENT,
                   "activation: %s is unknown, there are relu, gelu, tanh, gelu_tanh, silu", name);
}

bool ps_activation_keeps_input(ps_activation kind)
{
    PS_REQUIRE(kind < PS_ACTIVATION_COUNT);
    return kinds[kind].keeps_input;
}

/* y = f(x) */
void ps_activation_forward(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x)
{
    ps_op_activation(s, kind, y, x);
}

/* d = d·f'(x) */
void ps_activation_backward(ps_stream *s, ps_activation kind, ps_tensor d, ps_tensor x, ps_tensor y)
{
    ps_op_activation_backward(s, kind, d, d, x, y);
}
