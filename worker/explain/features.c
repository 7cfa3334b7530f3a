#include "worker/explain/features.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>

ps_status ps_explain_image(const int64_t *shape, size_t n_shape, size_t features, size_t *rows,
                           size_t *columns)
{
    size_t side = (size_t)(sqrt((double)features) + 0.5);
    if (n_shape == 0 && side * side != features)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "a row has %zu features, which are no square; say shape: [rows, columns]",
                       features);
    *rows = n_shape == 0 ? side : (size_t)shape[0];
    *columns = n_shape == 0 ? side : n_shape == 1 ? 1 : (size_t)shape[1];
    if (*rows * *columns == features)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "shape says %zu rows of %zu numbers, but a row of data has %zu features", *rows,
                   *columns, features);
}

static ps_status cut(const ps_spec_explain_features *spec, ps_explain_groups *out)
{
    size_t rows = 0, columns = 0, down = (size_t)spec->grid[0],
           across = spec->n_grid > 1 ? (size_t)spec->grid[1] : down;
    ps_status st = ps_explain_image(spec->shape, spec->n_shape, out->features, &rows, &columns);
    if (st)
        return st;
    if (down > rows || across > columns)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "features.grid has %zu rows of %zu cells, and the input %zu of %zu numbers",
                       down, across, rows, columns);
    for (size_t i = 0; i < out->features; i++) {
        size_t row = i / columns * down / rows, column = i % columns * across / columns;
        out->of[i] = (uint32_t)(row * across + column);
    }
    out->n = down * across;
    return PS_OK;
}

ps_status ps_explain_groups_make(const ps_spec_explain_features *spec, size_t features,
                                 bool language, ps_explain_groups *out)
{
    *out = (ps_explain_groups){.n = features, .features = features};
    if (spec->n_grid && language)
        return ps_fail(PS_INVALID_ARGUMENT, "features.grid is for models of layers");
    out->of = ps_try_alloc(features * sizeof *out->of);
    if (!out->of)
        return ps_fail(PS_NO_MEMORY, "groups of %zu features", features);
    for (size_t i = 0; i < features; i++)
        out->of[i] = (uint32_t)i;
    ps_status st = spec->n_grid ? cut(spec, out) : PS_OK;
    if (st)
        ps_explain_groups_free(out);
    return st;
}

void ps_explain_groups_free(ps_explain_groups *groups)
{
    ps_free(&groups->of);
}

ps_status ps_explain_put_groups(const ps_explaining *x, const ps_explain_groups *groups,
                                size_t rows, const float *of_groups, ps_explain_part *out)
{
    float *values = ps_try_alloc_raw(rows * groups->features * sizeof *values);
    if (!values)
        return ps_fail(PS_NO_MEMORY, "values of %zu groups", groups->n);
    for (size_t i = 0; i < rows; i++)
        for (size_t f = 0; f < groups->features; f++)
            values[i * groups->features + f] = of_groups[i * groups->n + groups->of[f]];
    ps_status st = PS_OK;
    if (groups->n != groups->features)
        st = ps_explain_put_values(out, "groups", "group", rows, groups->n, of_groups);
    if (!st)
        st = ps_explain_put_values(out, "values", x->language ? "token" : "feature", rows,
                                   groups->features, values);
    ps_free(&values);
    return st;
}
