/* Happy path: put writes the datagram and queues it; the thread takes the first one and sends it.
 * While it cannot be sent it stays the first: the thread tries again every second, with a socket of
 * its own each time, for a journal or a syslog that was started anew. A datagram is smaller than a
 * socket takes (a line has at most PS_AUDIT_LINE_MOST bytes, and fields a part of them again), so
 * the journal's other way, a sealed memfd for large ones, is not needed. */
#include "server/guard/audit_forward.h"

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "common/conf/blocks.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME "psd-audit" /* so that they can be told from psd's own log */

enum { FACILITY = 10 /* authpriv: not for everybody */, WARNING = 4, NOTICE = 5 };
enum { RETRY_MS = 1000, TAKE_MS = 500 };

typedef struct target {
    bool journal;
    struct sockaddr_storage at;
    socklen_t len;
} target;

typedef struct datagram {
    struct datagram *next;
    ps_buf bytes;
} datagram;

struct ps_audit_forward {
    char *to;
    target target;
    pthread_t thread;
    ps_mutex lock; /* guards all below */
    pthread_cond_t more, ended;
    datagram *first, **last;
    size_t waiting; /* bytes */
    uint64_t sent, lost;
    bool losing; /* the log knows */
    bool ending;

    /* the thread's own */
    int fd;       /* -1: none */
    bool failing; /* the log knows */
};

/* ---- where to ---- */

static ps_status unix_target(const char *path, target *out)
{
    struct sockaddr_un *at = (struct sockaddr_un *)&out->at;
    if (strlen(path) >= sizeof at->sun_path)
        return ps_fail(PS_INVALID_ARGUMENT, "'%.60s…' is too long for a socket's name", path);
    *at = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(at->sun_path, path);
    out->len = sizeof *at;
    return PS_OK;
}

/* An address, no name: nobody is asked, and so nobody can hold it up. */
static ps_status udp_target(const char *text, target *out)
{
    char *host = ps_strdup(""), port[8];
    int64_t number = 0;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM};
    ps_status st = ps_conf_parse_endpoint(text, "syslog", &host, &number);
    (void)snprintf(port, sizeof port, "%d", (int)number);
    if (!st && (!*host || !number || getaddrinfo(host, port, &hints, &found)))
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "syslog: '%s' is neither a socket's path nor an address with a port, as "
                     "192.0.2.1:514",
                     text);
    ps_free(&host);
    if (st)
        return st;
    memcpy(&out->at, found->ai_addr, found->ai_addrlen);
    out->len = found->ai_addrlen;
    freeaddrinfo(found);
    return PS_OK;
}

static ps_status find_target(const char *to, target *out)
{
    *out = (target){.journal = !strncmp(to, "journald", 8)};
    if (!strcmp(to, "syslog"))
        return unix_target("/dev/log", out);
    if (!strcmp(to, "journald"))
        return unix_target("/run/systemd/journal/socket", out);
    if (!strncmp(to, "syslog:/", 8))
        return unix_target(to + 7, out);
    if (!strncmp(to, "journald:/", 10))
        return unix_target(to + 9, out);
    if (!strncmp(to, "syslog:", 7))
        return udp_target(to + 7, out);
    return ps_fail(PS_INVALID_ARGUMENT,
                   "'%s' is none of syslog, syslog:/PATH, syslog:ADDRESS:PORT, journald, "
                   "journald:/PATH",
                   to);
}

ps_status ps_audit_forward_check(const char *to)
{
    target unused;
    return find_target(to, &unused);
}

/* ---- what a datagram is ---- */

/* RFC 5424, section 6: one without structured data, MSG of which is the line. */
static void write_syslog(ps_buf *out, const ps_audit_forwarded *w)
{
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) || !*host)
        strcpy(host, "-");
    ps_buf_printf(out, "<%d>1 %s %s " NAME " %d %s - ",
                  FACILITY * 8 + (w->warning ? WARNING : NOTICE), w->time, host, (int)getpid(),
                  w->event);
    ps_buf_append(out, w->line.data, w->line.len);
}

/* systemd's native protocol: NAME=value, or, for a value with a newline, its length before it. */
static void put_field(ps_buf *out, const char *name, ps_slice value)
{
    const bool plain = !memchr(value.data, '\n', value.len);
    ps_buf_puts(out, name);
    ps_buf_putc(out, plain ? '=' : '\n');
    if (!plain)
        ps_buf_put_u64le(out, value.len);
    ps_buf_append(out, value.data, value.len);
    ps_buf_putc(out, '\n');
}

static void write_journal(ps_buf *out, const ps_audit_forwarded *w)
{
    char seq[24];
    (void)snprintf(seq, sizeof seq, "%" PRIu64, w->seq);
    const struct {
        const char *name, *value;
    } fields[] = {{"PRIORITY", w->warning ? "4" : "5"}, {"SYSLOG_FACILITY", "10"},
                  {"SYSLOG_IDENTIFIER", NAME},          {"PSD_AUDIT_SEQ", seq},
                  {"PSD_AUDIT_EVENT", w->event},        {"PSD_AUDIT_OUTCOME", w->outcome},
                  {"PSD_AUDIT_IDENTITY", w->identity},  {"PSD_AUDIT_CALL", w->call},
                  {"PSD_AUDIT_ADDRESS", w->address}};
    put_field(out, "MESSAGE", w->line);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value)
            put_field(out, fields[i].name, ps_slice_str(fields[i].value));
}

/* ---- the queue ---- */

static void free_datagram(datagram *d)
{
    ps_buf_free(&d->bytes);
    ps_free(&d);
}

