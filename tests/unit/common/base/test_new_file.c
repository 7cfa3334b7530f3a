/* new_file: what is replaced, what is written to, what is refused, and that nothing is ever half
 * there; on the file systems there are, and on those without this or that (the calls that they lack
 * are stood in for below). */
#include "common/base/new_file.h"

#include "common/base/mem.h"
#include "common/base/target.h"
#include "common/base/whole_file.h"
#include "tests/lib/check_main.h"
#include "tests/lib/fault_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- calls that fail with these, when not 0 ---- */

static int no_renameat2, no_link, no_folder_fsync;

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (no_renameat2) {
        errno = no_renameat2;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int link(const char *from, const char *to)
{
    if (no_link) {
        errno = no_link;
        return -1;
    }
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int fsync(int fd)
{
    struct stat about;
    if (no_folder_fsync && fstat(fd, &about) == 0 && S_ISDIR(about.st_mode)) {
        errno = no_folder_fsync;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* ---- a folder ---- */

static char folder[64], path[128];

static const char *in(const char *name)
{
    static char full[4][400];
    static unsigned next;
    char *out = full[next++ % 4];
    (void)snprintf(out, sizeof full[0], "%s/%s", folder, name);
    return out;
}

static void set_up(void)
{
    strcpy(folder, "/tmp/psd-new-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/file", folder);
    no_renameat2 = no_link = no_folder_fsync = 0;
}

static unsigned count_names(bool and_remove)
{
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    unsigned n = 0;
    for (const struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') {
            n++;
            if (and_remove)
                (void)remove(in(e->d_name));
        }
    (void)closedir(dir);
    return n;
}

static void tear_down(void)
{
    (void)count_names(true);
    ck_assert_int_eq(rmdir(folder), 0);
}

static ps_status save(const char *at, const char *text, ps_new_file_options options)
{
    return ps_new_file_save(at, ps_slice_str(text), &options);
}

static void expect(const char *at, const char *text)
{
    ps_buf got = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, at, 100, &got));
    ck_assert_str_eq(ps_buf_cstr(&got), text);
    ps_buf_free(&got);
}

static unsigned mode_of(const char *at)
{
    struct stat about;
    ck_assert_int_eq(lstat(at, &about), 0);
    return about.st_mode & 07777;
}

#define FORCE  ((ps_new_file_options){.force = true})
#define GENTLE ((ps_new_file_options){0})

/* ---- whole or not at all ---- */

START_TEST(whichever_operation_fails_the_old_file_or_the_new_one_is_there)
{
    for (int force = 0; force < 2; force++) {
        set_up();
        unsigned long k = 0;
        fault_disk faults;
        ps_status st;
        do {
            if (force)
                ck_ok(save(path, "old", FORCE));
            ps_disk disk = fault_disk_table(&faults);
            fault_at(&faults.fails, ++k);
            faults.write_most = 2;
            st = save(
                path, "newer",
                (ps_new_file_options){.force = force, .secret = true, .mode = 0600, .disk = &disk});
            bool late = st && strstr(ps_error_message(), "may not outlast a power failure");
            if (!st || late)
                expect(path, "newer");
            else if (force)
                expect(path, "old");
            ck_assert_uint_eq(count_names(false), !st || late || force);
            ck_assert(!st || strstr(ps_error_message(), path));
            if (late)
                ck_assert_int_eq(unlink(path), 0);
        } while (fault_struck(&faults.fails));
        ck_ok(st);
        ck_assert_uint_ge(k, 8);
        tear_down();
    }
}
END_TEST

START_TEST(without_force_what_is_there_stays)
{
    set_up();
    ps_new_file *f = NULL;
    ck_ok(ps_new_file_open(path, &GENTLE, &f));
    ck_ok(ps_new_file_write(f, "late", 4));
    ck_ok(save(path, "first", GENTLE)); /* another is quicker */
    ck_assert_int_eq(ps_new_file_finish(&f), PS_ALREADY_EXISTS);
    ck_assert_ptr_null(f);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "is there already; --force overwrites it"));
    ck_assert_int_eq(save(path, "x", GENTLE), PS_ALREADY_EXISTS);
    expect(path, "first");
    ck_assert_uint_eq(count_names(false), 1);
    tear_down();
}
END_TEST

START_TEST(a_name_as_long_as_names_may_be)
{
    set_up();
    char name[256], longest[400];
    memset(name, 'n', 255);
    name[255] = '\0';
    (void)snprintf(longest, sizeof longest, "%s/%s", folder, name);
    ck_ok(save(longest, "x", GENTLE));
    ck_ok(save(longest, "y", FORCE));
    expect(longest, "y");
    ck_assert_int_eq(unlink(longest), 0);
    tear_down();
}
END_TEST

/* ---- what the path means ---- */

