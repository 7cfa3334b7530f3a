/* audit_file: full files get names in the order of their lines, and whatever ends psd on the way
 * leaves a chain; what must be on record is, or is refused. */
#include "server/guard/audit_file.h"

#include "common/base/mem.h"
#include "common/security/audit_anchor.h"
#include "server/guard/audit.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pki.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SMALL = 2000 /* some lines */, MOST_FILES = 4096 };

static char folder[64], path[80];

static void make_folder(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/psd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/audit.log", folder);
}

static void remove_folder(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static ps_audit *open_small(void)
{
    ps_audit *audit = NULL;
    ck_ok(ps_audit_open(
        &(ps_audit_conf){.path = path, .clock = &ps_clock_system, .size = SMALL, .refuse = true},
        &audit));
    return audit;
}

static void write_some(ps_audit *audit, int n)
{
    for (int i = 0; i < n; i++)
        ps_audit_write(audit, &(ps_audit_event){.event = "call", .reason = "something"});
}

/* ---- what a shell's `audit.log.* audit.log` names ---- */

static char names[MOST_FILES][128];

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int find_names(void)
{
    int n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *one; (one = readdir(dir));)
        if (!strncmp(one->d_name, "audit.log.", 10))
            (void)snprintf(names[n++], sizeof *names, "%s/%.40s", folder, one->d_name);
    closedir(dir);
    qsort(names, (size_t)n, sizeof *names, by_name);
    strcpy(names[n++], path);
    return n;
}

static ps_audit_check check_all(void)
{
    ps_audit_check check = {0};
    char line[4096];
    for (int i = 0, n = find_names(); i < n; i++) {
        FILE *file = fopen(names[i], "r");
        while (file && fgets(line, sizeof line, file))
            ck_ok(ps_audit_check_line(&check, ps_slice_of(line, strcspn(line, "\n"))));
        if (file)
            fclose(file);
    }
    ck_ok(ps_audit_check_end(&check));
    return check;
}

START_TEST(a_full_file_gets_the_number_of_its_last_line)
{
    make_folder();
    ps_audit *audit = open_small();
    write_some(audit, 40);
    ps_audit_head head = ps_audit_get_head(audit);
    ps_audit_close(&audit);
    int n = find_names();
    ck_assert_int_gt(n, 3);
    uint64_t before = 0;
    for (int i = 0; i < n; i++) {
        struct stat s;
        ck_assert_int_eq(stat(names[i], &s), 0);
        ck_assert_int_le(s.st_size, SMALL);
        ck_assert_uint_eq(s.st_mode & 07777, 0600);
        ps_audit_file *file = NULL; /* reads the last line */
        ck_ok(ps_audit_file_open(names[i], 0, &file));
        uint64_t last = ps_audit_file_head(file)->seq;
        ps_audit_file_close(&file);
        if (i + 1 < n)
            ck_assert_uint_eq(strtoull(strrchr(names[i], '.') + 1, NULL, 10), last);
        ck_assert_uint_gt(last, before);
        before = last;
    }
    ps_audit_check check = check_all();
    ck_assert_uint_eq(check.lines, 40);
    ck_assert_str_eq(check.head.sha256, head.sha256);
    remove_folder();
}
END_TEST

