/* Initial values: every tensor is drawn from a stream of its own, so tensors are shared out among
 * threads, the largest first. Fails when there is no memory for the lists; a thread that cannot be
 * had is one less. */
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/base/require.h"
#include "common/base/rng.h"
#include "server/params/store_private.h"

#include <string.h>

enum { DRAW = 16384 };          /* values drawn at a time */
#define FEW (UINT64_C(1) << 20) /* elements that are not worth a thread */

typedef struct item {
    uint64_t elements;
    uint32_t tensor;
} item;

typedef struct work {
    ps_param_store *store;
    item *items; /* descending */
    atomic_size_t next;
} work;

static void draw(ps_rng *rng, const ps_param_plan *plan, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        switch (plan->init) {
        case PS_PARAM_UNIFORM:
            out[i] = (float)(plan->scale * (2 * ps_rng_uniform(rng) - 1));
            break;
        case PS_PARAM_NORMAL:
            out[i] = (float)(plan->scale * ps_rng_normal(rng));
            break;
        case PS_PARAM_ONES:
            out[i] = 1;
            break;
        case PS_PARAM_ZEROS:
        default:
            out[i] = 0;
        }
    }
}

/* Row-major, whatever the column blocks: the same numbers for any of them. */
static void fill_tensor(ps_param_store *store, const item *what)
{
    PS_REQUIRE(what->tensor < store->config.n_plans);
    float values[DRAW];
    ps_rng rng;
    ps_rng_seed_named(&rng, store->config.seed, store->config.plans[what->tensor].drawn_as);
    for (uint64_t at = 0; at < what->elements; at += DRAW) {
        size_t n = what->elements - at < DRAW ? (size_t)(what->elements - at) : DRAW;
        draw(&rng, &store->config.plans[what->tensor], values, n);
        ps_param_put_values(store, what->tensor, at, values, n);
    }
}

static void fill_some(void *user)
{
    work *w = user;
    for (size_t i; (i = atomic_fetch_add(&w->next, 1)) < w->store->placement->n_tensors;)
        fill_tensor(w->store, &w->items[i]);
}

static int by_size(const void *a, const void *b)
{
    const item *x = a, *y = b;
    return x->elements > y->elements ? -1 : x->elements < y->elements;
}

ps_status ps_param_store_initialise(ps_param_store *store)
{
    const ps_placement *p = store->placement;
    work w = {.store = store, .items = ps_try_alloc_raw(p->n_tensors * sizeof *w.items)};
    if (!w.items)
        return ps_fail(PS_NO_MEMORY, "out of memory for initial values");
    for (size_t i = 0; i < p->n_tensors; i++)
        w.items[i] = (item){p->tensors[i].rows * p->tensors[i].columns, (uint32_t)i};
    qsort(w.items, p->n_tensors, sizeof *w.items, by_size);
    ps_parallel_run(p->elements > FEW ? p->n_tensors : 1, fill_some, &w);
    free(w.items);
    return PS_OK;
}
