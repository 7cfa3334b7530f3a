/* logit_lens: the stream before each block as it is, through the last norm and the head
 * (nostalgebraist 2020). What it leaves, lens.h says. */
#include "worker/explain/lens.h"
#include "worker/explain/rows.h"

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    (void)state;
    return ps_lens_read(x, spec, &(ps_lens_way){NULL, NULL}, items, out);
}

const ps_explain_method ps_explain_method_logit_lens = {.name = "logit_lens", .run = run};
