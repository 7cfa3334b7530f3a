/* Happy path: a weight that is in a product, of which the model has taps on both sides, is a layer;
 * the parameter behind it of the same name but for its end is its bias. */
#include "worker/explain/row_layers.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

/* "layers.0" of "layers.0.weight" */
static size_t stem(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? (size_t)(dot - name) : strlen(name);
}

static size_t bias_of(const ps_model_layout *layout, size_t weight)
{
    if (weight + 1 == layout->count)
        return PS_ROW_NO_BIAS;
    const ps_model_parameter_spec *w = &layout->parameters[weight], *b = w + 1;
    bool its = b->role == PS_ROLE_BIAS && stem(w->name) == stem(b->name) &&
               !memcmp(w->name, b->name, stem(w->name));
    return its ? weight + 1 : PS_ROW_NO_BIAS;
}

static bool read_layer(const ps_model *m, size_t weight, ps_row_layer *out)
{
    *out = (ps_row_layer){.weight = weight, .bias = bias_of(ps_model_parameters(m), weight)};
    out->n_behind = ps_model_taps_behind(m, weight, out->behind);
    if (!out->n_behind || ps_model_tap_before(m, weight, &out->before))
        return false;
    for (size_t i = 0; i < out->n_behind; i++)
        out->out += (size_t)ps_model_tap_columns(m, out->behind[i]);
    bool first = out->before.kind == PS_TAP_INPUT;
    out->in = (size_t)(first ? ps_model_inputs(m) : ps_model_tap_columns(m, out->before)) +
              (out->bias != PS_ROW_NO_BIAS);
    return true;
}

size_t ps_row_layers(const ps_model *model, ps_row_layer **out)
{
    size_t count = ps_model_parameters(model)->count, n = 0;
    *out = ps_alloc_array(count + 1, sizeof **out);
    for (size_t i = 0; i < count; i++)
        n += read_layer(model, i, &(*out)[n]);
    return n;
}

ps_row_sizes ps_row_layers_sizes(const ps_row_layer *layers, size_t n)
{
    ps_row_sizes s = {0};
    for (size_t l = 0; l < n; l++) {
        uint64_t in = layers[l].in, outs = layers[l].out, side = in > outs ? in : outs;
        s.squares += in * in + outs * outs;
        s.weights += in * outs;
        s.largest = in * outs > s.largest ? in * outs : s.largest;
        s.widest = side > s.widest ? side : s.widest;
    }
    return s;
}

/* ---- what is left out ---- */

static bool has(const ps_row_layer *layers, size_t n, size_t parameter)
{
    for (size_t l = 0; l < n; l++)
        if (layers[l].weight == parameter || layers[l].bias == parameter)
            return true;
    return false;
}

/* Each run of digits becomes a star. */
static void put_pattern(const char *name, ps_buf *out)
{
    for (const char *at = name; *at; at++) {
        bool digit = *at >= '0' && *at <= '9', began = at > name && at[-1] == '.';
        size_t digits = strspn(at, "0123456789");
        if (digit && began && (at[digits] == '.' || !at[digits])) {
            ps_buf_putc(out, '*');
            at += digits - 1;
        } else {
            ps_buf_putc(out, *at);
        }
    }
}

void ps_row_layers_left_out(const ps_model *model, const ps_row_layer *layers, size_t n,
                            ps_buf *out)
{
    const ps_model_layout *layout = ps_model_parameters(model);
    for (size_t i = 0; i < layout->count; i++) {
        ps_buf pattern = PS_BUF_EMPTY;
        if (has(layers, n, i))
            continue;
        put_pattern(layout->parameters[i].name, &pattern);
        if (!out->len || !strstr(ps_buf_cstr(out), ps_buf_cstr(&pattern)))
            ps_buf_printf(out, "%s%s", out->len ? ", " : "", ps_buf_cstr(&pattern));
        ps_buf_free(&pattern);
    }
}
