/* Happy path: find what the path means, create a file beside it, writes, fsync, rename, fsync of
 * the folder. It fails as the disk's calls do, with the path; the temporary file is removed then.
 * For a stream that has to be patched, the bytes wait in a spool until all are there. */
#include "common/base/new_file.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/base/spool.h"
#include "common/base/target.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The temporary name is the name, so far as that leaves room for what is added, and 8 letters. */
enum { NAME_MOST = 200, TRIES = 100 };

struct ps_new_file {
    char *given; /* for messages */
    ps_target target;
    ps_new_file_options options;
    const ps_disk *disk;
    char *temporary; /* NULL: a stream's */
    int file;        /* -1: none */
    uint64_t bytes;
};

static ps_status exists(const char *path)
{
    return ps_fail(PS_ALREADY_EXISTS, "%s is there already; --force overwrites it", path);
}

static ps_status said(const ps_new_file *f, ps_status st)
{
    return st && !strstr(ps_error_message(), f->given) ? ps_wrap(st, "%s", f->given) : st;
}

static char *name_beside(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash + 1 - path) : 0, name = strlen(path) - folder;
    return ps_asprintf("%.*s.%08x", (int)(folder + (name < NAME_MOST ? name : NAME_MOST)), path,
                       (unsigned)ps_rng_entropy());
}

/* Only a new file whose mode is the umask's affair is open to others while it is written. */
static ps_status open_beside(ps_new_file *f)
{
    bool plain = !f->target.there && !f->options.mode;
    ps_disk_mode mode = plain ? PS_DISK_CREATE_OPEN : PS_DISK_CREATE;
    ps_status st = PS_ALREADY_EXISTS;
    for (int i = 0; i < TRIES && st == PS_ALREADY_EXISTS; i++) {
        ps_free(&f->temporary);
        f->temporary = name_beside(f->target.path);
        st = f->disk->open(f->disk->state, f->temporary, mode, &f->file);
    }
    if (st) {
        f->file = -1;
        ps_free(&f->temporary); /* nothing of ours is there */
    }
    return st ? ps_wrap(st, "%s: no file can be made beside it", f->given) : PS_OK;
}

static ps_status open_stream(ps_new_file *f)
{
    if (f->options.patched)
        return ps_spool_open(&f->file);
    f->file = f->target.stream;
    f->target.stream = -1;
    return PS_OK;
}

ps_status ps_new_file_open(const char *path, const ps_new_file_options *options, ps_new_file **out)
{
    ps_new_file *f = ps_new(ps_new_file);
    *f = (ps_new_file){.given = ps_strdup(path),
                       .options = *options,
                       .disk = options->disk ? options->disk : &ps_disk_system,
                       .target.stream = -1,
                       .file = -1};
    ps_status st = ps_target_find(path, &f->target);
    if (!st && f->target.there && !options->force)
        st = exists(path);
    if (!st)
        st = f->target.stream >= 0 ? open_stream(f) : open_beside(f);
    if (st)
        ps_new_file_drop(&f);
    else
        *out = f;
    return st;
}

ps_status ps_new_file_write(ps_new_file *f, const void *data, size_t len)
{
    ps_status st = ps_disk_write_all(f->disk, f->file, data, len);
    if (!st)
        f->bytes += len;
    return said(f, st);
}

ps_status ps_new_file_overwrite(ps_new_file *f, uint64_t at, const void *data, size_t len)
{
    ps_status st = f->disk->seek(f->disk->state, f->file, at);
    if (!st)
        st = ps_disk_write_all(f->disk, f->file, data, len);
    if (!st)
        st = f->disk->seek(f->disk->state, f->file, f->bytes);
    return said(f, st);
}

uint64_t ps_new_file_bytes(const ps_new_file *f)
{
    return f->bytes;
}

/* A file system without modes is none of our business, unless others could read a secret there. */
static ps_status own(ps_new_file *f)
{
    ps_disk_owner owner = f->target.owner;
    if (!f->target.there)
        owner =
            (ps_disk_owner){.mode = f->options.mode, .user = PS_DISK_SAME, .group = PS_DISK_SAME};
    if (f->options.secret)
        owner.mode &= 0770;
    ps_status st = owner.mode ? f->disk->own(f->disk->state, f->file, &owner) : PS_OK;
    return f->options.secret ? st : PS_OK;
}

/* The temporary file is the disk's to remove from here on. */
static ps_status place(ps_new_file *f)
{
    char *folder = ps_disk_folder_of(f->target.path);
    ps_status st = own(f);
    if (!st)
        st = f->disk->fsync(f->disk->state, f->file);
    st = ps_disk_publish(f->disk, st, f->options.force, f->temporary, f->target.path, folder);
    ps_free(&f->temporary);
    ps_free(&folder);
    return st == PS_ALREADY_EXISTS ? exists(f->given) : said(f, st);
}

static ps_status pour(ps_new_file *f)
{
    ps_status st = f->disk->seek(f->disk->state, f->file, 0);
    return st ? st : ps_spool_copy(f->file, f->target.stream, f->given);
}

ps_status ps_new_file_finish(ps_new_file **file)
{
    ps_new_file *f = *file;
    ps_status st = f->temporary ? place(f) : f->target.stream >= 0 ? pour(f) : PS_OK;
    ps_new_file_drop(file);
    return st;
}

void ps_new_file_drop(ps_new_file **file)
{
    ps_new_file *f = *file;
    if (!f)
        return;
    ps_error error; /* of whoever gives up */
    ps_error_save(&error, PS_UNKNOWN);
    if (f->file >= 0)
        f->disk->close(f->disk->state, f->file);
    if (f->temporary)
        (void)!f->disk->unlink(f->disk->state, f->temporary);
    (void)ps_error_raise(&error);
    ps_free(&f->temporary);
    ps_target_clear(&f->target);
    ps_free(&f->given);
    ps_free(file);
}

ps_status ps_new_file_save(const char *path, ps_slice bytes, const ps_new_file_options *options)
{
    ps_new_file *f = NULL;
    ps_status st = ps_new_file_open(path, options, &f);
    if (!st)
        st = ps_new_file_write(f, bytes.data, bytes.len);
    if (!st)
        st = ps_new_file_finish(&f);
    ps_new_file_drop(&f);
    return st;
}
