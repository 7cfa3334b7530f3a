/* Happy path: each descriptor of the row below has a writer or a reader here, found by its number;
 * what has neither is passed on. The key of a file that was created is kept by its name. */
#include "common/age/age_disk.h"

#include "common/age/age_file.h"
#include "common/age/age_header.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/secret.h"

#include <sys/stat.h>

typedef struct age_open {
    ps_list link;
    int file;
    bool adopted; /* somebody else's: it is written to, and no more */
    ps_age_writer *writer;
    ps_age_reader *reader; /* or this, */
    uint64_t at;           /* and where it reads on */
} age_open;

/* A file that was made here. */
typedef struct made {
    ps_list link;
    char *path;
    uint8_t *key;
} made;

struct ps_age_disk {
    ps_disk row;
    const ps_disk *below;
    ps_age_recipients recipients;
    const ps_age_identities *identities;
    bool plain_first;
    ps_list open, made;
};

/* ---- what is open ---- */

static age_open *find(const ps_age_disk *d, int file)
{
    ps_list_each(at, &d->open)
    {
        age_open *o = ps_container(at, age_open, link);
        if (o->file == file)
            return o;
    }
    return NULL;
}

static age_open *add(ps_age_disk *d, int file)
{
    age_open *o = ps_new(age_open);
    o->file = file;
    ps_list_append(&d->open, &o->link);
    return o;
}

static void forget(age_open *o)
{
    ps_list_remove(&o->link);
    ps_age_writer_free(&o->writer);
    ps_age_reader_free(&o->reader);
    ps_free(&o);
}

/* ---- what was made ---- */

static made *find_made(const ps_age_disk *d, const char *path)
{
    ps_list_each(at, &d->made)
    {
        made *m = ps_container(at, made, link);
        if (!strcmp(m->path, path))
            return m;
    }
    return NULL;
}

static void drop_made(made *m)
{
    if (!m)
        return;
    ps_list_remove(&m->link);
    ps_secret_release(m->key);
    ps_free(&m->path);
    ps_free(&m);
}

static void keep_made(ps_age_disk *d, const char *path, const uint8_t *key)
{
    made *m = ps_new(made);
    m->path = ps_strdup(path);
    m->key = ps_secret_alloc(PS_AGE_FILE_KEY);
    memcpy(m->key, key, PS_AGE_FILE_KEY);
    ps_list_append(&d->made, &m->link);
}

static void rename_made(ps_age_disk *d, const char *from, const char *to)
{
    made *m = find_made(d, from);
    drop_made(find_made(d, to));
    if (!m)
        return;
    ps_free(&m->path);
    m->path = ps_strdup(to);
}

/* ---- opening ---- */

static ps_status create(ps_age_disk *d, const char *path, ps_disk_mode mode, int *file)
{
    PS_REQUIRE(d->recipients.n);
    ps_age_writer *writer = NULL;
    ps_status st = d->below->open(d->below->state, path, mode, file);
    if (st)
        return st;
    st = ps_age_writer_new(d->below, *file, &d->recipients, &writer);
    if (st) {
        d->below->close(d->below->state, *file);
        return st;
    }
    add(d, *file)->writer = writer;
    keep_made(d, path, ps_age_writer_key(writer));
    return PS_OK;
}

/* Which of the two it is, by its first bytes; the file is at its start again. */
static ps_status look(const ps_age_disk *d, int file, bool *is_age)
{
    char first[sizeof PS_AGE_ARMOR_MARK - 1];
    uint64_t size;
    ps_status st = d->below->size(d->below->state, file, &size);
    size_t len = !st && size < sizeof first ? (size_t)size : sizeof first;
    if (!st)
        st = ps_disk_read_full(d->below, file, first, len);
    if (!st)
        st = d->below->seek(d->below->state, file, 0);
    if (st)
        return st;
    *is_age = len >= sizeof PS_AGE_MARK - 1 && !memcmp(first, PS_AGE_MARK, sizeof PS_AGE_MARK - 1);
    if (len == sizeof first && !memcmp(first, PS_AGE_ARMOR_MARK, sizeof first))
        return ps_fail(PS_FAILED_PRECONDITION,
                       "an age file in armor, as text, is not read here: age -d opens it");
    return PS_OK;
}

static ps_status open_age(ps_age_disk *d, const char *path, int file)
{
    const made *m = find_made(d, path);
    ps_age_reader *reader = NULL;
    if (!m && !d->identities)
        return ps_fail(PS_FAILED_PRECONDITION, "it is encrypted by age, and no identity is given");
    ps_status st =
        ps_age_reader_new(d->below, file, m ? NULL : d->identities, m ? m->key : NULL, &reader);
    if (!st)
        add(d, file)->reader = reader;
    return st;
}

static ps_status open_path(ps_age_disk *d, const char *path, int *file)
{
    struct stat about;
    bool is_age = false;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode)) /* who opens a pipe may wait for ever */
        return ps_fail(PS_INVALID_ARGUMENT, "%s: not a regular file", path);
    ps_status st = d->below->open(d->below->state, path, PS_DISK_READ, file);
    if (st)
        return st;
    st = look(d, *file, &is_age);
    if (!st && is_age)
        st = open_age(d, path, *file);
    if (st)
        d->below->close(d->below->state, *file);
    return st ? ps_wrap(st, "%s", path) : PS_OK;
}

