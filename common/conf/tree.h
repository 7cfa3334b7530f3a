/* tree: a YAML document as nodes that remember their lines; private to common/conf.
 *
 * One document, no anchors, aliases or tags, bounded as conf.h says. Not thread-safe (not asserted:
 * a document is its reader's alone). */
#ifndef PS_CONF_TREE_H
#define PS_CONF_TREE_H

#include "common/conf/conf.h"

typedef enum ps_conf_node_kind {
    PS_CONF_NODE_SCALAR,
    PS_CONF_NODE_MAP,
    PS_CONF_NODE_LIST,
} ps_conf_node_kind;

typedef struct ps_conf_node {
    ps_conf_node_kind kind;
    unsigned line;                     /* from 1; of the key when it has one */
    char *key;                         /* NULL unless its parent is a map */
    char *text;                        /* SCALAR; zero-terminated, and without zeros inside */
    bool plain;                        /* SCALAR: written without quotes */
    struct ps_conf_node *first, *last; /* MAP, LIST: children, in order */
    struct ps_conf_node *next;
} ps_conf_node;

/* An empty document is an empty map. PS_INVALID_ARGUMENT with "file:line: ...". */
PS_MUST_CHECK ps_status ps_conf_tree_parse(ps_slice yaml, const char *file_name,
                                           ps_conf_node **out);
void ps_conf_tree_free(ps_conf_node **root);

/* A key with no value, or ~ or null: nothing was said. */
bool ps_conf_node_is_null(const ps_conf_node *node);
const ps_conf_node *ps_conf_node_child(const ps_conf_node *map, const char *key);
/* Walks "a.b[2]". *nearest is the deepest node on the way that exists. NULL when it does not. */
const ps_conf_node *ps_conf_node_at(const ps_conf_node *root, const char *path,
                                    const ps_conf_node **nearest);

#endif
