#include "tests/lib/conf_example.h"

#include "common/base/mem.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static char *source_path(const char *name)
{
    const char *root = getenv("PSD_SOURCE_ROOT");
    return ps_asprintf("%s/%s", root ? root : ".", name);
}

ps_buf ps_test_source_file(const char *name)
{
    char *path = source_path(name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    ps_buf text = PS_BUF_EMPTY;
    char part[4096];
    size_t n = 0;
    while ((n = fread(part, 1, sizeof part, file)) > 0)
        ps_buf_append(&text, part, n);
    fclose(file);
    ps_free(&path);
    return text;
}

static void walk_keys(const ps_conf_key *keys, const ps_conf_doc *doc, const char *above)
{
    for (const ps_conf_key *key = keys; key->name; key++) {
        char *path = ps_asprintf("%s%s%s", above, *above ? "." : "", key->name);
        ck_assert_msg(ps_conf_has(doc, path), "%s is not in the example file", path);
        if (key->keys && key->type != PS_CONF_TYPE_NAMED) /* whose names are the user's */
            walk_keys(key->keys, doc, path);
        ps_free(&path);
    }
}

static void *load(const ps_conf_schema *schema, const char *name, ps_conf_doc **doc)
{
    char *path = source_path(name);
    void *data = NULL;
    ps_status st = ps_conf_load_file(schema, path, doc, &data);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    ps_free(&path);
    return data;
}

void ps_test_example_has_every_key(const ps_conf_schema *schema, const char *name)
{
    ps_conf_doc *doc = NULL;
    void *data = load(schema, name, &doc);
    walk_keys(schema->keys, doc, "");
    ps_conf_doc_free(&doc);
    ps_conf_free(schema, data);
}

static bool same_texts(char *const *a, size_t n_a, char *const *b, size_t n_b)
{
    for (size_t i = 0; i < n_a && i < n_b; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return n_a == n_b;
}

static bool same(const ps_conf_key *key, const char *a, const char *b)
{
    const void *x = a + key->offset, *y = b + key->offset;
    switch (key->type) {
    case PS_CONF_TYPE_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case PS_CONF_TYPE_TEXT:
        return !strcmp(*(char *const *)x, *(char *const *)y);
    case PS_CONF_TYPE_WORD:
        return *(const unsigned *)x == *(const unsigned *)y;
    case PS_CONF_TYPE_TEXTS:
        return same_texts(
            *(char **const *)x, *(const size_t *)(const void *)(a + key->count_offset),
            *(char **const *)y, *(const size_t *)(const void *)(b + key->count_offset));
    default:
        return !memcmp(x, y, 8);
    }
}

static void compare(const ps_conf_key *keys, const char *a, const char *b, const char *above)
{
    for (const ps_conf_key *key = keys; key->name; key++) {
        if (key->type == PS_CONF_TYPE_MAP)
            compare(key->keys, a + key->offset, b + key->offset, key->name);
        else if (key->fallback)
            ck_assert_msg(same(key, a, b), "%s %s: the example does not show the default", above,
                          key->name);
    }
}

void ps_test_example_has_the_defaults(const ps_conf_schema *schema, const char *name,
                                      const char *minimal)
{
    void *example = load(schema, name, NULL), *plain = NULL;
    ps_status st = ps_conf_load(schema, ps_slice_str(minimal), "minimal", NULL, &plain);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    compare(schema->keys, example, plain, "");
    ps_conf_free(schema, example);
    ps_conf_free(schema, plain);
}
