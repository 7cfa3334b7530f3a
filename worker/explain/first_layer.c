/* Happy path: points go forward, and a hook reads what is behind the first layer of each batch. */
#include "worker/explain/first_layer.h"

#include "common/base/mem.h"
#include "common/base/require.h"

typedef struct reading {
    ps_explaining *x;
    float *to; /* where the next batch goes */
    ps_status failed;
} reading;

bool ps_first_layer_takes_inputs(const ps_explaining *x)
{
    /* of images the first parameter is of a convolution */
    return !x->language && ps_model_parameters(x->model)->parameters[0].rank == 2;
}

size_t ps_first_layer_units(const ps_explaining *x)
{
    return (size_t)ps_model_tap_columns(x->model, (ps_tap){PS_TAP_LAYER_PRE, 0});
}

static void read_batch(void *user, ps_tap tap, ps_tensor x, int64_t ld)
{
    reading *r = user;
    if (tap.kind != PS_TAP_LAYER_PRE || tap.layer != 0 || r->failed)
        return;
    r->failed = ps_tap_read(ps_model_stream(r->x->model), x, ld, r->to);
    r->to += x.shape[0] * x.shape[1];
}

ps_status ps_first_layer_answers(ps_explaining *x, const ps_explain_items *items,
                                 const ps_explain_points *points, float *z)
{
    reading r = {.x = x, .to = z};
    const ps_model_hooks hooks = {.at = read_batch, .user = &r};
    ps_explain_points seen = *points;
    PS_REQUIRE(ps_first_layer_takes_inputs(x) && !points->first && !points->gradients &&
               !points->hooks);
    seen.hooks = &hooks;
    ps_status st = ps_explain_evaluate(x, items, &seen);
    return st ? st : r.failed;
}

ps_status ps_first_layer_weights(ps_explaining *x, float **out)
{
    ps_tensor from = ps_model_parameter(x->model, 0);
    float *w = ps_try_alloc_raw(ps_tensor_bytes(from));
    ps_status st = w ? ps_copy_to_host(ps_model_stream(x->model), w, from, ps_tensor_bytes(from))
                     : ps_fail(PS_NO_MEMORY, "weights of the first layer");
    if (st)
        ps_free(&w);
    *out = w;
    return st;
}
