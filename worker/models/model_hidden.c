/* Hidden states that are to be as a teacher's (FitNets; Romero et al. 2015, arXiv 1412.6550), of
 * equal width: D = 1/pairs · Σ over pairs of the mean of (s - t)²,    dD/ds = 2 (s - t) / (pairs ·
 * elements) What the goal's weight and alpha make of it is in each pair's factor. Only enqueues. */
#include "common/base/require.h"
#include "worker/models/model_row.h"

#include <math.h>

/* Of the sum of squares of a pair, as the loss's result has it: times the goal's weight. */
static float factor_of(const ps_model *m, ps_tensor state)
{
    return (float)(m->goal.weight / (double)m->followed->n_hidden / (double)ps_tensor_count(state));
}

static ps_tensor teachers(const ps_model *m, size_t pair)
{
    return m->teacher->row->hidden(m->teacher, m->followed->of_teacher[pair]);
}

void ps_model_compare(ps_model *m)
{
    ps_tensor sum = ps_loss_result_divergence(&m->loss);
    ps_op_fill(m->stream, sum, 0);
    for (size_t i = 0; i < m->followed->n_hidden; i++) {
        ps_tensor own = m->row->hidden(m, m->followed->of_student[i]), its = teachers(m, i);
        ps_tensor room = m->row->room(m);
        PS_REQUIRE(ps_tensor_count(own) == ps_tensor_count(its) && own.dtype == PS_DTYPE_F32);
        PS_REQUIRE(ps_tensor_count(room) >= ps_tensor_count(own));
        room = ps_tensor_2d(room.buffer, room.offset, PS_DTYPE_F32, own.shape[0], own.shape[1]);
        ps_copy(m->stream, room, own);
        ps_op_axpy(m->stream, room, -1, its);
        ps_op_scale(m->stream, room, sqrtf(factor_of(m, own)));
        ps_op_squared_norm(m->stream, sum, room, true);
    }
}

void ps_model_follow(ps_model *m, int64_t layer, ps_tensor dx)
{
    for (size_t i = 0; m->followed && i < m->followed->n_hidden; i++) {
        if (m->followed->of_student[i] != layer)
            continue;
        ps_tensor own = m->row->hidden(m, layer);
        float factor = 2 * m->teaching.alpha * factor_of(m, own);
        ps_op_axpy(m->stream, dx, factor, own);
        ps_op_axpy(m->stream, dx, -factor, teachers(m, i));
    }
}
