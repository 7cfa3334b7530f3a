/* Happy path: each word is looked for among the model's tensors as psd has them, or, of
 * adapters, among the products that its section says. What else is wrong with the model, the rules
 * of the file say. */
#include "common/model/partly_check.h"

#include "common/arch/lora.h"
#include "common/base/mem.h"
#include "common/model/lm_layout.h"

static ps_status check_freeze(const ps_spec_train *train, const ps_partly_model *model,
                              const ps_conf_doc *doc)
{
    bool *frozen = ps_alloc_array(model->n + 1, sizeof *frozen);
    size_t left = model->n;
    ps_status st = PS_OK;
    for (size_t k = 0; !st && k < train->n_freeze; k++) {
        size_t means = 0;
        for (size_t i = 0; i < model->n; i++) {
            if (!ps_spec_freeze_means(train->freeze[k], model->tensors[i]))
                continue;
            means++;
            left -= !frozen[i];
            frozen[i] = true;
        }
        if (!means)
            st = ps_conf_fail(doc, "train.freeze",
                              "'%s' is no parameter of model %s; `psctl model %s` lists them",
                              train->freeze[k], model->name, model->name);
    }
    if (!st && !left)
        st = ps_conf_fail(doc, "train.freeze", "nothing is left to be trained");
    ps_free(&frozen);
    return st;
}

static bool means_any(const char *target, const ps_lm_tensor *tensors, size_t n)
{
    bool any = false;
    for (size_t i = 0; !any && i < n; i++)
        any = ps_lora_means(&tensors[i], target);
    return any;
}

static ps_status check_lora(const ps_spec_lora *lora, const ps_spec_model *model,
                            const ps_conf_doc *doc)
{
    ps_lm_tensor *tensors = NULL;
    size_t n = 0;
    ps_status st = PS_OK;
    ps_lm_layout(model, &tensors, &n);
    for (size_t i = 0; !st && i < lora->n_targets; i++)
        if (!means_any(lora->targets[i], tensors, n))
            st = ps_conf_fail(doc, "train.lora.targets",
                              "'%s' is no product of architecture %s; there are q, k, v, o, gate, "
                              "up, down, all-linear, and names as `psctl model` lists them, "
                              "without .weight",
                              lora->targets[i], model->architecture);
    ps_free(&tensors);
    return st;
}

static ps_status check_targets(const ps_spec_lora *lora, const char *config, const ps_conf_doc *doc)
{
    ps_spec_model *model = NULL;
    ps_status st = ps_spec_model_parse(ps_slice_str(config), "its config", &model);
    if (!st && ps_spec_model_reads_tokens(model))
        st = check_lora(lora, model, doc);
    if (model)
        ps_spec_model_free(&model);
    return st;
}

bool ps_partly_asks(const ps_job_spec *spec)
{
    return ps_spec_train_partly(spec->train) && *spec->initialize_from;
}

ps_status ps_partly_check(const ps_job_spec *spec, const ps_partly_model *model,
                          const ps_conf_doc *doc)
{
    if (!ps_partly_asks(spec))
        return PS_OK;
    ps_status st = spec->train->n_freeze ? check_freeze(spec->train, model, doc) : PS_OK;
    return st || !spec->train->lora ? st : check_targets(spec->train->lora, model->config, doc);
}