START_TEST(links_stay_and_what_they_lead_to_is_replaced)
{
    set_up();
    ck_assert_int_eq(mkdir(in("sub"), 0700), 0);
    ck_assert_int_eq(symlink("sub/real", in("a")), 0); /* relative, from one folder to another */
    ck_assert_int_eq(symlink(in("a"), in("b")), 0);    /* absolute, and to a link */
    ck_ok(save(in("b"), "made", GENTLE));              /* dangling: the target is made */
    expect(in("sub/real"), "made");
    ck_assert_int_eq(save(in("b"), "x", GENTLE), PS_ALREADY_EXISTS);
    ck_assert_int_eq(chmod(in("sub/real"), 0640), 0);
    ck_ok(save(in("b"), "replaced", FORCE));
    expect(in("sub/real"), "replaced");
    ck_assert_uint_eq(mode_of(in("sub/real")), 0640);
    char to[160];
    ck_assert_int_eq(readlink(in("a"), to, sizeof to), 8);
    ck_assert_int_eq(readlink(in("b"), to, sizeof to), (int)strlen(in("a")));
    ck_assert_int_eq(symlink("round", in("round")), 0);
    ck_assert_int_ne(save(in("round"), "x", FORCE), PS_OK);
    ck_assert_int_eq(symlink("nowhere/file", in("lost")), 0);
    ck_assert_int_eq(save(in("lost"), "x", FORCE), PS_NOT_FOUND);
    ck_assert_int_eq(unlink(in("sub/real")), 0);
    ck_assert_int_eq(rmdir(in("sub")), 0);
    tear_down();
}
END_TEST

START_TEST(modes_are_kept_and_a_secret_stays_one)
{
    set_up();
    mode_t before = umask(026);
    ck_ok(save(path, "x", GENTLE));
    ck_assert_uint_eq(mode_of(path), 0640);
    (void)umask(before);
    ck_assert_int_eq(chmod(path, 0604), 0);
    ck_ok(save(path, "x", (ps_new_file_options){.force = true, .mode = 0600}));
    ck_assert_uint_eq(mode_of(path), 0604);
    ps_new_file_options secret = {.force = true, .mode = 0600, .secret = true};
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_ok(save(path, "x", secret));
    ck_assert_uint_eq(mode_of(path), 0640); /* a group that was given the right keeps it */
    ck_assert_int_eq(unlink(path), 0);
    ck_ok(save(path, "x", secret));
    ck_assert_uint_eq(mode_of(path), 0600);
    tear_down();
}
END_TEST

START_TEST(owners_are_kept_or_their_group_gets_no_more_than_others)
{
    struct stat about;
    if (geteuid() != 0)
        return;
    set_up();
    ck_assert_int_eq(chmod(folder, 0777), 0);
    ck_ok(save(path, "x", GENTLE));
    ck_assert_int_eq(chown(path, 1234, 4321), 0);
    ck_assert_int_eq(chmod(path, 0664), 0);
    ck_ok(save(path, "y", FORCE));
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_uint_eq(about.st_uid, 1234);
    ck_assert_uint_eq(about.st_gid, 4321);
    ck_assert_uint_eq(mode_of(path), 0664);
    ck_assert_int_eq(seteuid(65534), 0);
    ps_status st = save(path, "z", FORCE);
    ck_assert_int_eq(seteuid(0), 0);
    ck_ok(st);
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_uint_eq(about.st_uid, 65534);
    ck_assert_uint_eq(mode_of(path), 0644);
    tear_down();
}
END_TEST

/* ---- what is no file ---- */

static void reads(int fd, const char *text)
{
    char got[32] = "";
    ck_assert_int_eq(read(fd, got, sizeof got - 1), (int)strlen(text));
    ck_assert_str_eq(got, text);
}

START_TEST(pipes_and_devices_are_written_to_and_stay_what_they_are)
{
    set_up();
    struct stat about;
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    ck_ok(save(path, "hello", FORCE));
    reads(reader, "hello");
    ck_ok(save(path, "again", GENTLE)); /* nothing is lost by it */
    reads(reader, "again");
    (void)close(reader);
    ck_assert_int_eq(lstat(path, &about), 0);
    ck_assert(S_ISFIFO(about.st_mode));
    ck_assert_int_eq(symlink("/dev/null", in("null")), 0);
    ck_ok(save(in("null"), "gone", FORCE));
    ck_assert_int_eq(stat("/dev/null", &about), 0);
    ck_assert(S_ISCHR(about.st_mode));
    ck_assert_uint_eq(count_names(false), 2);
    tear_down();
}
END_TEST

