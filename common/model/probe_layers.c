/* Models that are layers alone: each one's weight and bias come one behind the other. */
#include "common/base/mem.h"
#include "common/model/probe_pass.h"

#include <math.h>
#include <stdio.h>

enum { T = PS_PROBE_TOKENS };

static double activation(unsigned kind, double x)
{
    return kind == PS_SPEC_RELU   ? fmax(x, 0)
           : kind == PS_SPEC_GELU ? 0.5 * x * (1 + erf(x / 1.41421356237309504880))
                                  : tanh(x);
}

ps_status ps_probe_run_layers(const ps_spec_model *m, const ps_probe_source *source,
                              const ps_lm_tensor *tensors, size_t n, double **out, size_t *n_out)
{
    uint64_t widest = 1;
    for (size_t i = 0; i < m->n_layers; i++)
        widest = (uint64_t)m->layers[i] > widest ? (uint64_t)m->layers[i] : widest;
    double *memory = ps_try_alloc(2 * widest * sizeof(ps_probe_lane)), *at = memory;
    if (!memory)
        return ps_probe_no_memory(2 * widest * T);
    ps_probe_pass p = {
        .source = source, .x = ps_probe_lanes(&at, widest), .h = ps_probe_lanes(&at, widest)};
    for (uint64_t i = 0; i < (uint64_t)m->layers[0]; i++)
        for (int t = 0; t < T; t++)
            p.x[i][t] = sin((double)i * (t + 1) + t);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < n; i++) {
        st = ps_probe_layer(&p, &tensors[i], p.x, p.h, false);
        if (!tensors[i].bias)
            continue;
        uint64_t width = tensors[i].shape[0];
        for (uint64_t k = 0; k < width; k++)
            for (int t = 0; t < T; t++)
                p.x[k][t] = i + 1 < n ? activation(m->activation, p.h[k][t]) : p.h[k][t];
    }
    *out = memory;
    *n_out = (size_t)m->layers[m->n_layers - 1] * T;
    return st;
}

void ps_probe_list_layers(const ps_spec_model *m, ps_lm_tensor **out, size_t *n)
{
    *n = 2 * (m->n_layers - 1);
    *out = ps_alloc_array(*n, sizeof **out);
    for (size_t i = 0; i < *n; i++) {
        ps_lm_tensor *t = &(*out)[i];
        t->bias = i % 2;
        t->n_dims = t->bias ? 1 : 2;
        t->shape[0] = (uint64_t)m->layers[i / 2 + 1];
        t->shape[1] = t->bias ? 0 : (uint64_t)m->layers[i / 2];
        (void)snprintf(t->name, sizeof t->name, "layers.%zu.%s", i / 2,
                       t->bias ? "bias" : "weight");
    }
}
