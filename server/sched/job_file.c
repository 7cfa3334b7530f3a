/* Happy path: read, allowed, and completed with the model that it names. */
#include "server/sched/job_file.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/compress/moments.h"
#include "common/conf/job_stages.h"
#include "common/conf/others.h"
#include "common/model/partly_check.h"
#include "server/catalog/artifacts.h"
#include "server/catalog/models.h"
#include "server/sched/influence_check.h"
#include "server/sched/kept_sums.h"
#include "server/sched/model_plan.h"

#include <string.h>

typedef struct reading {
    ps_catalog *catalog;
    const ps_job_text *text;
    ps_job_file *file;
} reading;

/* A model that the job uses, of that version; name "": it uses none. */
static ps_status look_up(const reading *r, const char *name, const char *version, char **path,
                         char **config)
{
    ps_model_record *model = NULL;
    if (*name) {
        ps_status st = ps_catalog_model_version(r->catalog, name, version, &model);
        if (st)
            return st;
    }
    *path = ps_strdup(model ? model->path : "");
    *config = ps_strdup(model ? model->config : "");
    ps_model_record_free(&model);
    return PS_OK;
}

/* What workers will ask for is there now. */
static ps_status check_moments(ps_catalog *catalog, const ps_job_spec *spec,
                               const ps_model_record *model)
{
    ps_artifact_record *found = NULL;
    const char *key = ps_spec_compress_moments(spec->compress);
    if (!key)
        return PS_OK;
    ps_status st = ps_catalog_artifact_get(catalog, model->job_id, PS_MOMENTS_FILE, &found);
    ps_artifact_record_free(&found);
    if (st != PS_NOT_FOUND)
        return st;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "%s: model %s has no moments; they are kept by a training with "
                   "train.keep_moments: true",
                   key, model->name);
}

/* submitted: now, and not read again after a restart. What was there for it then may be gone, which
 * its workers find if they still need it; it is no reason for psd not to start. */
static ps_status make_plan(ps_catalog *catalog, bool submitted, ps_job_file *file)
{
    ps_model_record *model = NULL;
    ps_plan *plan = NULL;
    if (!file->spec->compress)
        return PS_OK;
    ps_status st = ps_catalog_model_version(catalog, file->spec->model_name, file->version, &model);
    if (!st && submitted)
        st = check_moments(catalog, file->spec, model);
    if (!st)
        st = ps_model_plan(file->spec, model, &plan);
    if (!st && submitted && plan->from)
        st = ps_kept_sums_check(catalog, model, plan);
    file->plan = plan;
    ps_model_record_free(&model);
    return st;
}

static ps_status at_key(ps_status st, const ps_conf_doc *doc, const char *key)
{
    char *where = ps_conf_where(doc, key);
    st = ps_wrap(st, "%s", where);
    ps_free(&where);
    return st;
}

/* Has it the shape of the job's model? */
static ps_status check_checkpoint(const ps_job_file *file, const ps_job_model *checkpoint)
{
    ps_spec_model *model = NULL, *its = NULL;
    ps_status st = ps_spec_model_parse(ps_slice_str(file->config), "its config", &model);
    if (!st)
        st = ps_spec_model_parse(ps_slice_str(checkpoint->config), "its config", &its);
    if (!st)
        st = ps_spec_explain_match_checkpoint(model, its);
    if (model)
        ps_spec_model_free(&model);
    if (its)
        ps_spec_model_free(&its);
    return st;
}

/* The job's own model may be among them: then it is of the version that the job has. */
static ps_status look_up_others(const reading *r, const ps_job_spec *spec, const ps_conf_doc *doc)
{
    ps_job_other named[PS_JOB_OTHERS_MAX];
    ps_job_file *file = r->file;
    size_t n = ps_job_spec_others(spec, named);
    ps_status st = PS_OK;
    file->others = ps_alloc_array(n + 1, sizeof *file->others);
    for (size_t i = 0; !st && i < n; i++) {
        ps_job_model *other = &file->others[file->n_others++];
        const char *version = i < r->text->n_others                          ? r->text->others[i]
                              : strcmp(named[i].name, spec->model_name) == 0 ? file->version
                                                                             : named[i].version;
        other->name = ps_strdup(named[i].name);
        st = look_up(r, other->name, version, &other->version, &other->config);
        if (!st && *named[i].key)
            st = check_checkpoint(file, other);
        if (st && *named[i].key)
            st = at_key(st, doc, named[i].key);
    }
    return st;
}

static ps_status check_partly(ps_catalog *catalog, const ps_job_spec *spec, const char *version,
                              const ps_conf_doc *doc)
{
    ps_model_record *model = NULL;
    if (!ps_partly_asks(spec))
        return PS_OK;
    ps_status st = ps_catalog_model_version(catalog, spec->initialize_from, version, &model);
    if (st)
        return st;
    const char **names = ps_alloc_array(model->n_tensors + 1, sizeof *names);
    for (size_t i = 0; i < model->n_tensors; i++)
        names[i] = model->tensors[i].name;
    const ps_partly_model of = {model->name, model->config, names, model->n_tensors};
    st = ps_partly_check(spec, &of, doc);
    ps_free(&names);
    ps_model_record_free(&model);
    return st;
}

