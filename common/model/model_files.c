/* Happy path: the system's files as regular_file has them, a row's by its own functions. */
#include "common/model/model_files.h"

#include "common/base/elsewhere.h"
#include "common/format/regular_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ps_status open_of(const ps_disk *disk, const char *path, int *file, uint64_t *size)
{
    ps_status st = disk->open(disk->state, path, PS_DISK_READ, file);
    if (st)
        return st;
    st = disk->size(disk->state, *file, size);
    if (st)
        disk->close(disk->state, *file);
    return st;
}

bool ps_model_file_there(const ps_disk *disk, const char *path)
{
    int file = -1;
    uint64_t size;
    if (!disk)
        return access(path, F_OK) == 0;
    ps_status st = open_of(disk, path, &file, &size);
    if (!st)
        ps_model_file_close(disk, file);
    return st != PS_NOT_FOUND; /* one that does not open is there, and whoever reads it says so */
}

ps_status ps_model_file_kind(const ps_disk *disk, const char *path, bool *folder)
{
    struct stat about;
    *folder = false;
    if (stat(path, &about) == 0) {
        *folder = S_ISDIR(about.st_mode);
        return PS_OK;
    }
    int error = errno;
    return disk && ps_model_file_there(disk, path)
               ? PS_OK
               : ps_elsewhere(path, ps_fail_errno(error, "%s", path));
}

ps_status ps_model_input_open(const ps_disk *disk, const char *path, int *file, uint64_t *size)
{
    return disk ? open_of(disk, path, file, size) : ps_regular_open(path, file, size);
}

ps_status ps_model_file_read(const ps_disk *disk, int file, const char *path, uint64_t at,
                             void *out, size_t len)
{
    if (!disk)
        return ps_regular_read(file, path, at, out, len);
    ps_status st = disk->seek(disk->state, file, at);
    if (!st)
        st = ps_disk_read_full(disk, file, out, len);
    return st ? ps_wrap(st, "%s", path) : PS_OK;
}

void ps_model_file_close(const ps_disk *disk, int file)
{
    disk = disk ? disk : &ps_disk_system;
    disk->close(disk->state, file);
}
