/* lowrank: matrices become products of two. Happy path: the rank is a number or a share, and what
 * is done afterwards leaves it so. */
#include "common/conf/compress_keys.h"

#include <math.h>

static const char *const what_words[] = {"all", "ffn", "attention", NULL};

const ps_conf_key ps_compress_lowrank_keys[] = {
    PS_CONF_REAL("rank", ps_spec_lowrank, rank, NULL, 0, 1 << 30),
    PS_CONF_WORD("what", ps_spec_lowrank, what, "all", what_words),
    PS_CONF_BOOL("whiten", ps_spec_lowrank, whiten, "true"),
    PS_CONF_BOOL("merged", ps_spec_lowrank, merged, "false"),
    PS_CONF_END,
};

ps_status ps_compress_lowrank_check(const ps_spec_compress *c, const ps_conf_doc *doc)
{
    const ps_spec_lowrank *l = c->lowrank;
    bool whole = l->rank >= 1 && floor(l->rank) >= l->rank;
    if (!whole && !(l->rank > 0 && l->rank < 1))
        return ps_conf_fail(doc, "compress.lowrank.rank",
                            "%g is neither a whole number from 1 nor a share between 0 and 1",
                            l->rank);
    if (c->quantise && !l->merged)
        return ps_conf_fail(doc, "compress.lowrank",
                            "two matrices are float32, and larger than codes of one: say merged: "
                            "true, or leave out compress.quantise");
    if (c->prune && ps_spec_prune_is_zeros(c->prune))
        return ps_conf_fail(doc, "compress.lowrank",
                            "zeros would not stay zeros in a product of two: leave out "
                            "compress.prune, or remove units with it");
    return PS_OK;
}
