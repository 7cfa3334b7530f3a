/* Happy path: of each tensor the bytes go through as they are, or the store's numbers take their
 * place, or its own are decoded, the product of an adapter's halves is added, row by row of what
 * comes out, and it is written. Only one such
 * tensor is held at a time. */
#include "server/files/model_merge.h"

#include "common/arch/lora.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/format/numbers.h"
#include "common/loop/loop.h"
#include "common/model/form_stream.h"
#include "common/model/hf_rows.h"
#include "common/model/lm_layout.h"
#include "server/files/model_file.h"
#include "server/files/model_header.h"
#include "server/params/export.h"

#include <string.h>

enum { PIECE = 1 << 20 }; /* bytes */

/* What the store has of a tensor. */
typedef enum trained { NOTHING, ALL, ADAPTER } trained;
typedef struct part {
    trained trained;
    bool turned; /* ADAPTER: the tensor is [in,out] */
    uint64_t rank;
    double scale;
    const ps_lm_tensor
        *rows;   /* ADAPTER: B's are in another order (hf_rows.h); NULL: they are not */
    size_t a, b; /* of the store, or of the adapter: ALL: a is it; ADAPTER: both halves */
} part;

struct ps_model_merge {
    const ps_stored_files *files;
    const ps_spec_lora *lora;        /* NULL: there are no adapters of the store's */
    ps_param_store *store;           /* NULL: */
    const ps_model_adapter *adapter; /* this one's */
    int file;
    bool open;
    ps_model_header header;
    ps_model_form *tensors; /* [header.file->n_tensors], as they will be */
    part *parts;            /* likewise */
    uint8_t *piece;
    float *numbers; /* of the tensor at hand */
};

/* ---- what there is ---- */

static ps_status other_shape(const char *name)
{
    return ps_fail(PS_FAILED_PRECONDITION, "tensor %s: its adapter is of another shape", name);
}

static ps_status find_half(const ps_model_merge *m, const ps_lm_tensor *tensor, ps_lora_half half,
                           size_t *out)
{
    uint32_t id;
    const ps_placement *placement = ps_param_store_placement(m->store);
    char name[PS_LM_NAME];
    if (!ps_lora_name(tensor->name, half, name))
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s has a name too long", tensor->name);
    ps_status st = ps_placement_find(placement, name, &id);
    if (st)
        return st;
    const ps_param_tensor *t = &placement->tensors[id];
    *out = id;
    uint64_t rank = (uint64_t)m->lora->rank;
    bool fits = half == PS_LORA_A ? t->rows == rank && t->columns == ps_lora_inputs(tensor)
                                  : t->rows == ps_lora_outputs(tensor) && t->columns == rank;
    return fits ? PS_OK : other_shape(tensor->name);
}

/* The file's tensor of that name and shape, which will be float32. */
static ps_status find_tensor(ps_model_merge *m, const char *name, const uint64_t *shape,
                             size_t n_dims, part **out)
{
    const ps_model_form *found =
        ps_model_form_find(m->header.tensors, m->header.file->n_tensors, name);
    if (!found)
        return ps_fail(PS_FAILED_PRECONDITION, "it has no tensor %s", name);
    if (found->n_dims != n_dims || memcmp(found->shape, shape, n_dims * sizeof *shape) != 0)
        return other_shape(name);
    size_t i = (size_t)(found - m->header.tensors);
    m->tensors[i].form = (ps_form){0};
    m->tensors[i].transposed = false;
    *out = &m->parts[i];
    return PS_OK;
}

static ps_status adapt(ps_model_merge *m, const ps_lm_tensor *tensor)
{
    part *p = NULL;
    ps_status st = find_tensor(m, tensor->name, tensor->shape, tensor->n_dims, &p);
    if (st)
        return st;
    p->trained = ADAPTER;
    p->turned = tensor->change == PS_LM_TRANSPOSE;
    p->rank = (uint64_t)m->lora->rank;
    p->scale = ps_spec_lora_scale(m->lora);
    st = find_half(m, tensor, PS_LORA_A, &p->a);
    return st ? st : find_half(m, tensor, PS_LORA_B, &p->b);
}

