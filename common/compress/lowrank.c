/* Happy path: a matrix of a layer gets a rank, and its two thinner ones are smaller than it is. One
 * that they would not be stays as it is, and `why` says so. */
#include "common/compress/parts.h"
#include "common/form/factors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_of_ffn(const ps_plan_part *part)
{
    return part->part == PS_PART_UP || part->part == PS_PART_GATE || part->part == PS_PART_DOWN;
}

static bool is_meant(const ps_spec_lowrank *l, const ps_plan_part *part)
{
    if (!part || part->role != PS_PLAN_MATRIX)
        return false;
    return l->what == PS_LOWRANK_ALL || (l->what == PS_LOWRANK_FFN) == is_of_ffn(part);
}

static uint32_t rank_of(const ps_spec_lowrank *l, uint64_t least)
{
    double rank = l->rank < 1 ? rint(l->rank * (double)least) : l->rank;
    return rank < 1 ? 1 : (uint32_t)rank;
}

/* Before what was said of its form. */
static void say(ps_plan_tensor *t, const char *text)
{
    char more[PS_PLAN_WHY];
    (void)snprintf(more, sizeof more, "%s", t->why);
    (void)snprintf(t->why, sizeof t->why, "%.50s%s%.60s", text, *more ? "; " : "", more);
}

static void make(ps_plan_tensor *t, const ps_spec_lowrank *l)
{
    uint64_t a = t->stored.shape[0], b = t->stored.shape[1], least = a < b ? a : b;
    uint32_t rank = rank_of(l, least);
    char text[PS_PLAN_WHY];
    if (rank >= least || (!l->merged && !ps_factors_save(rank, a, b))) {
        (void)snprintf(text, sizeof text, "of rank %u it would be no smaller", rank);
        say(t, text);
        return;
    }
    (void)snprintf(text, sizeof text, "rank %u of %" PRIu64 "%s", rank, least,
                   l->merged ? "" : ", two matrices");
    say(t, text);
    t->rank = rank;
    t->solves = true;
    if (l->whiten)
        t->needs = PS_METHOD_HESSIAN;
    if (l->merged)
        return;
    t->stored.form = ps_form_of_rank(rank);
    t->stored.transposed = t->from.transposed;
    t->bytes = t->room = ps_model_form_bytes(&t->stored);
}

ps_status ps_plan_lowrank(ps_plan *plan, const ps_job_spec *spec, const ps_plan_parts *parts)
{
    const ps_spec_lowrank *l = spec->compress->lowrank;
    size_t n = 0;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        ps_plan_tensor *t = &plan->tensors[i];
        if (is_meant(l, ps_plan_part_find(parts, t->stored.name)))
            make(t, l);
        n += t->rank != 0;
    }
    if (n)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "compress.lowrank.rank: by %g no matrix of the model becomes smaller", l->rank);
}
