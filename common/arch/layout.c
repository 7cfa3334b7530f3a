/* What stands before the blocks, each block, and what stands behind. Cannot fail. */
#include "common/arch/layout.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t length(const ps_arch_sizes *s, ps_arch_side which)
{
    uint64_t hidden = (uint64_t)s->hidden_size;
    uint64_t heads = (uint64_t)(s->num_heads * s->head_dim);
    uint64_t kv = (uint64_t)(s->num_kv_heads * s->head_dim);
    switch (which) {
    case PS_SIDE_VOCAB:
        return (uint64_t)s->vocab_size;
    case PS_SIDE_CONTEXT:
        return (uint64_t)s->context_length;
    case PS_SIDE_HIDDEN:
        return hidden;
    case PS_SIDE_HEADS:
        return heads;
    case PS_SIDE_KV:
        return kv;
    case PS_SIDE_QKV:
        return heads + 2 * kv;
    case PS_SIDE_INNER:
        return (uint64_t)s->intermediate_size;
    case PS_SIDE_HEAD:
        return (uint64_t)s->head_dim;
    case PS_SIDE_TYPES:
        return (uint64_t)s->choices.type_vocab_size;
    case PS_SIDE_CLASSES:
        return (uint64_t)s->choices.num_classes;
    case PS_SIDE_NONE:
        break;
    }
    return 0;
}

/* GPT-2's initialisation (Radford 2019, 2.3): what adds to the residual stream, twice a block, is
 * scaled by one over the root of how often. */
static float deviation_of(const ps_arch_sizes *s, ps_arch_start start)
{
    return start == PS_START_NORMAL     ? 0.02f
           : start == PS_START_RESIDUAL ? 0.02f / sqrtf(2.0f * (float)s->num_layers)
                                        : 0;
}

static void fill(const ps_arch *arch, const ps_arch_sizes *s, const ps_arch_tensor *row,
                 int64_t block, ps_lm_tensor *t)
{
    if (ps_arch_place_of(row->part) == PS_PLACE_BLOCK) {
        (void)snprintf(t->name, sizeof t->name, "%s.%" PRId64 ".%s", arch->block, block, row->name);
        if (row->gguf)
            (void)snprintf(t->gguf, sizeof t->gguf, "blk.%" PRId64 ".%s", block, row->gguf);
    } else {
        (void)snprintf(t->name, sizeof t->name, "%s", row->name);
        (void)snprintf(t->gguf, sizeof t->gguf, "%s", row->gguf ? row->gguf : "");
    }
    for (t->n_dims = 0; t->n_dims < 2 && row->sides[t->n_dims] != PS_SIDE_NONE; t->n_dims++)
        t->shape[t->n_dims] = length(s, row->sides[t->n_dims]);
    memcpy(t->sides, row->sides, sizeof t->sides);
    t->change = row->change;
    if (row->change == PS_LM_ROPE_PAIRS || row->by_heads)
        t->heads = (uint64_t)(row->sides[0] == PS_SIDE_KV ? s->num_kv_heads : s->num_heads);
    t->part = row->part;
    t->bias = row->bias;
    t->by_heads = row->by_heads;
    t->start = row->start;
    t->deviation = deviation_of(s, row->start);
}

static bool is_there(const ps_arch_tensor *row, const ps_arch_sizes *s)
{
    bool tied = row->part == PS_PART_HEAD && s->tie_embeddings;
    return !tied && ps_arch_has_option(&s->choices, row->option);
}

void ps_arch_layout(const ps_arch *arch, const ps_arch_sizes *s, ps_lm_tensor **out, size_t *n)
{
    ps_lm_tensor *t = ps_alloc_array(arch->n_tensors * (size_t)s->num_layers, sizeof *t);
    size_t at = 0;
    for (ps_arch_place where = PS_PLACE_BEFORE; where <= PS_PLACE_AFTER; where++) {
        int64_t times = where == PS_PLACE_BLOCK ? s->num_layers : 1;
        for (int64_t block = 0; block < times; block++)
            for (size_t i = 0; i < arch->n_tensors; i++) {
                const ps_arch_tensor *row = &arch->tensors[i];
                if (ps_arch_place_of(row->part) == where && is_there(row, s))
                    fill(arch, s, row, block, &t[at++]);
            }
    }
    *out = t;
    *n = at;
}

/* The first number between two dots, from its dot on; NULL: there is none. */
static const char *block_in(const char *name, const char **rest)
{
    for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
        size_t digits = strspn(dot + 1, "0123456789");
        *rest = dot + 1 + digits;
        if (digits && digits < 10 && **rest == '.')
            return dot;
    }
    return NULL;
}

bool ps_lm_block_of(const char *name, size_t *block)
{
    const char *rest, *dot = block_in(name, &rest);
    *block = dot ? strtoul(dot + 1, NULL, 10) : 0;
    return dot != NULL;
}

bool ps_lm_name_in_block(const char *name, size_t block, char out[PS_LM_NAME])
{
    const char *rest, *dot = block_in(name, &rest);
    int len =
        dot ? snprintf(out, PS_LM_NAME, "%.*s.%zu%s", (int)(dot - name), name, block, rest) : -1;
    return len > 0 && len < PS_LM_NAME;
}
