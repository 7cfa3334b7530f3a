/* Happy path: the given tensors are indexed by name, the family's file appends the nodes of the
 * pass and takes a tensor for each that needs one, and none is left. It fails on a list that is not
 * the configuration's. */
#include "common/model/graph.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/model/graph_build.h"
#include "common/model/model_forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of a tensor: as many bytes as they take as float32 can be counted. */
#define NUMBERS_MOST (UINT64_C(1) << 48)

const char *ps_graph_op_name(ps_graph_op op)
{
#define NAME(name, text) [PS_GRAPH_##name] = text,
    static const char *const names[] = {PS_GRAPH_OPS(NAME)};
#undef NAME
    PS_REQUIRE(op < PS_GRAPH_N_OPS);
    return names[op];
}

/* ---- appending ---- */

/* Room for one more; a power of two is full. */
#define ROOM(list, n)                                                          \
    do {                                                                       \
        if (((n) & ((n)-1)) == 0)                                              \
            (list) = ps_realloc((list), ((n) ? 2 * (n) : 1) * sizeof *(list)); \
    } while (0)

uint32_t ps_graph_node_beside(ps_graph_builder *b, ps_graph_op op, const char *name, uint64_t width)
{
    ps_graph *g = b->graph;
    ROOM(g->nodes, g->n_nodes);
    ps_graph_node *node = &g->nodes[g->n_nodes];
    *node = (ps_graph_node){.op = op,
                            .group = b->group,
                            .rank = b->next_rank - 1,
                            .width = width,
                            .first = (uint32_t)g->n_tensors,
                            .shared = PS_GRAPH_NONE};
    (void)snprintf(node->name, sizeof node->name, "%s", name);
    return (uint32_t)g->n_nodes++;
}

uint32_t ps_graph_node_add(ps_graph_builder *b, ps_graph_op op, const char *name, uint64_t width)
{
    b->next_rank++;
    return ps_graph_node_beside(b, op, name, width);
}

void ps_graph_edge_add(ps_graph_builder *b, uint32_t from, uint32_t to, bool skip)
{
    ps_graph *g = b->graph;
    PS_REQUIRE(from < to && to < g->n_nodes);
    ROOM(g->edges, g->n_edges);
    g->edges[g->n_edges++] = (ps_graph_edge){.from = from, .to = to, .skip = skip};
}

void ps_graph_group_open(ps_graph_builder *b, const char *name, uint32_t block)
{
    ps_graph *g = b->graph;
    ROOM(g->groups, g->n_groups);
    ps_graph_group *group = &g->groups[g->n_groups];
    *group = (ps_graph_group){.parent = b->group, .block = block};
    (void)snprintf(group->name, sizeof group->name, "%s", name);
    b->group = (uint32_t)g->n_groups++;
}

void ps_graph_group_close(ps_graph_builder *b)
{
    b->group = b->graph->groups[b->group].parent;
}

/* ---- tensors ---- */

static int by_name(const void *a, const void *b, void *user)
{
    const ps_graph_given *given = user;
    return strcmp(given[*(const size_t *)a].name, given[*(const size_t *)b].name);
}

static void index_given(ps_graph_builder *b)
{
    b->by_name = ps_alloc_array(b->n_given + 1, sizeof *b->by_name);
    b->used = ps_alloc_array(b->n_given + 1, sizeof *b->used);
    for (size_t i = 0; i < b->n_given; i++)
        b->by_name[i] = i;
    union {
        const ps_graph_given *kept;
        void *given;
    } user = {.kept = b->given};
    qsort_r(b->by_name, b->n_given, sizeof *b->by_name, by_name, user.given);
}

static const ps_graph_given *find(ps_graph_builder *b, const char *name)
{
    size_t low = 0, high = b->n_given;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(b->given[b->by_name[mid]].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == b->n_given || strcmp(b->given[b->by_name[low]].name, name) != 0)
        return NULL;
    b->used[b->by_name[low]] = true;
    return &b->given[b->by_name[low]];
}

static ps_status check_shape(const ps_graph_given *given, const ps_graph_wanted *wanted)
{
    bool same = given->n_dims == wanted->n_dims;
    uint64_t numbers = 1;
    for (uint32_t d = 0; same && d < wanted->n_dims; d++) {
        same = given->shape[d] == wanted->shape[d] && wanted->shape[d] &&
               wanted->shape[d] <= NUMBERS_MOST / numbers;
        numbers *= same ? wanted->shape[d] : 1;
    }
    return same ? PS_OK
                : ps_fail(PS_CORRUPT, "tensor %s: not of the shape that the configuration says",
                          wanted->name);
}

static uint64_t numbers_of(const ps_graph_wanted *wanted)
{
    uint64_t numbers = 1;
    for (uint32_t d = 0; d < wanted->n_dims; d++)
        numbers *= wanted->shape[d];
    return numbers;
}

/* The form as numbers are read, and the bytes that they take in it. */
static ps_status measure(const ps_graph_given *given, const ps_graph_wanted *wanted, ps_form *form,
                         uint64_t *bytes)
{
    if (!ps_form_parse_stored(given->form, form))
        return ps_fail(PS_CORRUPT, "tensor %s: psctl does not know the form '%.40s'", wanted->name,
                       given->form);
    bool plain = !form->rank && !strcmp(form->row->name, "float32");
    if (plain && wanted->n_dims > 2) {
        *bytes = numbers_of(wanted) * sizeof(float);
        return PS_OK;
    }
    ps_model_form as = {.name = wanted->name,
                        .n_dims = wanted->n_dims,
                        .shape = {wanted->shape[0], wanted->shape[1]},
                        .form = plain ? (ps_form){0} : *form,
                        .transposed = wanted->outputs_last && !plain && !form->rank};
    if (!plain && (wanted->n_dims != 2 ||
                   (!form->rank && !ps_form_divides(*form, ps_model_form_columns(&as)))))
        return ps_fail(PS_CORRUPT, "tensor %s: its shape does not fit the form %s", wanted->name,
                       given->form);
    *bytes = ps_model_form_bytes(&as);
    return PS_OK;
}

