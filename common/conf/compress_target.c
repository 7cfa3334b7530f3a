/* target: what the new model is to come to, and saliency: by what it is said what an error costs.
 * Happy path: scheme is a list of forms, and one thing is asked for. */
#include "common/conf/compress_keys.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const ps_conf_key ps_compress_target_keys[] = {
    PS_CONF_REAL("bits", ps_spec_target, bits, "0", 0, 32),
    PS_CONF_BYTES("size", ps_spec_target, size, "0", 0, INT64_MAX),
    PS_CONF_TEXT("loss", ps_spec_target, loss, "", 0, 32),
    PS_CONF_END,
};

ps_spec_saliency ps_spec_compress_saliency(const ps_spec_compress *c)
{
    if (c->saliency != PS_SALIENCY_USUAL)
        return (ps_spec_saliency)c->saliency;
    const char *method = c->quantise ? c->quantise->method : "round";
    return ps_method_row_find(method)->needs != PS_METHOD_NOTHING ? PS_SALIENCY_ACTIVATIONS
                                                                  : PS_SALIENCY_MAGNITUDE;
}

/* NaN: it is no such text. */
static double loss_of(const char *text, bool *share)
{
    char *end;
    double value = strtod(text, &end);
    *share = *end == '%';
    end += *share;
    bool number = end != text && *end == '\0' && strchr("+.0123456789", text[0]);
    return number && value > 0 && value < 1e6 ? value / (*share ? 100 : 1) : (double)NAN;
}

double ps_spec_target_loss(const ps_spec_target *target, bool *share)
{
    return loss_of(target->loss, share);
}

static ps_status check_wish(const ps_spec_compress *c, const ps_conf_doc *doc)
{
    static const char key[] = "compress.quantise.target", loss[] = "compress.quantise.target.loss";
    const ps_spec_target *t = c->quantise->target;
    bool share;
    if ((t->bits > 0) + (t->size > 0) + (*t->loss != '\0') != 1)
        return ps_conf_fail(doc, key, "say one of bits, size, loss");
    if (!*t->loss)
        return PS_OK;
    if (!isfinite(loss_of(t->loss, &share)))
        return ps_conf_fail(doc, loss, "'%s': expected a number above 0, or a share such as +0.5%%",
                            t->loss);
    if (ps_spec_compress_saliency(c) != PS_SALIENCY_MOMENTS)
        return ps_conf_fail(doc, loss,
                            "the loss is predicted by moments only; say compress.saliency: "
                            "moments");
    return PS_OK;
}

ps_status ps_compress_target_check(const ps_spec_compress *c, const ps_conf_doc *doc)
{
    static const char scheme[] = "compress.quantise.scheme";
    const ps_spec_quantise *q = c->quantise;
    if (!q->target && q->n_scheme > 1)
        return ps_conf_fail(doc, scheme,
                            "several forms are chosen from by compress.quantise.target");
    if (!q->target && c->saliency > PS_SALIENCY_MOMENTS)
        return ps_conf_fail(doc, "compress.saliency",
                            "nothing is chosen by it without compress.quantise.target");
    if (!q->target)
        return PS_OK;
    if (q->n_scheme == 1)
        return ps_conf_fail(doc, scheme,
                            "%s alone leaves nothing to choose: with a target it is a list, such "
                            "as [int2, int3, int4, int8]",
                            q->scheme[0]);
    for (size_t i = 0; i < q->n_scheme; i++)
        if (!ps_form_find(q->scheme[i]))
            return ps_conf_fail(doc, scheme, "%s is a mix; a target chooses among forms",
                                q->scheme[i]);
    if (q->group == PS_GROUP_MATRIX)
        return ps_conf_fail(doc, "compress.quantise.group", "matrix is not for a target");
    return check_wish(c, doc);
}
