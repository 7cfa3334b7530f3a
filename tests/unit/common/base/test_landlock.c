/* landlock: each case runs in a process of its own (Check's), which it restricts for good. What is
 * seen is the kernel's answer to open(2) and the like. */
#include "common/base/landlock.h"

#include "common/base/process.h"
#include "tests/lib/check_main.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char top[64], path[512];

static const char *at(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", top, name);
    return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(at(name), "we");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0 || chmod(at(name), mode) != 0)
        abort();
}

/* By the process that waits for the cases: none of them may remove it afterwards. */
static void make(void)
{
    static const char *const folders[] = {"in", "in/deep", "other", "read", "real"};
    (void)snprintf(top, sizeof top, "/var/tmp/psd-landlock-XXXXXX");
    if (!mkdtemp(top))
        abort();
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (mkdir(at(folders[i]), 0700) != 0)
            abort();
    write_file("read/file", "x", 0600);
    write_file("other/file", "x", 0600);
    write_file("real/cert", "x", 0600);
    write_file("read/program", "#!/bin/sh\nexit 7\n", 0700);
    char real[512];
    (void)snprintf(real, sizeof real, "%s/real/cert", top);
    if (symlink(real, at("read/link")) != 0)
        abort();
}

static int sweep(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", top);
    return system(command);
}

/* 0, or why it cannot be opened. */
static int opens(const char *name, int flags)
{
    int fd = open(at(name), flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    (void)close(fd);
    return 0;
}

static int runs(const char *name)
{
    pid_t pid;
    int how;
    char *arguments[] = {at(name) ? path : NULL, NULL};
    int error = posix_spawn(&pid, at(name), NULL, NULL, arguments, environ);
    if (error)
        return error;
    ck_assert_int_eq(waitpid(pid, &how, 0), pid);
    return WIFEXITED(how) && WEXITSTATUS(how) == 7 ? 0 : EPROTO;
}

/* false: this kernel has none, and nothing is to be seen. */
static bool enforce(void (*more)(ps_landlock *l))
{
    ps_landlock *l = ps_landlock_new();
    ps_landlock_allow_system(l);
    ps_landlock_allow(l, PS_LANDLOCK_WRITE, at("in"));
    ps_landlock_allow_beside(l, PS_LANDLOCK_READ, at("read/link"));
    ps_landlock_allow(l, PS_LANDLOCK_READ, at("no-such"));
    if (more)
        more(l);
    ck_ok(ps_landlock_enforce(l, PS_LANDLOCK_AUTO));
    ps_landlock_free(&l);
    return ps_landlock_abi() >= 2;
}

START_TEST(only_what_was_allowed_opens)
{
    bool there = enforce(NULL);
    int none = there ? EACCES : 0, no_read = there && !ps_process_sanitized() ? EACCES : 0;
    ck_assert_int_eq(opens("in/new", O_WRONLY | O_CREAT), 0);
    ck_assert_int_eq(opens("in/new", O_WRONLY | O_TRUNC), 0);
    ck_assert_int_eq(opens("read/file", O_RDONLY), 0);
    ck_assert_int_eq(opens("read/file", O_WRONLY), none);
    ck_assert_int_eq(opens("read/new", O_WRONLY | O_CREAT), none);
    ck_assert_int_eq(opens("other/file", O_RDONLY), no_read);
    ck_assert_int_eq(opens("other/file", O_WRONLY), none);
    ck_assert_int_eq(unlink(at("other/file")) == 0 ? 0 : errno, none);
    ck_assert_int_eq(mkdir(at("other/new"), 0700) == 0 ? 0 : errno, none);
    ck_assert_int_eq(runs("read/program"), no_read);
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}
END_TEST

START_TEST(a_file_goes_from_one_folder_to_another_and_one_may_take_the_place_of_a_link)
{
    (void)enforce(NULL);
    char to[512];
    ck_assert_int_eq(opens("in/moves", O_WRONLY | O_CREAT), 0);
    (void)snprintf(to, sizeof to, "%s/in/deep/moved", top);
    ck_assert_int_eq(rename(at("in/moves"), to), 0);
    ck_assert_int_eq(opens("read/link", O_RDONLY), 0);
    ck_assert_int_eq(opens("real/cert", O_RDONLY), 0);
}
END_TEST

static void allow_coming(ps_landlock *l)
{
    ps_landlock_allow_coming(l, PS_LANDLOCK_READ, "/no-such-disk/data");
    ps_landlock_allow_coming(l, PS_LANDLOCK_READ, at("read/disk/data"));
}

/* Its absence must not open the whole system. */
START_TEST(a_folder_that_comes_later_is_found_and_opens_nothing_else)
{
    bool there = enforce(allow_coming);
    int no_read = there && !ps_process_sanitized() ? EACCES : 0;
    ck_assert_int_eq(opens("read/file", O_RDONLY), 0);
    ck_assert_int_eq(opens("other/file", O_RDONLY), no_read);
}
END_TEST

static void allow_links(ps_landlock *l)
{
    ps_landlock_allow_beside(l, PS_LANDLOCK_WRITE, at("read/ahead"));
    ps_landlock_allow_beside(l, PS_LANDLOCK_WRITE, at("read/beside"));
}

START_TEST(a_file_is_made_by_a_link_that_was_there_before_it)
{
    char whole[512];
    (void)snprintf(whole, sizeof whole, "%s/other/made", top);
    ck_assert_int_eq(symlink(whole, at("read/ahead")), 0);
    ck_assert_int_eq(symlink("../real/made", at("read/beside")), 0);
    (void)enforce(allow_links);
    ck_assert_int_eq(opens("read/ahead", O_WRONLY | O_CREAT), 0);
    ck_assert_int_eq(opens("read/beside", O_WRONLY | O_CREAT), 0);
}
END_TEST

static void allow_program(ps_landlock *l)
{
    ps_landlock_allow_program(l, at("read/program"));
}

START_TEST(a_program_that_was_named_runs_and_is_held_by_the_same)
{
    write_file("read/writes", "#!/bin/sh\n(: >\"$OTHER\") 2>/dev/null || exit 7\n", 0700);
    bool there = enforce(allow_program);
    ck_assert_int_eq(runs("read/program"), 0);
    ck_assert_int_eq(setenv("OTHER", at("other/by-program"), 1), 0);
    ck_assert_int_eq(runs("read/writes"), there ? 0 : EPROTO);
}
END_TEST

START_TEST(a_path_has_all_the_rights_that_were_given_to_it_and_there_may_be_many)
{
    ps_landlock *l = ps_landlock_new();
    ps_landlock_allow_system(l);
    for (int i = 0; i < 1000; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "no-such-%d", i);
        ps_landlock_allow(l, PS_LANDLOCK_READ, at(name));
        ps_landlock_allow_program(l, at("read/program"));
    }
    ps_landlock_allow_beside(l, PS_LANDLOCK_READ, "/no-such-file-of-the-whole-system");
    ck_ok(ps_landlock_enforce(l, PS_LANDLOCK_AUTO));
    ps_landlock_free(&l);
    bool holds = ps_landlock_abi() >= 2 && !ps_process_sanitized();
    ck_assert_int_eq(runs("read/program"), 0);
    ck_assert_int_eq(opens("read/file", O_RDONLY), 0);
    ck_assert_int_eq(opens("other/file", O_RDONLY), holds ? EACCES : 0);
}
END_TEST

