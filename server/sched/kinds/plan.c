#include "server/sched/kinds/plan.h"

#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "server/catalog/models.h"
#include "server/sched/kinds/epoch_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS_MAX = 65536, NAME_MAX_BYTES = 255 };
#define ELEMENTS_MAX ((uint64_t)1 << 48)

static ps_status check_tensor(const ps_data_plan_tensor *t)
{
    size_t len = strlen(t->name);
    if (len == 0 || len > NAME_MAX_BYTES)
        return ps_fail(PS_INVALID_ARGUMENT, "plan: a tensor's name has %zu bytes, allowed 1 to %d",
                       len, NAME_MAX_BYTES);
    if (t->n_shape == 0 || t->n_shape > PS_MODEL_RANK_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "plan: tensor %s has %zu dimensions, allowed 1 to %d",
                       t->name, t->n_shape, PS_MODEL_RANK_MAX);
    uint64_t elements = 1;
    for (size_t d = 0; d < t->n_shape; d++) {
        if (t->shape[d] == 0 || t->shape[d] > ELEMENTS_MAX / elements)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "plan: tensor %s: dimension %zu is %" PRIu64
                           ", allowed at least 1, and at most 2^48 elements in all",
                           t->name, d, t->shape[d]);
        elements *= t->shape[d];
    }
    return PS_OK;
}

/* It has the form that the job asks for, in groups of some size, or none. */
static ps_status check_form(const ps_data_plan_tensor *t, const ps_spec_train *train)
{
    ps_form form, wanted = train ? ps_spec_train_form(train) : (ps_form){0};
    bool none = !t->form || !*t->form;
    if (t->transposed && (none || t->n_shape != 2))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "plan: tensor %s is transposed, and no matrix in a form", t->name);
    if (none)
        return PS_OK;
    if (ps_form_parse(t->form, &form) && form.row == wanted.row)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "plan: tensor %s: form %.64s is not what the job asks for",
                   t->name, t->form);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ps_status check_names(const ps_data_plan *plan)
{
    const char **names = ps_alloc_array(plan->n_tensors, sizeof *names);
    for (size_t i = 0; i < plan->n_tensors; i++)
        names[i] = plan->tensors[i].name;
    qsort(names, plan->n_tensors, sizeof *names, by_name);
    ps_status st = PS_OK;
    for (size_t i = 1; !st && i < plan->n_tensors; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            st = ps_fail(PS_INVALID_ARGUMENT, "tensor %s is there twice", names[i]);
    free(names);
    return st;
}

/* The text is made anew, so that what psd hands on and stores is of its own words: these may be
 * longer, and everybody must be able to read them. */
static ps_status write_settled(const ps_spec_model *section, ps_buf *out)
{
    ps_spec_model_format(section, out);
    return out->len <= PS_CONF_MAX_BYTES
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT, "a model section of %zu bytes, allowed %d", out->len,
                         PS_CONF_MAX_BYTES);
}

ps_status ps_plan_settled(const ps_job_spec *spec, ps_slice model, char **settled)
{
    ps_spec_model *section = NULL;
    ps_buf text = PS_BUF_EMPTY;
    if (model.len) {
        ps_status st = ps_job_spec_settled(spec, model, &section);
        if (st)
            return st;
        st = write_settled(section, &text);
        ps_spec_model_free(&section);
        if (st) {
            ps_buf_free(&text);
            return st;
        }
    } else {
        ps_status st = ps_job_spec_check_inputs(spec, spec->model);
        if (st)
            return st;
    }
    *settled = ps_strdup(ps_buf_cstr(&text));
    ps_buf_free(&text);
    return PS_OK;
}

ps_status ps_plan_check(const ps_data_plan *plan, const ps_job_spec *spec, char **settled)
{
    if (plan->train_rows == 0 || plan->train_rows > PS_ROWS_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "plan: %" PRIu64 " rows to train on, allowed 1 to 2^48",
                       plan->train_rows);
    if (spec->data.test && (plan->test_rows == 0 || plan->test_rows > PS_ROWS_MAX))
        return ps_fail(PS_INVALID_ARGUMENT, "plan: %" PRIu64 " rows to test on, allowed 1 to 2^48",
                       plan->test_rows);
    if (plan->n_tensors == 0 || plan->n_tensors > TENSORS_MAX)
        return ps_fail(PS_INVALID_ARGUMENT, "plan: %zu tensors, allowed 1 to %d", plan->n_tensors,
                       TENSORS_MAX);
    for (size_t i = 0; i < plan->n_tensors; i++) {
        ps_status st = check_tensor(&plan->tensors[i]);
        if (!st)
            st = check_form(&plan->tensors[i], spec->train);
        if (st)
            return st;
    }
    ps_status st = check_names(plan);
    if (!st)
        st = ps_plan_settled(spec, ps_slice_str(plan->model), settled);
    return st ? ps_wrap(st, "plan") : PS_OK;
}
