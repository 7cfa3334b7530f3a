/* embed_spec: section `embed` of a job file: texts, as tokens, and what is to stand for each. Any
 * thread. */
#ifndef PS_CONF_EMBED_SPEC_H
#define PS_CONF_EMBED_SPEC_H

#include "common/conf/conf.h"

enum { PS_EMBED_TEXTS_MAX = 8192 };

/* What stands for a text. */
typedef enum ps_embed_pool {
    PS_EMBED_POOL_MODEL, /* as the model's section says: model.pooling */
    PS_EMBED_POOL_MEAN,
    PS_EMBED_POOL_CLS,
} ps_embed_pool;

typedef struct ps_spec_embed {
    char **texts; /* "101 7592 102": tokens in decimal, each behind a space; at least one */
    size_t n_texts;
    unsigned pool;  /* ps_embed_pool */
    bool normalise; /* to length 1 */
} ps_spec_embed;

extern const ps_conf_key ps_spec_embed_keys[];

typedef struct ps_job_spec ps_job_spec;
typedef struct ps_spec_model ps_spec_model;

/* The tokens of text i into out[context_length], *n of them. PS_INVALID_ARGUMENT: it is no list of
 * numbers, has a token that the model does not, or more than its context. */
PS_MUST_CHECK ps_status ps_spec_embed_tokens(const ps_spec_embed *embed, size_t i,
                                             const ps_spec_model *model, int32_t *out, size_t *n);
/* Can `model` do it? PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_spec_embed_match(const ps_spec_embed *embed, const ps_spec_model *model);

#endif
