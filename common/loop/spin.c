/* Happy path: some short waits in a row, then every wait begins with looking, and what is waited
 * for comes soon.
 *
 * How it can be wrong: nothing comes within the limit, or mostly late, because the peer is slower
 * or because another thread was given the core meanwhile (the loop yields it between two looks).
 * Then the loop sleeps, and looks again only after twice as many short waits in a row, up to
 * NEEDED_MOST: so guessing wrong all the time costs a limit or two in a thousand waits. Each right
 * guess halves the number. A long wait ends a row: a loop with a call now and then never looks.
 *
 * Between two looks the core was somebody else's: others work on it, and give it back when their
 * turn is over, milliseconds later, while a thread that sleeps is given it as soon as it is woken.
 * Then more short waits in a row make the loop look again, AWAY_FIRST of them after the first time
 * and up to NEEDED_MOST when it happens again before as many went well: one call in a thousand may
 * meet that once more, and no percentile that anybody looks at does. */
#include "common/loop/spin.h"

#define NEEDED_LEAST 4u
#define NEEDED_MOST  1024u
#define AWAY_FIRST   64u
#define AWAY_GROWTH  4u
/* A wait that was slept through counts as short up to so many limits: it contains the waking of
 * both sides, which looking saves. */
#define SHORT_LIMITS 4u
/* A loop that works for longer than this share of the limit between waits moves data: its time goes
 * there, not to being woken. */
#define BUSY_SHARE 2u
/* Looking goes on while it finds something within this share of the limit, in the mean: while one
 * side looks and the other has still to be woken, which takes a virtual machine 60 us, the one must
 * not give up before the other begins. */
#define MEAN_SHARE  3u
#define MEAN_WEIGHT 16u
/* Two looks further apart than so many limits: the core was away, since others' turns take
 * milliseconds. A look takes 1 us; an interrupt, also of a virtual machine's host, some tens, now
 * and then 200. */
#define AWAY_LIMITS 2u

void ps_spin_init(ps_spin *spin, uint64_t limit_ns)
{
    *spin = (ps_spin){.limit_ns = limit_ns, .needed = NEEDED_LEAST, .away_needed = AWAY_FIRST};
}

static void begin(ps_spin *spin, uint64_t now_ns)
{
    spin->waiting = true;
    spin->begun_ns = spin->looked_ns = now_ns;
    if (now_ns - spin->woken_ns > spin->limit_ns / BUSY_SHARE)
        spin->streak = 0;
    spin->looking = spin->streak >= spin->needed;
}

/* Returns whether it was so. */
static bool learn_from_being_away(ps_spin *spin, uint64_t now_ns)
{
    bool away = spin->looking && now_ns - spin->looked_ns > spin->limit_ns * AWAY_LIMITS;
    spin->looked_ns = now_ns;
    if (!away)
        return false;
    spin->looking = false;
    spin->streak = 0;
    spin->mean_ns = 0;
    spin->needed = spin->away_needed;
    spin->well = 0;
    if (spin->away_needed < NEEDED_MOST)
        spin->away_needed *= AWAY_GROWTH;
    return true;
}

bool ps_spin_looks(ps_spin *spin, uint64_t now_ns)
{
    if (spin->limit_ns == 0)
        return false;
    if (!spin->waiting)
        begin(spin, now_ns);
    (void)learn_from_being_away(spin, now_ns);
    return spin->looking && now_ns - spin->begun_ns < spin->limit_ns;
}

static void learn_from_looking(ps_spin *spin, uint64_t waited_ns)
{
    const uint64_t soon = spin->limit_ns / MEAN_SHARE;
    if (++spin->well == NEEDED_MOST)
        spin->away_needed = AWAY_FIRST;
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
    if (learn_from_being_away(spin, now_ns))
        return;
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