static ps_status config_of(void *user, const ps_job_spec *spec, const ps_conf_doc *doc,
                           const char **config)
{
    reading *r = user;
    const char *version = *r->text->version ? r->text->version : spec->model_version;
    ps_job_file *file = r->file;
    ps_status st = r->text->allowed ? r->text->allowed(r->text->user, spec) : PS_OK;
    if (!st)
        st = look_up(r, ps_job_spec_uses(spec), version, &file->version, &file->config);
    if (!st && !*r->text->version)
        st = check_partly(r->catalog, spec, file->version, doc);
    if (!st)
        st = look_up_others(r, spec, doc);
    if (!st)
        *config = file->config;
    return st;
}

/* ---- later stages ---- */

/* The same bytes as those of `first`, as the spec of another stage. */
static ps_status read_stage(const ps_job_file *first, ps_slice yaml, unsigned stage,
                            const char *config, ps_job_spec **out)
{
    ps_status st = ps_job_spec_parse_from(yaml, "job", first->config, out);
    if (st)
        return st;
    st = ps_job_spec_stage(*out, stage, config);
    if (st)
        ps_job_spec_free(out);
    return st;
}

/* Could the pruned model be taught? */
static ps_status check_distil(const ps_job_file *first, ps_slice yaml)
{
    ps_spec_model *teacher = NULL;
    ps_job_spec *spec = NULL;
    ps_status st = read_stage(first, yaml, PS_STAGE_DISTIL, first->plan->config, &spec);
    if (st)
        return st;
    const ps_job_model *named = ps_job_file_other(first, ps_job_spec_teacher(spec));
    PS_REQUIRE(named);
    st = ps_spec_model_parse(ps_slice_str(named->config), "its config", &teacher);
    if (!st)
        st = ps_spec_distil_match(spec, teacher, false);
    if (teacher)
        ps_spec_model_free(&teacher);
    ps_job_spec_free(&spec);
    return st;
}

/* Can it be made into what is asked for? */
static ps_status check_quantise(const ps_job_file *first, ps_slice yaml)
{
    const ps_plan *pruned = first->plan;
    ps_plan *plan = NULL;
    ps_job_spec *spec = NULL;
    ps_model_form *tensors = ps_alloc_array(pruned->n_tensors + 1, sizeof *tensors);
    for (size_t i = 0; i < pruned->n_tensors; i++) {
        tensors[i] = pruned->tensors[i].stored;
        tensors[i].form = (ps_form){0};
        tensors[i].transposed = false;
    }
    ps_status st = read_stage(first, yaml, PS_STAGE_QUANTISE, "", &spec);
    if (!st)
        st = ps_model_plan_of(spec, pruned->config,
                              &(ps_plan_parent){.name = first->spec->name,
                                                .tensors = tensors,
                                                .n = pruned->n_tensors},
                              &plan);
    ps_plan_free(&plan);
    if (spec)
        ps_job_spec_free(&spec);
    ps_free(&tensors);
    return st;
}

/* What would fail later fails now. */
static ps_status check_stages(const ps_job_file *first, ps_slice yaml)
{
    if (first->stages == 1)
        return PS_OK;
    PS_REQUIRE(first->plan && first->plan->config);
    ps_status st = first->stages == PS_STAGES ? check_distil(first, yaml) : PS_OK;
    return st ? st : check_quantise(first, yaml);
}

static ps_job_model copy_model(const ps_job_model *m)
{
    return (ps_job_model){.name = ps_strdup(m->name),
                          .version = ps_strdup(m->version),
                          .config = ps_strdup(m->config)};
}

ps_status ps_job_file_stage(ps_catalog *catalog, const ps_job_file *first, ps_slice yaml,
                            unsigned stage, const char *version, ps_job_file **out)
{
    PS_REQUIRE(first->stages > 1 && stage > 0 && stage < PS_STAGES);
    ps_model_record *model = NULL;
    ps_job_spec *spec = NULL;
    ps_status st = read_stage(first, yaml, stage, first->plan->config, &spec);
    if (!st)
        st = ps_catalog_model_version(catalog, ps_job_spec_uses(spec), version, &model);
    bool distils = stage == PS_STAGE_DISTIL;
    ps_job_file *file = ps_new(ps_job_file);
    atomic_init(&file->refs, 1);
    file->spec = spec;
    file->stage = stage;
    file->stages = first->stages;
    file->name = ps_strdup(first->name);
    file->owner = ps_strdup(first->owner);
    file->version = ps_strdup(version);
    file->config = ps_strdup(model ? model->config : "");
    file->others = ps_alloc_array(first->n_others + 1, sizeof *file->others);
    for (; distils && file->n_others < first->n_others; file->n_others++)
        file->others[file->n_others] = copy_model(&first->others[file->n_others]);
    file->note = ps_strdup("");
    if (!st && spec->compress)
        st = ps_model_plan(spec, model, &file->plan);
    ps_model_record_free(&model);
    if (st)
        ps_job_file_unref(&file);
    *out = file;
    return st;
}

