/* Happy path: walk the schema's keys; for each, check the node of that name, or take the default,
 * and write it. Before that, every key of the file must be one of the schema's. A fault is noted,
 * with file, line and path before the words of value.c, and something of the right type is written
 * in its place, so that the others are found, too. */
#include "common/conf/check.h"

#include "common/conf/nearest.h"
#include "common/conf/value.h"

#include <stdio.h>
#include <string.h>

typedef struct checker {
    const char *file;
    ps_conf_faults *faults;
    bool mute; /* what is checked stands for something that was noted */
    ps_buf *out;
    ps_buf path; /* of where we are: "listen.port" */
} checker;

static void check_map(checker *c, const ps_conf_key *keys, const ps_conf_node *map, unsigned line,
                      bool opened);

/* Notes it: file:line: path: before this thread's message. */
static void at(checker *c, unsigned line, ps_status st)
{
    if (c->mute)
        return;
    const char *path = ps_buf_cstr(&c->path);
    if (*path)
        (void)ps_wrap(st, "%s:%u: %s", c->file, line, path);
    else
        (void)ps_wrap(st, "%s:%u", c->file, line);
    ps_conf_faults_add(c->faults, line, path, ps_error_message());
}

/* What stands for a scalar that is wrong or missing. */
static void put_anything(checker *c, const ps_conf_key *key)
{
    ps_conf_value v = {.integer = key->min,
                       .amount = key->min > 0 ? (uint64_t)key->min : 0,
                       .real = key->real_min,
                       .text = key->words ? key->words[0] : "x"};
    ps_conf_value_write(key, &v, c->out);
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

/* Returns the key that was meant, if it is near enough. */
static const char *unknown(checker *c, const ps_conf_key *keys, const ps_conf_node *node)
{
    ps_buf allowed = PS_BUF_EMPTY;
    ps_conf_allowed(node->key, nth_key, keys, &allowed);
    ps_conf_quoted q = ps_conf_quote(node->key);
    q.text[strlen(q.text) - 1] = '\0'; /* without the quotes, as part of a path */
    size_t before = enter(c, q.text + 1);
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "unknown key%s", ps_buf_cstr(&allowed));
    ps_buf_free(&allowed);
    at(c, node->line, st);
    leave(c, before);
    return ps_conf_nearest(node->key, nth_key, keys);
}

/* meant: for each key, that a misspelt one was probably this. A table of keys is shorter. */
enum { KEYS_MOST = 64 };

static void check_names(checker *c, const ps_conf_key *keys, const ps_conf_node *map,
                        bool meant[KEYS_MOST])
{
    unsigned seen[KEYS_MOST] = {0}; /* lines */
    for (const ps_conf_node *n = map->first; n; n = n->next) {
        size_t i = 0;
        while (keys[i].name && strcmp(keys[i].name, n->key))
            i++;
        if (!keys[i].name) {
            const char *near = unknown(c, keys, n);
            for (i = 0; near && i < KEYS_MOST && keys[i].name; i++)
                meant[i] |= keys[i].name == near;
        } else if (i < KEYS_MOST && seen[i]) {
            size_t before = enter(c, n->key);
            at(c, n->line,
               ps_fail(PS_INVALID_ARGUMENT, "written twice, first on line %u", seen[i]));
            leave(c, before);
        } else if (i < KEYS_MOST) {
            seen[i] = n->line;
        }
    }
}

static void wrong_kind(checker *c, const ps_conf_key *key, const ps_conf_node *node)
{
    const char *what = ps_conf_node_is_null(node)        ? "nothing"
                       : node->kind == PS_CONF_NODE_MAP  ? "keys and values"
                       : node->kind == PS_CONF_NODE_LIST ? "a list"
                                                         : NULL;
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "expected %s, got %s", ps_conf_type_words(key),
                           what ? what : ps_conf_quote(node->text).text);
    at(c, node->line, st);
}

static void check_scalar(checker *c, const ps_conf_key *key, const ps_conf_node *node)
{
    ps_conf_value value;
    if (node->kind != PS_CONF_NODE_SCALAR || ps_conf_node_is_null(node)) {
        wrong_kind(c, key, node);
        put_anything(c, key);
        return;
    }
    ps_status st = ps_conf_value_parse(key, node->text, &value);
    if (st) {
        at(c, node->line, st);
        put_anything(c, key);
        return;
    }
    ps_conf_value_write(key, &value, c->out);
}

