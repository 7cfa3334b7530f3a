/* A waiting fiber is its stack pointer: the registers that a call must keep lie on its stack, above
 * them the address to go on at. A new one gets a stack that looks like that. */
#include "tests/cuda/fiber.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define STACK_SIZE (256u << 10)
#else
#define STACK_SIZE (64u << 10)
#endif
#define GUARD_SIZE 4096u

void ps_fiber_new(ps_fiber *f)
{
    memset(f, 0, sizeof *f);
    char *area = (char *)mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (area == MAP_FAILED || mprotect(area, GUARD_SIZE, PROT_NONE) != 0) {
        perror("cuda shim: no memory for a thread's stack");
        abort();
    }
    f->stack = area + GUARD_SIZE;
    f->size = STACK_SIZE;
}

bool ps_fiber_guard_holds(const ps_fiber *f, const void *address)
{
    return f->stack && (const char *)address < f->stack &&
           (const char *)address >= f->stack - GUARD_SIZE;
}

bool ps_fiber_holds(const ps_fiber *f, const void *address)
{
    return f->stack && (const char *)address < f->stack + f->size &&
           (const char *)address >= f->stack - GUARD_SIZE;
}

#ifdef __x86_64__

extern "C" void ps_fiber_swap(void **save, void *load);

/* rdi: where the stack pointer is kept, rsi: the one to go on with. */
asm(".text\n"
    ".p2align 4\n"
    ".globl ps_fiber_swap\n"
    ".hidden ps_fiber_swap\n"
    ".type ps_fiber_swap, @function\n"
    "ps_fiber_swap:\n"
    "    pushq %rbp\n"
    "    pushq %rbx\n"
    "    pushq %r12\n"
    "    pushq %r13\n"
    "    pushq %r14\n"
    "    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n"
    "    popq %r14\n"
    "    popq %r13\n"
    "    popq %r12\n"
    "    popq %rbx\n"
    "    popq %rbp\n"
    "    ret\n"
    ".size ps_fiber_swap, . - ps_fiber_swap\n");

/* At entry the stack pointer is 8 below a multiple of 16, as after a call. */
static void prepare(ps_fiber *f, void (*entry)(void))
{
    void **top = (void **)(f->stack + f->size);
    *--top = NULL; /* entry's caller: nobody */
    *--top = (void *)entry;
    for (int i = 0; i < 6; i++)
        *--top = NULL;
    f->context = top;
}

static void swap(ps_fiber *from, ps_fiber *to)
{
    ps_fiber_swap(&from->context, to->context);
}

#else

static ucontext_t *context_of(ps_fiber *f)
{
    if (!f->context)
        f->context = calloc(1, sizeof(ucontext_t));
    if (!f->context)
        abort();
    return (ucontext_t *)f->context;
}

static void prepare(ps_fiber *f, void (*entry)(void))
{
    ucontext_t *context = context_of(f);
    if (getcontext(context) != 0)
        abort();
    context->uc_stack.ss_sp = f->stack;
    context->uc_stack.ss_size = f->size;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
}

static void swap(ps_fiber *from, ps_fiber *to)
{
    if (swapcontext(context_of(from), context_of(to)) != 0)
        abort();
}

#endif

#ifdef __SANITIZE_ADDRESS__

static void (*entry_of_new)(void);

/* A fiber's first steps end the switch that brought it here. The stack of who switched is learnt
 * by the way: the program's own is not known otherwise. */
static ps_fiber *switched_from;

static void arrived(void *kept)
{
    const void *stack = NULL;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(kept, &stack, &size);
    if (!switched_from->stack) {
        switched_from->sanitizer = (void *)stack;
        switched_from->size = size;
    }
}

static void first_steps(void)
{
    arrived(NULL);
    entry_of_new();
}

void ps_fiber_start(ps_fiber *f, void (*entry)(void))
{
    __asan_unpoison_memory_region(f->stack, f->size);
    entry_of_new = entry;
    prepare(f, first_steps);
}

void ps_fiber_switch(ps_fiber *from, ps_fiber *to)
{
    void *kept = NULL;
    const void *stack = to->stack ? to->stack : to->sanitizer;
    __sanitizer_start_switch_fiber(&kept, stack, to->size);
    switched_from = from;
    swap(from, to);
    arrived(kept);
}

#else

void ps_fiber_start(ps_fiber *f, void (*entry)(void))
{
    prepare(f, entry);
}

void ps_fiber_switch(ps_fiber *from, ps_fiber *to)
{
    swap(from, to);
}

#endif
