/* The header first, then the tensor's numbers alone: BF16 to float32, and turned as the tensor is.
 * What is there of another shape or type is of another model. */
#include "worker/tasks/moments.h"

#include "common/base/half.h"
#include "common/base/mem.h"
#include "common/compress/moments.h"
#include "worker/compress/saliency.h"

#include <string.h>

static ps_status check(const ps_safetensors_tensor *from, const ps_model_form *tensor,
                       const char *model)
{
    uint64_t bytes = ps_model_form_numbers(tensor) * sizeof(uint16_t);
    if (from && from->dtype == PS_SAFETENSORS_BF16 && from->end - from->begin == bytes)
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION, "the moments of model %s have no tensor %s of its shape",
                   model, tensor->name);
}

static ps_status read_numbers(const ps_compress_job *job, const ps_stored_model *which,
                              const ps_safetensors *file, const ps_model_form *tensor, float *out)
{
    const ps_safetensors_tensor *from = ps_safetensors_find(file, tensor->name);
    uint64_t n = ps_model_form_numbers(tensor);
    ps_status st = check(from, tensor, which->name);
    if (st)
        return st;
    uint16_t *halves = ps_try_alloc_raw((size_t)n * sizeof *halves);
    if (!halves)
        return ps_fail(PS_NO_MEMORY, "moments of tensor %s", tensor->name);
    st = ps_stored_tensor(job->run->remote, which, file, from, halves);
    for (uint64_t i = 0; !st && i < n; i++)
        out[i] = ps_bf16_value(halves[i]);
    ps_free(&halves);
    return st;
}

static ps_status take(const ps_compress_job *job, const ps_stored_model *which,
                      const ps_safetensors *file, const ps_model_form *tensor, float *out)
{
    if (!tensor->transposed)
        return read_numbers(job, which, file, tensor, out);
    float *turned = ps_try_alloc_raw((size_t)ps_model_form_numbers(tensor) * sizeof *turned);
    if (!turned)
        return ps_fail(PS_NO_MEMORY, "moments of tensor %s", tensor->name);
    ps_status st = read_numbers(job, which, file, tensor, turned);
    if (!st)
        ps_compress_transpose(turned, tensor->shape[0], tensor->shape[1], out);
    ps_free(&turned);
    return st;
}

ps_status ps_tensor_moments_get(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                ps_tensor_moments *out)
{
    const ps_model_form *form = &tensor->from;
    ps_stored_model which = ps_job_entry_stored_model(job->entry);
    ps_safetensors *file = NULL;
    *out = (ps_tensor_moments){0};
    which.moments = true;
    ps_status st = ps_stored_header(job->run->remote, &which, &file);
    if (st)
        return st;
    st = ps_moments_examples(file, ps_job_entry_model_spec(job->entry), &out->examples);
    out->curvature = ps_try_alloc_raw((size_t)ps_model_form_numbers(form) * sizeof(float));
    if (!st && !out->curvature)
        st = ps_fail(PS_NO_MEMORY, "moments of tensor %s", form->name);
    if (!st)
        st = take(job, &which, file, form, out->curvature);
    ps_safetensors_free(&file);
    if (st)
        ps_tensor_moments_free(out);
    return st;
}

void ps_tensor_moments_free(ps_tensor_moments *moments)
{
    ps_free(&moments->curvature);
}

ps_status ps_tensor_moments_predict(const ps_tensor_moments *moments, const ps_model_form *tensor,
                                    ps_form form, const float *weights, const uint8_t *bytes,
                                    double *out)
{
    uint64_t rows = ps_model_form_rows(tensor), columns = ps_model_form_columns(tensor);
    float *is = ps_try_alloc_raw((size_t)(rows * columns) * sizeof *is);
    if (!is)
        return ps_fail(PS_NO_MEMORY, "numbers of tensor %s", tensor->name);
    ps_form_decode(form, bytes, rows, columns, is);
    const ps_salient salient = {
        .weights = weights, .rows = rows, .columns = columns, .curvature = moments->curvature};
    *out = ps_saliency_loss(&salient, is, moments->examples);
    ps_free(&is);
    return PS_OK;
}
