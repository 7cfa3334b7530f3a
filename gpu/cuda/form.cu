/* Matrices in a form: which kernels (form.h) are a form's. One that has none fails the stream, by
 * name. */
#include "gpu/cuda/form.h"

#include "gpu/cuda/forms.h"

#include <string.h>

/* Begins as every operation does; NULL: the stream has failed. */
static const ps_cuda_form *find(ps_stream *s, ps_form form)
{
    if (!ps_cuda_begin(s))
        return nullptr;
    static const ps_cuda_form *const tables[] = {ps_cuda_forms_plain, ps_cuda_forms_integer,
                                                 ps_cuda_forms_blocks, ps_cuda_forms_k};
    for (const ps_cuda_form *rows : tables)
        for (; rows->name; rows++)
            if (strcmp(rows->name, form.row->name) == 0)
                return rows;
    ps_cuda_stream_fail(
        s, ps_cuda_fail(PS_UNIMPLEMENTED, "no products with weights in form %s", form.row->name));
    return nullptr;
}

void ps_cuda_form_product(ps_stream *s, const ps_form_product *p)
{
    const ps_cuda_form *form = find(s, p->w->form);
    if (form)
        form->product(s, p);
}

void ps_cuda_form_embedding(ps_stream *s, ps_tensor y, const ps_form_matrix *table, ps_tensor ids,
                            bool add)
{
    const ps_cuda_form *form = find(s, table->form);
    if (form)
        form->embedding(s, y, table, ids, add);
}

/* Kernels read the bytes as they are in files. */
void ps_cuda_form_arrange(ps_stream *s, const ps_form_matrix *m)
{
    (void)s, (void)m;
}
