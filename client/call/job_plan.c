/* Happy path: psd has the model, the file fits it, and its tensors make a plan. What psd says may
 * be anything: forms that are not known here, or shapes of more sides than there are. */
#include "client/call/job_plan.h"

#include "client/call/support.h"
#include "common/base/mem.h"
#include "common/conf/others.h"
#include "common/explain/memory.h"
#include "common/model/partly_check.h"

#include <string.h>

static ps_status tensor_of(const Psd__V1__ModelTensor *t, ps_model_form *out)
{
    *out = (ps_model_form){.name = t->name, .n_dims = (uint32_t)t->n_shape};
    if (t->n_shape > PS_SAFETENSORS_MAX_DIMS)
        return ps_fail(PS_PROTOCOL, "psd says that tensor %s has %zu dimensions", t->name,
                       t->n_shape);
    for (size_t d = 0; d < t->n_shape; d++)
        out->shape[d] = t->shape[d];
    if (!*t->form || !strcmp(t->form, "float32") || ps_form_parse_stored(t->form, &out->form))
        return PS_OK;
    return ps_fail(PS_UNIMPLEMENTED, "tensor %s is in form %s, which this psctl does not know",
                   t->name, t->form);
}

static ps_status plan_of(const ps_job_spec *spec, const Psd__V1__Model *model, ps_plan **out)
{
    ps_model_form *tensors = ps_alloc_array(model->n_tensors + 1, sizeof *tensors);
    ps_spec_model *section = NULL;
    ps_status st = ps_spec_model_parse(ps_slice_str(model->config), "its config", &section);
    for (size_t i = 0; !st && i < model->n_tensors; i++)
        st = tensor_of(model->tensors[i], &tensors[i]);
    if (!st) {
        const ps_plan_parent parent = {.name = spec->model_name,
                                       .model = section,
                                       .tensors = tensors,
                                       .n = model->n_tensors,
                                       .bytes = model->bytes};
        st = ps_plan_new(spec, &parent, 0, out);
    }
    if (section)
        ps_spec_model_free(&section);
    ps_free(&tensors);
    return st;
}

/* Is a checkpoint there, and of the job's model's shape? */
static ps_status check_checkpoint(ps_client *client, const ps_job_other *named,
                                  const ps_spec_model *model)
{
    Psd__V1__Model *found = NULL;
    ps_spec_model *section = NULL;
    ps_status st = ps_get_model(client, named->name, named->version, &found);
    if (!st)
        st = ps_spec_model_parse(ps_slice_str(found->config), "its config", &section);
    if (!st)
        st = ps_spec_explain_match_checkpoint(model, section);
    if (section)
        ps_spec_model_free(&section);
    ps_reply_free(&found);
    return st ? ps_wrap(st, "%s", named->key) : PS_OK;
}

/* Its numbers as float32, and what is made of a batch. Checkpoints take their place, one by one. */
static ps_status memory_of(ps_client *client, const ps_job_spec *spec, const Psd__V1__Model *model,
                           uint64_t *out)
{
    ps_job_other others[PS_JOB_OTHERS_MAX];
    ps_spec_model *section = NULL;
    ps_status st = ps_spec_model_parse(ps_slice_str(model->config), "its config", &section);
    if (st)
        return st;
    size_t n = ps_job_spec_others(spec, others);
    for (size_t i = 0; !st && i < n; i++)
        if (*others[i].key)
            st = check_checkpoint(client, &others[i], section);
    *out = model->parameters * sizeof(float) + ps_explain_activations(spec, section);
    ps_spec_model_free(&section);
    return st;
}

/* A lens that is trained, against its base, of which the newest is taken, and beside it. */
static ps_status lens_with(ps_client *client, const ps_job_spec *spec, uint64_t *memory)
{
    Psd__V1__Model *base = NULL;
    ps_spec_model *section = NULL;
    ps_status st = ps_get_model(client, spec->data.activations->model, NULL, &base);
    if (st)
        return st;
    st = ps_spec_model_parse(ps_slice_str(base->config), "its config", &section);
    if (!st)
        st = ps_spec_activations_match(spec, spec->model, section);
    if (!st)
        *memory = base->parameters * sizeof(float) + ps_lens_memory(spec, section);
    if (section)
        ps_spec_model_free(&section);
    ps_reply_free(&base);
    return st;
}

/* Asked for when all else is good: the configuration of the stored model, which the file's words of
 * its parts are held against. */
static ps_status config_of(void *user, const ps_job_spec *spec, const ps_conf_doc *doc,
                           const char **config)
{
    const Psd__V1__Model *model = user;
    const char **names = ps_alloc_array(model->n_tensors + 1, sizeof *names);
    for (size_t i = 0; i < model->n_tensors; i++)
        names[i] = model->tensors[i]->name;
    const ps_partly_model of = {model->name, model->config, names, model->n_tensors};
    ps_status st = ps_partly_check(spec, &of, doc);
    ps_free(&names);
    *config = model->config;
    return st;
}

/* The file against the model that it names. */
static ps_status check_with(ps_client *client, ps_slice text, const char *origin,
                            ps_job_spec **spec, ps_plan **plan, uint64_t *memory)
{
    Psd__V1__Model *model = NULL;
    ps_status st = ps_get_model(client, ps_job_spec_uses(*spec), (*spec)->model_version, &model);
    ps_job_spec_free(spec);
    if (st)
        return st;
    st = ps_job_spec_parse_using(text, origin, config_of, model, spec);
    if (!st && plan && (*spec)->compress)
        st = plan_of(*spec, model, plan);
    if (!st && memory && (*spec)->explain)
        st = memory_of(client, *spec, model, memory);
    ps_reply_free(&model);
    if (st && *spec)
        ps_job_spec_free(spec);
    return st;
}

ps_status ps_job_file_check(ps_client *client, ps_slice text, const char *origin)
{
    ps_job_spec *spec = NULL;
    ps_status st = ps_job_spec_parse(text, origin, &spec);
    if (!st && *spec->initialize_from)
        st = check_with(client, text, origin, &spec, NULL, NULL);
    if (spec)
        ps_job_spec_free(&spec);
    return st;
}

ps_status ps_job_file_plan(ps_client *client, ps_slice text, const char *origin, ps_job_spec **spec,
                           ps_plan **plan, uint64_t *memory)
{
    *plan = NULL;
    *memory = 0;
    ps_status st = ps_job_spec_parse(text, origin, spec);
    if (!st && *ps_job_spec_uses(*spec))
        st = check_with(client, text, origin, spec, plan, memory);
    if (!st && (*spec)->train && (*spec)->model && ps_spec_model_is_lens((*spec)->model))
        st = lens_with(client, *spec, memory);
    return st;
}
