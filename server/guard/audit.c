/* audit: events into JSON lines.
 *
 * Happy path: the source's bucket has a token, the line is built and appended with one write(2)
 * under the lock. A line that must be on the disk is waited for without it. */
#include "server/guard/audit.h"

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/rng.h"
#include "common/base/text.h"
#include "common/json/json.h"
#include "common/loop/loop.h"
#include "server/guard/audit_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SOURCES         64 /* buckets; sources that share one share its tokens */
#define REPORT_EVERY_NS (10ull * 1000000000ull)
#define PARTS           64 /* things done in parts that are known at once */
#define PART_NS         (600ull * 1000000000ull)
#define LINE_ROOM       1024 /* a line has mostly less */

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
    ps_audit_file *file;
    char *path;
    const ps_clock *clock;
    unsigned keep;
    bool refuse;
    bool (*give_up)(void *user);
    void *give_up_user;
    uint64_t hash_seed; /* so that nobody can aim at another's bucket */
    bucket buckets[LIMIT_COUNT][SOURCES];
    part parts[PARTS];
    size_t next_part;    /* the one that was written longest ago */
    uint64_t unreported; /* suppressed since the last line that said so */
    uint64_t reported_ns;
    bool failing;  /* the log knows */
    bool unsynced; /* something was written since the last tick */
    bool untidy;   /* a file has got full */
    int retired;   /* the full file, until the tick has brought it to the disk; -1: none */
    ps_audit_stats stats;

    bool sync_failing; /* the tick's own: the log knows */
};

ps_status ps_audit_open(const ps_audit_conf *conf, ps_audit **out)
{
    ps_audit_file *file = NULL;
    ps_status st = ps_audit_file_open(conf->path, conf->size, &file);
    if (st)
        return st;
    ps_audit *audit = ps_new(ps_audit);
    ps_mutex_init(&audit->lock);
    audit->file = file;
    audit->path = ps_strdup(conf->path);
    audit->clock = conf->clock;
    audit->keep = conf->keep;
    audit->refuse = conf->refuse;
    audit->retired = -1;
    audit->hash_seed = ps_rng_entropy();
    audit->reported_ns = ps_clock_ns(audit->clock);
    for (int kind = 0; kind < LIMIT_COUNT; kind++)
        for (int i = 0; i < SOURCES; i++)
            audit->buckets[kind][i] =
                (bucket){.tokens = limits[kind].burst, .at_ns = audit->reported_ns};
    *out = audit;
    return PS_OK;
}

void ps_audit_set_make_room(ps_audit *audit, bool (*give_up)(void *user), void *user)
{
    audit->give_up = give_up;
    audit->give_up_user = user;
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
    const ps_audit_head *head = ps_audit_file_head(audit->file);
    ps_json_put_uint(w, "seq", head->seq + 1);
    ps_json_put_string(w, "prev", head->sha256);
    ps_json_object_end(w);
    ps_buf_putc(line, '\n');
}

