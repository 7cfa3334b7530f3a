/* Happy path: every matrix of the blocks is in a form that the layout, or one that goes by its
 * name, takes, or a number where the layout can say so; each is gathered as it comes, packed, and
 * written part by part. So memory is twice that of the largest. It fails before the first byte
 * where a tensor does not fit. */
#include "common/model/hf_pack.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/model/hf_rows.h"

#include <inttypes.h>
#include <stdio.h>

enum { NAME = PS_LM_NAME + 16 };

/* Of a tensor; row NULL: it stays numbers. */
typedef struct packed_tensor {
    const ps_packed_row *row;
    ps_packed_matrix matrix;
} packed_tensor;

struct ps_hf_pack {
    const ps_packed_row *row; /* the first that was asked for */
    const char *activations;  /* the row's word; NULL */
    const char *head;         /* the name of the head's weight, tied or not */
    ps_lm_tensor *tensors;
    packed_tensor *packed;
    size_t n;
    ps_safetensors_tensor *parts; /* of the file */
    char (*names)[NAME];
    size_t at; /* the packed one that comes, */
    uint8_t *gathered;
    uint64_t came; /* and how many bytes of it have */
};

static bool is_of_a_block(const ps_lm_tensor *t)
{
    return t->n_dims == 2 && ps_arch_place_of(t->part) == PS_PLACE_BLOCK;
}

/* As loaders have it: the module's name, without ".weight". */
static int stem(const char *name)
{
    return (int)(strlen(name) - strlen(".weight"));
}

static int stem_of(const ps_lm_tensor *t)
{
    return stem(t->name);
}

static bool takes(const ps_hf_pack *p, const ps_packed_row *row, const ps_packed_matrix *m)
{
    return row->takes(m) && (!p->activations || !m->form.group);
}

/* All in one form, where the layout has no words for several. */
static ps_status check_same(const ps_hf_pack *p, const ps_lm_tensor *t, ps_form form)
{
    char text[PS_FORM_TEXT], first[PS_FORM_TEXT];
    size_t i = 0;
    while (i < p->n && !p->packed[i].row)
        i++;
    if (!p->row->one_form || i == p->n || ps_form_same(p->packed[i].matrix.form, form))
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "tensor %s is stored as %s, others as %s; in %s all are in the same form",
                   t->name, ps_form_text(form, text), ps_form_text(p->packed[i].matrix.form, first),
                   p->row->name);
}

static ps_status check_matrix(ps_hf_pack *p, const ps_model_form *stored, const ps_lm_tensor *t,
                              packed_tensor *out)
{
    char text[PS_FORM_TEXT] = "float32";
    bool number = !stored->form.row || stored->form.row->plain;
    if (t->change == PS_LM_TRANSPOSE)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "format %s is for models of linear layers, such as llama; use format gguf",
                       p->row->name);
    if (number && p->row->skips)
        return PS_OK;
    if (stored->form.row)
        (void)ps_form_text(stored->form, text);
    const ps_packed_matrix m = {stored->form, t->shape[0], t->shape[1]};
    const ps_packed_row *fits = !number && !stored->transposed ? p->row : NULL;
    while (fits && !takes(p, fits, &m))
        fits = p->activations ? NULL : fits->next;
    if (!fits)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "tensor %s is stored as %s, and %s%s%s holds %s; compress the model into "
                       "one of these first",
                       t->name, text, p->row->name, p->activations ? " with activations " : "",
                       p->activations ? p->activations : "", p->row->forms);
    ps_status st = check_same(p, t, m.form);
    *out = (packed_tensor){st ? NULL : fits, m};
    return st;
}

/* With activations there is one layout for each word. */
static ps_status choose(ps_hf_pack *p, const ps_packed_row *row, const char *activations)
{
    static const struct {
        const char *word;
        const ps_packed_row *row;
    } rounded[] = {{"int8", &ps_packed_int8}, {"fp8", &ps_packed_fp8}};
    p->row = row;
    if (!activations)
        return PS_OK;
    for (size_t i = 0; i < sizeof rounded / sizeof *rounded; i++)
        if (row->format && !strcmp(rounded[i].word, activations)) {
            p->row = rounded[i].row;
            p->activations = rounded[i].word;
            return PS_OK;
        }
    return ps_fail(PS_INVALID_ARGUMENT, "format %s has no activations %s", row->name, activations);
}

