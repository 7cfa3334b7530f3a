/* Happy path: the model, its graph, the job and the record are fetched, and drawn. What psd does
 * not tell is left out; a record that is damaged is a remark. */
#include "client/call/page.h"

#include "client/call/list.h"
#include "client/call/model_cuts.h"
#include "client/call/row_list.h"
#include "client/call/support.h"
#include "client/call/training_fetch.h"
#include "client/report/model_graph.h"
#include "client/report/report.h"
#include "client/show/human.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/conf/job_spec.h"

#include <stdlib.h>
#include <string.h>

typedef struct parts {
    const Psd__V1__Model *model; /* NULL: it is gone */
    ps_graph *graph;             /* NULL: so is the model, or psctl can draw none of it */
    ps_fold *fold;
    ProtobufCMessage *job, *models; /* NULL: psd does not tell */
    ps_training *training;          /* NULL: there is none */
} parts;

static ps_status find_graph(ps_client *client, parts *p)
{
    ps_graph_cuts cuts;
    ps_status st = p->model ? ps_model_cuts(client, p->model, &cuts) : PS_OK;
    if (!st && p->model && ps_model_graph(p->model, cuts, &p->graph))
        p->graph = NULL;
    p->fold = p->graph ? ps_fold_of(p->graph, PS_FOLD_OPS) : NULL;
    return st;
}

static void look_back(ps_client *client, uint64_t job_id, parts *p)
{
    Psd__V1__GetJobRequest get = PSD__V1__GET_JOB_REQUEST__INIT;
    Psd__V1__ListModelsRequest list = PSD__V1__LIST_MODELS_REQUEST__INIT;
    get.job_id = job_id;
    if (ps_client_unary(client, "/psd.v1.Jobs/Get", &get.base, &psd__v1__job__descriptor, &p->job))
        p->job = NULL;
    if (ps_client_list(client, "/psd.v1.Models/List", &list.base,
                       &psd__v1__list_models_response__descriptor, 0, &p->models))
        p->models = NULL;
}

/* Of the job that made the model. Another job's file says nothing against this one's. */
static void find_training(ps_client *client, parts *p)
{
    if (!p->model || !p->model->job_id)
        return;
    ps_status st = ps_training_fetch(client, p->model->job_id, &p->training);
    if (st && st != PS_NOT_FOUND)
        ps_remark("%s: left out of the report", ps_error_message());
    if (st)
        p->training = NULL;
}

/* Of the file of the job that the page is of. */
static size_t budget_of(const parts *p, const ps_page_options *options)
{
    const Psd__V1__Job *job = (const Psd__V1__Job *)(void *)p->job;
    ps_job_spec *spec = NULL;
    size_t budget = options->budget ? (size_t)options->budget : PS_ROOM_DEFAULT;
    if (!options->budget && job && !ps_job_spec_parse(ps_slice_str(job->spec), "job", &spec)) {
        budget = (size_t)spec->report.budget;
        ps_job_spec_free(&spec);
    }
    return budget;
}

static ps_status draw_figure(ps_report *report, const char *section, ps_buf *out)
{
    const char *colon = strchr(section, ':');
    unsigned long which = colon ? strtoul(colon + 1, NULL, 10) : 1;
    char *id = ps_asprintf("%.*s", (int)strcspn(section, ":"), section);
    ps_status st = ps_report_svg(report, id, which < 1000000 ? (unsigned)which : 0, out);
    ps_free(&id);
    return st;
}

/* The job's own numbers, for the graph; NULL: it has none. */
static ps_measured *measured_of(const parts *p, const ps_explain_view *view)
{
    const ps_measured_files files = {.job = view          ? view->manifest->job
                                            : p->training ? p->training->job
                                                          : 0,
                                     .explanation = view,
                                     .losses = !view && p->training ? &p->training->losses : NULL};
    return p->graph ? ps_measured_of(p->graph, &files, NULL) : NULL;
}

static ps_status draw(const parts *p, const char *title, const ps_explain_view *view,
                      const ps_page_options *options, ps_buf *out)
{
    const Psd__V1__ListModelsResponse *stored =
        (const Psd__V1__ListModelsResponse *)(void *)p->models;
    const Psd__V1__Job *job = (const Psd__V1__Job *)(void *)p->job;
    ps_measured *measured = measured_of(p, view);
    ps_report report = {.title = title,
                        .command = options->command,
                        .model = p->model,
                        .graph = p->graph,
                        .fold = p->fold,
                        .quantity = ps_quantities[0],
                        .measured = measured,
                        .explanation = view,
                        .training = p->training,
                        .models = stored ? stored->models : NULL,
                        .n_models = stored ? stored->n_models : 0,
                        .job_file = job ? job->spec : NULL,
                        .now_ms = ps_clock_wall_ms(&ps_clock_system),
                        .room = ps_room_of(budget_of(p, options))};
    ps_status st = options->section ? draw_figure(&report, options->section, out)
                                    : ps_report_html(&report, out);
    for (size_t i = 0; !st && i < report.room.n_notes; i++)
        ps_remark("left out, for a page of at most %s: %s",
                  ps_human_bytes((double)report.room.limit).text, report.room.notes[i]);
    ps_room_clear(&report.room);
    ps_measured_free(&measured);
    return st;
}

static ps_status draw_rows(const parts *p, const ps_explain_view *view,
                           const ps_page_options *options, ps_buf *out)
{
    ps_explain_view some = *view;
    ps_row_list rows = {0};
    ps_status st = options->rows ? ps_row_list_parse(options->rows, view->manifest, &rows) : PS_OK;
    some.chosen = rows.places;
    some.n_chosen = rows.n;
    if (!st)
        st = draw(p, view->manifest->model, &some, options, out);
    ps_row_list_free(&rows);
    return st;
}

static void parts_free(parts *p)
{
    if (p->fold)
        ps_fold_free(&p->fold);
    ps_graph_free(&p->graph);
    ps_training_free(&p->training);
    ps_reply_free(&p->job);
    ps_reply_free(&p->models);
}

ps_status ps_page_explanation(ps_client *client, uint64_t job_id, const Psd__V1__Model *model,
                              const ps_explain_view *view, const ps_page_options *options,
                              ps_buf *out)
{
    parts p = {.model = model};
    ps_status st = find_graph(client, &p);
    if (!st) {
        look_back(client, job_id, &p);
        find_training(client, &p);
        st = draw_rows(&p, view, options, out);
    }
    parts_free(&p);
    return st;
}

/* The model that the job has made, if it is there as the job made it; the caller's. */
static Psd__V1__Model *model_of(ps_client *client, uint64_t job_id, const char *name)
{
    Psd__V1__Model *model = NULL;
    if (ps_get_model(client, name, NULL, &model))
        return NULL;
    if (model->job_id != job_id)
        ps_reply_free(&model);
    return model;
}

ps_status ps_page_training(ps_client *client, uint64_t job_id, const ps_page_options *options,
                           ps_buf *out)
{
    parts p = {0};
    Psd__V1__Model *model = NULL;
    ps_status st = ps_training_fetch(client, job_id, &p.training);
    if (st)
        return st;
    look_back(client, job_id, &p);
    const char *name = p.job ? ((const Psd__V1__Job *)(void *)p.job)->name : "a training";
    if (p.job)
        model = model_of(client, job_id, name);
    p.model = model;
    st = find_graph(client, &p);
    if (!st)
        st = draw(&p, name, NULL, options, out);
    parts_free(&p);
    ps_reply_free(&model);
    return st;
}