double ps_graph_product(const ps_graph_tensor *tensor, ps_form form)
{
    double sides = (double)tensor->shape[0] + (double)tensor->shape[1];
    return form.rank ? 2.0 * form.rank * sides : 2.0 * (double)tensor->numbers;
}

static void cut(const ps_graph_builder *b, const ps_graph_wanted *wanted, ps_graph_tensor *t)
{
    bool matrix = wanted->n_dims >= 2;
    bool of_block = b->graph->groups[b->group].block != PS_GRAPH_NONE;
    bool turned = matrix && wanted->outputs_last && b->cuts.turned && of_block;
    t->columns = t->shape[turned ? 0 : wanted->n_dims - 1];
    t->rows = t->numbers / t->columns;
    t->column_blocks =
        t->columns < b->cuts.column_blocks ? (uint32_t)t->columns : b->cuts.column_blocks;
    bool inputs = matrix && (turned || !wanted->outputs_last) &&
                  b->graph->nodes[b->graph->n_nodes - 1].op != PS_GRAPH_EMBEDDING;
    t->slice = inputs ? PS_GRAPH_SLICE_INPUTS : PS_GRAPH_SLICE_OUTPUTS;
}

ps_status ps_graph_tensor_add(ps_graph_builder *b, const ps_graph_wanted *wanted)
{
    ps_graph *g = b->graph;
    PS_REQUIRE(g->n_nodes && wanted->n_dims >= 1 && wanted->n_dims <= PS_GRAPH_DIMS);
    ps_graph_node *node = &g->nodes[g->n_nodes - 1];
    const ps_graph_given *given = find(b, wanted->name);
    if (!given)
        return ps_fail(PS_CORRUPT, "tensor %s: the configuration needs it, and it is not there",
                       wanted->name);
    ps_graph_tensor t = {.n_dims = wanted->n_dims, .numbers = numbers_of(wanted)};
    memcpy(t.shape, wanted->shape, sizeof t.shape);
    ps_form form;
    ps_status st = check_shape(given, wanted);
    if (!st)
        st = measure(given, wanted, &form, &t.bytes);
    if (st)
        return st;
    (void)snprintf(t.name, sizeof t.name, "%s", wanted->name);
    (void)snprintf(t.form, sizeof t.form, "%s", given->form);
    cut(b, wanted, &t);
    ROOM(g->tensors, g->n_tensors);
    g->tensors[g->n_tensors++] = t;
    node->n++;
    if (node->op == PS_GRAPH_LINEAR)
        node->flops += t.n_dims == 2 ? ps_graph_product(&t, form) : (double)t.numbers;
    return PS_OK;
}

/* ---- the whole ---- */

static ps_status check_all_used(const ps_graph_builder *b)
{
    for (size_t i = 0; i < b->n_given; i++)
        if (!b->used[i])
            return ps_fail(PS_CORRUPT, "tensor %.64s: architecture %s has none of that name",
                           b->given[i].name, b->model->architecture);
    return PS_OK;
}

static void sum_up(ps_graph *g)
{
    for (size_t i = 0; i < g->n_tensors; i++) {
        g->numbers += g->tensors[i].numbers;
        g->bytes += g->tensors[i].bytes;
    }
    for (size_t i = 0; i < g->n_nodes; i++)
        g->flops += g->nodes[i].flops;
}

ps_status ps_graph_create(const ps_spec_model *model, const ps_graph_given *tensors, size_t n,
                          ps_graph_cuts cuts, ps_graph **out)
{
    PS_REQUIRE(cuts.column_blocks > 0);
    ps_graph *g = ps_new(ps_graph);
    ps_graph_builder b = {.graph = g, .model = model, .cuts = cuts, .given = tensors, .n_given = n};
    g->architecture = ps_strdup(model->architecture);
    g->language = ps_spec_model_reads_tokens(model);
    g->column_blocks = cuts.column_blocks;
    ps_graph_group_open(&b, model->architecture, PS_GRAPH_NONE);
    index_given(&b);
    ps_status st = g->language                      ? ps_graph_language(&b)
                   : ps_spec_model_is_coder(model)  ? ps_graph_coder(&b)
                   : ps_spec_model_is_lens(model)   ? ps_graph_lens(&b)
                   : ps_spec_model_is_images(model) ? ps_graph_images(&b)
                                                    : ps_graph_layers(&b);
    if (!st)
        st = check_all_used(&b);
    sum_up(g);
    ps_free(&b.by_name);
    ps_free(&b.used);
    if (st) {
        ps_graph_free(&g);
        return st;
    }
    *out = g;
    return PS_OK;
}

void ps_graph_free(ps_graph **graph)
{
    ps_graph *g = *graph;
    if (!g)
        return;
    ps_free(&g->architecture);
    ps_free(&g->nodes);
    ps_free(&g->edges);
    ps_free(&g->groups);
    ps_free(&g->tensors);
    ps_free(graph);
}
