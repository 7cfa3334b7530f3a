/* prune_row: what can be removed from a model, a row each: a file (prune_ffn.c) and a word in
 * PS_PRUNE_REMOVED (common/conf/compress_spec.h). Private to common/compress. */
#ifndef PS_COMPRESS_PRUNE_ROW_H
#define PS_COMPRESS_PRUNE_ROW_H

#include "common/compress/parts.h"

typedef struct ps_prune_row {
    const char *units; /* for messages: "FFN units" */
    bool language;     /* of language models; else of an mlp */
    bool single;       /* any number of them may stay; else products' rows are to be whole blocks */
    bool moves;        /* whole layers (ps_plan_units) */
    /* How many sets of units there are, one of a layer each, and units in one of them. */
    size_t (*sets)(const ps_spec_model *parent);
    uint64_t (*count)(const ps_spec_model *parent, size_t set);
    /* Why none of them can be removed from such a model; NULL: they can. NULL: always. */
    const char *(*no)(const ps_spec_model *parent);
    /* child, the parent's section, becomes that of what is left; its layers may be written to. */
    void (*shrink)(const ps_plan *plan, ps_spec_model *child);
    /* The tensor, which is this part of the parent, has units: ps_prune_add. */
    void (*members)(const ps_plan *plan, const ps_spec_model *parent, const ps_plan_part *part,
                    ps_plan_tensor *tensor);
} ps_prune_row;

/* Unit u is `span` numbers from begin + u · span on, of rows or of columns. */
typedef struct ps_prune_place {
    uint64_t begin, span;
} ps_prune_place;

void ps_prune_add(ps_plan_tensor *tensor, size_t set, bool columns, ps_prune_place place);
/* On each axis of the part that has this side in its architecture. */
void ps_prune_add_side(const ps_plan_part *part, ps_plan_tensor *tensor, size_t set,
                       ps_arch_side side, ps_prune_place place);
size_t ps_prune_blocks(const ps_spec_model *parent); /* one set in each block */

#define PS_PRUNE_DECLARE(upper, lower) extern const ps_prune_row ps_prune_row_##lower;
PS_PRUNE_REMOVED(PS_PRUNE_DECLARE)
#undef PS_PRUNE_DECLARE

#endif