static ps_status match_adapters(ps_model_merge *m, const ps_spec_model *model)
{
    size_t n = 0;
    ps_lm_tensor *layout = NULL;
    ps_status st = PS_OK;
    ps_lm_layout(model, &layout, &n);
    for (size_t i = 0; !st && i < n; i++)
        if (ps_lora_adapts(&layout[i], (const char *const *)m->lora->targets, m->lora->n_targets))
            st = adapt(m, &layout[i]);
    ps_free(&layout);
    return st;
}

static ps_status match_tensors(ps_model_merge *m)
{
    const ps_placement *placement = ps_param_store_placement(m->store);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < placement->n_tensors; i++) {
        const ps_param_tensor *t = &placement->tensors[i];
        part *p = NULL;
        PS_REQUIRE(!t->form.row && !t->transposed); /* as the file's rules want */
        st = find_tensor(m, t->name, t->shape, t->rank, &p);
        if (!st)
            *p = (part){.trained = ALL, .a = i};
    }
    return st;
}

static ps_status match_pairs(ps_model_merge *m)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < m->adapter->n; i++) {
        const ps_peft_pair *from = &m->adapter->pairs[i];
        const ps_lm_tensor *t = &from->beside;
        part *p = NULL;
        st = find_tensor(m, t->name, t->shape, t->n_dims, &p);
        if (!st)
            *p = (part){.trained = ADAPTER,
                        .turned = t->change == PS_LM_TRANSPOSE,
                        .rank = from->rank,
                        .scale = from->scale,
                        .rows = t->by_heads ? t : NULL,
                        .a = from->a,
                        .b = from->b};
    }
    return st;
}

static ps_status match(ps_model_merge *m, const ps_spec_model *model)
{
    size_t stored = m->header.file->n_tensors;
    m->tensors = ps_alloc_array(stored + 1, sizeof *m->tensors);
    m->parts = ps_alloc_array(stored + 1, sizeof *m->parts);
    for (size_t i = 0; i < stored; i++)
        m->tensors[i] = m->header.tensors[i];
    return m->adapter ? match_pairs(m) : m->lora ? match_adapters(m, model) : match_tensors(m);
}

static ps_status open_merge(ps_model_merge *m, const char *name, const char *version,
                            const ps_spec_model *model, ps_model_merge **out)
{
    const ps_stored_files *files = m->files;
    ps_status st = ps_model_file_open(files, name, version, &m->file, NULL);
    m->open = !st;
    if (!st)
        st = ps_model_header_read(files->disk, m->file, &m->header);
    if (!st)
        st = match(m, model);
    if (!st) {
        m->piece = ps_try_alloc_raw(PIECE);
        st = m->piece ? PS_OK : ps_fail(PS_NO_MEMORY, "a buffer of 1 MiB");
    }
    if (!st) {
        *out = m;
        return PS_OK;
    }
    ps_model_merge_close(&m);
    return ps_wrap(st, "model %s", name);
}

ps_status ps_model_merge_open(const ps_stored_files *files, const ps_job_spec *spec,
                              const char *version, ps_param_store *store, ps_model_merge **out)
{
    ps_loop_require_off();
    PS_REQUIRE(ps_spec_train_partly(spec->train) && spec->model);
    ps_model_merge *m = ps_new(ps_model_merge);
    *m = (ps_model_merge){.files = files, .lora = spec->train->lora, .store = store};
    return open_merge(m, spec->initialize_from, version, spec->model, out);
}

ps_status ps_model_merge_open_adapter(const ps_stored_files *files, const ps_model_adapter *adapter,
                                      ps_model_merge **out)
{
    ps_loop_require_off();
    ps_model_merge *m = ps_new(ps_model_merge);
    *m = (ps_model_merge){.files = files, .adapter = adapter};
    return open_merge(m, adapter->base, adapter->version, NULL, out);
}