void ps_audit_forward_put(ps_audit_forward *f, const ps_audit_forwarded *what)
{
    if (!f)
        return;
    datagram *d = ps_new(datagram);
    (f->target.journal ? write_journal : write_syslog)(&d->bytes, what);
    ps_mutex_lock(&f->lock);
    const bool fits = f->waiting + d->bytes.len <= PS_AUDIT_FORWARD_BYTES;
    const bool begins = !fits && !f->losing;
    if (fits) {
        *f->last = d;
        f->last = &d->next;
        f->waiting += d->bytes.len;
        pthread_cond_signal(&f->more);
    } else {
        f->lost++;
        f->losing = true;
    }
    ps_mutex_unlock(&f->lock);
    if (!fits)
        free_datagram(d);
    if (begins)
        ps_log_error("audit", "lines that should go to %s are lost: %d MiB wait already", f->to,
                     PS_AUDIT_FORWARD_BYTES >> 20);
}

/* Locked. The first one is done with. */
static void pop(ps_audit_forward *f)
{
    ps_mutex_require_held(&f->lock);
    datagram *d = f->first;
    f->first = d->next;
    if (!f->first)
        f->last = &f->first;
    f->waiting -= d->bytes.len;
    free_datagram(d);
}

/* ---- the thread ---- */

static void hang_up(ps_audit_forward *f)
{
    if (f->fd >= 0)
        (void)close(f->fd);
    f->fd = -1;
}

static int open_socket(ps_audit_forward *f)
{
    f->fd = socket(f->target.at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (f->fd < 0)
        return errno;
    if (connect(f->fd, (const struct sockaddr *)&f->target.at, f->target.len) == 0)
        return 0;
    int error = errno;
    hang_up(f);
    return error;
}

/* errno; EAGAIN: whoever reads there is slow. */
static int send_datagram(ps_audit_forward *f, const datagram *d)
{
    int error = f->fd < 0 ? open_socket(f) : 0;
    if (error)
        return error;
    if (send(f->fd, d->bytes.data, d->bytes.len, MSG_NOSIGNAL) >= 0)
        return 0;
    error = errno == ENOBUFS || errno == EINTR ? EAGAIN : errno;
    if (error == EAGAIN)
        (void)poll(&(struct pollfd){.fd = f->fd, .events = POLLOUT}, 1, TAKE_MS);
    else
        hang_up(f);
    return error;
}

static void tell(ps_audit_forward *f, int error)
{
    if (error && !f->failing)
        ps_log_error("audit", "lines cannot go to %s, and wait: %s", f->to, strerror(error));
    f->failing = error != 0;
}

/* Locked. What is sent, or never will be, is done with; otherwise a while goes by. */
static void note(ps_audit_forward *f, int error)
{
    ps_mutex_require_held(&f->lock);
    if (!error) {
        pop(f);
        f->sent++;
        f->losing = f->losing && f->waiting > PS_AUDIT_FORWARD_BYTES / 2;
    } else if (error == EMSGSIZE || f->ending) {
        do { /* at the end nothing is waited for */
            pop(f);
            f->lost++;
        } while (f->ending && f->first);
    } else if (error != EAGAIN) {
        const struct timespec until = ps_condition_in_ms(RETRY_MS);
        while (!f->ending && ps_mutex_wait_until(&f->lock, &f->ended, &until))
            continue;
    }
}

/* The datagram is the thread's until it is taken out. */
static void *send_all(void *user)
{
    ps_audit_forward *f = user;
    ps_mutex_lock(&f->lock);
    for (;;) {
        while (!f->first && !f->ending)
            ps_mutex_wait(&f->lock, &f->more);
        if (!f->first)
            break;
        const datagram *d = f->first;
        ps_mutex_unlock(&f->lock);
        int error = send_datagram(f, d);
        if (error != EAGAIN)
            tell(f, error);
        ps_mutex_lock(&f->lock);
        note(f, error);
    }
    ps_mutex_unlock(&f->lock);
    hang_up(f);
    return NULL;
}

/* ---- making, ending ---- */

static void destroy(ps_audit_forward **forward)
{
    pthread_cond_destroy(&(*forward)->more);
    pthread_cond_destroy(&(*forward)->ended);
    ps_mutex_destroy(&(*forward)->lock);
    ps_free(&(*forward)->to);
    ps_free(forward);
}

ps_status ps_audit_forward_new(const char *to, ps_audit_forward **out)
{
    target where;
    ps_status st = find_target(to, &where);
    if (st)
        return st;
    ps_audit_forward *f = ps_new(ps_audit_forward);
    f->to = ps_strdup(to);
    f->target = where;
    f->fd = -1;
    f->last = &f->first;
    ps_mutex_init(&f->lock);
    pthread_cond_init(&f->more, NULL);
    ps_condition_init(&f->ended);
    int rc = ps_thread_start(&f->thread, send_all, f);
    if (rc) {
        destroy(&f);
        return ps_fail_errno(rc, "the thread that forwards the audit log");
    }
    *out = f;
    return PS_OK;
}

void ps_audit_forward_free(ps_audit_forward **forward)
{
    ps_audit_forward *f = *forward;
    if (!f)
        return;
    ps_mutex_lock(&f->lock);
    f->ending = true;
    pthread_cond_signal(&f->more);
    pthread_cond_signal(&f->ended);
    ps_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    if (f->lost)
        ps_log_warning("audit", "lines that did not go to %s lines=%" PRIu64, f->to, f->lost);
    destroy(forward);
}

void ps_audit_forward_count(ps_audit_forward *f, uint64_t *sent, uint64_t *lost)
{
    *sent = *lost = 0;
    if (!f)
        return;
    ps_mutex_lock(&f->lock);
    *sent = f->sent;
    *lost = f->lost;
    ps_mutex_unlock(&f->lock);
}
