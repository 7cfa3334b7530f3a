/* Happy path: the paths are below data_roots, the reader opens them, and what they hold is what the
 * model takes. */
#include "worker/job/job_data.h"

#include "common/base/require.h"
#include "common/format/token_file.h"

#include <inttypes.h>
#include <string.h>

static ps_label_kind labels_of(const ps_job_data_request *r)
{
    if (r->unlabelled || ps_spec_model_unlabelled(r->model))
        return PS_LABELS_NONE;
    if (ps_spec_model_is_language(r->model))
        return PS_LABELS_NEXT;
    if (ps_spec_model_is_encoder(r->model) && !r->model->choices.num_classes)
        return PS_LABELS_NONE;
    return r->model->loss == PS_SPEC_SQUARED_ERROR ? PS_LABELS_REALS : PS_LABELS_CLASSES;
}

static ps_status check_paths(const ps_job_data_request *r, const ps_spec_files *files)
{
    const char *paths[] = {files->features, r->unlabelled ? "" : files->labels, files->tokens};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        ps_status st = *paths[i] ? ps_worker_data_path_check(r->conf, paths[i]) : PS_OK;
        if (st)
            return st;
    }
    return PS_OK;
}

/* What each label may be; the reader compares. */
static void describe_labels(const ps_job_data_request *r, ps_dataset_options *o)
{
    const ps_spec_model *model = r->model;
    o->labels = labels_of(r);
    if (o->labels == PS_LABELS_CLASSES)
        o->classes = ps_spec_model_outputs(model);
    o->class_names = model->classes;
    o->n_class_names = model->n_classes;
}

/* What each row may be, that the model takes. */
static void describe_rows(const ps_job_data_request *r, const ps_spec_model *model,
                          ps_dataset_options *o)
{
    if (ps_spec_model_is_language(model)) {
        int64_t length = r->spec->data.sequence_length;
        o->features = length ? length : model->context_length;
        o->classes = o->vocab = model->vocab_size;
        return;
    }
    if (ps_spec_model_is_encoder(model)) {
        int64_t length = r->spec->data.sequence_length, most = model->max_text_length;
        o->features = length ? length : most ? most : model->context_length;
        o->vocab = model->vocab_size;
        o->texts = true;
        return;
    }
    o->features = (size_t)ps_spec_model_inputs(model);
    if (ps_spec_model_is_images(model))
        o->image = ps_spec_model_image(model);
    o->missing = model->input_missing ? model->input_missing : r->spec->data.csv.missing;
    if (model->n_input_mean)
        o->numbers = (ps_feature_numbers){.n = model->n_input_mean,
                                          .mean = model->input_mean,
                                          .std = model->n_input_std ? model->input_std : NULL};
}

/* The reader has compared the features. */
static ps_status check_targets(const ps_spec_model *model, const ps_dataset *data, const char *path)
{
    if (ps_dataset_labels(data) != PS_LABELS_REALS)
        return PS_OK;
    int64_t outputs = model->layers[model->n_layers - 1];
    if ((int64_t)ps_dataset_targets(data) == outputs)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "%s has %zu targets a row, but model.layers ends with %" PRId64, path,
                   ps_dataset_targets(data), outputs);
}

/* Of another tokenizer ids mean other texts, and whatever is learnt or measured on them is of none.
 */
static ps_status check_tokenizer(const ps_job_data_request *r, const ps_spec_files *files)
{
    const ps_spec_activations *of = r->spec->data.activations;
    const char *own = *r->spec->model_name ? r->spec->model_name : r->spec->initialize_from;
    const char *name = of ? of->model : own;
    ps_token_file *file = NULL;
    if (!r->tokenizer || !*files->tokens)
        return PS_OK;
    ps_status st = ps_token_file_open(files->tokens, &file);
    if (st)
        return st;
    uint64_t its = ps_token_file_about(file)->tokenizer_hash;
    ps_token_file_close(&file);
    if (!its || its == r->tokenizer)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "%s: made with another tokenizer than that of model %s; psctl tokenize "
                   "--tokenizer takes the file or folder that the model came with",
                   files->tokens, name);
}

