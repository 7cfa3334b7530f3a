#include "worker/explain/baseline.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <string.h>

enum { READ_ROWS = 256 }; /* at a time */

static ps_status add_rows(const ps_dataset *data, uint64_t first, size_t n, size_t inputs,
                          float *rows, double *sums)
{
    uint64_t which[READ_ROWS];
    for (size_t i = 0; i < n; i++)
        which[i] = first + i;
    ps_status st = ps_dataset_read(data, which, n, rows, NULL);
    for (size_t i = 0; !st && i < n; i++)
        for (size_t k = 0; k < inputs; k++)
            sums[k] += (double)rows[i * inputs + k];
    return st;
}

/* In float64, in the order of rows: the same numbers for everybody. */
static ps_status mean_of(const ps_dataset *data, size_t inputs, float *out)
{
    uint64_t n = ps_dataset_rows(data);
    if (n > PS_EXPLAIN_MEAN_ROWS)
        n = PS_EXPLAIN_MEAN_ROWS;
    float *rows = ps_try_alloc_raw(READ_ROWS * inputs * sizeof *rows);
    double *sums = ps_try_alloc(inputs * sizeof *sums);
    ps_status st = rows && sums ? PS_OK : ps_fail(PS_NO_MEMORY, "a mean of %zu inputs", inputs);
    for (uint64_t first = 0; !st && first < n; first += READ_ROWS)
        st = add_rows(data, first, n - first < READ_ROWS ? (size_t)(n - first) : READ_ROWS, inputs,
                      rows, sums);
    for (size_t k = 0; !st && k < inputs; k++)
        out[k] = (float)(sums[k] / (double)n);
    ps_free(&rows);
    ps_free(&sums);
    return st;
}

static ps_status row_of(const ps_spec_explain_baseline *spec, const ps_dataset *data, float *out)
{
    uint64_t row = (uint64_t)spec->row;
    if (row >= ps_dataset_rows(data))
        return ps_fail(PS_OUT_OF_RANGE,
                       "explain.baseline.row is %" PRIu64 ", but there are %zu rows", row,
                       ps_dataset_rows(data));
    return ps_dataset_read(data, &row, 1, out, NULL);
}

ps_status ps_explain_baseline_make(const ps_spec_explain_baseline *spec, size_t inputs,
                                   const ps_dataset *data, const float *embedding,
                                   ps_explain_baseline *out)
{
    *out = (ps_explain_baseline){.kind = spec->kind, .inputs = inputs, .token = -1};
    PS_REQUIRE(spec->kind != PS_EXPLAIN_USUAL);
    if (!data && !embedding && (spec->kind == PS_EXPLAIN_MEAN || spec->kind == PS_EXPLAIN_ROW))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "explain.baseline: it is made of data.test, which the job does not have");
    out->numbers = ps_try_alloc(inputs * sizeof *out->numbers);
    if (!out->numbers)
        return ps_fail(PS_NO_MEMORY, "a baseline of %zu inputs", inputs);
    switch (spec->kind) {
    case PS_EXPLAIN_MEAN:
        if (embedding) {
            memcpy(out->numbers, embedding, inputs * sizeof *embedding);
            return PS_OK;
        }
        PS_REQUIRE(ps_dataset_features(data) == inputs);
        return mean_of(data, inputs, out->numbers);
    case PS_EXPLAIN_ROW:
        PS_REQUIRE(ps_dataset_features(data) == inputs);
        return row_of(spec, data, out->numbers);
    case PS_EXPLAIN_VALUE:
        for (size_t k = 0; k < inputs; k++)
            out->numbers[k] = (float)spec->value;
        return PS_OK;
    case PS_EXPLAIN_TOKEN:
        PS_REQUIRE(embedding);
        out->token = spec->token;
        memcpy(out->numbers, embedding, inputs * sizeof *embedding);
        return PS_OK;
    default:
        return PS_OK;
    }
}

/* ---- of a language model ---- */

/* Of the vocabulary's first tokens, of which tokenizers have the most frequent; like mean_of. */
static ps_status mean_embedding(ps_model *model, int64_t vocab, size_t inputs, float *out)
{
    int32_t tokens[READ_ROWS];
    const int64_t n = vocab < PS_EXPLAIN_MEAN_ROWS ? vocab : PS_EXPLAIN_MEAN_ROWS;
    float *rows = ps_try_alloc_raw(READ_ROWS * inputs * sizeof *rows);
    double *sums = ps_try_alloc(inputs * sizeof *sums);
    ps_status st = rows && sums ? PS_OK : ps_fail(PS_NO_MEMORY, "a mean of %zu inputs", inputs);
    for (int64_t first = 0; !st && first < n; first += READ_ROWS) {
        size_t some = (size_t)(n - first < READ_ROWS ? n - first : READ_ROWS);
        for (size_t i = 0; i < some; i++)
            tokens[i] = (int32_t)first + (int32_t)i;
        st = ps_model_embed(model, tokens, some, rows);
        for (size_t i = 0; !st && i < some * inputs; i++)
            sums[i % inputs] += (double)rows[i];
    }
    for (size_t k = 0; !st && k < inputs; k++)
        out[k] = (float)(sums[k] / (double)n);
    ps_free(&rows);
    ps_free(&sums);
    return st;
}

static ps_status embedding_of(const ps_explaining *x, const ps_spec_explain_baseline *spec,
                              float *out)
{
    const int32_t token = (int32_t)spec->token;
    return spec->kind == PS_EXPLAIN_TOKEN
               ? ps_model_embed(x->model, &token, 1, out)
               : mean_embedding(x->model, x->model_spec->vocab_size, (size_t)x->inputs, out);
}

ps_status ps_explain_baseline_of(const ps_explaining *x, ps_explain_baseline *out)
{
    ps_spec_explain_baseline spec = x->spec->baseline;
    size_t inputs = (size_t)x->inputs;
    float *embedding = NULL;
    ps_status st = PS_OK;
    spec.kind = ps_explain_baseline_settled(&spec, x->language);
    if (x->language && spec.kind != PS_EXPLAIN_ZERO) {
        embedding = ps_try_alloc_raw(inputs * sizeof *embedding);
        st = embedding ? embedding_of(x, &spec, embedding)
                       : ps_fail(PS_NO_MEMORY, "an embedding of %zu numbers", inputs);
    }
    if (!st)
        st = ps_explain_baseline_make(&spec, inputs, x->test, embedding, out);
    ps_free(&embedding);
    return st;
}

void ps_explain_baseline_put(const ps_explain_baseline *baseline, size_t width, float *out)
{
    PS_REQUIRE(width % baseline->inputs == 0);
    for (size_t at = 0; at < width; at += baseline->inputs)
        memcpy(out + at, baseline->numbers, baseline->inputs * sizeof *out);
}

void ps_explain_baseline_free(ps_explain_baseline *baseline)
{
    ps_free(&baseline->numbers);
}
