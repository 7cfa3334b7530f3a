/* Happy path: a line is made on the caller's stack and put into the queue (log_queue.h). Without a
 * queue, in psctl and in tests, it is written at once, and may wait. */
#include "common/base/log.h"

#include "common/base/log_queue.h"
#include "common/base/mem.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_BYTES (1u << 20) /* some seven thousand lines */

int ps_log_threshold = PS_LOG_INFO;
static _Atomic(ps_log_queue *) queue; /* NULL until ps_log_start */
static void (*sink_fn)(void *state, ps_log_level level, const char *line);
static void *sink_state;

static const struct {
    const char *name;
    ps_log_level level;
} levels[] = {
    {"error", PS_LOG_ERROR}, {"warning", PS_LOG_WARNING}, {"notice", PS_LOG_NOTICE},
    {"info", PS_LOG_INFO},   {"debug", PS_LOG_DEBUG},     {"trace", PS_LOG_TRACE},
};

void ps_log_set_level(ps_log_level level)
{
    __atomic_store_n(&ps_log_threshold, (int)level, __ATOMIC_RELAXED);
}

ps_log_level ps_log_get_level(void)
{
    return (ps_log_level)__atomic_load_n(&ps_log_threshold, __ATOMIC_RELAXED);
}

ps_status ps_log_level_parse(const char *text, ps_log_level *out)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(text, levels[i].name) == 0) {
            *out = levels[i].level;
            return PS_OK;
        }
    }
    return ps_fail(PS_INVALID_ARGUMENT,
                   "log level '%s': one of error, warning, notice, info, debug, trace", text);
}

void ps_log_set_sink(void (*sink)(void *, ps_log_level, const char *), void *state)
{
    sink_fn = sink;
    sink_state = state;
}

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the stream it gave us */
static bool journal_reads_stderr(void)
{
    static atomic_int known = -1;
    int answer = atomic_load(&known);
    if (answer >= 0)
        return answer;
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat s;
    char mine[64] = "";
    if (stream && fstat(STDERR_FILENO, &s) == 0)
        (void)snprintf(mine, sizeof mine, "%lu:%lu", (unsigned long)s.st_dev,
                       (unsigned long)s.st_ino);
    answer = stream && strcmp(stream, mine) == 0;
    atomic_store(&known, answer);
    return answer;
}

static int prefix(char *line, size_t size, ps_log_level level)
{
    if (journal_reads_stderr())
        return snprintf(line, size, "<%d>", (int)(level < PS_LOG_DEBUG ? level : PS_LOG_DEBUG));
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    const char *name = "";
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (levels[i].level == level)
            name = levels[i].name;
    return snprintf(line, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %-7s ", utc.tm_year + 1900,
                    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                    now.tv_nsec / 1000000, name);
}

static void write_now(const char *line, size_t len)
{
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* nowhere left to report it */
}

/* The line with its newline; its length. */
static size_t format_line(char line[PS_LOG_LINE_MAX], ps_log_level level, const char *tag,
                          const char *format, va_list args)
{
    size_t room = PS_LOG_LINE_MAX - 1; /* for the newline */
    size_t text = sink_fn ? 0 : (size_t)prefix(line, room, level);
    size_t at = text + (size_t)snprintf(line + text, room - text, "%s: ", tag);
    (void)vsnprintf(line + at, room - at, format, args);
    ps_text_clean(line + text);
    size_t len = strlen(line);
    line[len++] = '\n';
    return len;
}

void ps_log(ps_log_level level, const char *tag, const char *format, ...)
{
    if ((int)level > __atomic_load_n(&ps_log_threshold, __ATOMIC_RELAXED))
        return;
    char line[PS_LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    size_t len = format_line(line, level, tag, format, args);
    va_end(args);
    ps_log_queue *q = atomic_load(&queue);
    if (sink_fn) {
        line[len - 1] = 0;
        sink_fn(sink_state, level, line);
    } else if (q) {
        ps_log_queue_put(q, level <= PS_LOG_WARNING, line, len);
    } else {
        write_now(line, len);
    }
}

static size_t dropped_line(char line[PS_LOG_LINE_MAX], uint64_t count)
{
    size_t at = (size_t)prefix(line, PS_LOG_LINE_MAX, PS_LOG_WARNING);
    return at + (size_t)snprintf(
                    line + at, PS_LOG_LINE_MAX - at,
                    "log: lines dropped here, they were not read in time count=%" PRIu64 "\n",
                    count);
}

/* The thread stays with the parent, and the lock may have been held by another one. */
static void forget_queue(void)
{
    atomic_store(&queue, NULL);
}

ps_status ps_log_start(void)
{
    ps_log_queue *made = NULL;
    ps_status st = ps_log_queue_create(STDERR_FILENO, QUEUE_BYTES, dropped_line, &made);
    if (st)
        return st;
    (void)pthread_atfork(NULL, NULL, forget_queue);
    atomic_store(&queue, made);
    return PS_OK;
}

void ps_log_flush(void)
{
    ps_log_queue *q = atomic_load(&queue);
    if (q)
        ps_log_queue_flush(q, PS_LOG_FLUSH_MS);
}

uint64_t ps_log_dropped(void)
{
    ps_log_queue *q = atomic_load(&queue);
    return q ? ps_log_queue_dropped(q) : 0;
}
