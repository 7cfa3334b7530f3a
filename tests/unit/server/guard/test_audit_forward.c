/* audit_forward: what a socket of syslog or of the journal gets is the chain; nobody waits for it.
 */
#include "server/guard/audit_forward.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "server/guard/audit.h"
#include "tests/lib/check_main.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 65536 };

static char folder[64], path[80], to[120];
static char got[MOST];
static atomic_int errors;

static void count_errors(void *state, ps_log_level level, const char *line)
{
    (void)state, (void)line;
    errors += level == PS_LOG_ERROR;
}

static void set_up(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/log", folder);
    ps_log_set_sink(count_errors, NULL);
}

static void tear_down(void)
{
    char command[128];
    ps_log_set_sink(NULL, NULL);
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static int listen_there(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strcpy(at.sun_path, path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

/* The next datagram, as text. */
static size_t receive(int fd)
{
    ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 20000), 1);
    ssize_t n = recv(fd, got, MOST - 1, 0);
    ck_assert_int_ge(n, 0);
    got[n] = 0;
    return (size_t)n;
}

static ps_audit *open_audit(const char *kind)
{
    char file[96];
    (void)snprintf(file, sizeof file, "%s/audit.log", folder);
    (void)snprintf(to, sizeof to, "%s:%s", kind, path);
    ps_audit *audit = NULL;
    ck_ok(ps_audit_open(&(ps_audit_conf){.path = file, .clock = &ps_clock_system, .forward = to},
                        &audit));
    return audit;
}

static const char hostile[] = "/psd.v1.X/Y\nPRIORITY=0\nMESSAGE=forged";

static void write_two(ps_audit *audit)
{
    ps_identity eve;
    ck_ok(ps_identity_make("lab", PS_ROLE_OBSERVER, "eve", &eve));
    ps_audit_write(audit, &(ps_audit_event){.event = "start"});
    ps_audit_write(audit, &(ps_audit_event){.event = "call",
                                            .address = "192.0.2.7:4711",
                                            .identity = &eve,
                                            .call = hostile,
                                            .outcome = PS_AUDIT_REFUSED});
}

/* ---- the journal's protocol, read as its documentation says ---- */

static char value[MOST];

/* The only field of that name; false: there is none. */
static bool field(size_t len, const char *name)
{
    int n = 0;
    for (size_t at = 0; at < len;) {
        const char *key = got + at;
        size_t k = strcspn(key, "=\n"), begin, bytes;
        if (key[k] == '=') {
            begin = at + k + 1;
            bytes = strcspn(got + begin, "\n");
        } else {
            uint64_t said;
            memcpy(&said, key + k + 1, sizeof said); /* little-endian */
            begin = at + k + 1 + sizeof said;
            bytes = (size_t)said;
        }
        ck_assert_uint_lt(begin + bytes, len);
        ck_assert_int_eq(got[begin + bytes], '\n');
        if (k == strlen(name) && !strncmp(key, name, k)) {
            n++;
            memcpy(value, got + begin, bytes);
            value[bytes] = 0;
        }
        at = begin + bytes + 1;
    }
    ck_assert_int_le(n, 1);
    return n == 1;
}

static void is(size_t len, const char *name, const char *expected)
{
    ck_assert_msg(field(len, name), "%s", name);
    ck_assert_str_eq(value, expected);
}

START_TEST(the_journal_gets_the_line_and_its_fields)
{
    set_up();
    int fd = listen_there();
    ps_audit *audit = open_audit("journald");
    ps_audit_check check = {0};
    write_two(audit);
    size_t len = receive(fd);
    is(len, "PSD_AUDIT_EVENT", "start");
    is(len, "PRIORITY", "5");
    ck_assert(!field(len, "PSD_AUDIT_IDENTITY"));
    ck_assert(field(len, "MESSAGE"));
    ck_ok(ps_audit_check_line(&check, ps_slice_str(value)));
    len = receive(fd);
    is(len, "PRIORITY", "4");
    is(len, "SYSLOG_IDENTIFIER", "psd-audit");
    is(len, "SYSLOG_FACILITY", "10");
    is(len, "PSD_AUDIT_SEQ", "2");
    is(len, "PSD_AUDIT_OUTCOME", "refused");
    is(len, "PSD_AUDIT_IDENTITY", "spiffe://lab/observer/eve");
    is(len, "PSD_AUDIT_ADDRESS", "192.0.2.7:4711");
    is(len, "PSD_AUDIT_CALL", hostile); /* in one piece, whatever it looks like */
    ck_assert(field(len, "MESSAGE"));
    ck_ok(ps_audit_check_line(&check, ps_slice_str(value)));
    ps_audit_head head = ps_audit_get_head(audit);
    ck_assert_str_eq(check.head.sha256, head.sha256);
    ps_audit_close(&audit);
    close(fd);
    tear_down();
}
END_TEST

/* RFC 5424: <PRI>VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG */
static void is_rfc5424(const char *pri, const char *event, ps_audit_check *check)
{
    char fields[7][300];
    int at = 0;
    ck_assert_int_eq(sscanf(got, "%299s %299s %299s %299s %299s %299s %299s %n", fields[0],
                            fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], &at),
                     7);
    ck_assert_str_eq(fields[0], pri);
    int year, month, day, hour, minute, second, ms, end = 0;
    ck_assert_int_eq(sscanf(fields[1], "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour,
                            &minute, &second, &ms, &end),
                     7);
    ck_assert_int_eq(fields[1][end], 0);
    ck_assert_str_eq(fields[3], "psd-audit");
    ck_assert_int_eq(atoi(fields[4]), getpid());
    ck_assert_str_eq(fields[5], event);
    ck_assert_str_eq(fields[6], "-");
    ck_assert_ptr_null(strchr(got, '\n'));
    ck_ok(ps_audit_check_line(check, ps_slice_str(got + at)));
}

