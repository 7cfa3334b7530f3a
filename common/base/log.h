/* log: one line an event: `<6>tag: text key=value`, lower case, no full stop.
 *
 * To standard error. When systemd reads it (JOURNAL_STREAM names our stderr) each line starts with
 * its sd-daemon(3) priority and has no time of its own; otherwise it starts with the UTC time.
 * What is not fit to be shown (text.h) is replaced, so that a peer cannot forge lines. A line is
 * written with one write(2). Any thread; not in a signal's handler.
 *
 * In a daemon, after ps_log_start, ps_log never waits for whoever reads the log: lines are queued
 * (log_queue.h), and what finds no room is dropped, counted, and said where it would have stood.
 */
#ifndef PS_BASE_LOG_H
#define PS_BASE_LOG_H

#include "common/base/status.h"

#include <stdint.h>

typedef enum ps_log_level { /* syslog's numbers */
                            PS_LOG_ERROR = 3,
                            PS_LOG_WARNING = 4,
                            PS_LOG_NOTICE = 5,
                            PS_LOG_INFO = 6,
                            PS_LOG_DEBUG = 7,
                            PS_LOG_TRACE = 8, /* ours: to systemd it is a debug line */
} ps_log_level;

void ps_log_set_level(ps_log_level level); /* default PS_LOG_INFO */
ps_log_level ps_log_get_level(void);
/* "error", "warning", "notice", "info", "debug", "trace" */
PS_MUST_CHECK ps_status ps_log_level_parse(const char *text, ps_log_level *out);

/* From here on lines are queued and written by a thread of the log's own. Once, first thing in a
 * daemon; the queue is there until the process ends. */
PS_MUST_CHECK ps_status ps_log_start(void);
/* Before the process ends: waits until what was logged is written, at most PS_LOG_FLUSH_MS. */
#define PS_LOG_FLUSH_MS 1000
void ps_log_flush(void);
uint64_t ps_log_dropped(void); /* lines dropped since ps_log_start */

void ps_log(ps_log_level level, const char *tag, const char *format, ...) PS_PRINTF(3, 4);

#define ps_log_error(...)   ps_log(PS_LOG_ERROR, __VA_ARGS__)
#define ps_log_warning(...) ps_log(PS_LOG_WARNING, __VA_ARGS__)
#define ps_log_notice(...)  ps_log(PS_LOG_NOTICE, __VA_ARGS__)
#define ps_log_info(...)    ps_log(PS_LOG_INFO, __VA_ARGS__)
#define ps_log_debug(...)   ps_log(PS_LOG_DEBUG, __VA_ARGS__)

/* A hop of something on its way, so that it can be followed with grep from one end to the other:
 * `push: sent job=3 lease=7 sequence=12 …`. The first word says what happened; then, where there
 * are such, job, lease, client (a worker's incarnation), sequence, clock and version, and call,
 * which is one number for a call of gRPC in all lines of one process. Compiled in; one load when
 * the level is not "trace". */
extern int ps_log_threshold; /* log.c's */
#define ps_trace(...)                                                             \
    do {                                                                          \
        if (__atomic_load_n(&ps_log_threshold, __ATOMIC_RELAXED) >= PS_LOG_TRACE) \
            ps_log(PS_LOG_TRACE, __VA_ARGS__);                                    \
    } while (0)

/* Lines go to this function instead of standard error, without time and priority: for tests, and
 * for psctl, whose reader is a person. NULL restores. Before there are threads. */
void ps_log_set_sink(void (*sink)(void *state, ps_log_level level, const char *line), void *state);

#endif
