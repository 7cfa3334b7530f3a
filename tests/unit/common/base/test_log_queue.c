/* log_queue: the reader is a pipe of the test's own, which it reads, or does not. */
#include "common/base/log_queue.h"

#include "common/base/log.h"
#include "tests/lib/check_main.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOM = 64 << 10, SOON_MS = 5000 };

static size_t dropped_line(char line[PS_LOG_LINE_MAX], uint64_t count)
{
    return (size_t)snprintf(line, PS_LOG_LINE_MAX, "dropped %" PRIu64 "\n", count);
}

typedef struct reader {
    int read, write;
    FILE *lines;
    ps_log_queue *queue;
} reader;

static reader begin(void)
{
    int ends[2];
    reader r;
    ck_assert_int_eq(pipe(ends), 0);
    r.read = ends[0];
    r.write = ends[1];
    ck_assert_int_eq(fcntl(r.write, F_SETPIPE_SZ, 4096), 4096); /* less than half of the queue */
    r.lines = fdopen(r.read, "r");
    ck_ok(ps_log_queue_create(r.write, ROOM, dropped_line, &r.queue));
    return r;
}

static void put(ps_log_queue *queue, bool urgent, const char *word, unsigned number)
{
    char line[PS_LOG_LINE_MAX];
    int len = snprintf(line, sizeof line, "%s %u\n", word, number);
    ps_log_queue_put(queue, urgent, line, (size_t)len);
}

static const char *next_line(reader *r)
{
    static char line[PS_LOG_LINE_MAX];
    ck_assert_ptr_nonnull(fgets(line, sizeof line, r->lines));
    line[strcspn(line, "\n")] = 0;
    return line;
}

/* The next line is "word number". */
static unsigned next_number(reader *r, char word[16])
{
    unsigned number = 0;
    const char *line = next_line(r);
    ck_assert_msg(sscanf(line, "%15s %u", word, &number) == 2, "%s", line);
    return number;
}

static void end(reader *r)
{
    ps_log_queue_free(&r->queue, SOON_MS);
    ck_assert_ptr_null(r->queue);
    close(r->write);
    char rest[2];
    ck_assert_ptr_null(fgets(rest, sizeof rest, r->lines));
    fclose(r->lines);
}

START_TEST(lines_come_out_whole_and_in_order)
{
    reader r = begin();
    for (unsigned i = 0; i < 1000; i++)
        put(r.queue, i % 7 == 0, "line", i);
    ps_log_queue_flush(r.queue, SOON_MS);
    for (unsigned i = 0; i < 1000; i++) {
        char word[16];
        ck_assert_uint_eq(next_number(&r, word), i);
    }
    ck_assert_uint_eq(ps_log_queue_dropped(r.queue), 0);
    end(&r);
}
END_TEST

/* Nobody reads 200000 lines; then somebody does. */
START_TEST(a_reader_that_stands_costs_lines_and_never_time)
{
    enum { LINES = 200000 };
    reader r = begin();
    for (unsigned i = 0; i < LINES; i++)
        put(r.queue, false, "line", i);
    put(r.queue, true, "error", 1);
    uint64_t dropped = ps_log_queue_dropped(r.queue);
    ck_assert_uint_gt(dropped, LINES / 2);
    char word[16];
    unsigned expected = 0;
    for (unsigned said = 0; expected < LINES;) {
        unsigned number = next_number(&r, word);
        if (strcmp(word, "dropped") == 0) {
            expected += number;
            said++;
        } else {
            ck_assert_str_eq(word, "line");
            ck_assert_uint_eq(number, expected++);
        }
        ck_assert_uint_le(said, 1); /* not a remark for every line */
    }
    ck_assert_uint_eq(next_number(&r, word), 1);
    ck_assert_str_eq(word, "error");
    put(r.queue, false, "line", LINES); /* half of it is free again */
    ck_assert_uint_eq(next_number(&r, word), LINES);
    ck_assert_uint_eq(ps_log_queue_dropped(r.queue), dropped);
    end(&r);
}
END_TEST

