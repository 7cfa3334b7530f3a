/* Happy path: a line is one write, and its hash the head. A full disk or a short write costs that
 * line only: what was cut is ended by the newline that starts the next one. */
#include "server/guard/audit_file.h"

#include "common/base/disk.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGITS = 12 };

struct ps_audit_file {
    char *path;
    int fd;
    bool regular;
    bool cut; /* the last write was short, or it was found so: start with a newline */
    uint64_t bytes, most, full; /* full: it is at so many, most or later */
    ps_audit_head head;
};

/* Non-blocking, for a pipe or a terminal that nobody reads: calls must not stand still for it, and
 * open makes an open file of its own, so that nobody else notices. */
static ps_status open_fd(const char *path, int *out)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0 && errno == ENXIO)
        return ps_fail(PS_FAILED_PRECONDITION, "audit log %s: a pipe that nobody reads", path);
    if (fd < 0)
        return ps_fail_errno(errno, "audit log %s", path);
    *out = fd;
    return PS_OK;
}

/* The last line of a chain among these bytes, which the next one follows; none where there is none.
 * whole: they begin with a line, and not with a part of one. */
static ps_audit_head last_of_bytes(const uint8_t *bytes, ssize_t n, bool whole)
{
    ps_audit_head head = ps_audit_head_none();
    char prev[PS_DIGEST_TEXT];
    const bool cut = n > 0 && bytes[n - 1] != '\n';
    for (ssize_t end = n - !cut, begin = end; end > 0 && !head.seq; end = begin - 1, begin = end) {
        while (begin > 0 && bytes[begin - 1] != '\n')
            begin--;
        ps_slice line = ps_slice_of(bytes + begin, (size_t)(end - begin));
        uint64_t seq;
        if ((begin > 0 || whole) && !ps_audit_line_read(line, &seq, prev)) {
            head.seq = seq - 1;
            ps_audit_head_advance(&head, line);
        }
    }
    return head;
}

/* Likewise among the file's last. Mostly it is the very last, but a machine that lost its power may
 * have left zeros of any number behind it. *cut: the file does not end with a newline. */
static ps_audit_head read_head(const char *path, bool *cut)
{
    enum { TAIL = 4 * PS_AUDIT_LINE_MOST, TAIL_MOST = 64 << 20 };
    ps_audit_head head = ps_audit_head_none();
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1, from = size;
    *cut = false;
    for (off_t most = TAIL; from > 0 && !head.seq && most <= TAIL_MOST; most *= 4) {
        from = size > most ? size - most : 0;
        uint8_t *tail = ps_alloc((size_t)(size - from));
        ssize_t n = pread(fd, tail, (size_t)(size - from), from);
        *cut = n > 0 && tail[n - 1] != '\n';
        head = last_of_bytes(tail, n, !from);
        ps_free(&tail);
    }
    if (fd >= 0)
        (void)close(fd);
    return head;
}

/* ---- the full ones ---- */

static const char *last_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Is it PATH.123456789012? */
static bool is_full_one(const char *path, const char *other)
{
    const char *base = last_of(path), *name = last_of(other);
    const size_t len = strlen(base);
    if (strncmp(name, base, len) != 0 || name[len] != '.')
        return false;
    const char *number = name + len + 1;
    return strlen(number) >= DIGITS && strspn(number, "0123456789") == strlen(number);
}

typedef struct full_ones {
    const char *path;
    char **names;
    size_t n, room;
} full_ones;

static ps_status add_name(void *user, const char *name)
{
    full_ones *all = user;
    if (!is_full_one(all->path, name))
        return PS_OK;
    if (all->n == all->room) {
        all->room = all->room ? 2 * all->room : 16;
        all->names = ps_realloc(all->names, all->room * sizeof *all->names);
    }
    all->names[all->n++] = ps_strdup(name);
    return PS_OK;
}

/* Longer numbers are greater ones. */
static int by_number(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    size_t m = strlen(x), n = strlen(y);
    return m != n ? (m > n) - (m < n) : strcmp(x, y);
}

static full_ones find_full_ones(const char *path)
{
    full_ones all = {.path = path};
    char *folder = ps_disk_folder_of(path);
    if (ps_disk_each(&ps_disk_system, folder, add_name, &all))
        ps_log_warning("audit", "%s", ps_error_message());
    ps_free(&folder);
    if (all.n)
        qsort(all.names, all.n, sizeof *all.names, by_number);
    return all;
}

static void free_full_ones(full_ones *all)
{
    for (size_t i = 0; i < all->n; i++)
        ps_free(&all->names[i]);
    ps_free(&all->names);
}

