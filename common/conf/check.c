/* Happy path: walk the schema's keys; for each, check the node of that name, or take the default,
 * and write it. Before that, every key of the file must be one of the schema's. The first fault
 * ends it, with file, line and path before the words of value.c. */
#include "common/conf/check.h"

#include "common/conf/nearest.h"
#include "common/conf/value.h"

#include <stdio.h>
#include <string.h>

typedef struct checker {
    const char *file;
    ps_buf *out;
    ps_buf path; /* of where we are: "listen.port" */
} checker;

static ps_status check_map(checker *c, const ps_conf_key *keys, const ps_conf_node *map,
                           unsigned line, bool opened);

/* file:line: path: before this thread's message */
static ps_status at(checker *c, unsigned line, ps_status st)
{
    if (c->path.len == 0)
        return ps_wrap(st, "%s:%u", c->file, line);
    return ps_wrap(st, "%s:%u: %s", c->file, line, ps_buf_cstr(&c->path));
}

static size_t enter(checker *c, const char *key)
{
    size_t before = c->path.len;
    ps_buf_printf(&c->path, "%s%s", before ? "." : "", key);
    return before;
}

static void leave(checker *c, size_t before)
{
    c->path.len = before;
}

static const char *nth_key(const void *keys, size_t i)
{
    return ((const ps_conf_key *)keys)[i].name;
}

static ps_status unknown(checker *c, const ps_conf_key *keys, const ps_conf_node *node)
{
    ps_buf allowed = PS_BUF_EMPTY;
    ps_conf_allowed(node->key, nth_key, keys, &allowed);
    ps_conf_quoted q = ps_conf_quote(node->key);
    q.text[strlen(q.text) - 1] = '\0'; /* without the quotes, as part of a path */
    size_t before = enter(c, q.text + 1);
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "unknown key%s", ps_buf_cstr(&allowed));
    ps_buf_free(&allowed);
    st = at(c, node->line, st);
    leave(c, before);
    return st;
}

static ps_status check_names(checker *c, const ps_conf_key *keys, const ps_conf_node *map)
{
    unsigned seen[64] = {0}; /* lines; a table of keys is shorter */
    for (const ps_conf_node *n = map->first; n; n = n->next) {
        size_t i = 0;
        while (keys[i].name && strcmp(keys[i].name, n->key))
            i++;
        if (!keys[i].name)
            return unknown(c, keys, n);
        if (i < 64 && seen[i]) {
            (void)enter(c, n->key);
            return at(c, n->line,
                      ps_fail(PS_INVALID_ARGUMENT, "written twice, first on line %u", seen[i]));
        }
        if (i < 64)
            seen[i] = n->line;
    }
    return PS_OK;
}

static ps_status wrong_kind(checker *c, const ps_conf_key *key, const ps_conf_node *node)
{
    const char *what = ps_conf_node_is_null(node)        ? "nothing"
                       : node->kind == PS_CONF_NODE_MAP  ? "keys and values"
                       : node->kind == PS_CONF_NODE_LIST ? "a list"
                                                         : NULL;
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "expected %s, got %s", ps_conf_type_words(key),
                           what ? what : ps_conf_quote(node->text).text);
    return at(c, node->line, st);
}

static ps_status check_scalar(checker *c, const ps_conf_key *key, const ps_conf_node *node)
{
    if (node->kind != PS_CONF_NODE_SCALAR || ps_conf_node_is_null(node))
        return wrong_kind(c, key, node);
    ps_conf_value value;
    ps_status st = ps_conf_value_parse(key, node->text, &value);
    if (st)
        return at(c, node->line, st);
    ps_conf_value_write(key, &value, c->out);
    return PS_OK;
}

static ps_status check_list(checker *c, const ps_conf_key *key, const ps_conf_node *node)
{
    if (node->kind != PS_CONF_NODE_LIST)
        return wrong_kind(c, key, node);
    size_t n = 0, before = c->path.len;
    ps_buf_putc(c->out, '[');
    for (const ps_conf_node *e = node->first; e; e = e->next, n++) {
        ps_buf_printf(&c->path, "[%zu]", n);
        if (n)
            ps_buf_puts(c->out, ", ");
        ps_status st = check_scalar(c, key, e);
        if (st)
            return st;
        leave(c, before);
    }
    ps_buf_putc(c->out, ']');
    if (n < key->least || n > key->most)
        return at(c, node->line,
                  ps_fail(PS_INVALID_ARGUMENT, "%zu entries, allowed %zu to %zu", n, key->least,
                          key->most));
    return PS_OK;
}

static bool is_list(const ps_conf_key *key)
{
    return key->type == PS_CONF_TYPE_INTS || key->type == PS_CONF_TYPE_TEXTS;
}

static bool is_map(const ps_conf_key *key)
{
    return key->type == PS_CONF_TYPE_MAP || key->type == PS_CONF_TYPE_MAP_OPT;
}

