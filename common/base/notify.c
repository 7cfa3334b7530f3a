/* One datagram a call, as sd_notify(3) sends it, but without its waiting: a service manager that
 * does not read (its queue has ten places) must not stand a loop still. Only what changes the
 * unit's state waits a moment. Nothing here can fail in a way that matters to the daemon. */
#include "common/base/notify.h"

#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifdef PS_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* How long a change of state waits for room in the manager's queue. */
#define CHANGE_MS 500

/* Of NOTIFY_SOCKET: a path, or "@name" in the abstract namespace (unix(7)); 0: nobody asked. */
static socklen_t manager_address(struct sockaddr_un *out)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t len = name ? strlen(name) : 0;
    if (len < 2 || len >= sizeof out->sun_path || (*name != '/' && *name != '@'))
        return 0;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, name, len);
    if (*name == '@')
        out->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static void send_state(const char *state, bool change)
{
    struct sockaddr_un to;
    socklen_t len = ps_notify_built() ? manager_address(&to) : 0;
    int fd = len ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    const struct timeval most = {.tv_usec = CHANGE_MS * 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    int flags = MSG_NOSIGNAL | (change ? 0 : MSG_DONTWAIT);
    if (sendto(fd, state, strlen(state), flags, (struct sockaddr *)&to, len) < 0)
        ps_log_debug("notify", "not sent error=%s", strerror(errno));
    (void)close(fd);
}

bool ps_notify_built(void)
{
#ifdef PS_HAVE_SYSTEMD
    return true;
#else
    return false;
#endif
}

void ps_notify_ready(const char *status)
{
    char state[256];
    snprintf(state, sizeof(state), "READY=1%s%s", status ? "\nSTATUS=" : "", status ? status : "");
    send_state(state, true);
}

void ps_notify_reloading(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    char state[64]; /* the time is for Type=notify-reload: which of two reloads this is */
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
                   (unsigned long long)now.tv_sec * 1000000 +
                       (unsigned long long)now.tv_nsec / 1000);
    send_state(state, true);
}

void ps_notify_stopping(void)
{
    send_state("STOPPING=1", true);
}

void ps_notify_watchdog(void)
{
    send_state("WATCHDOG=1", false);
}

void ps_notify_status(const char *format, ...)
{
    char state[256] = "STATUS=";
    size_t used = strlen(state);
    va_list ap;
    va_start(ap, format);
    vsnprintf(state + used, sizeof(state) - used, format, ap);
    va_end(ap);
    /* a line break would start another assignment */
    for (char *c = state; *c; c++)
        if (*c == '\n')
            *c = ' ';
    send_state(state, false);
}

uint64_t ps_notify_watchdog_ms(void)
{
#ifdef PS_HAVE_SYSTEMD
    uint64_t usec = 0;
    if (sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    uint64_t half = usec / 2000;
    return half ? half : 1;
#else
    return 0;
#endif
}