/* With every line below it commented out it is an empty one, as a section is. */
static void check_list(checker *c, const ps_conf_key *key, const ps_conf_node *node)
{
    bool nothing = ps_conf_node_is_null(node) && !key->least;
    if (node->kind != PS_CONF_NODE_LIST && !nothing) {
        wrong_kind(c, key, node);
        ps_buf_puts(c->out, "[]");
        return;
    }
    size_t n = 0, before = c->path.len;
    ps_buf_putc(c->out, '[');
    for (const ps_conf_node *e = node->first; e; e = e->next, n++) {
        ps_buf_printf(&c->path, "[%zu]", n);
        if (n)
            ps_buf_puts(c->out, ", ");
        check_scalar(c, key, e);
        leave(c, before);
    }
    ps_buf_putc(c->out, ']');
    if (n < key->least || n > key->most)
        at(c, node->line,
           ps_fail(PS_INVALID_ARGUMENT, "%zu entries, allowed %zu to %zu", n, key->least,
                   key->most));
}

static bool is_list(const ps_conf_key *key)
{
    return key->type == PS_CONF_TYPE_INTS || key->type == PS_CONF_TYPE_REALS ||
           key->type == PS_CONF_TYPE_TEXTS;
}

static bool is_map(const ps_conf_key *key)
{
    return key->type == PS_CONF_TYPE_MAP || key->type == PS_CONF_TYPE_MAP_OPT;
}

/* Nothing in the file: the default, which is text of the same form. */
static void check_default(checker *c, const ps_conf_key *key, unsigned line)
{
    ps_conf_value value;
    ps_conf_node *list = NULL;
    if (!key->fallback) {
        at(c, line,
           ps_fail(PS_INVALID_ARGUMENT, "missing; %s is required here", ps_conf_type_words(key)));
        if (is_list(key))
            ps_buf_puts(c->out, "[]");
        else
            put_anything(c, key);
    } else if (!*key->fallback &&
               (key->type == PS_CONF_TYPE_INT || key->type == PS_CONF_TYPE_BYTES)) {
        ps_conf_value_write(key, &(ps_conf_value){.integer = -1, .amount = UINT64_MAX}, c->out);
    } else if (is_list(key)) {
        ps_status st = ps_conf_tree_parse(ps_slice_str(key->fallback), "default", &list);
        if (st)
            at(c, line, st);
        else
            check_list(c, key, list);
        ps_conf_tree_free(&list);
    } else if (ps_conf_value_parse(key, key->fallback, &value)) {
        at(c, line, PS_INVALID_ARGUMENT);
        put_anything(c, key);
    } else {
        ps_conf_value_write(key, &value, c->out);
    }
}

/* Its name is wrong, or there is another of that name behind it: noted, and not taken. */
static bool bad_name(checker *c, const ps_conf_key *keys, const ps_conf_node *node,
                     ps_conf_value *name)
{
    ps_status st = ps_conf_value_parse(keys, node->key, name);
    if (st) {
        at(c, node->line, ps_wrap(st, "a name here"));
        return true;
    }
    for (const ps_conf_node *n = node->next; n; n = n->next) {
        if (strcmp(n->key, node->key) != 0)
            continue;
        at(c, n->line,
           ps_fail(PS_INVALID_ARGUMENT, "'%s' is there twice, first on line %u", node->key,
                   node->line));
        return true;
    }
    return false;
}

/* One struct of a NAMED map: its name is the value of the first key. */
static void check_entry(checker *c, const ps_conf_key *keys, const ps_conf_node *node,
                        const ps_conf_value *name)
{
    size_t before = enter(c, node->key);
    ps_buf_printf(c->out, "{\"%s\": ", keys->name);
    ps_conf_value_write(keys, name, c->out);
    check_map(c, keys + 1, ps_conf_node_is_null(node) ? NULL : node, node->line, true);
    leave(c, before);
}

static void check_named(checker *c, const ps_conf_key *key, const ps_conf_node *map)
{
    if (map && !ps_conf_node_is_null(map) && map->kind != PS_CONF_NODE_MAP)
        wrong_kind(c, key, map);
    if (map && map->kind != PS_CONF_NODE_MAP)
        map = NULL;
    size_t n = 0;
    ps_buf_putc(c->out, '[');
    for (const ps_conf_node *e = map ? map->first : NULL; e; e = e->next) {
        ps_conf_value name;
        if (n == key->most) {
            at(c, e->line, ps_fail(PS_INVALID_ARGUMENT, "more than %zu of them", key->most));
            break;
        }
        if (bad_name(c, key->keys, e, &name))
            continue;
        if (n++)
            ps_buf_puts(c->out, ", ");
        check_entry(c, key->keys, e, &name);
    }
    ps_buf_putc(c->out, ']');
}

