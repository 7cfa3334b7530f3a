/* For every word of four bytes its last writer and a reader are kept, in shadow memory that is made
 * by touching it. Of readers that nothing orders the first is kept, with a note of how far the
 * others are from it. */
#include "tests/cuda/checker.h"

#include "tests/cuda/block.h"
#include "tests/cuda/place.h"
#include "tests/cuda/report.h"
#include "tests/cuda/shim.h"
#include "tests/cuda/word.h"

#include <vector>

/* Other readers of the same bytes: in the reader's warp, its block, or another block. */
#define OTHER_LANE  1
#define OTHER_WARP  2
#define OTHER_BLOCK 4

static bool enabled;
static std::vector<bool> released; /* blocks of this launch that fenced and did an atomic */
static bool fenced, acquired;      /* the running block */
static uint32_t fence_block;

bool ps_shim_checked(void)
{
    return enabled;
}

void ps_checker_enable(void)
{
    enabled = true;
}

void ps_checker_launch(void)
{
    released.clear();
    fence_block = UINT32_MAX;
    ps_place_forget();
}

static void enter_block(void)
{
    if (fence_block == ps_block_now.number)
        return;
    fence_block = ps_block_now.number;
    fenced = acquired = false;
}

void ps_shim_fence(void)
{
    enter_block();
    fenced = true;
}

static void note_atomic(void)
{
    enter_block();
    if (!fenced)
        return;
    acquired = true;
    if (released.size() <= ps_block_now.number)
        released.resize(ps_block_now.number + 1);
    released[ps_block_now.number] = true;
}

/* The running thread is after all that block did. */
static bool after_block(uint32_t block)
{
    enter_block();
    return acquired && block < released.size() && released[block];
}

static bool ordered(const ps_access *old, const ps_access *now)
{
    if (old->launch != now->launch)
        return true;
    if (old->block != now->block)
        return after_block(old->block);
    return old->thread == now->thread || old->epoch != now->epoch ||
           (old->thread / 32 == now->thread / 32 && old->warp_epoch != now->warp_epoch);
}

/* One of the other readers is not before the writer. */
static bool others_race(const ps_access *read, const ps_access *now)
{
    if (read->launch != now->launch)
        return false;
    if (read->others & OTHER_BLOCK && !acquired)
        return true;
    if (read->block != now->block || read->epoch != now->epoch)
        return false;
    return read->others & OTHER_WARP ||
           (read->others & OTHER_LANE && read->warp_epoch == now->warp_epoch);
}

static void report_race(const ps_access *old, const char *did, const char *does,
                        const void *address, const void *pc)
{
    char where[200];
    ps_place_describe(address, where, sizeof where);
    dim3 b = ps_shim_block_dim;
    unsigned t = old->thread;
    if (old->block != ps_block_now.number)
        ps_report(pc, "race: %s %s, which block %u of the same launch %s: blocks have no order",
                  does, where, old->block, did);
    else
        ps_report(pc, "race: %s %s, which thread (%u,%u,%u) %s with no barrier in between", does,
                  where, t % b.x, t / b.x % b.y, t / b.x / b.y, did);
}

static void check_write(const ps_word *w, const ps_access *now, bool atomic, const void *address,
                        const void *pc)
{
    const char *does = atomic ? "changes" : "writes";
    if (w->write.bytes & now->bytes && !(atomic && w->atomic) && !ordered(&w->write, now))
        report_race(&w->write, w->atomic ? "changed by an atomic" : "wrote", does, address, pc);
    else if (w->read.bytes & now->bytes && (!ordered(&w->read, now) || others_race(&w->read, now)))
        report_race(&w->read, "read", does, address, pc);
}

static void note_write(ps_word *w, const ps_access *now, bool atomic)
{
    uint8_t bytes = now->bytes;
    if (w->write.launch == now->launch && w->write.block == now->block &&
        w->write.thread == now->thread && w->write.epoch == now->epoch &&
        w->write.warp_epoch == now->warp_epoch)
        bytes |= w->write.bytes;
    w->write = *now;
    w->write.bytes = bytes;
    w->atomic = atomic;
    w->known |= now->bytes;
}

