/* Happy path: libyaml's events are pushed on a stack of open maps and lists until the document
 * ends. It fails on what is not YAML, on what a configuration has no use for (aliases, tags,
 * several documents, keys that are not scalars), and at the bounds; the nodes made so far are
 * freed. */
#include "common/conf/tree.h"

#include "common/base/foreign.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

typedef struct builder {
    const char *file;
    yaml_parser_t parser;
    ps_conf_node *root;
    ps_conf_node *open[PS_CONF_MAX_DEPTH]; /* maps and lists that have not ended */
    unsigned depth;
    char *key; /* read, its value not yet */
    unsigned key_line;
    unsigned nodes;
    bool done;
} builder;

static unsigned line_of(yaml_mark_t mark)
{
    return mark.line < 1000000 ? (unsigned)mark.line + 1 : 1000000;
}

static ps_status refuse(const builder *b, const yaml_event_t *event, const char *what)
{
    return ps_fail(PS_INVALID_ARGUMENT, "%s:%u: %s", b->file, line_of(event->start_mark), what);
}

static void free_nodes(ps_conf_node *node)
{
    while (node) {
        ps_conf_node *next = node->next;
        free_nodes(node->first); /* as deep as PS_CONF_MAX_DEPTH */
        ps_free(&node->key);
        ps_free(&node->text);
        ps_free(&node);
        node = next;
    }
}

void ps_conf_tree_free(ps_conf_node **root)
{
    free_nodes(*root);
    *root = NULL;
}

/* Hangs a new node below the innermost open one. */
static ps_status add(builder *b, const yaml_event_t *event, ps_conf_node_kind kind,
                     ps_conf_node **out)
{
    if (++b->nodes > PS_CONF_MAX_NODES)
        return refuse(b, event, "the document has too many values");
    ps_conf_node *node = ps_new(ps_conf_node);
    node->kind = kind;
    node->line = b->key ? b->key_line : line_of(event->start_mark);
    node->key = b->key;
    b->key = NULL;
    if (b->depth == 0) {
        b->root = node;
    } else {
        ps_conf_node *parent = b->open[b->depth - 1];
        if (parent->last)
            parent->last->next = node;
        else
            parent->first = node;
        parent->last = node;
    }
    *out = node;
    return PS_OK;
}

static bool wants_key(const builder *b)
{
    return b->depth > 0 && b->open[b->depth - 1]->kind == PS_CONF_NODE_MAP && !b->key;
}

static ps_status on_scalar(builder *b, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    if (event->data.scalar.anchor)
        return refuse(b, event, "anchors (&) are not allowed");
    if (event->data.scalar.tag)
        return refuse(b, event, "tags (!) are not allowed");
    if (strlen(text) != event->data.scalar.length)
        return refuse(b, event, "a zero byte in a value");
    if (wants_key(b)) {
        b->key = ps_strdup(text);
        b->key_line = line_of(event->start_mark);
        return PS_OK;
    }
    ps_conf_node *node = NULL;
    ps_status st = add(b, event, PS_CONF_NODE_SCALAR, &node);
    if (st)
        return st;
    node->text = ps_strdup(text);
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return PS_OK;
}

static ps_status on_open(builder *b, const yaml_event_t *event, ps_conf_node_kind kind)
{
    bool map = kind == PS_CONF_NODE_MAP;
    if (map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor)
        return refuse(b, event, "anchors (&) are not allowed");
    if (map ? event->data.mapping_start.tag : event->data.sequence_start.tag)
        return refuse(b, event, "tags (!) are not allowed");
    if (wants_key(b))
        return refuse(b, event, "a key must be a plain word");
    if (b->depth == PS_CONF_MAX_DEPTH)
        return refuse(b, event, "nested too deeply");
    ps_conf_node *node = NULL;
    ps_status st = add(b, event, kind, &node);
    if (st)
        return st;
    b->open[b->depth++] = node;
    return PS_OK;
}

static ps_status on_event(builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, event, PS_CONF_NODE_MAP);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, event, PS_CONF_NODE_LIST);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        b->depth--;
        return PS_OK;
    case YAML_ALIAS_EVENT:
        return refuse(b, event, "aliases (*) are not allowed");
    case YAML_DOCUMENT_START_EVENT:
        if (b->root)
            return refuse(b, event, "a second document; one file holds one");
        return PS_OK;
    case YAML_STREAM_END_EVENT:
        b->done = true;
        return PS_OK;
    default:
        return PS_OK;
    }
}

