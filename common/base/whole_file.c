/* Happy path: a new temporary file, the caller's bytes, fsync, rename, fsync of the folder.
 * Whatever fails before the rename costs the temporary file only. */
#include "common/base/whole_file.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <string.h>

/* A name beside another is that name, so far as it leaves room for what is added, and 8 letters. */
enum { NAME_MOST = 200, TRIES = 100 };

struct ps_whole_file {
    const ps_disk *disk;
    char *temporary;
    int file;
};

static ps_whole_file *new_file(const ps_disk *disk, const char *temporary, int file)
{
    ps_whole_file *f = ps_new(ps_whole_file);
    *f = (ps_whole_file){.disk = disk, .temporary = ps_strdup(temporary), .file = file};
    return f;
}

ps_status ps_whole_file_open(const ps_disk *disk, const char *temporary, const char *path,
                             ps_whole_file **out)
{
    int file;
    ps_status st = disk->unlink(disk->state, temporary); /* of a crash */
    if (!st || st == PS_NOT_FOUND)
        st = ps_disk_create_for(disk, temporary, path, &file);
    if (!st)
        *out = new_file(disk, temporary, file);
    return st;
}

static char *name_beside(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash + 1 - path) : 0, name = strlen(path) - folder;
    return ps_asprintf("%.*s.%08x", (int)(folder + (name < NAME_MOST ? name : NAME_MOST)), path,
                       (unsigned)ps_rng_entropy());
}

ps_status ps_whole_file_open_beside(const ps_disk *disk, const char *path, ps_disk_mode mode,
                                    ps_whole_file **out)
{
    ps_status st = PS_ALREADY_EXISTS;
    for (int i = 0; i < TRIES && st == PS_ALREADY_EXISTS; i++) {
        char *temporary = name_beside(path);
        int file;
        st = disk->open(disk->state, temporary, mode, &file);
        if (!st)
            *out = new_file(disk, temporary, file);
        ps_free(&temporary);
    }
    return st;
}

int ps_whole_file_handle(const ps_whole_file *f)
{
    return f->file;
}

const char *ps_whole_file_temporary(const ps_whole_file *f)
{
    return f->temporary;
}

static ps_status sync_file(const ps_whole_file *f, const char *name)
{
    ps_status st = f->disk->fsync(f->disk->state, f->file);
    return st ? ps_wrap(st, "%s", name) : PS_OK;
}

static void free_file(ps_whole_file **file)
{
    ps_free(&(*file)->temporary);
    ps_free(file);
}

static void close_file(const ps_whole_file *f)
{
    f->disk->close(f->disk->state, f->file);
}

static ps_status rename_to(const ps_disk *disk, const char *from, const char *to, bool replace)
{
    return (replace ? disk->rename : disk->rename_new)(disk->state, from, to);
}

static ps_status sync_folder_of(const ps_disk *disk, const char *path)
{
    char *folder = ps_disk_folder_of(path);
    ps_status st = disk->sync_folder(disk->state, folder);
    ps_free(&folder);
    return st ? ps_wrap(st, "%s is there, but may not outlast a power failure", path) : PS_OK;
}

ps_status ps_whole_file_place(ps_whole_file **file, const char *path, bool replace)
{
    const ps_disk *disk = (*file)->disk;
    ps_status st = sync_file(*file, path);
    if (!st)
        st = rename_to(disk, (*file)->temporary, path, replace);
    if (st) {
        ps_whole_file_drop(file);
        return st;
    }
    close_file(*file);
    free_file(file);
    return sync_folder_of(disk, path);
}

ps_status ps_whole_file_keep(ps_whole_file **file)
{
    ps_status st = sync_file(*file, (*file)->temporary);
    if (st) {
        ps_whole_file_drop(file);
        return st;
    }
    close_file(*file);
    free_file(file);
    return PS_OK;
}

void ps_whole_file_drop(ps_whole_file **file)
{
    const ps_whole_file *f = *file;
    if (!f)
        return;
    ps_error before; /* of whoever gives up */
    ps_error_save(&before, PS_UNKNOWN);
    close_file(f);
    if (f->disk->unlink(f->disk->state, f->temporary))
        ps_log_warning("files", "no longer needed, but stays: %s", ps_error_message());
    free_file(file);
    (void)ps_error_raise(&before);
}

ps_status ps_whole_file_save(const ps_disk *disk, const char *path, ps_slice bytes)
{
    char *temporary = ps_asprintf("%s.tmp", path);
    ps_whole_file *f = NULL;
    ps_status st = ps_whole_file_open(disk, temporary, path, &f);
    ps_free(&temporary);
    if (st)
        return st;
    st = ps_disk_write_all(disk, f->file, bytes.data, bytes.len);
    if (!st)
        return ps_whole_file_place(&f, path, true);
    ps_whole_file_drop(&f);
    return ps_wrap(st, "%s", path);
}

ps_status ps_whole_file_name(const ps_disk *disk, const char *from, const char *to, bool replace)
{
    ps_status st = rename_to(disk, from, to, replace);
    return st ? st : sync_folder_of(disk, to);
}