static void build_line(const ps_audit *audit, const ps_audit_event *e, ps_buf *line)
{
    ps_mutex_require_held(&audit->lock);
    static const char *const outcomes[] = {"allowed", "refused", "failed", "begun"};
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

/* Locked. The full one is brought to the disk by the next tick. */
static void turn_when_full(ps_audit *audit, size_t bytes)
{
    ps_mutex_require_held(&audit->lock);
    if (!ps_audit_file_is_full(audit->file, bytes))
        return;
    int full = ps_audit_file_again(audit->file);
    bool turned = ps_audit_file_turn(audit->file);
    int done = turned ? audit->retired : full;
    if (turned)
        audit->retired = full;
    audit->untidy = audit->untidy || turned;
    if (done >= 0)
        (void)close(done);
}

/* Locked. errno. */
static int append(ps_audit *audit, const ps_buf *line)
{
    ps_mutex_require_held(&audit->lock);
    int error = ps_audit_file_append(audit->file, line);
    if (error && !audit->failing)
        ps_log_error("audit", "cannot write to %s: %s; refusals and actions go unrecorded",
                     audit->path, error == EAGAIN ? "nobody reads it" : strerror(error));
    audit->failing = error != 0;
    audit->unsynced = true;
    if (error)
        audit->stats.failed++;
    else
        audit->stats.written++;
    return error;
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
    (void)append(audit, &line);
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

/* The address has the port: it is of one connection. */
static uint64_t part_of(const ps_audit *audit, const ps_audit_event *e)
{
    char identity[PS_IDENTITY_TEXT_MAX];
    const char *texts[] = {e->address, e->identity ? ps_identity_format(e->identity, identity) : "",
                           e->call, e->reason};
    uint64_t hash = hash_begin(audit);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        hash = hash_text(hash_text(hash, texts[i], NULL), "\n", NULL);
    return hash_end(hash);
}

static bool is_part(const ps_audit_event *e)
{
    return e->part && (e->outcome == PS_AUDIT_ALLOWED || e->outcome == PS_AUDIT_BEGUN);
}

/* Locked. Its first one is on record. */
static bool known_part(ps_audit *audit, const ps_audit_event *e)
{
    ps_mutex_require_held(&audit->lock);
    if (!is_part(e))
        return false;
    uint64_t hash = part_of(audit, e), now = ps_clock_ns(audit->clock);
    for (size_t i = 0; i < PARTS; i++)
        if (audit->parts[i].hash == hash && now - audit->parts[i].at_ns < PART_NS)
            return true;
    return false;
}

/* Locked. */
static void remember_part(ps_audit *audit, const ps_audit_event *e)
{
    ps_mutex_require_held(&audit->lock);
    if (!is_part(e))
        return;
    audit->parts[audit->next_part] = (part){part_of(audit, e), ps_clock_ns(audit->clock)};
    audit->next_part = (audit->next_part + 1) % PARTS;
}

/* Locked. A token bucket: refilled by time, one a line. */
static bool may_write(ps_audit *audit, const ps_audit_event *event)
{
    ps_mutex_require_held(&audit->lock);
    PS_REQUIRE(event->outcome <= PS_AUDIT_BEGUN);
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

/* Locked. errno. */
static int write_line(ps_audit *audit, const ps_audit_event *event)
{
    ps_mutex_require_held(&audit->lock);
    ps_buf line = PS_BUF_EMPTY;
    turn_when_full(audit, LINE_ROOM);
    build_line(audit, event, &line);
    int error = append(audit, &line);
    if (!error)
        remember_part(audit, event);
    ps_buf_free(&line);
    return error;
}

void ps_audit_write(ps_audit *audit, const ps_audit_event *event)
{
    if (!audit)
        return;
    ps_mutex_lock(&audit->lock);
    report_suppressed(audit, false);
    if (known_part(audit, event)) {
        /* nothing */
    } else if (may_write(audit, event)) {
        (void)write_line(audit, event);
    } else {
        audit->unreported++;
        audit->stats.suppressed++;
    }
    ps_mutex_unlock(&audit->lock);
}

/* On the disk, or errno. */
static int write_through(ps_audit *audit, const ps_audit_event *event)
{
    int file = -1, error = 0;
    ps_mutex_lock(&audit->lock);
    report_suppressed(audit, false);
    bool known = known_part(audit, event);
    if (!known && !(error = write_line(audit, event)))
        file = ps_audit_file_again(audit->file);
    ps_mutex_unlock(&audit->lock);
    return known || error ? error : ps_audit_file_sync(file);
}

static bool is_full(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

ps_status ps_audit_require(ps_audit *audit, const ps_audit_event *event)
{
    if (!audit)
        return PS_OK;
    ps_loop_require_off();
    int error = write_through(audit, event);
    if (is_full(error) && audit->give_up && audit->give_up(audit->give_up_user))
        error = write_through(audit, event);
    if (!error || !audit->refuse)
        return PS_OK;
    return ps_fail(PS_UNAVAILABLE,
                   "nothing was done, because it cannot be put on record: audit log %s: %s; make "
                   "that good and ask again (audit.on_failure: refuse)",
                   audit->path, error == EAGAIN ? "nobody reads it" : strerror(error));
}

/* ---- from time to time ---- */

/* Without the lock: the disk may take its time. */
static void bring_to_disk(ps_audit *audit, int file)
{
    int error = file < 0 ? 0 : ps_audit_file_sync(file);
    if (error && !audit->sync_failing)
        ps_log_error("audit", "%s does not reach the disk: %s", audit->path, strerror(error));
    audit->sync_failing = error != 0;
}

void ps_audit_tick(ps_audit *audit)
{
    if (!audit)
        return;
    ps_mutex_lock(&audit->lock);
    report_suppressed(audit, false);
    int retired = audit->retired;
    int file = audit->unsynced ? ps_audit_file_again(audit->file) : -1;
    bool untidy = audit->untidy;
    audit->retired = -1;
    audit->unsynced = audit->untidy = false;
    ps_mutex_unlock(&audit->lock);
    bring_to_disk(audit, retired);
    bring_to_disk(audit, file);
    if (untidy)
        ps_audit_file_tidy(audit->path, audit->keep);
}

ps_status ps_audit_reopen(ps_audit *audit)
{
    ps_mutex_lock(&audit->lock);
    ps_status st = ps_audit_file_reopen(audit->file);
    audit->failing = audit->failing && st;
    ps_mutex_unlock(&audit->lock);
    return st;
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
    ps_audit_head head = *ps_audit_file_head(audit->file);
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
    if (a->retired >= 0)
        (void)close(a->retired);
    ps_audit_file_close(&a->file);
    ps_mutex_destroy(&a->lock);
    ps_free(&a->path);
    ps_free(audit);
}
