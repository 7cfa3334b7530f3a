/* tls_watch: see the drawing in tls_watch.h. What a file was is told by its place, size and times,
 * as make(1) and others do; a file that changes while it is read is another one at the next look.
 * Cannot fail: what is not noticed is read at the next look, or when somebody asks (SIGHUP). */
#include "common/transport/tls/tls_watch.h"

#include "common/base/disk.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/repeat.h"
#include "common/base/require.h"

#include <string.h>
#include <sys/stat.h>

enum { FILES = 4, SETTLE_MS = 100, RETRY_MS = 1000, POLL_LEAST_MS = 100 };
enum { CA, CERTIFICATE, KEY, CRL };

/* Zeroes: it is not there. */
typedef struct look {
    struct {
        uint64_t device, inode, size;
        struct timespec modified, changed;
    } of[FILES];
} look;

/* One of the two parts that are read: certificates, and CRLs. */
typedef struct part {
    look taken;                  /* what was read last and taken */
    look failed;                 /* what was read last and could not be, */
    unsigned failures;           /* how often, */
    uint64_t since_ms, tried_ms; /* since when, and last when */
    ps_repeat trouble;
    bool tried, changed; /* by the work under way */
    ps_error error;
} part;

struct ps_tls_watch {
    ps_work work;
    ps_loop *loop;
    ps_tls_holder *holder;
    const char *files[FILES]; /* the holder's; NULL: there is none */
    ps_folder_watch *folders[FILES];
    ps_timer *poll, *soon;
    uint64_t due_ms; /* of soon; 0: it does not run */
    void (*changed)(void *user);
    void *user;
    part certificates, crl;
    bool busy, again, freed;
};

static look look_at(const ps_tls_watch *w, bool crl)
{
    look seen;
    memset(&seen, 0, sizeof seen); /* padding, too: looks are compared whole */
    for (int i = 0; i < FILES; i++) {
        struct stat s;
        if ((i == CRL) != crl || !w->files[i] || stat(w->files[i], &s) != 0)
            continue;
        seen.of[i].device = s.st_dev;
        seen.of[i].inode = s.st_ino;
        seen.of[i].size = (uint64_t)s.st_size;
        seen.of[i].modified = s.st_mtim;
        seen.of[i].changed = s.st_ctim;
    }
    return seen;
}

