/* Numbers that are not finite are passed over. Cannot fail. */
#include "client/report/numbers.h"

#include "client/report/html.h"
#include "common/base/mem.h"
#include "common/base/ranked.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t rows_of(const ps_safetensors_tensor *t)
{
    return t->n_dims > 1 ? t->shape[0] : 1;
}

/* NULL: there is none of numbers that are read here. */
static const ps_safetensors_tensor *find(const ps_explain_view *v, const char *array)
{
    const ps_safetensors_tensor *t = v->file ? ps_safetensors_find(v->file, array) : NULL;
    return t && t->dtype == PS_SAFETENSORS_F32 && t->n_dims ? t : NULL;
}

ps_numbers ps_numbers_of(const ps_explain_view *v, const char *array, uint64_t row)
{
    const ps_safetensors_tensor *t = find(v, array);
    if (!t || row >= rows_of(t))
        return (ps_numbers){NULL};
    uint64_t each = (t->end - t->begin) / sizeof(float) / rows_of(t);
    return (ps_numbers){.data = v->arrays.data + v->file->data_start + t->begin +
                                row * each * sizeof(float),
                        .n = each};
}

ps_numbers ps_numbers_whole(const ps_explain_view *v, const char *array)
{
    ps_numbers whole = ps_numbers_of(v, array, 0);
    whole.n *= ps_array_rows(v, array);
    return whole;
}

double ps_number_at(const ps_numbers *numbers, uint64_t i)
{
    float value;
    memcpy(&value, numbers->data + i * sizeof value, sizeof value);
    return (double)value;
}

double ps_numbers_sum(const ps_numbers *numbers)
{
    double sum = 0;
    for (uint64_t i = 0; i < numbers->n; i++)
        sum += isfinite(ps_number_at(numbers, i)) ? ps_number_at(numbers, i) : 0;
    return sum;
}

double ps_numbers_limit(const ps_numbers *numbers)
{
    double *sizes = ps_alloc_array(numbers->n + 1, sizeof *sizes), limit;
    size_t n = 0;
    for (uint64_t i = 0; i < numbers->n; i++)
        if (isfinite(ps_number_at(numbers, i)))
            sizes[n++] = fabs(ps_number_at(numbers, i));
    qsort(sizes, n, sizeof *sizes, ps_number_up);
    limit = n ? sizes[(n - 1) * 99 / 100] : 0;
    if (n && !(limit > 0)) /* but few are not 0 */
        limit = sizes[n - 1];
    ps_free(&sizes);
    return limit;
}

static const ps_explanation_array *array_of(const ps_explain_view *v, const char *method,
                                            const char *name)
{
    for (size_t i = 0; i < v->manifest->n_results; i++)
        if (!strcmp(v->manifest->results[i].method, method))
            return ps_explanation_find(&v->manifest->results[i], name);
    return NULL;
}

const char *ps_array_of(const ps_explain_view *v, const char *method, const char *name)
{
    const ps_explanation_array *array = array_of(v, method, name);
    return array ? array->array : "";
}

double ps_number_called(const ps_explain_view *v, const char *method, const char *name,
                        const ps_numbers *row, const char *entry)
{
    const ps_explanation_array *array = array_of(v, method, name);
    for (size_t i = 0; array && i < array->n_entries && i < row->n; i++)
        if (!strcmp(array->entries[i], entry))
            return ps_number_at(row, i);
    return NAN;
}

uint64_t ps_array_last(const ps_explain_view *v, const char *array)
{
    const ps_safetensors_tensor *t = find(v, array);
    return t ? t->shape[t->n_dims - 1] : 0;
}

uint64_t ps_array_rows(const ps_explain_view *v, const char *array)
{
    const ps_safetensors_tensor *t = find(v, array);
    return t ? rows_of(t) : 0;
}

double ps_array_mean(const ps_explain_view *v, const char *array, uint64_t i)
{
    uint64_t rows = ps_array_rows(v, array);
    double mean = 0;
    for (uint64_t r = 0; r < rows; r++) {
        ps_numbers row = ps_numbers_of(v, array, r);
        mean += (i < row.n ? ps_number_at(&row, i) : NAN) / (double)rows;
    }
    return rows ? mean : NAN;
}

void ps_output_html(ps_buf *out, const ps_explain_view *v, int64_t i)
{
    if (v->manifest->language && v->token && i >= 0) {
        ps_buf text = PS_BUF_EMPTY;
        v->token(v->user, (uint32_t)i, &text);
        ps_html(out, "‘%s’", ps_buf_cstr(&text));
        ps_buf_free(&text);
    } else if (i >= 0 && (uint64_t)i < v->n_names) {
        ps_html_text(out, v->names[i]);
    } else {
        ps_html(out, "%" PRId64, i);
    }
}
