/* explain_rows: the table of methods that a job of kind explain may ask for: in which section of
 * the job file each stands, which keys it takes, and what it means for whoever does not compute it.
 * The schema, the checks and the texts of errors are made from it; what a method does is a row of
 * the same name of psworker (worker/explain/rows.h). A new method is a line here and a file there;
 * a key that it is the first to have is a line of the second table. Read-only; any thread.
 */
#ifndef PS_CONF_EXPLAIN_ROWS_H
#define PS_CONF_EXPLAIN_ROWS_H

#include "common/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Lists of the job file's section explain, in the order in which they are computed and shown. */
#define PS_EXPLAIN_SECTIONS(X) X(behaviour) X(attributions) X(inside) X(influence) X(quality)

/* What a method is for, and what it needs. */
typedef enum ps_explain_trait {
    PS_EXPLAIN_LAYERS = 1 << 0,   /* models of layers */
    PS_EXPLAIN_LANGUAGE = 1 << 1, /* language models */
    PS_EXPLAIN_IMAGES = 1 << 10,  /* networks of convolutions */
    PS_EXPLAIN_ANY = PS_EXPLAIN_LAYERS | PS_EXPLAIN_LANGUAGE,
    PS_EXPLAIN_BACKWARD = 1 << 2, /* gradients of the input, or at taps */
    PS_EXPLAIN_LABELS = 1 << 3,   /* every row has a label */
    PS_EXPLAIN_TRAIN = 1 << 4,    /* data.train */
    /* It does not go by the rows that were chosen: its work is PS_EXPLAIN_SHARES shares, which it
     * cuts by itself (matrices, cells of a grid, rows of data.train) */
    PS_EXPLAIN_SHARED = 1 << 5,
    PS_EXPLAIN_LOGITS = 1 << 6, /* score: logit alone: its rules end at the outputs */
    PS_EXPLAIN_OTHER = 1 << 8,  /* another model, compare_to */
    PS_EXPLAIN_TEST = 1 << 9,   /* of one that is SHARED: the rows that were chosen, all the same */
    /* of one that scores rows of data.train for those that were chosen */
    PS_EXPLAIN_TRAINED = PS_EXPLAIN_BACKWARD | PS_EXPLAIN_LABELS | PS_EXPLAIN_TRAIN |
                         PS_EXPLAIN_SHARED | PS_EXPLAIN_TEST,
} ps_explain_trait;

enum {
    PS_EXPLAIN_SHARES = 8,
    PS_EXPLAIN_SHARED_MOST = 12,     /* entries of such methods: each share leaves a file */
    PS_EXPLAIN_CHECKPOINTS_MAX = 64, /* models of a method that looks at several, and of a job */
};

/* ROW(name, section, traits, passes, keys): how often it goes over its rows or shares, with all
 * that it left before merged in between; its keys, each with a default of its own where that is not
 * the usual one, nor 0. Sorted by section. A method with the key `of` is about an attribution of
 * the same job. */
