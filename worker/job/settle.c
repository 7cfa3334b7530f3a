/* Happy path: the section leaves the names of its classes open, the labels are words, and there are
 * as many as the last layer is wide; or the job wants numbers of its inputs. The section is written
 * once more with what was found. */
#include "worker/job/settle.h"

#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "worker/job/job_data.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Stands for what is missing. */
static bool takes_mean(const ps_job_spec *spec)
{
    return spec->data.csv.missing == PS_SPEC_MISSING_MEAN && !spec->data.activations;
}

static bool takes_std(const ps_job_spec *spec)
{
    return spec->data.normalise.from == PS_SPEC_NORMALISE_DATA ||
           ps_spec_model_is_coder(spec->model);
}

/* What the model has already, of the file or of the model that the job begins from, holds. */
static ps_survey_wants wants_of(const ps_job_spec *spec, const ps_spec_model *model)
{
    bool csv =
        !strcmp(ps_spec_data_files_format(&spec->data), "csv") && !ps_spec_model_is_language(model);
    return (ps_survey_wants){.names =
                                 csv && model->loss == PS_SPEC_CROSS_ENTROPY && !model->n_classes,
                             .moments = (takes_mean(spec) && !model->n_input_mean) ||
                                        (takes_std(spec) && !model->n_input_std)};
}

/* The first of them, for people: "'a', 'b' and 3 more". */
static void put_names(const ps_name_set *names, ps_buf *out)
{
    enum { MOST = 8 };
    for (size_t i = 0; i < names->n && i < MOST; i++)
        ps_buf_printf(out, "%s'%.40s'", i ? ", " : "", names->names[i]);
    if (names->n > MOST)
        ps_buf_printf(out, " and %zu more", names->n - MOST);
}

static ps_status check_names(const ps_spec_model *model, const ps_name_set *names, const char *path)
{
    int64_t last = model->layers[model->n_layers - 1];
    if (!names->n || (int64_t)names->n == last)
        return PS_OK;
    ps_buf text = PS_BUF_EMPTY;
    put_names(names, &text);
    ps_status st = ps_fail(PS_INVALID_ARGUMENT,
                           "%s has %zu name%s of classes (%s), but model.layers ends with %" PRId64
                           "; they must be the same",
                           path, names->n, names->n == 1 ? "" : "s", ps_buf_cstr(&text), last);
    ps_buf_free(&text);
    return st;
}

static void tell(ps_task_run *run, const ps_survey *found)
{
    ps_buf text = PS_BUF_EMPTY;
    put_names(&found->names, &text);
    if (found->names.n)
        ps_task_log(run, PS_LOG_INFO, "the labels are %zu names: %s", found->names.n,
                    ps_buf_cstr(&text));
    if (found->moments.n)
        ps_task_log(run, PS_LOG_INFO, "mean and deviation of %zu inputs are taken from the data",
                    found->moments.n);
    ps_buf_free(&text);
}

/* One number for all inputs, so that directions stay what they are: they are of variance 1 on
 * average then, and a row's length is about the root of how many they are. */
static void make_even(ps_moments *found)
{
    double even = sqrt(found->variance);
    for (size_t i = 0; i < found->n; i++)
        found->spread[i] = even > 0 ? even : 1;
}

/* The base of a lens, which holds for everybody who goes on with it. */
static bool takes_base(const ps_spec_model *model)
{
    return ps_spec_model_is_lens(model) && !*model->base_sha256;
}

static void add_moments(const ps_job_spec *spec, ps_moments *found, ps_spec_model *section)
{
    if (!found->n)
        return;
    if (ps_spec_model_is_coder(section))
        make_even(found);
    if (!section->n_input_mean) {
        section->input_mean = found->mean;
        section->n_input_mean = found->n;
    }
    if (takes_mean(spec))
        section->input_missing = PS_SPEC_MISSING_MEAN;
    if (takes_std(spec)) {
        section->input_std = found->spread;
        section->n_input_std = found->n;
    }
}

/* As a section it must be read again, here and by everybody else. */
static ps_status check_length(const ps_buf *text, const ps_job_spec *spec)
{
    return text->len <= PS_CONF_MAX_BYTES
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT,
                         "what a model keeps of %s, the names of classes and the numbers of its "
                         "inputs, would take %zu bytes, at most %d are kept; give the classes "
                         "shorter names, or numbers",
                         spec->data.train->features, text->len, PS_CONF_MAX_BYTES);
}

/* The section borrows what was found only to be written. */
static ps_status write_section(ps_job_entry *entry, ps_survey *found, const char *sha256,
                               char **out)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_spec_model section = *ps_job_entry_model_spec(entry);
    char *base = NULL, *digest = NULL;
    if (*sha256) {
        section.base = base = ps_strdup(ps_job_entry_spec(entry)->data.activations->model);
        section.base_sha256 = digest = ps_strdup(sha256);
    }
    if (found->names.n) {
        section.classes = found->names.names;
        section.n_classes = found->names.n;
    }
    add_moments(ps_job_entry_spec(entry), &found->moments, &section);
    ps_spec_model_format(&section, &text);
    ps_status st = check_length(&text, ps_job_entry_spec(entry));
    if (!st) {
        st = ps_job_entry_settle(entry, ps_buf_cstr(&text));
        st = st ? ps_wrap(st, "the model section with what was found in the data") : PS_OK;
    }
    if (!st)
        *out = ps_strdup(ps_buf_cstr(&text));
    ps_buf_free(&text);
    ps_free(&base);
    ps_free(&digest);
    return st;
}

static ps_status settle_base(ps_job_entry *entry, ps_task_run *run, char **model)
{
    ps_survey nothing = {0};
    ps_model *base;
    const char *sha256;
    ps_status st = ps_job_entry_base(entry, run, &base, &sha256);
    if (st)
        return st;
    ps_task_log(run, PS_LOG_INFO, "the lens is for model %s, SHA-256 %s",
                ps_job_entry_spec(entry)->data.activations->model, sha256);
    return write_section(entry, &nothing, sha256, model);
}

ps_status ps_train_settle(ps_job_entry *entry, ps_task_run *run, char **model)
{
    ps_one_thread_require(&run->mine);
    const ps_job_spec *spec = ps_job_entry_spec(entry);
    ps_job_data_request request;
    ps_dataset_source source;
    ps_survey found = {0};
    ps_survey_wants wants = wants_of(spec, ps_job_entry_model_spec(entry));
    *model = NULL;
    if (takes_base(ps_job_entry_model_spec(entry)))
        return settle_base(entry, run, model);
    if (!wants.names && !wants.moments)
        return PS_OK;
    ps_status st = ps_job_entry_request(entry, run, PS_JOB_TRAIN_DATA, &source, &request);
    if (!st)
        st = ps_job_data_survey(&request, wants, &found);
    ps_job_entry_request_end(entry);
    if (!st)
        st = check_names(request.model, &found.names, spec->data.train->features);
    if (!st && (found.names.n || found.moments.n)) {
        tell(run, &found);
        st = write_section(entry, &found, "", model);
    }
    ps_survey_free(&found);
    return st;
}
