/* Happy path: what the reader of config.json passes over is kept as it stands there, but for what
 * the writer has of its own. */
#include "common/model/hf_kept.h"

#include "common/model/hf_config.h"
#include "common/model/hf_keys.h"

#include <stdio.h>
#include <string.h>

enum { MOST_KEYS = 256, MOST_NAME = 64 };

/* What a model says of these itself. */
static const char *const own[] = {"architectures", "bos_token_id", "eos_token_id",
                                  "pad_token_id",  "torch_dtype",  "dtype",
                                  "model_type",    "vocab_size",   "quantization_config"};

static bool is_kept(const ps_json_token *key)
{
    const char *name = (const char *)key->text.data;
    if (key->text.len >= MOST_NAME || strlen(name) != key->text.len)
        return false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!strcmp(own[i], name))
            return false;
    return ps_hf_config_passes_over(name);
}

typedef void (*visitor)(void *user, const char *key, ps_slice value);

/* Each member that is kept. */
static void visit(ps_slice object, visitor each, void *user)
{
    ps_json_reader r;
    ps_json_token token;
    size_t n = 0;
    ps_json_reader_init(&r, object);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        char key[MOST_NAME] = "";
        if (is_kept(&token) && n++ < MOST_KEYS)
            (void)snprintf(key, sizeof key, "%s", (const char *)token.text.data);
        ps_slice value;
        st = ps_json_value(&r, &value);
        if (!st && *key)
            each(user, key, value);
    }
    ps_json_reader_free(&r);
}

typedef struct writing {
    const ps_arch *arch;
    ps_json_writer *w;
} writing;

/* The row has its own for some of them. */
static void put(void *user, const char *key, ps_slice value)
{
    const writing *out = user;
    for (const ps_arch_hf_out *row = out->arch->hf.out; row->key; row++)
        if (!strcmp(row->key, key))
            return;
    ps_json_key(out->w, key);
    ps_json_embed_n(out->w, value);
}

static void put_unusual(void *user, const char *key, ps_slice value)
{
    if (!(!strcmp(key, "use_cache") && ps_slice_is(value, "true")) &&
        !(!strcmp(key, "initializer_range") && ps_slice_is(value, "0.02")))
        put(user, key, value);
}

void ps_hf_kept_read(ps_slice json, const ps_arch *arch, ps_buf *out)
{
    size_t before = out->len;
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    size_t empty = out->len;
    visit(json, put_unusual, &(writing){arch, &w});
    bool any = out->len > empty;
    ps_json_object_end(&w);
    if (!any)
        out->len = before;
}

typedef struct search {
    const char *key;
    bool found;
} search;

static void compare(void *user, const char *key, ps_slice value)
{
    (void)value;
    search *s = user;
    s->found |= !strcmp(s->key, key);
}

bool ps_hf_kept_has(const char *kept, const char *key)
{
    search s = {.key = key};
    if (kept)
        visit(ps_slice_str(kept), compare, &s);
    return s.found;
}

/* What stands there is of the model that came in, which may have had no classes, or other ones. */
static void put_but_classes(void *user, const char *key, ps_slice value)
{
    static const char *const keys[] = {"id2label", "label2id", "num_labels", "_num_labels"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(keys[i], key))
            return;
    put(user, key, value);
}

void ps_hf_kept_write(const char *kept, const ps_arch *arch, bool classes, ps_json_writer *w)
{
    if (kept)
        visit(ps_slice_str(kept), classes ? put_but_classes : put, &(writing){arch, w});
}
