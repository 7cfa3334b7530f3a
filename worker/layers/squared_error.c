/* Mean squared error: the mean over all elements of (y - target)², as PyTorch's MSELoss. Labels
 * stand for one-hot rows, or for the number itself where there is one output. */
#include "common/base/require.h"
#include "worker/layers/loss.h"

#include <string.h>

static bool labels_are_classes(const ps_loss *l, const ps_loss_goal *goal)
{
    return !goal->targets && l->outputs > 1;
}

static ps_status check(const ps_loss *l, const ps_loss_goal *goal)
{
    if (goal->teaching)
        return ps_fail(PS_INVALID_ARGUMENT, "a teacher teaches loss cross_entropy alone");
    if (!goal->targets && !goal->labels)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "squared_error needs targets or labels, and the data has neither");
    if (labels_are_classes(l, goal))
        return ps_loss_check_labels(goal->labels, goal->rows, l->outputs);
    return PS_OK;
}

static const float *stage(const ps_loss *l, const ps_loss_goal *goal)
{
    if (goal->targets)
        return goal->targets;
    float *rows = l->staged;
    memset(rows, 0, (size_t)(goal->rows * l->outputs) * sizeof *rows);
    for (int64_t r = 0; r < goal->rows; r++) {
        if (l->outputs == 1)
            rows[r] = (float)goal->labels[r];
        else
            rows[r * l->outputs + goal->labels[r]] = 1;
    }
    return rows;
}

/* y[rows,outputs], target[rows,outputs] -> loss; dy = 2 (y - target) / (rows·outputs) */
static void run(ps_stream *s, const ps_loss *l, const ps_loss_goal *goal, const ps_tensor *dy,
                ps_tensor y)
{
    PS_REQUIRE(goal->rows > 0 && goal->rows <= l->goal.shape[0] && goal->weight > 0);
    ps_tensor target = ps_tensor_head(l->goal, goal->rows);
    ps_copy_to_device(s, target, stage(l, goal), ps_tensor_bytes(target));
    if (labels_are_classes(l, goal)) /* before dy, which may be y's own memory */
        ps_op_argmax(s, ps_tensor_head(l->indices, goal->rows), y);
    ps_op_squared_error(s, ps_loss_result_loss(l), dy ? *dy : (ps_tensor){0}, y, target);
    if (dy && goal->weight != 1)
        ps_op_scale(s, *dy, (float)goal->weight);
}

static ps_status value(ps_stream *s, const ps_loss *l, const ps_loss_goal *goal, ps_loss_value *out)
{
    float loss = 0;
    ps_status st = ps_copy_to_host(s, &loss, ps_loss_result_loss(l), sizeof loss);
    if (st)
        return st;
    ps_loss_value v = {.loss = (double)loss, .correct = -1, .divergence = -1};
    if (labels_are_classes(l, goal)) {
        /* the targets have been used, so their staging place is free; outputs > 1, so it is large
         * enough for an index a row */
        int32_t *indices = l->staged;
        st = ps_copy_to_host(s, indices, l->indices, (size_t)goal->rows * sizeof *indices);
        if (st)
            return st;
        v.correct = 0;
        for (int64_t r = 0; r < goal->rows; r++)
            v.correct += indices[r] == goal->labels[r];
    }
    *out = v;
    return PS_OK;
}

const ps_loss_row ps_loss_squared_error = {
    .name = "squared_error",
    .outputs_min = 1,
    .check = check,
    .run = run,
    .value = value,
};
