#include "tests/lib/check_main.h"

#include <stdatomic.h>
#include <stdint.h>

/* Check tells its parent where each assertion that holds stands, for what it says when a test
 * crashes: in a loop, a million times, which under AddressSanitizer took half of the time of some
 * tests. Here (--wrap, tests/meson.build) it tells each place once a process. Two that fall
 * together are told as one. */
#define PLACES 4096

void __real__mark_point(const char *file, int line);
void __wrap__mark_point(const char *file, int line);

void __wrap__mark_point(const char *file, int line)
{
    static atomic_bool told[PLACES];
    atomic_bool *this = &told[((uintptr_t)file / 8 + (uintptr_t)line) % PLACES];
    if (atomic_load_explicit(this, memory_order_relaxed))
        return;
    atomic_store_explicit(this, true, memory_order_relaxed);
    __real__mark_point(file, line);
}

#ifdef __SANITIZE_THREAD__
static const bool threads_alone = true;
#else
static const bool threads_alone = false;
#endif

int ps_check_main(const char *suite_name, const ps_check_case *cases)
{
    Suite *suite = suite_create(suite_name);
    for (const ps_check_case *c = cases; c->test; c++) {
        if (threads_alone && c->one_thread)
            continue;
        TCase *tcase = tcase_create((*c->test)->name);
        tcase_set_timeout(tcase, c->timeout_s > 0 ? c->timeout_s : 10);
        tcase_add_loop_test(tcase, *c->test, 0, c->repeat > 0 ? c->repeat : 1);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
