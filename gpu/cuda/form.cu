/* Matrices in a form: which kernels (form.h) are a form's, and those of forms without codes and of
 * q8_0 (common/form/plain.c, q8_0.c). One that has none fails the stream, by
 * name. */
#include "gpu/cuda/form.h"

#include "gpu/cuda/form_dot.h"
#include "gpu/cuda/forms.h"

#include <string.h>

namespace
{
struct float32 {
    static __device__ unsigned bytes(unsigned group)
    {
        return 4 * group;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        return reinterpret_cast<const float *>(block)[i];
    }
};

struct bfloat16 {
    static __device__ unsigned bytes(unsigned group)
    {
        return 2 * group;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        return __bfloat162float(reinterpret_cast<const __nv_bfloat16 *>(block)[i]);
    }
};

struct float16 {
    static __device__ unsigned bytes(unsigned group)
    {
        return 2 * group;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        return ps_form_half(block + 2 * i);
    }
};

struct q8_0 {
    static __device__ unsigned bytes(unsigned)
    {
        return 34;
    }
    static __device__ float value(const uint8_t *block, unsigned, unsigned i)
    {
        return ps_form_half(block) * (float)(int8_t)block[2 + i];
    }
    static __device__ int four(const uint8_t *block, unsigned i)
    {
        return (int)(ps_form_two(block + 2 + i) | ps_form_two(block + 4 + i) << 16);
    }
    static __device__ float scale(const uint8_t *block)
    {
        return ps_form_half(block);
    }
};
} // namespace

const ps_cuda_form ps_cuda_forms_plain[] = {ps_cuda_form_row<float32>("float32"),
                                            ps_cuda_form_row<bfloat16>("bfloat16"),
                                            ps_cuda_form_row<float16>("float16"),
                                            ps_cuda_form_dot_row<q8_0>("q8_0"),
                                            {}};

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
        (form->rounded && ps_cuda_form_may_round(p) ? form->rounded : form->product)(s, p);
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
