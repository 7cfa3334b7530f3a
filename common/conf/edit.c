/* Happy path: the document and every value are read as trees, a value takes the place of the node
 * that its key names, and the tree is written, a line for each of the first keys. */
#include "common/conf/edit.h"

#include "common/base/mem.h"
#include "common/conf/tree.h"
#include "common/json/json.h"

#include <string.h>

/* ---- writing ---- */

static void write_node(const ps_conf_node *node, unsigned depth, ps_buf *out);

/* Quoted where a comma, a colon or the like would mean something. */
static void write_text(const char *text, bool plain, ps_buf *out)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/+";
    size_t len = strlen(text);
    if (plain && len && strspn(text, safe) == len) {
        ps_buf_puts(out, text);
        return;
    }
    ps_json_writer w = ps_json_writer_to(out); /* JSON's strings are YAML's in double quotes */
    ps_json_string(&w, text);
}

static void write_scalar(const ps_conf_node *node, ps_buf *out)
{
    if (ps_conf_node_is_null(node))
        ps_buf_puts(out, "~");
    else
        write_text(node->text, node->plain, out);
}

static void write_children(const ps_conf_node *node, ps_buf *out)
{
    bool map = node->kind == PS_CONF_NODE_MAP;
    ps_buf_putc(out, map ? '{' : '[');
    for (const ps_conf_node *child = node->first; child; child = child->next) {
        if (child != node->first)
            ps_buf_puts(out, ", ");
        if (map) {
            write_text(child->key, true, out);
            ps_buf_puts(out, ": ");
        }
        write_node(child, 1, out);
    }
    ps_buf_putc(out, map ? '}' : ']');
}

/* The document's own keys on lines of their own, what is below them in flow style. */
static void write_node(const ps_conf_node *node, unsigned depth, ps_buf *out)
{
    if (node->kind == PS_CONF_NODE_SCALAR) {
        write_scalar(node, out);
    } else if (depth > 0 || node->kind == PS_CONF_NODE_LIST || !node->first) {
        write_children(node, out);
    } else {
        for (const ps_conf_node *child = node->first; child; child = child->next) {
            write_text(child->key, true, out);
            ps_buf_puts(out, ": ");
            write_node(child, 1, out);
            ps_buf_putc(out, '\n');
        }
    }
}

/* ---- setting ---- */

static ps_conf_node *child_of(ps_conf_node *map, const char *key)
{
    ps_conf_node *child = map->first;
    while (child && strcmp(child->key, key) != 0)
        child = child->next;
    return child;
}

static void clear(ps_conf_node *node)
{
    ps_conf_node *rest = ps_new(ps_conf_node); /* so that the tree's own way of freeing does it */
    rest->kind = node->kind;
    rest->text = node->text;
    rest->first = node->first;
    ps_conf_tree_free(&rest);
    node->text = NULL;
    node->first = node->last = NULL;
}

static ps_conf_node *add_child(ps_conf_node *map, const char *key)
{
    ps_conf_node *child = ps_new(ps_conf_node);
    child->kind = PS_CONF_NODE_MAP;
    child->line = map->line;
    child->key = ps_strdup(key);
    if (map->last)
        map->last->next = child;
    else
        map->first = child;
    map->last = child;
    return child;
}

/* The node of "train.epochs", made if it is missing. */
static ps_status reach(ps_conf_node *root, char *path, const char *set, ps_conf_node **out)
{
    ps_conf_node *node = root;
    char *rest = NULL;
    for (char *key = strtok_r(path, ".", &rest); key; key = strtok_r(NULL, ".", &rest)) {
        if (ps_conf_node_is_null(node)) {
            clear(node);
            node->kind = PS_CONF_NODE_MAP;
        }
        if (node->kind != PS_CONF_NODE_MAP)
            return ps_fail(PS_INVALID_ARGUMENT, "--set %s: %s is no section", set, node->key);
        ps_conf_node *child = child_of(node, key);
        node = child ? child : add_child(node, key);
    }
    *out = node;
    return PS_OK;
}

/* "v: VALUE", so that a scalar is a document, too. */
static ps_status read_value(const char *text, const char *set, ps_conf_node **out)
{
    char *document = ps_asprintf("v: %s\n", text);
    ps_status st = ps_conf_tree_parse(ps_slice_str(document), "value", out);
    if (!st && (!(*out)->first || (*out)->first->next)) {
        ps_conf_tree_free(out);
        st = ps_fail(PS_INVALID_ARGUMENT, "more than one value");
    }
    ps_free(&document);
    return st ? ps_wrap(st, "--set %s", set) : PS_OK;
}

static ps_status apply(ps_conf_node *root, const char *set)
{
    const char *equals = strchr(set, '=');
    if (!equals || equals == set)
        return ps_fail(PS_INVALID_ARGUMENT, "--set: '%s' is not KEY=VALUE, such as train.epochs=3",
                       set);
    ps_conf_node *value = NULL, *place = NULL;
    ps_status st = read_value(equals + 1, set, &value);
    if (st)
        return st;
    char *path = ps_asprintf("%.*s", (int)(equals - set), set);
    st = reach(root, path, set, &place);
    if (!st && place == root)
        st = ps_fail(PS_INVALID_ARGUMENT, "--set: '%s' names no key", set);
    if (!st) { /* what the value holds changes places with what is there, and is freed as that */
        ps_conf_node *new = value->first, old = *place;
        place->kind = new->kind;
        place->plain = new->plain;
        place->text = new->text;
        place->first = new->first;
        place->last = new->last;
        new->kind = old.kind;
        new->text = old.text;
        new->first = old.first;
        new->last = old.last;
    }
    ps_free(&path);
    ps_conf_tree_free(&value);
    return st;
}

ps_status ps_conf_edit(ps_slice yaml, const char *file_name, const char *const *sets, size_t n,
                       ps_buf *out)
{
    ps_conf_node *root = NULL;
    ps_status st = ps_conf_tree_parse(yaml, file_name, &root);
    for (size_t i = 0; !st && i < n; i++)
        st = apply(root, sets[i]);
    if (!st)
        write_node(root, 0, out);
    ps_conf_tree_free(&root);
    return st;
}
