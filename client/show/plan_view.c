/* For people blocks that are alike share a row: "model.layers.*.mlp.up_proj.weight", 30 times; and
 * why a tensor has another form than the job says stands below in whole lines, as a terminal may
 * have no room for it in the table. Cannot fail. */
#include "client/show/plan_view.h"

#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <string.h>

/* Tensors that differ in a number in their name alone. */
typedef struct row {
    char *name;
    const ps_plan_tensor *tensor;
    size_t count;
    uint64_t bytes;
} row;

/* The name with '*' for its first number between dots. */
static char *pattern_of(const char *name)
{
    for (const char *at = strchr(name, '.'); at; at = strchr(at + 1, '.')) {
        size_t digits = strspn(at + 1, "0123456789");
        if (digits && at[1 + digits] == '.')
            return ps_asprintf("%.*s*%s", (int)(at + 1 - name), name, at + 1 + digits);
    }
    return ps_strdup(name);
}

static bool alike(const row *r, const char *name, const ps_plan_tensor *t)
{
    const ps_plan_tensor *o = r->tensor;
    return o->stored.n_dims == t->stored.n_dims &&
           !memcmp(o->stored.shape, t->stored.shape, sizeof t->stored.shape) &&
           ps_form_same(o->stored.form, t->stored.form) && o->method == t->method &&
           o->matrix == t->matrix && o->n_choices == t->n_choices && !strcmp(o->why, t->why) &&
           !strcmp(r->name, name);
}

static size_t make_rows(const ps_plan *plan, row *rows)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        char *name = pattern_of(t->stored.name);
        size_t at = 0;
        while (at < n && !alike(&rows[at], name, t))
            at++;
        if (at == n)
            rows[n++] = (row){.name = name, .tensor = t};
        else
            ps_free(&name);
        rows[at].count++;
        rows[at].bytes += t->bytes;
    }
    for (size_t i = 0; i < n; i++) /* one alone has its own name */
        if (rows[i].count == 1) {
            ps_free(&rows[i].name);
            rows[i].name = ps_strdup(rows[i].tensor->stored.name);
        }
    return n;
}

typedef struct form_text {
    char text[PS_FORM_TEXT + 12];
} form_text;

static form_text form_of(const ps_plan_tensor *t)
{
    char text[PS_FORM_TEXT] = "float32";
    form_text out;
    if (t->stored.form.row)
        (void)ps_form_text(t->stored.form, text);
    if (t->matrix)
        (void)snprintf(out.text, sizeof out.text, "%s/matrix", t->stored.form.row->name);
    else
        (void)snprintf(out.text, sizeof out.text, "%s%s", t->n_choices > 1 ? "at most " : "", text);
    return out;
}

static void put_shape(ps_table *table, const ps_style *style, const ps_model_form *t)
{
    ps_buf shape = PS_BUF_EMPTY;
    for (uint32_t d = 0; d < t->n_dims; d++)
        ps_buf_printf(&shape, "%s%" PRIu64, d ? (style->utf8 ? "×" : "x") : "", t->shape[d]);
    ps_table_text(table, ps_buf_cstr(&shape));
    ps_buf_free(&shape);
}

static void tensor_rows(ps_buf *out, const ps_style *style, const ps_plan *plan)
{
    static const char *const headers[] = {"TENSOR", ">COUNT", ">SHAPE", "FORM",
                                          "METHOD", ">BYTES", "WHY",    NULL};
    row *rows = ps_alloc_array(plan->n_tensors + 1, sizeof *rows);
    size_t n = make_rows(plan, rows);
    ps_table *t = ps_table_new(headers);
    for (size_t i = 0; i < n; i++) {
        const ps_plan_tensor *tensor = rows[i].tensor;
        ps_table_text(t, rows[i].name);
        ps_table_printf(t, "%zu", rows[i].count);
        put_shape(t, style, &tensor->stored);
        ps_table_text(t, form_of(tensor).text);
        ps_table_text(t, tensor->method ? tensor->method->name : "");
        ps_table_text(t, ps_human_bytes((double)rows[i].bytes).text);
        ps_table_color(t, tensor->fell_back ? PS_COLOR_YELLOW : PS_COLOR_NONE, tensor->why);
        ps_free(&rows[i].name);
    }
    ps_table_render(t, style, out);
    ps_table_free(&t);
    ps_free(&rows);
}

static uint64_t most_bytes(const ps_plan *plan)
{
    const ps_plan_target *t = &plan->target;
    return t->asked && !t->by_loss && t->bytes < plan->data ? t->bytes : plan->data;
}

static double bits_of(const ps_plan *plan)
{
    return plan->parameters ? 8.0 * (double)most_bytes(plan) / (double)plan->parameters : 0;
}

