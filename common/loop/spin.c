/* Happy path: some short waits in a row, then every wait begins with looking, and what is waited
 * for comes soon.
 *
 * How it can be wrong: nothing comes within the limit, or mostly late, because the peer is slower
 * or because another thread was given the core meanwhile (the loop yields it between two looks).
 * Then the loop sleeps, and looks again only after twice as many short waits in a row, up to
 * NEEDED_MOST: so guessing wrong all the time costs a limit or two in a thousand waits. Each right
 * guess halves the number. A long wait ends a row: a loop with a call now and then never looks. */
#include "common/loop/spin.h"

#define NEEDED_LEAST 4u
#define NEEDED_MOST  1024u
/* A wait that was slept through counts as short up to so many limits: it contains the waking of
 * both sides, which looking saves. */
#define SHORT_LIMITS 4u
/* A loop that works for longer than this share of the limit between waits moves data: its time goes
 * there, not to being woken. */
#define BUSY_SHARE 2u
/* Looking goes on while it finds something within this share of the limit, in the mean. The limit
 * itself must be longer: before both sides look, one waits for the other to be woken. */
#define MEAN_SHARE  4u
#define MEAN_WEIGHT 16u

void ps_spin_init(ps_spin *spin, uint64_t limit_ns)
{
    *spin = (ps_spin){.limit_ns = limit_ns, .needed = NEEDED_LEAST};
}

static void begin(ps_spin *spin, uint64_t now_ns)
{
    spin->waiting = true;
    spin->begun_ns = now_ns;
    if (now_ns - spin->woken_ns > spin->limit_ns / BUSY_SHARE)
        spin->streak = 0;
    spin->looking = spin->streak >= spin->needed;
}

bool ps_spin_looks(ps_spin *spin, uint64_t now_ns)
{
    if (spin->limit_ns == 0)
        return false;
    if (!spin->waiting)
        begin(spin, now_ns);
    return spin->looking && now_ns - spin->begun_ns < spin->limit_ns;
}

static void learn_from_looking(ps_spin *spin, uint64_t waited_ns)
{
    const uint64_t soon = spin->limit_ns / MEAN_SHARE;
    spin->mean_ns = (spin->mean_ns * (MEAN_WEIGHT - 1) + waited_ns) / MEAN_WEIGHT;
    if (waited_ns >= spin->limit_ns || spin->mean_ns > soon) {
        spin->streak = 0;
        spin->mean_ns = 0;
        spin->needed = spin->needed * 2 < NEEDED_MOST ? spin->needed * 2 : NEEDED_MOST;
    } else if (waited_ns <= soon) {
        spin->needed = spin->needed / 2 > NEEDED_LEAST ? spin->needed / 2 : NEEDED_LEAST;
    }
}

void ps_spin_woken(ps_spin *spin, uint64_t now_ns)
{
    if (!spin->waiting)
        return;
    spin->waiting = false;
    spin->woken_ns = now_ns;
    uint64_t waited = now_ns - spin->begun_ns;
    if (spin->looking)
        learn_from_looking(spin, waited);
    else if (waited < spin->limit_ns * SHORT_LIMITS)
        spin->streak += spin->streak < NEEDED_MOST;
    else
        spin->streak = 0;
}

void ps_spin_forget(ps_spin *spin)
{
    spin->waiting = false;
}
