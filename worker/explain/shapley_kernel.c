/* Kernel SHAP: which coalitions, and the least squares over them.
 *
 * All coalitions of k of M players weigh (M−1)/(k·(M−k)) together, each of them the same. Sizes k
 * and M−k are taken whole, from the outside to the inside, while the budget lasts; what the others
 * weigh is shared by pairs of a coalition and its complement, drawn by that weight. A coalition
 * that is drawn again counts again, and is valued once.
 *
 * With z the members of a coalition, the shares minimise Σ w·(v(z) − v(∅) − z·φ)² under
 * Σφ = v(all) − v(∅) = Δ. The last player's is Δ minus the others': what is left is, with
 * x = z − z_last and y = v(z) − v(∅) − z_last·Δ, the equation Σ w·x·xᵀ·φ = Σ w·x·y, which Cholesky
 * solves. */
#include "worker/explain/shapley.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>
#include <string.h>

static double weight_of_size(size_t players, size_t k)
{
    return (double)(players - 1) / ((double)k * (double)(players - k));
}

/* Coalitions of k of n; more than `most` counts as most + 1. */
static size_t choose(size_t n, size_t k, size_t most)
{
    double count = 1;
    for (size_t i = 1; i <= k && count <= (double)most; i++)
        count = count * (double)(n - k + i) / (double)i;
    return count > (double)most ? most + 1 : (size_t)llround(count);
}

static uint8_t *members_of(const ps_shapley_plan *plan, size_t c)
{
    return plan->members + c * plan->players;
}

/* ---- whole sizes ---- */

/* at[k], rising, becomes the next choice of k of n in order; false: there is none. */
static bool next_choice(size_t *at, size_t k, size_t n)
{
    size_t i = k;
    while (i > 0 && at[i - 1] == n - k + i - 1)
        i--;
    if (i == 0)
        return false;
    at[i - 1]++;
    for (size_t j = i; j < k; j++)
        at[j] = at[j - 1] + 1;
    return true;
}

/* Every coalition of k players, or of all but k. */
static void add_size(ps_shapley_plan *plan, size_t k, bool without, double weight)
{
    size_t at[PS_SHAPLEY_PLAYERS_MAX];
    for (size_t i = 0; i < k; i++)
        at[i] = i;
    do {
        uint8_t *members = members_of(plan, plan->count);
        memset(members, without, plan->players);
        for (size_t i = 0; i < k; i++)
            members[at[i]] = !without;
        plan->weights[plan->count++] = weight;
    } while (next_choice(at, k, plan->players));
}

/* Sizes k and M − k for k from 1, as long as they fit; returns the first that does not. */
static size_t add_whole_sizes(ps_shapley_plan *plan, size_t most)
{
    size_t n = plan->players, k = 1;
    for (; 2 * k <= n; k++) {
        size_t sides = 2 * k == n ? 1 : 2, each = choose(n, k, most);
        if (each * sides > most - plan->count)
            break;
        double weight = weight_of_size(n, k) / (double)each;
        add_size(plan, k, false, weight);
        if (sides == 2)
            add_size(plan, k, true, weight);
    }
    return k;
}

/* ---- by chance ---- */

/* Which coalitions were drawn: open addressing, by what their members are. */
typedef struct drawn {
    const ps_shapley_plan *plan;
    size_t *slots; /* [size], a coalition's number + 1; 0: free */
    size_t size;   /* a power of two */
} drawn;

static uint64_t hash_of(const uint8_t *members, size_t n)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ members[i]) * 1099511628211u;
    return hash ^ hash >> 29;
}

/* The slot where that coalition is, or is to be. */
static size_t *slot_of(const drawn *d, const uint8_t *members)
{
    size_t n = d->plan->players, at = (size_t)hash_of(members, n) & (d->size - 1);
    while (d->slots[at] && memcmp(members_of(d->plan, d->slots[at] - 1), members, n) != 0)
        at = (at + 1) & (d->size - 1);
    return &d->slots[at];
}

