/* Happy path: every matrix of the blocks is in the same form, one that the layout takes; each is
 * gathered as it comes, packed, and written part by part. So memory is twice that of the largest.
 * It fails before the first byte where a tensor does not fit. */
#include "common/model/hf_pack.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <stdio.h>

enum { NAME = PS_LM_NAME + 16 };

struct ps_hf_pack {
    const ps_packed_row *row;
    ps_form form; /* of all of them */
    ps_lm_tensor *tensors;
    ps_packed_matrix *matrices; /* rows 0: not packed */
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
static int stem_of(const ps_lm_tensor *t)
{
    return (int)(strlen(t->name) - strlen(".weight"));
}

static ps_status check_matrix(ps_hf_pack *p, const ps_model_form *stored, const ps_lm_tensor *t,
                              ps_packed_matrix *m)
{
    char text[PS_FORM_TEXT] = "float32", first[PS_FORM_TEXT];
    if (t->change == PS_LM_TRANSPOSE)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "format %s is for models of linear layers, such as llama; use format gguf",
                       p->row->name);
    if (stored->form.row)
        (void)ps_form_text(stored->form, text);
    *m = (ps_packed_matrix){stored->form, t->shape[0], t->shape[1]};
    const ps_packed_row *fits = stored->form.row && !stored->transposed ? p->row : NULL;
    while (fits && !fits->takes(m))
        fits = fits->next;
    if (!fits)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "tensor %s is stored as %s, and %s holds %s; compress the model into one of "
                       "these first",
                       t->name, text, p->row->name, p->row->forms);
    if (!p->form.row) {
        p->form = stored->form;
        p->row = fits;
    }
    if (!ps_form_same(p->form, stored->form))
        return ps_fail(PS_FAILED_PRECONDITION,
                       "tensor %s is stored as %s, others as %s; in %s all are in the same form",
                       t->name, text, ps_form_text(p->form, first), p->row->name);
    return PS_OK;
}

ps_status ps_hf_pack_new(const ps_packed_row *row, const ps_model_about *about, ps_hf_pack **out)
{
    ps_hf_pack *p = ps_new(ps_hf_pack);
    p->row = row;
    p->n = about->n;
    p->tensors = ps_alloc_array(p->n, sizeof *p->tensors);
    p->matrices = ps_alloc_array(p->n, sizeof *p->matrices);
    memcpy(p->tensors, about->tensors, p->n * sizeof *p->tensors);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < p->n; i++)
        if (is_of_a_block(&p->tensors[i]))
            st = check_matrix(p, &about->stored[i], &p->tensors[i], &p->matrices[i]);
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
    ps_free(&p->matrices);
    ps_free(&p->parts);
    ps_free(&p->names);
    ps_free(&p->gathered);
    ps_free(pack);
}

void ps_hf_pack_config(const ps_hf_pack *p, ps_buf *out)
{
    static const char *const others[] = {"lm_head", NULL};
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    p->row->config(&w, p->form, others);
    ps_json_object_end(&w);
}

bool ps_hf_pack_is_packed(const ps_hf_pack *p, size_t tensor)
{
    return p->matrices[tensor].rows != 0;
}

/* Of tensor i; out may be NULL. Returns how many. */
static size_t list_parts(const ps_hf_pack *p, size_t i, char (*names)[NAME],
                         ps_safetensors_tensor *out)
{
    ps_packed_part parts[PS_PACKED_PARTS];
    size_t n = p->row->parts(&p->matrices[i], parts);
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

/* All of the matrix is there. */
static ps_status put(ps_hf_pack *p, const ps_packed_matrix *m, ps_safetensors_writer *writer)
{
    ps_packed_part parts[PS_PACKED_PARTS];
    uint8_t *at[PS_PACKED_PARTS];
    uint64_t bytes = 0;
    size_t n = p->row->parts(m, parts);
    for (size_t k = 0; k < n; k++)
        bytes += ps_packed_bytes(&parts[k]);
    uint8_t *packed = ps_try_alloc_raw((size_t)bytes);
    if (!packed)
        return ps_fail(PS_NO_MEMORY, "no memory for a matrix of %" PRIu64 " bytes", bytes);
    at[0] = packed;
    for (size_t k = 1; k < n; k++)
        at[k] = at[k - 1] + ps_packed_bytes(&parts[k - 1]);
    p->row->pack(m, p->gathered, at);
    ps_status st = ps_safetensors_writer_data(writer, packed, (size_t)bytes);
    ps_free(&packed);
    return st;
}

ps_status ps_hf_pack_bytes(ps_hf_pack *p, ps_slice bytes, ps_safetensors_writer *writer)
{
    while (!ps_hf_pack_is_packed(p, p->at))
        p->at++;
    const ps_packed_matrix *m = &p->matrices[p->at];
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
    ps_status st = put(p, m, writer);
    ps_free(&p->gathered);
    p->came = 0;
    p->at++;
    return st;
}
