/* The row `gguf`. Happy path: the header is written, then each tensor as its numbers come, through
 * a buffer of whole blocks. A tensor whose rows stand otherwise in GGUF is gathered first; so
 * memory is that of the largest such matrix, and never the model's. A tensor that psd stores in the
 * form which it has in this file goes through as bytes. */
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/format/numbers.h"
#include "common/model/gguf_files.h"
#include "common/model/gguf_header.h"
#include "common/model/gguf_model.h"
#include "common/model/gguf_parts.h"
#include "common/model/gguf_rope.h"
#include "common/model/out_folder.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { BUFFER = 8192 }; /* numbers; whole blocks of every form */

struct ps_model_out {
    ps_gguf_files *files;
    ps_buf *headers; /* [n_files], of those that are to come; */
    size_t *part;    /* [n]: which file has each tensor */
    size_t n_files;
    ps_lm_tensor *tensors;
    ps_form *forms;  /* of each, */
    bool *as_stored; /* and whether psd has it in these bytes */
    size_t n;
    /* the tensor that comes */
    size_t at;
    uint64_t came;    /* numbers of it, or bytes */
    float *gathered;  /* all of it, when it changes; else NULL */
    uint8_t *rows;    /* likewise of bytes */
    float *factors;   /* of RoPE, behind all tensors, */
    size_t n_factors; /* or 0 */
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
        st = ps_gguf_files_write(o->files, o->bytes, (size_t)ps_form_row_bytes(form, o->used));
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

/* Of a row of the file the one that it is in psd: reshape(heads, 2, half, columns) with the second
 * and third sides swapped. */
static uint64_t halved_row(const ps_lm_tensor *t, uint64_t row)
{
    uint64_t size = t->shape[0] / t->heads, half = size / 2, inside = row % size;
    return row - inside + inside % 2 * half + inside / 2;
}

static ps_status put_pairs(ps_model_out *o, const ps_lm_tensor *t)
{
    uint64_t columns = t->n_dims == 1 ? 1 : t->shape[1];
    ps_status st = PS_OK;
    for (uint64_t row = 0; !st && row < t->shape[0]; row++)
        st = put(o, &o->gathered[halved_row(t, row) * columns], (size_t)columns);
    return st;
}

static ps_status put_rows(ps_model_out *o, const ps_lm_tensor *t)
{
    size_t bytes = (size_t)ps_form_row_bytes(o->forms[o->at], t->n_dims == 1 ? 1 : t->shape[1]);
    ps_status st = PS_OK;
    for (uint64_t row = 0; !st && row < t->shape[0]; row++)
        st = ps_gguf_files_write(o->files, o->rows + halved_row(t, row) * bytes, bytes);
    return st;
}

static ps_status begin_tensor(ps_model_out *o)
{
    const ps_lm_tensor *t = &o->tensors[o->at];
    o->came = 0;
    if (t->change == PS_LM_SAME || t->change == PS_LM_PLUS_ONE ||
        (o->as_stored[o->at] && t->change == PS_LM_TRANSPOSE))
        return PS_OK;
    uint64_t bytes = ps_lm_numbers(t) * sizeof(float);
    if (o->as_stored[o->at])
        o->rows = ps_try_alloc_raw((size_t)ps_gguf_bytes(t, o->forms[o->at]));
    else
        o->gathered = ps_try_alloc_raw((size_t)bytes);
    return o->rows || o->gathered
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "tensor %s takes %" PRIu64 " bytes", t->name, bytes);
}

static const uint8_t zeros[PS_GGUF_ALIGNMENT];

static ps_status put_factors(ps_model_out *o)
{
    uint64_t bytes = o->n_factors * sizeof *o->factors;
    ps_status st = ps_gguf_files_write(o->files, o->factors, (size_t)bytes);
    return st ? st : ps_gguf_files_write(o->files, zeros, (size_t)(ps_gguf_padded(bytes) - bytes));
}

static ps_status put_header(ps_model_out *o, size_t file)
{
    ps_status st = ps_gguf_files_write(o->files, o->headers[file].data, o->headers[file].len);
    ps_buf_free(&o->headers[file]);
    return st;
}