/* The coalition that stands behind the last counts once more, or for the first time. */
static void count_drawn(ps_shapley_plan *plan, drawn *d)
{
    size_t *slot = slot_of(d, members_of(plan, plan->count));
    if (!*slot) {
        plan->weights[plan->count] = 0;
        *slot = ++plan->count;
    }
    plan->weights[*slot - 1] += 1;
}

static size_t draw_size(const ps_shapley_plan *plan, size_t first, double all, ps_rng *rng)
{
    double left = ps_rng_uniform(rng) * all;
    size_t k = first;
    for (; k + 1 <= plan->players - first && left >= 0; k++) {
        left -= weight_of_size(plan->players, k);
        if (left < 0)
            break;
    }
    return k <= plan->players - first ? k : plan->players - first;
}

static void draw_members(uint8_t *members, size_t n, size_t k, ps_rng *rng, uint32_t *order)
{
    ps_shapley_order(rng, n, order);
    memset(members, 0, n);
    for (size_t i = 0; i < k; i++)
        members[order[i]] = 1;
}

/* Pairs of sizes first to M − first, while two more fit. Draws end, too, when there is little new
 * to be found. */
static void add_drawn(ps_shapley_plan *plan, size_t first, size_t most, ps_rng *rng, drawn *d,
                      uint32_t *order)
{
    size_t n = plan->players, begin = plan->count;
    double all = 0, count = 0;
    for (size_t k = first; k <= n - first; k++)
        all += weight_of_size(n, k);
    for (size_t tries = 0; plan->count + 2 <= most && tries < 4 * most; tries++) {
        uint8_t *members = members_of(plan, plan->count);
        draw_members(members, n, draw_size(plan, first, all, rng), rng, order);
        uint8_t other[PS_SHAPLEY_PLAYERS_MAX];
        for (size_t i = 0; i < n; i++)
            other[i] = !members[i];
        count_drawn(plan, d);
        memcpy(members_of(plan, plan->count), other, n);
        count_drawn(plan, d);
        count += 2;
    }
    for (size_t c = begin; c < plan->count; c++)
        plan->weights[c] *= all / count;
}

static ps_status draw(ps_shapley_plan *plan, size_t first, size_t most, ps_rng *rng)
{
    drawn d = {.plan = plan, .size = 16};
    while (d.size < 2 * most)
        d.size *= 2;
    d.slots = ps_try_alloc(d.size * sizeof *d.slots);
    uint32_t *order = ps_try_alloc_raw(plan->players * sizeof *order);
    ps_status st = PS_OK;
    if (d.slots && order)
        add_drawn(plan, first, most, rng, &d, order);
    else
        st = ps_fail(PS_NO_MEMORY, "%zu coalitions of %zu players", most, plan->players);
    ps_free(&d.slots);
    ps_free(&order);
    return st;
}

ps_status ps_shapley_plan_make(size_t players, size_t most, ps_rng *rng, ps_shapley_plan *out)
{
    PS_REQUIRE(players >= 2 && players <= PS_SHAPLEY_PLAYERS_MAX);
    if (most < players)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%zu samples do not tell %zu features apart: at least "
                       "as many are needed, and some times more are better",
                       most, players);
    if (players < 40 && most > (size_t)1 << players)
        most = (size_t)1 << players;
    if (most > PS_SHAPLEY_MEMBERS_MAX / players)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "%zu samples of %zu features are too many: at most %zu samples, or more "
                       "where features are taken together",
                       most, players, (size_t)PS_SHAPLEY_MEMBERS_MAX / players);
    ps_shapley_plan plan = {.players = players};
    plan.members = ps_try_alloc_raw((most + 1) * players); /* one behind the last is drawn into */
    plan.weights = ps_try_alloc_raw((most + 1) * sizeof *plan.weights);
    ps_status st = PS_OK;
    if (!plan.members || !plan.weights)
        st = ps_fail(PS_NO_MEMORY, "%zu coalitions of %zu players", most, players);
    size_t first = st ? 0 : add_whole_sizes(&plan, most);
    plan.all = 2 * first > players;
    if (!st && !plan.all)
        st = draw(&plan, first, most, rng);
    if (st)
        ps_shapley_plan_free(&plan);
    *out = plan;
    return st;
}

