/* Happy path: from each model that was made of none, down to what was made of it. Names come again
 * when models are replaced, so a model may even be made of its own child: who is in such a ring
 * begins a tree when nothing else does. */
#include "client/show/model_tree.h"

#include "client/show/human.h"
#include "client/show/metrics.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 32 }; /* levels that are indented */

#define NO_PARENT SIZE_MAX

typedef struct node {
    const Psd__V1__Model *model;
    size_t parent;      /* its place; NO_PARENT */
    size_t first, next; /* of its children; of those of its parent; n: none */
    bool shown;
} node;

typedef struct tree {
    node *nodes;
    size_t n;
    const ps_style *style;
    ps_table *table;
} tree;

static int by_name(const void *key, const void *element)
{
    return strcmp(key, ((const node *)element)->model->name);
}

static void link_nodes(tree *t)
{
    for (size_t i = t->n; i-- > 0;) { /* the last first: children are put in front */
        node *own = &t->nodes[i];
        const node *parent = *own->model->parent ? bsearch(own->model->parent, t->nodes, t->n,
                                                           sizeof *t->nodes, by_name)
                                                 : NULL;
        own->parent = parent && parent != own ? (size_t)(parent - t->nodes) : NO_PARENT;
        if (own->parent == NO_PARENT)
            continue;
        own->next = t->nodes[own->parent].first;
        t->nodes[own->parent].first = i;
    }
}

/* "│ └ name": a line for each level above that goes on below. */
static void put_name(const tree *t, const node *own, size_t depth)
{
    const char *const *lines = t->style->utf8 ? (const char *const[]){"│ ", "├ ", "└ "}
                                              : (const char *const[]){"| ", "|-", "`-"};
    bool goes_on[DEEPEST];
    size_t levels = depth < DEEPEST ? depth : DEEPEST;
    const node *at = own;
    for (size_t i = 0; i < levels; i++) { /* from its own level up */
        goes_on[i] = at->next < t->n;
        at = &t->nodes[at->parent];
    }
    ps_buf text = PS_BUF_EMPTY;
    for (size_t i = levels; i-- > 1;)
        ps_buf_puts(&text, goes_on[i] ? lines[0] : "  ");
    if (levels)
        ps_buf_puts(&text, goes_on[0] ? lines[1] : lines[2]);
    ps_buf_puts(&text, own->model->name);
    ps_table_text(t->table, ps_buf_cstr(&text));
    ps_buf_free(&text);
}

/* What the indentation does not say of where it comes from. */
static void put_remark(const tree *t, const node *own)
{
    const Psd__V1__Model *m = own->model;
    char *text = NULL;
    if (!*m->parent)
        text = ps_strdup(m->job_id ? "" : "imported");
    else if (own->parent == NO_PARENT)
        text = ps_asprintf("of %s, which is gone", m->parent);
    else if (strcmp(m->parent_version, t->nodes[own->parent].model->version) != 0)
        text = ps_asprintf("of an older %s", m->parent);
    else
        text = ps_strdup("");
    ps_table_text(t->table, text);
    ps_free(&text);
}

static void put_row(const tree *t, const node *own, size_t depth)
{
    const Psd__V1__Model *m = own->model;
    put_name(t, own, depth);
    ps_table_text(t->table, ps_human_bytes((double)m->bytes).text);
    if (m->parameters && m->tensor_bytes)
        ps_table_printf(t->table, "%.3g", 8.0 * (double)m->tensor_bytes / (double)m->parameters);
    else
        ps_table_text(t->table, "");
    ps_table_text(t->table, m->forms);
    ps_table_text(t->table, m->has_test ? ps_human_value(m->test_loss).text : "");
    put_remark(t, own);
}

/* Everything below, without a stack of calls as deep as a peer likes. */
static void put_tree(tree *t, size_t root)
{
    size_t at = root, depth = 0;
    while (true) {
        node *own = &t->nodes[at];
        if (!own->shown)
            put_row(t, own, depth);
        own->shown = true;
        if (own->first < t->n && !t->nodes[own->first].shown) {
            at = own->first;
            depth++;
            continue;
        }
        while (at != root && (t->nodes[at].next == t->n || t->nodes[t->nodes[at].next].shown)) {
            at = t->nodes[at].parent;
            depth--;
        }
        if (at == root)
            return;
        at = t->nodes[at].next;
    }
}

void ps_model_tree(ps_buf *out, const ps_style *style, Psd__V1__Model *const *models, size_t n)
{
    static const char *const headers[] = {"NAME", ">SIZE", ">BITS", "FORM", ">LOSS", "", NULL};
    tree t = {.n = n, .style = style, .table = ps_table_new(headers)};
    t.nodes = ps_alloc_array(n + 1, sizeof *t.nodes);
    for (size_t i = 0; i < n; i++)
        t.nodes[i] = (node){.model = models[i], .first = n, .next = n};
    link_nodes(&t);
    for (size_t i = 0; i < n; i++)
        if (t.nodes[i].parent == NO_PARENT)
            put_tree(&t, i);
    for (size_t i = 0; i < n; i++) /* rings */
        if (!t.nodes[i].shown)
            put_tree(&t, i);
    ps_table_render(t.table, style, out);
    ps_table_free(&t.table);
    ps_free(&t.nodes);
}
