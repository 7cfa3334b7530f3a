/* Softmax cross-entropy with labels: the mean over the rows of -log softmax(y)[label]. */
#include "common/base/require.h"
#include "worker/layers/loss.h"

static ps_status check(const ps_loss *l, const ps_loss_goal *goal)
{
    if (!goal->labels)
        return ps_fail(PS_INVALID_ARGUMENT, "cross_entropy needs labels, and the data has none");
    return ps_loss_check_labels(goal->labels, goal->rows, l->outputs);
}

/* y[rows,outputs], labels[rows] -> loss, correct; dy = (softmax(y) - onehot(labels)) / rows */
static void run(ps_stream *s, const ps_loss *l, const ps_loss_goal *goal, const ps_tensor *dy,
                ps_tensor y)
{
    PS_REQUIRE(goal->rows > 0 && goal->rows <= l->goal.shape[0] && goal->weight > 0);
    ps_tensor labels = ps_tensor_head(l->goal, goal->rows);
    ps_copy_to_device(s, labels, goal->labels, ps_tensor_bytes(labels));
    const ps_cross_entropy task = {.loss = ps_loss_result_loss(l),
                                   .correct = ps_loss_result_correct(l),
                                   .dlogits = dy ? *dy : (ps_tensor){0},
                                   .logits = y,
                                   .labels = labels,
                                   .scale = (float)(goal->weight / (double)goal->rows)};
    if (goal->teaching)
        ps_loss_distil(s, goal->teaching, &task, goal->teaching->logits,
                       ps_loss_result_divergence(l));
    else
        ps_op_cross_entropy(s, &task);
}

static ps_status value(ps_stream *s, const ps_loss *l, const ps_loss_goal *goal, ps_loss_value *out)
{
    struct {
        float loss;
        int32_t correct;
        float divergence;
    } got;
    ps_status st = ps_copy_to_host(s, &got, l->result, sizeof got);
    if (st)
        return st;
    double divergence = (double)got.divergence / goal->weight;
    *out = (ps_loss_value){.loss = (double)got.loss / goal->weight, .correct = got.correct};
    if (!goal->teaching)
        out->divergence = -1;
    else
        out->divergence = divergence < 0 ? 0 : divergence; /* but for rounding it is not */
    return PS_OK;
}

const ps_loss_row ps_loss_cross_entropy = {
    .name = "cross_entropy",
    .outputs_min = 2,
    .goal_is_labels = true,
    .probabilities = true,
    .check = check,
    .run = run,
    .value = value,
};
