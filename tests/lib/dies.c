#include "tests/lib/dies.h"

#include <check.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

void ps_test_dies(void (*act)(void), char said[PS_DIES_SAID])
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        act();
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t n;
         len < PS_DIES_SAID - 1 && (n = read(ends[0], said + len, PS_DIES_SAID - 1 - len)) > 0;)
        len += (size_t)n;
    said[len] = 0;
    close(ends[0]);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s", said);
}