/* ---- all of it ---- */

static ps_status check_other(const ps_job_file *file, const ps_spec_model *other)
{
    const ps_job_spec *spec = file->spec;
    ps_spec_model *model = NULL;
    if (spec->distil)
        return ps_spec_distil_match(spec, other, false);
    if (spec->data.activations && spec->model)
        return ps_spec_activations_match(spec, spec->model, other);
    ps_status st = ps_spec_model_parse(ps_slice_str(file->config), "its config", &model);
    if (st)
        return ps_wrap(st, "model %s", spec->model_name);
    st = spec->data.activations ? ps_spec_activations_match(spec, model, other)
                                : ps_spec_compare_match(spec, model, other);
    ps_spec_model_free(&model);
    return st;
}

static ps_status check_teacher(const ps_job_file *file)
{
    const ps_job_model *named = ps_job_file_teacher(file);
    ps_spec_model *teacher = NULL;
    if (!*named->config)
        return PS_OK;
    ps_status st = ps_spec_model_parse(ps_slice_str(named->config), "its config", &teacher);
    if (st)
        return ps_wrap(st, "model %s", named->name);
    st = check_other(file, teacher);
    ps_spec_model_free(&teacher);
    return st;
}

/* Of the first model of which there is something to be said. */
static char *note_of(ps_catalog *catalog, const ps_job_file *file)
{
    const ps_job_spec *spec = file->spec;
    ps_job_other others[PS_JOB_OTHERS_MAX];
    size_t n = ps_job_spec_others(spec, others);
    char *said = ps_influence_check_data(catalog, spec, spec->model_name, file->version);
    for (size_t i = 0; !*said && i < n; i++) {
        const ps_job_model *other = ps_job_file_other(file, others[i].name);
        if (!other || !*others[i].key)
            continue;
        ps_free(&said);
        said = ps_influence_check_data(catalog, spec, other->name, other->version);
    }
    return said;
}

ps_status ps_job_file_read(ps_catalog *catalog, const ps_job_text *text, ps_job_file **out)
{
    ps_job_file *file = ps_new(ps_job_file);
    atomic_init(&file->refs, 1);
    file->owner = ps_strdup(text->owner);
    reading r = {.catalog = catalog, .text = text, .file = file};
    ps_job_spec *spec = NULL;
    ps_status st = ps_job_spec_parse_using(text->yaml, text->origin, config_of, &r, &spec);
    file->spec = spec;
    if (!st) {
        file->name = ps_strdup(spec->name);
        file->stages = ps_job_spec_stages(spec);
        st = ps_job_spec_stage(spec, 0, "");
    }
    if (!st)
        st = check_teacher(file);
    if (!st)
        st = make_plan(catalog, !*text->version, file);
    if (!st && !*text->version)
        st = check_stages(file, text->yaml);
    if (!st && !*text->version)
        st = ps_influence_check_records(catalog, spec);
    if (!st)
        file->note = note_of(catalog, file);
    if (st)
        ps_job_file_unref(&file);
    else
        *out = file;
    return st;
}

const ps_job_model *ps_job_file_other(const ps_job_file *file, const char *name)
{
    for (size_t i = 0; i < file->n_others; i++)
        if (strcmp(file->others[i].name, name) == 0)
            return &file->others[i];
    return NULL;
}

const ps_job_model *ps_job_file_teacher(const ps_job_file *file)
{
    static char none[] = "";
    static const ps_job_model nobody = {none, none, none};
    const ps_job_model *found = ps_job_file_other(file, ps_job_spec_teacher(file->spec));
    return found ? found : &nobody;
}

ps_job_file *ps_job_file_ref(ps_job_file *file)
{
    PS_REQUIRE(atomic_load(&file->refs) > 0);
    atomic_fetch_add(&file->refs, 1);
    return file;
}

void ps_job_file_unref(ps_job_file **file)
{
    ps_job_file *f = *file;
    *file = NULL;
    if (!f)
        return;
    unsigned before = atomic_fetch_sub(&f->refs, 1);
    PS_REQUIRE(before > 0);
    if (before > 1)
        return;
    ps_job_spec *spec = (ps_job_spec *)(uintptr_t)f->spec; /* const to all but its last holder */
    if (spec)
        ps_job_spec_free(&spec);
    ps_job_file_unref(&f->before);
    free(f->settled_before);
    ps_plan *plan = f->plan;
    ps_plan_free(&plan);
    free(f->name);
    free(f->owner);
    free(f->version);
    free(f->config);
    for (size_t i = 0; i < f->n_others; i++) {
        free(f->others[i].name);
        free(f->others[i].version);
        free(f->others[i].config);
    }
    free(f->others);
    free(f->note);
    free(f);
}
