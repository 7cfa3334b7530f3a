/* The row of the real file system, and what is built from the table alone. Failures are errno's,
 * with the path where there is one. */
#include "common/base/disk.h"

#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The kernel takes pages for its cache as large as what a call brings. Large free ones are those
 * that a virtual machine's host has taken back, and filling one takes up to ten times as long. */
enum { READ_STEP = 65536, WRITE_MOST = 256 << 10, FLUSH_STEP = 8 << 20 };

/* A file that came in a folder of somebody else's may be a pipe with nobody at its other end, or a
 * link to a terminal: those are not waited for. What the user has named is: a shell's pipe without
 * a name, or a terminal. */
static bool is_users(const char *path)
{
    return !strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6);
}

static ps_status check_pipe(int fd, const char *path)
{
    struct stat about;
    struct statfs where;
    bool pipe = fstat(fd, &about) == 0 && S_ISFIFO(about.st_mode);
    if (pipe && (!is_users(path) || fstatfs(fd, &where) != 0 || where.f_type != PIPEFS_MAGIC))
        return ps_fail(PS_INVALID_ARGUMENT, "open %s: it is a pipe, not a file", path);
    if (is_users(path))
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return PS_OK;
}

static ps_status system_open(void *state, const char *path, ps_disk_mode mode, int *file)
{
    static const int flags[] = {
        [PS_DISK_READ] = O_RDONLY | O_NOCTTY | O_NONBLOCK,
        [PS_DISK_CREATE] = O_WRONLY | O_CREAT | O_EXCL,
        [PS_DISK_CREATE_OPEN] = O_WRONLY | O_CREAT | O_EXCL,
    };
    int fd = open(path, flags[mode] | O_CLOEXEC, mode == PS_DISK_CREATE_OPEN ? 0666 : 0600);
    if (fd < 0)
        return ps_fail_errno(errno, "open %s", path);
    ps_status st = mode == PS_DISK_READ ? check_pipe(fd, path) : PS_OK;
    if (st)
        (void)close(fd);
    else
        *file = fd;
    return st;
}

static void system_close(void *state, int file)
{
    (void)close(file);
}

/* Of a file that grows, each step of bytes goes to the disk once it is whole: the disk works while
 * the rest is computed, and the fsync at the end has little left. A hint: fails unheard. */
static void begin_flush(int file, size_t written)
{
    off_t end = lseek(file, 0, SEEK_CUR), whole = end / FLUSH_STEP;
    if (end >= 0 && (end - (off_t)written) / FLUSH_STEP != whole)
        (void)sync_file_range(file, (whole - 1) * FLUSH_STEP, FLUSH_STEP, SYNC_FILE_RANGE_WRITE);
}