/* Between the two names, and before the first line of the new one. */
START_TEST(a_new_file_goes_on_from_the_old_one)
{
    make_folder();
    for (int i = 0; i < 2; i++) {
        ps_audit *audit = open_small();
        write_some(audit, 4);
        uint64_t last = ps_audit_get_head(audit).seq;
        ps_audit_close(&audit);
        char full[120];
        (void)snprintf(full, sizeof full, "%s.%012llu", path, (unsigned long long)last);
        ck_assert_int_eq(rename(path, full), 0);
        if (i)
            ck_assert_int_eq(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    }
    ps_audit *audit = open_small();
    write_some(audit, 1);
    ps_audit_close(&audit);
    ck_assert_uint_eq(check_all().lines, 9);
    remove_folder();
}
END_TEST

/* What a file system may have left of lines that were not on the disk when the power went. */
START_TEST(zeros_at_the_end_hide_no_line)
{
    make_folder();
    ps_audit *audit = open_small();
    write_some(audit, 7); /* full files, too, which end before */
    ps_audit_close(&audit);
    ck_assert_int_gt(find_names(), 1);
    struct stat s;
    ck_assert_int_eq(stat(path, &s), 0);
    ck_assert_int_eq(truncate(path, s.st_size + 300000), 0);
    audit = open_small();
    write_some(audit, 1);
    ps_audit_close(&audit);
    ck_assert_uint_eq(check_all().lines, 8);
    remove_folder();
}
END_TEST

START_TEST(killed_anywhere_it_leaves_a_chain)
{
    make_folder();
    ps_audit *first = open_small();
    write_some(first, 1);
    ps_audit_close(&first);
    uint64_t lines = 0;
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (!child) {
            ps_audit *audit = open_small();
            for (;;)
                write_some(audit, 1);
        }
        ck_assert_int_gt(child, 0);
        usleep((useconds_t)(1000 + 173 * i));
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        ps_audit *audit = open_small();
        write_some(audit, 1);
        ps_audit_close(&audit);
        uint64_t now = check_all().lines;
        ck_assert_uint_gt(now, lines);
        lines = now;
    }
    ck_assert_int_gt(find_names(), 3);
    remove_folder();
}
END_TEST

START_TEST(the_oldest_full_files_go)
{
    make_folder();
    ps_audit *audit = NULL;
    ck_ok(ps_audit_open(
        &(ps_audit_conf){.path = path, .clock = &ps_clock_system, .size = SMALL, .keep = 2},
        &audit));
    char other[96];
    (void)snprintf(other, sizeof other, "%s.1", path); /* logrotate's */
    ck_assert_int_eq(close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    write_some(audit, 40);
    ps_audit_tick(audit);
    ps_audit_close(&audit);
    ck_assert_int_eq(find_names(), 2 + 2);
    ck_assert_int_eq(access(other, F_OK), 0);
    ps_audit_check check = check_all();
    ck_assert_uint_gt(check.first, 1);
    ck_assert_uint_eq(check.head.seq, 40);
    remove_folder();
}
END_TEST

START_TEST(what_cannot_turn_stays_one_file)
{
    make_folder();
    ps_audit *audit = open_small();
    write_some(audit, 3);
    uint64_t last = ps_audit_get_head(audit).seq;
    char taken[120];
    for (uint64_t i = last; i < last + 8; i++) {
        (void)snprintf(taken, sizeof taken, "%s.%012llu", path, (unsigned long long)i);
        ck_assert_int_eq(mkdir(taken, 0700), 0);
    }
    write_some(audit, 4);
    ps_audit_close(&audit);
    ck_assert_uint_eq(check_all().lines, 7);
    remove_folder();
}
END_TEST

/* ---- what must be on record ---- */

static int gave;

static bool give_up(void *user)
{
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    gave++;
    return user ? setrlimit(RLIMIT_FSIZE, &none) == 0 : false;
}

/* A few bytes of the next line fit, and what is cut is a disk that is full. */
static void fill(void)
{
    struct stat s;
    struct rlimit limit = {0, RLIM_INFINITY};
    ck_assert_int_eq(stat(path, &s), 0);
    limit.rlim_cur = (rlim_t)s.st_size + 10;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static bool has(const char *words)
{
    char text[4096] = "";
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, file), 0);
    fclose(file);
    return strstr(text, words) != NULL;
}

