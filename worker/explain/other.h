/* other: the second model of a job, explain.compare_to for methods with the trait OTHER, or an
 * autoencoder of the first one's activations or a lens, for those with the key `model`. What of it
 * is fetched when it is asked for. Borrowed by ps_explaining. On the task's thread (not asserted:
 * the model asserts it). */
#ifndef PS_EXPLAIN_OTHER_H
#define PS_EXPLAIN_OTHER_H

#include "common/conf/job_spec.h"
#include "common/model/model_forms.h"
#include "worker/explain/method.h"

struct ps_explain_other {
    const char *name;
    const ps_spec_model *spec;
    /* Its tensors as they are stored; theirs until the task ends. */
    ps_status (*tensors)(void *user, const ps_model_form **out, size_t *n);
    /* The numbers of one of them, in psd's order, whatever it is stored in: the caller's
     * (ps_free). */
    ps_status (*numbers)(void *user, const ps_model_form *tensor, float **out);
    /* What a method that goes by rows is given, with this model in place of the first: it answers
     * the same rows and is explained against its own baseline; *out borrows from x, and is good as
     * long. Its evaluations begin at 0: the caller adds them to x's. The model is made when it is
     * first asked for, and kept for the job's next task. PS_NO_MEMORY: there is no room for it
     * beside the first. */
    ps_status (*beside)(void *user, const ps_explaining *x, ps_explaining *out);
    /* It as a model whose parameters the caller changes, float32 unless options say otherwise: the
     * caller's (ps_model_free). Ends the one that `beside` made: not for methods that go by rows.
     * PS_NO_MEMORY likewise. */
    ps_status (*open)(void *user, const ps_model_options *options, ps_model **out);
    void *user;
};

#endif