void ps_shapley_plan_free(ps_shapley_plan *plan)
{
    ps_free(&plan->members);
    ps_free(&plan->weights);
    *plan = (ps_shapley_plan){0};
}

/* ---- least squares ---- */

typedef struct normal {
    size_t n;  /* players - 1 */
    double *a; /* [n, n], the lower half */
    double *b; /* [n] */
    int8_t *x; /* [n], of a coalition */
    ps_shapley_check check;
    void *user;
    uint64_t done; /* operations since it was asked */
} normal;

enum { OFTEN = 1 << 26 }; /* operations: some hundredths of a second */

static ps_status go_on(normal *e, uint64_t operations)
{
    e->done += operations;
    if (e->done < OFTEN || !e->check)
        return PS_OK;
    e->done = 0;
    return e->check(e->user);
}

static void add_coalition(normal *e, const uint8_t *members, double weight, double value,
                          double delta)
{
    int last = members[e->n];
    double y = value - (last ? delta : 0);
    for (size_t i = 0; i < e->n; i++)
        e->x[i] = (int8_t)(members[i] - last);
    for (size_t i = 0; i < e->n; i++) {
        if (!e->x[i])
            continue;
        double wx = weight * e->x[i];
        for (size_t j = 0; j <= i; j++)
            e->a[i * e->n + j] += wx * e->x[j];
        e->b[i] += wx * y;
    }
}

/* a = L·Lᵀ in place; *definite false: it is not, in float64's eyes. */
static ps_status factor(normal *e, bool *definite)
{
    double *a = e->a;
    size_t n = e->n;
    ps_status st = PS_OK;
    *definite = true;
    for (size_t i = 0; !st && *definite && i < n; i++) {
        double whole = a[i * n + i];
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (size_t k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            if (j < i)
                a[i * n + j] = sum / a[j * n + j];
            else if (sum > 1e-12 * whole)
                a[i * n + i] = sqrt(sum);
            else
                *definite = false;
        }
        st = go_on(e, i * i / 2);
    }
    return st;
}

/* L·Lᵀ·x = b, in b. */
static void substitute(const double *l, size_t n, double *b)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++)
            b[i] -= l[i * n + j] * b[j];
        b[i] /= l[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t j = i + 1; j < n; j++)
            b[i] -= l[j * n + i] * b[j];
        b[i] /= l[i * n + i];
    }
}

static ps_status solve(normal *e, const ps_shapley_plan *plan, double empty, double delta,
                       const double *values, double *out)
{
    ps_status st = PS_OK;
    bool definite = false;
    for (size_t c = 0; !st && c < plan->count; c++) {
        add_coalition(e, members_of(plan, c), plan->weights[c], values[c] - empty, delta);
        st = go_on(e, e->n * e->n / 2);
    }
    if (!st)
        st = factor(e, &definite);
    if (st)
        return st;
    if (!definite)
        return ps_fail(PS_OUT_OF_RANGE,
                       "%zu coalitions do not tell %zu features apart: raise "
                       "samples",
                       plan->count, plan->players);
    substitute(e->a, e->n, e->b);
    out[e->n] = delta;
    for (size_t i = 0; i < e->n; i++) {
        out[i] = e->b[i];
        out[e->n] -= e->b[i];
    }
    return PS_OK;
}

ps_status ps_shapley_solve(const ps_shapley_plan *plan, double empty, double full,
                           const double *values, ps_shapley_check check, void *user, double *out)
{
    PS_REQUIRE(plan->players >= 2);
    normal e = {.n = plan->players - 1, .check = check, .user = user};
    e.a = ps_try_alloc(e.n * e.n * sizeof *e.a);
    e.b = ps_try_alloc(e.n * sizeof *e.b);
    e.x = ps_try_alloc(e.n);
    ps_status st = e.a && e.b && e.x
                       ? solve(&e, plan, empty, full - empty, values, out)
                       : ps_fail(PS_NO_MEMORY, "the equations of %zu players", plan->players);
    ps_free(&e.a);
    ps_free(&e.b);
    ps_free(&e.x);
    return st;
}