ps_status ps_hf_pack_new(const ps_packed_row *row, const ps_model_about *about,
                         const char *activations, ps_hf_pack **out)
{
    ps_hf_pack *p = ps_new(ps_hf_pack);
    p->n = about->n;
    p->head = ps_arch_weight(ps_arch_find(about->model->architecture), PS_PART_HEAD);
    p->tensors = ps_alloc_array(p->n, sizeof *p->tensors);
    p->packed = ps_alloc_array(p->n, sizeof *p->packed);
    memcpy(p->tensors, about->tensors, p->n * sizeof *p->tensors);
    size_t any = 0;
    ps_status st = choose(p, row, activations);
    for (size_t i = 0; !st && i < p->n; i++)
        if (is_of_a_block(&p->tensors[i])) {
            st = check_matrix(p, &about->stored[i], &p->tensors[i], &p->packed[i]);
            any += p->packed[i].row != NULL;
        }
    if (!st && !any)
        st = ps_fail(PS_FAILED_PRECONDITION,
                     "no matrix of the model is stored in a form that %s holds: %s; compress it "
                     "into one of these first",
                     p->row->name, p->row->forms);
    if (st)
        ps_hf_pack_free(&p);
    else
        *out = p;
    return st;
}

void ps_hf_pack_free(ps_hf_pack **pack)
{
    ps_hf_pack *p = *pack;
    if (!p)
        return;
    ps_free(&p->tensors);
    ps_free(&p->packed);
    ps_free(&p->parts);
    ps_free(&p->names);
    ps_free(&p->gathered);
    ps_free(pack);
}

/* ---- what config.json says ---- */

/* Names of modules, one behind the other; the array is the caller's, as are its entries. */
typedef struct module_names {
    char **at;
    size_t n;
} module_names;

static void add_name(module_names *list, const ps_hf_pack *p, size_t i)
{
    list->at = ps_realloc(list->at, (list->n + 2) * sizeof *list->at);
    list->at[list->n++] = ps_asprintf("%.*s", stem_of(&p->tensors[i]), p->tensors[i].name);
    list->at[list->n] = NULL;
}

static void free_names(module_names *list)
{
    for (size_t i = 0; i < list->n; i++)
        ps_free(&list->at[i]);
    ps_free(&list->at);
}

/* Matrices of the same form as i is, when it is the first of them. */
static bool gather(const ps_hf_pack *p, size_t i, module_names *list)
{
    for (size_t k = 0; k < p->n; k++) {
        bool same = p->packed[k].row == p->packed[i].row &&
                    ps_form_same(p->packed[k].matrix.form, p->packed[i].matrix.form);
        if (same && k < i)
            return false;
        if (same)
            add_name(list, p, k);
    }
    return true;
}

static size_t list_sorts(const ps_hf_pack *p, ps_packed_sort *sorts, module_names *lists)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->packed[i].row && gather(p, i, &lists[n])) {
            sorts[n] = (ps_packed_sort){p->packed[i].row, p->packed[i].matrix.form,
                                        (const char *const *)lists[n].at};
            n++;
        }
    return n;
}

void ps_hf_pack_config(const ps_hf_pack *p, ps_buf *out)
{
    ps_packed_sort *sorts = ps_alloc_array(p->n, sizeof *sorts);
    module_names *lists = ps_alloc_array(p->n + 1, sizeof *lists);
    module_names others = {0};
    size_t n = list_sorts(p, sorts, lists);
    others.at = ps_alloc_array(2, sizeof *others.at);
    others.at[others.n++] = ps_asprintf("%.*s", stem(p->head), p->head);
    for (size_t i = 0; i < p->n; i++)
        if (is_of_a_block(&p->tensors[i]) && !p->packed[i].row)
            add_name(&others, p, i);
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    p->row->config(&w, sorts, n, (const char *const *)others.at, p->activations);
    ps_json_object_end(&w);
    for (size_t i = 0; i <= n; i++)
        free_names(i < n ? &lists[i] : &others);
    ps_free(&lists);
    ps_free(&sorts);
}

const char *ps_hf_pack_beside(const ps_hf_pack *p)
{
    return p->row->beside;
}

/* ---- tensors ---- */

bool ps_hf_pack_is_packed(const ps_hf_pack *p, size_t tensor)
{
    return p->packed[tensor].row != NULL;
}

/* Of tensor i; out may be NULL. Returns how many. */
static size_t list_parts(const ps_hf_pack *p, size_t i, char (*names)[NAME],
                         ps_safetensors_tensor *out)
{
    ps_packed_part parts[PS_PACKED_PARTS];
    size_t n = p->packed[i].row->parts(&p->packed[i].matrix, parts);
    for (size_t k = 0; out && k < n; k++) {
        (void)snprintf(names[k], NAME, "%.*s.%s", stem_of(&p->tensors[i]), p->tensors[i].name,
                       parts[k].suffix);
        out[k] = (ps_safetensors_tensor){.name = names[k],
                                         .dtype = parts[k].dtype,
                                         .n_dims = parts[k].n_dims,
                                         .shape = {parts[k].shape[0], parts[k].shape[1]}};
    }
    return n;
}

