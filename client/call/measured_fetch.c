/* Happy path: each kind of file is asked for, those that are there are read, and the first that has
 * the quantity is taken. */
#include "client/call/measured_fetch.h"

#include "client/call/artifact.h"
#include "client/call/support.h"
#include "common/base/mem.h"
#include "common/explain/stages.h"

#include <inttypes.h>
#include <string.h>

#define REPORT "report.json" /* of a compression */

typedef struct fetched {
    ps_artifact json, arrays, losses, report;
    ps_explanation manifest;
    ps_safetensors *file;
    ps_explain_view view;
    ps_loss_file changes;
    bool explains, recorded;
} fetched;

static ps_status missing_is_fine(ps_status st)
{
    return st == PS_NOT_FOUND ? PS_OK : st;
}

static ps_status read_explanation(ps_client *client, uint64_t job, fetched *f)
{
    ps_status st = ps_artifact_fetch(client, job, PS_EXPLAIN_MANIFEST, &f->json);
    if (st)
        return missing_is_fine(st);
    st = ps_explanation_read(f->json.bytes, &f->manifest);
    if (!st)
        st = ps_artifact_fetch(client, job, PS_EXPLAIN_ARRAYS, &f->arrays);
    if (!st)
        st = ps_safetensors_parse(f->arrays.bytes, f->arrays.bytes.len, &f->file);
    f->view =
        (ps_explain_view){.manifest = &f->manifest, .file = f->file, .arrays = f->arrays.bytes};
    f->explains = !st;
    return st;
}

static ps_status read_losses(ps_client *client, uint64_t job, fetched *f)
{
    ps_status st = ps_artifact_fetch(client, job, PS_LOSS_FILE, &f->losses);
    if (st)
        return missing_is_fine(st);
    st = ps_loss_file_read(f->losses.bytes, &f->changes);
    f->recorded = !st;
    return st;
}

static ps_status read_all(ps_client *client, uint64_t job, fetched *f)
{
    ps_status st = read_explanation(client, job, f);
    if (!st && !f->explains)
        st = read_losses(client, job, f);
    if (!st && !f->explains)
        st = missing_is_fine(ps_artifact_fetch(client, job, REPORT, &f->report));
    return st ? ps_wrap(st, "job %" PRIu64, job) : PS_OK;
}

static void let_go(fetched *f)
{
    ps_explanation_free(&f->manifest);
    ps_safetensors_free(&f->file);
    if (f->recorded)
        ps_loss_file_free(&f->changes);
    ps_artifact_free(&f->json);
    ps_artifact_free(&f->arrays);
    ps_artifact_free(&f->losses);
    ps_artifact_free(&f->report);
}

/* Numbers of another model would be drawn on this one. */
static ps_status check_model(const fetched *f, uint64_t job, const Psd__V1__Model *model)
{
    if (!f->explains || (!strcmp(f->manifest.model, model->name) &&
                         !strcmp(f->manifest.model_version, model->version)))
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "job %" PRIu64 " explains %s %s; explain the model that is drawn", job,
                   strcmp(f->manifest.model, model->name) ? "model" : "an older version of model",
                   f->manifest.model);
}

static ps_status none(const fetched *f, uint64_t job, const char *name)
{
    bool any = f->explains || f->recorded || f->report.bytes.len;
    if (!any)
        return ps_fail(PS_NOT_FOUND,
                       "job %" PRIu64 " has measured nothing of tensors; one of kind explain or "
                       "compress does, and a training with record.loss_changes",
                       job);
    return ps_fail(PS_NOT_FOUND, "job %" PRIu64 " has not measured %s of this model's tensors; %s",
                   job, name ? name : "anything",
                   f->explains
                       ? "explain.inside: weights has norm, stable_rank and alpha, "
                         "weight_change change, loss_path loss_change, head_ablation ablation"
                   : f->recorded ? "a training has loss_change"
                                 : "a compression has error, of tensors whose inputs it has seen");
}

ps_status ps_measured_fetch(ps_client *client, const char *job, const ps_graph *graph,
                            const Psd__V1__Model *model, const char *name, ps_measured **out)
{
    fetched f = {.explains = false};
    uint64_t id = 0;
    *out = NULL;
    ps_status st = ps_job_of(client, job, &id);
    if (!st)
        st = read_all(client, id, &f);
    if (!st)
        st = check_model(&f, id, model);
    if (!st)
        *out = ps_measured_of(graph,
                              &(ps_measured_files){.job = id,
                                                   .explanation = f.explains ? &f.view : NULL,
                                                   .losses = f.recorded ? &f.changes : NULL,
                                                   .compression = f.report.bytes},
                              name);
    if (!st && !*out)
        st = none(&f, id, name);
    let_go(&f);
    return st;
}