START_TEST(what_must_be_on_record_is_or_is_refused)
{
    const ps_audit_event event = {.event = "call", .call = "/psd.v1.Models/Delete"};
    for (int refuse = 0; refuse < 2; refuse++) {
        make_folder();
        ps_audit *audit = NULL;
        ck_ok(ps_audit_open(
            &(ps_audit_conf){.path = path, .clock = &ps_clock_system, .refuse = refuse}, &audit));
        ck_ok(ps_audit_require(audit, &event));
        fill();
        if (refuse) {
            ck_assert_int_eq(ps_audit_require(audit, &event), PS_UNAVAILABLE);
            ck_assert_ptr_nonnull(strstr(ps_error_message(), "nothing was done"));
            ck_assert_ptr_nonnull(strstr(ps_error_message(), path));
        } else {
            ck_ok(ps_audit_require(audit, &event));
        }
        ps_audit_write(audit, &event); /* others are counted */
        ps_audit_stats stats;
        ps_audit_get_stats(audit, &stats);
        ck_assert_uint_eq(stats.written, 1);
        ck_assert_uint_eq(stats.failed, 2);
        fill();
        ps_audit_set_make_room(audit, give_up, NULL);
        ck_assert_int_eq(ps_audit_require(audit, &event), refuse ? PS_UNAVAILABLE : PS_OK);
        fill();
        ps_audit_set_make_room(audit, give_up, audit); /* and now there is some */
        ck_ok(ps_audit_require(audit, &event));
        ps_audit_close(&audit);
        ck_assert_uint_eq(check_all().lines, 3); /* the last says how many there should be */
        ck_assert(has("\"event\":\"lost\",\"count\":4,"));
        remove_folder();
    }
    ck_assert_int_eq(gave, 4);
}
END_TEST

/* However often, and though its source is a flood. */
START_TEST(what_must_be_on_record_is_never_only_counted)
{
    make_folder();
    ps_audit *audit = open_small();
    const ps_audit_event part = {
        .event = "call", .address = "192.0.2.1:1", .reason = "m", .part = true};
    for (int i = 0; i < 30; i++)
        ps_audit_write(audit, &(ps_audit_event){.event = "call",
                                                .address = "192.0.2.1:1",
                                                .outcome = PS_AUDIT_REFUSED});
    for (int i = 0; i < 5; i++)
        ck_ok(ps_audit_require(audit, &(ps_audit_event){.event = "call",
                                                        .address = "192.0.2.1:1",
                                                        .outcome = PS_AUDIT_REFUSED}));
    ck_ok(ps_audit_require(audit, &part));
    ck_ok(ps_audit_require(audit, &part)); /* is on record */
    ps_audit_stats stats;
    ps_audit_get_stats(audit, &stats);
    ck_assert_uint_eq(stats.written, 20 + 5 + 1);
    ck_ok(ps_audit_require(NULL, &part));
    ps_audit_close(&audit);
    remove_folder();
}
END_TEST

/* ---- with psd's key ---- */

static ps_test_pki pki;
static ps_clock_virtual virtual_time;
static ps_clock now;

static ps_tls_holder *make_holder(void)
{
    char ca[PS_TEST_PATH_MAX], cert[PS_TEST_PATH_MAX], key[PS_TEST_PATH_MAX];
    ps_tls_holder *tls = NULL;
    ps_test_pki_open(&pki, "lab");
    ps_test_pki_server(&pki, "psd", "localhost");
    ck_ok(ps_tls_holder_new(
        &(ps_tls_options){.side = PS_TLS_SERVER,
                          .ca_file = ps_test_pki_path(&pki, "ca", ".pem", ca),
                          .cert_file = ps_test_pki_path(&pki, "psd", ".pem", cert),
                          .key_file = ps_test_pki_path(&pki, "psd", ".key", key)},
        &tls));
    return tls;
}

/* psctl audit verify --ca of the files of these places. */
static ps_status verify(int from, int to, ps_anchor_found *found)
{
    char line[8192], ca[PS_TEST_PATH_MAX];
    ps_audit_check chain = {0};
    ps_anchor_check *anchors;
    ps_status st = PS_OK;
    ck_ok(ps_anchor_check_new(&(ps_anchor_trust){.ca = ps_test_pki_path(&pki, "ca", ".pem", ca)},
                              &anchors));
    for (int i = from; !st && i < to; i++) {
        FILE *file = fopen(names[i], "r");
        ck_assert_ptr_nonnull(file);
        while (!st && fgets(line, sizeof line, file)) {
            ps_slice text = ps_slice_of(line, strcspn(line, "\n"));
            st = ps_audit_check_line(&chain, text);
            if (!st)
                st = ps_anchor_check_line(anchors, text, &chain.before);
        }
        fclose(file);
    }
    ps_anchor_check_found(anchors, found);
    ps_anchor_check_free(&anchors);
    return st ? st : ps_audit_check_end(&chain);
}

