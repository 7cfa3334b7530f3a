/* audit: events into JSON lines.
 *
 * Happy path: the source's bucket has a token, the line is built and appended with one write(2)
 * under the lock. A line that must be on the disk is waited for without it. */
#include "server/guard/audit.h"

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/text.h"
#include "common/json/json.h"
#include "common/loop/loop.h"
#include "common/security/audit_anchor.h"
#include "server/guard/audit_file.h"
#include "server/guard/audit_forward.h"
#include "server/guard/audit_sources.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REPORT_EVERY_NS (10ull * 1000000000ull)
#define LINE_ROOM       1024 /* a line has mostly less */

struct ps_audit {
    ps_mutex lock; /* guards all below */
    ps_audit_file *file;
    char *path;
    const ps_clock *clock;
    unsigned keep;
    bool refuse;
    bool (*give_up)(void *user);
    void *give_up_user;
    ps_audit_sources *sources;
    uint64_t suppressed, lost; /* lines, since the last one that said so */
    uint64_t reported_ns;
    bool failing;        /* the log knows */
    bool unsynced;       /* something was written since the last tick */
    bool untidy;         /* a file has got full */
    ps_tls_context *own; /* whose key signs; NULL: none */
    uint64_t anchor_ms, anchored_ns;
    char time[PS_CLOCK_TEXT];   /* of the line that is being made */
    char shown[PS_DIGEST_TEXT]; /* this file has the certificate of this signer */
    bool unsigned_;             /* the log knows */
    int retired; /* the full file, until the tick has brought it to the disk; -1: none */
    ps_audit_stats stats;

    ps_tls_holder *tls;
    ps_audit_forward *forward; /* NULL: nowhere */

    bool sync_failing; /* the tick's own: the log knows */
};

ps_status ps_audit_open(const ps_audit_conf *conf, ps_audit **out)
{
    ps_audit_file *file = NULL;
    ps_audit_forward *forward = NULL;
    ps_status st = ps_audit_file_open(conf->path, conf->size, &file);
    if (!st && conf->forward && *conf->forward)
        st = ps_audit_forward_new(conf->forward, &forward);
    if (st) {
        ps_audit_file_close(&file);
        return st;
    }
    ps_audit *audit = ps_new(ps_audit);
    ps_mutex_init(&audit->lock);
    audit->file = file;
    audit->path = ps_strdup(conf->path);
    audit->clock = conf->clock;
    audit->keep = conf->keep;
    audit->refuse = conf->refuse;
    audit->retired = -1;
    audit->tls = conf->tls;
    audit->forward = forward;
    audit->anchor_ms = conf->anchor_ms;
    audit->sources = ps_audit_sources_new(conf->clock);
    audit->reported_ns = ps_clock_ns(audit->clock);
    *out = audit;
    return PS_OK;
}

void ps_audit_set_make_room(ps_audit *audit, bool (*give_up)(void *user), void *user)
{
    audit->give_up = give_up;
    audit->give_up_user = user;
}

