/* Names, locks, time and the plain files are the system's; bytes go through the row. There is no
 * shared memory: WAL then wants the exclusive lock that the catalog takes (sqlite.org/wal.html,
 * "Use of WAL Without Shared-Memory"). What a row fails with is kept for the message, since SQLite
 * has but numbers. */
#include "server/catalog/vfs.h"

#include "common/base/list.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct ps_vfs {
    sqlite3_vfs base;
    sqlite3_vfs *system;
    ps_catalog_storage storage;
    char name[32];
    ps_error error;
};

/* The system's file, as the row sees it. */
typedef struct plain_file {
    ps_catalog_file file;
    sqlite3_file *system;
} plain_file;

typedef struct vfs_file {
    sqlite3_file base;
    ps_vfs *vfs;
    ps_catalog_file *row;
    plain_file plain;
    sqlite3_int64 system[]; /* szOsFile bytes; SQLite aligns by 8 */
} vfs_file;

/* ---- the plain file ---- */

static ps_status status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
        return PS_OK;
    case SQLITE_FULL:
        return ps_fail(PS_NO_SPACE, "the disk is full; free space and try again");
    case SQLITE_NOMEM:
        return ps_fail(PS_NO_MEMORY, "out of memory");
    default:
        return ps_fail(PS_IO, "%s", sqlite3_errstr(code));
    }
}

static sqlite3_file *system_of(ps_catalog_file *file)
{
    return ps_container(file, plain_file, file)->system;
}

static ps_status plain_size(ps_catalog_file *file, uint64_t *out)
{
    sqlite3_file *f = system_of(file);
    sqlite3_int64 size = 0;
    ps_status st = status_of(f->pMethods->xFileSize(f, &size));
    *out = (uint64_t)size;
    return st;
}

static ps_status plain_read(ps_catalog_file *file, uint64_t at, void *out, size_t len, size_t *got)
{
    sqlite3_file *f = system_of(file);
    int code = f->pMethods->xRead(f, out, (int)len, (sqlite3_int64)at);
    *got = len;
    if (code != SQLITE_IOERR_SHORT_READ)
        return status_of(code);
    uint64_t size = 0;
    ps_status st = plain_size(file, &size);
    uint64_t left = size > at ? size - at : 0;
    *got = left < len ? (size_t)left : len;
    return st;
}

static ps_status plain_write(ps_catalog_file *file, uint64_t at, const void *bytes, size_t len)
{
    sqlite3_file *f = system_of(file);
    return status_of(f->pMethods->xWrite(f, bytes, (int)len, (sqlite3_int64)at));
}

static ps_status plain_truncate(ps_catalog_file *file, uint64_t size)
{
    sqlite3_file *f = system_of(file);
    return status_of(f->pMethods->xTruncate(f, (sqlite3_int64)size));
}

static ps_status plain_sync(ps_catalog_file *file)
{
    sqlite3_file *f = system_of(file);
    return status_of(f->pMethods->xSync(f, SQLITE_SYNC_FULL));
}

static void plain_close(ps_catalog_file *file)
{
}

static const ps_catalog_file_ops plain_ops = {.read = plain_read,
                                              .write = plain_write,
                                              .truncate = plain_truncate,
                                              .sync = plain_sync,
                                              .size = plain_size,
                                              .close = plain_close};

/* ---- what SQLite calls of a file ---- */

static vfs_file *of(sqlite3_file *file)
{
    return ps_container(file, vfs_file, base);
}

static sqlite3_file *under(sqlite3_file *file)
{
    return of(file)->plain.system;
}

/* otherwise: what SQLite is told when there is no code of its own. */
static int code_of(ps_vfs *vfs, ps_status st, int otherwise)
{
    if (!st)
        return SQLITE_OK;
    ps_error_save(&vfs->error, st);
    switch (st) {
    case PS_NO_SPACE:
        return SQLITE_FULL;
    case PS_NO_MEMORY:
        return SQLITE_NOMEM;
    case PS_CORRUPT:
        return SQLITE_CORRUPT;
    default:
        return otherwise;
    }
}

static int file_close(sqlite3_file *file)
{
    vfs_file *f = of(file);
    if (f->row)
        f->row->ops->close(f->row);
    f->row = NULL;
    return under(file)->pMethods->xClose(under(file));
}