/* Nothing in the file: the default, which is text of the same form. */
static ps_status check_default(checker *c, const ps_conf_key *key, unsigned line)
{
    if (!key->fallback)
        return at(
            c, line,
            ps_fail(PS_INVALID_ARGUMENT, "missing; %s is required here", ps_conf_type_words(key)));
    if (is_list(key)) {
        ps_conf_node *list = NULL;
        ps_status st = ps_conf_tree_parse(ps_slice_str(key->fallback), "default", &list);
        if (st)
            return st;
        st = check_list(c, key, list);
        ps_conf_tree_free(&list);
        return st;
    }
    ps_conf_value value;
    ps_status st = ps_conf_value_parse(key, key->fallback, &value);
    if (st)
        return at(c, line, st);
    ps_conf_value_write(key, &value, c->out);
    return PS_OK;
}

/* One struct of a NAMED map: its name is the value of the first key. */
static ps_status check_entry(checker *c, const ps_conf_key *keys, const ps_conf_node *node)
{
    ps_conf_value name;
    ps_status st = ps_conf_value_parse(keys, node->key, &name);
    if (st)
        return at(c, node->line, ps_wrap(st, "a name here"));
    for (const ps_conf_node *n = node->next; n; n = n->next)
        if (!strcmp(n->key, node->key))
            return at(c, n->line,
                      ps_fail(PS_INVALID_ARGUMENT, "'%s' is there twice, first on line %u",
                              node->key, node->line));
    size_t before = enter(c, node->key);
    ps_buf_printf(c->out, "{\"%s\": ", keys->name);
    ps_conf_value_write(keys, &name, c->out);
    st = check_map(c, keys + 1, ps_conf_node_is_null(node) ? NULL : node, node->line, true);
    leave(c, before);
    return st;
}

static ps_status check_named(checker *c, const ps_conf_key *key, const ps_conf_node *map)
{
    if (map && ps_conf_node_is_null(map))
        map = NULL;
    if (map && map->kind != PS_CONF_NODE_MAP)
        return wrong_kind(c, key, map);
    size_t n = 0;
    ps_buf_putc(c->out, '[');
    for (const ps_conf_node *e = map ? map->first : NULL; e; e = e->next, n++) {
        if (n == key->most)
            return at(c, e->line, ps_fail(PS_INVALID_ARGUMENT, "more than %zu of them", key->most));
        if (n)
            ps_buf_puts(c->out, ", ");
        ps_status st = check_entry(c, key->keys, e);
        if (st)
            return st;
    }
    ps_buf_putc(c->out, ']');
    return PS_OK;
}

/* A scalar where a map stands otherwise: the value of its first key. */
static ps_status check_short(checker *c, const ps_conf_key *key, const ps_conf_node *node)
{
    ps_conf_node first = *node;
    first.next = NULL;
    union {
        const char *kept;
        char *name; /* not changed */
    } name = {.kept = key->keys->name};
    first.key = name.name;
    ps_conf_node map = {.kind = PS_CONF_NODE_MAP, .line = node->line, .first = &first};
    return check_map(c, key->keys, &map, node->line, false);
}

static ps_status check_key(checker *c, const ps_conf_key *key, const ps_conf_node *node,
                           unsigned line)
{
    bool scalar = node && node->kind == PS_CONF_NODE_SCALAR && !ps_conf_node_is_null(node);
    if (key->shorthand && scalar)
        return check_short(c, key, node);
    if (is_map(key)) /* `tls:` with every line below it commented out is an empty section */
        return check_map(c, key->keys, node && !ps_conf_node_is_null(node) ? node : NULL,
                         node ? node->line : line, false);
    if (key->type == PS_CONF_TYPE_NAMED)
        return check_named(c, key, node);
    if (!node)
        return check_default(c, key, line);
    return is_list(key) ? check_list(c, key, node) : check_scalar(c, key, node);
}

/* map may be NULL: absent. line is where a missing key is reported. opened: the caller has written
 * the brace and a first key. */
static ps_status check_map(checker *c, const ps_conf_key *keys, const ps_conf_node *map,
                           unsigned line, bool opened)
{
    if (map && map->kind != PS_CONF_NODE_MAP)
        return wrong_kind(c, &(ps_conf_key){.type = PS_CONF_TYPE_MAP}, map);
    ps_status st = map ? check_names(c, keys, map) : PS_OK;
    if (st)
        return st;
    bool comma = opened;
    if (!opened)
        ps_buf_putc(c->out, '{');
    for (const ps_conf_key *key = keys; key->name; key++) {
        const ps_conf_node *node = map ? ps_conf_node_child(map, key->name) : NULL;
        if (!node && key->type == PS_CONF_TYPE_MAP_OPT)
            continue;
        ps_buf_printf(c->out, "%s\"%s\": ", comma ? ", " : "", key->name);
        comma = true;
        size_t before = enter(c, key->name);
        st = check_key(c, key, node, line);
        if (st)
            return st;
        leave(c, before);
    }
    ps_buf_putc(c->out, '}');
    return PS_OK;
}

ps_status ps_conf_check(const ps_conf_key *keys, const ps_conf_node *root, const char *file_name,
                        ps_buf *out)
{
    checker c = {.file = file_name, .out = out};
    ps_status st = check_map(&c, keys, root, root->line, false);
    ps_buf_free(&c.path);
    return st;
}
