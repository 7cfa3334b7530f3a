/* Happy path: the section is the model's, and the plan is made of it and the tensors. */
#include "server/sched/model_plan.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

ps_status ps_model_plan_of(const ps_job_spec *spec, const char *section, ps_plan_parent *parent,
                           ps_plan **out)
{
    PS_REQUIRE(spec->compress);
    ps_spec_model *config = NULL;
    ps_status st = ps_spec_model_parse(ps_slice_str(section), "its config", &config);
    if (st)
        return ps_wrap(st, "model %s", parent->name);
    parent->model = config;
    st = ps_plan_new(spec, parent, 0, out);
    ps_spec_model_free(&config);
    return st;
}

ps_status ps_model_plan(const ps_job_spec *spec, const ps_model_record *model, ps_plan **out)
{
    ps_model_form *tensors = ps_alloc_array(model->n_tensors + 1, sizeof *tensors);
    for (size_t i = 0; i < model->n_tensors; i++) {
        const ps_model_tensor *from = &model->tensors[i];
        tensors[i] = (ps_model_form){.name = from->name, .form = from->form, .n_dims = from->rank};
        memcpy(tensors[i].shape, from->shape, from->rank * sizeof *from->shape);
    }
    ps_status st = ps_model_plan_of(
        spec, model->config,
        &(ps_plan_parent){
            .name = model->name, .tensors = tensors, .n = model->n_tensors, .bytes = model->bytes},
        out);
    ps_free(&tensors);
    return st;
}