void ps_audit_file_tidy(const char *path, unsigned keep)
{
    if (!keep)
        return;
    full_ones all = find_full_ones(path);
    for (size_t i = 0; i + keep < all.n; i++)
        if (unlink(all.names[i]))
            ps_log_warning("audit", "%s: %s", all.names[i], strerror(errno));
    free_full_ones(&all);
}

/* ---- open ---- */

/* A file without a line of the chain goes on where the last full one ended. */
static void find_head(ps_audit_file *f)
{
    bool other;
    f->head = read_head(f->path, &f->cut);
    full_ones all = f->head.seq || !f->regular ? (full_ones){0} : find_full_ones(f->path);
    for (size_t i = all.n; i-- > 0 && !f->head.seq;)
        f->head = read_head(all.names[i], &other);
    free_full_ones(&all);
}

static void take_fd(ps_audit_file *f, int fd)
{
    struct stat s;
    f->fd = fd;
    f->regular = fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
    f->bytes = f->regular ? (uint64_t)s.st_size : 0;
    f->full = f->most;
}

ps_status ps_audit_file_open(const char *path, uint64_t most, ps_audit_file **out)
{
    int fd = -1;
    ps_status st = open_fd(path, &fd);
    if (st)
        return st;
    ps_audit_file *f = *out = ps_new(ps_audit_file);
    f->path = ps_strdup(path);
    f->most = most;
    take_fd(f, fd);
    find_head(f);
    return PS_OK;
}

void ps_audit_file_close(ps_audit_file **file)
{
    if (!*file)
        return;
    (void)close((*file)->fd);
    ps_free(&(*file)->path);
    ps_free(file);
}

ps_status ps_audit_file_reopen(ps_audit_file *f)
{
    int fd = -1;
    ps_status st = open_fd(f->path, &fd);
    if (st)
        return st;
    (void)close(f->fd);
    take_fd(f, fd);
    (void)read_head(f->path, &f->cut); /* the chain goes on from what was written last */
    return PS_OK;
}

const ps_audit_head *ps_audit_file_head(const ps_audit_file *file)
{
    return &file->head;
}

/* ---- append ---- */

int ps_audit_file_append(ps_audit_file *f, const ps_buf *line)
{
    PS_REQUIRE(line->len > 0 && line->data[line->len - 1] == '\n'); /* one write, one line */
    ps_buf ended = PS_BUF_EMPTY;
    const ps_buf *all = line;
    if (f->cut) {
        ps_buf_putc(&ended, '\n');
        ps_buf_append(&ended, line->data, line->len);
        all = &ended;
    }
    ssize_t n;
    do
        n = write(f->fd, all->data, all->len);
    while (n < 0 && errno == EINTR);
    int error = n < 0 ? errno : n < (ssize_t)all->len ? ENOSPC : 0;
    if (n > 0) {
        f->cut = error != 0;
        f->bytes += (uint64_t)n;
    }
    if (!error) /* one that was cut is none */
        ps_audit_head_advance(&f->head, ps_slice_of(line->data, line->len - 1));
    ps_buf_free(&ended);
    return error;
}

bool ps_audit_file_is_full(const ps_audit_file *f, size_t bytes)
{
    return f->regular && f->full && f->bytes && f->bytes + bytes > f->full;
}

/* Its new name is free, or somebody has put something there that is not ours. What cannot begin
 * anew goes on. */
static ps_status turn(ps_audit_file *f)
{
    const ps_disk *disk = &ps_disk_system;
    char *name = ps_asprintf("%s.%0*" PRIu64, f->path, DIGITS, f->head.seq);
    int fd = -1;
    ps_status st = disk->rename_new(disk->state, f->path, name);
    if (!st && (st = open_fd(f->path, &fd)))
        (void)rename(name, f->path);
    ps_free(&name);
    if (st)
        return st;
    (void)close(f->fd);
    take_fd(f, fd);
    f->cut = false;
    return PS_OK;
}

bool ps_audit_file_turn(ps_audit_file *f)
{
    ps_error callers;
    ps_error_save(&callers, PS_INTERNAL);
    ps_status st = turn(f);
    if (st) {
        f->full = f->bytes + f->most / 16;
        ps_log_warning("audit", "%s stays one file: %s", f->path, ps_error_message());
    }
    (void)!ps_error_raise(&callers);
    return !st;
}

/* ---- on the disk ---- */

int ps_audit_file_again(const ps_audit_file *file)
{
    return fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
}

/* A pipe, a terminal, some file systems know no fsync. */
int ps_audit_file_sync(int again)
{
    if (again < 0)
        return EMFILE;
    int error = fdatasync(again) ? errno : 0;
    (void)close(again);
    return error == EINVAL || error == EROFS || error == ENOTSUP ? 0 : error;
}
