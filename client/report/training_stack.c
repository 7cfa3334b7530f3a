/* What belongs together is a group: a tensor's column blocks, a worker's pushes, those of a task.
 * The largest groups get a part each, the others one together. Cannot fail. */
#include "client/report/training.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct group {
    size_t id;
    size_t first; /* the first push, or unit, that is in it */
    uint64_t row_begin, row_end;
    double change;
} group;

typedef struct grouping {
    group *groups;
    size_t n;
} grouping;

static int by_size(const void *a, const void *b)
{
    const group *x = a, *y = b;
    double p = fabs(x->change), q = fabs(y->change);
    return p == q ? (x->id > y->id) - (x->id < y->id) : (p < q) - (p > q);
}

/* Of each group the part that it goes to; names are still to be given. groups: then by size. */
static size_t *open_stack(grouping *g, size_t segments, ps_stack *s)
{
    size_t *part = ps_alloc_array(g->n + 1, sizeof *part);
    if (g->n)
        qsort(g->groups, g->n, sizeof *g->groups, by_size);
    s->all = g->n;
    s->n = g->n < PS_STACK_PARTS ? g->n : PS_STACK_PARTS;
    for (size_t i = 0; i < s->n; i++)
        s->parts[i].by_segment = ps_alloc_array(segments + 1, sizeof(double));
    for (size_t i = 0; i < g->n; i++) {
        size_t to = i < s->n ? i : s->n - 1;
        part[g->groups[i].id] = to;
        s->parts[to].change += g->groups[i].change;
    }
    if (g->n > s->n)
        s->parts[s->n - 1].name = ps_asprintf("all %zu others", g->n - s->n + 1);
    return part;
}

/* ---- tensors ---- */

static double part_of(const ps_loss_file *f, size_t segment, size_t unit)
{
    double part = f->segments[segment].parts[unit];
    return isfinite(part) ? part : 0;
}

/* Units of a tensor follow each other. */
static void stack_tensors(ps_training *t)
{
    const ps_loss_file *f = &t->losses;
    grouping g = {.groups = ps_alloc_array(f->n_units + 1, sizeof *g.groups)};
    size_t *of = ps_alloc_array(f->n_units + 1, sizeof *of);
    for (size_t u = 0; u < f->n_units; u++) {
        if (!u || strcmp(f->units[u].tensor, f->units[u - 1].tensor) != 0) {
            g.groups[g.n] = (group){.id = g.n, .first = u};
            g.n++;
        }
        of[u] = g.n - 1;
        for (size_t i = 0; i < f->n_segments; i++)
            g.groups[g.n - 1].change += part_of(f, i, u);
    }
    size_t *part = open_stack(&g, f->n_segments, &t->tensors);
    for (size_t i = 0; i < t->tensors.n; i++)
        if (!t->tensors.parts[i].name)
            t->tensors.parts[i].name = ps_strdup(f->units[g.groups[i].first].tensor);
    for (size_t i = 0; i < f->n_segments; i++)
        for (size_t u = 0; u < f->n_units; u++)
            t->tensors.parts[part[of[u]]].by_segment[i] += part_of(f, i, u);
    ps_free(&part);
    ps_free(&of);
    ps_free(&g.groups);
}

/* ---- pushes ---- */

static int by_task(const void *a, const void *b)
{
    const ps_training_push *x = *(const ps_training_push *const *)a,
                           *y = *(const ps_training_push *const *)b;
    if (x->worker != y->worker)
        return x->worker < y->worker ? -1 : 1;
    if (x->lease != y->lease)
        return x->lease < y->lease ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

char *ps_training_shard_name(const ps_training *t, const ps_training_push *p, uint64_t row_begin,
                             uint64_t row_end)
{
    const char *worker = t->workers[p->worker].name;
    return row_end > row_begin ? ps_asprintf("%s, epoch %" PRIu64 ", rows %" PRIu64 "-%" PRIu64,
                                             worker, (uint64_t)p->epoch + 1, row_begin, row_end - 1)
                               : ps_asprintf("%s, epoch %" PRIu64 ", task %" PRIu64, worker,
                                             (uint64_t)p->epoch + 1, p->lease);
}

static void widen(group *g, const ps_training_push *p)
{
    if (p->row_end <= p->row_begin)
        return;
    g->row_begin =
        g->row_end > g->row_begin && g->row_begin < p->row_begin ? g->row_begin : p->row_begin;
    g->row_end = p->row_end > g->row_end ? p->row_end : g->row_end;
}

/* Pushes, sorted so that those of one group follow each other. */
static void stack_pushes(ps_training *t, const ps_training_push *const *sorted, bool by_shard,
                         ps_stack *s)
{
    grouping g = {.groups = ps_alloc_array(t->n_pushes + 1, sizeof *g.groups)};
    size_t *of = ps_alloc_array(t->n_pushes + 1, sizeof *of);
    for (size_t i = 0; i < t->n_pushes; i++) {
        const ps_training_push *p = sorted[i], *last = i ? sorted[i - 1] : NULL;
        if (!last || last->worker != p->worker || (by_shard && last->lease != p->lease)) {
            g.groups[g.n] = (group){.id = g.n, .first = i};
            g.n++;
        }
        of[i] = g.n - 1;
        g.groups[g.n - 1].change += p->change;
        widen(&g.groups[g.n - 1], p);
    }
    size_t *part = open_stack(&g, t->losses.n_segments, s);
    for (size_t i = 0; i < s->n; i++) {
        const group *one = &g.groups[i];
        const ps_training_push *p = sorted[one->first];
        if (!s->parts[i].name)
            s->parts[i].name = by_shard ? ps_training_shard_name(t, p, one->row_begin, one->row_end)
                                        : ps_strdup(t->workers[p->worker].name);
    }
    for (size_t i = 0; i < t->n_pushes; i++)
        if (sorted[i]->segment < t->losses.n_segments)
            s->parts[part[of[i]]].by_segment[sorted[i]->segment] += sorted[i]->change;
    ps_free(&part);
    ps_free(&of);
    ps_free(&g.groups);
}

void ps_training_stack(ps_training *t)
{
    if (!t->losses.n_segments)
        return;
    stack_tensors(t);
    if (!t->shared)
        return;
    const ps_training_push **sorted = ps_alloc_array(t->n_pushes + 1, sizeof *sorted);
    for (size_t i = 0; i < t->n_pushes; i++)
        sorted[i] = &t->pushes[i];
    qsort(sorted, t->n_pushes, sizeof *sorted, by_task);
    stack_pushes(t, sorted, false, &t->workers_stack);
    stack_pushes(t, sorted, true, &t->shards);
    ps_free(&sorted);
}
