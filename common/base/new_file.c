/* Happy path: find what the path means, a whole file beside it, writes, its owner, its name. It
 * fails as the disk's calls do, with the path.
 * For a stream that has to be patched, the bytes wait in a spool until all are there. */
#include "common/base/new_file.h"

#include "common/base/mem.h"
#include "common/base/target.h"
#include "common/base/temporary.h"
#include "common/base/whole_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct ps_new_file {
    char *given; /* for messages */
    ps_target target;
    ps_new_file_options options;
    const ps_disk *disk;
    ps_whole_file *whole; /* NULL: a stream, */
    int stream;           /* which is ours; -1: none */
    int file;             /* either's, for writing */
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

/* The temporary name is nobody's but ours: what the system said of it is behind the last colon. */
static ps_status not_made(const ps_new_file *f, ps_status st)
{
    const char *why = strrchr(ps_error_message(), ':');
    if (st == PS_NOT_FOUND)
        return ps_fail(st, "%s: its folder does not exist", f->given);
    return ps_fail(st, "%s: no file can be made beside it%s", f->given, why ? why : "");
}

/* Only a new file whose mode is the umask's affair is open to others while it is written. */
static ps_status open_beside(ps_new_file *f)
{
    bool plain = !f->target.there && !f->options.mode;
    ps_disk_mode mode = plain ? PS_DISK_CREATE_OPEN : PS_DISK_CREATE;
    ps_status st = ps_whole_file_open_beside(f->disk, f->target.path, mode, &f->whole);
    if (st)
        return not_made(f, st);
    f->file = ps_whole_file_handle(f->whole);
    return PS_OK;
}

static ps_status open_stream(ps_new_file *f)
{
    if (f->options.patched) {
        ps_status st = ps_temporary_open(&f->stream);
        f->file = f->stream;
        return st;
    }
    f->file = f->stream = f->target.stream;
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
                       .stream = -1};
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

const char *ps_new_file_temporary(const ps_new_file *f)
{
    return f->whole ? ps_whole_file_temporary(f->whole) : NULL;
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

static ps_status place(ps_new_file *f)
{
    ps_status st = own(f);
    if (!st)
        st = ps_whole_file_place(&f->whole, f->target.path, f->options.force);
    return st == PS_ALREADY_EXISTS ? exists(f->given) : said(f, st);
}

static ps_status pour(ps_new_file *f)
{
    ps_status st = f->disk->seek(f->disk->state, f->file, 0);
    return st ? st : ps_temporary_copy(f->file, f->target.stream, f->given);
}

ps_status ps_new_file_end(ps_new_file *f)
{
    return f->options.disk ? said(f, f->disk->fsync(f->disk->state, f->file)) : PS_OK;
}

/* What was patched is whole now, and follows; the rest of a stream has gone by. */
static ps_status end_stream(ps_new_file *f)
{
    return f->target.stream >= 0 ? pour(f) : ps_new_file_end(f);
}

ps_status ps_new_file_finish(ps_new_file **file)
{
    ps_new_file *f = *file;
    ps_status st = f->whole ? place(f) : end_stream(f);
    ps_new_file_drop(file);
    return st;
}

void ps_new_file_drop(ps_new_file **file)
{
    ps_new_file *f = *file;
    if (!f)
        return;
    ps_whole_file_drop(&f->whole);
    if (f->stream >= 0)
        f->disk->close(f->disk->state, f->stream);
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
