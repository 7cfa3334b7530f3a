/* Sizes are exact but for the padding of the parent's header; memory and work are estimates. */
#include "common/compress/parts.h"

#include "common/base/mem.h"

#include <string.h>

/* Operations of choosing a code, roughly: of the nearest one, and of the best of some scales. */
enum { ROUND_WORK = 30, SEARCH_WORK = 600, HEADER_ALIGN = 8 };

static ps_status count(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

/* Bytes of the JSON that lists tensors, with their forms and some more metadata; without padding.
 */
static ps_status header_bytes(const ps_model_form *const *tensors, size_t n, const char *section,
                              uint64_t *out)
{
    ps_safetensors_tensor *stored = ps_alloc_array(n + 1, sizeof *stored);
    ps_model_form *copies = ps_alloc_array(n + 1, sizeof *copies);
    ps_safetensors_pair pairs[2] = {{"psd.model", section}, {PS_MODEL_META_FORMS, ""}};
    ps_buf forms = PS_BUF_EMPTY, header = PS_BUF_EMPTY;
    for (size_t i = 0; i < n; i++) {
        copies[i] = *tensors[i];
        stored[i] = ps_model_form_stored(tensors[i]);
    }
    ps_model_forms_format(copies, n, &forms);
    pairs[1].value = ps_buf_cstr(&forms);
    ps_safetensors_writer *writer = NULL;
    const ps_safetensors_sink sink = {count, &header};
    ps_status st = ps_safetensors_writer_new(stored, n, pairs, forms.len ? 2 : 1, sink, &writer);
    ps_safetensors_writer_free(&writer);
    while (header.len && header.data[header.len - 1] == ' ')
        header.len--;
    *out = header.len;
    ps_buf_free(&header);
    ps_buf_free(&forms);
    ps_free(&copies);
    ps_free(&stored);
    return st;
}

static uint64_t whole_file(const ps_plan *plan, uint64_t tensors)
{
    uint64_t header = plan->header_bytes + tensors;
    return plan->data + (header + HEADER_ALIGN - 1) / HEADER_ALIGN * HEADER_ALIGN;
}

/* The header's tensors and forms become others, and all else in it stays. */
static ps_status file_bytes(ps_plan *plan, const ps_plan_parent *parent)
{
    const ps_model_form **t = ps_alloc_array(parent->n + 1, sizeof(ps_model_form *));
    uint64_t before = 0, after = 0;
    ps_buf section = PS_BUF_EMPTY;
    if (plan->config) /* else it is the same before and after */
        ps_spec_model_format(parent->model, &section);
    const char *was = ps_buf_cstr(&section);
    for (size_t i = 0; i < parent->n; i++)
        t[i] = &parent->tensors[i];
    ps_status st = header_bytes(t, parent->n, was, &before);
    for (size_t i = 0; i < plan->n_tensors; i++)
        t[i] = &plan->tensors[i].stored;
    if (!st)
        st = header_bytes(t, plan->n_tensors, plan->config ? plan->config : was, &after);
    ps_buf_free(&section);
    ps_free(&t);
    if (st || !parent->bytes)
        return st;
    if (parent->bytes < plan->parent_data)
        return ps_fail(PS_INVALID_ARGUMENT, "model %s is smaller than its tensors", parent->name);
    uint64_t header = parent->bytes - plan->parent_data;
    plan->header_bytes = header > before ? header - before : 0; /* 0: without metadata of psd's */
    plan->file_bytes = whole_file(plan, after);
    return PS_OK;
}

ps_status ps_plan_file_bytes(ps_plan *plan)
{
    const ps_model_form **t = ps_alloc_array(plan->n_tensors + 1, sizeof(ps_model_form *));
    uint64_t after = 0;
    for (size_t i = 0; i < plan->n_tensors; i++)
        t[i] = &plan->tensors[i].stored;
    ps_status st = header_bytes(t, plan->n_tensors, plan->config ? plan->config : "", &after);
    ps_free(&t);
    if (!st && plan->file_bytes)
        plan->file_bytes = whole_file(plan, after);
    return st;
}

static double solve_work(const ps_plan_tensor *t)
{
    double numbers = (double)ps_model_form_numbers(&t->from);
    double columns = (double)ps_plan_from_columns(t);
    double times = 1 + (double)t->n_choices; /* each is tried */
    double rows = (double)ps_plan_from_rows(t);
    if (t->rank) /* eigenvectors, about nine times a product of rows × rows */
        return 9 * rows * rows * rows + 4 * rows * columns * (rows + columns);
    if (t->needs == PS_METHOD_NOTHING)
        return t->method ? times * ROUND_WORK * numbers : numbers;
    if (t->needs == PS_METHOD_SQUARES)
        return times * SEARCH_WORK * numbers;
    return times * (columns * columns * columns + numbers * (columns + SEARCH_WORK));
}

/* A worker runs the layers up to the window's last, and adds up what comes into them. */
static double window_work(const ps_plan *plan, const ps_plan_window *w)
{
    size_t last = ps_plan_window_layer(plan, w);
    double forward = 0;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        bool runs = plan->inputs[w->first].influence ||
                    (t->input != PS_PLAN_NO_INPUT && plan->inputs[t->input].layer <= last);
        if (runs)
            forward += 2 * (double)ps_model_form_numbers(&t->from);
    }
    double tokens =
        (double)(plan->calibration_rows + plan->held_out_rows) * (double)plan->tokens_a_row;
    return tokens * (forward + 2 * (double)w->numbers);
}

