/* Happy path: the header is gathered, then of each input's sums only the squares are taken as they
 * pass by, the diagonal of a triangle; at the end each tensor gets those of its input. Memory is
 * that of the header and of the columns. */
#include "common/compress/imatrix.h"

#include "common/base/bits.h"
#include "common/base/mem.h"
#include "common/compress/calibration.h"
#include "common/compress/store_plan.h"
#include "common/form/form.h"
#include "common/model/gguf_keys.h"
#include "common/model/gguf_parse.h"
#include "common/model/lm_layout.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 1 << 26 }; /* of all inputs: 256 MiB */

/* Numbers that are taken out of the data. */
typedef struct taking {
    uint64_t begin;                    /* of its tensor's data */
    const ps_calibration_input *input; /* NULL: the tokens */
    uint64_t columns;
    float *out; /* [columns] */
} taking;

struct ps_imatrix {
    ps_buf head;
    ps_safetensors *file; /* NULL: its header has not come yet */
    ps_calibration *calibration;
    taking *takings; /* in the order of their data */
    size_t n;
    uint64_t at; /* bytes of data that came */
    size_t next; /* the taking, and its column, whose number comes next */
    uint64_t column;
    float tokens[2];
};

ps_imatrix *ps_imatrix_new(void)
{
    return ps_new(ps_imatrix);
}

void ps_imatrix_free(ps_imatrix **matrix)
{
    ps_imatrix *m = *matrix;
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++)
        if (m->takings[i].input)
            ps_free(&m->takings[i].out);
    ps_free(&m->takings);
    ps_calibration_free(&m->calibration);
    if (m->file)
        ps_safetensors_free(&m->file);
    ps_buf_free(&m->head);
    ps_free(matrix);
}

/* ---- what comes ---- */

