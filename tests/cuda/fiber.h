/* fiber: stacks that take turns on one OS thread. On x86-64 a switch is a few instructions;
 * elsewhere it is ucontext's, with a system call in it. AddressSanitizer is told of every switch.
 */
#ifndef PS_TEST_CUDA_FIBER_H
#define PS_TEST_CUDA_FIBER_H

#include <stddef.h>

typedef struct ps_fiber {
    void *context; /* where it stands: a stack pointer, or a ucontext_t */
    char *stack;   /* NULL: the stack that the program came with; below it is a guard page */
    size_t size;
    void *sanitizer; /* its frames, kept by AddressSanitizer while it waits */
} ps_fiber;

/* Gives f a stack. Ends the program when there is no memory. */
void ps_fiber_new(ps_fiber *f);
/* f starts at entry when it is switched to next, whatever it did before. entry never returns. */
void ps_fiber_start(ps_fiber *f, void (*entry)(void));
/* Goes on where to stands; returns when something switches back to from. May be called in a signal
 * handler, which then never returns. */
void ps_fiber_switch(ps_fiber *from, ps_fiber *to);
/* Whether address is in f's stack or its guard page. */
bool ps_fiber_holds(const ps_fiber *f, const void *address);
bool ps_fiber_guard_holds(const ps_fiber *f, const void *address);

#endif