static ps_status end_tensor(ps_model_out *o)
{
    const ps_lm_tensor *t = &o->tensors[o->at];
    ps_status st = o->rows                        ? put_rows(o, t)
                   : !o->gathered                 ? PS_OK
                   : t->change == PS_LM_TRANSPOSE ? put_transposed(o, t)
                                                  : put_pairs(o, t);
    ps_free(&o->gathered);
    ps_free(&o->rows);
    if (!st)
        st = flush(o);
    uint64_t bytes = ps_gguf_bytes(t, o->forms[o->at]);
    if (!st)
        st = ps_gguf_files_write(o->files, zeros, (size_t)(ps_gguf_padded(bytes) - bytes));
    o->at++;
    if (!st && o->at < o->n && o->part[o->at] > o->part[o->at - 1]) {
        st = ps_gguf_files_next(o->files);
        if (!st)
            st = put_header(o, o->part[o->at]);
    }
    if (st || o->at < o->n)
        return st ? st : begin_tensor(o);
    return o->n_factors ? put_factors(o) : PS_OK;
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
    else if (t->change == PS_LM_PLUS_ONE)
        for (size_t i = 0; !st && i < n; i++)
            st = put(o, &(float){values[i] + 1}, 1);
    else
        st = put(o, values, n);
    o->came += n;
    return st || o->came < ps_lm_numbers(t) ? st : end_tensor(o);
}

static bool gguf_as_stored(const ps_model_out *o, size_t tensor)
{
    return o->as_stored[tensor];
}

static ps_status gguf_bytes(ps_model_out *o, ps_slice bytes)
{
    PS_REQUIRE(o->as_stored[o->at]);
    ps_status st = PS_OK;
    if (o->rows)
        memcpy(o->rows + o->came, bytes.data, bytes.len);
    else
        st = ps_gguf_files_write(o->files, bytes.data, bytes.len);
    o->came += bytes.len;
    bool all = o->came == ps_gguf_bytes(&o->tensors[o->at], o->forms[o->at]);
    return st || !all ? st : end_tensor(o);
}

/* ---- forms ---- */

/* Blocks as ggml has them, row by row as they stand in the file. */
static bool is_ggml(const ps_model_form *stored, const ps_lm_tensor *t)
{
    return stored->form.row && !stored->form.rank && stored->form.row->ggml >= 0 &&
           stored->transposed == (t->change == PS_LM_TRANSPOSE);
}

static void choose_forms(ps_model_out *o, const ps_mix *mix, bool keep, const ps_model_about *about)
{
    for (size_t i = 0; i < o->n; i++) {
        const ps_model_form *stored = &about->stored[i];
        bool ggml = is_ggml(stored, &o->tensors[i]) && o->tensors[i].part != PS_PART_TYPES;
        o->forms[i] = keep && ggml && !stored->form.row->plain
                          ? stored->form
                          : ps_gguf_form_of(mix, about->model, &o->tensors[i]);
        o->as_stored[i] = ggml && o->tensors[i].change != PS_LM_PLUS_ONE &&
                          ps_form_same(o->forms[i], stored->form);
    }
}

/* The kind whose form most numbers are in, as that is what the file is called; else the default. */
static const ps_mix *mix_of(const ps_model_out *o, const ps_mix *otherwise)
{
    const ps_mix *most = otherwise;
    uint64_t most_numbers = 0;
    for (const char *const *name = ps_mix_names; *name; name++) {
        const ps_mix *mix = ps_mix_find(*name);
        uint64_t numbers = 0;
        for (size_t i = 0; i < o->n; i++)
            if (o->as_stored[i] && ps_form_same(o->forms[i], ps_mix_base(mix)))
                numbers += ps_lm_numbers(&o->tensors[i]);
        if (numbers > most_numbers)
            most = mix;
        most_numbers = numbers > most_numbers ? numbers : most_numbers;
    }
    return most;
}

/* ---- the file ---- */