static int by_begin(const void *a, const void *b)
{
    const taking *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static ps_status plan_takings(ps_imatrix *m)
{
    const ps_calibration *c = m->calibration;
    uint64_t columns = 0;
    m->takings = ps_alloc_array(c->n_inputs + 1, sizeof *m->takings);
    m->takings[m->n++] = (taking){.begin = c->tokens->begin, .columns = 2, .out = m->tokens};
    for (size_t i = 0; i < c->n_inputs; i++) {
        const ps_calibration_input *in = &c->inputs[i];
        columns += in->columns;
        if (columns > COLUMNS_MAX)
            return ps_fail(PS_CORRUPT, PS_CALIBRATION_FILE ": inputs of more than %d columns",
                           COLUMNS_MAX);
        taking *t = &m->takings[m->n++];
        *t = (taking){.begin = in->sums[0]->begin, .input = in, .columns = in->columns};
        t->out = ps_try_alloc((size_t)in->columns * sizeof *t->out);
        if (!t->out)
            return ps_fail(PS_NO_MEMORY, "the importance of %" PRIu64 " columns", in->columns);
    }
    qsort(m->takings, m->n, sizeof *m->takings, by_begin);
    return PS_OK;
}

/* *used: how many of the bytes were the header's. */
static ps_status take_head(ps_imatrix *m, ps_slice bytes, size_t *used)
{
    uint64_t size = 8;
    size_t before = m->head.len;
    ps_status st = PS_OK;
    ps_buf_append(&m->head, bytes.data, bytes.len);
    *used = bytes.len;
    if (m->head.len >= 8)
        st = ps_safetensors_header_bytes(ps_buf_slice(&m->head), &size);
    if (st || m->head.len < size)
        return st;
    *used = (size_t)(size - before);
    st = ps_safetensors_parse(ps_slice_of(m->head.data, (size_t)size), UINT64_MAX, &m->file);
    if (!st)
        st = ps_calibration_parse(m->file, &m->calibration);
    return st ? ps_wrap(st, PS_CALIBRATION_FILE) : plan_takings(m);
}

static uint64_t place_of(const taking *t, uint64_t column)
{
    uint64_t number = t->input ? ps_calibration_square(t->input, column) : column;
    return t->begin + number * sizeof(float);
}

/* A number may come in two pieces. */
static void take_data(ps_imatrix *m, ps_slice bytes)
{
    uint64_t end = m->at + bytes.len;
    while (m->next < m->n) {
        const taking *t = &m->takings[m->next];
        uint64_t place = place_of(t, m->column);
        for (uint64_t b = place > m->at ? place : m->at; b < place + sizeof(float) && b < end; b++)
            ((uint8_t *)&t->out[m->column])[b - place] = bytes.data[b - m->at];
        if (place + sizeof(float) > end)
            break;
        if (++m->column == t->columns) {
            m->column = 0;
            m->next++;
        }
    }
    m->at = end;
}

ps_status ps_imatrix_feed(ps_imatrix *m, ps_slice bytes)
{
    size_t used = 0;
    ps_status st = m->file ? PS_OK : take_head(m, bytes, &used);
    if (!st && m->file)
        take_data(m, ps_slice_of(bytes.data + used, bytes.len - used));
    return st;
}

/* ---- what it makes ---- */

/* A tensor of the file: its name there, and what is its importance. */
typedef struct entry {
    const char *gguf;
    const ps_calibration_input *input;
    const float *squares;
} entry;

static int by_name(const void *a, const void *b)
{
    const ps_lm_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int by_gguf(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return strcmp(x->gguf, y->gguf);
}

static ps_status check_squares(const taking *t)
{
    for (uint64_t i = 0; i < t->columns; i++)
        if (!isfinite(t->out[i]) || t->out[i] < 0)
            return ps_fail(PS_CORRUPT, PS_CALIBRATION_FILE ": squares of %s that are no squares",
                           t->input->n_tensors ? t->input->tensors[0] : "no tensor");
    return PS_OK;
}

static ps_status find_entries(const ps_imatrix *m, ps_lm_tensor *layout, size_t n_layout,
                              entry *out, size_t *n)
{
    ps_status st = PS_OK;
    qsort(layout, n_layout, sizeof *layout, by_name);
    for (size_t i = 0; !st && i < m->n; i++) {
        const ps_calibration_input *in = m->takings[i].input;
        if (in && in->n_tensors)
            st = check_squares(&m->takings[i]);
        for (size_t k = 0; in && !st && k < in->n_tensors; k++) {
            ps_lm_tensor key = {.n_dims = 0};
            (void)snprintf(key.name, sizeof key.name, "%s", in->tensors[k]);
            const ps_lm_tensor *t = bsearch(&key, layout, n_layout, sizeof *layout, by_name);
            if (t)
                out[(*n)++] = (entry){.gguf = t->gguf, .input = in, .squares = m->takings[i].out};
        }
    }
    qsort(out, *n, sizeof *out, by_gguf);
    return st;
}

static void put_keys(const ps_imatrix *m, uint64_t tokens, size_t n, ps_buf *out)
{
    const ps_calibration *c = m->calibration;
    ps_gguf_keys k = {.out = out};
    char data[PS_CALIBRATION_DIGEST + 16];
    (void)snprintf(data, sizeof data, "%s%s", *c->data_sha256 ? "sha256:" : "not known",
                   c->data_sha256);
    size_t at = ps_gguf_begin(out, 2 * n);
    ps_gguf_key_text(&k, "general.type", "imatrix");
    ps_gguf_key_array(&k, "imatrix.datasets", PS_GGUF_STRING, 1);
    ps_gguf_put_text(out, ps_slice_str(data));
    ps_gguf_key_u32(&k, "imatrix.chunk_count", (int64_t)(tokens / c->tokens_a_row));
    ps_gguf_key_u32(&k, "imatrix.chunk_size", (int64_t)c->tokens_a_row);
    ps_gguf_end(out, at, &k);
}

static uint64_t padded(uint64_t bytes)
{
    return (bytes + PS_GGUF_ALIGNMENT - 1) / PS_GGUF_ALIGNMENT * PS_GGUF_ALIGNMENT;
}

static void put_float(ps_buf *out, float v)
{
    ps_buf_put_u32le(out, ps_bits_of_float(v));
}

static ps_status put_file(const ps_imatrix *m, uint64_t tokens, const entry *entries, size_t n,
                          ps_buf *out)
{
    const uint64_t one = 1;
    const uint32_t f32 = 0; /* ggml's number of it */
    uint64_t offset = 0;
    put_keys(m, tokens, n, out);
    for (size_t i = 0; i < n; i++) {
        char name[PS_LM_NAME + 16];
        const ps_calibration_input *in = entries[i].input;
        (void)snprintf(name, sizeof name, "%s.in_sum2", entries[i].gguf);
        ps_gguf_put_tensor(out, name, 1, &in->columns, f32, offset);
        offset += padded(in->columns * sizeof(float));
        (void)snprintf(name, sizeof name, "%s.counts", entries[i].gguf);
        ps_gguf_put_tensor(out, name, 1, &one, f32, offset);
        offset += padded(sizeof(float));
    }
    ps_gguf_pad(out);
    for (size_t i = 0; i < n; i++) {
        for (uint64_t c = 0; c < entries[i].input->columns; c++)
            put_float(out, entries[i].squares[c]);
        ps_gguf_pad(out);
        put_float(out, (float)tokens);
        ps_gguf_pad(out);
    }
    ps_gguf *read = NULL; /* what is written is read back */
    ps_status st = ps_gguf_parse(ps_buf_slice(out), out->len, &read);
    ps_gguf_free(&read);
    return st;
}

static ps_status make(ps_imatrix *m, const ps_spec_model *model, uint64_t tokens, ps_buf *out)
{
    const ps_calibration *c = m->calibration;
    ps_lm_tensor *layout = NULL;
    size_t n_layout = 0, most = 0, n = 0;
    if (!ps_spec_model_is_language(model))
        return ps_fail(PS_FAILED_PRECONDITION,
                       "model %s is no language model: GGUF has no "
                       "names for its tensors",
                       c->model);
    for (size_t i = 0; i < c->n_inputs; i++)
        most += c->inputs[i].n_tensors;
    entry *entries = ps_alloc_array(most + 1, sizeof *entries);
    ps_lm_layout(model, &layout, &n_layout);
    ps_status st = find_entries(m, layout, n_layout, entries, &n);
    if (!st && n == 0)
        st = ps_fail(PS_FAILED_PRECONDITION, "no tensor of model %s was calibrated for", c->model);
    if (!st)
        st = put_file(m, tokens, entries, n, out);
    ps_free(&layout);
    ps_free(&entries);
    return st;
}

ps_status ps_imatrix_finish(ps_imatrix *m, ps_buf *gguf)
{
    uint64_t tokens = 0;
    ps_spec_model *model = NULL;
    if (!m->file || m->next < m->n || m->at != m->file->data_bytes)
        return ps_fail(PS_DATA_LOSS, PS_CALIBRATION_FILE ": it is not whole");
    ps_status st = ps_plan_tokens(m->tokens[0], &tokens);
    if (!st && tokens == 0)
        st = ps_fail(PS_CORRUPT, "sums of no tokens");
    if (st)
        st = ps_wrap(st, PS_CALIBRATION_FILE);
    if (!st)
        st = ps_spec_model_parse(ps_slice_str(m->calibration->config), "model", &model);
    if (!st)
        st = make(m, model, tokens, gguf);
    if (model)
        ps_spec_model_free(&model);
    return st;
}
