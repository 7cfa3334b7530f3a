/* Happy path: put copies a record (its head, then the line) behind the last one of a ring and wakes
 * the thread, which copies the first one out, lets go of the lock, and writes it.
 *
 * How it can fail: no room: the line is counted, and the next record that finds room carries the
 * count; if none comes, the thread finds the count when the ring is empty. The descriptor refuses
 * (reader gone, disk full): the line counts as dropped, and the thread says so before the next one
 * that it can write. */
#include "common/base/log_queue.h"

#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct record {
    size_t len;
    uint64_t dropped; /* lines between the record before and this one */
} record;

struct ps_log_queue {
    int fd;
    ps_log_dropped_line dropped_line;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t more, written;
    char *ring;
    size_t size, first, used; /* bytes */
    uint64_t dropped_now;     /* behind the last record */
    uint64_t dropped_all;
    bool dropping; /* until half of the ring is free */
    bool idle;     /* the thread has nothing to write */
    bool ending, abandoned;

    /* the thread's own */
    uint64_t unsaid; /* dropped, and no line has said so */
    bool cut;        /* the last write ended within a line */
};

/* ---- the ring, locked ---- */

static void copy_in(ps_log_queue *q, const void *from, size_t len)
{
    size_t at = (q->first + q->used) % q->size;
    size_t head = len < q->size - at ? len : q->size - at;
    memcpy(q->ring + at, from, head);
    memcpy(q->ring, (const char *)from + head, len - head);
    q->used += len;
}

static void copy_out(ps_log_queue *q, void *to, size_t len)
{
    size_t head = len < q->size - q->first ? len : q->size - q->first;
    memcpy(to, q->ring + q->first, head);
    memcpy((char *)to + head, q->ring, len - head);
    q->first = (q->first + len) % q->size;
    q->used -= len;
}

static bool has_room(const ps_log_queue *q, bool urgent, size_t bytes)
{
    size_t most = urgent ? q->size : q->dropping ? q->size / 2 : q->size - q->size / 4;
    return q->used + bytes <= most;
}

void ps_log_queue_put(ps_log_queue *q, bool urgent, const char *line, size_t len)
{
    pthread_mutex_lock(&q->lock);
    record r = {.len = len, .dropped = q->dropped_now};
    if (has_room(q, urgent, sizeof r + len)) {
        copy_in(q, &r, sizeof r);
        copy_in(q, line, len);
        q->dropped_now = 0;
        q->dropping = q->dropping && urgent;
        q->idle = false;
        pthread_cond_signal(&q->more);
    } else {
        q->dropping = true;
        q->dropped_now++;
        q->dropped_all++;
    }
    pthread_mutex_unlock(&q->lock);
}

/* ---- the thread ---- */

/* Waits as long as the descriptor does. False: it takes no more. */
static bool write_all(ps_log_queue *q, const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(q->fd, text, len);
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) { /* somebody else made it non-blocking */
            (void)poll(&(struct pollfd){.fd = q->fd, .events = POLLOUT}, 1, -1);
        } else if (n == 0 || errno != EINTR) {
            return false;
        }
        q->cut = len > 0 && (n > 0 || q->cut);
    }
    return true;
}

/* A line that was cut short (a full disk) ends before the next one starts. */
static bool write_line(ps_log_queue *q, const char *line, size_t len)
{
    return (!q->cut || write_all(q, "\n", 1)) && write_all(q, line, len);
}

static bool say_dropped(ps_log_queue *q)
{
    char line[PS_LOG_LINE_MAX];
    if (q->unsaid && !write_line(q, line, q->dropped_line(line, q->unsaid)))
        return false;
    q->unsaid = 0;
    return true;
}

/* Locked; the next line, or only a count. False: nothing is left, and the queue ends. */
static bool take(ps_log_queue *q, char line[PS_LOG_LINE_MAX], size_t *len)
{
    while (!q->used && !q->dropped_now) {
        q->idle = true;
        pthread_cond_broadcast(&q->written);
        if (q->ending)
            return false;
        pthread_cond_wait(&q->more, &q->lock);
    }
    record r = {.dropped = q->dropped_now};
    if (q->used)
        copy_out(q, &r, sizeof r);
    else
        q->dropped_now = 0;
    copy_out(q, line, r.len);
    *len = r.len;
    q->unsaid += r.dropped;
    return true;
}

static void destroy(ps_log_queue *q)
{
    pthread_cond_destroy(&q->more);
    pthread_cond_destroy(&q->written);
    pthread_mutex_destroy(&q->lock);
    ps_free(&q->ring);
    ps_free(&q);
}

static void *write_lines(void *user)
{
    ps_log_queue *q = user;
    char line[PS_LOG_LINE_MAX];
    size_t len = 0;
    (void)pthread_setname_np(pthread_self(), "log"); /* for top -H, and for tests */
    pthread_mutex_lock(&q->lock);
    while (!q->abandoned && take(q, line, &len)) {
        pthread_mutex_unlock(&q->lock);
        bool ok = say_dropped(q) && write_line(q, line, len);
        pthread_mutex_lock(&q->lock);
        if (!ok && len) {
            q->unsaid++;
            q->dropped_all++;
        }
    }
    bool abandoned = q->abandoned;
    pthread_mutex_unlock(&q->lock);
    if (abandoned)
        destroy(q);
    return NULL;
}

/* ---- making, ending ---- */

ps_status ps_log_queue_create(int fd, size_t room, ps_log_dropped_line dropped, ps_log_queue **out)
{
    ps_log_queue *q = ps_new(ps_log_queue);
    pthread_cond_init(&q->more, NULL);
    ps_condition_init(&q->written);
    pthread_mutex_init(&q->lock, NULL);
    q->fd = fd;
    q->dropped_line = dropped;
    q->ring = ps_alloc(room);
    q->size = room;
    q->idle = true;
    int rc = ps_thread_start(&q->thread, write_lines, q);
    if (rc) {
        destroy(q);
        return ps_fail_errno(rc, "the log's thread");
    }
    *out = q;
    return PS_OK;
}

/* Locked; false: it took longer. */
static bool wait_idle(ps_log_queue *q, unsigned most_ms)
{
    const struct timespec until = ps_condition_in_ms(most_ms);
    int rc = 0;
    while (!q->idle && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&q->written, &q->lock, &until);
    return q->idle;
}

void ps_log_queue_flush(ps_log_queue *q, unsigned most_ms)
{
    pthread_mutex_lock(&q->lock);
    (void)wait_idle(q, most_ms);
    pthread_mutex_unlock(&q->lock);
}

uint64_t ps_log_queue_dropped(ps_log_queue *q)
{
    pthread_mutex_lock(&q->lock);
    uint64_t dropped = q->dropped_all;
    pthread_mutex_unlock(&q->lock);
    return dropped;
}

void ps_log_queue_free(ps_log_queue **pointer, unsigned most_ms)
{
    ps_log_queue *q = *pointer;
    *pointer = NULL;
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    q->ending = true;
    pthread_cond_signal(&q->more);
    q->abandoned = !wait_idle(q, most_ms);
    if (q->abandoned)
        pthread_detach(q->thread);
    bool left = q->abandoned;
    pthread_mutex_unlock(&q->lock);
    if (left)
        return;
    pthread_join(q->thread, NULL);
    destroy(q);
}
