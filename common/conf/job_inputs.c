/* Happy path: a job that trains leaves to its data what its model does not have yet; any other does
 * as its model says. What a file says beside a model that knows better is refused, though it might
 * be the same: nobody should think that it is what counts. */
#include "common/conf/job_inputs.h"

#include <inttypes.h>

/* Of an autoencoder always: so what it makes of its inputs is in shares of their variance. */
static bool coder_due(const ps_job_spec *spec)
{
    return ps_job_spec_kind(spec)->trains && spec->model && ps_spec_model_is_coder(spec->model);
}

/* Of format activations what is missing in a file is the affair of the model that they are of. */
static bool mean_due(const ps_job_spec *spec)
{
    return (spec->data.csv.missing == PS_SPEC_MISSING_MEAN && !spec->data.activations) ||
           coder_due(spec);
}

static bool std_due(const ps_job_spec *spec)
{
    return spec->data.normalise.from == PS_SPEC_NORMALISE_DATA || coder_due(spec);
}

/* What the file says by itself. */
static ps_status check_said(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    static const char *const numbers[] = {"data.normalise.scale", "data.normalise.mean",
                                          "data.normalise.std"};
    bool from_data = spec->data.normalise.from == PS_SPEC_NORMALISE_DATA;
    if (coder_due(spec) && !spec->data.activations && ps_conf_has(doc, "data.normalise"))
        return ps_conf_fail(doc, "data.normalise",
                            "architecture %s takes mean and deviation of its inputs from the "
                            "training data; leave this out",
                            spec->model->architecture);
    for (size_t i = 0; i < 3 && from_data; i++)
        if (ps_conf_has(doc, numbers[i]))
            return ps_conf_fail(doc, numbers[i],
                                "not with from: data, which takes mean and std from the training "
                                "data");
    return PS_OK;
}

static ps_status check_room(const ps_job_spec *spec, const ps_spec_model *m, const ps_conf_doc *doc)
{
    bool fits = ps_spec_model_inputs(m) <= PS_SPEC_INPUTS_MAX || ps_spec_model_is_lens(m);
    if (fits || !ps_job_spec_kind(spec)->trains || (!std_due(spec) && !mean_due(spec)))
        return PS_OK;
    return ps_conf_fail(doc, std_due(spec) ? "data.normalise" : "data.csv.missing",
                        "%s is for at most %d inputs; %s %" PRId64,
                        std_due(spec) ? "from: data" : "mean", PS_SPEC_INPUTS_MAX,
                        ps_spec_model_is_images(m) ? "an image has" : "model.layers begins with",
                        ps_spec_model_inputs(m));
}

/* For messages: "model iris". */
static const char *name_of(const ps_job_spec *spec)
{
    return *ps_job_spec_uses(spec) ? ps_job_spec_uses(spec) : spec->name;
}

static ps_status check_normalise(const ps_job_spec *spec, const ps_spec_model *m,
                                 const ps_conf_doc *doc)
{
    static const char key[] = "data.normalise";
    if (m->n_input_std && ps_conf_has(doc, key) && !std_due(spec) && !spec->data.activations)
        return ps_conf_fail(doc, key,
                            "model %s has a mean and a deviation of each of its inputs, which "
                            "hold; leave this out",
                            name_of(spec));
    if (!m->n_input_std && std_due(spec) && !ps_job_spec_kind(spec)->trains)
        return ps_conf_fail(doc, key,
                            "model %s has no mean and deviation of its inputs; only a job that "
                            "trains takes them from its data",
                            name_of(spec));
    return PS_OK;
}

static ps_status check_missing(const ps_job_spec *spec, const ps_spec_model *m,
                               const ps_conf_doc *doc)
{
    static const char key[] = "data.csv.missing";
    unsigned said = spec->data.csv.missing;
    if (m->input_missing && ps_conf_has(doc, key) && said != m->input_missing)
        return ps_conf_fail(doc, key, "%s here, and %s for model %s, which holds; leave this out",
                            ps_spec_missing_name(said), ps_spec_missing_name(m->input_missing),
                            name_of(spec));
    if (!m->n_input_mean && mean_due(spec) && !ps_job_spec_kind(spec)->trains)
        return ps_conf_fail(doc, key,
                            "model %s has no means of its inputs; only a job that trains takes "
                            "them from its data",
                            name_of(spec));
    return PS_OK;
}

ps_status ps_job_inputs_check(const ps_job_spec *spec, const ps_spec_model *model,
                              const ps_conf_doc *doc)
{
    ps_status st = check_said(spec, doc);
    if (st || !model)
        return st;
    st = check_room(spec, model, doc);
    if (!st)
        st = check_normalise(spec, model, doc);
    return st ? st : check_missing(spec, model, doc);
}

#define OLDER "; is a worker older than psd, or psd than a worker?"

ps_status ps_job_spec_check_inputs(const ps_job_spec *spec, const ps_spec_model *m)
{
    bool asked = std_due(spec) || mean_due(spec) || (spec->model && spec->model->n_input_mean);
    if (std_due(spec) && !m->n_input_std)
        return ps_fail(PS_INVALID_ARGUMENT, "data.normalise.from is data, but nobody has taken "
                                            "mean and deviation from them" OLDER);
    if (mean_due(spec) && !m->n_input_mean)
        return ps_fail(PS_INVALID_ARGUMENT, "data.csv.missing is mean, but nobody has taken means "
                                            "from the data" OLDER);
    if (ps_job_spec_kind(spec)->trains && m->n_input_mean && !asked)
        return ps_fail(PS_INVALID_ARGUMENT, "numbers of inputs that the job does not ask for");
    return PS_OK;
}
