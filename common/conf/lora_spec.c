/* Happy path: there is a stored model to begin from, of a language, and nothing else is asked for
 * that is about all of its parameters. */
#include "common/conf/lora_spec.h"

#include "common/arch/lora.h"
#include "common/conf/job_spec.h"

#include <string.h>

const ps_conf_key ps_spec_lora_keys[] = {
    PS_CONF_INT("rank", ps_spec_lora, rank, "8", 1, PS_LORA_RANK_MAX),
    PS_CONF_REAL("alpha", ps_spec_lora, alpha, "16", 1e-6, 1e6),
    PS_CONF_REAL("dropout", ps_spec_lora, dropout, "0", 0, 0.99),
    PS_CONF_TEXTS_SHORT("targets", ps_spec_lora, targets, "[q, v]", 1, PS_LORA_TARGETS_MAX, 1,
                        PS_LORA_TARGET_MAX),
    PS_CONF_END,
};

double ps_spec_lora_scale(const ps_spec_lora *lora)
{
    return lora->alpha / (double)lora->rank;
}

ps_status ps_spec_lora_check(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    const ps_spec_train *train = spec->train;
    if (!train || !train->lora)
        return PS_OK;
    if (!*spec->initialize_from)
        return ps_conf_fail(doc, "train.lora",
                            "adapters of which model? only with initialize_from, the name of a "
                            "stored one");
    if (spec->model && !ps_spec_model_is_language(spec->model))
        return ps_conf_fail(doc, "train.lora",
                            "only for language models, and %s is of architecture %s",
                            spec->initialize_from, spec->model->architecture);
    if (strcmp(train->weights, "float32") != 0)
        return ps_conf_fail(doc, "train.weights",
                            "not with train.lora: the model that it begins from stays as it is");
    if (train->keep_moments)
        return ps_conf_fail(doc, "train.keep_moments",
                            "not with train.lora: only adapters have gradients");
    if (spec->record)
        return ps_conf_fail(doc, "record", "not with train.lora");
    if (spec->distil && spec->distil->on_policy > 0)
        return ps_conf_fail(doc, "distil.on_policy", "not with train.lora");
    return PS_OK;
}