static void gguf_drop(ps_model_out **out)
{
    ps_model_out *o = *out;
    if (!o)
        return;
    ps_gguf_files_drop(&o->files);
    for (size_t i = 0; i < o->n_files; i++)
        ps_buf_free(&o->headers[i]);
    ps_free(&o->headers);
    ps_free(&o->part);
    ps_free(&o->tensors);
    ps_free(&o->forms);
    ps_free(&o->as_stored);
    ps_free(&o->gathered);
    ps_free(&o->rows);
    ps_free(&o->factors);
    ps_free(out);
}

static ps_status check_heads(const ps_spec_model *model)
{
    bool has_key = false;
    for (const ps_arch_gguf_key *key = ps_arch_find(model->architecture)->gguf; key->key; key++)
        has_key |= key->own_heads || (!strcmp(key->name, "head_dim") && !key->implied);
    return ps_lm_check_heads(model, has_key, "GGUF");
}

static ps_status no_way(const ps_spec_model *model, const char *what)
{
    return ps_fail(PS_FAILED_PRECONDITION,
                   "%s is not in llama.cpp's %s, and so in no GGUF file; --format hf has it", what,
                   ps_arch_gguf_name(ps_arch_find(model->architecture)));
}

static ps_status check_names(const ps_model_about *about)
{
    for (size_t i = 0; i < about->n; i++)
        if (!*about->tensors[i].gguf)
            return no_way(about->model, about->tensors[i].name);
    return PS_OK;
}

/* Blocks that the model does not have say nothing. */
static bool sees_the_same(const ps_spec_model *m, int64_t full_attention_every)
{
    ps_arch_choices theirs = m->choices;
    theirs.full_attention_every = full_attention_every;
    bool same = true;
    for (int64_t l = 0; l < m->num_layers; l++)
        same &= ps_arch_slides(&theirs, l) == ps_arch_slides(&m->choices, l);
    return same;
}

static ps_status check_fixed(const ps_spec_model *m, const ps_arch *arch)
{
    for (const ps_arch_gguf_fixed *f = arch->gguf_fixed; f && f->name; f++) {
        bool same = strcmp(f->name, "full_attention_every") != 0
                        ? ps_spec_model_number(m, f->name).whole == f->value
                        : sees_the_same(m, f->value);
        char what[80];
        (void)snprintf(what, sizeof what, "another %s than the usual", f->name);
        if (!same)
            return no_way(m, what);
    }
    return PS_OK;
}

static ps_status check_scalar(const ps_spec_model *m)
{
    double theirs = ps_gguf_score_scalar(m), own = m->choices.query_pre_attn_scalar;
    char what[80];
    if ((own > 0 ? own : (double)m->head_dim) == theirs)
        return PS_OK;
    (void)snprintf(what, sizeof what, "a query_pre_attn_scalar other than %g", theirs);
    return no_way(m, what);
}

/* What the section says beyond the architecture's usual, and its row has no key of. */
static ps_status check_choices(const ps_spec_model *m)
{
    const ps_arch_gguf_key *key = ps_arch_find(m->architecture)->gguf;
    while (key->key && strcmp(key->name, "sliding_window") != 0)
        key++;
    const ps_arch *arch = ps_arch_find(m->architecture);
    ps_status st = check_fixed(m, arch);
    if (st)
        return st;
    if (m->rope.type == PS_ROPE_LLAMA3 && !arch->gguf_factors)
        return no_way(m, "rope_type llama3");
    st = check_scalar(m);
    if (st)
        return st;
    for (const ps_arch_gguf_key *needed = arch->gguf; needed->key; needed++) {
        ps_spec_number number = ps_spec_model_number(m, needed->name);
        char what[80];
        (void)snprintf(what, sizeof what, "a model without %s", needed->name);
        if (needed->needed && !needed->flag && number.whole == 0 && !(number.real > 0))
            return no_way(m, what);
    }
    if (m->choices.hidden_act != PS_ACT_OWN)
        return no_way(m, "another hidden_act than the usual");
    if (!key->key && m->choices.sliding_window && m->choices.sliding_window < m->context_length)
        return no_way(m, "a sliding_window that is less than context_length");
    return PS_OK;
}

