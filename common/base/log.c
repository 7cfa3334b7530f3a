#include "common/base/log.h"

#include "common/base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static atomic_int threshold = PS_LOG_INFO;
static void (*sink_fn)(void *state, ps_log_level level, const char *line);
static void *sink_state;

static const struct {
    const char *name;
    ps_log_level level;
} levels[] = {
    {"error", PS_LOG_ERROR}, {"warning", PS_LOG_WARNING}, {"notice", PS_LOG_NOTICE},
    {"info", PS_LOG_INFO},   {"debug", PS_LOG_DEBUG},
};

void ps_log_set_level(ps_log_level level)
{
    atomic_store(&threshold, (int)level);
}

ps_log_level ps_log_get_level(void)
{
    return (ps_log_level)atomic_load(&threshold);
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
                   "log level '%s': one of error, warning, notice, info, debug", text);
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
        return snprintf(line, size, "<%d>", (int)level);
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

static void replace_controls(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

void ps_log(ps_log_level level, const char *tag, const char *format, ...)
{
    if ((int)level > atomic_load(&threshold))
        return;
    char line[LINE_MAX_BYTES];
    size_t room = sizeof line - 1; /* for the newline */
    size_t at = sink_fn ? 0 : (size_t)prefix(line, room, level);
    size_t text = at;
    at += (size_t)snprintf(line + at, room - at, "%s: ", tag);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line + at, room - at, format, args);
    va_end(args);
    replace_controls(line + text);
    if (sink_fn) {
        sink_fn(sink_state, level, line);
        return;
    }
    size_t len = strlen(line);
    line[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* nowhere left to report it */
}
