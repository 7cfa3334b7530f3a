/* Whose activations a job's data are: the stored model reads what the files hold, and has such a
 * layer. How wide its points are the worker knows, which opens the data. */
#include "common/conf/job_spec.h"

#include <inttypes.h>
#include <string.h>

const char *ps_spec_data_files_format(const ps_spec_data *data)
{
    return data->activations ? data->activations->format : data->format;
}

static int64_t layers_of(const ps_spec_model *m)
{
    if (ps_spec_model_is_lens(m))
        return 0;
    return ps_spec_model_is_language(m) ? m->num_layers : (int64_t)ps_spec_model_linears(m);
}

ps_status ps_spec_lens_match(const ps_spec_model *lens, const ps_spec_model *base, const char *name)
{
    if (!ps_spec_model_is_language(base))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "model %s is of architecture %s, and a tuned_lens is for language models",
                       name, base->architecture);
    if (lens->hidden_size != base->hidden_size || lens->num_layers != base->num_layers)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "the lens is for %" PRId64 " blocks and a hidden_size of %" PRId64
                       ", and model %s has %" PRId64 " and %" PRId64,
                       lens->num_layers, lens->hidden_size, name, base->num_layers,
                       base->hidden_size);
    return PS_OK;
}

/* A lens takes the stream at all layers, so neither says which. */
static ps_status match_lens(const ps_spec_activations *a, const ps_spec_model *lens,
                            const ps_spec_model *origin)
{
    if (*a->point || a->layer)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "data.activations.%s: a tuned_lens takes the residual stream at all layers; "
                       "leave it out",
                       *a->point ? "point" : "layer");
    ps_status st = ps_spec_lens_match(lens, origin, a->model);
    return st ? ps_wrap(st, "data.activations") : PS_OK;
}

ps_status ps_spec_activations_match(const ps_job_spec *spec, const ps_spec_model *model,
                                    const ps_spec_model *origin)
{
    const ps_spec_activations *a = spec->data.activations;
    if (!a)
        return PS_OK;
    ps_status st = ps_spec_model_is_lens(model) ? match_lens(a, model, origin) : PS_OK;
    if (st)
        return st;
    if (ps_spec_model_is_encoder(origin))
        return ps_fail(
            PS_INVALID_ARGUMENT,
            "data.activations: model %s is of architecture %s, whose activations are not "
            "taken",
            a->model, origin->architecture);
    bool language = ps_spec_model_is_language(origin), tokens = !strcmp(a->format, "tokens");
    if (language != tokens)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "data.activations: model %s is of architecture %s, which reads %s, not %s",
                       a->model, origin->architecture, language ? "tokens" : "idx or csv",
                       a->format);
    if (a->layer >= layers_of(origin))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "data.activations.layer: %" PRId64 ", but model %s has %" PRId64
                       ", counted from 0",
                       a->layer, a->model, layers_of(origin));
    int64_t length = spec->data.sequence_length;
    if (language && length > origin->context_length)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "data.sequence_length: %" PRId64 ", but model %s has a context of %" PRId64,
                       length, a->model, origin->context_length);
    return PS_OK;
}
