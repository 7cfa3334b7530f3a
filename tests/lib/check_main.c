#include "tests/lib/check_main.h"

int ps_check_main(const char *suite_name, const ps_check_case *cases)
{
    Suite *suite = suite_create(suite_name);
    for (const ps_check_case *c = cases; c->test; c++) {
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
