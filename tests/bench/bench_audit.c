/* bench_audit: lines a second of the audit log, each with its number and the SHA-256 of the line
 * before, beside SHA-256 of as many bytes and write(2) of as many lines, in the same run; with one
 * caller and four, whose sources are never too many; and with a line that must be on the disk.
 *
 *     bench_audit [--json] [FOLDER, default /tmp]
 */
#include "common/base/mem.h"
#include "common/security/digest.h"
#include "server/guard/audit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINES = 200000, ROUNDS = 3, CALLERS = 4, THROUGH = 200, ADDRESSES = 1000 };

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef struct bench {
    char path[256];
    ps_audit *audit;
    ps_identity who;
} bench;

/* A clock that goes a millisecond a call, so that no source is too fast; each bench has one caller
 * or more of it. */
static uint64_t tick;

static uint64_t ticking_ns(void *state)
{
    (void)state;
    return __atomic_add_fetch(&tick, 1000000, __ATOMIC_RELAXED) * 10;
}

static int64_t wall(void *state)
{
    (void)state;
    return 1767225600000;
}

static const ps_clock ticking = {.monotonic_ns = ticking_ns, .wall_ms = wall};

static void write_lines(bench *b, int n)
{
    char address[32];
    for (int i = 0; i < n; i++) {
        (void)snprintf(address, sizeof address, "192.0.2.%d:4711", i % ADDRESSES % 250);
        ps_audit_write(b->audit, &(ps_audit_event){.event = "call",
                                                   .address = address,
                                                   .identity = &b->who,
                                                   .call = "/psd.v1.Jobs/Submit",
                                                   .reason = "job 4711"});
    }
}

static void *write_part(void *user)
{
    write_lines(user, LINES / CALLERS);
    return NULL;
}

static bool open_audit(bench *b)
{
    (void)remove(b->path);
    const ps_audit_conf conf = {.path = b->path, .clock = &ticking};
    return !ps_audit_open(&conf, &b->audit);
}

/* Whether all of them were written. */
static bool close_audit(bench *b, uint64_t lines)
{
    ps_audit_stats stats;
    ps_audit_get_stats(b->audit, &stats);
    ps_audit_close(&b->audit);
    return stats.written == lines && !stats.suppressed;
}

typedef struct figures {
    double one, one_cpu, four, sha, raw, through; /* a second */
} figures;

static void best(double *figure, double n, double seconds)
{
    *figure = n / seconds > *figure ? n / seconds : *figure;
}

static bool run_one(bench *b, figures *f)
{
    if (!open_audit(b))
        return false;
    double clock = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    write_lines(b, LINES);
    best(&f->one, LINES, now(CLOCK_MONOTONIC) - clock);
    best(&f->one_cpu, LINES, now(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return close_audit(b, LINES);
}

static bool run_four(bench *b, figures *f)
{
    pthread_t threads[CALLERS];
    if (!open_audit(b))
        return false;
    double clock = now(CLOCK_MONOTONIC);
    for (int i = 0; i < CALLERS; i++)
        if (pthread_create(&threads[i], NULL, write_part, b))
            return false;
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    best(&f->four, LINES, now(CLOCK_MONOTONIC) - clock);
    return close_audit(b, LINES);
}

/* What the chain and the file alone would take: lines as long as those. */
static bool run_limits(bench *b, figures *f)
{
    char line[300], digest[PS_DIGEST_TEXT];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    double clock = now(CLOCK_MONOTONIC);
    for (int i = 0; i < LINES; i++) {
        ps_digest *d = ps_digest_new();
        ps_digest_add(d, line, sizeof line);
        ps_digest_end(&d, digest);
    }
    best(&f->sha, LINES, now(CLOCK_MONOTONIC) - clock);
    int fd = open(b->path, O_WRONLY | O_APPEND | O_TRUNC | O_CLOEXEC);
    clock = now(CLOCK_MONOTONIC);
    for (int i = 0; i < LINES; i++)
        if (write(fd, line, sizeof line) != sizeof line)
            return false;
    best(&f->raw, LINES, now(CLOCK_MONOTONIC) - clock);
    return close(fd) == 0;
}

static bool run_through(bench *b, figures *f)
{
    bool done = open_audit(b);
    double clock = now(CLOCK_MONOTONIC);
    for (int i = 0; done && i < THROUGH; i++)
        done = !ps_audit_require(b->audit, &(ps_audit_event){.event = "call",
                                                             .identity = &b->who,
                                                             .call = "/psd.v1.Models/Delete"});
    best(&f->through, THROUGH, now(CLOCK_MONOTONIC) - clock);
    return done && close_audit(b, THROUGH);
}

static void show(const figures *f, bool json)
{
    if (json)
        printf("{\"lines_per_second\": %.0f, \"by_processor_time\": %.0f, \"four_callers\": %.0f, "
               "\"sha256_alone\": %.0f, \"write_alone\": %.0f, \"on_the_disk\": %.0f}\n",
               f->one, f->one_cpu, f->four, f->sha, f->raw, f->through);
    else
        printf("audit lines/s   one caller %.0f (by processor time %.0f), four %.0f\n"
               "                SHA-256 alone %.0f, write(2) alone %.0f\n"
               "on the disk/s   %.0f\n"
               "goal 100000: %s\n",
               f->one, f->one_cpu, f->four, f->sha, f->raw, f->through,
               f->one >= 100000 ? "reached" : "missed");
}

int main(int argc, char **argv)
{
    const bool json = argc > 1 && !strcmp(argv[1], "--json");
    bench b = {0};
    figures f = {0};
    (void)snprintf(b.path, sizeof b.path, "%s/bench_audit-%d.log",
                   argc > 1 + json ? argv[1 + json] : "/tmp", (int)getpid());
    bool done = !ps_identity_make("lab", PS_ROLE_SUBMITTER, "alice", &b.who);
    for (int i = 0; done && i < ROUNDS; i++)
        done = run_one(&b, &f) && run_four(&b, &f) && run_limits(&b, &f) && run_through(&b, &f);
    (void)remove(b.path);
    if (!done) {
        fprintf(stderr, "bench_audit: %s: %s\n", b.path, ps_error_message());
        return 1;
    }
    show(&f, json);
    return 0;
}