void ps_model_merge_close(ps_model_merge **merge)
{
    ps_model_merge *m = *merge;
    if (!m)
        return;
    if (m->open)
        m->files->disk->close(m->files->disk->state, m->file);
    ps_model_header_free(&m->header);
    ps_free(&m->tensors);
    ps_free(&m->parts);
    ps_free(&m->piece);
    ps_free(&m->numbers);
    ps_free(merge);
}

const ps_safetensors *ps_model_merge_origin(const ps_model_merge *m)
{
    return m->header.file;
}

const ps_model_form *ps_model_merge_tensors(const ps_model_merge *m, size_t *n)
{
    *n = m->header.file->n_tensors;
    return m->tensors;
}

/* ---- writing ---- */

/* An open file, and what it begins with. */
typedef struct opened {
    int file;
    const ps_model_header *header;
} opened;

static opened model_of(const ps_model_merge *m)
{
    return (opened){m->file, &m->header};
}

/* Each piece of a tensor's bytes. */
static ps_status read_bytes(const ps_model_merge *m, opened of, size_t i,
                            ps_status (*take)(void *user, ps_slice bytes), void *user)
{
    const ps_disk *disk = m->files->disk;
    const ps_safetensors_tensor *from = &of.header->file->tensors[i];
    uint64_t left = from->end - from->begin;
    ps_status st = disk->seek(disk->state, of.file, of.header->file->data_start + from->begin);
    while (!st && left) {
        size_t n = left < PIECE ? (size_t)left : PIECE;
        st = ps_disk_read_full(disk, of.file, m->piece, n);
        if (!st)
            st = take(user, ps_slice_of(m->piece, n));
        left -= n;
    }
    return st;
}

static ps_status pass_on(void *user, ps_slice bytes)
{
    return ps_safetensors_writer_data(user, bytes.data, bytes.len);
}

static ps_status feed(void *user, ps_slice bytes)
{
    return ps_form_stream_feed(user, bytes);
}

static ps_status take_numbers(void *user, const ps_model_form *tensor, uint64_t first,
                              const float *values, size_t n)
{
    float *numbers = user;
    (void)tensor;
    memcpy(numbers + first, values, n * sizeof *values);
    return PS_OK;
}

/* All of a tensor's numbers, which are the caller's. */
static ps_status decode(ps_model_merge *m, opened of, size_t i, float **out)
{
    const ps_model_form *tensor = &of.header->tensors[i];
    ps_free(out);
    *out = ps_try_alloc_raw((size_t)ps_model_form_numbers(tensor) * sizeof **out);
    if (!*out)
        return ps_fail(PS_NO_MEMORY, "tensor %s: no memory to merge it", tensor->name);
    ps_form_stream *stream = ps_form_stream_new((ps_form_sink){take_numbers, *out});
    ps_status st = ps_form_stream_begin(stream, tensor);
    if (!st)
        st = read_bytes(m, of, i, feed, stream);
    ps_form_stream_free(&stream);
    return st;
}

typedef struct filling {
    float *at;
} filling;

static ps_status fill(void *state, const float *values, size_t n)
{
    filling *f = state;
    memcpy(f->at, values, n * sizeof *values);
    f->at += n;
    return PS_OK;
}

static ps_status take_half(ps_model_merge *m, size_t i, float **out)
{
    if (m->adapter)
        return decode(m, (opened){m->adapter->file, m->adapter->header}, i, out);
    uint32_t id = (uint32_t)i;
    const ps_param_tensor *t = &ps_param_store_placement(m->store)->tensors[id];
    filling f = { *out = ps_try_alloc_raw((size_t)(t->rows * t->columns) * sizeof **out)};
    if (!f.at)
        return ps_fail(PS_NO_MEMORY, "tensor %s: no memory to merge it", t->name);
    return ps_param_export(m->store, id, (ps_param_sink){fill, &f});
}

