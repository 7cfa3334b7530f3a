/* plan: looks at the job's data and model, and says what psd needs to know to begin: how many rows
 * there are, and which tensors, with their shapes and first values. */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/job/job_cache.h"
#include "worker/job/job_model.h"
#include "worker/job/settle.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>

static Psd__V1__TensorPlan *plan_tensor(const ps_model_parameter_spec *spec)
{
    static const Psd__V1__Initializer kinds[] = {
        [PS_INIT_ZEROS] = PSD__V1__INITIALIZER__INITIALIZER_ZEROS,
        [PS_INIT_ONES] = PSD__V1__INITIALIZER__INITIALIZER_ONES,
        [PS_INIT_UNIFORM] = PSD__V1__INITIALIZER__INITIALIZER_UNIFORM,
        [PS_INIT_NORMAL] = PSD__V1__INITIALIZER__INITIALIZER_NORMAL,
    };
    static const Psd__V1__ParameterRole roles[] = {
        [PS_ROLE_MATRIX] = PSD__V1__PARAMETER_ROLE__PARAMETER_ROLE_MATRIX,
        [PS_ROLE_EMBEDDING] = PSD__V1__PARAMETER_ROLE__PARAMETER_ROLE_EMBEDDING,
        [PS_ROLE_BIAS] = PSD__V1__PARAMETER_ROLE__PARAMETER_ROLE_BIAS,
        [PS_ROLE_NORM] = PSD__V1__PARAMETER_ROLE__PARAMETER_ROLE_NORM,
    };
    Psd__V1__TensorPlan *plan = ps_new(Psd__V1__TensorPlan);
    psd__v1__tensor_plan__init(plan);
    plan->name = ps_strdup(spec->name);
    plan->n_shape = (size_t)spec->rank;
    plan->shape = ps_alloc_array(plan->n_shape + 1, sizeof(*plan->shape));
    for (int d = 0; d < spec->rank; d++)
        plan->shape[d] = (uint64_t)spec->shape[d];
    plan->initializer = kinds[spec->init];
    plan->scale = (double)spec->scale;
    plan->role = roles[spec->role];
    plan->begins_as = ps_strdup(spec->as);
    return plan;
}

/* Rows run along the input; psd has what is stored [in,out] the other way round. Rows that no group
 * divides stay float32. */
static void plan_form(const ps_spec_train *train, const ps_model_parameter_spec *spec,
                      Psd__V1__TensorPlan *plan)
{
    char text[PS_FORM_TEXT];
    ps_form form = {0};
    if (train && spec->of_block)
        form = ps_spec_train_form_of(train,
                                     (uint64_t)spec->shape[spec->input_major ? 0 : spec->rank - 1]);
    if (!form.row)
        return;
    plan->form = ps_strdup(ps_form_text(form, text));
    plan->transposed = spec->input_major;
    if (!plan->transposed)
        return;
    PS_REQUIRE(plan->n_shape == 2);
    plan->shape[0] = (uint64_t)spec->shape[1];
    plan->shape[1] = (uint64_t)spec->shape[0];
}

static ps_status plan_tensors(const ps_job_spec *job, const ps_spec_model *model,
                              Psd__V1__PlanResult *plan)
{
    ps_model_config config = ps_job_trained_config(job, model);
    ps_model_layout layout;
    ps_status st = ps_model_describe(&config, &layout);
    if (st)
        return st;
    plan->tensors = ps_alloc_array(layout.count, sizeof(*plan->tensors));
    for (size_t i = 0; i < layout.count; i++) {
        if (layout.parameters[i].frozen)
            continue;
        Psd__V1__TensorPlan *tensor = plan_tensor(&layout.parameters[i]);
        plan_form(job->train, &layout.parameters[i], tensor);
        plan->tensors[plan->n_tensors++] = tensor;
    }
    ps_model_layout_free(&layout);
    return PS_OK;
}

static ps_status plan_data(ps_task_run *run, ps_job_entry *entry, Psd__V1__PlanResult *plan)
{
    const ps_job_spec *spec = ps_job_entry_spec(entry);
    const ps_spec_model *model = ps_job_entry_model_spec(entry);
    ps_dataset *data;
    if (spec->data.train) {
        ps_status st = ps_job_entry_data(entry, run, PS_JOB_TRAIN_DATA, &data);
        if (st)
            return ps_wrap(st, "training data");
        plan->train_rows = ps_dataset_rows(data);
        plan->features = ps_dataset_features(data);
    }
    if (spec->data.test) {
        ps_status st = ps_job_entry_data(entry, run, PS_JOB_TEST_DATA, &data);
        if (st)
            return ps_wrap(st, "test data");
        plan->test_rows = ps_dataset_rows(data);
        plan->features = ps_dataset_features(data);
    }
    if (ps_spec_model_is_language(model))
        plan->classes = (uint64_t)model->vocab_size;
    else if (model->loss == PS_SPEC_CROSS_ENTROPY)
        plan->classes = (uint64_t)ps_spec_model_outputs(model);
    return PS_OK;
}

/* Before anything is looked at as the model takes it. */
static ps_status plan_model(ps_task_run *run, ps_job_entry *entry, Psd__V1__PlanResult *plan)
{
    char *model = NULL;
    ps_status st = ps_train_settle(entry, run, &model);
    if (model)
        plan->model = model;
    return st ? ps_wrap(st, "training data") : PS_OK;
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    ps_job_entry *entry;
    ps_status st = ps_job_cache_get(run, &entry);
    if (st)
        return st;
    result->plan = ps_new(Psd__V1__PlanResult);
    psd__v1__plan_result__init(result->plan);
    st = plan_model(run, entry, result->plan);
    if (!st)
        st = ps_job_entry_check_teacher(entry, run);
    if (!st)
        st = plan_tensors(ps_job_entry_spec(entry), ps_job_entry_model_spec(entry), result->plan);
    return st ? st : plan_data(run, entry, result->plan);
}

const ps_worker_kind ps_worker_kind_plan = {.name = "plan", .run = run_task, .once = true};
