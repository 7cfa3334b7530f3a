#include "server/guard/audit.h"

#include "common/base/log.h"

#include "tests/lib/check_main.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull

static char path[64];
static ps_clock_virtual virtual_time;
static ps_clock now;

static ps_audit *open_new(void)
{
    (void)snprintf(path, sizeof path, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
    strcat(path, "/audit.log");
    now = ps_clock_virtual_table(&virtual_time);
    ps_audit *audit = NULL;
    ck_ok(ps_audit_open(&(ps_audit_conf){.path = path, .clock = &now}, &audit));
    return audit;
}

static void remove_all(void)
{
    char command[128];
    *strrchr(path, '/') = 0;
    (void)snprintf(command, sizeof command, "rm -r %s", path);
    ck_assert_int_eq(system(command), 0);
}

static size_t read_file(char *out, size_t size)
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    size_t n = fread(out, 1, size - 1, file);
    out[n] = 0;
    fclose(file);
    return n;
}

static int count_lines(void)
{
    static char text[1 << 20];
    read_file(text, sizeof text);
    int lines = 0;
    for (char *c = text; *c; c++)
        lines += *c == '\n';
    return lines;
}

/* Python's json module reads every line; prints the expression of each as d. */
static void python_says(const char *expression, const char *expected)
{
    char command[1024], out[8192];
    (void)snprintf(command, sizeof command,
                   "python3 -c 'import json,sys\n"
                   "for line in open(sys.argv[1]):\n d = json.loads(line)\n print(%s)' %s",
                   expression, path);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t n = fread(out, 1, sizeof out - 1, pipe);
    out[n] = 0;
    ck_assert_int_eq(pclose(pipe), 0);
    ck_assert_str_eq(out, expected);
}

static void refuse(ps_audit *audit, const char *address)
{
    ps_audit_write(audit, &(ps_audit_event){.event = "handshake",
                                            .address = address,
                                            .outcome = PS_AUDIT_REFUSED,
                                            .reason = "no certificate"});
}

static void read_part(ps_audit *audit, const char *address, const char *model)
{
    const ps_audit_event e = {.event = "call",
                              .address = address,
                              .call = "/psd.v1.Models/Export",
                              .reason = model,
                              .part = true};
    ps_audit_write(audit, &e);
}

START_TEST(of_what_is_read_in_parts_one_line_is_written)
{
    ps_audit *audit = open_new();
    for (int i = 0; i < 500; i++)
        read_part(audit, "192.0.2.7:1", "m");
    ck_assert_int_eq(count_lines(), 1);
    read_part(audit, "192.0.2.7:1", "other");
    read_part(audit, "192.0.2.7:2", "m"); /* another connection */
    ck_assert_int_eq(count_lines(), 3);
    virtual_time.now_ns += 601 * SECOND_NS;
    read_part(audit, "192.0.2.7:1", "m");
    ck_assert_int_eq(count_lines(), 4);
    ps_audit_stats stats;
    ps_audit_get_stats(audit, &stats);
    ck_assert_uint_eq(stats.suppressed, 0);
    ps_audit_close(&audit);
    remove_all();
}
END_TEST

START_TEST(an_event_is_one_line_of_json)
{
    ps_audit *audit = open_new();
    ps_identity eve;
    ck_ok(ps_identity_make("lab", PS_ROLE_OBSERVER, "eve", &eve));
    virtual_time.now_ns = 1234 * 1000000ull;
    ps_audit_write(audit, &(ps_audit_event){.event = "call",
                                            .address = "192.0.2.7:4711",
                                            .identity = &eve,
                                            .call = "/psd.v1.Jobs/Submit",
                                            .outcome = PS_AUDIT_REFUSED,
                                            .reason = "role"});
    ps_audit_write(audit, &(ps_audit_event){.event = "start"});
    ps_audit_close(&audit);
    char text[1024];
    read_file(text, sizeof text);
    char expected[1024];
    int64_t wall = ps_clock_wall_ms(&now);
    ck_assert_int_eq(wall % 1000, 234);
    (void)snprintf(expected, sizeof expected, "%s",
                   ".234Z\",\"event\":\"call\",\"address\":\"192.0.2.7:4711\",\"identity\":"
                   "\"spiffe://lab/observer/eve\",\"call\":\"/psd.v1.Jobs/Submit\","
                   "\"outcome\":\"refused\",\"reason\":\"role\",\"seq\":1,\"prev\":\"000000");
    ck_assert_msg(
        strncmp(text + strlen("{\"time\":\"1970-01-01T00:00:01"), expected, strlen(expected)) == 0,
        "%s", text);
    python_says("sorted(d)[:2], d[\"outcome\"]",
                "['address', 'call'] refused\n['event', 'outcome'] allowed\n");
    remove_all();
}
END_TEST

