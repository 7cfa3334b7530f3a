/* Happy path: the paths are below data_roots, the reader opens them, and what they hold is what the
 * model takes. */
#include "worker/job/job_data.h"

#include "common/format/token_file.h"

#include <inttypes.h>
#include <string.h>

static ps_label_kind labels_of(const ps_job_data_request *r)
{
    if (r->unlabelled)
        return PS_LABELS_NONE;
    if (ps_spec_model_is_language(r->model))
        return PS_LABELS_NEXT;
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

/* What each row and label may be; the reader compares. */
static void describe(const ps_job_data_request *r, ps_dataset_options *o)
{
    const ps_spec_model *model = r->model;
    o->labels = labels_of(r);
    if (ps_spec_model_is_language(model)) {
        int64_t length = r->spec->data.sequence_length;
        o->features = length ? length : model->context_length;
        o->classes = model->vocab_size;
        return;
    }
    o->features = model->layers[0];
    if (o->labels == PS_LABELS_CLASSES)
        o->classes = model->layers[model->n_layers - 1];
    o->class_names = model->classes;
    o->n_class_names = model->n_classes;
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
                   "%s: made with another tokenizer than that of model %s; psctl tokenize --model "
                   "%s takes the model's",
                   files->tokens, r->spec->model_name, r->spec->model_name);
}

/* A stored model meets a job's data for the first time here. */
static ps_status check_kind(const ps_job_data_request *r)
{
    bool language = ps_spec_model_is_language(r->model);
    bool tokens = !strcmp(r->spec->data.format, "tokens");
    if (language == tokens)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "data.format %s is not what architecture %s reads: %s",
                   r->spec->data.format, r->model->architecture,
                   language ? "tokens" : "idx or csv");
}

/* What to open, when it may be. */
static ps_status prepare(const ps_job_data_request *r, ps_dataset_options *out)
{
    const ps_spec_data *data = &r->spec->data;
    const ps_spec_files *files = r->train ? data->train : data->test;
    if (!files)
        return ps_fail(PS_INVALID_ARGUMENT, "the job names no %s data",
                       r->train ? "training" : "test");
    ps_status st = check_kind(r);
    if (!st)
        st = check_paths(r, files);
    if (st)
        return st;
    *out = (ps_dataset_options){.data = data, .files = files};
    describe(r, out);
    return PS_OK;
}

ps_status ps_job_data_survey(const ps_job_data_request *request, ps_survey_wants wants,
                             ps_survey *out)
{
    ps_dataset_options options;
    *out = (ps_survey){0};
    ps_status st = prepare(request, &options);
    return st ? st : ps_dataset_survey(&options, wants, out);
}

ps_status ps_job_data_open(const ps_job_data_request *request, ps_dataset **out)
{
    ps_dataset_options options;
    ps_status st = ps_job_spec_check_inputs(request->spec, request->model);
    if (!st)
        st = prepare(request, &options);
    if (st)
        return st;
    ps_dataset *opened;
    st = ps_dataset_open(&options, &opened);
    if (st)
        return st;
    st = check_targets(request->model, opened, options.files->features);
    if (!st)
        st = check_tokenizer(request, options.files);
    if (st) {
        ps_dataset_close(&opened);
        return st;
    }
    *out = opened;
    return PS_OK;
}