/* Locked. A line begins, at the time that is in audit->time then. */
static ps_json_writer begin_line(ps_audit *audit, ps_buf *line)
{
    ps_mutex_require_held(&audit->lock);
    ps_json_writer w = ps_json_writer_to(line);
    ps_json_object(&w);
    ps_json_put_string(&w, "time", ps_clock_text(ps_clock_wall_ms(audit->clock), audit->time));
    return w;
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

/* Locked. Which goes elsewhere, too. */
static void send_on(ps_audit *audit, const ps_buf *line, ps_audit_forwarded what)
{
    ps_mutex_require_held(&audit->lock);
    what.line = ps_slice_of(line->data, line->len - 1);
    what.seq = ps_audit_file_head(audit->file)->seq;
    what.time = audit->time;
    ps_audit_forward_put(audit->forward, &what);
}

/* Locked. errno. */
static int append(ps_audit *audit, const ps_buf *line, const ps_audit_forwarded *what)
{
    ps_mutex_require_held(&audit->lock);
    int error = ps_audit_file_append(audit->file, line);
    if (error && !audit->failing)
        ps_log_error("audit", "cannot write to %s: %s; refusals and actions go unrecorded",
                     audit->path, error == EAGAIN ? "nobody reads it" : strerror(error));
    audit->failing = error != 0;
    audit->unsynced = true;
    if (error) {
        audit->stats.failed++;
        return error;
    }
    audit->stats.written++;
    if (audit->forward)
        send_on(audit, line, *what);
    return 0;
}

/* Locked. A line that cannot be made is tried again with the next reason for one. */
static ps_status append_anchor(ps_audit *audit, const ps_anchor_signer *signer)
{
    ps_buf line = PS_BUF_EMPTY;
    ps_json_writer w = begin_line(audit, &line);
    char id[PS_DIGEST_TEXT];
    ps_anchor_signer_id(signer, id);
    const bool show = strcmp(id, audit->shown) != 0;
    const ps_audit_head *head = ps_audit_file_head(audit->file);
    ps_status st = ps_anchor_write(signer, audit->time, head, show, &w);
    if (!st) {
        end_line(audit, &w, &line);
        if (!append(audit, &line, &(ps_audit_forwarded){.event = "anchor"})) {
            audit->stats.anchored = head->seq;
            memcpy(audit->shown, id, sizeof audit->shown);
        }
    }
    ps_buf_free(&line);
    return st;
}

/* Locked. Where the log goes, psd cannot change it: psctl audit verify --head holds the lines
 * against what it says. */
static void anchor(ps_audit *audit, ps_log_level level)
{
    ps_mutex_require_held(&audit->lock);
    const ps_audit_head *head = ps_audit_file_head(audit->file);
    if (!audit->own || !head->seq || head->seq == audit->stats.anchored)
        return;
    ps_error callers;
    ps_error_save(&callers, PS_INTERNAL);
    ps_anchor_signer signer;
    signer.key = ps_tls_context_own(audit->own, &signer.certificate, &signer.above);
    ps_status st = append_anchor(audit, &signer);
    if (st && !audit->unsigned_)
        ps_log_error("audit", "no anchor: %s", ps_error_message());
    audit->unsigned_ = st != PS_OK;
    (void)!ps_error_raise(&callers);
    audit->anchored_ns = ps_clock_ns(audit->clock);
    char text[PS_AUDIT_HEAD_TEXT];
    ps_audit_head_text(head, text);
    ps_log(level, "audit", "head=%s", text);
}

/* Locked. The full one is brought to the disk by the next tick. */
static void turn_when_full(ps_audit *audit, size_t bytes)
{
    ps_mutex_require_held(&audit->lock);
    if (!ps_audit_file_is_full(audit->file, bytes))
        return;
    anchor(audit, PS_LOG_NOTICE);
    int full = ps_audit_file_again(audit->file);
    bool turned = ps_audit_file_turn(audit->file);
    int done = turned ? audit->retired : full;
    if (turned) {
        audit->retired = full;
        *audit->shown = 0;
    }
    audit->untidy = audit->untidy || turned;
    if (done >= 0)
        (void)close(done);
}

/* Locked. *count lines that are none, in one; it stays where that cannot be written. */
static void report(ps_audit *audit, const char *event, uint64_t *count, const char *reason)
{
    ps_mutex_require_held(&audit->lock);
    if (!*count)
        return;
    ps_buf line = PS_BUF_EMPTY;
    ps_json_writer w = begin_line(audit, &line);
    ps_json_put_string(&w, "event", event);
    ps_json_put_uint(&w, "count", *count);
    ps_json_put_string(&w, "reason", reason);
    end_line(audit, &w, &line);
    if (!append(audit, &line, &(ps_audit_forwarded){.event = event, .warning = true}))
        *count = 0;
    ps_buf_free(&line);
}

/* Locked. `now` or later: closing does not wait. */
static void report_missing(ps_audit *audit, bool now)
{
    ps_mutex_require_held(&audit->lock);
    uint64_t t = ps_clock_ns(audit->clock);
    if (!now && t - audit->reported_ns < REPORT_EVERY_NS)
        return;
    if (audit->suppressed || audit->lost)
        audit->reported_ns = t;
    report(audit, "suppressed", &audit->suppressed, "too many lines of the same source");
    report(audit, "lost", &audit->lost, "they could not be written");
}

/* Locked. errno. */
static int write_line(ps_audit *audit, const ps_audit_event *e)
{
    ps_mutex_require_held(&audit->lock);
    static const char *const outcomes[] = {"allowed", "refused", "failed", "begun"};
    char identity[PS_IDENTITY_TEXT_MAX];
    const ps_audit_forwarded what = {
        .event = e->event,
        .outcome = outcomes[e->outcome],
        .identity = e->identity ? ps_identity_format(e->identity, identity) : NULL,
        .call = e->call,
        .address = e->address,
        .warning = e->outcome == PS_AUDIT_REFUSED || e->outcome == PS_AUDIT_FAILED};
    ps_buf line = PS_BUF_EMPTY;
    turn_when_full(audit, LINE_ROOM);
    ps_json_writer w = begin_line(audit, &line);
    put_text(&w, "event", what.event);
    put_text(&w, "address", what.address);
    put_text(&w, "identity", what.identity);
    put_text(&w, "call", what.call);
    ps_json_put_string(&w, "outcome", what.outcome);
    put_text(&w, "reason", e->reason);
    end_line(audit, &w, &line);
    int error = append(audit, &line, &what);
    audit->lost += error != 0;
    ps_buf_free(&line);
    return error;
}

void ps_audit_write(ps_audit *audit, const ps_audit_event *event)
{
    if (!audit)
        return;
    ps_mutex_lock(&audit->lock);
    report_missing(audit, false);
    if (ps_audit_sources_knows(audit->sources, event)) {
        /* nothing */
    } else if (!ps_audit_sources_take(audit->sources, event)) {
        audit->suppressed++;
        audit->stats.suppressed++;
    } else if (!write_line(audit, event)) {
        ps_audit_sources_remember(audit->sources, event);
    }
    ps_mutex_unlock(&audit->lock);
}

/* On the disk, or errno. */
static int write_through(ps_audit *audit, const ps_audit_event *event)
{
    int file = -1, error = 0;
    ps_mutex_lock(&audit->lock);
    report_missing(audit, false);
    const bool known = ps_audit_sources_knows(audit->sources, event);
    if (!known && !(error = write_line(audit, event)))
        file = ps_audit_file_again(audit->file);
    ps_mutex_unlock(&audit->lock);
    if (known || error || (error = ps_audit_file_sync(file)))
        return error;
    ps_mutex_lock(&audit->lock);
    ps_audit_sources_remember(audit->sources, event);
    ps_mutex_unlock(&audit->lock);
    return 0;
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

/* Without the lock: certificates may have been renewed since. */
static void take_signer(ps_audit *audit)
{
    if (!audit->tls)
        return;
    ps_tls_context *now = ps_tls_holder_get(audit->tls);
    ps_mutex_lock(&audit->lock);
    ps_tls_context *before = audit->own;
    audit->own = now;
    ps_mutex_unlock(&audit->lock);
    ps_tls_context_unref(&before);
}

void ps_audit_anchor(ps_audit *audit)
{
    take_signer(audit);
    ps_mutex_lock(&audit->lock);
    report_missing(audit, true);
    anchor(audit, PS_LOG_NOTICE);
    ps_mutex_unlock(&audit->lock);
}

/* Locked. */
static bool anchor_is_due(const ps_audit *audit)
{
    ps_mutex_require_held(&audit->lock);
    uint64_t since = ps_clock_ns(audit->clock) - audit->anchored_ns;
    return audit->anchor_ms && since >= audit->anchor_ms * 1000000;
}

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
    take_signer(audit);
    ps_mutex_lock(&audit->lock);
    report_missing(audit, false);
    if (anchor_is_due(audit))
        anchor(audit, PS_LOG_INFO);
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
    *audit->shown = 0;
    ps_mutex_unlock(&audit->lock);
    return st;
}

void ps_audit_get_stats(ps_audit *audit, ps_audit_stats *out)
{
    ps_mutex_lock(&audit->lock);
    *out = audit->stats;
    ps_audit_forward_count(audit->forward, &out->forwarded, &out->forward_lost);
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
    report_missing(a, true);
    ps_mutex_unlock(&a->lock);
    if (a->retired >= 0)
        (void)close(a->retired);
    ps_audit_forward_free(&a->forward);
    ps_audit_file_close(&a->file);
    ps_audit_sources_free(&a->sources);
    ps_tls_context_unref(&a->own);
    ps_mutex_destroy(&a->lock);
    ps_free(&a->path);
    ps_free(audit);
}
