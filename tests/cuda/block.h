/* block: the threads of one block, one fiber each, taking turns until all have ended. */
#ifndef PS_TEST_CUDA_BLOCK_H
#define PS_TEST_CUDA_BLOCK_H

#include "tests/cuda/device.h"
#include "tests/cuda/fiber.h"

#define PS_BLOCK_MAX 1024u /* threads */
#define PS_WARP_MAX  (PS_BLOCK_MAX / 32)

typedef enum ps_thread_state {
    PS_THREAD_READY,
    PS_THREAD_AT_BLOCK, /* waits at a block barrier */
    PS_THREAD_AT_WARP,  /* waits for lanes of its warp */
    PS_THREAD_ENDED
} ps_thread_state;

typedef struct ps_thread {
    uint3 index;
    unsigned number; /* its place in the block: warp 32 · w, lane l */
    ps_thread_state state;
    ps_fiber *fiber;  /* NULL: not started */
    const char *file; /* the barrier it waits at */
    int line;
    /* what a warp exchanges */
    unsigned mask, source, votes;
    bool predicate;
    uint64_t value, result;
} ps_thread;

typedef struct ps_warp {
    unsigned arrived, ended; /* lanes */
    uint16_t epoch;          /* barriers passed */
} ps_warp;

typedef struct ps_block {
    const ps_shim_launch *launch;
    uint32_t launch_number; /* counts all launches, from 1 */
    uint32_t number;        /* the block's place in the grid */
    unsigned threads, waiting, ended;
    ps_thread *first_waiting; /* at the block barrier */
    unsigned counted;         /* predicates that held at the block barrier */
    int result;
    ps_shim_count kind;
    uint16_t epoch; /* barriers passed */
    bool aborted;
    ps_warp warp[PS_WARP_MAX];
    ps_thread thread[PS_BLOCK_MAX];
} ps_block;

extern ps_block ps_block_now;
extern ps_thread *ps_thread_now; /* NULL: no kernel is running */

/* Runs all threads; false when a finding or a fault ended the block early. */
bool ps_block_run(const ps_shim_launch *launch, uint32_t launch_number, uint32_t number);
/* Leaves the block from within a thread or its signal handler; never returns. */
void ps_block_abort(void) __attribute__((noreturn));
/* Puts the running thread aside until it is made ready again. */
void ps_block_wait(void);
void ps_block_ready(ps_thread *t);
/* "kernel scale, block (3,0,0), thread (17,0,0)"; "" when none is running */
void ps_block_describe(char *out, size_t size);
/* The running thread's fiber has address in its stack's guard page. */
bool ps_block_stack_overflow(const void *address);
bool ps_block_on_stack(const void *address);

#endif