START_TEST(a_path_that_came_later_needs_a_restart)
{
    write_file("other/closed", "x", 0);
    bool there = enforce(NULL);
    ps_status st = ps_landlock_explain(PS_NO_ACCESS, at("other/file"));
    if (!there) {
        ck_assert_int_eq(st, PS_NO_ACCESS);
        return;
    }
    ck_assert_int_eq(st, PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "other/file needs a restart"));
    ck_assert_int_eq(ps_landlock_explain(PS_NOT_FOUND, at("other/file")), PS_NOT_FOUND);
    ck_assert_int_eq(ps_landlock_explain(PS_NO_ACCESS, at("other/no-such")), PS_NO_ACCESS);
    if (geteuid() != 0)
        ck_assert_int_eq(ps_landlock_explain(PS_NO_ACCESS, at("other/closed")), PS_NO_ACCESS);
    /* one that nobody may run is helped by no restart */
    ck_assert_int_eq(ps_landlock_explain_program(PS_NO_ACCESS, at("other/file")), PS_NO_ACCESS);
    ck_assert_int_eq(ps_landlock_explain_program(PS_NO_ACCESS, at("read/program")),
                     PS_FAILED_PRECONDITION);
}
END_TEST

START_TEST(off_restricts_nothing_and_require_takes_what_there_is)
{
    ps_landlock *l = ps_landlock_new();
    ck_ok(ps_landlock_enforce(l, PS_LANDLOCK_OFF));
    ck_assert_int_eq(opens("other/file", O_WRONLY), 0);
    ps_landlock_allow_system(l);
    ps_status st = ps_landlock_enforce(l, PS_LANDLOCK_REQUIRE);
    ck_assert_int_eq(st, ps_landlock_abi() >= 2 ? PS_OK : PS_FAILED_PRECONDITION);
    ck_assert_int_eq(opens("other/file", O_WRONLY), st ? 0 : EACCES);
    ps_landlock_free(&l);
}
END_TEST

static const ps_check_case tests[] = {
    {&only_what_was_allowed_opens},
    {&a_folder_that_comes_later_is_found_and_opens_nothing_else},
    {&a_file_is_made_by_a_link_that_was_there_before_it},
    {&a_file_goes_from_one_folder_to_another_and_one_may_take_the_place_of_a_link},
    {&a_program_that_was_named_runs_and_is_held_by_the_same},
    {&a_path_has_all_the_rights_that_were_given_to_it_and_there_may_be_many},
    {&a_path_that_came_later_needs_a_restart},
    {&off_restricts_nothing_and_require_takes_what_there_is},
    {0}};

int main(void)
{
    make();
    int failed = ps_check_main("common/base/landlock", tests);
    return sweep() != 0 || failed;
}
