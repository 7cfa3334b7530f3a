/* Happy path: the model's row in the catalog names the job that made it, whose job file names its
 * data. What compressed a model had none of its own: the training is a parent's. Files are known by
 * their names alone, which is no proof: so it is a line for people and no refusal. */
#include "server/sched/influence_check.h"

#include "common/base/mem.h"
#include "common/conf/explain_rows.h"
#include "common/record/influence.h"
#include "server/catalog/artifacts.h"
#include "server/catalog/jobs.h"
#include "server/catalog/models.h"

#include <inttypes.h>
#include <string.h>

enum { PARENTS_MOST = 16 };

/* ---- records ---- */

static ps_status no_record(uint64_t job_id, bool ended)
{
    return ended
               ? ps_fail(PS_FAILED_PRECONDITION,
                         "explain.influence: job %" PRIu64 " has left no record of what its pushes "
                         "did; a training with record.influence in its job file does",
                         job_id)
               : ps_fail(PS_FAILED_PRECONDITION,
                         "explain.influence: job %" PRIu64 " has not ended; its record is there "
                         "when it has",
                         job_id);
}

static ps_status check_record(ps_catalog *catalog, uint64_t job_id)
{
    ps_artifact_record *found = NULL;
    ps_job_record *job = NULL;
    ps_status st = ps_catalog_job_get(catalog, job_id, &job);
    if (st)
        return ps_wrap(st, "explain.influence");
    bool ended = job->state >= PS_JOB_DONE;
    ps_job_record_free(&job);
    st = ps_catalog_artifact_get(catalog, job_id, PS_INFLUENCE_FILE, &found);
    ps_artifact_record_free(&found);
    return st == PS_NOT_FOUND ? no_record(job_id, ended) : st;
}

ps_status ps_influence_check_records(ps_catalog *catalog, const ps_job_spec *spec)
{
    const ps_spec_explain *e = spec->explain;
    ps_status st = PS_OK;
    for (size_t i = 0; !st && e && i < e->n_influence; i++)
        if (e->influence[i].job)
            st = check_record(catalog, (uint64_t)e->influence[i].job);
    return st;
}

/* ---- data ---- */

/* The training that a version goes back to. */
typedef struct training {
    uint64_t job_id; /* 0: none is known */
    ps_job_spec *spec;
} training;

static bool scores_rows(const ps_job_spec *spec)
{
    const ps_spec_explain *e = spec->explain;
    for (size_t i = 0; e && i < e->n_influence; i++)
        if (ps_explain_row_find(e->influence[i].method)->traits & PS_EXPLAIN_TRAIN)
            return spec->data.train != NULL;
    return false;
}

/* true: it is a training, whose file is read. */
static bool is_training(ps_catalog *catalog, const ps_model_record *model, training *out)
{
    ps_job_record *job = NULL;
    if (!model->job_id || ps_catalog_job_get(catalog, model->job_id, &job))
        return false;
    ps_status st =
        ps_job_spec_parse_from(ps_slice_str(job->spec), "job", model->config, &out->spec);
    ps_job_record_free(&job);
    if (!st && out->spec->train && out->spec->data.train)
        out->job_id = model->job_id;
    else if (!st)
        ps_job_spec_free(&out->spec);
    return out->job_id != 0;
}

static void find_training(ps_catalog *catalog, const char *name, const char *version, training *out)
{
    ps_model_record *model = NULL;
    if (ps_catalog_model_version(catalog, name, version, &model))
        return;
    for (int i = 0; i < PARENTS_MOST && !is_training(catalog, model, out); i++) {
        ps_model_record *parent = NULL;
        if (!*model->parent ||
            ps_catalog_model_version(catalog, model->parent, model->parent_version, &parent))
            break;
        ps_model_record_free(&model);
        model = parent;
    }
    ps_model_record_free(&model);
}

static const char *rows_of(const ps_spec_files *files)
{
    return *files->tokens ? files->tokens : files->features;
}

static bool same_files(const ps_spec_files *a, const ps_spec_files *b)
{
    return !strcmp(rows_of(a), rows_of(b)) && !strcmp(a->labels, b->labels);
}

char *ps_influence_check_data(ps_catalog *catalog, const ps_job_spec *spec, const char *model,
                              const char *version)
{
    training t = {0};
    char *said = NULL;
    if (!scores_rows(spec))
        return ps_strdup("");
    find_training(catalog, model, version, &t);
    const ps_spec_files *files = spec->data.train;
    if (!t.job_id)
        said = ps_asprintf("rows scored are those of %s; what model %s was trained on is not known "
                           "here",
                           rows_of(files), model);
    else if (!same_files(files, t.spec->data.train))
        said = ps_asprintf("rows scored are those of %s, but job %" PRIu64
                           " trained model %s on %s: say data.train as its job file does, unless "
                           "the files are the same, or rows are meant that it has not seen",
                           rows_of(files), t.job_id, model, rows_of(t.spec->data.train));
    if (t.spec)
        ps_job_spec_free(&t.spec);
    return said ? said : ps_strdup("");
}
