/* audit: events into JSON lines.
 *
 * Happy path: the source's bucket has a token, the line is built and appended with one write(2)
 * under the lock. A full disk or a short write costs that line only: what was cut is ended by the
 * newline that starts the next one. */
#include "server/guard/audit.h"

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/rng.h"
#include "common/base/text.h"
#include "common/json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SOURCES         64 /* buckets; sources that share one share its tokens */
#define REPORT_EVERY_NS (10ull * 1000000000ull)
#define PARTS           64 /* things done in parts that are known at once */
#define PART_NS         (600ull * 1000000000ull)

/* Refusals cost an attacker nothing; what is allowed has an identity to answer for it. */
enum { LIMIT_REFUSED, LIMIT_OTHER, LIMIT_COUNT };
static const struct {
    double burst, per_second;
} limits[LIMIT_COUNT] = {
    [LIMIT_REFUSED] = {20, 1},
    [LIMIT_OTHER] = {1000, 100},
};

typedef struct bucket {
    double tokens;
    uint64_t at_ns;
} bucket;

typedef struct part {
    uint64_t hash, at_ns; /* of its line, and when that was written */
} part;

struct ps_audit {
    ps_mutex lock; /* guards all below */
    int fd;
    char *path;
    const ps_clock *clock;
    uint64_t hash_seed; /* so that nobody can aim at another's bucket */
    bucket buckets[LIMIT_COUNT][SOURCES];
    part parts[PARTS];
    size_t next_part;    /* the one that was written longest ago */
    uint64_t unreported; /* suppressed since the last line that said so */
    uint64_t reported_ns;
    bool cut;     /* the last write was short: start with a newline */
    bool failing; /* the log knows */
    ps_audit_stats stats;
    ps_audit_head head; /* of what was written */
};

/* Non-blocking, for a pipe or a terminal that nobody reads: calls must not stand still for it, and
 * open makes an open file of its own, so that nobody else notices. */
static ps_status open_file(const char *path, int *out)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0 && errno == ENXIO)
        return ps_fail(PS_FAILED_PRECONDITION, "audit log %s: a pipe that nobody reads", path);
    if (fd < 0)
        return ps_fail_errno(errno, "audit log %s", path);
    *out = fd;
    return PS_OK;
}

/* The last line of a chain among the file's last, which the next one follows. A file that is no
 * file, or has none, begins anew. *cut: it does not end with a newline. */
static ps_audit_head read_head(const char *path, bool *cut)
{
    enum { TAIL = 4 * PS_AUDIT_LINE_MOST };
    ps_audit_head head = ps_audit_head_none();
    char prev[PS_DIGEST_TEXT];
    uint8_t *tail = ps_alloc(TAIL);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
    off_t from = size > TAIL ? size - TAIL : 0;
    ssize_t n = size > 0 ? pread(fd, tail, TAIL, from) : 0;
    *cut = n > 0 && tail[n - 1] != '\n';
    for (ssize_t end = n - !*cut, begin = end; end > 0 && !head.seq; end = begin - 1, begin = end) {
        while (begin > 0 && tail[begin - 1] != '\n')
            begin--;
        ps_slice line = ps_slice_of(tail + begin, (size_t)(end - begin));
        uint64_t seq;
        if ((begin > 0 || !from) && !ps_audit_line_read(line, &seq, prev)) {
            head.seq = seq - 1;
            ps_audit_head_advance(&head, line);
        }
    }
    if (fd >= 0)
        (void)close(fd);
    ps_free(&tail);
    return head;
}

ps_status ps_audit_open(const char *path, const ps_clock *clock, ps_audit **out)
{
    int fd = -1;
    ps_status st = open_file(path, &fd);
    if (st)
        return st;
    ps_audit *audit = ps_new(ps_audit);
    ps_mutex_init(&audit->lock);
    audit->fd = fd;
    audit->path = ps_strdup(path);
    audit->clock = clock;
    audit->hash_seed = ps_rng_entropy();
    audit->reported_ns = ps_clock_ns(clock);
    for (int kind = 0; kind < LIMIT_COUNT; kind++)
        for (int i = 0; i < SOURCES; i++)
            audit->buckets[kind][i] =
                (bucket){.tokens = limits[kind].burst, .at_ns = audit->reported_ns};
    audit->head = read_head(path, &audit->cut);
    *out = audit;
    return PS_OK;
}

static void put_time(ps_json_writer *w, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc = {0};
    char text[64];
    (void)gmtime_r(&seconds, &utc);
    size_t n = strftime(text, sizeof text - 8, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text + n, sizeof text - n, ".%03dZ", (int)(wall_ms % 1000));
    ps_json_put_string(w, "time", text);
}

