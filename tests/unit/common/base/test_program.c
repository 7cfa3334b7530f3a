/* program: what a hook is given and prints, and hooks that do not behave. */
#include "common/base/program.h"

#include "common/base/process.h"
#include "tests/lib/check_main.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 100000 };
static char out[ROOM + 1];
static size_t n;

static ps_status shell(const char *script, ps_slice input, size_t room, unsigned patience_ms)
{
    const char *const arguments[] = {"/bin/sh", "-c", script, "hook", "one", "two words", NULL};
    static const char *const environment[] = {"PSD_LIFE=60", "HOME=/nowhere", NULL};
    ps_status st = ps_program_run(&(ps_program){.arguments = arguments,
                                                .environment = environment,
                                                .input = input,
                                                .patience_ms = patience_ms},
                                  out, room, &n);
    out[n] = 0;
    return st;
}

START_TEST(it_gets_arguments_environment_and_input)
{
    ck_ok(shell("printf '%s|%s|%s|%s|' \"$1\" \"$2\" $PSD_LIFE $HOME; cat; echo $PATH_OF_OURS",
                ps_slice_str("the input\n"), ROOM, 10000));
    ck_assert_str_eq(out, "one|two words|60|/nowhere|the input\nours\n");
    ck_ok(shell("cat; echo end", (ps_slice){0}, ROOM, 10000));
    ck_assert_str_eq(out, "end\n");
}
END_TEST

START_TEST(input_that_no_pipe_holds_goes_through_and_need_not_be_read)
{
    size_t len = 1 << 20;
    char *much = malloc(len);
    ck_assert_ptr_nonnull(much);
    memset(much, 'x', len);
    ck_ok(shell("tr x y | tail -c 90000", ps_slice_of(much, len), ROOM, 60000));
    ck_assert_uint_eq(n, 90000);
    ck_assert(out[0] == 'y' && out[n - 1] == 'y');
    ck_ok(shell("echo no thanks", ps_slice_of(much, len), ROOM, 60000));
    ck_assert_str_eq(out, "no thanks\n");
    free(much);
}
END_TEST

static void refuse(const char *script, unsigned patience_ms, ps_status wanted, const char *words)
{
    ps_status st = shell(script, (ps_slice){0}, ROOM, patience_ms);
    ck_assert_msg(st == wanted && strstr(ps_error_message(), words), "%s: %s: %s", script,
                  ps_status_name(st), ps_error_message());
}

START_TEST(one_that_fails_says_how)
{
    refuse("echo half; exit 3", 10000, PS_FAILED_PRECONDITION, "it failed (exit status 3)");
    refuse("kill -9 $$", 10000, PS_FAILED_PRECONDITION, "it failed (signal 9)");
    const char *const arguments[] = {"/nonexistent/hook", NULL};
    ck_assert_int_eq(
        ps_program_run(&(ps_program){.arguments = arguments, .patience_ms = 1000}, out, ROOM, &n),
        PS_NOT_FOUND);
}
END_TEST

START_TEST(one_that_prints_without_end_is_ended)
{
    ck_ok(shell("yes", (ps_slice){0}, 10, 10000));
    ck_assert_uint_eq(n, 10);
}
END_TEST

/* A number that a script has written to a file; 0: not yet. */
static pid_t number_in(const char *path)
{
    long number = 0;
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%ld", &number) != 1)
        number = 0;
    if (file)
        (void)fclose(file);
    return (pid_t)number;
}

START_TEST(one_that_hangs_is_ended_with_what_it_started)
{
    char folder[] = "/tmp/psd-program-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    refuse("sleep 1000 & echo $! >child; wait", 1000, PS_DEADLINE_EXCEEDED, "it took too long");
    pid_t child = number_in("child");
    ck_assert_int_gt(child, 1);
    for (int i = 0; i < 1000 && kill(child, 0) == 0; i++) /* whoever reaps orphans does so soon */
        (void)usleep(10000);
    ck_assert_int_ne(kill(child, 0), 0);
    refuse("exec >&-; sleep 1000", 300, PS_DEADLINE_EXCEEDED, "it took too long");
    ck_assert_int_eq(unlink("child"), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(signals_are_as_they_are_for_anybody)
{
    sigset_t all;
    (void)sigfillset(&all);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, &all, NULL), 0);
    refuse("kill -TERM $$; echo alive", 10000, PS_FAILED_PRECONDITION, "it failed (signal 15)");
    refuse("kill -PIPE $$; echo alive", 10000, PS_FAILED_PRECONDITION, "it failed (signal 13)");
}
END_TEST

static const ps_check_case tests[] = {
    {&it_gets_arguments_environment_and_input},
    {&input_that_no_pipe_holds_goes_through_and_need_not_be_read},
    {&one_that_fails_says_how},
    {&one_that_prints_without_end_is_ended},
    {&one_that_hangs_is_ended_with_what_it_started},
    {&signals_are_as_they_are_for_anybody},
    {0},
};

int main(void)
{
    ps_process_begin();
    (void)setenv("PATH_OF_OURS", "ours", 1);
    return ps_check_main("base/program", tests);
}
