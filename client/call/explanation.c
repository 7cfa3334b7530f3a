/* Happy path: the manifest, then the arrays that it names, then what outputs are called: classes of
 * the model's configuration, or its tokenizer's words. */
#include "client/call/explanation.h"

#include "client/call/file_receive.h"
#include "client/call/list.h"
#include "client/call/model_cuts.h"
#include "client/call/model_tokenizer.h"
#include "client/call/support.h"
#include "client/report/change_text.h"
#include "client/report/model_graph.h"
#include "client/report/report.h"
#include "client/show/explain_view.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/explain/stages.h"

#include <inttypes.h>
#include <string.h>

enum { ARRAYS_MAX = 1 << 30, STRONGEST = 8, TENSORS_SHOWN = 32 };

typedef struct shown {
    ps_client *client;
    uint64_t job_id;
    ps_buf json, arrays;
    ps_explanation manifest;
    ps_safetensors *file;
    ProtobufCMessage *told;  /* what psd tells of the model; NULL: it is gone, */
    ps_spec_model *model;    /* so is this */
    ps_tokenizer *tokenizer; /* NULL: it has none */
} shown;

typedef struct receiver {
    ps_buf *out;
    size_t most;
} receiver;

static ps_status take(void *user, ps_slice piece)
{
    const receiver *r = user;
    return ps_buf_append_limited(r->out, piece.data, piece.len, r->most);
}

static ps_status fetch(const shown *s, const char *name, size_t most, ps_buf *out)
{
    Psd__V1__GetArtifactRequest request = PSD__V1__GET_ARTIFACT_REQUEST__INIT;
    receiver r = {.out = out, .most = most};
    request.job_id = s->job_id;
    request.name = ps_borrow(name);
    return ps_receive_file(s->client, "/psd.v1.Models/GetArtifact", &request.base, take, &r, NULL);
}

static ps_status read_manifest(shown *s)
{
    ps_status st = fetch(s, PS_EXPLAIN_MANIFEST, PS_EXPLANATION_MAX, &s->json);
    if (!st)
        st = ps_explanation_read(ps_buf_slice(&s->json), &s->manifest);
    return st && st != PS_NOT_FOUND ? ps_wrap(st, PS_EXPLAIN_MANIFEST " of job %" PRIu64, s->job_id)
                                    : st;
}

static ps_status read_arrays(shown *s)
{
    ps_status st = fetch(s, PS_EXPLAIN_ARRAYS, ARRAYS_MAX, &s->arrays);
    if (!st)
        st = ps_safetensors_parse(ps_buf_slice(&s->arrays), s->arrays.len, &s->file);
    return st ? ps_wrap(st, PS_EXPLAIN_ARRAYS " of job %" PRIu64, s->job_id) : PS_OK;
}

/* One that is another by now would be explained by numbers that are not its own. */
static ps_status check_version(const shown *s, const Psd__V1__Model *model)
{
    if (!strcmp(model->version, s->manifest.model_version))
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "job %" PRIu64 " explains model %s as it was; under that name there is another "
                   "one now: explain that, or take the files with psctl fetch %" PRIu64,
                   s->job_id, s->manifest.model, s->job_id);
}

/* Nothing that is missing is told: what is shown is right without. */
static void learn_names(shown *s, const Psd__V1__Model *model)
{
    ps_token_ids ids = {0};
    if (ps_spec_model_parse(ps_slice_str(model->config), "model", &s->model))
        s->model = NULL;
    if (s->model && s->manifest.language &&
        ps_model_tokenizer(s->client, s->manifest.model, model->version, s->model, NULL,
                           &s->tokenizer, &ids))
        s->tokenizer = NULL;
}

static ps_status look_up(shown *s)
{
    Psd__V1__GetModelRequest ask = PSD__V1__GET_MODEL_REQUEST__INIT;
    ask.name = ps_borrow(s->manifest.model);
    ps_status st = ps_client_unary(s->client, "/psd.v1.Models/Get", &ask.base,
                                   &psd__v1__model__descriptor, &s->told);
    if (st)
        return st == PS_NOT_FOUND ? PS_OK : st; /* it was deleted: there is none to take it for */
    const Psd__V1__Model *model = (const Psd__V1__Model *)(void *)s->told;
    st = check_version(s, model);
    if (!st && !s->client->json)
        learn_names(s, model);
    return st;
}

static void token_text(void *user, uint32_t id, ps_buf *out)
{
    const shown *s = user;
    ps_tokenizer_token(s->tokenizer, id, out);
}

static ps_explain_view view_of(shown *s, size_t rows)
{
    return (ps_explain_view){.manifest = &s->manifest,
                             .file = s->file,
                             .arrays = ps_buf_slice(&s->arrays),
                             .names = s->model ? s->model->classes : NULL,
                             .n_names = s->model ? s->model->n_classes : 0,
                             .token = s->tokenizer ? token_text : NULL,
                             .user = s,
                             .rows = rows,
                             .strongest = STRONGEST};
}