static ps_status system_write(void *state, int file, const void *data, size_t len, size_t *written)
{
    ssize_t n;
    do {
        n = write(file, data, len < WRITE_MOST ? len : WRITE_MOST);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return ps_fail_errno(errno, "write");
    begin_flush(file, (size_t)n);
    *written = (size_t)n;
    return PS_OK;
}

static ps_status system_read(void *state, int file, void *data, size_t len, size_t *got)
{
    ssize_t n;
    do {
        n = read(file, data, len);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return ps_fail_errno(errno, "read");
    *got = (size_t)n;
    return PS_OK;
}

static ps_status system_seek(void *state, int file, uint64_t at)
{
    return lseek(file, (off_t)at, SEEK_SET) < 0 ? ps_fail_errno(errno, "seek") : PS_OK;
}

static ps_status system_size(void *state, int file, uint64_t *out)
{
    struct stat st;
    if (fstat(file, &st) != 0)
        return ps_fail_errno(errno, "stat");
    *out = (uint64_t)st.st_size;
    return PS_OK;
}

static ps_status system_fsync(void *state, int file)
{
    return fsync(file) == 0 ? PS_OK : ps_fail_errno(errno, "fsync");
}

static ps_status system_own(void *state, int file, const ps_disk_owner *owner)
{
    unsigned mode = owner->mode;
    if (fchown(file, owner->user, owner->group) != 0 &&
        fchown(file, PS_DISK_SAME, owner->group) != 0)
        mode = (mode & 0707) | (mode & mode << 3 & 070);
    return fchmod(file, mode) == 0 ? PS_OK : ps_fail_errno(errno, "chmod");
}

static ps_status system_rename(void *state, const char *from, const char *to)
{
    return rename(from, to) == 0 ? PS_OK : ps_fail_errno(errno, "rename %s to %s", from, to);
}

/* Three ways, each for file systems that lack the ones before. The last leaves an empty file for a
 * moment, which is ours: nobody else could make it. */
static int take_name(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EEXIST)
        return EEXIST;
    if (link(from, to) == 0)
        return unlink(from) == 0 ? 0 : errno;
    if (errno == EEXIST)
        return EEXIST;
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    (void)close(fd);
    if (rename(from, to) == 0)
        return 0;
    int error = errno;
    (void)unlink(to);
    return error;
}

static ps_status system_rename_new(void *state, const char *from, const char *to)
{
    int error = take_name(from, to);
    return error ? ps_fail_errno(error, "rename %s to %s", from, to) : PS_OK;
}

static ps_status system_unlink(void *state, const char *path)
{
    return unlink(path) == 0 ? PS_OK : ps_fail_errno(errno, "remove %s", path);
}

static ps_status system_mkdir(void *state, const char *path)
{
    return mkdir(path, 0700) == 0 ? PS_OK : ps_fail_errno(errno, "make folder %s", path);
}

static ps_status system_rmdir(void *state, const char *path)
{
    return rmdir(path) == 0 ? PS_OK : ps_fail_errno(errno, "remove folder %s", path);
}

static ps_status system_list(void *state, const char *path,
                             void (*each)(void *user, const char *name), void *user)
{
    DIR *dir = opendir(path);
    if (!dir)
        return ps_fail_errno(errno, "open folder %s", path);
    const struct dirent *entry;
    for (errno = 0; (entry = readdir(dir)); errno = 0)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(user, entry->d_name);
    int error = errno;
    (void)closedir(dir);
    return error ? ps_fail_errno(error, "read folder %s", path) : PS_OK;
}

/* What says "not here" is not what says "it failed". */
static bool knows_no_fsync(int error)
{
    return error == EINVAL || error == ENOTSUP || error == ENOSYS || error == EROFS ||
           error == EBADF;
}

static ps_status system_sync_folder(void *state, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? PS_OK : ps_fail_errno(errno, "open folder %s", path);
    int error = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return error && !knows_no_fsync(error) ? ps_fail_errno(error, "fsync folder %s", path) : PS_OK;
}

static ps_status system_free_space(void *state, const char *path, uint64_t *bytes)
{
    struct statvfs fs;
    if (statvfs(path, &fs) != 0)
        return ps_fail_errno(errno, "free space of %s", path);
    *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return PS_OK;
}

const ps_disk ps_disk_system = {
    .open = system_open,
    .close = system_close,
    .write = system_write,
    .read = system_read,
    .seek = system_seek,
    .size = system_size,
    .fsync = system_fsync,
    .own = system_own,
    .rename = system_rename,
    .rename_new = system_rename_new,
    .unlink = system_unlink,
    .mkdir = system_mkdir,
    .rmdir = system_rmdir,
    .list = system_list,
    .sync_folder = system_sync_folder,
    .free_space = system_free_space,
};

ps_status ps_disk_create_for(const ps_disk *disk, const char *path, const char *to, int *file)
{
    return disk->create_for ? disk->create_for(disk->state, path, to, file)
                            : disk->open(disk->state, path, PS_DISK_CREATE, file);
}

ps_status ps_disk_write_all(const ps_disk *disk, int file, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len) {
        size_t written = 0;
        ps_status st = disk->write(disk->state, file, at, len, &written);
        if (st)
            return st;
        if (written == 0)
            return ps_fail(PS_IO, "write: nothing was written");
        at += written;
        len -= written;
    }
    return PS_OK;
}