static void calibration(ps_table *t, const ps_plan *plan)
{
    if (!plan->n_windows)
        return;
    if (plan->importance) {
        ps_table_field(t, "calibration", "an importance matrix, of %zu inputs, that workers open",
                       plan->n_inputs);
        return;
    }
    if (plan->from) {
        ps_table_field(t, "calibration",
                       "the sums of job %" PRIu64 ", of %zu inputs; a submission looks for them",
                       plan->from, plan->n_inputs);
        return;
    }
    ps_buf text = PS_BUF_EMPTY;
    ps_buf_printf(&text, "%" PRIu64 " rows", plan->calibration_rows);
    if (plan->held_out_rows)
        ps_buf_printf(&text, ", and %" PRIu64 " to measure errors on", plan->held_out_rows);
    if (plan->tokens_a_row > 1)
        ps_buf_printf(&text, ", of %" PRIu64 " tokens", plan->tokens_a_row);
    ps_buf_printf(&text, "; %zu inputs in %zu %s", plan->n_inputs, plan->n_windows,
                  plan->n_windows == 1 ? "pass" : "passes");
    ps_table_field(t, "calibration", "%s", ps_buf_cstr(&text));
    ps_buf_free(&text);
}

static void put_line(ps_buf *out, const ps_style *style, const char *text)
{
    ps_put_text(out, style, PS_COLOR_YELLOW, text);
    ps_buf_putc(out, '\n');
}

/* Each reason once, with how many tensors have it. */
static void fallbacks(ps_buf *out, const ps_style *style, const ps_plan *plan)
{
    const ps_plan_tensor **first = ps_alloc_array(plan->n_tensors + 1, sizeof(ps_plan_tensor *));
    size_t *count = ps_alloc_array(plan->n_tensors + 1, sizeof *count), n = 0;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const ps_plan_tensor *t = &plan->tensors[i];
        size_t at = 0;
        while (at < n && strcmp(first[at]->why, t->why) != 0)
            at++;
        if (t->fell_back && at == n)
            first[n++] = t;
        count[at] += t->fell_back;
    }
    for (size_t i = 0; i < n; i++) {
        char *text = ps_asprintf("%zu of %zu tensors fell back: %s", count[i], plan->n_tensors,
                                 first[i]->why);
        put_line(out, style, text);
        ps_free(&text);
    }
    ps_free(&count);
    ps_free(&first);
}

/* What is known of it before the data are seen. */
static void target(ps_table *t, const ps_plan *plan)
{
    const ps_plan_target *target = &plan->target;
    if (!target->asked)
        return;
    ps_buf text = PS_BUF_EMPTY;
    if (target->by_loss)
        ps_buf_printf(&text, "at most %g%s more loss, and as small as that allows",
                      target->share ? 100 * target->loss : target->loss, target->share ? "%" : "");
    else
        ps_buf_printf(&text, "at most %" PRIu64 " bytes of tensors", target->bytes);
    ps_table_field(
        t, "target",
        "%s; between %s and %s. Which tensor gets which form is known when each has been measured",
        ps_buf_cstr(&text), ps_human_bytes((double)target->least).text,
        ps_human_bytes((double)plan->data).text);
    ps_buf_free(&text);
}

static void totals(ps_buf *out, const ps_style *style, const ps_job_spec *spec, const ps_plan *plan)
{
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "model", "%s, of %s: %s parameters", spec->name, spec->model_name,
                   ps_human_count((double)plan->parameters).text);
    const uint64_t data = most_bytes(plan);
    const char *most = plan->target.asked ? "at most " : "";
    ps_table_field(
        t, "size", "%s%s instead of %s (%.1f%%), %.3g bits a parameter", most,
        ps_human_bytes((double)data).text, ps_human_bytes((double)plan->parent_data).text,
        plan->parent_data ? 100.0 * (double)data / (double)plan->parent_data : 0, bits_of(plan));
    if (plan->file_bytes)
        ps_table_field(t, "file", "%s%" PRIu64 " bytes, or up to %d less", most,
                       plan->file_bytes - plan->data + data, plan->header_bytes ? 8 : 40);
    target(t, plan);
    calibration(t, plan);
    if (spec->distil)
        ps_table_field(t, "distil",
                       "%" PRId64 " %s on data.train, taught by %s; memory and time of that beside",
                       spec->train->epochs, spec->train->epochs == 1 ? "epoch" : "epochs",
                       ps_job_spec_teacher(spec));
    ps_table_field(t, "memory", "psd %s, a worker about %s and what a pass over data takes",
                   ps_human_bytes((double)plan->psd_bytes).text,
                   ps_human_bytes((double)plan->worker_bytes).text);
    ps_table_field(t, "time",
                   "about %s with %" PRId64 " %s of %.0f GFLOP/s, and what evaluation takes",
                   ps_human_duration(plan->seconds).text, spec->workers,
                   spec->workers == 1 ? "worker" : "workers", PS_PLAN_WORK_RATE / 1e9);
    ps_table_render(t, style, out);
    ps_table_free(&t);
}