size_t ps_hf_pack_tensors(ps_hf_pack *p, ps_safetensors_dtype dtype,
                          const ps_safetensors_tensor **out)
{
    size_t n = 0;
    p->parts = ps_alloc_array(p->n * PS_PACKED_PARTS, sizeof *p->parts);
    p->names = ps_alloc_array(p->n * PS_PACKED_PARTS, sizeof *p->names);
    for (size_t i = 0; i < p->n; i++) {
        const ps_lm_tensor *t = &p->tensors[i];
        if (ps_hf_pack_is_packed(p, i))
            n += list_parts(p, i, &p->names[n], &p->parts[n]);
        else
            p->parts[n++] = (ps_safetensors_tensor){.name = t->name,
                                                    .dtype = dtype,
                                                    .n_dims = t->n_dims,
                                                    .shape = {t->shape[0], t->shape[1]}};
    }
    *out = p->parts;
    return n;
}

static ps_status check_zeros(const char *name, const packed_tensor *of, const uint8_t *blocks)
{
    if (!ps_packed_zeros_are_whole(&of->matrix, blocks))
        return ps_fail(
            PS_FAILED_PRECONDITION,
            "tensor %s has zeros that are fractions (method hqq makes such), and %s holds "
            "whole ones: export it as numbers (--format hf), or compress with another "
            "method",
            name, of->row->name);
    if (!ps_packed_zeros_are_codes(&of->matrix, blocks))
        return ps_fail(PS_FAILED_PRECONDITION,
                       "tensor %s has zeros above the largest code of %u bits, which %s has no "
                       "room for: export it as numbers (--format hf)",
                       name, of->matrix.form.row->bits, of->row->name);
    return PS_OK;
}

/* As Hugging Face has them. */
static ps_status order_rows(ps_hf_pack *p, const packed_tensor *of)
{
    const ps_lm_tensor *t = &p->tensors[p->at];
    size_t row_bytes = (size_t)ps_form_row_bytes(of->matrix.form, of->matrix.columns);
    if (!t->by_heads)
        return PS_OK;
    uint8_t *theirs = ps_try_alloc_raw((size_t)of->matrix.rows * row_bytes);
    if (!theirs)
        return ps_fail(PS_NO_MEMORY, "no memory for the rows of tensor %s", t->name);
    ps_hf_rows_out(t, p->gathered, row_bytes, theirs);
    ps_free(&p->gathered);
    p->gathered = theirs;
    return PS_OK;
}

/* All of the matrix is there. */
static ps_status put(ps_hf_pack *p, const packed_tensor *of, ps_safetensors_writer *writer)
{
    ps_packed_part parts[PS_PACKED_PARTS];
    uint8_t *at[PS_PACKED_PARTS];
    uint64_t bytes = 0;
    ps_status st = check_zeros(p->tensors[p->at].name, of, p->gathered);
    if (!st)
        st = order_rows(p, of);
    if (st)
        return st;
    size_t n = of->row->parts(&of->matrix, parts);
    for (size_t k = 0; k < n; k++)
        bytes += ps_packed_bytes(&parts[k]);
    uint8_t *packed = ps_try_alloc_raw((size_t)bytes);
    if (!packed)
        return ps_fail(PS_NO_MEMORY, "no memory for a matrix of %" PRIu64 " bytes", bytes);
    at[0] = packed;
    for (size_t k = 1; k < n; k++)
        at[k] = at[k - 1] + ps_packed_bytes(&parts[k - 1]);
    of->row->pack(&of->matrix, p->gathered, at);
    st = ps_safetensors_writer_data(writer, packed, (size_t)bytes);
    ps_free(&packed);
    return st;
}

ps_status ps_hf_pack_bytes(ps_hf_pack *p, ps_slice bytes, ps_safetensors_writer *writer)
{
    while (!ps_hf_pack_is_packed(p, p->at))
        p->at++;
    const ps_packed_matrix *m = &p->packed[p->at].matrix;
    uint64_t all = m->rows * ps_form_row_bytes(m->form, m->columns);
    if (!p->gathered)
        p->gathered = ps_try_alloc_raw((size_t)all);
    if (!p->gathered)
        return ps_fail(PS_NO_MEMORY, "tensor %s takes %" PRIu64 " bytes", p->tensors[p->at].name,
                       all);
    PS_REQUIRE(p->came + bytes.len <= all);
    memcpy(p->gathered + p->came, bytes.data, bytes.len);
    p->came += bytes.len;
    if (p->came < all)
        return PS_OK;
    ps_status st = put(p, &p->packed[p->at], writer);
    ps_free(&p->gathered);
    p->came = 0;
    p->at++;
    return st;
}
