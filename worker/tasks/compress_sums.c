/* Of a job with compress.importance they are those of its file. A sum's slot may be larger than the
 * input that has it by now: a part of it is the input's. Fails when psd has less than that. */
#include "common/base/mem.h"
#include "common/model/gguf_imatrix.h"
#include "common/model/lm_layout.h"
#include "worker/tasks/compress_job.h"

#include <string.h>

/* The upper triangle, row by row, to where a matrix has it. */
static void unpack(const float *packed, uint64_t columns, float *out)
{
    for (uint64_t r = 0; r < columns; r++, packed += columns - r + 1)
        memcpy(out + r * columns + r, packed, (columns - r) * sizeof *out);
}

static ps_status take_sum(const ps_plan_input *input, const float *packed, size_t i,
                          ps_compress_sums *out)
{
    bool squares = input->squares;
    uint64_t numbers = squares ? input->columns : input->columns * input->columns;
    out->memory[i] = ps_try_alloc((size_t)numbers * sizeof(float));
    if (!out->memory[i])
        return ps_fail(PS_NO_MEMORY, "sums over the inputs of %s", input->name);
    if (squares)
        memcpy(out->memory[i], packed, numbers * sizeof(float));
    else
        unpack(packed, input->columns, out->memory[i]);
    out->hessians[i].sums = out->memory[i];
    out->hessians[i].squares = squares;
    return PS_OK;
}

static const char *gguf_name(const ps_lm_tensor *layout, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(layout[i].name, name))
            return layout[i].gguf;
    return NULL;
}

/* The file's own squares; nothing of it is held out. */
static ps_status take_importance(const ps_compress_job *job, const ps_plan_input *input,
                                 ps_compress_sums *out)
{
    const char *path = job->spec->compress->importance;
    ps_lm_tensor *layout = NULL;
    size_t n = 0;
    float tokens = 0;
    ps_status st = ps_worker_data_path_check(job->run->env->conf, path);
    if (st)
        return st;
    ps_lm_layout(ps_job_entry_model_spec(job->entry), &layout, &n);
    const char *name = gguf_name(layout, n, input->name);
    out->memory[0] = ps_try_alloc((size_t)input->columns * sizeof(float));
    if (!name || !input->squares)
        st = ps_fail(PS_INVALID_ARGUMENT, "tensor %s is none of an importance matrix", input->name);
    else if (!out->memory[0])
        st = ps_fail(PS_NO_MEMORY, "squares of the inputs of %s", input->name);
    else
        st = ps_gguf_imatrix_read(path, name, input->columns, out->memory[0], &tokens);
    if (!st)
        st = ps_plan_tokens(tokens, &out->hessians[0].tokens);
    if (st)
        st = ps_wrap(st, "compress.importance: tensor %s", input->name);
    out->hessians[0].sums = out->memory[0];
    out->hessians[0].squares = true;
    ps_free(&layout);
    if (st)
        ps_compress_sums_free(out);
    return st;
}

ps_status ps_compress_sums_of(const ps_compress_job *job, size_t which, ps_compress_sums *out)
{
    const ps_plan *plan = job->plan;
    *out = (ps_compress_sums){0};
    if (which >= plan->n_inputs) /* a task of psd's for what is not calibrated */
        return ps_fail(PS_INVALID_ARGUMENT, "the plan has no sums of input %zu, but of %zu inputs",
                       which, plan->n_inputs);
    const ps_plan_input *input = &plan->inputs[which];
    if (plan->importance)
        return take_importance(job, input, out);
    size_t slot = which - plan->windows[ps_plan_window_of(plan, which)].first;
    size_t kinds = ps_plan_holds_out(plan) ? 2 : 1;
    char names[2][PS_SUM_NAME];
    const char *wanted[] = {PS_TOKENS_NAME, ps_plan_sum_name(slot, false, names[0]),
                            ps_plan_sum_name(slot, true, names[1])};
    ps_some_tensors *tensors = NULL;
    ps_status st =
        ps_compress_tensors(job, wanted, 1 + kinds, ps_plan_slot_numbers(plan, slot), &tensors);
    if (!st)
        st = ps_some_tensors_pull(tensors);
    for (size_t i = 0; !st && i < kinds; i++) {
        st = ps_plan_tokens(((const float *)ps_some_tensors_memory(tensors, 0))[i],
                            &out->hessians[i].tokens);
        if (st)
            st = ps_wrap(st, "psd has what some worker has pushed");
        else if (ps_some_tensors_elements(tensors, 1 + i) < input->numbers)
            st = ps_fail(PS_FAILED_PRECONDITION, "psd has fewer sums than input %s", input->name);
        else
            st = take_sum(input, ps_some_tensors_memory(tensors, 1 + i), i, out);
    }
    ps_some_tensors_close(&tensors);
    if (st)
        ps_compress_sums_free(out);
    return st;
}

ps_status ps_compress_sums_take(const ps_compress_job *job, const ps_plan_tensor *tensor,
                                ps_compress_sums *out)
{
    return ps_compress_sums_of(job, tensor->input, out);
}

void ps_compress_sums_free(ps_compress_sums *sums)
{
    ps_free(&sums->memory[0]);
    ps_free(&sums->memory[1]);
}
