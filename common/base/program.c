/* Happy path: two pipes, one process; it is written to and read from as it comes, until it ends its
 * output and then itself. Whatever is late, or prints too much, is killed, with what it started. */
#include "common/base/program.h"

#include "common/base/clock.h"
#include "common/base/landlock.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* One that runs; ends of pipes that are closed are -1. */
typedef struct running {
    pid_t pid;
    int in, out;
    uint64_t until_ms;
} running;

static void shut(int *end)
{
    if (*end >= 0)
        (void)close(*end);
    *end = -1;
}

/* ---- starting ---- */

/* Is a variable of that name among these? */
static bool is_named(const char *const *list, const char *variable)
{
    size_t len = strcspn(variable, "=") + 1;
    while (*list && strncmp(*list, variable, len) != 0)
        list++;
    return *list != NULL;
}

static char **environment_of(const ps_program *p)
{
    static const char *const none[] = {NULL};
    const char *const *more = p->environment ? p->environment : none;
    size_t n = 0, ours = 0;
    while (environ[ours])
        ours++;
    while (more[n])
        n++;
    char **all = ps_alloc_array(n + ours + 1, sizeof *all);
    memcpy(all, more, n * sizeof *all);
    for (char **one = environ; *one; one++)
        if (!is_named(more, *one))
            all[n++] = *one;
    return all;
}

/* Signals that we block or ignore are nothing that it expects. */
static void set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, back;
    (void)sigemptyset(&none);
    (void)sigemptyset(&back);
    (void)sigaddset(&back, SIGPIPE);
    (void)posix_spawnattr_init(attributes);
    (void)posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                   POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setpgroup(attributes, 0);
    (void)posix_spawnattr_setsigmask(attributes, &none);
    (void)posix_spawnattr_setsigdefault(attributes, &back);
}

static int spawn(const ps_program *p, const int *in, const int *out, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    set_attributes(&attributes);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_adddup2(&files, in[0], 0);
    (void)posix_spawn_file_actions_adddup2(&files, out[1], 1);
    char **environment = environment_of(p);
    int error = posix_spawn(pid, p->arguments[0], &files, &attributes,
                            (char *const *)(uintptr_t)p->arguments, environment);
    ps_free(&environment);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&attributes);
    return error;
}

static ps_status start(const ps_program *p, running *r)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    int error = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 ? 0 : errno;
    const char *what = "pipe";
    if (!error) {
        (void)fcntl(in[1], F_SETFL, O_NONBLOCK);
        error = spawn(p, in, out, &r->pid);
        what = "it cannot be started";
    }
    shut(&in[0]);
    shut(&out[1]);
    r->in = in[1];
    r->out = out[0];
    if (!error)
        return PS_OK;
    shut(&r->in);
    shut(&r->out);
    ps_status st = ps_fail_errno(error, "%s", what);
    return ps_landlock_explain_program(st, p->arguments[0]);
}

/* ---- talking ---- */

static ps_status too_long(void)
{
    return ps_fail(PS_DEADLINE_EXCEEDED, "it took too long");
}

/* One that does not read is not asked to. */
static void feed(running *r, ps_slice *input)
{
    ssize_t put = input->len ? write(r->in, input->data, input->len) : 0;
    if (put > 0)
        *input = ps_slice_of(input->data + put, input->len - (size_t)put);
    if (!input->len || (put < 0 && errno != EINTR && errno != EAGAIN))
        shut(&r->in);
}

/* What it prints, until it ends its output or the room is full. */
static ps_status talk(running *r, ps_slice input, uint8_t *out, size_t room, size_t *n)
{
    for (*n = 0; *n < room;) {
        uint64_t now = ps_clock_ms(&ps_clock_system);
        struct pollfd wait[] = {{.fd = r->out, .events = POLLIN}, {.fd = r->in, .events = POLLOUT}};
        int ready = now < r->until_ms ? poll(wait, 2, (int)(r->until_ms - now)) : 0;
        if (!ready)
            return too_long();
        if (ready < 0)
            continue; /* interrupted */
        if (wait[1].revents)
            feed(r, &input);
        if (!wait[0].revents)
            continue;
        ssize_t got = read(r->out, out + *n, room - *n);
        if (got < 0 && errno != EINTR)
            return ps_fail_errno(errno, "read");
        if (!got)
            break;
        *n += got > 0 ? (size_t)got : 0;
    }
    return PS_OK;
}

static ps_status kill_it(const running *r)
{
    int how;
    (void)kill(-r->pid, SIGKILL); /* it is not waited for yet, so nobody else has its number */
    while (waitpid(r->pid, &how, 0) < 0 && errno == EINTR)
        ;
    return too_long();
}

/* Its end, which is made where it does not come by itself. */
static ps_status wait_for(const running *r)
{
    enum { LOOK_MS = 10 };
    int how;
    pid_t ended;
    while ((ended = waitpid(r->pid, &how, WNOHANG)) == 0 &&
           ps_clock_ms(&ps_clock_system) < r->until_ms)
        (void)poll(NULL, 0, LOOK_MS);
    if (ended != r->pid)
        return kill_it(r);
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION, "it failed (%s %d)",
                   WIFEXITED(how) ? "exit status" : "signal",
                   WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how));
}

ps_status ps_program_run(const ps_program *program, void *out, size_t room, size_t *n)
{
    PS_REQUIRE(program->arguments && program->arguments[0] && room > 0);
    running r = {.until_ms = ps_clock_ms(&ps_clock_system) + program->patience_ms};
    *n = 0;
    ps_status st = start(program, &r);
    if (st)
        return st;
    st = talk(&r, program->input, out, room, n);
    shut(&r.in);
    shut(&r.out);
    if (!st && *n < room)
        return wait_for(&r);
    ps_error error; /* the first is the cause */
    ps_error_save(&error, st);
    (void)kill_it(&r);
    return ps_error_raise(&error);
}
