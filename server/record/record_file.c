/* Happy path: PATH.new is written with the head, or with what is kept of PATH, and takes its name.
 */
#include "server/record/record_file.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

struct ps_record_file {
    const ps_disk *disk;
    char *path;
    int file;
    uint64_t bytes;
};

static char *fresh_of(const char *path)
{
    return ps_asprintf("%s" PS_RECORD_FILE_FRESH, path);
}

/* Is it of the same training? */
static ps_status check_head(const ps_disk *disk, int file, ps_slice head, uint64_t position)
{
    uint64_t size;
    ps_status st = disk->size(disk->state, file, &size);
    if (st)
        return st;
    if (size < position || position < head.len)
        return ps_fail(PS_CORRUPT, "it has %llu bytes, the checkpoint counts on %llu",
                       (unsigned long long)size, (unsigned long long)position);
    uint8_t *own = ps_alloc(head.len);
    st = ps_disk_read_full(disk, file, own, head.len);
    if (!st && memcmp(own, head.data, head.len) != 0)
        st = ps_fail(PS_CORRUPT, "it is of another training");
    free(own);
    return st ? st : disk->seek(disk->state, file, 0);
}

static ps_status copy_prefix(const ps_disk *disk, const char *path, int to, ps_slice head,
                             uint64_t position)
{
    int from;
    ps_status st = disk->open(disk->state, path, PS_DISK_READ, &from);
    if (st)
        return st;
    st = check_head(disk, from, head, position);
    if (!st)
        st = ps_disk_pour(disk, from, position, ps_disk_put_end, &(ps_disk_end){disk, to});
    disk->close(disk->state, from);
    return st;
}

/* *file is open, and has its name, also after a crash. */
static ps_status take_name(const ps_disk *disk, const char *fresh, const char *path, int file)
{
    char *folder = ps_disk_folder_of(path);
    ps_status st = disk->fsync(disk->state, file);
    if (!st)
        st = disk->rename(disk->state, fresh, path);
    if (!st)
        st = disk->sync_folder(disk->state, folder);
    ps_free(&folder);
    return st;
}

/* What was written in vain takes no room: there may be none because of it. */
static ps_status give_up(const ps_disk *disk, const char *fresh, int file, ps_status st)
{
    ps_error error;
    ps_error_save(&error, st);
    disk->close(disk->state, file);
    (void)!disk->unlink(disk->state, fresh);
    return ps_error_raise(&error);
}

static ps_status begin(const ps_disk *disk, const char *path, ps_slice head, uint64_t position,
                       int *file)
{
    char *fresh = fresh_of(path);
    ps_status st = disk->unlink(disk->state, fresh);
    if (!st || st == PS_NOT_FOUND)
        st = ps_disk_create_for(disk, fresh, path, file);
    if (!st) {
        st = position ? copy_prefix(disk, path, *file, head, position)
                      : ps_disk_write_all(disk, *file, head.data, head.len);
        if (!st)
            st = take_name(disk, fresh, path, *file);
        if (st)
            st = give_up(disk, fresh, *file, st);
    }
    ps_free(&fresh);
    return st;
}

ps_status ps_record_file_open(const ps_disk *disk, const char *path, ps_slice head,
                              uint64_t position, ps_record_file **out)
{
    int file;
    ps_status st = begin(disk, path, head, position, &file);
    if (st)
        return ps_wrap(st, "record %s", path);
    ps_record_file *f = ps_new(ps_record_file);
    *f = (ps_record_file){.disk = disk,
                          .path = ps_strdup(path),
                          .file = file,
                          .bytes = position ? position : head.len};
    *out = f;
    return PS_OK;
}

ps_status ps_record_file_remove(const ps_disk *disk, const char *path)
{
    char *fresh = fresh_of(path);
    ps_status st = disk->unlink(disk->state, fresh);
    if (!st || st == PS_NOT_FOUND)
        st = disk->unlink(disk->state, path);
    ps_free(&fresh);
    return st == PS_NOT_FOUND ? PS_OK : st;
}

void ps_record_file_close(ps_record_file **file)
{
    ps_record_file *f = *file;
    if (!f)
        return;
    f->disk->close(f->disk->state, f->file);
    free(f->path);
    ps_free(file);
}

uint64_t ps_record_file_bytes(const ps_record_file *file)
{
    return file->bytes;
}

ps_status ps_record_file_append(ps_record_file *f, ps_slice bytes)
{
    ps_status st = ps_disk_write_all(f->disk, f->file, bytes.data, bytes.len);
    if (st)
        return ps_wrap(st, "record %s", f->path);
    f->bytes += bytes.len;
    return PS_OK;
}

ps_status ps_record_file_sync(ps_record_file *f)
{
    ps_status st = f->disk->fsync(f->disk->state, f->file);
    return st ? ps_wrap(st, "record %s", f->path) : PS_OK;
}
