/* post: which special tokens stand around one text or two, as the post_processor of a
 * tokenizer.json has it; private to common/tokenizer. */
#ifndef PS_TOKENIZER_POST_H
#define PS_TOKENIZER_POST_H

#include "common/tokenizer/part.h"
#include "common/tokenizer/tokenizer.h"

enum { PS_POST_MAX = 256 }; /* places of a template */

typedef struct ps_post_place {
    enum { PS_POST_TOKEN, PS_POST_TEXT, PS_POST_SECOND } what;
    uint32_t id; /* PS_POST_TOKEN */
    uint32_t type;
} ps_post_place;

typedef struct ps_post {
    ps_post_place *one, *two; /* of a text, of a pair; NULL: nothing is added */
    size_t n_one, n_two;
    uint64_t hash; /* of both */
    char *json;    /* the part; NULL: there is none */
} ps_post;

/* A part, or null. The caller frees post in any case. PS_INVALID_ARGUMENT: what is not supported,
 * and where. */
PS_MUST_CHECK ps_status ps_post_read(const ps_part *part, ps_post *post);
void ps_post_free(ps_post *post);
/* As ps_tokenizer_join. */
void ps_post_join(const ps_post *post, const ps_ids *text, const ps_ids *second, ps_ids *out,
                  ps_ids *types);

#endif
