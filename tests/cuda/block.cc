/* A queue of threads that may go on. A thread is started when its turn first comes, on the fiber of
 * one that has just ended where there is one: so a kernel without barriers needs a single fiber.
 *
 * It fails when the queue is empty and threads still wait: then not all of them reach the barrier,
 * and the finding says who waits where. */
#include "tests/cuda/block.h"

#include "tests/cuda/barrier.h"
#include "tests/cuda/order.h"
#include "tests/cuda/report.h"
#include "tests/cuda/shared.h"

#include <stdio.h>
#include <string.h>

ps_block ps_block_now;
ps_thread *ps_thread_now;
uint3 *ps_shim_thread_index;
uint3 ps_shim_block_index;
dim3 ps_shim_block_dim, ps_shim_grid_dim;
extern const int warpSize = 32;

static ps_fiber program; /* the stack that the launch came from */
static ps_fiber fibers[PS_BLOCK_MAX];
static unsigned fibers_made;
static ps_fiber *idle[PS_BLOCK_MAX];
static unsigned idle_count;

static ps_thread *queue[PS_BLOCK_MAX];
static unsigned queue_head, queue_count;

void ps_block_ready(ps_thread *t)
{
    t->state = PS_THREAD_READY;
    queue[(queue_head + queue_count++) % PS_BLOCK_MAX] = t;
}

static ps_thread *next_ready(void)
{
    if (queue_count == 0)
        return NULL;
    unsigned pick = (queue_head + ps_order_pick(queue_count)) % PS_BLOCK_MAX;
    ps_thread *t = queue[pick];
    queue[pick] = queue[queue_head];
    queue_head = (queue_head + 1) % PS_BLOCK_MAX;
    queue_count--;
    return t;
}

static void run_threads(void);

static ps_fiber *idle_fiber(void)
{
    if (idle_count == 0) {
        ps_fiber_new(&fibers[fibers_made]);
        idle[idle_count++] = &fibers[fibers_made++];
    }
    ps_fiber *f = idle[--idle_count];
    ps_fiber_start(f, run_threads);
    return f;
}

static void take_turn(ps_thread *t)
{
    ps_thread_now = t;
    ps_shim_thread_index = &t->index;
}

/* What each fiber does: threads to their ends, one after the other. */
static void run_threads(void)
{
    for (;;) {
        ps_block_now.launch->call(ps_block_now.launch->arguments);
        ps_thread *t = ps_thread_now;
        t->state = PS_THREAD_ENDED;
        ps_block_now.ended++;
        ps_barrier_ended();
        ps_fiber *mine = t->fiber;
        ps_thread *next = next_ready();
        if (next && !next->fiber) {
            next->fiber = mine;
            take_turn(next);
            continue;
        }
        idle[idle_count++] = mine;
        if (next)
            take_turn(next);
        ps_fiber_switch(mine, next ? next->fiber : &program);
    }
}

void ps_block_wait(void)
{
    ps_thread *me = ps_thread_now, *next = next_ready();
    if (next == me)
        return;
    if (next && !next->fiber)
        next->fiber = idle_fiber();
    if (next)
        take_turn(next);
    ps_fiber_switch(me->fiber, next ? next->fiber : &program);
}

void ps_block_abort(void)
{
    ps_block_now.aborted = true;
    ps_fiber_switch(ps_thread_now->fiber, &program);
    __builtin_unreachable();
}

static uint3 place(uint32_t number, dim3 size)
{
    uint3 at = {number % size.x, number / size.x % size.y, number / size.x / size.y};
    return at;
}

static void begin(const ps_shim_launch *launch, uint32_t launch_number, uint32_t number)
{
    ps_block *b = &ps_block_now;
    bool same = b->launch == launch && b->launch_number == launch_number;
    unsigned threads = launch->block.x * launch->block.y * launch->block.z;
    b->launch = launch;
    b->launch_number = launch_number;
    b->number = number;
    b->threads = threads;
    b->waiting = b->ended = b->counted = 0;
    b->aborted = false;
    b->epoch = 0;
    ps_shim_block_index = place(number, launch->grid);
    ps_shim_block_dim = launch->block;
    ps_shim_grid_dim = launch->grid;
    queue_head = queue_count = idle_count = 0;
    for (unsigned i = fibers_made; i-- > 0;)
        idle[idle_count++] = &fibers[i];
    memset(b->warp, 0, sizeof b->warp);
    for (unsigned i = 0; i < threads; i++) {
        ps_thread *t = &b->thread[ps_order_at(i, threads)];
        t->number = (unsigned)(t - b->thread);
        if (!same)
            t->index = place(t->number, launch->block);
        t->fiber = NULL;
        ps_block_ready(t);
    }
}

bool ps_block_run(const ps_shim_launch *launch, uint32_t launch_number, uint32_t number)
{
    begin(launch, launch_number, number);
    ps_shared_begin(launch->shared);
    ps_thread *first = next_ready();
    first->fiber = idle_fiber();
    take_turn(first);
    ps_fiber_switch(&program, first->fiber);
    ps_block *b = &ps_block_now;
    if (!b->aborted && b->ended < b->threads) {
        ps_barrier_stuck();
        b->aborted = true;
    }
    ps_thread_now = NULL;
    return !b->aborted;
}

void ps_block_describe(char *out, size_t size)
{
    const ps_thread *t = ps_thread_now;
    if (!t)
        return;
    (void)snprintf(out, size, "kernel %s, block (%u,%u,%u), thread (%u,%u,%u)",
                   ps_block_now.launch->name, ps_shim_block_index.x, ps_shim_block_index.y,
                   ps_shim_block_index.z, t->index.x, t->index.y, t->index.z);
}

bool ps_block_stack_overflow(const void *address)
{
    return ps_thread_now && ps_fiber_guard_holds(ps_thread_now->fiber, address);
}

bool ps_block_on_stack(const void *address)
{
    return ps_thread_now && ps_fiber_holds(ps_thread_now->fiber, address);
}
