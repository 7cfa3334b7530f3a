/* Happy path: nothing comes but the signal that ends the thread.
 *
 * Failure: one does. The main thread may be about to make another file in the folder, so it is
 * removed until it is gone; without it there is nowhere to make one. What has lost a file already
 * must not get its name any more: the lock is kept. */
#include "client/call/unfinished.h"

#include "client/call/endings.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OVER = 0, TRIES = 100 };

struct ps_unfinished {
    ps_mutex mutex; /* for what follows; the thread's for good, once it removes */
    char *path;     /* NULL: nothing */
    int ends[2];    /* of a pipe: numbers of signals, or OVER */
    struct sigaction before[PS_ENDINGS];
    pthread_t thread;
    bool has_thread;
};

static volatile sig_atomic_t noted; /* where the handler writes */

static ps_status remove_one(void *user, const char *path)
{
    (void)user;
    ps_unfinished_remove(path);
    return PS_OK;
}

void ps_unfinished_remove(const char *path)
{
    if (unlink(path) == 0 || errno != EISDIR)
        return;
    if (!ps_disk_each(&ps_disk_system, path, remove_one, NULL))
        (void)rmdir(path);
}

static bool is_there(const char *path)
{
    struct stat about;
    return lstat(path, &about) == 0;
}

/* Threads of libraries take signals, too: a handler is the process's. */
static void note(int number)
{
    const int before = errno;
    const char one = (char)number;
    (void)!write(noted, &one, 1);
    errno = before;
}

/* What is ignored (nohup) stays so. */
static void take_signals(ps_unfinished *u)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < PS_ENDINGS; i++)
        if (sigaction(ps_endings[i], NULL, &u->before[i]) == 0 &&
            u->before[i].sa_handler != SIG_IGN)
            (void)sigaction(ps_endings[i], &action, NULL);
}

static void end_by(int number)
{
    sigset_t one;
    (void)signal(number, SIG_DFL);
    (void)sigemptyset(&one);
    (void)sigaddset(&one, number);
    (void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    (void)raise(number);
}

static void *watch(void *user)
{
    ps_unfinished *u = user;
    char number;
    ssize_t got;
    do
        got = read(u->ends[0], &number, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1 || number == OVER)
        return NULL;
    ps_mutex_lock(&u->mutex);
    for (int i = 0; i < TRIES && u->path && is_there(u->path); i++)
        ps_unfinished_remove(u->path);
    end_by(number);
    return NULL;
}

ps_unfinished *ps_unfinished_begin(const char *path)
{
    ps_unfinished *u = ps_new(ps_unfinished);
    ps_mutex_init(&u->mutex);
    u->path = path ? ps_strdup(path) : NULL;
    if (pipe2(u->ends, O_CLOEXEC) != 0)
        return u; /* then they end us as they always do */
    noted = u->ends[1];
    u->has_thread = ps_thread_start(&u->thread, watch, u) == 0;
    if (u->has_thread)
        take_signals(u);
    return u;
}

void ps_unfinished_hold(ps_unfinished *u)
{
    if (u)
        ps_mutex_lock(&u->mutex);
}

void ps_unfinished_go_on(ps_unfinished *u, const char *path)
{
    if (!u)
        return;
    ps_mutex_require_held(&u->mutex);
    char *now = path ? ps_strdup(path) : NULL;
    ps_free(&u->path);
    u->path = now;
    ps_mutex_unlock(&u->mutex);
}

void ps_unfinished_end(ps_unfinished **unfinished)
{
    ps_unfinished *u = *unfinished;
    if (!u)
        return;
    if (u->has_thread) {
        const char over = OVER;
        for (size_t i = 0; i < PS_ENDINGS; i++)
            (void)sigaction(ps_endings[i], &u->before[i], NULL);
        (void)!write(u->ends[1], &over, 1);
        (void)pthread_join(u->thread, NULL);
    }
    if (u->ends[1]) {
        (void)close(u->ends[0]);
        (void)close(u->ends[1]);
    }
    ps_mutex_destroy(&u->mutex);
    ps_free(&u->path);
    ps_free(unfinished);
}
