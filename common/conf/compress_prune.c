/* prune: parts of the model are removed. Happy path: what is said fits together, as far as that can
 * be seen without the model; sizes are the plan's matter. */
#include "common/conf/compress_keys.h"

#define WORD(upper, lower) #lower,
const char *const ps_prune_what_words[] = {PS_PRUNE_REMOVED(WORD) "unstructured", "2of4", NULL};
#undef WORD

const char *const ps_prune_by_words[] = {"magnitude", "activation", "moments", NULL};
static const char *const over_words[] = {"row", "tensor", "model", NULL};
static const char *const repair_words[] = {"none", "least_squares", NULL};

const ps_conf_key ps_compress_prune_keys[] = {
    PS_CONF_WORD("what", ps_spec_prune, what, NULL, ps_prune_what_words),
    PS_CONF_REAL("ratio", ps_spec_prune, ratio, NULL, 0, 1),
    PS_CONF_WORD("by", ps_spec_prune, by, "magnitude", ps_prune_by_words),
    PS_CONF_WORD("repair", ps_spec_prune, repair, "least_squares", repair_words),
    PS_CONF_WORD("over", ps_spec_prune, over, "row", over_words),
    PS_CONF_END,
};

/* What a repair chooses by itself has no other way. */
static ps_status check_by(const ps_spec_prune *p, const ps_conf_doc *doc)
{
    if (p->repair != PS_PRUNE_REPAIR_NONE && ps_conf_has(doc, "compress.prune.by"))
        return ps_conf_fail(doc, "compress.prune.by",
                            "%s: a repair chooses by what it cannot make good itself; say "
                            "compress.prune.repair: none",
                            ps_prune_what_words[p->what]);
    return PS_OK;
}

static ps_status check_zeros(const ps_spec_compress *c, const ps_conf_doc *doc)
{
    const ps_spec_prune *p = c->prune;
    const char *what = ps_prune_what_words[p->what];
    if (c->quantise)
        return ps_conf_fail(doc, "compress.prune.what",
                            "%s: zeros would not stay zeros in codes, nor save any; leave out "
                            "compress.quantise",
                            what);
    if (p->what == PS_PRUNE_2OF4 && !(p->ratio >= 0.5 && p->ratio <= 0.5))
        return ps_conf_fail(doc, "compress.prune.ratio", "%s is a ratio of 0.5, not %g", what,
                            p->ratio);
    if (p->over != PS_PRUNE_OVER_ROW && p->what == PS_PRUNE_2OF4)
        return ps_conf_fail(doc, "compress.prune.over", "%s is of each four in a row", what);
    if (p->over != PS_PRUNE_OVER_ROW && p->repair != PS_PRUNE_REPAIR_NONE)
        return ps_conf_fail(doc, "compress.prune.over",
                            "%s: a repair takes as many of each row; say compress.prune.repair: "
                            "none",
                            over_words[p->over]);
    return check_by(p, doc);
}

/* They go by what they change, and what is left is what it was. */
static ps_status check_layers(const ps_spec_compress *c, const ps_conf_doc *doc)
{
    static const char *const without[] = {"compress.prune.by", "compress.prune.repair"};
    for (size_t i = 0; i < 2; i++)
        if (ps_conf_has(doc, without[i]))
            return ps_conf_fail(doc, without[i],
                                "not for layers: those go that change least, and there is no "
                                "product to repair");
    if (c->lowrank)
        return ps_conf_fail(doc, "compress.lowrank",
                            "layers: what is left is a model that no calibration has seen; make it "
                            "thinner by a job of its own");
    return PS_OK;
}

ps_status ps_compress_prune_check(const ps_spec_compress *c, const ps_conf_doc *doc)
{
    const ps_spec_prune *p = c->prune;
    if (!(p->ratio > 0 && p->ratio < 1))
        return ps_conf_fail(doc, "compress.prune.ratio",
                            "%g is out of range, allowed between 0 and 1: the share that goes",
                            p->ratio);
    if (ps_spec_prune_is_zeros(p))
        return check_zeros(c, doc);
    if (p->over != PS_PRUNE_OVER_ROW)
        return ps_conf_fail(doc, "compress.prune.over", "only for unstructured, not %s",
                            ps_prune_what_words[p->what]);
    if (p->what == PS_PRUNE_LAYERS)
        return check_layers(c, doc);
    return p->what == PS_PRUNE_HEADS ? check_by(p, doc) : PS_OK;
}

bool ps_spec_prune_calibrates(const ps_spec_prune *p)
{
    return p->what == PS_PRUNE_LAYERS || p->repair != PS_PRUNE_REPAIR_NONE ||
           p->by == PS_PRUNE_BY_ACTIVATION;
}
