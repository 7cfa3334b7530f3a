/* Happy path: model_type is an architecture's own, and the whole object is the model's; or it is
 * that of a model of images and texts whose text_config is. */
#include "common/model/hf_part.h"

#include "common/conf/value.h"
#include "common/json/json.h"

#include <stdio.h>
#include <string.h>

typedef struct found {
    char type[64]; /* "": not said */
    ps_slice text; /* the value of text_config; len 0: none */
} found;

static ps_status take_type(ps_slice value, char type[64])
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, value);
    ps_status st = ps_json_next(&r, &token);
    const char *text = (const char *)token.text.data;
    bool word = !st && token.kind == PS_JSON_STRING && *text && token.text.len < 64 &&
                strlen(text) == token.text.len;
    if (word)
        (void)snprintf(type, 64, "%s", text);
    else if (!st && token.kind != PS_JSON_NULL)
        st = ps_fail(PS_INVALID_ARGUMENT, "model_type has no value that is known here");
    ps_json_reader_free(&r);
    return st;
}

static ps_status look(ps_slice json, found *f)
{
    ps_json_reader r;
    ps_json_token key;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &key);
    while (ps_json_member(&r, &key, &st)) {
        bool type = ps_slice_is(key.text, "model_type"),
             text = ps_slice_is(key.text, "text_config");
        ps_slice value;
        st = ps_json_value(&r, &value);
        if (!st && type)
            st = take_type(value, f->type);
        else if (!st && text)
            f->text = value;
    }
    ps_json_reader_free(&r);
    return st;
}

static const ps_arch *inner_arch(const char *type)
{
    for (size_t i = 0; ps_archs[i]; i++)
        if (ps_archs[i]->hf.type_images && !strcmp(ps_archs[i]->hf.type_images, type))
            return ps_archs[i];
    return NULL;
}

/* It need not say its type again. */
static ps_status check_inner(ps_slice json, const ps_arch *arch)
{
    found f = {.type = ""};
    ps_status st = look(json, &f);
    if (!st && *f.type && strcmp(f.type, ps_arch_model_type(arch)) != 0)
        st = ps_fail(PS_INVALID_ARGUMENT, "model_type is '%s', only '%s' is known here", f.type,
                     ps_arch_model_type(arch));
    return st ? ps_wrap(st, "text_config") : PS_OK;
}

ps_status ps_hf_part_find(ps_slice json, ps_hf_part *out)
{
    found f = {.type = ""};
    *out = (ps_hf_part){.json = json};
    ps_status st = look(json, &f);
    if (st)
        return st;
    if (!*f.type)
        return ps_fail(PS_INVALID_ARGUMENT, "model_type is missing; allowed: %s",
                       ps_arch_list_model_types().text);
    out->arch = ps_arch_find_hf(f.type);
    if (out->arch)
        return PS_OK;
    out->arch = inner_arch(f.type);
    if (!out->arch)
        return ps_fail(PS_INVALID_ARGUMENT, "model_type %s is not known; allowed: %s",
                       ps_conf_quote(f.type).text, ps_arch_list_model_types().text);
    if (!f.text.len || f.text.data[0] != '{')
        return ps_fail(PS_INVALID_ARGUMENT, "model_type is '%s', and text_config is no object",
                       f.type);
    out->json = f.text;
    out->inner = true;
    return check_inner(f.text, out->arch);
}
