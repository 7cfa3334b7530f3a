/* Field names in JSON are those of proto/psd/v1/models.proto: they do not change. Cannot fail. */
#include "client/show/model_view.h"

#include "client/show/human.h"
#include "client/show/metrics.h"
#include "common/base/mem.h"
#include "common/conf/job_spec.h"

#include <inttypes.h>

const char *const ps_model_headers[] = {"NAME",  ">PARAMETERS", ">SIZE",   "FORM",   ">BITS",
                                        ">TEST", ">JOB",        "CREATED", "CONFIG", NULL};

/* Of a parameter in the file; 0: it is not known. */
static double bits_of(const Psd__V1__Model *m)
{
    return m->parameters ? 8.0 * (double)m->tensor_bytes / (double)m->parameters : 0;
}

static ps_metrics test_metrics_of(const Psd__V1__Model *m)
{
    return (ps_metrics){.list = m->test_metrics, .n = m->n_test_metrics};
}

/* With how many numbers there are in place of the numbers of inputs; freed by the caller. */
static char *config_for_people(const char *config)
{
    ps_spec_model *m = NULL;
    ps_buf out = PS_BUF_EMPTY;
    if (ps_spec_model_parse(ps_slice_str(config), "config", &m) || !m->n_input_mean) {
        if (m)
            ps_spec_model_free(&m);
        return ps_strdup(config);
    }
    ps_spec_model brief = *m; /* borrows */
    brief.n_input_mean = brief.n_input_std = 0;
    ps_spec_model_format(&brief, &out);
    out.len--; /* the brace */
    ps_buf_printf(&out, ", input_mean: [%zu numbers]", m->n_input_mean);
    if (m->n_input_std)
        ps_buf_printf(&out, ", input_std: [%zu numbers]", m->n_input_std);
    ps_buf_putc(&out, '}');
    char *text = ps_strdup(ps_buf_cstr(&out));
    ps_buf_free(&out);
    ps_spec_model_free(&m);
    return text;
}

void ps_model_row(ps_table *table, const Psd__V1__Model *m, int64_t now_ms)
{
    ps_table_text(table, m->name);
    ps_table_text(table, ps_human_count((double)m->parameters).text);
    ps_table_text(table, ps_human_bytes((double)m->bytes).text);
    ps_table_text(table, m->forms);
    if (m->tensor_bytes)
        ps_table_printf(table, "%.3g", bits_of(m));
    else
        ps_table_text(table, "");
    if (m->has_test)
        ps_metrics_test_cell(table, test_metrics_of(m), m->test_loss);
    else
        ps_table_text(table, "");
    if (m->job_id)
        ps_table_printf(table, "%" PRIu64, m->job_id);
    else
        ps_table_text(table, "");
    ps_table_text(table, ps_human_ago(m->created_ms, now_ms).text);
    char *config = config_for_people(m->config);
    ps_table_text(table, config);
    ps_free(&config);
}

static void tensor_rows(ps_buf *out, const ps_style *style, const Psd__V1__Model *m)
{
    static const char *const headers[] = {"TENSOR", ">SHAPE", ">ELEMENTS", "FORM", NULL};
    ps_table *t = ps_table_new(headers);
    for (size_t i = 0; i < m->n_tensors; i++) {
        const Psd__V1__ModelTensor *tensor = m->tensors[i];
        ps_buf shape = PS_BUF_EMPTY;
        double elements = 1;
        for (size_t d = 0; d < tensor->n_shape; d++) {
            ps_buf_printf(&shape, "%s%" PRIu64, d ? (style->utf8 ? "×" : "x") : "",
                          tensor->shape[d]);
            elements *= (double)tensor->shape[d];
        }
        ps_table_text(t, tensor->name);
        ps_table_text(t, ps_buf_cstr(&shape));
        ps_table_printf(t, "%.0f", elements);
        ps_table_text(t, tensor->form);
        ps_buf_free(&shape);
    }
    ps_table_render(t, style, out);
    ps_table_free(&t);
}

void ps_model_text(ps_buf *out, const ps_style *style, const Psd__V1__Model *m)
{
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "model", "%s", m->name);
    char *config = config_for_people(m->config);
    ps_table_field(t, "config", "%s", config);
    ps_free(&config);
    ps_table_field(t, "parameters", "%" PRIu64, m->parameters);
    ps_table_field(t, "version", "%s", m->version);
    ps_table_field(t, "size", "%s", ps_human_bytes((double)m->bytes).text);
    if (m->tensor_bytes)
        ps_table_field(t, "stored as", "%s (%.3g bits a parameter)", m->forms, bits_of(m));
    if (m->job_id)
        ps_table_field(t, "trained by", "job %" PRIu64, m->job_id);
    else
        ps_table_field(t, "trained by", "imported");
    if (*m->parent)
        ps_table_field(t, "made of", "%s", m->parent);
    if (*m->owner)
        ps_table_field(t, "owner", "%s", m->owner);
    ps_table_field(t, "created", "%s", ps_human_time(m->created_ms).text);
    if (m->has_test) {
        ps_metrics_fields(t, "test ", test_metrics_of(m));
        ps_table_field(t, "test loss", "%s", ps_human_value(m->test_loss).text);
    }
    ps_table_render(t, style, out);
    ps_table_free(&t);
    if (m->n_tensors) {
        ps_buf_putc(out, '\n');
        tensor_rows(out, style, m);
    }
}

void ps_model_json(ps_json_writer *w, const Psd__V1__Model *m)
{
    ps_json_object(w);
    ps_json_put_string(w, "name", m->name);
    ps_json_put_string(w, "version", m->version);
    ps_json_put_string(w, "config", m->config);
    ps_json_put_uint(w, "parameters", m->parameters);
    ps_json_put_uint(w, "bytes", m->bytes);
    ps_json_put_uint(w, "tensor_bytes", m->tensor_bytes);
    ps_json_put_string(w, "forms", m->forms);
    ps_json_put_uint(w, "job_id", m->job_id);
    ps_json_put_string(w, "parent", m->parent);
    ps_json_put_string(w, "parent_version", m->parent_version);
    ps_json_put_string(w, "owner", m->owner);
    ps_json_put_int(w, "created_ms", m->created_ms);
    if (m->has_test) {
        ps_json_put_double(w, "test_loss", m->test_loss);
        ps_metrics_json(w, "test_", test_metrics_of(m));
    }
    if (m->n_tensors) {
        ps_json_key(w, "tensors");
        ps_json_array(w);
        for (size_t i = 0; i < m->n_tensors; i++) {
            ps_json_object(w);
            ps_json_put_string(w, "name", m->tensors[i]->name);
            ps_json_key(w, "shape");
            ps_json_array(w);
            for (size_t d = 0; d < m->tensors[i]->n_shape; d++)
                ps_json_uint(w, m->tensors[i]->shape[d]);
            ps_json_array_end(w);
            ps_json_put_string(w, "form", m->tensors[i]->form);
            ps_json_object_end(w);
        }
        ps_json_array_end(w);
    }
    ps_json_object_end(w);
}