START_TEST(a_full_file_ends_with_an_anchor_and_can_be_checked_alone)
{
    ps_tls_holder *tls = make_holder();
    make_folder();
    ps_audit *audit = NULL;
    ps_anchor_found found;
    ck_ok(ps_audit_open(
        &(ps_audit_conf){.path = path, .clock = &ps_clock_system, .size = 2 * SMALL, .tls = tls},
        &audit));
    ps_audit_anchor(audit); /* nothing yet */
    write_some(audit, 60);
    ps_audit_anchor(audit);
    ps_audit_anchor(audit); /* nothing since */
    ps_audit_stats stats;
    ps_audit_get_stats(audit, &stats);
    ck_assert_uint_eq(stats.anchored, ps_audit_get_head(audit).seq);
    ps_audit_close(&audit);
    int n = find_names();
    ck_assert_int_ge(n, 4);
    for (int i = 0; i < n; i++) {
        ck_ok(verify(i, i + 1, &found));
        ck_assert_uint_eq(found.anchors, 1);
    }
    ck_ok(verify(0, n, &found));
    ck_assert_uint_eq(found.anchors, (uint64_t)n);
    ck_assert_uint_eq(found.signed_to, 60 + (uint64_t)n - 1);
    ck_assert_int_eq(remove(names[1]), 0); /* one between two */
    strcpy(names[1], names[0]);
    ck_assert_int_eq(verify(1, n, &found), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "lines were left out, put in or moved"));
    ps_tls_holder_free(&tls);
    ps_test_pki_close(&pki);
    remove_folder();
}
END_TEST

START_TEST(an_anchor_comes_when_it_is_due_and_there_was_something)
{
    const uint64_t second = 1000000000;
    ps_tls_holder *tls = make_holder();
    make_folder();
    now = ps_clock_virtual_table(&virtual_time);
    ps_audit *audit = NULL;
    ck_ok(ps_audit_open(
        &(ps_audit_conf){.path = path, .clock = &now, .tls = tls, .anchor_ms = 60000}, &audit));
    static const struct {
        uint64_t seconds;
        int lines;
        uint64_t last; /* after that, and a tick */
    } steps[] = {{61, 0, 0}, {0, 1, 2}, {30, 1, 3}, {31, 0, 4}, {0, 0, 4}, {61, 0, 4}, {0, 2, 7}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        virtual_time.now_ns += steps[i].seconds * second;
        write_some(audit, steps[i].lines);
        ps_audit_tick(audit);
        ck_assert_uint_eq(ps_audit_get_head(audit).seq, steps[i].last);
    }
    ps_audit_close(&audit);
    ps_tls_holder_free(&tls);
    ps_test_pki_close(&pki);
    remove_folder();
}
END_TEST

static const ps_check_case cases[] = {
    {&a_full_file_gets_the_number_of_its_last_line},
    {&a_new_file_goes_on_from_the_old_one},
    {&zeros_at_the_end_hide_no_line},
    {&killed_anywhere_it_leaves_a_chain, 60},
    {&the_oldest_full_files_go},
    {&what_cannot_turn_stays_one_file},
    {&what_must_be_on_record_is_or_is_refused},
    {&what_must_be_on_record_is_never_only_counted},
    {&a_full_file_ends_with_an_anchor_and_can_be_checked_alone, 30},
    {&an_anchor_comes_when_it_is_due_and_there_was_something, 30},
    {0},
};

int main(void)
{
    return ps_check_main("guard/audit_file", cases);
}
