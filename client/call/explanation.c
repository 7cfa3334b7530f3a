/* Happy path: the manifest, then the arrays that it names, then what outputs are called: classes of
 * the model's configuration, or its tokenizer's words. */
#include "client/call/explanation.h"

#include "client/call/artifact.h"
#include "client/call/model_tokenizer.h"
#include "client/call/row_list.h"
#include "client/call/support.h"
#include "client/report/change_text.h"
#include "client/report/influence_text.h"
#include "client/show/explain_view.h"
#include "common/base/mem.h"
#include "common/explain/stages.h"

#include <inttypes.h>
#include <string.h>

enum { STRONGEST = 8, TENSORS_SHOWN = 32, INFLUENCE_SHOWN = 5 };

typedef struct shown {
    ps_client *client;
    uint64_t job_id;
    ps_artifact json, arrays;
    ps_explanation manifest;
    ps_safetensors *file;
    Psd__V1__Model *told;    /* what psd tells of the model; NULL: it is gone, */
    ps_spec_model *model;    /* so is this */
    ps_tokenizer *tokenizer; /* NULL: it has none */
} shown;

static ps_status read_manifest(shown *s)
{
    ps_status st = ps_artifact_fetch(s->client, s->job_id, PS_EXPLAIN_MANIFEST, &s->json);
    if (!st)
        st = ps_explanation_read(s->json.bytes, &s->manifest);
    return st && st != PS_NOT_FOUND ? ps_wrap(st, PS_EXPLAIN_MANIFEST " of job %" PRIu64, s->job_id)
                                    : st;
}

static ps_status read_arrays(shown *s)
{
    ps_status st = ps_artifact_fetch(s->client, s->job_id, PS_EXPLAIN_ARRAYS, &s->arrays);
    if (!st)
        st = ps_safetensors_parse(s->arrays.bytes, s->arrays.bytes.len, &s->file);
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
    ps_status st = ps_get_model(s->client, s->manifest.model, NULL, &s->told);
    if (st)
        return st == PS_NOT_FOUND ? PS_OK : st; /* it was deleted: there is none to take it for */
    st = check_version(s, s->told);
    if (!st && !s->client->json)
        learn_names(s, s->told);
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
                             .arrays = s->arrays.bytes,
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
    ps_json_embed_n(&w, s->json.bytes);
    if (compared)
        ps_change_json(&w, &view);
    ps_json_object_end(&w);
    ps_json_finish(s->client);
    return PS_OK;
}

static ps_status put_text(shown *s, const char *chosen, size_t rows)
{
    ps_row_list list = {0};
    ps_status st = read_arrays(s);
    if (!st && chosen)
        st = ps_row_list_parse(chosen, &s->manifest, &list);
    if (st)
        return st;
    ps_explain_view view = view_of(s, rows);
    view.chosen = list.places;
    view.n_chosen = list.n;
    ps_change_text(&s->client->out, &s->client->style, &view, TENSORS_SHOWN);
    ps_explain_text(&s->client->out, &s->client->style, &view);
    ps_influence_text(&s->client->out, &s->client->style, &view, INFLUENCE_SHOWN);
    ps_row_list_free(&list);
    return PS_OK;
}

static ps_status put_html(shown *s, const ps_page_options *options, ps_buf *out)
{
    ps_status st = read_arrays(s);
    const ps_explain_view view = view_of(s, 0);
    return st ? st : ps_page_explanation(s->client, s->job_id, s->told, &view, options, out);
}

static void shown_free(shown *s)
{
    ps_artifact_free(&s->json);
    ps_artifact_free(&s->arrays);
    ps_explanation_free(&s->manifest);
    ps_safetensors_free(&s->file);
    ps_reply_free(&s->told);
    if (s->model)
        ps_spec_model_free(&s->model);
    if (s->tokenizer)
        ps_tokenizer_free(&s->tokenizer);
}

ps_status ps_explanation_show(ps_client *client, uint64_t job_id, const char *chosen, size_t rows)
{
    shown s = {.client = client, .job_id = job_id};
    ps_status st = read_manifest(&s);
    if (!st)
        st = look_up(&s);
    if (!st && client->json)
        st = put_json(&s);
    else if (!st)
        st = put_text(&s, chosen, rows);
    shown_free(&s);
    return st;
}

ps_status ps_explanation_html(ps_client *client, uint64_t job_id, const ps_page_options *options,
                              ps_buf *out)
{
    shown s = {.client = client, .job_id = job_id};
    ps_status st = read_manifest(&s);
    if (!st)
        st = look_up(&s);
    if (!st)
        st = put_html(&s, options, out);
    shown_free(&s);
    return st;
}
