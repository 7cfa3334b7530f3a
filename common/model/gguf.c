/* The row `gguf`. Happy path: the header is written, then each tensor as its numbers come, through
 * a buffer of whole blocks. A tensor whose rows stand otherwise in GGUF is gathered first; so
 * memory is that of the largest such matrix, and never the model's. */
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/format/numbers.h"
#include "common/model/gguf_header.h"

#include <inttypes.h>
#include <math.h>

enum { BUFFER = 8192 }; /* numbers; whole blocks of every form */

struct ps_model_out {
    ps_new_file *file;
    ps_lm_tensor *tensors;
    ps_form *forms; /* of each */
    size_t n;
    /* the tensor that comes */
    size_t at;
    uint64_t came;   /* numbers of it */
    float *gathered; /* all of it, when it changes; else NULL */
    float buffer[BUFFER], read[BUFFER];
    size_t used;
    uint8_t bytes[BUFFER * sizeof(float)];
};

/* What is written is read back: no scale became infinite, whatever the numbers were. */
static ps_status check_written(ps_model_out *o)
{
    ps_form form = o->forms[o->at];
    if (form.row->plain || !o->used)
        return PS_OK;
    ps_form_decode(form, o->bytes, 1, o->used, o->read);
    if (ps_numbers_beyond(o->read, o->used, INFINITY) == o->used)
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "tensor %s: %s has no scale for its numbers; --dtype f32 holds them",
                   o->tensors[o->at].name, form.row->name);
}

static ps_status flush(ps_model_out *o)
{
    ps_form form = o->forms[o->at];
    if (!o->used)
        return PS_OK;
    ps_form_encode(form, o->buffer, NULL, 1, o->used, o->bytes);
    ps_status st = check_written(o);
    if (!st)
        st = ps_new_file_write(o->file, o->bytes, (size_t)ps_form_row_bytes(form, o->used));
    o->used = 0;
    return st;
}

static ps_status put(ps_model_out *o, const float *values, size_t n)
{
    while (n) {
        size_t part = BUFFER - o->used < n ? BUFFER - o->used : n;
        memcpy(o->buffer + o->used, values, part * sizeof *values);
        o->used += part;
        values += part;
        n -= part;
        ps_status st = o->used == BUFFER ? flush(o) : PS_OK;
        if (st)
            return st;
    }
    return PS_OK;
}

/* ---- tensors that change ---- */

static ps_status put_transposed(ps_model_out *o, const ps_lm_tensor *t)
{
    ps_status st = PS_OK;
    for (uint64_t column = 0; column < t->shape[1]; column++)
        for (uint64_t row = 0; !st && row < t->shape[0]; row++)
            st = put(o, &o->gathered[row * t->shape[1] + column], 1);
    return st;
}

/* reshape(heads, 2, half, columns) with the second and third sides swapped */
static ps_status put_pairs(ps_model_out *o, const ps_lm_tensor *t)
{
    uint64_t size = t->shape[0] / t->heads, half = size / 2;
    ps_status st = PS_OK;
    for (uint64_t row = 0; !st && row < t->shape[0]; row++) {
        uint64_t head = row / size, inside = row % size;
        uint64_t from = head * size + inside % 2 * half + inside / 2;
        st = put(o, &o->gathered[from * t->shape[1]], (size_t)t->shape[1]);
    }
    return st;
}

static ps_status begin_tensor(ps_model_out *o)
{
    const ps_lm_tensor *t = &o->tensors[o->at];
    o->came = 0;
    if (t->change == PS_LM_SAME)
        return PS_OK;
    uint64_t bytes = t->shape[0] * t->shape[1] * sizeof(float);
    o->gathered = ps_try_alloc_raw((size_t)bytes);
    return o->gathered ? PS_OK
                       : ps_fail(PS_NO_MEMORY, "tensor %s takes %" PRIu64 " bytes", t->name, bytes);
}

static ps_status end_tensor(ps_model_out *o)
{
    static const uint8_t zeros[PS_GGUF_ALIGNMENT];
    const ps_lm_tensor *t = &o->tensors[o->at];
    ps_status st = !o->gathered                   ? PS_OK
                   : t->change == PS_LM_TRANSPOSE ? put_transposed(o, t)
                                                  : put_pairs(o, t);
    ps_free(&o->gathered);
    if (!st)
        st = flush(o);
    uint64_t bytes = ps_gguf_bytes(t, o->forms[o->at]);
    if (!st)
        st = ps_new_file_write(o->file, zeros, (size_t)(ps_gguf_padded(bytes) - bytes));
    o->at++;
    return st || o->at == o->n ? st : begin_tensor(o);
}

static float gguf_limit(const ps_model_out *o, size_t tensor)
{
    return o->forms[tensor].row->limit;
}

static ps_status gguf_data(ps_model_out *o, const float *values, size_t n)
{
    const ps_lm_tensor *t = &o->tensors[o->at];
    ps_status st = PS_OK;
    if (o->gathered)
        memcpy(o->gathered + o->came, values, n * sizeof *values);
    else
        st = put(o, values, n);
    o->came += n;
    return st || o->came < ps_lm_numbers(t) ? st : end_tensor(o);
}

/* ---- the file ---- */

static void gguf_drop(ps_model_out **out)
{
    ps_model_out *o = *out;
    if (!o)
        return;
    ps_new_file_drop(&o->file);
    ps_free(&o->tensors);
    ps_free(&o->forms);
    ps_free(&o->gathered);
    ps_free(out);
}

static ps_status gguf_open(const ps_model_out_options *options, const ps_model_about *about,
                           ps_model_out **out)
{
    ps_model_out *o = ps_new(ps_model_out);
    const ps_mix *mix = ps_mix_find(options->dtype);
    ps_buf header = PS_BUF_EMPTY;
    o->n = about->n;
    o->tensors = ps_alloc_array(o->n, sizeof *o->tensors);
    memcpy(o->tensors, about->tensors, o->n * sizeof *o->tensors);
    o->forms = ps_alloc_array(o->n, sizeof *o->forms);
    for (size_t i = 0; i < o->n; i++)
        o->forms[i] = ps_gguf_form_of(mix, about->model, &o->tensors[i]);
    ps_status st =
        ps_new_file_open(options->path, &(ps_new_file_options){.force = options->force}, &o->file);
    if (!st) {
        ps_gguf_header(about, mix, o->forms, &header);
        st = ps_new_file_write(o->file, header.data, header.len);
    }
    if (!st)
        st = begin_tensor(o);
    ps_buf_free(&header);
    if (st)
        gguf_drop(&o);
    else
        *out = o;
    return st;
}

static ps_status gguf_finish(ps_model_out **out, uint64_t *bytes)
{
    *bytes = ps_new_file_bytes((*out)->file);
    ps_status st = ps_new_file_finish(&(*out)->file);
    gguf_drop(out);
    return st;
}

const ps_model_out_row ps_model_out_gguf = {.dtypes = ps_mix_names,
                                            .open = gguf_open,
                                            .limit = gguf_limit,
                                            .data = gguf_data,
                                            .finish = gguf_finish,
                                            .drop = gguf_drop};
