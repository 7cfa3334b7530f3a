/* A block of a form says by itself what its numbers are, so any whole groups will do, wherever rows
 * begin among them. */
#include "server/params/tensor_form.h"

#include "common/base/require.h"

#include <math.h>

/* The largest magnitude; infinite where there is a NaN. */
static float largest(const float *values, uint64_t n)
{
    float most = 0;
    for (uint64_t i = 0; i < n; i++) {
        float x = fabsf(values[i]);
        most = x <= most ? most : isnan(x) ? INFINITY : x;
    }
    return most;
}

ps_status ps_tensor_form_bytes(const ps_param_tensor *t, const float *values, uint64_t n,
                               size_t *bytes)
{
    char text[PS_FORM_TEXT];
    PS_REQUIRE(t->form.row && t->form.group);
    if (!n || n % t->form.group)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: %llu elements are not whole groups of %s",
                       t->name, (unsigned long long)n, ps_form_text(t->form, text));
    float most = largest(values, n);
    if (!(most < t->form.row->limit))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s: a weight of %g is more than %s can hold; try a lower learning "
                       "rate",
                       t->name, (double)most, ps_form_text(t->form, text));
    *bytes = ps_form_row_bytes(t->form, n);
    return PS_OK;
}

void ps_tensor_form_encode(const ps_param_tensor *t, const float *values, uint64_t n, uint8_t *out)
{
    ps_form_encode(t->form, values, NULL, 1, n, out);
}
