/* log_queue: lines on their way to a descriptor that may stand still (a pipe nobody reads, a
 * terminal that was stopped with ^S, a journal that restarts).
 *
 * Whoever logs copies the line into a bounded queue and goes on; a thread of the queue's own
 * writes, a line with one write(2), and is the only one that ever waits. The descriptor is never
 * made non-blocking: its open file may be the shell's, too. What finds no room is dropped and
 * counted, and where it would have stood the queue writes one line that says so. Lines that are
 * written keep their order.
 *
 * A quarter of the room is for urgent lines, so that an error still comes through behind a flood of
 * others. Once lines had to be dropped, the others wait until the queue is half empty: a slow
 * reader gets stretches of log, not every tenth line.
 *
 * Any thread; not in a signal's handler. After fork only the parent's queue is written.
 */
#ifndef PS_BASE_LOG_QUEUE_H
#define PS_BASE_LOG_QUEUE_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

#define PS_LOG_LINE_MAX 2048

typedef struct ps_log_queue ps_log_queue;

/* Writes the line that says how many were dropped, with its newline, and returns its length. */
typedef size_t (*ps_log_dropped_line)(char line[PS_LOG_LINE_MAX], uint64_t count);

/* room: bytes for lines, at least 4 * PS_LOG_LINE_MAX. The descriptor stays the caller's. */
PS_MUST_CHECK ps_status ps_log_queue_create(int fd, size_t room, ps_log_dropped_line dropped,
                                            ps_log_queue **out);
/* line: with its newline, at most PS_LOG_LINE_MAX bytes. */
void ps_log_queue_put(ps_log_queue *queue, bool urgent, const char *line, size_t len);
/* Waits until all that was put is written, at most so long. */
void ps_log_queue_flush(ps_log_queue *queue, unsigned most_ms);
uint64_t ps_log_queue_dropped(ps_log_queue *queue); /* so far */
/* Writes what is left, at most so long. A thread that stands in write(2) even then is left to
 * itself and frees the queue when it comes back. NULL is allowed. */
void ps_log_queue_free(ps_log_queue **queue, unsigned most_ms);

#endif