/* The writer escapes what JSON must; of the rest a terminal must not obey anything. */
static void put_text(ps_json_writer *w, const char *key, const char *text)
{
    char safe[PS_AUDIT_TEXT_MAX];
    size_t n = 0;
    if (!text)
        return;
    size_t len = strlen(text);
    for (size_t at = 0, bytes; at < len; at += bytes) {
        bool fit;
        bytes = ps_text_character(text + at, len - at, &fit);
        bool keeps = fit || (unsigned char)text[at] < ' ';
        if (n + (keeps ? bytes : 1) > sizeof safe)
            break;
        if (keeps)
            memcpy(safe + n, text + at, bytes);
        else
            safe[n] = '?';
        n += keeps ? bytes : 1;
    }
    ps_json_key(w, key);
    ps_json_string_n(w, ps_slice_of(safe, n));
}

/* With its place in the chain. */
static void end_line(const ps_audit *audit, ps_json_writer *w, ps_buf *line)
{
    ps_json_put_uint(w, "seq", audit->head.seq + 1);
    ps_json_put_string(w, "prev", audit->head.sha256);
    ps_json_object_end(w);
    ps_buf_putc(line, '\n');
}

static void build_line(const ps_audit *audit, const ps_audit_event *e, ps_buf *line)
{
    ps_mutex_require_held(&audit->lock);
    static const char *const outcomes[] = {"allowed", "refused", "failed"};
    char identity[PS_IDENTITY_TEXT_MAX];
    ps_json_writer w = ps_json_writer_to(line);
    ps_json_object(&w);
    put_time(&w, ps_clock_wall_ms(audit->clock));
    put_text(&w, "event", e->event);
    put_text(&w, "address", e->address);
    put_text(&w, "identity", e->identity ? ps_identity_format(e->identity, identity) : NULL);
    put_text(&w, "call", e->call);
    ps_json_put_string(&w, "outcome", outcomes[e->outcome]);
    put_text(&w, "reason", e->reason);
    end_line(audit, &w, line);
}

/* Locked. */
static void append(ps_audit *audit, ps_buf *line)
{
    ps_mutex_require_held(&audit->lock);
    PS_REQUIRE(line->len > 0 && line->data[line->len - 1] == '\n'); /* one write, one line */
    const ps_slice text = ps_slice_of(line->data, line->len - 1);
    ps_buf ended = PS_BUF_EMPTY;
    if (audit->cut) {
        ps_buf_putc(&ended, '\n');
        ps_buf_append(&ended, line->data, line->len);
        line = &ended;
    }
    ssize_t n;
    do
        n = write(audit->fd, line->data, line->len);
    while (n < 0 && errno == EINTR);
    bool whole = n == (ssize_t)line->len;
    if (!whole && !audit->failing)
        ps_log_error("audit", "cannot write to %s: %s; refusals and actions go unrecorded",
                     audit->path,
                     n >= 0            ? "no space left"
                     : errno == EAGAIN ? "nobody reads it"
                                       : strerror(errno));
    if (n > 0)
        audit->cut = !whole;
    audit->failing = !whole;
    if (whole) {
        audit->stats.written++;
        ps_audit_head_advance(&audit->head, text); /* one that was cut is none */
    } else {
        audit->stats.failed++;
    }
    ps_buf_free(&ended);
}

/* Locked. `now` or later: closing does not wait. */
static void report_suppressed(ps_audit *audit, bool now)
{
    ps_mutex_require_held(&audit->lock);
    uint64_t t = ps_clock_ns(audit->clock);
    if (!audit->unreported || (!now && t - audit->reported_ns < REPORT_EVERY_NS))
        return;
    ps_buf line = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&line);
    ps_json_object(&w);
    put_time(&w, ps_clock_wall_ms(audit->clock));
    ps_json_put_string(&w, "event", "suppressed");
    ps_json_put_uint(&w, "count", audit->unreported);
    ps_json_put_string(&w, "reason", "too many lines of the same source");
    end_line(audit, &w, &line);
    append(audit, &line);
    ps_buf_free(&line);
    audit->unreported = 0;
    audit->reported_ns = t;
}

/* FNV-1a, seeded. */
static uint64_t hash_begin(const ps_audit *audit)
{
    return 14695981039346656037ull ^ audit->hash_seed;
}

static uint64_t hash_text(uint64_t hash, const char *text, const char *end)
{
    for (const char *c = text; c && c != end && *c; c++)
        hash = (hash ^ (uint8_t)*c) * 1099511628211ull;
    return hash;
}

