/* From the top, row by row (ranks of the fold); nodes of a row share its width. Cannot fail. */
#include "client/report/graph_place.h"

#include "common/base/mem.h"

enum {
    CARD = 54,
    NARROW_CARD = 78, /* of several in a row */
    PILL = 30,
    SUM = 20,
    BESIDE_GAP = 10,
    LABEL = 22,
    FRAME_TOP = 34,
    FRAME_BOTTOM = 12,
    MARGIN = 8,
};

typedef struct placing {
    const ps_fold *fold;
    ps_places *out;
    int y;
    uint32_t block, half; /* that are open; 0: none */
} placing;

static bool has_stream(const ps_fold *f)
{
    for (size_t i = 0; i < f->n_edges; i++)
        if (f->edges[i].skip)
            return true;
    return false;
}

static ps_place_kind kind_of(const placing *p, const ps_fold_node *node)
{
    if (node->node->op == PS_GRAPH_ADD && !node->whole && p->out->stream)
        return PS_PLACE_SUM;
    bool weight = node->node->n || node->node->shared != PS_GRAPH_NONE;
    return node->whole || weight ? PS_PLACE_CARD : PS_PLACE_PILL;
}

static void close_frame(placing *p)
{
    if (!p->block)
        return;
    ps_place_frame *frame = &p->out->frames[p->out->n_frames - 1];
    frame->height = p->y - PS_PLACE_GAP + FRAME_BOTTOM - frame->y;
    p->y += FRAME_BOTTOM + PS_PLACE_GAP / 2;
    p->block = p->half = 0;
}

/* Frames and labels before a row that begins with this node. */
static void enter(placing *p, const ps_fold_node *node)
{
    bool inside = !node->whole && node->group;
    uint32_t block = inside ? p->fold->graph->groups[node->group].parent : 0;
    if (block != p->block)
        close_frame(p);
    if (block && block != p->block) {
        p->out->frames[p->out->n_frames++] =
            (ps_place_frame){.group = block, .times = node->times, .y = p->y};
        p->y += FRAME_TOP;
        p->block = block;
    }
    if (inside && node->group != p->half) {
        p->out->labels[p->out->n_labels++] = (ps_place_label){.group = node->group, .y = p->y};
        p->y += LABEL;
        p->half = node->group;
    }
}

static void put_row(placing *p, size_t first, size_t n)
{
    enter(p, &p->fold->nodes[first]);
    int left = p->out->stream ? PS_PLACE_LEFT : PS_PLACE_WIDTH - PS_PLACE_RIGHT;
    int width = PS_PLACE_RIGHT - left, height = 0;
    int each = (width - BESIDE_GAP * (int)(n - 1)) / (int)n;
    for (size_t i = 0; i < n; i++) {
        ps_place_box *box = &p->out->boxes[first + i];
        *box = (ps_place_box){.kind = kind_of(p, &p->fold->nodes[first + i]),
                              .x = left + (int)i * (each + BESIDE_GAP),
                              .y = p->y,
                              .width = each};
        int tall = n > 1 ? NARROW_CARD : CARD;
        box->height = box->kind == PS_PLACE_SUM ? SUM : box->kind == PS_PLACE_PILL ? PILL : tall;
        if (box->kind == PS_PLACE_SUM)
            box->x = PS_PLACE_STREAM - SUM / 2, box->width = SUM;
        height = box->height > height ? box->height : height;
    }
    p->y += height + PS_PLACE_GAP;
}

ps_places *ps_places_of(const ps_fold *f)
{
    ps_places *out = ps_new(ps_places);
    out->boxes = ps_alloc_array(f->n_nodes + 1, sizeof *out->boxes);
    out->frames = ps_alloc_array(f->graph->n_groups + 1, sizeof *out->frames);
    out->labels = ps_alloc_array(f->graph->n_groups + 1, sizeof *out->labels);
    out->stream = has_stream(f);
    placing p = {.fold = f, .out = out, .y = MARGIN};
    for (size_t i = 0, n; i < f->n_nodes; i += n) {
        for (n = 1; i + n < f->n_nodes && f->nodes[i + n].rank == f->nodes[i].rank;)
            n++;
        put_row(&p, i, n);
    }
    close_frame(&p);
    out->height = p.y - PS_PLACE_GAP + MARGIN;
    return out;
}

void ps_places_free(ps_places **places)
{
    if (!*places)
        return;
    ps_free(&(*places)->boxes);
    ps_free(&(*places)->frames);
    ps_free(&(*places)->labels);
    ps_free(places);
}
