/* What a memory fault means. Device memory that is closed is opened when the device touches it.
 * Anything else that the device may not touch is a finding: the kernel ends there and the context
 * is lost, as on hardware. The host's touch of device memory is one too; kept, it goes on.
 *
 * Faults that have nothing to do with the device go to whoever handled them before. */
#include "tests/cuda/fault.h"

#include "tests/cuda/block.h"
#include "tests/cuda/memory.h"
#include "tests/cuda/report.h"
#include "tests/cuda/shared.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

static struct sigaction before;
static stack_t stack_before;
static char handler_stack[256 << 10];

static const void *instruction(const void *context)
{
#ifdef __x86_64__
    return (const char *)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] + 1;
#else
    (void)context;
    return NULL;
#endif
}

static const char *verb(const void *context)
{
#ifdef __x86_64__
    return ((const ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 2 ? "writes" : "reads";
#else
    (void)context;
    return "touches";
#endif
}

static void device_fault(const void *address, const void *context)
{
    char where[200];
    size_t offset = 0, left = 0;
    ps_memory_describe(address, where, sizeof where);
    if (ps_block_stack_overflow(address))
        ps_report(instruction(context), "uses more stack than a thread has");
    else if (ps_shared_find(address, &offset, &left))
        ps_report(instruction(context), "%s out of the bounds of shared memory", verb(context));
    else
        ps_report(instruction(context), "%s out of bounds: %s", verb(context), where);
    ps_sticky_error = cudaErrorIllegalAddress;
    ps_block_abort();
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    ps_allocation *a = ps_memory_find(info->si_addr);
    bool inside = a && a->live && (const char *)info->si_addr < a->pages + a->pages_size;
    if (inside && !a->open && ps_device_running()) {
        ps_memory_open(a);
        return;
    }
    if (ps_thread_now)
        device_fault(info->si_addr, context);
    if (ps_memory_in_arena(info->si_addr)) {
        char where[200];
        ps_memory_describe(info->si_addr, where, sizeof where);
        ps_report(instruction(context), "the host %s %s", verb(context), where);
        if (inside) {
            ps_memory_open(a); /* until the device leaves next */
            return;
        }
    }
    (void)sigaction(number, &before, NULL); /* it comes again at once */
}

void ps_fault_watch(void)
{
    static bool watching;
    if (watching)
        return;
    watching = true;
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    if (sigaction(SIGSEGV, &action, &before) != 0) {
        perror("cuda shim: sigaction");
        abort();
    }
}

void ps_fault_stack_begin(void)
{
    stack_t mine = {};
    mine.ss_sp = handler_stack;
    mine.ss_size = sizeof handler_stack;
    (void)sigaltstack(&mine, &stack_before);
}

void ps_fault_stack_end(void)
{
    (void)sigaltstack(&stack_before, NULL);
}
