/* rows: what the table of methods is made of: ps_explain_method_NAME in a file of this folder, and
 * a word here. */
#ifndef PS_EXPLAIN_ROWS_H
#define PS_EXPLAIN_ROWS_H

#include "worker/explain/method.h"

// clang-format off
#define PS_EXPLAIN_METHODS(row) \
    row(calibration) \
    row(confusion) \
    row(losses) \
    row(slices) \
    row(answer_change) \
    row(feature_ablation) \
    row(occlusion) \
    row(saliency) \
    row(gradient_x_input) \
    row(integrated_gradients) \
    row(smooth_grad) \
    row(gradient_shap) \
    row(shapley) \
    row(permutation_shapley) \
    row(deep_lift) \
    row(lrp) \
    row(cp_lrp) \
    row(counterfactuals) \
    row(conductance) \
    row(blocks) \
    row(part_shapley) \
    row(weights) \
    row(weight_change) \
    row(loss_path) \
    row(logit_lens) \
    row(tuned_lens) \
    row(direct_logits) \
    row(attention) \
    row(head_scores) \
    row(head_ablation) \
    row(patching) \
    row(activations) \
    row(similarity) \
    row(representation_change) \
    row(pca) \
    row(probes) \
    row(sae) \
    row(tracin) \
    row(ekfac) \
    row(trak) \
    row(recorded) \
    row(deletion) \
    row(insertion) \
    row(infidelity) \
    row(sensitivity) \
    row(randomisation) \
    row(attribution_change)
// clang-format on

#define PS_EXPLAIN_METHOD_DECLARE(name) extern const ps_explain_method ps_explain_method_##name;
PS_EXPLAIN_METHODS(PS_EXPLAIN_METHOD_DECLARE)

#endif