START_TEST(hostile_bytes_stay_inside_their_field)
{
    ps_audit *audit = open_new();
    const char *hostile = "\"}\n{\"event\":\"forged\"}\r\x1b[2J\x7f\xc2\x9b\xff\\";
    ps_audit_write(audit, &(ps_audit_event){.event = "call", .call = hostile, .reason = hostile});
    char *long_text = malloc(100000);
    memset(long_text, '\x01', 99999);
    long_text[99999] = 0;
    ps_audit_write(audit, &(ps_audit_event){.event = "call", .call = long_text});
    free(long_text);
    ps_audit_close(&audit);
    ck_assert_int_eq(count_lines(), 2);
    char text[16384];
    size_t n = read_file(text, sizeof text);
    ck_assert_uint_lt(n, 5000);
    for (size_t i = 0; i < n; i++)
        ck_assert(text[i] == '\n' || (unsigned char)text[i] >= 0x20);
    ck_assert_ptr_null(strchr(text, '\x7f'));
    ck_assert_ptr_null(strstr(text, "\xc2\x9b"));
    python_says("d[\"event\"], len(d[\"call\"])", "call 30\ncall 512\n");
    remove_all();
}
END_TEST

START_TEST(the_file_is_private_and_only_grows)
{
    umask(0);
    ps_audit *audit = open_new();
    struct stat s;
    ck_assert_int_eq(stat(path, &s), 0);
    ck_assert_uint_eq(s.st_mode & 07777, 0600);
    refuse(audit, "192.0.2.1:1");
    ps_audit_close(&audit);
    ck_ok(ps_audit_open(&(ps_audit_conf){.path = path, .clock = &now}, &audit));
    refuse(audit, "192.0.2.1:1");
    ps_audit_close(&audit);
    ck_assert_int_eq(count_lines(), 2);
    ck_assert_int_eq(
        ps_audit_open(&(ps_audit_conf){.path = "/nowhere/audit.log", .clock = &now}, &audit),
        PS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "audit log /nowhere/audit.log"));
    ps_audit_write(NULL, &(ps_audit_event){.event = "call"});
    remove_all();
}
END_TEST

START_TEST(a_flood_is_counted_and_does_not_silence_others)
{
    ps_audit *audit = open_new();
    char address[32];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(address, sizeof address, "192.0.2.1:%d", 1000 + i); /* new ports */
        refuse(audit, address);
    }
    ck_assert_int_eq(count_lines(), 20);
    /* of 20 other sources, at most a few share the flooder's bucket of 64 */
    for (int i = 0; i < 20; i++) {
        (void)snprintf(address, sizeof address, "198.51.100.%d:1", i);
        refuse(audit, address);
    }
    ck_assert_int_ge(count_lines(), 20 + 14);
    ps_identity root;
    ck_ok(ps_identity_make("lab", PS_ROLE_ADMIN, "root", &root));
    int before = count_lines();
    ps_audit_write(audit, &(ps_audit_event){.event = "call",
                                            .address = "192.0.2.1:1",
                                            .identity = &root,
                                            .call = "/psd.v1.Admin/Drain"});
    ck_assert_int_eq(count_lines(), before + 1); /* what is allowed is written all the same */
    ps_audit_stats stats;
    ps_audit_get_stats(audit, &stats);
    ck_assert_uint_ge(stats.suppressed, 980);
    ck_assert_uint_eq(stats.written, (uint64_t)before + 1);
    ps_audit_tick(audit);
    ck_assert_int_eq(count_lines(), before + 1); /* not yet */
    virtual_time.now_ns += 10 * SECOND_NS;
    ps_audit_tick(audit);
    char text[16384], expected[64];
    read_file(text, sizeof text);
    (void)snprintf(expected, sizeof expected, "\"event\":\"suppressed\",\"count\":%llu,",
                   (unsigned long long)stats.suppressed);
    ck_assert_msg(strstr(text, expected) != NULL, "%s", text);
    ps_audit_tick(audit); /* once only */
    ck_assert_int_eq(count_lines(), before + 2);
    for (int i = 0; i < 30; i++)
        refuse(audit, "192.0.2.1:1"); /* ten seconds were ten tokens */
    ck_assert_int_eq(count_lines(), before + 12);
    char counts[64];
    (void)snprintf(counts, sizeof counts, "%llu20", (unsigned long long)stats.suppressed);
    ps_audit_close(&audit); /* and the rest is told at the end */
    ck_assert_int_eq(count_lines(), before + 13);
    python_says("d.get(\"count\", \"\"), end=\"\"", counts);
    remove_all();
}
END_TEST

START_TEST(a_moved_file_is_opened_again)
{
    ps_audit *audit = open_new();
    char moved[80];
    (void)snprintf(moved, sizeof moved, "%s.1", path);
    refuse(audit, "192.0.2.1:1");
    ck_assert_int_eq(rename(path, moved), 0);
    refuse(audit, "192.0.2.1:1");
    ck_ok(ps_audit_reopen(audit));
    refuse(audit, "192.0.2.1:1");
    ck_assert_int_eq(count_lines(), 1);
    ps_audit_close(&audit);
    remove_all();
}
END_TEST

static int errors;

static void count_errors(void *state, ps_log_level level, const char *line)
{
    (void)state, (void)line;
    errors += level == PS_LOG_ERROR;
}

