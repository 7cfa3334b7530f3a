/* process: each case runs in a process of its own (Check's), whose descriptors it may close. */
#include "common/base/process.h"

#include "tests/lib/check_main.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every set of the three that may be closed: _i has a bit for each that is. */
START_TEST(closed_standard_descriptors_become_dev_null)
{
    struct stat null, found;
    int kept[3];
    bool as_before = true;
    ck_assert_int_eq(stat("/dev/null", &null), 0);
    for (int fd = 0; fd < 3; fd++) {
        kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        if (_i >> fd & 1)
            (void)close(fd);
    }
    ps_process_begin();
    for (int fd = 0; fd < 3; fd++) {
        struct stat before;
        (void)fstat(kept[fd], &before);
        const struct stat *right = _i >> fd & 1 ? &null : &before;
        as_before &= fstat(fd, &found) == 0 && found.st_ino == right->st_ino &&
                     found.st_dev == right->st_dev;
    }
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++)
        (void)dup2(kept[fd], fd); /* Check says the result there */
    ck_assert(as_before);
    ck_assert_int_gt(next, STDERR_FILENO);
}
END_TEST

START_TEST(a_reader_that_has_gone_is_an_error_and_no_signal)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ps_process_begin();
    (void)close(ends[0]);
    ck_assert_int_eq(write(ends[1], "x", 1), -1);
    ck_assert_int_eq(errno, EPIPE);
}
END_TEST

START_TEST(a_protected_process_leaves_no_core)
{
    struct rlimit core;
    ps_process_protect();
    ck_assert_int_eq(getrlimit(RLIMIT_CORE, &core), 0);
    ck_assert_uint_eq(core.rlim_cur, 0);
    ck_assert_uint_eq(core.rlim_max, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
#endif
}
END_TEST

static const ps_check_case tests[] = {
    {&closed_standard_descriptors_become_dev_null, .repeat = 8},
    {&a_reader_that_has_gone_is_an_error_and_no_signal},
    {&a_protected_process_leaves_no_core},
    {0},
};

int main(void)
{
    return ps_check_main("common/base/process", tests);
}
