/* Happy path: key by key both sections have the same text, or the one leaves the key open. A key
 * that differs is named, with both values. */
#include "common/conf/model_keys.h"
#include "common/conf/model_spec.h"
#include "common/conf/write.h"

#include <stdio.h>
#include <string.h>

typedef struct two_texts {
    ps_buf mine, other;
} two_texts;

/* *out is freed by the caller. */
static bool differ(const ps_spec_model *mine, const ps_spec_model *other, const ps_conf_key *key,
                   two_texts *out)
{
    *out = (two_texts){PS_BUF_EMPTY, PS_BUF_EMPTY};
    ps_conf_write(key, mine, &out->mine);
    ps_conf_write(key, other, &out->other);
    return strcmp(ps_buf_cstr(&out->mine), ps_buf_cstr(&out->other)) != 0;
}

static void free_texts(two_texts *t)
{
    ps_buf_free(&t->mine);
    ps_buf_free(&t->other);
}

static ps_status compare(const ps_spec_model *model, const ps_spec_model *other, const char *name)
{
    two_texts t;
    ps_status st = PS_OK;
    if (differ(model, other, ps_model_key_find(name), &t))
        st = ps_fail(PS_INVALID_ARGUMENT, "its %s is %.80s, not %.80s", name, ps_buf_cstr(&t.other),
                     ps_buf_cstr(&t.mine));
    free_texts(&t);
    return st;
}

/* ---- against the model that the job begins from ---- */

/* "model.rope_theta is 10000 (not written) here and 500000 there", when that is so. */
static void put_difference(const ps_spec_model *model, const ps_spec_model *origin,
                           const char *name, const ps_conf_doc *doc, ps_buf *out)
{
    two_texts t;
    char path[64];
    (void)snprintf(path, sizeof path, "model.%s", name);
    if (differ(model, origin, ps_model_key_find(name), &t))
        ps_buf_printf(out, "%s%s is %s%s here and %s there", out->len ? ", " : "", path,
                      ps_buf_cstr(&t.mine), ps_conf_has(doc, path) ? "" : " (not written)",
                      ps_buf_cstr(&t.other));
    free_texts(&t);
}

/* A model that embeds texts learns to tell classes apart: these keys say what is put behind it. */
static bool is_added(const ps_spec_model *model, const ps_spec_model *origin, const char *key)
{
    static const char *const keys[] = {"num_classes", "classes", "pooler", "classifier_dropout"};
    bool added = false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        added |= !strcmp(key, keys[i]);
    return added && ps_spec_model_adds_classes(model, origin);
}

bool ps_spec_model_adds_classes(const ps_spec_model *model, const ps_spec_model *origin)
{
    return ps_spec_model_is_encoder(model) && ps_spec_model_is_encoder(origin) &&
           model->choices.num_classes && !origin->choices.num_classes;
}

static void put_differences(const ps_spec_model *model, const ps_spec_model *origin,
                            const ps_conf_doc *doc, ps_buf *out)
{
    put_difference(model, origin, "architecture", doc, out);
    if (out->len)
        return;
    for (size_t i = 0; i < ps_n_model_keys; i++) {
        const ps_model_key *key = &ps_model_keys[i];
        bool matters =
            ps_model_has_key(model, key) && !key->training && !ps_model_key_is_open(model, key);
        matters &= !is_added(model, origin, key->key);
        if (key->follows) /* where it does in both, what it follows from is named */
            matters &= ps_spec_model_has_own_heads(model) || ps_spec_model_has_own_heads(origin);
        if (matters)
            put_difference(model, origin, key->key, doc, out);
    }
}

ps_status ps_spec_model_match(const ps_spec_model *model, const ps_spec_model *origin,
                              const char *name, const ps_conf_doc *doc)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = PS_OK;
    put_differences(model, origin, doc, &text);
    if (text.len)
        st = ps_conf_fail(doc, "model",
                          "leave the section out, or write in it what model %s is, which the job "
                          "begins from: %s",
                          name, ps_buf_cstr(&text));
    ps_buf_free(&text);
    return st;
}

static void swap_bytes(char *a, char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

void ps_spec_model_take_open(ps_spec_model *model, ps_spec_model *origin)
{
    for (size_t i = 0; i < ps_n_model_keys; i++) {
        const ps_conf_key *key = ps_model_key_find(ps_model_keys[i].key);
        bool word = key->type == PS_CONF_TYPE_WORD, text = key->type == PS_CONF_TYPE_TEXT;
        if (!ps_model_key_is_open(model, &ps_model_keys[i]))
            continue;
        swap_bytes((char *)model + key->offset, (char *)origin + key->offset,
                   word ? sizeof(unsigned) : sizeof(void *));
        if (!word && !text)
            swap_bytes((char *)model + key->count_offset, (char *)origin + key->count_offset,
                       sizeof(size_t));
    }
}

/* ---- two stored ones ---- */

ps_status ps_spec_model_same(const ps_spec_model *model, const ps_spec_model *other)
{
    ps_status st = compare(model, other, "architecture");
    for (size_t i = 0; !st && i < ps_n_model_keys; i++)
        if (ps_model_has_key(model, &ps_model_keys[i]) && !ps_model_keys[i].training)
            st = compare(model, other, ps_model_keys[i].key);
    return st;
}

/* ---- against what a plan has found ---- */

static ps_status check_key(const ps_spec_model *model, const ps_spec_model *settled,
                           const char *name)
{
    two_texts t;
    ps_status st = PS_OK;
    if (differ(model, settled, ps_model_key_find(name), &t))
        st = ps_fail(PS_INVALID_ARGUMENT, "model.%s is %.80s in the job, and %.80s in its plan",
                     name, ps_buf_cstr(&t.mine), ps_buf_cstr(&t.other));
    free_texts(&t);
    return st;
}

static ps_status check_keys(const ps_spec_model *model, const ps_spec_model *settled)
{
    ps_status st = check_key(model, settled, "architecture");
    for (size_t i = 0; i < ps_n_model_keys && !st; i++)
        if (ps_model_has_key(model, &ps_model_keys[i]) &&
            !ps_model_key_is_open(model, &ps_model_keys[i]))
            st = check_key(model, settled, ps_model_keys[i].key);
    return st;
}

ps_status ps_spec_model_settled(const ps_spec_model *model, ps_slice text, ps_spec_model **out)
{
    ps_spec_model *settled = NULL;
    ps_status st = ps_spec_model_parse(text, "the plan's model", &settled);
    if (st)
        return st;
    st = check_keys(model, settled);
    if (st)
        ps_spec_model_free(&settled);
    else
        *out = settled;
    return st;
}
