/* quantise: numbers become codes. Happy path: the scheme is a form, and every other key means
 * something for it. */
#include "common/conf/compress_keys.h"

#include "common/conf/nearest.h"

#include <stdio.h>
#include <string.h>

static const char *const group_words[] = {"usual", "matrix", "row", "256", "128", "64", "32", NULL};

const ps_conf_key ps_compress_quantise_keys[] = {
    PS_CONF_TEXTS_SHORT("scheme", ps_spec_quantise, scheme, NULL, 1, PS_SPEC_SCHEMES, 1,
                        PS_FORM_TEXT - 1),
    PS_CONF_NAME("method", ps_spec_quantise, method, "round", ps_method_names),
    PS_CONF_WORD("group", ps_spec_quantise, group, "usual", group_words),
    PS_CONF_BOOL("symmetric", ps_spec_quantise, symmetric, "true"),
    PS_CONF_REAL("damp", ps_spec_quantise, damp, "0.01", 1e-6, 1),
    PS_CONF_TEXT("embeddings", ps_spec_quantise, embeddings, "usual", 1, PS_FORM_TEXT - 1),
    PS_CONF_TEXTS("keep", ps_spec_quantise, keep, "[]", 0, 256, 1, 255),
    PS_CONF_MAP_OPT("target", ps_spec_quantise, target, ps_compress_target_keys),
    PS_CONF_END,
};

/* Forms, and then mixes that are called otherwise. */
static const char *nth_scheme(const void *state, size_t i)
{
    (void)state;
    for (size_t f = 0; ps_form_names[f]; f++)
        if (i-- == 0)
            return ps_form_names[f];
    for (size_t m = 0; ps_mix_names[m]; m++)
        if (!ps_form_find(ps_mix_names[m]) && i-- == 0)
            return ps_mix_names[m];
    return NULL;
}

const ps_mix *ps_spec_quantise_mix(const ps_spec_quantise *q)
{
    return ps_form_find(q->scheme[0]) ? NULL : ps_mix_find(q->scheme[0]);
}

/* The integer form of the same bits that has a zero; NULL: the scheme is none without. */
static const ps_form_row *with_zero(const ps_form_row *scheme)
{
    char name[PS_FORM_TEXT];
    if (scheme->group || scheme->plain || scheme->zero)
        return NULL;
    (void)snprintf(name, sizeof name, "u%s", scheme->name);
    return ps_form_find(name);
}

ps_form ps_spec_quantise_form(const ps_spec_quantise *q)
{
    return ps_spec_quantise_choice(q, 0);
}

ps_form ps_spec_quantise_choice(const ps_spec_quantise *q, size_t i)
{
    ps_form form = {.row = ps_form_find(q->scheme[i])};
    if (!form.row)
        return ps_mix_base(ps_mix_find(q->scheme[i])); /* one of both tables */
    if (!q->symmetric && with_zero(form.row))
        form.row = with_zero(form.row);
    form.group = form.row->group;
    if (form.group == 0 && q->group >= PS_GROUP_256)
        form.group = ps_form_groups[q->group - PS_GROUP_256];
    else if (form.group == 0 && q->group == PS_GROUP_USUAL)
        form.group = form.row->bits == 8 ? 0 : 128;
    return form;
}

/* What is one matter of integer forms, said of another. */
static ps_status check_integer_keys(const ps_form_row *scheme, const ps_conf_doc *doc)
{
    static const char group[] = "compress.quantise.group",
                      symmetric[] = "compress.quantise.symmetric";
    bool integer = scheme->group == 0 && !scheme->plain;
    if (ps_conf_has(doc, group) && !integer)
        return ps_conf_fail(doc, group,
                            scheme->plain ? "%s has no scales; only integer schemes have groups"
                                          : "%s has its own blocks; only integer schemes have "
                                            "groups to choose",
                            scheme->name);
    if (ps_conf_has(doc, symmetric) && !with_zero(scheme))
        return ps_conf_fail(doc, symmetric, "only for int8, int4, int3 and int2, not %s",
                            scheme->name);
    return PS_OK;
}

/* Not by the schema: it is of two tables. */
static ps_status check_scheme(const ps_spec_quantise *q, size_t i, const ps_conf_doc *doc)
{
    static const char key[] = "compress.quantise.scheme";
    const char *scheme = q->scheme[i];
    const ps_mix *mix = ps_mix_find(scheme);
    const ps_form_row *form = ps_form_find(scheme);
    if (!form && !mix) {
        ps_buf allowed = PS_BUF_EMPTY;
        ps_conf_allowed(scheme, nth_scheme, NULL, &allowed);
        ps_status st = ps_conf_fail(doc, key, "'%s' is not known%s", scheme, ps_buf_cstr(&allowed));
        ps_buf_free(&allowed);
        return st;
    }
    if (!strcmp((form ? form : ps_mix_base(mix).row)->name, "float32"))
        return ps_conf_fail(doc, key, "%s is what the model has; say one of fewer bits", scheme);
    return PS_OK;
}

/* Likewise: "usual" is no form. */
static ps_status check_embeddings(const ps_spec_quantise *q, const ps_conf_doc *doc)
{
    if (!strcmp(q->embeddings, "usual") || ps_form_find(q->embeddings))
        return PS_OK;
    ps_buf names = PS_BUF_EMPTY;
    ps_names_list(ps_form_names, &names);
    ps_status st =
        ps_conf_fail(doc, "compress.quantise.embeddings", "'%s' is not known; allowed: usual, %.*s",
                     q->embeddings, (int)names.len, (const char *)names.data);
    ps_buf_free(&names);
    return st;
}

static const ps_form_row *row_of(const ps_spec_quantise *q, size_t i)
{
    const ps_form_row *form = ps_form_find(q->scheme[i]);
    return form ? form : ps_mix_base(ps_mix_find(q->scheme[i])).row;
}

static bool any_integer(const ps_spec_quantise *q)
{
    bool any = false;
    for (size_t i = 0; i < q->n_scheme; i++)
        any |= row_of(q, i)->group == 0 && !row_of(q, i)->plain;
    return any;
}

/* One scheme, with what is said of it: of several, of those that it can be said of. */
static ps_status check_form(const ps_spec_quantise *q, size_t i, const ps_conf_doc *doc)
{
    const ps_form_row *scheme = row_of(q, i);
    bool passed_over = any_integer(q) && (scheme->group || scheme->plain);
    ps_status st = passed_over ? PS_OK : check_integer_keys(scheme, doc);
    if (!st && scheme->plain && ps_method_row_find(q->method)->needs != PS_METHOD_NOTHING)
        return ps_conf_fail(doc, "compress.quantise.method",
                            "%s has no codes to choose from; its method is round", q->scheme[i]);
    return st;
}

ps_status ps_compress_quantise_check(const ps_spec_compress *c, const ps_conf_doc *doc)
{
    const ps_spec_quantise *q = c->quantise;
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < q->n_scheme; i++)
        st = check_scheme(q, i, doc);
    if (!st)
        st = ps_compress_target_check(c, doc);
    for (size_t i = 0; !st && i < q->n_scheme; i++)
        st = check_form(q, i, doc);
    if (st)
        return st;
    if (ps_conf_has(doc, "compress.quantise.damp") && !ps_method_row_find(q->method)->inverts)
        return ps_conf_fail(doc, "compress.quantise.damp", "not for method %s", q->method);
    return check_embeddings(q, doc);
}