static int file_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
    vfs_file *f = of(file);
    size_t got = 0;
    ps_status st = f->row->ops->read(f->row, (uint64_t)at, out, (size_t)len, &got);
    if (st)
        return code_of(f->vfs, st, SQLITE_IOERR_READ);
    memset((uint8_t *)out + got, 0, (size_t)len - got); /* it is SQLite's to find zeros there */
    return got < (size_t)len ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    vfs_file *f = of(file);
    ps_status st = f->row->ops->write(f->row, (uint64_t)at, bytes, (size_t)len);
    return code_of(f->vfs, st, SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    vfs_file *f = of(file);
    return code_of(f->vfs, f->row->ops->truncate(f->row, (uint64_t)size), SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *file, int flags)
{
    vfs_file *f = of(file);
    return code_of(f->vfs, f->row->ops->sync(f->row), SQLITE_IOERR_FSYNC);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *out)
{
    vfs_file *f = of(file);
    uint64_t size = 0;
    int code = code_of(f->vfs, f->row->ops->size(f->row, &size), SQLITE_IOERR_FSTAT);
    *out = (sqlite3_int64)size;
    return code;
}

static int file_lock(sqlite3_file *file, int level)
{
    return under(file)->pMethods->xLock(under(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return under(file)->pMethods->xUnlock(under(file), level);
}

static int file_reserved(sqlite3_file *file, int *out)
{
    return under(file)->pMethods->xCheckReservedLock(under(file), out);
}

/* Those that would change the bytes without the row are not known. */
static int file_control(sqlite3_file *file, int op, void *argument)
{
    return op == SQLITE_FCNTL_LAST_ERRNO
               ? under(file)->pMethods->xFileControl(under(file), op, argument)
               : SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *file)
{
    return under(file)->pMethods->xSectorSize(under(file));
}

/* Nothing is promised of how bytes lie on the disk: a row may lay them out otherwise. */
static int file_characteristics(sqlite3_file *file)
{
    return 0;
}

static const sqlite3_io_methods methods = {.iVersion = 1,
                                           .xClose = file_close,
                                           .xRead = file_read,
                                           .xWrite = file_write,
                                           .xTruncate = file_truncate,
                                           .xSync = file_sync,
                                           .xFileSize = file_size,
                                           .xLock = file_lock,
                                           .xUnlock = file_unlock,
                                           .xCheckReservedLock = file_reserved,
                                           .xFileControl = file_control,
                                           .xSectorSize = file_sector,
                                           .xDeviceCharacteristics = file_characteristics};

/* ---- what it calls of the whole ---- */

static ps_vfs *mine(sqlite3_vfs *base)
{
    return ps_container(base, ps_vfs, base);
}

static int vfs_open(sqlite3_vfs *base, sqlite3_filename path, sqlite3_file *file, int flags,
                    int *out_flags)
{
    ps_vfs *v = mine(base);
    vfs_file *f = of(file);
    f->base.pMethods = NULL; /* then there is nothing to close */
    f->vfs = v;
    f->row = NULL;
    f->plain = (plain_file){.file = {&plain_ops}, .system = (sqlite3_file *)(void *)f->system};
    int code = v->system->xOpen(v->system, path, f->plain.system, flags, out_flags);
    if (code != SQLITE_OK)
        return code;
    ps_status st = v->storage.open(v->storage.state, path ? path : "", &f->plain.file, &f->row);
    if (st) {
        (void)f->plain.system->pMethods->xClose(f->plain.system);
        return code_of(v, st, SQLITE_CANTOPEN);
    }
    f->base.pMethods = &methods;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *base, const char *path, int sync)
{
    return mine(base)->system->xDelete(mine(base)->system, path, sync);
}

static int vfs_access(sqlite3_vfs *base, const char *path, int flags, int *out)
{
    return mine(base)->system->xAccess(mine(base)->system, path, flags, out);
}

static int vfs_full_path(sqlite3_vfs *base, const char *path, int len, char *out)
{
    return mine(base)->system->xFullPathname(mine(base)->system, path, len, out);
}

static int vfs_random(sqlite3_vfs *base, int len, char *out)
{
    return mine(base)->system->xRandomness(mine(base)->system, len, out);
}

static int vfs_sleep(sqlite3_vfs *base, int microseconds)
{
    return mine(base)->system->xSleep(mine(base)->system, microseconds);
}

static int vfs_time(sqlite3_vfs *base, double *out)
{
    return mine(base)->system->xCurrentTime(mine(base)->system, out);
}

static int vfs_last_error(sqlite3_vfs *base, int len, char *out)
{
    return mine(base)->system->xGetLastError(mine(base)->system, len, out);
}

ps_status ps_vfs_create(const ps_catalog_storage *storage, ps_vfs **out)
{
    static atomic_uint_fast64_t count;
    ps_vfs *v = ps_new(ps_vfs);
    v->system = sqlite3_vfs_find(NULL);
    v->storage = *storage;
    (void)snprintf(v->name, sizeof v->name, "psd-%" PRIuFAST64, atomic_fetch_add(&count, 1));
    v->base = (sqlite3_vfs){.iVersion = 1,
                            .szOsFile = (int)sizeof(vfs_file) + v->system->szOsFile,
                            .mxPathname = v->system->mxPathname,
                            .zName = v->name,
                            .xOpen = vfs_open,
                            .xDelete = vfs_delete,
                            .xAccess = vfs_access,
                            .xFullPathname = vfs_full_path,
                            .xRandomness = vfs_random,
                            .xSleep = vfs_sleep,
                            .xCurrentTime = vfs_time,
                            .xGetLastError = vfs_last_error};
    if (sqlite3_vfs_register(&v->base, 0) != SQLITE_OK) {
        ps_free(&v);
        return ps_fail(PS_NO_MEMORY, "out of memory for the catalog");
    }
    *out = v;
    return PS_OK;
}

void ps_vfs_free(ps_vfs **vfs)
{
    if (!*vfs)
        return;
    (void)sqlite3_vfs_unregister(&(*vfs)->base);
    ps_free(vfs);
}

const char *ps_vfs_name(const ps_vfs *vfs)
{
    return vfs->name;
}

bool ps_vfs_take_error(ps_vfs *vfs, ps_error *out)
{
    *out = vfs->error;
    vfs->error.code = PS_OK;
    return out->code != PS_OK;
}