/* Of a solver, in double: Σxxᵀ twice and what is made of it; the weights and what is left of them.
 */
static uint64_t solve_bytes(const ps_plan_tensor *t)
{
    uint64_t columns = ps_plan_from_columns(t), numbers = ps_model_form_numbers(&t->from);
    bool hessian = t->needs == PS_METHOD_HESSIAN;
    uint64_t rows = ps_plan_from_rows(t);
    if (t->rank)
        return 8 * columns * columns + 8 * rows * rows + 2 * 8 * numbers;
    return hessian ? 3 * 8 * columns * columns + 2 * 8 * numbers : 8 * numbers;
}

static void work_and_memory(ps_plan *plan, int64_t workers)
{
    uint64_t most = 0;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        if (!t->solves)
            continue;
        plan->work += solve_work(t);
        most = solve_bytes(t) > most ? solve_bytes(t) : most;
    }
    for (size_t i = 0; i < plan->n_windows; i++) {
        plan->work += (plan->measures ? 2 : 1) * window_work(plan, &plan->windows[i]);
        uint64_t sums = 8 * plan->windows[i].numbers;
        most = sums > most ? sums : most;
    }
    plan->seconds = plan->work / (PS_PLAN_WORK_RATE * (double)workers);
    plan->psd_bytes = plan->data + plan->sum_bytes;
    plan->worker_bytes = plan->parent_data + most;
}

ps_status ps_plan_totals(ps_plan *plan, const ps_job_spec *spec, const ps_plan_parent *parent)
{
    for (size_t i = 0; i < plan->n_tensors; i++) {
        plan->parameters += ps_model_form_numbers(&plan->tensors[i].stored);
        plan->data += plan->tensors[i].bytes;
    }
    for (size_t i = 0; i < parent->n; i++) {
        plan->parent_parameters += ps_model_form_numbers(&parent->tensors[i]);
        plan->parent_data += ps_model_form_bytes(&parent->tensors[i]);
    }
    const ps_spec_quantise *q = spec->compress->quantise;
    plan->target.asked = q && q->target;
    work_and_memory(plan, spec->workers);
    ps_status st = file_bytes(plan, parent);
    return st ? st : ps_plan_find_target(plan, q);
}
