/* One datagram a call, through libsystemd, which knows the socket's name, abstract ones included,
 * and checks WATCHDOG_PID. Nothing here can fail in a way that matters to the daemon. */
#include "common/base/notify.h"

#include "common/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef PS_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

static void send_state(const char *state)
{
#ifdef PS_HAVE_SYSTEMD
    int r = sd_notify(0, state);
    if (r < 0)
        ps_log_debug("notify", "not sent error=%s", strerror(-r));
#else
    (void)state;
#endif
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
    send_state(state);
}

void ps_notify_reloading(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    char state[64]; /* the time is for Type=notify-reload: which of two reloads this is */
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
                   (unsigned long long)now.tv_sec * 1000000 +
                       (unsigned long long)now.tv_nsec / 1000);
    send_state(state);
}

void ps_notify_stopping(void)
{
    send_state("STOPPING=1");
}

void ps_notify_watchdog(void)
{
    send_state("WATCHDOG=1");
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
    send_state(state);
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
