/* Happy path: there is a stored model to begin from, and nothing else is asked for that is about
 * all of its parameters. */
#include "common/conf/lora_spec.h"

#include "common/arch/lora.h"
#include "common/base/text.h"
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

bool ps_spec_train_partly(const ps_spec_train *train)
{
    return train && (train->lora || train->n_freeze);
}

bool ps_spec_freeze_means(const char *word, const char *name)
{
    size_t n = strlen(word);
    if (strchr(word, '*'))
        return ps_text_fits(word, name, strlen(name));
    return n && !strncmp(word, name, n) && (name[n] == '\0' || name[n] == '.');
}

/* What is about all parameters of the model, beside a key that has not all of them. */
static ps_status check_others(const ps_job_spec *spec, const char *key, const ps_conf_doc *doc)
{
    const ps_spec_train *train = spec->train;
    if (strcmp(train->weights, "float32") != 0)
        return ps_conf_fail(doc, "train.weights",
                            "not with %s: what is not trained of the model stays as it is", key);
    if (train->keep_moments)
        return ps_conf_fail(doc, "train.keep_moments",
                            "not with %s: not all parameters have gradients", key);
    return spec->record ? ps_conf_fail(doc, "record", "not with %s", key) : PS_OK;
}

ps_status ps_spec_lora_check(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    static const char adapters[] = "train.lora", frozen[] = "train.freeze";
    const ps_spec_train *train = spec->train;
    if (!ps_spec_train_partly(train))
        return PS_OK;
    const char *key = train->lora ? adapters : frozen;
    if (train->lora && train->n_freeze)
        return ps_conf_fail(doc, frozen,
                            "not with train.lora, which trains no parameter of the model");
    if (!*spec->initialize_from)
        return ps_conf_fail(
            doc, key, "%s of which model? only with initialize_from, the name of a stored one",
            train->lora ? "adapters" : "parameters");
    if (train->lora && spec->model && !ps_spec_model_reads_tokens(spec->model))
        return ps_conf_fail(doc, key,
                            "only for models that read tokens, and %s is of architecture %s",
                            spec->initialize_from, spec->model->architecture);
    if (spec->model && ps_spec_model_unlabelled(spec->model))
        return ps_conf_fail(doc, key, "not for architecture %s", spec->model->architecture);
    if (train->lora && spec->distil && spec->distil->on_policy > 0)
        return ps_conf_fail(doc, "distil.on_policy", "not with train.lora");
    return check_others(spec, key, doc);
}