START_TEST(the_last_lines_dropped_are_said_though_nothing_follows)
{
    reader r = begin();
    for (unsigned i = 0; i < 50000; i++)
        put(r.queue, false, "line", i);
    uint64_t dropped = ps_log_queue_dropped(r.queue);
    ck_assert_uint_gt(dropped, 0);
    char word[16];
    uint64_t said = 0;
    while (said < dropped) {
        unsigned number = next_number(&r, word);
        said += strcmp(word, "dropped") == 0 ? number : 0;
    }
    end(&r);
}
END_TEST

START_TEST(flushing_and_freeing_wait_no_longer_than_they_are_told)
{
    reader r = begin();
    for (unsigned i = 0; i < 50000; i++)
        put(r.queue, false, "line", i);
    ps_log_queue_flush(r.queue, 20);
    ps_log_queue_free(&r.queue, 20); /* its thread stands in write(2) */
    ck_assert_ptr_null(r.queue);
    fclose(r.lines); /* it comes back with EPIPE, and frees */
    ps_log_queue_free(&r.queue, 20);
}
END_TEST

START_TEST(a_descriptor_that_others_made_non_blocking_loses_nothing)
{
    reader r = begin();

    ck_assert_int_eq(fcntl(r.write, F_SETFL, O_NONBLOCK), 0);
    for (unsigned i = 0; i < 1500; i++)
        put(r.queue, false, "line", i);
    for (unsigned i = 0; i < 1500; i++) {
        char word[16];
        ck_assert_uint_eq(next_number(&r, word), i);
    }
    end(&r);
}
END_TEST

/* A limit on the size of files stands for the disk; the line that it cut is ended. */
START_TEST(a_full_disk_is_said_once_there_is_room)
{
    FILE *file = tmpfile();
    ps_log_queue *queue = NULL;
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit full = {.rlim_cur = 10, .rlim_max = limit.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_ok(ps_log_queue_create(fileno(file), ROOM, dropped_line, &queue));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &full), 0);
    for (unsigned i = 0; i < 3; i++)
        put(queue, false, "line", i); /* 7 bytes each: one, a part of one, none */
    ps_log_queue_flush(queue, SOON_MS);
    ck_assert_uint_eq(ps_log_queue_dropped(queue), 2);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    put(queue, false, "line", 3);
    ps_log_queue_free(&queue, SOON_MS);
    char text[64] = "";
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    ck_assert_str_eq(text, "line 0\nlin\ndropped 2\nline 3\n");
    fclose(file);
}
END_TEST

enum { WRITERS = 4, EACH = 300 };

typedef struct writer {
    ps_log_queue *queue;
    unsigned number;
} writer;

static void *write_many(void *user)
{
    const writer *w = user;
    for (unsigned i = 0; i < EACH; i++)
        put(w->queue, false, "line", w->number * EACH + i);
    return NULL;
}

START_TEST(each_thread_keeps_its_order)
{
    reader r = begin();
    pthread_t threads[WRITERS];
    writer writers[WRITERS];
    unsigned next[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.queue = r.queue, .number = i};
        next[i] = i * EACH;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS * EACH; i++) {
        char word[16];
        unsigned number = next_number(&r, word);
        ck_assert_uint_eq(number, next[number / EACH]++);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    end(&r);
}
END_TEST

/* The log itself, into a pipe in the place of standard error. */
START_TEST(a_forked_child_logs_without_the_parents_thread)
{
    int ends[2];
    char text[1024];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    ck_ok(ps_log_start());
    ps_log_info("test", "of the parent");
    ps_log_flush();
    pid_t child = fork();
    if (child == 0) {
        ps_log_info("test", "of the child");
        ps_log_flush();
        _exit(ps_log_dropped() != 0);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    ck_assert_int_gt(n, 0);
    text[n] = 0;
    const char *first = strstr(text, "info    test: of the parent\n");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(strstr(first, "info    test: of the child\n"));
}
END_TEST

static const ps_check_case tests[] = {
    {&lines_come_out_whole_and_in_order},
    {&a_reader_that_stands_costs_lines_and_never_time},
    {&the_last_lines_dropped_are_said_though_nothing_follows},
    {&flushing_and_freeing_wait_no_longer_than_they_are_told},
    {&a_descriptor_that_others_made_non_blocking_loses_nothing},
    {&a_full_disk_is_said_once_there_is_room},
    {&each_thread_keeps_its_order},
    {&a_forked_child_logs_without_the_parents_thread},
    {0},
};

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    return ps_check_main("common/base/log_queue", tests);
}
