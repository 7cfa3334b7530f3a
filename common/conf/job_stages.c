/* Happy path: sections that are not the stage's go, names are set, and the model of a training is
 * the one that it begins from. */
#include "common/conf/job_stages.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/conf/compress_keys.h"
#include "common/conf/compress_rows.h"

#include <string.h>

static bool looks_at_what_is_left(const ps_spec_compress *c)
{
    const ps_spec_quantise *q = c->quantise;
    return c->prune && c->prune->what == PS_PRUNE_LAYERS && q &&
           (q->target || ps_method_row_find(q->method)->needs != PS_METHOD_NOTHING);
}

unsigned ps_job_spec_stages(const ps_job_spec *spec)
{
    if (!spec->compress)
        return 1;
    if (spec->distil)
        return PS_STAGES;
    return looks_at_what_is_left(spec->compress) ? 2 : 1;
}

unsigned ps_job_stage_after(unsigned stages, unsigned stage)
{
    if (stages == 1 || stage == PS_STAGE_QUANTISE)
        return PS_STAGES;
    return stages == PS_STAGES ? stage + 1 : PS_STAGE_QUANTISE;
}

/* The section of that key goes, where there is one; `at` is the struct of the keys. */
static void drop(const ps_conf_key *keys, void *at, const char *name)
{
    while (keys->name && strcmp(keys->name, name) != 0)
        keys++;
    PS_REQUIRE(keys->name && keys->type == PS_CONF_TYPE_MAP_OPT);
    void **section = (void **)(void *)((char *)at + keys->offset);
    if (*section)
        ps_conf_free(&(ps_conf_schema){.keys = keys->keys, .size = keys->size}, *section);
    *section = NULL;
}

static void rename(char **text, const char *stem, const char *suffix)
{
    char *name = ps_asprintf("%s%s", stem, suffix);
    free(*text);
    *text = name;
}

static void be_prune(ps_job_spec *spec)
{
    rename(&spec->name, spec->name, ".pruned");
    spec->compress->later = spec->compress->quantise;
    spec->compress->quantise = NULL;
    drop(ps_job_schema.keys, spec, "train");
    drop(ps_job_schema.keys, spec, "distil");
}

static ps_status be_distil(ps_job_spec *spec, const char *config)
{
    unsigned kind = 0;
    while (strcmp(ps_kind_rows[kind].name, "train") != 0)
        kind++;
    ps_status st = ps_spec_model_parse(ps_slice_str(config), "the pruned model", &spec->model);
    if (st)
        return st;
    if (!*spec->distil->teacher)
        rename(&spec->distil->teacher, spec->model_name, "");
    rename(&spec->initialize_from, spec->name, ".pruned");
    rename(&spec->name, spec->name, ".distilled");
    rename(&spec->model_name, "", "");
    drop(ps_job_schema.keys, spec, "compress");
    spec->kind = kind;
    return PS_OK;
}

/* Of compress only quantise, if it is there, and the limits. */
static void be_quantise(ps_job_spec *spec)
{
    for (const ps_conf_key *key = ps_spec_compress_keys; key->name; key++)
        if (key->type == PS_CONF_TYPE_MAP_OPT && strcmp(key->name, "quantise") != 0)
            drop(ps_spec_compress_keys, spec->compress, key->name);
    spec->compress->distilled = spec->distil != NULL;
    rename(&spec->model_name, spec->name, spec->distil ? ".distilled" : ".pruned");
    drop(ps_job_schema.keys, spec, "train");
    drop(ps_job_schema.keys, spec, "distil");
}

ps_status ps_job_spec_stage(ps_job_spec *spec, unsigned stage, const char *config)
{
    unsigned stages = ps_job_spec_stages(spec);
    unsigned is = PS_STAGE_PRUNE;
    while (is < stage)
        is = ps_job_stage_after(stages, is);
    if (is != stage || stage >= PS_STAGES)
        return ps_fail(PS_INVALID_ARGUMENT, "stage %u of a job that has %u", stage, stages);
    if (stages == 1)
        return PS_OK;
    if (stage == PS_STAGE_DISTIL)
        return be_distil(spec, config);
    if (stage == PS_STAGE_PRUNE)
        be_prune(spec);
    else
        be_quantise(spec);
    return PS_OK;
}

/* ---- rules ---- */

static ps_status check_several(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    if (spec->compress->calibrate.keep)
        return ps_conf_fail(doc, "compress.calibrate.keep",
                            "not of a job in stages: the sums would be of a model that is gone "
                            "when the job has ended");
    bool from = spec->compress->calibrate.from != 0;
    if (from || *spec->compress->importance)
        return ps_conf_fail(doc, from ? "compress.calibrate.from" : "compress.importance",
                            "not of a job in stages: the sums are of the model before anything "
                            "is removed");
    if (strlen(spec->name) + PS_STAGE_SUFFIX > 64)
        return ps_conf_fail(doc, "name", "of a job in stages, at most %d bytes",
                            64 - PS_STAGE_SUFFIX);
    return PS_OK;
}

static ps_status check_two(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    if (spec->compress->saliency == PS_SALIENCY_MOMENTS)
        return ps_conf_fail(doc, "compress.saliency",
                            "moments are of the model with all its layers; quantise what is left "
                            "by a job of its own, or by what it costs otherwise");
    return check_several(spec, doc);
}

static ps_status check_three(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    const ps_spec_compress *c = spec->compress;
    if (!c->prune || ps_spec_prune_is_zeros(c->prune))
        return ps_conf_fail(doc, "distil",
                            "nothing of the model is removed before it; only with compress.prune, "
                            "and what really removes");
    if (c->lowrank)
        return ps_conf_fail(doc, "compress.lowrank",
                            "not together with distil: what is trained has its whole rank again; "
                            "do it in a job of its own afterwards");
    if (ps_spec_train_form(spec->train).row)
        return ps_conf_fail(doc, "train.weights",
                            "not for kind compress: compress.quantise says the form");
    if (c->quantise && c->saliency == PS_SALIENCY_MOMENTS && !spec->train->keep_moments)
        return ps_conf_fail(doc, "train.keep_moments",
                            "false; compress.saliency: moments is of the distilled model, whose "
                            "training has to keep them");
    return check_several(spec, doc);
}

ps_status ps_job_stages_check(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    if (!spec->compress)
        return PS_OK;
    if (spec->train && !spec->distil)
        return ps_conf_fail(doc, "train", "kind compress trains only with section distil");
    if (spec->distil && !spec->train)
        return ps_conf_fail(doc, "train", "missing; distil is a training");
    if (ps_job_spec_stages(spec) == 2)
        return check_two(spec, doc);
    return spec->distil ? check_three(spec, doc) : PS_OK;
}
