#include "tests/lib/fault_disk.h"

static bool fails(fault_disk *d)
{
    return fault_strikes(&d->fails);
}

#define FAIL_HERE(d, what) \
    if (fails(d))          \
    return ps_fail(PS_IO, what ": failed on purpose")

static ps_status fault_open(void *state, const char *path, ps_disk_mode mode, int *file)
{
    FAIL_HERE(state, "open");
    return ps_disk_system.open(NULL, path, mode, file);
}

static void fault_close(void *state, int file)
{
    fault_disk *d = state;
    if (d->broken_file == file)
        d->broken_file = -1;
    d->closed_unsynced += d->dirty[file];
    d->dirty[file] = false;
    ps_disk_system.close(NULL, file);
}

static ps_status fault_write(void *state, int file, const void *data, size_t len, size_t *written)
{
    fault_disk *d = state;
    FAIL_HERE(d, "write");
    if (d->room == 0)
        return ps_fail(PS_NO_SPACE, "write: no space left on device");
    if (d->write_most && len > d->write_most)
        len = d->write_most;
    if (len > d->room)
        len = (size_t)d->room;
    ps_status st = ps_disk_system.write(NULL, file, data, len, written);
    d->dirty[file] = true;
    if (!st && d->room != UINT64_MAX)
        d->room -= *written;
    return st;
}

static ps_status fault_read(void *state, int file, void *data, size_t len, size_t *got)
{
    FAIL_HERE(state, "read");
    return ps_disk_system.read(NULL, file, data, len, got);
}

static ps_status fault_seek(void *state, int file, uint64_t at)
{
    FAIL_HERE(state, "seek");
    return ps_disk_system.seek(NULL, file, at);
}

static ps_status fault_size(void *state, int file, uint64_t *out)
{
    FAIL_HERE(state, "stat");
    return ps_disk_system.size(NULL, file, out);
}

static ps_status fault_fsync(void *state, int file)
{
    fault_disk *d = state;
    if (d->broken_file == file)
        d->fsyncs_after_error++;
    if (fails(d)) {
        d->fsync_errors++;
        d->broken_file = file;
        return ps_fail(PS_IO, "fsync: failed on purpose");
    }
    d->dirty[file] = false;
    return ps_disk_system.fsync(NULL, file);
}

static ps_status fault_own(void *state, int file, const ps_disk_owner *owner)
{
    FAIL_HERE(state, "chmod");
    return ps_disk_system.own(NULL, file, owner);
}

static ps_status fault_rename_new(void *state, const char *from, const char *to)
{
    FAIL_HERE(state, "rename");
    return ps_disk_system.rename_new(NULL, from, to);
}

static ps_status fault_rename(void *state, const char *from, const char *to)
{
    FAIL_HERE(state, "rename");
    return ps_disk_system.rename(NULL, from, to);
}

static ps_status fault_unlink(void *state, const char *path)
{
    FAIL_HERE(state, "remove");
    return ps_disk_system.unlink(NULL, path);
}

static ps_status fault_mkdir(void *state, const char *path)
{
    FAIL_HERE(state, "make folder");
    return ps_disk_system.mkdir(NULL, path);
}

static ps_status fault_rmdir(void *state, const char *path)
{
    FAIL_HERE(state, "remove folder");
    return ps_disk_system.rmdir(NULL, path);
}

static ps_status fault_list(void *state, const char *path,
                            void (*each)(void *user, const char *name), void *user)
{
    return ps_disk_system.list(NULL, path, each, user);
}

static ps_status fault_sync_folder(void *state, const char *path)
{
    FAIL_HERE(state, "fsync folder");
    return ps_disk_system.sync_folder(NULL, path);
}

static ps_status fault_free_space(void *state, const char *path, uint64_t *bytes)
{
    fault_disk *d = state;
    if (!d->free_bytes)
        return ps_disk_system.free_space(NULL, path, bytes);
    *bytes = d->free_bytes;
    return PS_OK;
}

ps_disk fault_disk_table(fault_disk *state)
{
    *state = (fault_disk){.room = UINT64_MAX, .broken_file = -1};
    return (ps_disk){
        .open = fault_open,
        .close = fault_close,
        .write = fault_write,
        .read = fault_read,
        .seek = fault_seek,
        .size = fault_size,
        .fsync = fault_fsync,
        .own = fault_own,
        .rename = fault_rename,
        .rename_new = fault_rename_new,
        .unlink = fault_unlink,
        .mkdir = fault_mkdir,
        .rmdir = fault_rmdir,
        .list = fault_list,
        .sync_folder = fault_sync_folder,
        .free_space = fault_free_space,
        .state = state,
    };
}