/* A stored model meets a job's data for the first time here. */
static ps_status check_kind(const ps_job_data_request *r)
{
    bool language = ps_spec_model_reads_tokens(r->model);
    bool tokens = !strcmp(r->spec->data.format, "tokens");
    if (language == tokens)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "data.format %s is not what architecture %s reads: %s",
                   r->spec->data.format, r->model->architecture,
                   language ? "tokens" : "idx or csv");
}

/* What is to be opened: plain data that must stay where they are until it is. */
typedef struct opening {
    ps_dataset_options options;
    ps_dataset_source source; /* of format activations: options.source */
    ps_spec_data files;       /* what their files are */
} opening;

/* Labels that stand in a file of their own, where they are needed. */
static ps_status check_labels(const ps_job_data_request *r, const ps_spec_files *files)
{
    bool apart = !strcmp(ps_spec_data_files_format(&r->spec->data), "idx");
    if (!apart || *files->labels || labels_of(r) == PS_LABELS_NONE)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "data.%s.labels is missing; architecture %s learns them",
                   r->train ? "train" : "test", r->model->architecture);
}

/* The files are opened as the model takes them whose activations are made, but for their labels. */
static ps_status describe_source(const ps_job_data_request *r, opening *o)
{
    bool tokens = !strcmp(ps_spec_data_files_format(&r->spec->data), "tokens");
    o->files = r->spec->data;
    o->files.format = r->spec->data.activations->format;
    o->files.activations = NULL;
    o->source = *r->source;
    o->source.rows = o->options;
    o->source.rows.data = &o->files;
    o->source.rows.features = 0;
    o->source.rows.numbers = (ps_feature_numbers){0};
    describe_rows(r, r->origin, &o->source.rows);
    o->options.source = &o->source;
    if (!tokens || o->options.labels == PS_LABELS_NONE)
        return PS_OK;
    o->source.rows.labels = PS_LABELS_NEXT;
    if (o->options.labels == PS_LABELS_CLASSES)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "the labels of tokens are tokens, and model.loss is squared_error");
}

/* What to open, when it may be. */
static ps_status prepare(const ps_job_data_request *r, opening *out)
{
    const ps_spec_data *data = &r->spec->data;
    const ps_spec_files *files = r->train ? data->train : data->test;
    if (!files)
        return ps_fail(PS_INVALID_ARGUMENT, "the job names no %s data",
                       r->train ? "training" : "test");
    ps_status st = check_kind(r);
    if (!st)
        st = check_paths(r, files);
    if (!st)
        st = check_labels(r, files);
    if (st)
        return st;
    PS_REQUIRE(!data->activations == !r->source);
    out->options = (ps_dataset_options){.data = data, .files = files};
    describe_labels(r, &out->options);
    describe_rows(r, r->model, &out->options);
    return r->source ? describe_source(r, out) : PS_OK;
}

ps_status ps_job_data_survey(const ps_job_data_request *request, ps_survey_wants wants,
                             ps_survey *out)
{
    opening o;
    *out = (ps_survey){0};
    ps_status st = prepare(request, &o);
    return st ? st : ps_dataset_survey(&o.options, wants, out);
}

ps_status ps_job_data_open(const ps_job_data_request *request, ps_dataset **out)
{
    opening o;
    ps_status st = ps_job_spec_check_inputs(request->spec, request->model);
    if (!st)
        st = prepare(request, &o);
    if (!st)
        st = check_tokenizer(request, o.options.files);
    if (st)
        return st;
    ps_dataset *opened;
    st = ps_dataset_open(&o.options, &opened);
    if (st)
        return st;
    st = check_targets(request->model, opened, o.options.files->features);
    if (st) {
        ps_dataset_close(&opened);
        return st;
    }
    *out = opened;
    return PS_OK;
}
