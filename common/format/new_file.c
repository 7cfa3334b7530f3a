/* Happy path: mkostemp beside the path, writes, fsync, link or rename, fsync of the folder. It
 * fails as the system calls do, with the path; the temporary file is removed then. */
#include "common/format/new_file.h"

#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct ps_new_file {
    char *path, *temporary;
    int fd;
    bool force;
    uint64_t bytes;
};

static ps_status exists(const char *path)
{
    return ps_fail(PS_ALREADY_EXISTS, "%s is there already; --force overwrites it", path);
}

ps_status ps_new_file_open(const char *path, bool force, ps_new_file **out)
{
    if (!force && access(path, F_OK) == 0)
        return exists(path);
    char *temporary = ps_asprintf("%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        ps_status st = ps_fail_errno(errno, "%s", path);
        ps_free(&temporary);
        return st;
    }
    mode_t mask = umask(0);
    (void)umask(mask);
    (void)fchmod(fd, 0666 & ~mask); /* what open() would have made of it */
    *out = ps_new(ps_new_file);
    **out =
        (ps_new_file){.path = ps_strdup(path), .temporary = temporary, .fd = fd, .force = force};
    return PS_OK;
}

/* at: UINT64_MAX is where the last write ended. */
static ps_status write_all(const ps_new_file *f, uint64_t at, const uint8_t *data, size_t len)
{
    while (len) {
        ssize_t n =
            at == UINT64_MAX ? write(f->fd, data, len) : pwrite(f->fd, data, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ps_fail_errno(errno, "%s", f->path);
        data += n;
        len -= (size_t)n;
        if (at != UINT64_MAX)
            at += (uint64_t)n;
    }
    return PS_OK;
}

ps_status ps_new_file_write(ps_new_file *f, const void *data, size_t len)
{
    ps_status st = write_all(f, UINT64_MAX, data, len);
    if (!st)
        f->bytes += len;
    return st;
}

ps_status ps_new_file_overwrite(ps_new_file *f, uint64_t at, const void *data, size_t len)
{
    return write_all(f, at, data, len);
}

uint64_t ps_new_file_bytes(const ps_new_file *f)
{
    return f->bytes;
}

/* The name is in the folder's own data. */
static ps_status sync_folder(const char *path)
{
    char *copy = ps_strdup(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ps_status st = PS_OK;
    if (fd < 0 || fsync(fd) != 0)
        st = ps_fail_errno(errno, "the folder of %s", path);
    if (fd >= 0)
        (void)close(fd);
    ps_free(&copy);
    return st;
}

static ps_status place(const ps_new_file *f)
{
    if (fsync(f->fd) != 0)
        return ps_fail_errno(errno, "%s", f->path);
    int bad = renameat2(AT_FDCWD, f->temporary, AT_FDCWD, f->path, f->force ? 0 : RENAME_NOREPLACE);
    if (bad && errno == EINVAL) /* a file system that cannot tell in one step */
        bad = f->force ? rename(f->temporary, f->path) : link(f->temporary, f->path);
    if (bad && errno == EEXIST)
        return exists(f->path);
    if (bad)
        return ps_fail_errno(errno, "%s", f->path);
    return sync_folder(f->path);
}

ps_status ps_new_file_finish(ps_new_file **file)
{
    ps_status st = place(*file);
    ps_new_file_drop(file);
    return st;
}

void ps_new_file_drop(ps_new_file **file)
{
    ps_new_file *f = *file;
    if (!f)
        return;
    (void)close(f->fd);
    (void)unlink(f->temporary); /* gone already when it was renamed */
    ps_free(&f->temporary);
    ps_free(&f->path);
    ps_free(file);
}