static ps_status not_yaml(const builder *b)
{
    const yaml_parser_t *p = &b->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return ps_fail(PS_NO_MEMORY, "%s: out of memory", b->file);
    if (p->error == YAML_READER_ERROR) /* has an offset, no mark */
        return ps_fail(PS_INVALID_ARGUMENT, "%s:%u: byte %zu: %s", b->file, line_of(p->mark),
                       p->problem_offset, p->problem ? p->problem : "unreadable text");
    return ps_fail(PS_INVALID_ARGUMENT, "%s:%u: not valid YAML: %s%s%s", b->file,
                   line_of(p->problem_mark), p->problem ? p->problem : "syntax error",
                   p->context ? " " : "", p->context ? p->context : "");
}

static ps_status read_events(builder *b)
{
    while (!b->done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b->parser, &event))
            return not_yaml(b);
        ps_status st = on_event(b, &event);
        yaml_event_delete(&event);
        if (st)
            return st;
    }
    return PS_OK;
}

static ps_conf_node *empty_map(void)
{
    ps_conf_node *node = ps_new(ps_conf_node);
    node->kind = PS_CONF_NODE_MAP;
    node->line = 1;
    return node;
}

ps_status ps_conf_tree_parse(ps_slice yaml, const char *file_name, ps_conf_node **out)
{
    if (yaml.len > PS_CONF_MAX_BYTES)
        return ps_fail(PS_INVALID_ARGUMENT, "%s: %zu bytes, at most %d are read", file_name,
                       yaml.len, PS_CONF_MAX_BYTES);
    const ps_foreign *foreign = ps_foreign_find(yaml);
    if (foreign)
        return ps_fail(PS_INVALID_ARGUMENT, "%s:1: this is %s; %s", file_name, foreign->what,
                       foreign->remedy);
    /* libyaml passes over a byte order mark only where it is to find out the encoding */
    if (yaml.len >= 3 && !memcmp(yaml.data, "\xef\xbb\xbf", 3))
        yaml = ps_slice_of(yaml.data + 3, yaml.len - 3);
    builder b = {.file = file_name};
    if (!yaml_parser_initialize(&b.parser))
        return ps_fail(PS_NO_MEMORY, "%s: out of memory", file_name);
    static const uint8_t nothing[1];
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, yaml.data ? yaml.data : nothing, yaml.len);
    ps_status st = read_events(&b);
    yaml_parser_delete(&b.parser);
    ps_free(&b.key);
    if (st) {
        ps_conf_tree_free(&b.root);
        return st;
    }
    if (b.root && ps_conf_node_is_null(b.root)) /* comments alone */
        ps_conf_tree_free(&b.root);
    *out = b.root ? b.root : empty_map();
    return PS_OK;
}

bool ps_conf_node_is_null(const ps_conf_node *node)
{
    return node->kind == PS_CONF_NODE_SCALAR && node->plain &&
           (!strcmp(node->text, "") || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}

static const ps_conf_node *child_n(const ps_conf_node *map, const char *key, size_t len)
{
    if (map->kind != PS_CONF_NODE_MAP)
        return NULL;
    for (const ps_conf_node *n = map->first; n; n = n->next)
        if (strlen(n->key) == len && !memcmp(n->key, key, len))
            return n;
    return NULL;
}

const ps_conf_node *ps_conf_node_child(const ps_conf_node *map, const char *key)
{
    return child_n(map, key, strlen(key));
}

static const ps_conf_node *entry(const ps_conf_node *list, unsigned long index)
{
    const ps_conf_node *n = list->kind == PS_CONF_NODE_LIST ? list->first : NULL;
    while (n && index--)
        n = n->next;
    return n;
}

const ps_conf_node *ps_conf_node_at(const ps_conf_node *root, const char *path,
                                    const ps_conf_node **nearest)
{
    const ps_conf_node *node = root;
    *nearest = root;
    while (node && *path) {
        if (*path == '[') {
            char *end = NULL;
            node = entry(node, strtoul(path + 1, &end, 10));
            path = *end == ']' ? end + 1 : end;
        } else {
            path += *path == '.';
            size_t len = strcspn(path, ".[");
            node = child_n(node, path, len);
            path += len;
        }
        if (node)
            *nearest = node;
    }
    return node;
}
