/* one_thread: the first thread that uses a thing is the only one that may. */
#include "common/base/one_thread.h"
#include "tests/lib/check_main.h"
#include "tests/lib/dies.h"

#include <string.h>

static ps_one_thread mine;

static void *use(void *unused)
{
    (void)unused;
    ps_one_thread_require(&mine);
    return NULL;
}

static void use_in_another_thread(void)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, use, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

START_TEST(who_made_it_need_not_be_who_uses_it)
{
    mine = (ps_one_thread){0};
    use_in_another_thread();
    ck_assert(!ps_one_thread_is_this(&mine));
}
END_TEST

static void use_in_two(void)
{
    mine = (ps_one_thread){0};
    ps_one_thread_require(&mine);
    ps_one_thread_require(&mine); /* as often as it likes */
    use_in_another_thread();
}

START_TEST(a_second_thread_is_named)
{
    char said[PS_DIES_SAID];
    ps_test_dies(use_in_two, said);
    ck_assert_msg(strstr(said, "this must hold: ps_one_thread_is_this(&mine)"), "%s", said);
}
END_TEST

static const ps_check_case cases[] = {
    {&who_made_it_need_not_be_who_uses_it},
    {&a_second_thread_is_named},
    {0},
};

int main(void)
{
    return ps_check_main("common/base/one_thread", cases);
}