void ps_plan_text(ps_buf *out, const ps_style *style, const ps_job_spec *spec, const ps_plan *plan)
{
    tensor_rows(out, style, plan);
    ps_buf_putc(out, '\n');
    totals(out, style, spec, plan);
    fallbacks(out, style, plan);
    for (size_t at = 0; at < plan->warnings.len;) {
        const char *line = (const char *)plan->warnings.data + at;
        const char *end = memchr(line, '\n', plan->warnings.len - at);
        char *text = ps_asprintf("warning: %.*s", (int)(end - line), line);
        put_line(out, style, text);
        ps_free(&text);
        at += (size_t)(end - line) + 1;
    }
}

/* ---- JSON ---- */

static void tensor_json(ps_json_writer *w, const ps_plan *plan, const ps_plan_tensor *t)
{
    ps_json_object(w);
    ps_json_put_string(w, "name", t->stored.name);
    ps_json_key(w, "shape");
    ps_json_array(w);
    for (uint32_t d = 0; d < t->stored.n_dims; d++)
        ps_json_uint(w, t->stored.shape[d]);
    ps_json_array_end(w);
    ps_json_put_string(w, "form", form_of(t).text);
    ps_json_put_string(w, "method", t->method ? t->method->name : "");
    ps_json_put_uint(w, "bytes", t->bytes);
    ps_json_put_bool(w, "fell_back", t->fell_back);
    ps_json_put_string(w, "why", t->why);
    if (t->n_choices) {
        char text[PS_FORM_TEXT];
        ps_json_key(w, "choices");
        ps_json_array(w);
        for (size_t i = 0; i < t->n_choices; i++)
            ps_json_string(w, ps_form_text(t->choices[i], text));
        ps_json_array_end(w);
    }
    if (t->input != PS_PLAN_NO_INPUT)
        ps_json_put_string(w, "input_of", plan->inputs[t->input].name);
    ps_json_object_end(w);
}

static void warnings_json(ps_json_writer *w, const ps_plan *plan)
{
    ps_json_key(w, "warnings");
    ps_json_array(w);
    for (size_t at = 0; at < plan->warnings.len;) {
        const char *line = (const char *)plan->warnings.data + at;
        size_t len = (size_t)((const char *)memchr(line, '\n', plan->warnings.len - at) - line);
        char *text = ps_asprintf("%.*s", (int)len, line);
        ps_json_string(w, text);
        ps_free(&text);
        at += len + 1;
    }
    ps_json_array_end(w);
}

void ps_plan_json(ps_json_writer *w, const ps_job_spec *spec, const ps_plan *plan)
{
    ps_json_object(w);
    ps_json_put_string(w, "name", spec->name);
    ps_json_put_string(w, "model_name", spec->model_name);
    ps_json_put_uint(w, "parameters", plan->parameters);
    ps_json_put_uint(w, "tensor_bytes", plan->data);
    ps_json_put_uint(w, "tensor_bytes_before", plan->parent_data);
    ps_json_put_uint(w, "file_bytes_most", plan->file_bytes);
    if (plan->target.asked && !plan->target.by_loss)
        ps_json_put_uint(w, "tensor_bytes_most", plan->target.bytes);
    ps_json_put_uint(w, "calibration_rows", plan->calibration_rows);
    ps_json_put_uint(w, "held_out_rows", plan->held_out_rows);
    if (plan->from)
        ps_json_put_uint(w, "calibration_job", plan->from);
    ps_json_put_uint(w, "tokens_a_row", plan->tokens_a_row);
    ps_json_put_uint(w, "inputs", plan->n_inputs);
    ps_json_put_uint(w, "passes", plan->n_windows);
    ps_json_put_uint(w, "psd_bytes", plan->psd_bytes);
    ps_json_put_uint(w, "worker_bytes", plan->worker_bytes);
    ps_json_put_double(w, "operations", plan->work);
    ps_json_put_double(w, "seconds", plan->seconds);
    ps_json_key(w, "tensors");
    ps_json_array(w);
    for (size_t i = 0; i < plan->n_tensors; i++)
        tensor_json(w, plan, &plan->tensors[i]);
    ps_json_array_end(w);
    warnings_json(w, plan);
    ps_json_object_end(w);
}
