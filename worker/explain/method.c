#include "worker/explain/method.h"

#include "worker/explain/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ROW(name) &ps_explain_method_##name,

const ps_explain_method *const ps_explain_methods[] = {PS_EXPLAIN_METHODS(ROW) NULL};

const ps_explain_method *ps_explain_method_find(const char *name)
{
    for (const ps_explain_method *const *m = ps_explain_methods; *m; m++)
        if (!strcmp((*m)->name, name))
            return *m;
    return NULL;
}

void ps_explain_rng(const ps_explaining *x, uint64_t item, ps_rng *out)
{
    char name[64];
    (void)snprintf(name, sizeof name, "explain.%zu.%u.%" PRIu64, x->method, x->pass, item);
    ps_rng_seed_named(out, (uint64_t)x->spec->seed, name);
}

void ps_explain_fold(const ps_explaining *x, const ps_explain_items *items, const double *wide,
                     float *out)
{
    size_t n = ps_explain_features(x, items), each = ps_explain_width(x, items) / n;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t k = 0; k < each; k++)
            sum += wide[i * each + k];
        out[i] = (float)sum;
    }
}