/* Which tensor goes into which file, and what stands at the beginning of each. */
static void share_out(ps_model_out *o, const ps_mix *mix, uint64_t most,
                      const ps_model_about *about)
{
    uint64_t *bytes = ps_alloc_array(o->n + 1, sizeof *bytes);
    for (size_t i = 0; i < o->n; i++)
        bytes[i] = ps_gguf_padded(ps_gguf_bytes(&o->tensors[i], o->forms[i]));
    o->part = ps_alloc_array(o->n + 1, sizeof *o->part);
    o->n_files = ps_out_parts(bytes, o->n, most ? most : UINT64_MAX, o->part);
    o->headers = ps_alloc_array(o->n_files, sizeof *o->headers);
    size_t at = 0;
    for (size_t k = 0; k < o->n_files; k++) {
        ps_gguf_share share = {.begin = at, .at = k, .n = most ? o->n_files : 0};
        while (at < o->n && o->part[at] == k)
            at++;
        share.end = at;
        ps_gguf_header(about, mix, o->forms, &share, &o->headers[k]);
    }
    ps_free(&bytes);
}

static ps_status check_files(const ps_model_out *o)
{
    return o->n_files <= PS_GGUF_MAX_PARTS
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT,
                         "the model would be %zu files, at most %d are; --split with more bytes",
                         o->n_files, PS_GGUF_MAX_PARTS);
}

static ps_status gguf_open(const ps_model_out_options *options, const ps_model_about *about,
                           ps_model_out **out)
{
    ps_status st = check_heads(about->model);
    if (!st)
        st = check_names(about);
    if (!st)
        st = check_choices(about->model);
    if (st)
        return st;
    ps_model_out *o = ps_new(ps_model_out);
    const ps_mix *mix = ps_mix_find(options->dtype);
    o->n = about->n;
    o->tensors = ps_alloc_array(o->n, sizeof *o->tensors);
    memcpy(o->tensors, about->tensors, o->n * sizeof *o->tensors);
    o->forms = ps_alloc_array(o->n, sizeof *o->forms);
    o->as_stored = ps_alloc_array(o->n, sizeof *o->as_stored);
    choose_forms(o, mix, options->keep, about);
    o->n_factors = ps_gguf_rope_factors(about->model, &o->factors);
    share_out(o, options->keep ? mix_of(o, mix) : mix, options->split, about);
    st = check_files(o);
    if (!st)
        st = ps_gguf_files_open(options, o->n_files, &o->files);
    if (!st)
        st = put_header(o, 0);
    if (!st)
        st = begin_tensor(o);
    if (st)
        gguf_drop(&o);
    else
        *out = o;
    return st;
}

/* float32 loses bits of a gain that is stored less 1, and made whole here. */
static float gguf_number(const ps_lm_tensor *tensor, float v)
{
    return tensor->change == PS_LM_PLUS_ONE ? v + 1 - 1 : v;
}

static ps_form gguf_form(const ps_model_out *o, size_t tensor)
{
    return o->as_stored[tensor] ? (ps_form){NULL, 0} : o->forms[tensor];
}

static const char *gguf_unnamed(const ps_model_out *o)
{
    return ps_gguf_files_unnamed(o->files);
}

static const char *gguf_first(const ps_model_out *o)
{
    return ps_gguf_files_first(o->files);
}

static ps_status gguf_seal(ps_model_out *o)
{
    return ps_gguf_files_end(o->files);
}

static ps_status gguf_finish(ps_model_out **out, uint64_t *bytes)
{
    ps_status st = ps_gguf_files_finish(&(*out)->files, bytes);
    gguf_drop(out);
    return st;
}

const ps_model_out_row ps_model_out_gguf = {.dtypes = ps_mix_names,
                                            .open = gguf_open,
                                            .limit = gguf_limit,
                                            .data = gguf_data,
                                            .as_stored = gguf_as_stored,
                                            .bytes = gguf_bytes,
                                            .form = gguf_form,
                                            .real = ps_gguf_real_as_read,
                                            .number = gguf_number,
                                            .unnamed = gguf_unnamed,
                                            .first = gguf_first,
                                            .seal = gguf_seal,
                                            .finish = gguf_finish,
                                            .drop = gguf_drop};