/* MurmurHash3's finaliser, because FNV alone hardly spreads texts that differ in their last
 * character, as neighbours in a network do. */
static uint64_t hash_end(uint64_t hash)
{
    hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdull;
    return hash ^ (hash >> 33);
}

/* By the address without its port. */
static size_t source_of(const ps_audit *audit, const char *address)
{
    const char *port = address ? strrchr(address, ':') : NULL;
    return (size_t)(hash_end(hash_text(hash_begin(audit), address, port)) % SOURCES);
}

/* Locked. The address has the port: it is of one connection. */
static bool known_part(ps_audit *audit, const ps_audit_event *e)
{
    ps_mutex_require_held(&audit->lock);
    if (!e->part || e->outcome != PS_AUDIT_ALLOWED)
        return false;
    char identity[PS_IDENTITY_TEXT_MAX];
    const char *texts[] = {e->address, e->identity ? ps_identity_format(e->identity, identity) : "",
                           e->call, e->reason};
    uint64_t hash = hash_begin(audit), now = ps_clock_ns(audit->clock);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        hash = hash_text(hash_text(hash, texts[i], NULL), "\n", NULL);
    hash = hash_end(hash);
    for (size_t i = 0; i < PARTS; i++)
        if (audit->parts[i].hash == hash && now - audit->parts[i].at_ns < PART_NS)
            return true;
    audit->parts[audit->next_part] = (part){hash, now};
    audit->next_part = (audit->next_part + 1) % PARTS;
    return false;
}

/* Locked. A token bucket: refilled by time, one a line. */
static bool may_write(ps_audit *audit, const ps_audit_event *event)
{
    ps_mutex_require_held(&audit->lock);
    PS_REQUIRE(event->outcome <= PS_AUDIT_FAILED);
    int kind = event->outcome == PS_AUDIT_REFUSED ? LIMIT_REFUSED : LIMIT_OTHER;
    bucket *b = &audit->buckets[kind][source_of(audit, event->address)];
    uint64_t now = ps_clock_ns(audit->clock);
    b->tokens += (double)(now - b->at_ns) / 1e9 * limits[kind].per_second;
    if (b->tokens > limits[kind].burst)
        b->tokens = limits[kind].burst;
    b->at_ns = now;
    if (b->tokens < 1)
        return false;
    b->tokens -= 1;
    PS_REQUIRE(b->tokens >= 0 && b->tokens < limits[kind].burst);
    return true;
}

void ps_audit_write(ps_audit *audit, const ps_audit_event *event)
{
    if (!audit)
        return;
    ps_buf line = PS_BUF_EMPTY;
    ps_mutex_lock(&audit->lock);
    report_suppressed(audit, false);
    if (known_part(audit, event)) {
        /* its first one is on record */
    } else if (may_write(audit, event)) {
        build_line(audit, event, &line);
        append(audit, &line);
    } else {
        audit->unreported++;
        audit->stats.suppressed++;
    }
    ps_mutex_unlock(&audit->lock);
    ps_buf_free(&line);
}

void ps_audit_tick(ps_audit *audit)
{
    if (!audit)
        return;
    ps_mutex_lock(&audit->lock);
    report_suppressed(audit, false);
    ps_mutex_unlock(&audit->lock);
}

ps_status ps_audit_reopen(ps_audit *audit)
{
    int fd = -1;
    ps_status st = open_file(audit->path, &fd);
    if (st)
        return st;
    ps_mutex_lock(&audit->lock);
    int old = audit->fd;
    audit->fd = fd;
    audit->cut = audit->failing = false;
    ps_mutex_unlock(&audit->lock);
    close(old);
    return PS_OK;
}

void ps_audit_get_stats(ps_audit *audit, ps_audit_stats *out)
{
    ps_mutex_lock(&audit->lock);
    *out = audit->stats;
    ps_mutex_unlock(&audit->lock);
}

ps_audit_head ps_audit_get_head(ps_audit *audit)
{
    ps_mutex_lock(&audit->lock);
    ps_audit_head head = audit->head;
    ps_mutex_unlock(&audit->lock);
    return head;
}

void ps_audit_close(ps_audit **audit)
{
    ps_audit *a = *audit;
    if (!a)
        return;
    ps_mutex_lock(&a->lock);
    report_suppressed(a, true);
    ps_mutex_unlock(&a->lock);
    close(a->fd);
    ps_mutex_destroy(&a->lock);
    ps_free(&a->path);
    ps_free(audit);
}