START_TEST(syslog_gets_the_line_by_a_socket)
{
    set_up();
    int fd = listen_there();
    ps_audit *audit = open_audit("syslog");
    ps_audit_check check = {0};
    write_two(audit);
    receive(fd);
    is_rfc5424("<85>1", "start", &check);
    receive(fd);
    is_rfc5424("<84>1", "call", &check);
    ps_audit_close(&audit);
    close(fd);
    tear_down();
}
END_TEST

START_TEST(syslog_gets_the_line_over_udp)
{
    set_up();
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(path, sizeof path, "127.0.0.1:%d", ntohs(at.sin_port));
    ps_audit *audit = open_audit("syslog");
    ps_audit_check check = {0};
    write_two(audit);
    receive(fd);
    is_rfc5424("<85>1", "start", &check);
    receive(fd);
    is_rfc5424("<84>1", "call", &check);
    ps_audit_close(&audit);
    close(fd);
    tear_down();
}
END_TEST

static void put(ps_audit_forward *f, uint64_t seq, ps_slice line)
{
    const ps_audit_forwarded what = {
        .line = line, .seq = seq, .time = "2026-01-01T00:00:00.000Z", .event = "call"};
    ps_audit_forward_put(f, &what);
}

/* Lines wait for a listener that comes later, and for one that was started anew. */
START_TEST(lines_wait_for_whoever_takes_them)
{
    set_up();
    uint64_t sent, lost;
    ps_audit_forward *f = NULL;
    (void)snprintf(to, sizeof to, "syslog:%s", path);
    ck_ok(ps_audit_forward_new(to, &f));
    for (uint64_t i = 0; i < 3; i++)
        put(f, i, ps_slice_str("first"));
    int fd = listen_there();
    for (int i = 0; i < 3; i++) {
        receive(fd);
        ck_assert_ptr_nonnull(strstr(got, " - first"));
    }
    ck_assert_int_eq(remove(path), 0);
    close(fd);
    put(f, 3, ps_slice_str("second"));
    fd = listen_there();
    receive(fd);
    ck_assert_ptr_nonnull(strstr(got, " - second"));
    ps_audit_forward_free(&f);
    ck_ok(ps_audit_forward_new(to, &f));
    ps_audit_forward_count(f, &sent, &lost);
    ck_assert_uint_eq(sent + lost, 0);
    ps_audit_forward_free(&f);
    close(fd);
    tear_down();
}
END_TEST

START_TEST(nobody_waits_and_what_is_lost_is_counted)
{
    enum { LINES = 3000, LINE = 4096 };
    set_up();
    static char line[LINE];
    uint64_t sent, lost;
    ps_audit_forward *f = NULL;
    int fd = listen_there(); /* takes a few, and nobody reads them */
    memset(line, 'x', sizeof line - 1);
    (void)snprintf(to, sizeof to, "syslog:%s", path);
    ck_ok(ps_audit_forward_new(to, &f));
    errors = 0;
    time_t begin = time(NULL);
    for (uint64_t i = 0; i < LINES; i++)
        put(f, i, ps_slice_str(line));
    ck_assert_int_le(time(NULL) - begin, 5); /* waiting for a second each would be an hour */
    ps_audit_forward_count(f, &sent, &lost);
    ck_assert_uint_gt(lost, LINES - (PS_AUDIT_FORWARD_BYTES / LINE) - 600);
    ck_assert_int_eq(errors, 1);
    ps_audit_forward_free(&f); /* at most half a second, though much waits */
    close(fd);
    tear_down();
}
END_TEST

START_TEST(where_to_is_checked)
{
    static const char *const good[] = {"syslog",   "syslog:/dev/log", "syslog:192.0.2.1:514",
                                       "journald", "journald:/x",     "syslog:[2001:db8::1]:514"};
    static const char *const bad[] = {"rsyslog",          "syslog:",      "syslog:loghost:514",
                                      "syslog:192.0.2.1", "journald:x:1", "syslog:192.0.2.1:99999",
                                      "syslogd"};
    char long_path[200] = "syslog:/";
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_ok(ps_audit_forward_check(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(ps_audit_forward_check(bad[i]) == PS_INVALID_ARGUMENT, "%s", bad[i]);
    memset(long_path + 8, 'x', 150);
    ck_assert_int_eq(ps_audit_forward_check(long_path), PS_INVALID_ARGUMENT);
    ps_audit_forward_put(NULL, NULL);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_journal_gets_the_line_and_its_fields, 30},
    {&syslog_gets_the_line_by_a_socket, 30},
    {&syslog_gets_the_line_over_udp, 30},
    {&lines_wait_for_whoever_takes_them, 30},
    {&nobody_waits_and_what_is_lost_is_counted, 60},
    {&where_to_is_checked},
    {0},
};

int main(void)
{
    return ps_check_main("guard/audit_forward", cases);
}
