/* check_main: the body of every unit test program.
 *
 *     static const ps_check_case tests[] = {{&a_thing_happens}, {&a_slow_one, 60}, {0}};
 *     int main(void) { return ps_check_main("base/status", tests); }
 *
 * A case with .repeat runs that many times, with _i from 0: for combinations; one with .one_thread,
 * which has no other and is long, not under ThreadSanitizer. Runs the cases, prints Check's summary
 * line, and returns non-zero when one failed. */
#ifndef PS_TEST_CHECK_MAIN_H
#define PS_TEST_CHECK_MAIN_H

#include "tests/lib/ck_ok.h"

#include <check.h>
#include <stdbool.h>

/* A case made with START_TEST(name): {&name}; the list ends with {0}. */
typedef struct ps_check_case {
    const TTest *const *test;
    double timeout_s; /* 0: 10 s */
    int repeat;       /* 0: once */
    bool one_thread;
} ps_check_case;

int ps_check_main(const char *suite, const ps_check_case *cases);

#endif
