/* Checks, then one call through the table: matrices whose numbers are in a form. */
#include "common/base/require.h"
#include "gpu/op.h"
#include "gpu/op_check.h"

static void check_matrix(const ps_form_matrix *m)
{
    ps_op_check_shape(m->bytes, PS_DTYPE_U8, 2);
    PS_REQUIRE(m->form.row && m->columns > 0 && m->columns <= INT32_MAX);
    PS_REQUIRE(ps_form_divides(m->form, (uint64_t)m->columns));
    PS_REQUIRE((uint64_t)m->bytes.shape[1] == ps_form_row_bytes(m->form, (uint64_t)m->columns));
}

void ps_op_form_arrange(ps_stream *s, const ps_form_matrix *m)
{
    check_matrix(m);
    if (!ps_op_skip(s))
        s->backend->ops->form_arrange(s, m);
}

void ps_op_form_product(ps_stream *s, const ps_form_product *p)
{
    check_matrix(p->w);
    PS_REQUIRE(p->rows > 0 && p->rows <= INT32_MAX && p->w->bytes.shape[0] <= INT32_MAX);
    PS_REQUIRE(p->y.dtype == p->x.dtype || p->y.dtype == PS_DTYPE_F32);
    ps_op_check_span(
        p->x, (ps_op_span){.rows = p->rows, .columns = p->w->columns, .ld = p->ld_x, .batch = 1});
    ps_op_check_span(
        p->y,
        (ps_op_span){.rows = p->rows, .columns = p->w->bytes.shape[0], .ld = p->ld_y, .batch = 1});
    if (!ps_op_skip(s))
        s->backend->ops->form_product(s, p);
}

void ps_op_form_embedding(ps_stream *s, ps_tensor y, const ps_form_matrix *table, ps_tensor ids,
                          bool add)
{
    check_matrix(table);
    ps_op_check_real(y);
    PS_REQUIRE(y.rank == 2 && y.shape[1] == table->columns);
    ps_op_check_count(ids, PS_DTYPE_I32, y.shape[0]);
    if (!ps_op_skip(s))
        s->backend->ops->form_embedding(s, y, table, ids, add);
}