/* A value where a map stands otherwise: that of its first key. */
static void check_short(checker *c, const ps_conf_key *key, const ps_conf_node *node)
{
    ps_conf_node first = *node;
    first.next = NULL;
    union {
        const char *kept;
        char *name; /* not changed */
    } name = {.kept = key->keys->name};
    first.key = name.name;
    ps_conf_node map = {.kind = PS_CONF_NODE_MAP, .line = node->line, .first = &first};
    check_map(c, key->keys, &map, node->line, false);
}

/* A scalar where a list stands otherwise: its one entry. */
static void check_one(checker *c, const ps_conf_key *key, const ps_conf_node *node)
{
    ps_conf_node first = *node;
    first.next = NULL;
    ps_conf_node list = {.kind = PS_CONF_NODE_LIST, .line = node->line, .first = &first};
    check_list(c, key, &list);
}

/* A list of structs. */
static void check_maps(checker *c, const ps_conf_key *key, const ps_conf_node *list, unsigned line)
{
    if (list && list->kind != PS_CONF_NODE_LIST) {
        wrong_kind(c, key, list);
        list = NULL;
    } else {
        size_t n = 0;
        for (const ps_conf_node *e = list ? list->first : NULL; e; e = e->next)
            n++;
        if (n < key->least || n > key->most)
            at(c, list ? list->line : line,
               ps_fail(PS_INVALID_ARGUMENT, "%zu entries, allowed %zu to %zu", n, key->least,
                       key->most));
    }
    size_t n = 0, before = c->path.len;
    ps_buf_putc(c->out, '[');
    for (const ps_conf_node *e = list ? list->first : NULL; e && n < key->most; e = e->next, n++) {
        ps_buf_printf(&c->path, "[%zu]", n);
        if (n)
            ps_buf_puts(c->out, ", ");
        if (e->kind == PS_CONF_NODE_MAP || ps_conf_node_is_null(e))
            check_map(c, key->keys, e, e->line, false);
        else
            check_short(c, key, e);
        leave(c, before);
    }
    ps_buf_putc(c->out, ']');
}

static void check_key(checker *c, const ps_conf_key *key, const ps_conf_node *node, unsigned line)
{
    bool scalar = node && node->kind == PS_CONF_NODE_SCALAR && !ps_conf_node_is_null(node);
    if (key->shorthand && scalar && is_list(key))
        check_one(c, key, node);
    else if (key->shorthand && scalar)
        check_short(c, key, node);
    else if (is_map(key)) /* `tls:` with every line below it commented out is an empty section */
        check_map(c, key->keys, node && !ps_conf_node_is_null(node) ? node : NULL,
                  node ? node->line : line, false);
    else if (key->type == PS_CONF_TYPE_NAMED)
        check_named(c, key, node);
    else if (key->type == PS_CONF_TYPE_MAPS)
        check_maps(c, key, node, line);
    else if (!node)
        check_default(c, key, line);
    else if (is_list(key))
        check_list(c, key, node);
    else
        check_scalar(c, key, node);
}

/* map may be NULL: absent. line is where a missing key is reported. opened: the caller has written
 * the brace and a first key. */
static void check_map(checker *c, const ps_conf_key *keys, const ps_conf_node *map, unsigned line,
                      bool opened)
{
    bool comma = opened, muted = c->mute;
    if (map && map->kind != PS_CONF_NODE_MAP) {
        wrong_kind(c, &(ps_conf_key){.type = PS_CONF_TYPE_MAP}, map);
        c->mute = true; /* what is missing below it is not another fault */
        map = NULL;
    }
    bool meant[KEYS_MOST] = {false};
    if (map)
        check_names(c, keys, map, meant);
    if (!opened)
        ps_buf_putc(c->out, '{');
    for (const ps_conf_key *key = keys; key->name; key++) {
        const ps_conf_node *node = map ? ps_conf_node_child(map, key->name) : NULL;
        if (!node && key->type == PS_CONF_TYPE_MAP_OPT)
            continue;
        ps_buf_printf(c->out, "%s\"%s\": ", comma ? ", " : "", key->name);
        comma = true;
        size_t before = enter(c, key->name);
        bool mute = c->mute;
        c->mute |= !node && key - keys < KEYS_MOST && meant[key - keys]; /* not missing, too */
        check_key(c, key, node, line);
        c->mute = mute;
        leave(c, before);
    }
    ps_buf_putc(c->out, '}');
    c->mute = muted;
}

void ps_conf_check(const ps_conf_key *keys, const ps_conf_node *root, const char *file_name,
                   ps_conf_faults *faults, ps_buf *out)
{
    checker c = {.file = file_name, .faults = faults, .out = out};
    check_map(&c, keys, root, root->line, false);
    ps_buf_free(&c.path);
}
