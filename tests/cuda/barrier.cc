/* The block's barrier waits for all threads that have not ended, a warp's for the lanes of its
 * mask. The last to come makes all ready again, itself included, so that the order of turns is the
 * one asked for.
 *
 * It fails on what is undefined in CUDA: threads of a block at different barriers, a lane that is
 * not in its own mask, lanes that name different masks, a shuffle from a lane that takes no part.
 */
#include "tests/cuda/barrier.h"

#include "tests/cuda/block.h"
#include "tests/cuda/order.h"
#include "tests/cuda/report.h"

#include <string.h>

static void pass_block(void)
{
    ps_block *b = &ps_block_now;
    unsigned live = b->threads - b->ended;
    b->result = b->kind == PS_SHIM_COUNT ? (int)b->counted
                : b->kind == PS_SHIM_AND ? b->counted == live
                                         : b->counted != 0;
    b->waiting = b->counted = 0;
    b->epoch++;
    for (unsigned i = 0; i < b->threads; i++) {
        ps_thread *t = &b->thread[ps_order_at(i, b->threads)];
        if (t->state == PS_THREAD_AT_BLOCK)
            ps_block_ready(t);
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Whoever waits in the block is at the same barrier. */
static void check_same(const ps_thread *first, const char *file, int line)
{
    if (first->line != line || first->file != file)
        ps_report(NULL,
                  "waits at the barrier of %s:%d, thread (%u,%u,%u) at that of %s:%d: all threads "
                  "of a block must reach the same",
                  base_name(file), line, first->index.x, first->index.y, first->index.z,
                  base_name(first->file), first->line);
}

int ps_shim_block_barrier(bool predicate, ps_shim_count kind, const char *file, int line)
{
    ps_block *b = &ps_block_now;
    ps_thread *me = ps_thread_now;
    if (b->waiting == 0)
        b->first_waiting = me;
    else
        check_same(b->first_waiting, file, line);
    me->state = PS_THREAD_AT_BLOCK;
    me->file = file;
    me->line = line;
    b->kind = kind;
    b->counted += predicate;
    if (++b->waiting == b->threads - b->ended)
        pass_block();
    ps_block_wait();
    return b->result;
}

void ps_barrier_ended(void)
{
    ps_block *b = &ps_block_now;
    b->warp[ps_thread_now->number / 32].ended |= 1u << ps_thread_now->number % 32;
    if (b->waiting > 0 && b->waiting == b->threads - b->ended)
        pass_block();
}

unsigned ps_shim_lane(void)
{
    return ps_thread_now->number % 32;
}

/* Lanes of the running thread's warp that there are: the last warp may be short. */
static unsigned lanes_there(const ps_thread *warp)
{
    unsigned left = ps_block_now.threads - warp->number;
    return left >= 32 ? 0xffffffffu : (1u << left) - 1;
}

/* Undefined in CUDA: a lane that has ended, or one that waits with another mask. */
static void check_mask(const ps_thread *warp, unsigned mask, const char *file, int line)
{
    for (unsigned lane = 0; lane < 32; lane++) {
        if (!(mask >> lane & 1))
            continue;
        const ps_thread *t = &warp[lane];
        if (t->state == PS_THREAD_ENDED)
            ps_report(NULL, "%s:%d names lane %u in its mask %#x, which has ended", base_name(file),
                      line, lane, mask);
        else if (t->state == PS_THREAD_AT_WARP && t->mask != mask)
            ps_report(NULL, "%s:%d has the mask %#x, lane %u waits at %s:%d with %#x",
                      base_name(file), line, mask, lane, base_name(t->file), t->line, t->mask);
    }
}

static void pass_warp(ps_thread *warp, unsigned mask)
{
    unsigned votes = 0;
    for (unsigned lane = 0; lane < 32; lane++)
        if (mask >> lane & 1 && warp[lane].predicate)
            votes |= 1u << lane;
    for (unsigned lane = 0; lane < 32; lane++) {
        ps_thread *t = &warp[lane];
        if (!(mask >> lane & 1))
            continue;
        t->votes = votes;
        t->result = UINT64_MAX; /* NaN or -1 where there is nothing to take */
        if (mask >> t->source & 1)
            t->result = warp[t->source].value;
        else
            ps_report(NULL, "%s:%d takes from lane %u, which is not there or not in its mask %#x",
                      base_name(t->file), t->line, t->source, mask);
    }
    ps_block_now.warp[warp->number / 32].epoch++;
    ps_block_now.warp[warp->number / 32].arrived &= ~mask;
    for (unsigned i = 0; i < 32; i++) {
        unsigned lane = ps_order_at(i, 32);
        if (mask >> lane & 1)
            ps_block_ready(&warp[lane]);
    }
}

static ps_thread *meet(unsigned mask, const char *file, int line)
{
    ps_thread *me = ps_thread_now;
    unsigned lane = me->number % 32;
    ps_thread *warp = me - lane;
    ps_warp *state = &ps_block_now.warp[me->number / 32];
    if (!(mask >> lane & 1))
        ps_report(NULL, "%s:%d has the mask %#x without its own lane %u", base_name(file), line,
                  mask, lane);
    mask = (mask | 1u << lane) & lanes_there(warp);
    me->state = PS_THREAD_AT_WARP;
    me->mask = mask;
    me->file = file;
    me->line = line;
    state->arrived |= 1u << lane;
    bool all = (state->arrived & mask) == mask;
    if (all || mask & state->ended)
        check_mask(warp, mask, file, line);
    if (all)
        pass_warp(warp, mask);
    ps_block_wait();
    return me;
}

uint64_t ps_shim_warp_exchange(unsigned mask, uint64_t value, unsigned source, const char *file,
                               int line)
{
    ps_thread_now->value = value;
    ps_thread_now->source = source % 32;
    ps_thread_now->predicate = false;
    return meet(mask, file, line)->result;
}

unsigned ps_shim_warp_vote(unsigned mask, bool predicate, const char *file, int line)
{
    ps_thread_now->source = ps_shim_lane();
    ps_thread_now->predicate = predicate;
    return meet(mask, file, line)->votes;
}

void ps_barrier_stuck(void)
{
    const ps_block *b = &ps_block_now;
    const ps_thread *waits = NULL;
    unsigned waiting = 0;
    for (unsigned i = 0; i < b->threads; i++)
        if (b->thread[i].state != PS_THREAD_ENDED) {
            waits = waits ? waits : &b->thread[i];
            waiting++;
        }
    if (waits)
        ps_report(NULL, "%u of %u threads wait for ever: thread (%u,%u,%u) at %s:%d, %u have ended",
                  waiting, b->threads, waits->index.x, waits->index.y, waits->index.z,
                  base_name(waits->file), waits->line, b->ended);
}
