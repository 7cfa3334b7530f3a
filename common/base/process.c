#include "common/base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* The lowest number that is free is the one that open takes. */
static void open_standard(int fd)
{
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
        abort(); /* nobody can be told, and nothing may go on like this */
}

void ps_process_begin(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        open_standard(fd);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
}

bool ps_process_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

/* proc(5): no mapping of any kind. Before PR_SET_DUMPABLE, after which the file is root's. */
static void dump_nothing(void)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, "0", 1);
    (void)close(fd);
}

void ps_process_protect(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    dump_nothing();
    (void)prctl(PR_SET_DUMPABLE, ps_process_sanitized() ? 1 : 0);
}