static ps_status age_open_file(void *state, const char *path, ps_disk_mode mode, int *file)
{
    ps_age_disk *d = state;
    if (mode != PS_DISK_READ)
        return create(d, path, mode, file);
    char *encrypted = ps_asprintf("%s" PS_AGE_ENDING, path);
    ps_status st = open_path(d, d->plain_first ? path : encrypted, file);
    if (st == PS_NOT_FOUND)
        st = open_path(d, d->plain_first ? encrypted : path, file);
    ps_free(&encrypted);
    return st;
}

static void age_close(void *state, int file)
{
    ps_age_disk *d = state;
    age_open *o = find(d, file);
    if (o)
        forget(o);
    d->below->close(d->below->state, file);
}

/* ---- bytes ---- */

static ps_status age_write(void *state, int file, const void *data, size_t len, size_t *written)
{
    ps_age_disk *d = state;
    age_open *o = find(d, file);
    ps_status st = PS_OK;
    if (!o) {
        PS_REQUIRE(d->recipients.n);
        o = add(d, file);
        o->adopted = true;
        st = ps_age_writer_new(d->below, file, &d->recipients, &o->writer);
        if (st)
            forget(o);
    }
    if (!st)
        st = ps_age_writer_write(o->writer, data, len);
    if (!st)
        *written = len;
    return st;
}

static ps_status age_read(void *state, int file, void *data, size_t len, size_t *got)
{
    const ps_age_disk *d = state;
    age_open *o = find(d, file);
    if (!o)
        return d->below->read(d->below->state, file, data, len, got);
    ps_status st = ps_age_reader_read(o->reader, o->at, data, len, got);
    if (!st)
        o->at += *got;
    return st;
}

static ps_status age_seek(void *state, int file, uint64_t at)
{
    const ps_age_disk *d = state;
    age_open *o = find(d, file);
    if (!o)
        return d->below->seek(d->below->state, file, at);
    PS_REQUIRE(o->reader);
    o->at = at;
    return PS_OK;
}

static ps_status age_size(void *state, int file, uint64_t *out)
{
    const ps_age_disk *d = state;
    const age_open *o = find(d, file);
    if (!o)
        return d->below->size(d->below->state, file, out);
    *out = o->reader ? ps_age_reader_bytes(o->reader) : ps_age_writer_bytes(o->writer);
    return PS_OK;
}

static ps_status age_fsync(void *state, int file)
{
    const ps_age_disk *d = state;
    const age_open *o = find(d, file);
    ps_status st = o && o->writer ? ps_age_writer_finish(o->writer) : PS_OK;
    if (st || (o && o->adopted)) /* a pipe is on no disk */
        return st;
    return d->below->fsync(d->below->state, file);
}

/* ---- names ---- */

static ps_status age_rename(void *state, const char *from, const char *to)
{
    ps_age_disk *d = state;
    ps_status st = d->below->rename(d->below->state, from, to);
    if (!st)
        rename_made(d, from, to);
    return st;
}

static ps_status age_rename_new(void *state, const char *from, const char *to)
{
    ps_age_disk *d = state;
    ps_status st = d->below->rename_new(d->below->state, from, to);
    if (!st)
        rename_made(d, from, to);
    return st;
}

static ps_status age_unlink(void *state, const char *path)
{
    ps_age_disk *d = state;
    drop_made(find_made(d, path));
    return d->below->unlink(d->below->state, path);
}

/* ---- passed on ---- */

static ps_status age_own(void *state, int file, const ps_disk_owner *owner)
{
    const ps_age_disk *d = state;
    return d->below->own(d->below->state, file, owner);
}

static ps_status age_mkdir(void *state, const char *path)
{
    const ps_age_disk *d = state;
    return d->below->mkdir(d->below->state, path);
}

static ps_status age_rmdir(void *state, const char *path)
{
    const ps_age_disk *d = state;
    return d->below->rmdir(d->below->state, path);
}

static ps_status age_list(void *state, const char *path, void (*each)(void *user, const char *name),
                          void *user)
{
    const ps_age_disk *d = state;
    return d->below->list(d->below->state, path, each, user);
}

static ps_status age_sync_folder(void *state, const char *path)
{
    const ps_age_disk *d = state;
    return d->below->sync_folder(d->below->state, path);
}

static ps_status age_free_space(void *state, const char *path, uint64_t *bytes)
{
    const ps_age_disk *d = state;
    return d->below->free_space(d->below->state, path, bytes);
}

/* ---- the row ---- */

ps_age_disk *ps_age_disk_new(const ps_age_disk_conf *conf)
{
    ps_age_disk *d = ps_new(ps_age_disk);
    d->below = conf->disk;
    d->identities = conf->identities;
    d->plain_first = conf->plain_first;
    if (conf->recipients)
        d->recipients = *conf->recipients;
    ps_list_init(&d->open);
    ps_list_init(&d->made);
    d->row = (ps_disk){.open = age_open_file,
                       .close = age_close,
                       .write = age_write,
                       .read = age_read,
                       .seek = age_seek,
                       .size = age_size,
                       .fsync = age_fsync,
                       .own = age_own,
                       .rename = age_rename,
                       .rename_new = age_rename_new,
                       .unlink = age_unlink,
                       .mkdir = age_mkdir,
                       .rmdir = age_rmdir,
                       .list = age_list,
                       .sync_folder = age_sync_folder,
                       .free_space = age_free_space,
                       .state = d};
    return d;
}

void ps_age_disk_free(ps_age_disk **disk)
{
    ps_age_disk *d = *disk;
    if (!d)
        return;
    PS_REQUIRE(ps_list_empty(&d->open));
    ps_list_each_safe(at, &d->made) drop_made(ps_container(at, made, link));
    ps_free(disk);
}

const ps_disk *ps_age_disk_row(const ps_age_disk *disk)
{
    return &disk->row;
}
