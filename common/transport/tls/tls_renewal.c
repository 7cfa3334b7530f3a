/* Arithmetic; cannot fail. */
#include "common/transport/tls/tls_renewal.h"

enum { LEAST_MS = 250, MOST_MS = 600000, LASTING_MOST_MS = 3600000 };

void ps_tls_renewal_init(ps_tls_renewal *r, uint64_t seed)
{
    *r = (ps_tls_renewal){0};
    ps_rng_seed(&r->rng, seed);
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

void ps_tls_renewal_has(ps_tls_renewal *r, int64_t begin_ms, int64_t end_ms)
{
    if (r->end_ms == end_ms)
        return;
    int64_t life = end_ms > begin_ms ? end_ms - begin_ms : 0;
    r->begin_ms = begin_ms;
    r->end_ms = end_ms;
    r->failures = 0;
    r->due_ms = begin_ms + life / 2 + (int64_t)ps_rng_below(&r->rng, (uint64_t)life / 10 + 1);
}

void ps_tls_renewal_failed(ps_tls_renewal *r, int64_t now_ms, bool lasting)
{
    int64_t life = r->end_ms - r->begin_ms, most = lasting ? LASTING_MOST_MS : MOST_MS;
    int64_t longest = clamp(life / 12, LEAST_MS, most);
    int64_t step = clamp(lasting ? longest : life / 100, LEAST_MS, longest);
    for (uint64_t i = 0; i < r->failures && step < longest; i++)
        step = clamp(2 * step, LEAST_MS, longest);
    r->failures++;
    r->due_ms = now_ms + step - (int64_t)ps_rng_below(&r->rng, (uint64_t)step / 4 + 1);
}

uint64_t ps_tls_renewal_wait(const ps_tls_renewal *r, int64_t now_ms)
{
    if (now_ms >= r->end_ms)
        return UINT64_MAX;
    return r->due_ms > now_ms ? (uint64_t)(r->due_ms - now_ms) : 0;
}

int64_t ps_tls_judge_now(const ps_tls_judge *j, int64_t wall_ms, uint64_t monotonic_ms)
{
    if (!j->said_ms)
        return wall_ms;
    int64_t ran = (int64_t)(monotonic_ms - j->monotonic_ms), set = wall_ms - j->wall_ms;
    return j->said_ms + (ran > set ? ran : set);
}

int64_t ps_tls_judge_off(const ps_tls_judge *j, int64_t begin_ms, int64_t end_ms)
{
    int64_t half = (end_ms - j->said_ms) / 2;
    if (!j->said_ms || (j->wall_ms >= begin_ms && j->wall_ms < j->said_ms + half))
        return 0;
    return j->wall_ms - j->said_ms;
}
