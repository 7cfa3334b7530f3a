#include "server/runs/plan_store.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/loop/loop.h"
#include "server/consistency/consistency.h"
#include "server/params/block_kinds.h"
#include "server/params/store_settings.h"

#include <string.h>

static ps_status map_init(ps_plan_init initializer, ps_param_init *out)
{
    switch (initializer) {
    case PS_PLAN_ZEROS:
        *out = PS_PARAM_ZEROS;
        return PS_OK;
    case PS_PLAN_ONES:
        *out = PS_PARAM_ONES;
        return PS_OK;
    case PS_PLAN_UNIFORM:
        *out = PS_PARAM_UNIFORM;
        return PS_OK;
    case PS_PLAN_NORMAL:
        *out = PS_PARAM_NORMAL;
        return PS_OK;
    default:
        return ps_fail(PS_INVALID_ARGUMENT, "initializer %d is not known", (int)initializer);
    }
}

/* A worker of before there were roles says none: then all decay, as they did. */
static bool decays(ps_plan_role role, const ps_spec_optimizer *optimizer)
{
    return !optimizer || optimizer->decay_bias_and_norm ||
           (role != PS_PLAN_BIAS && role != PS_PLAN_NORM);
}

static ps_status map_tensor(const ps_data_plan_tensor *plan, const ps_spec_optimizer *optimizer,
                            ps_param_plan *out)
{
    if (plan->n_shape > PS_PARAM_DIMS_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: %zu dimensions, at most %d", plan->name,
                       plan->n_shape, PS_PARAM_DIMS_MAX);
    out->name = plan->name;
    out->rank = (unsigned)plan->n_shape;
    if (plan->n_shape) /* a scalar has no shape to copy */
        memcpy(out->shape, plan->shape, plan->n_shape * sizeof *out->shape);
    out->scale = plan->scale;
    out->drawn_as = plan->begins_as && *plan->begins_as ? plan->begins_as : NULL;
    out->transposed = plan->transposed;
    out->undecayed = !decays(plan->role, optimizer);
    if (plan->form && *plan->form && !ps_form_parse(plan->form, &out->form))
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: there is no form %.64s", plan->name,
                       plan->form);
    out->kind = plan->blocks == PS_PLAN_WORDS  ? &ps_block_words
                : plan->blocks == PS_PLAN_SUMS ? &ps_block_sum
                                               : NULL;
    ps_status st = map_init(plan->initializer, &out->init);
    return st ? ps_wrap(st, "tensor %s", plan->name) : PS_OK;
}

static void map_training(const ps_job_spec *spec, const ps_data_plan *plan, ps_param_config *out)
{
    const ps_spec_train *train = spec->train;
    if (!train) { /* nothing is trained: pushes are added or assigned as they come */
        out->optimizer = (ps_optimizer_config){.name = "sgd", .learning_rate = 1};
        out->rows = plan->train_rows;
        out->epochs = plan->epochs;
        return;
    }
    const ps_store_spec settings = {.column_blocks = spec->column_blocks,
                                    .optimizer = train->optimizer,
                                    .schedule = train->schedule,
                                    .consistency = train->consistency,
                                    .clip_norm = train->clip_norm};
    ps_store_settings_take(&settings, out);
    out->seed = (uint64_t)train->seed;
    out->rows = plan->train_rows;
    out->epochs = (uint32_t)train->epochs;
}

ps_status ps_store_create(const ps_job_spec *spec, const ps_data_plan *plan,
                          const ps_param_host *host, ps_param_store **out)
{
    ps_loop_require_off();
    const ps_spec_train *train = spec->train;
    ps_param_config config = {.host = host ? *host : (ps_param_host){0}};
    ps_param_plan *plans = ps_alloc_array(plan->n_tensors, sizeof *plans);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < plan->n_tensors; i++)
        st = map_tensor(&plan->tensors[i], train ? &train->optimizer : NULL, &plans[i]);
    if (!st) {
        config.plans = plans;
        config.n_plans = plan->n_tensors;
        map_training(spec, plan, &config);
        st = ps_consistency_find(train ? train->consistency.mode : "asp", &config.controller);
    }
    if (!st)
        st = ps_param_store_create(&config, out);
    ps_free(&plans);
    return st;
}
