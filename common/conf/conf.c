/* Happy path of ps_conf_load: tree, check, bind. The tree is kept for the caller's own checks when
 * it asks for it. */
#include "common/conf/conf.h"

#include "common/base/mem.h"
#include "common/conf/bind.h"
#include "common/conf/check.h"
#include "common/conf/tree.h"
#include "common/conf/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct ps_conf_doc {
    char *file;
    ps_conf_node *root;
    ps_conf_faults *faults; /* noted by ps_conf_fail, too */
};

ps_status ps_conf_load_all(const ps_conf_schema *schema, ps_slice yaml, const char *file_name,
                           ps_conf_doc **out_doc, void **out)
{
    ps_conf_node *root = NULL;
    ps_status st = ps_conf_tree_parse(yaml, file_name, &root);
    if (st)
        return st;
    ps_conf_doc *doc = ps_new(ps_conf_doc);
    doc->file = ps_strdup(file_name);
    doc->root = root;
    doc->faults = ps_new(ps_conf_faults);
    ps_buf plain = PS_BUF_EMPTY;
    ps_conf_check(schema->keys, root, file_name, doc->faults, &plain);
    st = ps_conf_bind(schema, ps_buf_slice(&plain), out);
    ps_buf_free(&plain);
    if (st) {
        ps_conf_doc_free(&doc);
        return ps_wrap(st, "%s", file_name);
    }
    *out_doc = doc;
    return PS_OK;
}

ps_status ps_conf_verdict(const ps_conf_doc *doc)
{
    return ps_conf_faults_verdict(doc->faults);
}

bool ps_conf_faulty(const ps_conf_doc *doc, const char *path)
{
    return ps_conf_faults_have(doc->faults, path);
}

ps_status ps_conf_load(const ps_conf_schema *schema, ps_slice yaml, const char *file_name,
                       ps_conf_doc **out_doc, void **out)
{
    ps_conf_doc *doc = NULL;
    void *data = NULL;
    ps_status st = ps_conf_load_all(schema, yaml, file_name, &doc, &data);
    if (st)
        return st;
    st = ps_conf_verdict(doc);
    if (st)
        ps_conf_free(schema, data);
    else
        *out = data;
    if (!st && out_doc)
        *out_doc = doc;
    else
        ps_conf_doc_free(&doc);
    return st;
}

/* Up to one byte over the limit, so that the limit is seen. */
static ps_status read_file(const char *path, ps_buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return ps_fail_errno(errno, "%s", path);
    ps_status st = PS_OK;
    ps_buf_reserve(out, PS_CONF_MAX_BYTES + 1);
    while (out->len <= PS_CONF_MAX_BYTES) {
        ssize_t n = read(fd, out->data + out->len, PS_CONF_MAX_BYTES + 1 - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            st = ps_fail_errno(errno, "%s", path);
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    (void)close(fd);
    return st;
}

ps_status ps_conf_load_file(const ps_conf_schema *schema, const char *path, ps_conf_doc **doc,
                            void **out)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = read_file(path, &text);
    if (!st)
        st = ps_conf_load(schema, ps_buf_slice(&text), path, doc, out);
    ps_buf_free(&text);
    return st;
}

ps_status ps_conf_defaults(const ps_conf_schema *schema, void **out)
{
    return ps_conf_load(schema, ps_slice_of(NULL, 0), "defaults", NULL, out);
}

void ps_conf_free(const ps_conf_schema *schema, void *data)
{
    ps_conf_unbind(schema, data);
}

/* The key of a path, and the struct it is in. */
static const ps_conf_key *find(const ps_conf_schema *schema, const char *path, char **base)
{
    const ps_conf_key *keys = schema->keys;
    for (;;) {
        size_t len = strcspn(path, ".");
        while (keys->name && (strlen(keys->name) != len || memcmp(keys->name, path, len) != 0))
            keys++;
        if (!keys->name || !path[len])
            return keys->name ? keys : NULL;
        if (keys->type != PS_CONF_TYPE_MAP)
            return NULL;
        *base += keys->offset;
        keys = keys->keys;
        path += len + 1;
    }
}

static void store(const ps_conf_key *key, const ps_conf_value *value, char *base)
{
    void *at = base + key->offset;
    switch (key->type) {
    case PS_CONF_TYPE_BOOL:
        *(bool *)at = value->flag;
        break;
    case PS_CONF_TYPE_INT:
        *(int64_t *)at = value->integer;
        break;
    case PS_CONF_TYPE_REAL:
        *(double *)at = value->real;
        break;
    case PS_CONF_TYPE_WORD:
        *(unsigned *)at = value->word;
        break;
    case PS_CONF_TYPE_TEXT:
        ps_free((char **)at);
        *(char **)at = ps_strdup(value->text);
        break;
    default:
        *(uint64_t *)at = value->amount;
    }
}

ps_status ps_conf_set(const ps_conf_schema *schema, void *data, const char *path, const char *value,
                      const char *origin)
{
    char *base = data;
    const ps_conf_key *key = find(schema, path, &base);
    if (!key || key->type > PS_CONF_TYPE_DURATION)
        return ps_fail(PS_INTERNAL, "%s: there is no single value '%s'", origin, path);
    ps_conf_value parsed;
    ps_status st = ps_conf_value_parse(key, value, &parsed);
    if (st)
        return ps_wrap(st, "%s", origin);
    store(key, &parsed, base);
    return PS_OK;
}

ps_status ps_conf_fail(const ps_conf_doc *doc, const char *path, const char *format, ...)
{
    char text[PS_ERROR_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const ps_conf_node *nearest = NULL;
    (void)ps_conf_node_at(doc->root, path, &nearest);
    ps_status st =
        ps_fail(PS_INVALID_ARGUMENT, "%s:%u: %s: %s", doc->file, nearest->line, path, text);
    ps_conf_faults_add(doc->faults, nearest->line, path, ps_error_message());
    return st;
}

char *ps_conf_where(const ps_conf_doc *doc, const char *path)
{
    const ps_conf_node *nearest = NULL;
    (void)ps_conf_node_at(doc->root, path, &nearest);
    return ps_asprintf("%s:%u: %s", doc->file, nearest->line, path);
}

bool ps_conf_has(const ps_conf_doc *doc, const char *path)
{
    const ps_conf_node *nearest = NULL;
    const ps_conf_node *node = ps_conf_node_at(doc->root, path, &nearest);
    return node && !ps_conf_node_is_null(node);
}

void ps_conf_doc_free(ps_conf_doc **doc)
{
    if (!*doc)
        return;
    ps_conf_tree_free(&(*doc)->root);
    ps_conf_faults_free((*doc)->faults);
    ps_free(&(*doc)->faults);
    ps_free(&(*doc)->file);
    ps_free(doc);
}