static bool same(const look *a, const look *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static uint64_t now_ms(void)
{
    return ps_clock_ns(&ps_clock_system) / 1000000;
}

/* ---- on the pool ---- */

static void read_part(ps_tls_watch *w, part *p, bool crl)
{
    look now = look_at(w, crl);
    p->tried = p->changed = false;
    if (same(&now, &p->taken))
        return;
    if (p->failures && same(&now, &p->failed) && now_ms() - p->tried_ms < RETRY_MS)
        return; /* a folder may be busy with other things */
    p->tried = true;
    p->tried_ms = now_ms();
    ps_status st =
        crl ? ps_tls_holder_reload_crl(w->holder) : ps_tls_holder_reload_certificates(w->holder);
    if (st) {
        ps_error_save(&p->error, st);
        p->failures = same(&now, &p->failed) ? p->failures + 1 : 1;
        p->since_ms = p->failures == 1 ? now_ms() : p->since_ms;
        p->failed = now;
        return;
    }
    p->taken = now;
    p->failures = 0;
    p->changed = true;
}

static void work_cb(ps_work *work)
{
    ps_tls_watch *w = ps_container(work, ps_tls_watch, work);
    read_part(w, &w->certificates, false);
    read_part(w, &w->crl, true);
}

/* ---- on the loop ---- */

static void say(part *p, const char *what)
{
    char times[PS_REPEAT_TEXT];
    uint64_t at_ms = now_ms();
    if (p->changed) {
        bool was = ps_repeat_over(&p->trouble);
        ps_log_notice("tls", "%s changed, read again%s", what,
                      was ? ps_repeat_text(&p->trouble, times) : "");
    } else if (p->tried && p->failures && at_ms - p->since_ms >= RETRY_MS &&
               ps_repeat_due(&p->trouble, at_ms, p->error.message)) {
        ps_log_error("tls", "%s changed and cannot be used, going on with what was there: %s%s",
                     what, p->error.message, ps_repeat_text(&p->trouble, times));
    }
}

/* Not later for what comes meanwhile: a log may be written to the same folder, line after line. */
static void look_within(ps_tls_watch *w, uint64_t ms)
{
    uint64_t due = now_ms() + ms;
    if (w->due_ms && w->due_ms <= due)
        return;
    w->due_ms = due;
    ps_timer_start(w->soon, ms, 0);
}

static bool is_first_failure(const part *p)
{
    return p->tried && p->failures == 1;
}

static void done_cb(ps_work *work)
{
    ps_tls_watch *w = ps_container(work, ps_tls_watch, work);
    w->busy = false;
    if (w->freed) {
        free(w);
        return;
    }
    say(&w->certificates, "certificates");
    say(&w->crl, "CRL");
    if (w->again)
        look_within(w, SETTLE_MS);
    else if (is_first_failure(&w->certificates) || is_first_failure(&w->crl))
        look_within(w, RETRY_MS + 1);
    w->again = false;
    if (w->certificates.changed || w->crl.changed)
        w->changed(w->user);
}

static void look_cb(void *user)
{
    ps_tls_watch *w = user;
    if (w->busy) {
        w->again = true;
        return;
    }
    w->busy = true;
    ps_work_submit(w->loop, &w->work);
}

static void soon_cb(void *user)
{
    ((ps_tls_watch *)user)->due_ms = 0;
    look_cb(user);
}

static void event_cb(void *user)
{
    ps_tls_watch *w = user;
    if (w->busy)
        w->again = true;
    else
        look_within(w, SETTLE_MS);
}

/* Each folder once. */
static void watch_folders(ps_tls_watch *w)
{
    char *folders[FILES] = {0};
    for (int i = 0; i < FILES; i++) {
        if (!w->files[i])
            continue;
        folders[i] = ps_disk_folder_of(w->files[i]);
        bool watched = false;
        for (int k = 0; k < i; k++)
            watched = watched || (folders[k] && !strcmp(folders[k], folders[i]));
        if (!watched && ps_folder_watch_start(w->loop, folders[i], event_cb, w, &w->folders[i]))
            ps_log_info("tls", "%s; its files are looked at from time to time", ps_error_message());
    }
    for (int i = 0; i < FILES; i++)
        free(folders[i]);
}

void ps_tls_watch_start(ps_loop *loop, ps_tls_holder *holder, uint64_t poll_ms,
                        void (*changed)(void *user), void *user, ps_tls_watch **out)
{
    ps_loop_require_on(loop);
    PS_REQUIRE(holder && changed);
    *out = NULL;
    if (!poll_ms)
        return;
    const ps_tls_options *options = ps_tls_holder_options(holder);
    ps_tls_watch *w = ps_new(ps_tls_watch);
    *w = (ps_tls_watch){.work = {.work = work_cb, .done = done_cb},
                        .loop = loop,
                        .holder = holder,
                        .files = {[CA] = options->ca_file,
                                  [CERTIFICATE] = options->cert_file,
                                  [KEY] = options->key_file,
                                  [CRL] = options->crl_file},
                        .changed = changed,
                        .user = user};
    w->certificates.taken = look_at(w, false);
    w->crl.taken = look_at(w, true);
    ps_timer_create(loop, look_cb, w, &w->poll);
    ps_timer_create(loop, soon_cb, w, &w->soon);
    poll_ms = poll_ms < POLL_LEAST_MS ? POLL_LEAST_MS : poll_ms;
    ps_timer_start(w->poll, poll_ms, poll_ms);
    watch_folders(w);
    *out = w;
}

void ps_tls_watch_free(ps_tls_watch **pointer)
{
    ps_tls_watch *w = *pointer;
    *pointer = NULL;
    if (!w)
        return;
    ps_loop_require_on(w->loop);
    ps_timer_free(&w->poll);
    ps_timer_free(&w->soon);
    for (int i = 0; i < FILES; i++)
        ps_folder_watch_free(&w->folders[i]);
    w->freed = true;
    if (!w->busy)
        free(w);
}