ps_status ps_disk_read_most(const ps_disk *disk, int file, void *data, size_t room, size_t *got)
{
    size_t one = 1;
    ps_status st = PS_OK;
    for (*got = 0; !st && one && *got < room; *got += st ? 0 : one)
        st = disk->read(disk->state, file, (uint8_t *)data + *got, room - *got, &one);
    return st;
}

ps_status ps_disk_read_full(const ps_disk *disk, int file, void *data, size_t len)
{
    uint8_t *at = data;
    while (len) {
        size_t got = 0;
        ps_status st = disk->read(disk->state, file, at, len, &got);
        if (st)
            return st;
        if (got == 0)
            return ps_fail(PS_CORRUPT, "the file ends %zu bytes early", len);
        at += got;
        len -= got;
    }
    return PS_OK;
}

ps_status ps_disk_mkdir_if_missing(const ps_disk *disk, const char *path)
{
    ps_status st = disk->mkdir(disk->state, path);
    return st == PS_ALREADY_EXISTS ? PS_OK : st;
}

char *ps_disk_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ps_strdup(".");
    return ps_asprintf("%.*s", slash == path ? 1 : (int)(slash - path), path);
}

typedef struct names {
    char **list;
    size_t n, capacity;
} names;

static void collect(void *user, const char *name)
{
    names *found = user;
    if (found->n == found->capacity) {
        found->capacity = found->capacity ? 2 * found->capacity : 16;
        found->list = ps_realloc(found->list, found->capacity * sizeof *found->list);
    }
    found->list[found->n++] = ps_strdup(name);
}

ps_status ps_disk_each(const ps_disk *disk, const char *path, ps_disk_visit visit, void *user)
{
    names found = {0};
    ps_status st = disk->list(disk->state, path, collect, &found);
    for (size_t i = 0; i < found.n; i++) {
        char *one = ps_asprintf("%s/%s", path, found.list[i]);
        if (!st)
            st = visit(user, one);
        ps_free(&one);
        ps_free(&found.list[i]);
    }
    ps_free(&found.list);
    return st;
}

ps_status ps_disk_pour(const ps_disk *disk, int file, uint64_t bytes, ps_disk_put put, void *to)
{
    enum { PIECE = 1 << 20 };
    uint8_t *piece = ps_try_alloc_raw(PIECE);
    size_t got = 1;
    ps_status st = piece ? PS_OK : ps_fail(PS_NO_MEMORY, "no memory for a mebibyte");
    while (!st && bytes && got) {
        size_t want = bytes < PIECE ? (size_t)bytes : PIECE;
        st = disk->read(disk->state, file, piece, want, &got);
        if (!st && got)
            st = put(to, piece, got);
        else if (!st && bytes != UINT64_MAX)
            st = ps_fail(PS_CORRUPT, "the file ends %llu bytes too early",
                         (unsigned long long)bytes);
        bytes -= bytes == UINT64_MAX ? 0 : got;
    }
    if (piece)
        ps_wipe(piece, PIECE);
    ps_free(&piece);
    return st;
}

ps_status ps_disk_put_end(void *to, const void *bytes, size_t len)
{
    const ps_disk_end *end = to;
    return ps_disk_write_all(end->disk, end->file, bytes, len);
}

ps_status ps_disk_read_file(const ps_disk *disk, const char *path, size_t limit, ps_buf *out)
{
    int file;
    ps_status st = disk->open(disk->state, path, PS_DISK_READ, &file);
    if (st)
        return st;
    uint8_t *step = ps_alloc(READ_STEP);
    size_t before = out->len, got;
    do {
        got = 0;
        st = disk->read(disk->state, file, step, READ_STEP, &got);
        if (!st && got > limit - (out->len - before))
            st = ps_fail(PS_RESOURCE_EXHAUSTED, "more than %zu bytes", limit);
        if (!st)
            ps_buf_append(out, step, got);
    } while (!st && got);
    free(step);
    disk->close(disk->state, file);
    if (!st)
        return PS_OK;
    out->len = before;
    return ps_wrap(st, "%s", path);
}
