/* thread: what a person sends comes to the main thread; a thread's own faults come to a handler. */
#include "common/base/thread.h"
#include "tests/lib/check_main.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

static pthread_t taken_by;
static sigjmp_buf mended;

static void take(int number)
{
    (void)number;
    taken_by = pthread_self();
}

static void mend(int number)
{
    siglongjmp(mended, number);
}

static void *send_one(void *unused)
{
    (void)kill(getpid(), SIGTERM);
    return unused;
}

START_TEST(what_is_sent_to_the_program_is_for_its_main_thread)
{
    struct sigaction action = {.sa_handler = take};
    ck_assert_int_eq(sigaction(SIGTERM, &action, NULL), 0);
    pthread_t thread;
    ck_assert_int_eq(ps_thread_start(&thread, send_one, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(pthread_equal(taken_by, pthread_self()));
}
END_TEST

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

/* Nothing that is used after the jump was there before it. */
static bool raise_and_mend(int number)
{
    if (sigsetjmp(mended, 1))
        return true;
    (void)raise(number); /* to this thread, as the kernel does */
    return false;
}

static void *fault(void *number)
{
    struct sigaction action = {.sa_handler = mend};
    (void)sigaction(*(const int *)number, &action, NULL);
    return raise_and_mend(*(const int *)number) ? number : NULL;
}

START_TEST(a_fault_of_its_own_comes_to_the_handler)
{
    int number = faults[_i];
    pthread_t thread;
    void *came = NULL;
    ck_assert_int_eq(ps_thread_start(&thread, fault, &number), 0);
    ck_assert_int_eq(pthread_join(thread, &came), 0);
    ck_assert_ptr_eq(came, &number);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_is_sent_to_the_program_is_for_its_main_thread},
    {&a_fault_of_its_own_comes_to_the_handler, .repeat = sizeof faults / sizeof *faults},
    {0},
};

int main(void)
{
    return ps_check_main("common/base/thread", cases);
}