// clang-format off
#define PS_EXPLAIN_ROWS(ROW) \
    ROW(calibration, behaviour, PS_EXPLAIN_ANY | PS_EXPLAIN_IMAGES | PS_EXPLAIN_LABELS, 1, {NULL}) \
    ROW(confusion, behaviour, PS_EXPLAIN_LAYERS | PS_EXPLAIN_IMAGES | PS_EXPLAIN_LABELS, 1, {NULL}) \
    ROW(losses, behaviour, PS_EXPLAIN_ANY | PS_EXPLAIN_IMAGES | PS_EXPLAIN_LABELS, 1, {NULL}) \
    ROW(slices, behaviour, PS_EXPLAIN_ANY | PS_EXPLAIN_IMAGES | PS_EXPLAIN_LABELS, 1, {NULL}) \
    ROW(answer_change, behaviour, PS_EXPLAIN_ANY | PS_EXPLAIN_IMAGES | PS_EXPLAIN_OTHER, 1, {NULL}) \
    ROW(feature_ablation, attributions, PS_EXPLAIN_ANY, 1, {"features"}) \
    ROW(occlusion, attributions, PS_EXPLAIN_ANY, 1, {"window"}, {"stride"}, {"shape"}) \
    ROW(saliency, attributions, PS_EXPLAIN_ANY | PS_EXPLAIN_IMAGES | PS_EXPLAIN_BACKWARD, 1, {NULL}) \
    ROW(gradient_x_input, attributions, PS_EXPLAIN_ANY | PS_EXPLAIN_IMAGES | PS_EXPLAIN_BACKWARD, 1, {NULL}) \
    ROW(integrated_gradients, attributions, PS_EXPLAIN_ANY | PS_EXPLAIN_IMAGES | PS_EXPLAIN_BACKWARD, 1, {"steps"}, \
        {"tolerance"}, {"steps_max", 4096}) \
    ROW(smooth_grad, attributions, PS_EXPLAIN_ANY | PS_EXPLAIN_IMAGES | PS_EXPLAIN_BACKWARD, 1, {"samples", 50}, \
        {"noise"}) \
    ROW(gradient_shap, attributions, PS_EXPLAIN_ANY | PS_EXPLAIN_IMAGES | PS_EXPLAIN_BACKWARD, 1, {"samples", 200}) \
    ROW(shapley, attributions, PS_EXPLAIN_ANY, 1, {"features"}, {"samples"}) \
    ROW(permutation_shapley, attributions, PS_EXPLAIN_ANY, 1, {"features"}, {"permutations"}) \
    ROW(deep_lift, attributions, PS_EXPLAIN_LAYERS | PS_EXPLAIN_BACKWARD | PS_EXPLAIN_LOGITS, 1, \
        {NULL}) \
    ROW(lrp, attributions, PS_EXPLAIN_LAYERS | PS_EXPLAIN_BACKWARD | PS_EXPLAIN_LOGITS, 1, \
        {"epsilon"}) \
    ROW(cp_lrp, attributions, PS_EXPLAIN_LANGUAGE | PS_EXPLAIN_BACKWARD | PS_EXPLAIN_LOGITS, 1, \
        {NULL}) \
    ROW(counterfactuals, attributions, PS_EXPLAIN_LANGUAGE | PS_EXPLAIN_BACKWARD, 1, \
        {"candidates"}) \
    ROW(conductance, inside, PS_EXPLAIN_ANY | PS_EXPLAIN_BACKWARD, 1, {"steps"}, {"tolerance"}, \
        {"steps_max"}) \
    ROW(blocks, inside, PS_EXPLAIN_ANY | PS_EXPLAIN_BACKWARD, 1, {"blocks"}, {"layers"}) \
    ROW(part_shapley, inside, PS_EXPLAIN_ANY, 1, {"players"}, {"blocks", 8}, {"tensor"}, \
        {"layers"}) \
    ROW(weights, inside, PS_EXPLAIN_ANY | PS_EXPLAIN_SHARED, 1, {"side_max"}) \
    ROW(weight_change, inside, PS_EXPLAIN_ANY | PS_EXPLAIN_SHARED | PS_EXPLAIN_OTHER, 1, \
        {"side_max", 512}) \
    ROW(loss_path, inside, \
        PS_EXPLAIN_ANY | PS_EXPLAIN_SHARED | PS_EXPLAIN_OTHER | PS_EXPLAIN_TEST | \
            PS_EXPLAIN_LABELS, \
        1, {"steps", 1}, {"tolerance"}, {"steps_max", 64}) \
    ROW(logit_lens, inside, PS_EXPLAIN_LANGUAGE, 1, {"top"}) \
    ROW(tuned_lens, inside, PS_EXPLAIN_LANGUAGE, 1, {"model"}, {"top"}) \
    ROW(direct_logits, inside, PS_EXPLAIN_LANGUAGE | PS_EXPLAIN_BACKWARD, 1, {NULL}) \
    ROW(attention, inside, PS_EXPLAIN_LANGUAGE, 1, {"patterns"}) \
    ROW(head_scores, inside, PS_EXPLAIN_LANGUAGE | PS_EXPLAIN_SHARED, 1, {"sequences"}, \
        {"length"}) \
    ROW(head_ablation, inside, PS_EXPLAIN_LANGUAGE, 2, {"replace"}) \
    ROW(patching, inside, PS_EXPLAIN_LANGUAGE | PS_EXPLAIN_SHARED | PS_EXPLAIN_BACKWARD, 1, \
        {"patch"}) \
    ROW(activations, inside, PS_EXPLAIN_ANY, 1, {"point"}) \
    ROW(similarity, inside, PS_EXPLAIN_ANY, 1, {"point"}) \
    ROW(representation_change, inside, PS_EXPLAIN_ANY | PS_EXPLAIN_OTHER, 1, {"point"}) \
    ROW(pca, inside, PS_EXPLAIN_ANY, 1, {"point"}, {"components"}) \
    ROW(probes, inside, PS_EXPLAIN_ANY | PS_EXPLAIN_LABELS, 1, {"point"}, {"ridge"}, \
        {"train_share"}) \
    ROW(sae, inside, PS_EXPLAIN_ANY, 1, {"model"}, {"point"}, {"layer"}, {"top", 16}) \
    ROW(tracin, influence, PS_EXPLAIN_ANY | PS_EXPLAIN_TRAINED, 1, {"top", 10}, {"rate"}, \
        {"checkpoints"}, {"scores"}) \
    ROW(ekfac, influence, PS_EXPLAIN_ANY | PS_EXPLAIN_TRAINED, 3, {"top", 10}, {"damping"}, \
        {"empirical"}, {"scores"}) \
    ROW(trak, influence, PS_EXPLAIN_ANY | PS_EXPLAIN_TRAINED, 2, {"top", 10}, {"sketch"}, \
        {"ridge"}, {"checkpoints"}, {"scores"}) \
    ROW(recorded, influence, PS_EXPLAIN_ANY | PS_EXPLAIN_BACKWARD | PS_EXPLAIN_LABELS, 1, \
        {"top", 10}, {"job"}) \
    ROW(deletion, quality, PS_EXPLAIN_ANY, 1, {"of"}, {"steps", 20}, {"samples", 10}) \
    ROW(insertion, quality, PS_EXPLAIN_ANY, 1, {"of"}, {"steps", 20}, {"samples", 10}) \
    ROW(infidelity, quality, PS_EXPLAIN_ANY, 1, {"of"}, {"samples", 100}, {"normalise"}) \
    ROW(sensitivity, quality, PS_EXPLAIN_ANY, 1, {"of"}, {"samples", 10}, {"radius"}) \
    ROW(randomisation, quality, PS_EXPLAIN_ANY, 1, {"of"}) \
    ROW(attribution_change, quality, PS_EXPLAIN_ANY | PS_EXPLAIN_OTHER, 1, {"of"})
