/* distil_spec: section `distil` of a job file: a stored model, the teacher, whose answers a
 * training, also that of a job of kind compress (job_stages.h), follows beside the labels. The loss
 * is alpha · temperature² · D(teacher, student) + (1 - alpha) · the labels' loss (gpu/ops.h,
 * ps_distil). Any thread.
 */
#ifndef PS_CONF_DISTIL_SPEC_H
#define PS_CONF_DISTIL_SPEC_H

#include "common/conf/conf.h"

#include <stdint.h>

typedef struct ps_job_spec ps_job_spec;
typedef struct ps_spec_model ps_spec_model;

typedef enum ps_spec_distil_loss {
    PS_DISTIL_KL,
    PS_DISTIL_REVERSE_KL,
    PS_DISTIL_JSD,
    PS_DISTIL_HIDDEN, /* no divergence: the mean squared difference between hidden states */
} ps_spec_distil_loss;

typedef struct ps_spec_distil {
    char *teacher;      /* the stored model's name; "": the one that kind compress works on */
    unsigned loss;      /* ps_spec_distil_loss */
    double temperature; /* logits of both are divided by it */
    double alpha;       /* the teacher's share of the loss */
    int64_t top_k;    /* so many of the teacher's likeliest answers, and the rest as one; 0: all */
    double on_policy; /* the share of batches whose rows the student goes on with itself */
    /* hidden: layer student_layers[i], counted from 1, is to be as the teacher's teacher_layers[i]:
     * of mlp what an activation gives, of language models the residual stream behind a block */
    int64_t *student_layers;
    size_t n_student_layers;
    int64_t *teacher_layers;
    size_t n_teacher_layers;
} ps_spec_distil;

extern const ps_conf_key ps_spec_distil_keys[];

/* The stored model that teaches the job, whose activations are its data, or that another is
 * compared with: a second one, whose version the job keeps as the first's. "": none. */
const char *ps_job_spec_teacher(const ps_job_spec *spec);

/* Can this model teach the job's? Family, sizes of inputs and outputs; vocabularies may differ in
 * padding where both name one tokenizer. settled: the job's model has what its file leaves to the
 * data, and so the numbers that inputs are normalised by are compared, too. PS_INVALID_ARGUMENT:
 * what is in the way, as "teacher big: ...". A job without a teacher: PS_OK. */
PS_MUST_CHECK ps_status ps_spec_distil_match(const ps_job_spec *spec, const ps_spec_model *teacher,
                                             bool settled);

/* Rules across keys, for job_check.c. */
PS_MUST_CHECK ps_status ps_spec_distil_check(const ps_job_spec *spec, const ps_conf_doc *doc);

#endif
