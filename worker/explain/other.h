/* other: the second model of a job (explain.compare_to), for methods with the trait OTHER. What of
 * it is fetched when it is asked for. Borrowed by ps_explaining. On the task's thread (not
 * asserted: the model asserts it). */
#ifndef PS_EXPLAIN_OTHER_H
#define PS_EXPLAIN_OTHER_H

#include "common/conf/job_spec.h"
#include "common/model/model_forms.h"
#include "worker/models/model.h"

typedef struct ps_explain_other {
    const char *name;
    /* Its tensors as they are stored; theirs until the task ends. */
    ps_status (*tensors)(void *user, const ps_model_form **out, size_t *n);
    /* The numbers of one of them, in psd's order, whatever it is stored in: the caller's
     * (ps_free). */
    ps_status (*numbers)(void *user, const ps_model_form *tensor, float **out);
    /* It as a model of this device, float32 unless options say otherwise: the caller's
     * (ps_model_free). PS_NO_MEMORY: there is none beside the first. */
    ps_status (*open)(void *user, const ps_model_options *options, ps_model **out);
    void *user;
} ps_explain_other;

#endif
