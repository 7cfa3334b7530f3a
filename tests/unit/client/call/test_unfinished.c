/* unfinished: a process of its own is ended by a signal, and what it leaves is looked at. */
#include "client/call/unfinished.h"

#include "tests/lib/check_main.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[64];

static const char *at(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static void make_file(const char *name)
{
    FILE *file = fopen(at(name), "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);
}

static bool is_there(const char *name)
{
    struct stat about;
    return lstat(at(name), &about) == 0;
}

static void begin(void)
{
    strcpy(top, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(mkdir(at("new"), 0700), 0);
    ck_assert_int_eq(mkdir(at("new/model"), 0700), 0);
    make_file("new/model/weights");
    make_file("kept");
    ck_assert_int_eq(symlink(at("kept"), at("new/model/link")), 0);
}

static void end(void)
{
    ps_unfinished_remove(top);
    ck_assert_int_ne(access(top, F_OK), 0);
}

/* How a process ends that works on it when the signal comes. */
static int end_by(const char *name, int number, bool ignored)
{
    int ready[2], how;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (!pid) {
        (void)signal(number, ignored ? SIG_IGN : SIG_DFL);
        ps_unfinished *u = ps_unfinished_begin(at(name));
        (void)!write(ready[1], "x", 1);
        for (int i = 0; i < (ignored ? 20 : 2000); i++) { /* it makes files all the time */
            (void)usleep(10000);
            FILE *file = fopen(at("new/more"), "we");
            if (file)
                (void)fclose(file);
        }
        ps_unfinished_end(&u);
        _exit(0);
    }
    char one;
    ck_assert_int_eq(read(ready[0], &one, 1), 1);
    ck_assert_int_eq(kill(pid, number), 0);
    ck_assert_int_eq(waitpid(pid, &how, 0), pid);
    ck_assert_int_eq(close(ready[0]) | close(ready[1]), 0);
    return WIFSIGNALED(how) ? WTERMSIG(how) : 0;
}

START_TEST(nothing_is_left_when_a_signal_ends_the_work)
{
    static const int endings[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        begin();
        ck_assert_int_eq(end_by("new", endings[i], false), endings[i]);
        ck_assert(!is_there("new") && is_there("kept"));
        ck_assert_int_eq(mkdir(at("new"), 0700), 0);
        ck_assert_int_eq(end_by("kept", endings[i], false), endings[i]);
        ck_assert(!is_there("kept"));
        end();
    }
}
END_TEST

START_TEST(all_is_left_when_it_ends_by_itself_and_what_was_ignored_stays_so)
{
    begin();
    ck_assert_int_eq(end_by("new", SIGHUP, true), 0);
    ck_assert(is_there("new/model/weights"));
    struct sigaction before, now;
    ck_assert_int_eq(sigaction(SIGINT, NULL, &before), 0);
    ps_unfinished *u = ps_unfinished_begin(at("new"));
    ps_unfinished_end(&u);
    ps_unfinished_end(&u);
    ck_assert_int_eq(sigaction(SIGINT, NULL, &now), 0);
    ck_assert(now.sa_handler == before.sa_handler);
    ck_assert(is_there("new/model/weights") && is_there("kept"));
    end();
}
END_TEST

/* ---- held: a signal that comes meanwhile is heard at go_on ---- */

static void made_while_held(void)
{
    ps_unfinished *u = ps_unfinished_begin(NULL);
    ps_unfinished_hold(u);
    (void)raise(SIGINT);
    (void)usleep(20000); /* for a thread that would not wait */
    (void)mkdir(at("late"), 0700);
    ps_unfinished_go_on(u, at("late"));
    ps_unfinished_end(&u);
}

static void named_while_held(void)
{
    ps_unfinished *u = ps_unfinished_begin(at("new"));
    ps_unfinished_hold(u);
    (void)raise(SIGTERM);
    (void)usleep(20000);
    (void)rename(at("new"), at("named"));
    ps_unfinished_go_on(u, NULL);
    ps_unfinished_end(&u);
}

static void named_too_late(void)
{
    ps_unfinished *u = ps_unfinished_begin(at("new"));
    (void)raise(SIGHUP);
    while (is_there("new/model/weights"))
        (void)usleep(1000);
    ps_unfinished_hold(u);
    (void)rename(at("kept"), at("named"));
    ps_unfinished_go_on(u, NULL);
    ps_unfinished_end(&u);
}

static void of_nothing(void)
{
    ps_unfinished *u = ps_unfinished_begin(NULL);
    (void)raise(SIGINT);
    ps_unfinished_end(&u);
}

/* The signal that ends it; 0: none did. */
static int end_of(void (*work)(void))
{
    int how = 0;
    pid_t pid = fork();
    if (!pid) {
        work();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &how, 0), pid);
    return WIFSIGNALED(how) ? WTERMSIG(how) : 0;
}

START_TEST(what_is_made_or_named_while_held_is_made_or_named_whole)
{
    begin();
    ck_assert_int_eq(end_of(made_while_held), SIGINT);
    ck_assert(!is_there("late") && is_there("new/model/weights"));
    ck_assert_int_eq(end_of(named_while_held), SIGTERM);
    ck_assert(!is_there("new") && is_there("named/model/weights"));
    end();
}
END_TEST

START_TEST(what_has_lost_a_file_gets_no_name_and_nothing_is_removed_for_nothing)
{
    begin();
    ck_assert_int_eq(end_of(of_nothing), SIGINT);
    ck_assert(is_there("new/model/weights") && is_there("kept"));
    ck_assert_int_eq(end_of(named_too_late), SIGHUP);
    ck_assert(!is_there("new") && is_there("kept") && !is_there("named"));
    end();
}
END_TEST

static const ps_check_case cases[] = {
    {&nothing_is_left_when_a_signal_ends_the_work},
    {&all_is_left_when_it_ends_by_itself_and_what_was_ignored_stays_so},
    {&what_is_made_or_named_while_held_is_made_or_named_whole},
    {&what_has_lost_a_file_gets_no_name_and_nothing_is_removed_for_nothing},
    {0},
};

int main(void)
{
    return ps_check_main("client/call/unfinished", cases);
}
