/* Happy path: both are of one family that the kind takes, read as many numbers or the same tokens,
 * and their losses are of one sort. */
#include "common/conf/compare_spec.h"

#include "common/conf/job_spec.h"

#include <inttypes.h>
#include <string.h>

const ps_conf_key ps_spec_compare_keys[] = {
    PS_CONF_TEXT("model", ps_spec_compare, model, NULL, 1, 64),
    PS_CONF_END,
};

ps_status ps_spec_compare_check(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    if (!spec->compare || ps_job_spec_name_ok(spec->compare->model))
        return PS_OK;
    return ps_conf_fail(doc, "compare.model",
                        "'%s' is not a name; allowed: 1 to 64 of a-z 0-9 . _ -, first a letter or "
                        "a digit",
                        spec->compare->model);
}

static ps_status match_layers(const ps_spec_model *m, const ps_spec_model *o)
{
    int64_t outputs = m->layers[m->n_layers - 1], its = o->layers[o->n_layers - 1];
    if (ps_spec_model_inputs(m) != ps_spec_model_inputs(o))
        return ps_fail(PS_INVALID_ARGUMENT, "it has %" PRId64 " inputs, not %" PRId64,
                       ps_spec_model_inputs(o), ps_spec_model_inputs(m));
    if (outputs != its)
        return ps_fail(PS_INVALID_ARGUMENT, "it has %" PRId64 " outputs, not %" PRId64, its,
                       outputs);
    if (m->loss != o->loss)
        return ps_fail(PS_INVALID_ARGUMENT, "its loss is another one");
    return PS_OK;
}

static ps_status match_language(const ps_job_spec *spec, const ps_spec_model *m,
                                const ps_spec_model *o)
{
    int64_t length = spec->explain && spec->explain->n_prompts
                         ? ps_spec_explain_longest(spec->explain)
                     : spec->explain && !spec->data.test ? 0
                     : spec->data.sequence_length        ? spec->data.sequence_length
                                                         : m->context_length;
    if (m->vocab_size != o->vocab_size)
        return ps_fail(PS_INVALID_ARGUMENT, "its vocabulary has %" PRId64 " tokens, not %" PRId64,
                       o->vocab_size, m->vocab_size);
    if (*m->tokenizer && *o->tokenizer && strcmp(m->tokenizer, o->tokenizer) != 0)
        return ps_fail(PS_INVALID_ARGUMENT, "its tokenizer is %s, not %s", o->tokenizer,
                       m->tokenizer);
    if (length > o->context_length)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "its context_length is %" PRId64 ", and rows have %" PRId64
                       " tokens; set data.sequence_length",
                       o->context_length, length);
    return PS_OK;
}

/* An autoencoder has layers and a loss as others have, and gives as many numbers as it takes: so
 * beside a model of layers nothing else tells it apart. */
static ps_status match_family(const ps_job_spec *spec, const ps_spec_model *m,
                              const ps_spec_model *o)
{
    const ps_kind_row *kind = ps_job_spec_kind(spec);
    if (!ps_kind_takes(kind, o))
        return ps_fail(PS_INVALID_ARGUMENT, "it is of architecture %s, which kind %s does not take",
                       o->architecture, kind->name);
    if (ps_spec_model_is_language(m) != ps_spec_model_is_language(o))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "it is of architecture %s, which does not read what %s does",
                       o->architecture, m->architecture);
    return PS_OK;
}

/* Methods that look through a second model, each through one of its own architecture. */
static ps_status match_looked_through(const ps_job_spec *spec, const ps_spec_model *model,
                                      const ps_spec_model *other)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < ps_spec_explain_count(spec->explain); i++) {
        const ps_spec_explain_method *m = ps_spec_explain_at(spec->explain, i);
        if (!*m->model)
            continue;
        if (strcmp(m->method, other->architecture) != 0)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "model %s is of architecture %s; method %s looks through one of "
                           "architecture %s",
                           m->model, other->architecture, m->method, m->method);
        if (ps_spec_model_is_lens(other))
            st = ps_spec_lens_match(other, model, spec->model_name);
    }
    return st;
}

ps_status ps_spec_compare_match(const ps_job_spec *spec, const ps_spec_model *model,
                                const ps_spec_model *other)
{
    const char *name = spec->compare   ? spec->compare->model
                       : spec->explain ? spec->explain->compare_to
                                       : "";
    if (!*name)
        return spec->explain ? match_looked_through(spec, model, other) : PS_OK;
    ps_status st = match_family(spec, model, other);
    if (!st)
        st = ps_spec_model_is_language(model) ? match_language(spec, model, other)
                                              : match_layers(model, other);
    return st ? ps_wrap(st, "model %s", name) : PS_OK;
}