static ps_status order_rows(const part *p, float **b)
{
    size_t bytes = (size_t)(p->rank * p->rows->shape[0]) * sizeof **b;
    float *ours = ps_try_alloc_raw(bytes);
    if (!ours)
        return ps_fail(PS_NO_MEMORY, "tensor %s: no memory to merge it", p->rows->name);
    ps_hf_rows_in(p->rows, *b, (size_t)p->rank * sizeof *ours, ours);
    ps_free(b);
    *b = ours;
    return PS_OK;
}

/* W[o,i] += scale · Σ B[o,r]·A[r,i], each element rounded once. */
static void add_product(ps_model_merge *m, size_t i, const float *a, const float *b, double *row)
{
    const ps_model_form *t = &m->tensors[i];
    bool turned = m->parts[i].turned;
    uint64_t rank = m->parts[i].rank;
    uint64_t in = t->shape[turned ? 0 : 1], out = t->shape[turned ? 1 : 0];
    double scale = m->parts[i].scale;
    for (uint64_t o = 0; o < out; o++) {
        memset(row, 0, in * sizeof *row);
        for (uint64_t r = 0; r < rank; r++)
            for (uint64_t k = 0; k < in; k++)
                row[k] += (double)b[o * rank + r] * (double)a[r * in + k];
        for (uint64_t k = 0; k < in; k++) {
            float *w = &m->numbers[turned ? k * out + o : o * in + k];
            *w = (float)((double)*w + scale * row[k]);
        }
    }
}

static ps_status merge(ps_model_merge *m, size_t i)
{
    const ps_model_form *t = &m->tensors[i];
    uint64_t in = t->shape[m->parts[i].turned ? 0 : 1];
    float *a = NULL, *b = NULL;
    double *row = ps_try_alloc_raw((size_t)in * sizeof *row);
    ps_status st = row ? PS_OK : ps_fail(PS_NO_MEMORY, "tensor %s: no memory to merge it", t->name);
    if (!st)
        st = take_half(m, m->parts[i].a, &a);
    if (!st)
        st = take_half(m, m->parts[i].b, &b);
    if (!st && m->parts[i].rows)
        st = order_rows(&m->parts[i], &b);
    if (!st)
        add_product(m, i, a, b, row);
    ps_free(&a);
    ps_free(&b);
    ps_free(&row);
    return st;
}

static ps_status write_merged(ps_model_merge *m, size_t i, ps_safetensors_writer *writer)
{
    const ps_model_form *t = &m->tensors[i];
    size_t n = (size_t)ps_model_form_numbers(t);
    ps_status st = decode(m, model_of(m), i, &m->numbers);
    if (!st)
        st = merge(m, i);
    if (!st)
        st = ps_numbers_check(t->name, t->shape, t->n_dims, 0, m->numbers, n);
    return st ? st : ps_safetensors_writer_data(writer, m->numbers, n * sizeof *m->numbers);
}

static ps_status write_numbers(void *state, const float *values, size_t n)
{
    return ps_safetensors_writer_data(state, values, n * sizeof *values);
}

static ps_status write_tensor(ps_model_merge *m, size_t i, ps_safetensors_writer *writer)
{
    switch (m->parts[i].trained) {
    case ALL:
        return ps_param_export(m->store, (uint32_t)m->parts[i].a,
                               (ps_param_sink){write_numbers, writer});
    case ADAPTER:
        return write_merged(m, i, writer);
    case NOTHING:
        break;
    }
    return read_bytes(m, model_of(m), i, pass_on, writer);
}

ps_status ps_model_merge_write(ps_model_merge *m, ps_safetensors_writer *writer)
{
    ps_loop_require_off();
    ps_status st = PS_OK;
    for (size_t k = 0; !st && k < m->header.file->n_tensors; k++) {
        size_t i = ps_safetensors_writer_order(writer, k);
        st = write_tensor(m, i, writer);
    }
    return st;
}