static ps_status put_json(shown *s)
{
    bool compared = *s->manifest.other != '\0';
    ps_status st = compared ? read_arrays(s) : PS_OK;
    if (st)
        return st;
    const ps_explain_view view = view_of(s, 0);
    ps_json_writer w = ps_json_begin(s->client);
    ps_json_object(&w);
    ps_json_put_uint(&w, "job_id", s->job_id);
    ps_json_key(&w, "report");
    ps_json_embed(&w, ps_buf_cstr(&s->json));
    if (compared)
        ps_change_json(&w, &view);
    ps_json_object_end(&w);
    ps_json_finish(s->client);
    return PS_OK;
}

static ps_status put_text(shown *s, size_t rows)
{
    ps_status st = read_arrays(s);
    if (st)
        return st;
    const ps_explain_view view = view_of(s, rows);
    ps_change_text(&s->client->out, &s->client->style, &view, TENSORS_SHOWN);
    ps_explain_text(&s->client->out, &s->client->style, &view);
    return PS_OK;
}

/* Without a graph where the model is gone, or none that psctl can draw. */
static ps_status graph_of(shown *s, ps_graph **out)
{
    const Psd__V1__Model *model = (const Psd__V1__Model *)(void *)s->told;
    ps_graph_cuts cuts;
    ps_status st = model ? ps_model_cuts(s->client, model, &cuts) : PS_OK;
    if (!st && model && ps_model_graph(model, cuts, out))
        *out = NULL;
    return st;
}

/* Where it comes from, as far as psd tells it; NULL: it does not. */
static void look_back(const shown *s, ProtobufCMessage **job, ProtobufCMessage **models)
{
    Psd__V1__GetJobRequest get = PSD__V1__GET_JOB_REQUEST__INIT;
    Psd__V1__ListModelsRequest list = PSD__V1__LIST_MODELS_REQUEST__INIT;
    get.job_id = s->job_id;
    if (ps_client_unary(s->client, "/psd.v1.Jobs/Get", &get.base, &psd__v1__job__descriptor, job))
        *job = NULL;
    if (ps_client_list(s->client, "/psd.v1.Models/List", &list.base,
                       &psd__v1__list_models_response__descriptor, 0, models))
        *models = NULL;
}

static ps_status put_html(shown *s, const char *command, ps_buf *out)
{
    ProtobufCMessage *job = NULL, *models = NULL;
    ps_graph *graph = NULL;
    ps_status st = read_arrays(s);
    if (!st)
        st = graph_of(s, &graph);
    if (st)
        return st;
    const ps_explain_view view = view_of(s, 0);
    ps_fold *fold = graph ? ps_fold_of(graph, PS_FOLD_OPS) : NULL;
    look_back(s, &job, &models);
    const Psd__V1__ListModelsResponse *stored = (const Psd__V1__ListModelsResponse *)(void *)models;
    ps_report report = {.title = s->manifest.model,
                        .command = command,
                        .model = (const Psd__V1__Model *)(void *)s->told,
                        .graph = graph,
                        .fold = fold,
                        .quantity = ps_quantities[0],
                        .explanation = &view,
                        .models = stored ? stored->models : NULL,
                        .n_models = stored ? stored->n_models : 0,
                        .job_file = job ? ((const Psd__V1__Job *)(void *)job)->spec : NULL,
                        .now_ms = ps_clock_wall_ms(&ps_clock_system),
                        .room = ps_room_of(PS_ROOM_DEFAULT)};
    ps_report_html(&report, out);
    ps_room_clear(&report.room);
    if (fold)
        ps_fold_free(&fold);
    ps_graph_free(&graph);
    ps_reply_free(&job);
    ps_reply_free(&models);
    return PS_OK;
}

static void shown_free(shown *s)
{
    ps_buf_free(&s->json);
    ps_buf_free(&s->arrays);
    ps_explanation_free(&s->manifest);
    ps_safetensors_free(&s->file);
    ps_reply_free(&s->told);
    if (s->model)
        ps_spec_model_free(&s->model);
    if (s->tokenizer)
        ps_tokenizer_free(&s->tokenizer);
}

ps_status ps_explanation_show(ps_client *client, uint64_t job_id, size_t rows)
{
    shown s = {.client = client, .job_id = job_id};
    ps_status st = read_manifest(&s);
    if (!st)
        st = look_up(&s);
    if (!st && client->json)
        st = put_json(&s);
    else if (!st)
        st = put_text(&s, rows);
    shown_free(&s);
    return st;
}

ps_status ps_explanation_html(ps_client *client, uint64_t job_id, const char *command, ps_buf *out)
{
    shown s = {.client = client, .job_id = job_id};
    ps_status st = read_manifest(&s);
    if (!st)
        st = look_up(&s);
    if (!st)
        st = put_html(&s, command, out);
    shown_free(&s);
    return st;
}