static void note_read(ps_word *w, const ps_access *now)
{
    ps_access *r = &w->read;
    if (ordered(r, now) || !(r->bytes & now->bytes)) {
        *r = *now;
        return;
    }
    r->bytes &= now->bytes;
    r->others |= r->block != now->block               ? OTHER_BLOCK
                 : r->thread / 32 != now->thread / 32 ? OTHER_WARP
                                                      : OTHER_LANE;
}

static void check_known(ps_word *w, const ps_access *now, bool shared, const void *address,
                        const void *pc)
{
    if ((w->known & now->bytes) == now->bytes)
        return;
    char where[200];
    ps_place_describe(address, where, sizeof where);
    ps_report(pc, "reads %s, which was never written%s", where,
              shared ? " before (is a barrier missing?)" : "");
    w->known |= now->bytes;
}

/* A block's shared memory is new: what other blocks did there is not seen. */
static void renew(ps_word *w, const ps_access *now)
{
    if (w->write.launch != now->launch || w->write.block != now->block) {
        w->write = {};
        w->known = 0;
    }
    if (w->read.launch != now->launch || w->read.block != now->block)
        w->read = {};
}

static void access_word(ps_word *w, const ps_access *now, ps_access_kind kind, bool shared,
                        const void *address, const void *pc)
{
    if (shared)
        renew(w, now);
    if (kind != PS_ACCESS_WRITE)
        check_known(w, now, shared, address, pc);
    if (kind == PS_ACCESS_READ) {
        if (w->write.bytes & now->bytes && !ordered(&w->write, now))
            report_race(&w->write, w->atomic ? "changed by an atomic" : "wrote", "reads", address,
                        pc);
        note_read(w, now);
        return;
    }
    check_write(w, now, kind == PS_ACCESS_ATOMIC, address, pc);
    note_write(w, now, kind == PS_ACCESS_ATOMIC);
}

/* Which bytes of at's word are in [at, end). */
static uint8_t bytes_of(uintptr_t at, uintptr_t end)
{
    uintptr_t next = (at | 3) + 1;
    unsigned first = at & 3, last = (unsigned)((next < end ? next : end) - 1) & 3;
    return (uint8_t)((0xfu << first) & (0xfu >> (3 - last)));
}

void ps_checker_access(const void *address, size_t size, ps_access_kind kind, const void *pc)
{
    const ps_thread *t = ps_thread_now;
    if (!t || !enabled)
        return;
    const ps_block *b = &ps_block_now;
    bool shared = false;
    ps_word *w = ps_place_word(address, size, kind != PS_ACCESS_READ, pc, &shared);
    if (!w)
        return;
    if (kind == PS_ACCESS_ATOMIC)
        note_atomic();
    ps_access now = {b->launch_number,
                     b->number,
                     (uint16_t)t->number,
                     b->epoch,
                     b->warp[t->number / 32].epoch,
                     0,
                     0};
    uintptr_t at = (uintptr_t)address, end = at + size;
    for (; at < end; w++) {
        uintptr_t next = (at | 3) + 1;
        now.bytes = bytes_of(at, end);
        access_word(w, &now, kind, shared, (const void *)at, pc);
        at = next;
    }
}

void ps_checker_aligned(const void *address, size_t size, const void *pc)
{
    if (!ps_thread_now || (uintptr_t)address % size == 0)
        return;
    char where[200];
    ps_place_describe(address, where, sizeof where);
    ps_report(pc, "takes %zu bytes at once from an address that is no multiple of that: %s", size,
              where);
}

void ps_checker_written(const void *address, size_t size)
{
    if (!enabled)
        return;
    ps_word *w = ps_place_device_word(address);
    if (!w)
        return;
    uintptr_t at = (uintptr_t)address, end = at + size;
    for (; at < end; w++) {
        uintptr_t next = (at | 3) + 1;
        w->known |= bytes_of(at, end);
        at = next;
    }
}

void ps_shim_atomic_access(void *address, size_t size, void *pc)
{
    ps_checker_access(address, size, PS_ACCESS_ATOMIC, pc);
}
