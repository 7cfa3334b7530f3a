/* convolution_spec: the keys of model.convolutions, and the rules of a model of them; private to
 * common/conf. */
#ifndef PS_CONF_CONVOLUTION_SPEC_H
#define PS_CONF_CONVOLUTION_SPEC_H

#include "common/conf/job_spec.h"

extern const ps_conf_key ps_spec_convolution_keys[];

/* Fills in what follows from other keys (padding, norm_groups, pool_size, pool_stride), and checks
 * that there is something left of the image behind each convolution and each pool. prefix:
 * "model.", or "". PS_INVALID_ARGUMENT with file, line and key. */
PS_MUST_CHECK ps_status ps_spec_convolutions_settle(ps_spec_model *model, const ps_conf_doc *doc,
                                                    const char *prefix);

#endif