START_TEST(a_full_disk_costs_the_lines_that_did_not_fit)
{
    ps_audit *audit = open_new();
    ps_log_set_sink(count_errors, NULL);
    refuse(audit, "192.0.2.1:1");
    struct stat s;
    ck_assert_int_eq(stat(path, &s), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = (rlim_t)s.st_size + 10; /* ten bytes of the next line fit */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    refuse(audit, "192.0.2.1:1");
    refuse(audit, "192.0.2.1:1");
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    refuse(audit, "192.0.2.1:1");
    ps_audit_stats stats;
    ps_audit_get_stats(audit, &stats);
    ck_assert_uint_eq(stats.failed, 2);
    ck_assert_uint_eq(stats.written, 2);
    ck_assert_int_eq(errors, 1);
    ck_assert_int_eq(count_lines(), 3); /* whole, cut, whole */
    char text[4096];
    read_file(text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "}\n{\"time\":\"1\n{\"time\""));
    ps_audit_close(&audit);
    remove_all();
}
END_TEST

static void *write_many(void *audit)
{
    for (int i = 0; i < 200; i++)
        ps_audit_write(audit, &(ps_audit_event){.event = "call", .address = "192.0.2.9:1"});
    return NULL;
}

START_TEST(a_pipe_that_nobody_reads_costs_lines_and_never_time)
{
    ps_audit *audit = open_new();
    ps_audit_close(&audit);
    ck_assert_int_eq(remove(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    const ps_audit_conf conf = {.path = path, .clock = &ps_clock_system};
    ck_assert_int_eq(ps_audit_open(&conf, &audit), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "a pipe that nobody reads"));
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ck_ok(ps_audit_open(&conf, &audit));
    ck_assert_int_eq(fcntl(reader, F_SETPIPE_SZ, 4096), 4096);
    ps_log_set_sink(count_errors, NULL);
    write_many(audit);
    ps_audit_stats full, read_again;
    ps_audit_get_stats(audit, &full);
    ck_assert_uint_gt(full.written, 0);
    ck_assert_uint_eq(full.written + full.failed, 200);
    ck_assert_int_eq(errors, 1);
    char text[4096];
    ck_assert_int_gt(read(reader, text, sizeof text), 0);
    write_many(audit);
    ps_audit_get_stats(audit, &read_again);
    ck_assert_uint_gt(read_again.written, full.written);
    ps_audit_close(&audit);
    close(reader);
    remove_all();
}
END_TEST

START_TEST(threads_do_not_mix_their_lines)
{
    ps_audit *audit = open_new();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, audit), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ps_audit_close(&audit);
    ck_assert_int_eq(count_lines(), 800);
    python_says("d[\"event\"]*0, end=\"\"", "");
    remove_all();
}
END_TEST

/* Over a restart, a line that was cut, and a moved file. */
START_TEST(the_chain_goes_on)
{
    ps_audit *audit = open_new();
    char text[4096], moved[96];
    ps_audit_write(audit, &(ps_audit_event){.event = "start"});
    ps_audit_write(audit, &(ps_audit_event){.event = "stop"});
    ps_audit_head head = ps_audit_get_head(audit);
    ck_assert_uint_eq(head.seq, 2);
    ps_audit_close(&audit);
    FILE *file = fopen(path, "a");
    ck_assert_int_gt(fputs("{\"event\":\"cu", file), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_ok(ps_audit_open(&(ps_audit_conf){.path = path, .clock = &now}, &audit));
    ck_assert_str_eq(ps_audit_get_head(audit).sha256, head.sha256);
    ps_audit_write(audit, &(ps_audit_event){.event = "start"});
    (void)snprintf(moved, sizeof moved, "%s.1", path);
    ck_assert_int_eq(rename(path, moved), 0);
    ck_ok(ps_audit_reopen(audit));
    ps_audit_write(audit, &(ps_audit_event){.event = "stop"});
    head = ps_audit_get_head(audit);
    ps_audit_close(&audit);
    ps_audit_check check = {.wanted = &head};
    const char *const names[] = {moved, path};
    for (int i = 0; i < 2; i++) {
        file = fopen(names[i], "r");
        while (fgets(text, sizeof text, file))
            ck_ok(ps_audit_check_line(&check, ps_slice_of(text, strcspn(text, "\n"))));
        ck_assert_int_eq(fclose(file), 0);
    }
    ck_ok(ps_audit_check_end(&check));
    ck_assert_uint_eq(check.lines, 4);
    ck_assert_uint_eq(check.others, 1);
    remove_all();
}
END_TEST

static const ps_check_case cases[] = {
    {&the_chain_goes_on},
    {&an_event_is_one_line_of_json, 30},
    {&hostile_bytes_stay_inside_their_field, 30},
    {&the_file_is_private_and_only_grows},
    {&a_flood_is_counted_and_does_not_silence_others, 30},
    {&a_moved_file_is_opened_again},
    {&a_full_disk_costs_the_lines_that_did_not_fit},
    {&a_pipe_that_nobody_reads_costs_lines_and_never_time},
    {&of_what_is_read_in_parts_one_line_is_written},
    {&threads_do_not_mix_their_lines, 30},
    {0},
};

int main(void)
{
    return ps_check_main("security/audit", cases);
}