START_TEST(a_descriptor_of_ours_is_written_to_in_order_and_patched_before)
{
    set_up();
    int ends[2];
    char name[32];
    ck_assert_int_eq(pipe(ends), 0);
    (void)snprintf(name, sizeof name, "/dev/fd/%d", ends[1]);
    ck_assert_int_eq(symlink(name, in("out")), 0);
    for (int patched = 0; patched < 2; patched++) {
        ps_new_file *f = NULL;
        ps_new_file_options options = {.patched = patched};
        ck_ok(ps_new_file_open(in("out"), &options, &f));
        ck_ok(ps_new_file_write(f, "0 tokens", 8));
        if (patched)
            ck_ok(ps_new_file_overwrite(f, 0, "7", 1));
        ck_ok(ps_new_file_write(f, ".", 1));
        ck_assert_uint_eq(ps_new_file_bytes(f), 9);
        ck_ok(ps_new_file_finish(&f));
        reads(ends[0], patched ? "7 tokens." : "0 tokens.");
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    ck_assert_int_ne(save(name, "x", FORCE), PS_OK);
    static const struct {
        const char *name;
        int fd;
    } names[] = {{"-", 1},           {"/dev/stdin", 0},      {"/dev/stdout", 1}, {"/dev/fd/12", 12},
                 {"/dev/fd/1x", -1}, {"/proc/self/fd/2", 2}, {"./-", -1},        {"/dev/fd/", -1}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_int_eq(ps_target_descriptor(names[i].name), names[i].fd);
    tear_down();
}
END_TEST

START_TEST(folders_and_sockets_are_refused_by_what_they_are)
{
    set_up();
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, in("socket"));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    for (int force = 0; force < 2; force++) {
        ps_new_file_options options = {.force = force};
        ck_assert_int_eq(save(folder, "x", options), PS_INVALID_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(ps_error_message(), "is a folder"));
        ck_assert_int_eq(save(in("socket"), "x", options), PS_INVALID_ARGUMENT);
    }
    (void)close(fd);
    ck_assert_int_eq(save("", "x", FORCE), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "is empty"));
    ck_assert_int_eq(save(in("no/such"), "x", FORCE), PS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "no/such: its folder does not exist"));
    ck_assert_uint_eq(count_names(false), 1);
    tear_down();
}
END_TEST

START_TEST(one_file_under_two_names_is_found_out)
{
    set_up();
    ck_ok(save(path, "x", GENTLE));
    ck_assert_int_eq(symlink("file", in("link")), 0);
    ck_assert(ps_target_same(path, in("link")));
    ck_assert(!ps_target_same(path, in("nothing")));
    ck_assert(!ps_target_same("/dev/null", "/dev/null")); /* nothing of it is overwritten */
    tear_down();
}
END_TEST

/* ---- file systems that lack something ---- */

START_TEST(names_are_given_without_renameat2_and_without_links)
{
    static const struct {
        int renameat2, link;
    } lacks[] = {{0, 0}, {EINVAL, 0}, {EINVAL, EPERM}, {ENOSYS, EOPNOTSUPP}, {EPERM, EPERM}};
    for (size_t i = 0; i < sizeof lacks / sizeof *lacks; i++) {
        set_up();
        no_renameat2 = lacks[i].renameat2;
        no_link = lacks[i].link;
        ck_ok(save(path, "x", GENTLE));
        ck_assert_int_eq(save(path, "y", GENTLE), PS_ALREADY_EXISTS);
        ps_new_file *f = NULL;
        ck_ok(ps_new_file_open(in("late"), &GENTLE, &f));
        ck_ok(save(in("late"), "first", GENTLE));
        ck_assert_int_eq(ps_new_file_finish(&f), PS_ALREADY_EXISTS);
        expect(in("late"), "first");
        ck_ok(save(path, "z", FORCE));
        expect(path, "z");
        ck_assert_uint_eq(count_names(false), 2);
        tear_down();
    }
}
END_TEST

START_TEST(a_folder_that_cannot_be_synced_is_no_failure)
{
    static const int lacks[] = {EINVAL, ENOTSUP, ENOSYS};
    set_up();
    for (size_t i = 0; i < sizeof lacks / sizeof *lacks; i++) {
        no_folder_fsync = lacks[i];
        ck_ok(save(path, "x", FORCE));
        ck_ok(ps_whole_file_save(&ps_disk_system, path, ps_slice_str("y")));
    }
    no_folder_fsync = EIO; /* that is one */
    ck_assert_int_eq(save(path, "z", FORCE), PS_IO);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "is there, but may not outlast"));
    expect(path, "z");
    no_folder_fsync = 0;
    if (geteuid() == 0) {
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(chmod(folder, 0333), 0);
        ck_assert_int_eq(seteuid(65534), 0);
        ps_status st = save(path, "blind", GENTLE);
        ck_assert_int_eq(seteuid(0), 0);
        ck_ok(st);
        expect(path, "blind");
    }
    tear_down();
}
END_TEST

static const ps_check_case tests[] = {
    {&whichever_operation_fails_the_old_file_or_the_new_one_is_there},
    {&without_force_what_is_there_stays},
    {&a_name_as_long_as_names_may_be},
    {&links_stay_and_what_they_lead_to_is_replaced},
    {&modes_are_kept_and_a_secret_stays_one},
    {&owners_are_kept_or_their_group_gets_no_more_than_others},
    {&pipes_and_devices_are_written_to_and_stay_what_they_are},
    {&a_descriptor_of_ours_is_written_to_in_order_and_patched_before},
    {&folders_and_sockets_are_refused_by_what_they_are},
    {&one_file_under_two_names_is_found_out},
    {&names_are_given_without_renameat2_and_without_links},
    {&a_folder_that_cannot_be_synced_is_no_failure},
    {0},
};

int main(void)
{
    return ps_check_main("base/new_file", tests);
}
