#include "worker/explain/scoring.h"

#include "common/base/require.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

int64_t ps_explain_largest(const float *z, int64_t outputs)
{
    int64_t best = 0;
    for (int64_t i = 1; i < outputs; i++)
        if (z[i] > z[best])
            best = i;
    return best;
}

static ps_status label_of(const ps_explain_label *label, int64_t outputs, int64_t *out)
{
    if (label->label < 0)
        return ps_fail(PS_INVALID_ARGUMENT, "it has no label, and explain.target is label");
    if (label->label >= outputs)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "its label is %" PRId64 ", and the model has %" PRId64 " outputs",
                       label->label, outputs);
    *out = label->label;
    return PS_OK;
}

static ps_status target_of(const ps_spec_explain_target *target, const float *z, int64_t outputs,
                           const ps_explain_label *label, ps_explain_goal *out)
{
    switch (target->kind) {
    case PS_EXPLAIN_LABEL:
        return label_of(label, outputs, &out->target);
    case PS_EXPLAIN_CLASS:
        out->target = target->number;
        break;
    case PS_EXPLAIN_DIFFERENCE:
        out->target = target->difference[0];
        out->other = target->difference[1];
        break;
    default:
        out->target = ps_explain_largest(z, outputs);
    }
    PS_REQUIRE(out->target < outputs && out->other < outputs); /* ps_spec_explain_match */
    return PS_OK;
}

ps_status ps_explain_goal_of(const ps_spec_explain *spec, const ps_spec_model *model,
                             const float *z, int64_t outputs, const ps_explain_label *label,
                             ps_explain_goal *out)
{
    *out = (ps_explain_goal){.score = spec->score, .other = -1};
    if (model->loss == PS_SPEC_CROSS_ENTROPY || spec->score != PS_EXPLAIN_LOSS)
        return target_of(&spec->target, z, outputs, label, out);
    if (!label->targets)
        return ps_fail(PS_INVALID_ARGUMENT, "it has no label, and explain.score is loss");
    out->targets = label->targets;
    return PS_OK;
}

static double largest(const float *z, int64_t outputs)
{
    return (double)z[ps_explain_largest(z, outputs)];
}

double ps_explain_log_sum(const float *z, int64_t outputs)
{
    double most = largest(z, outputs), sum = 0;
    for (int64_t i = 0; i < outputs; i++)
        sum += exp((double)z[i] - most);
    return most + log(sum);
}

static double squared(const ps_explain_goal *goal, const float *z, int64_t outputs)
{
    double sum = 0;
    for (int64_t i = 0; i < outputs; i++) {
        double d = (double)z[i] - (double)goal->targets[i];
        sum += d * d;
    }
    return sum / (double)outputs;
}

double ps_explain_score_of(const ps_explain_goal *goal, const float *z, int64_t outputs)
{
    double own = (double)z[goal->target], its = goal->other < 0 ? 0 : (double)z[goal->other];
    if (goal->targets)
        return squared(goal, z, outputs);
    if (goal->score == PS_EXPLAIN_LOGIT || (goal->score == PS_EXPLAIN_LOG_PROBABILITY &&
                                            goal->other >= 0)) /* what both share cancels */
        return own - its;
    double total = ps_explain_log_sum(z, outputs);
    if (goal->score == PS_EXPLAIN_PROBABILITY)
        return exp(own - total) - (goal->other < 0 ? 0 : exp(its - total));
    return goal->score == PS_EXPLAIN_LOSS ? total - own : own - total;
}

static void squared_gradient(const ps_explain_goal *goal, const float *z, int64_t outputs,
                             float *dz)
{
    for (int64_t i = 0; i < outputs; i++)
        dz[i] = (float)(2 * ((double)z[i] - (double)goal->targets[i]) / (double)outputs);
}

/* Of log softmax(z)_t times `factor`: factor·(1{i = t} − p_i). */
static void softmax_gradient(const ps_explain_goal *goal, const float *z, int64_t outputs,
                             double factor, float *dz)
{
    double total = ps_explain_log_sum(z, outputs);
    for (int64_t i = 0; i < outputs; i++)
        dz[i] = (float)(factor * ((i == goal->target) - exp((double)z[i] - total)));
}

/* Of p_a − p_b: p_a·(1{i = a} − p_i) − p_b·(1{i = b} − p_i). */
static void probability_gradient(const ps_explain_goal *goal, const float *z, int64_t outputs,
                                 float *dz)
{
    double total = ps_explain_log_sum(z, outputs), a = exp((double)z[goal->target] - total);
    double b = goal->other < 0 ? 0 : exp((double)z[goal->other] - total);
    for (int64_t i = 0; i < outputs; i++) {
        double p = exp((double)z[i] - total);
        dz[i] = (float)(a * ((i == goal->target) - p) - b * ((i == goal->other) - p));
    }
}

void ps_explain_score_gradient(const ps_explain_goal *goal, const float *z, int64_t outputs,
                               float *dz)
{
    bool plain = goal->score == PS_EXPLAIN_LOGIT ||
                 (goal->score == PS_EXPLAIN_LOG_PROBABILITY && goal->other >= 0);
    if (goal->targets) {
        squared_gradient(goal, z, outputs, dz);
    } else if (plain) {
        memset(dz, 0, (size_t)outputs * sizeof *dz);
        dz[goal->target] = 1;
        if (goal->other >= 0)
            dz[goal->other] = -1;
    } else if (goal->score == PS_EXPLAIN_PROBABILITY) {
        probability_gradient(goal, z, outputs, dz);
    } else {
        softmax_gradient(goal, z, outputs, goal->score == PS_EXPLAIN_LOSS ? -1 : 1, dz);
    }
}