// clang-format on

/* Keys below an entry, each a member of that name of ps_spec_explain_method. INT(key, default,
 * least, most); REAL likewise; FLAG(key, default); WORD(key, default, a list of words); TEXT(key,
 * default, fewest, most bytes); INTS(key, default, fewest, most entries, least, most); MAP(key, its
 * struct, its keys); MAPS(key, the struct of one of a list, its keys, most). */
// clang-format off
#define PS_EXPLAIN_KEY_ROWS(INT, REAL, FLAG, WORD, TEXT, INTS, MAP, MAPS) \
    INT(steps, "50", 1, 4096) \
    INT(steps_max, "800", 1, 4096) \
    INT(samples, "2048", 2, 1048576) \
    INT(candidates, "20", 1, 1000) \
    INT(permutations, "10", 1, 100000) \
    INT(side_max, "2048", 1, 8192) \
    INT(top, "5", 1, 100) \
    INT(layer, "0", 0, 1023) \
    FLAG(patterns, "true") \
    FLAG(scores, "false") \
    FLAG(empirical, "false") \
    REAL(damping, "0.1", 0, 1e6) \
    INT(job, "0", 0, INT64_MAX) \
    INT(sketch, "2048", 64, 8192) \
    REAL(rate, "1", 1e-12, 1e12) \
    INT(sequences, "64", 1, 65536) \
    INT(length, "48", 4, 16000) \
    WORD(replace, "mean", replace_words) \
    MAP(patch, ps_spec_explain_patch, ps_spec_explain_patch_keys) \
    INT(components, "3", 1, 16) \
    INT(blocks, "4", 1, 64) \
    WORD(players, "blocks", player_words) \
    TEXT(tensor, "", 0, 63) \
    INTS(layers, "[]", 0, 256, 0, 65536) \
    REAL(epsilon, "1e-6", 0, 10) \
    REAL(noise, "0.15", 0, 10) \
    REAL(tolerance, "0.01", 1e-9, 1) \
    REAL(radius, "0.02", 0, 1e6) \
    REAL(ridge, "0.01", 1e-9, 1e6) \
    REAL(train_share, "0.7", 0.01, 0.99) \
    FLAG(normalise, "false") \
    TEXT(of, "", 0, 64) \
    TEXT(model, "", 0, 64) \
    TEXT(point, "", 0, 32) \
    INTS(window, "[]", 0, 2, 1, 65536) \
    INTS(stride, "[]", 0, 2, 1, 65536) \
    INTS(shape, "[]", 0, 2, 1, 65536) \
    MAP(features, ps_spec_explain_features, ps_spec_explain_features_keys) \
    MAPS(checkpoints, ps_spec_explain_checkpoint, ps_spec_explain_checkpoint_keys, \
         PS_EXPLAIN_CHECKPOINTS_MAX)
// clang-format on

typedef enum ps_explain_section {
#define X(name) PS_EXPLAIN_SECTION_##name,
    PS_EXPLAIN_SECTIONS(X)
#undef X
        PS_EXPLAIN_SECTION_COUNT
} ps_explain_section;

enum { PS_EXPLAIN_KEYS = 12 }; /* that a row may have */

typedef struct ps_explain_key {
    const char *name;
    double usual; /* its default for this method; 0: the schema's */
} ps_explain_key;

typedef struct ps_explain_row {
    const char *name;
    ps_explain_section section;
    unsigned traits;                          /* of ps_explain_trait */
    unsigned passes;                          /* from 1 */
    ps_explain_key keys[PS_EXPLAIN_KEYS + 1]; /* ended by one without a name */
} ps_explain_row;

/* In the order of the tables, ended by NULL. */
extern const char *const ps_explain_names[];
extern const char *const ps_explain_section_names[];

const ps_explain_row *ps_explain_row_at(size_t i);           /* NULL behind the last */
const ps_explain_row *ps_explain_row_find(const char *name); /* NULL: there is none */
bool ps_explain_row_has(const ps_explain_row *row, const char *key);
/* "integrated_gradients and conductance": those that take the key. */
void ps_explain_owners(const char *key, ps_buf *out);

#endif
