/* Happy path: little comes, and stays in memory. Much goes to a file as it comes, and is read from
 * there as often as it takes. The file's name is gone as soon as it is open, so that nothing stays
 * behind, however the process ends. */
#include "worker/tasks/spool.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With both ends open; without a name. */
static ps_status make_file(ps_spool *spool, const char *folder)
{
    static atomic_uint made;
    const ps_disk *disk = spool->disk;
    char *path =
        ps_asprintf("%s/psworker-%ld-%u", folder, (long)getpid(), atomic_fetch_add(&made, 1));
    (void)!disk->unlink(disk->state, path); /* of a process that had this number, and was killed */
    ps_status st = disk->open(disk->state, path, PS_DISK_CREATE, &spool->out);
    if (!st) {
        st = disk->open(disk->state, path, PS_DISK_READ, &spool->in);
        ps_status gone = disk->unlink(disk->state, path);
        if (!st)
            st = gone;
    }
    ps_free(&path);
    return st;
}

static void close_file(ps_spool *spool)
{
    if (spool->in >= 0)
        spool->disk->close(spool->disk->state, spool->in);
    if (spool->out >= 0)
        spool->disk->close(spool->disk->state, spool->out);
    spool->in = spool->out = -1;
}

const char *ps_spool_folder(size_t i)
{
    const char *folders[PS_SPOOL_FOLDERS] = {getenv("TMPDIR"), getenv("STATE_DIRECTORY"),
                                             "/var/tmp", "/tmp"};
    PS_REQUIRE(i < PS_SPOOL_FOLDERS);
    return folders[i] && folders[i][0] == '/' ? folders[i] : NULL;
}

/* The first failure is told: it is of the folder that was meant. */
static ps_status open_file(ps_spool *spool)
{
    ps_error first = {0};
    for (size_t i = 0; i < PS_SPOOL_FOLDERS; i++) {
        const char *folder = ps_spool_folder(i);
        if (!folder)
            continue;
        ps_status st = make_file(spool, folder);
        if (!st) {
            spool->folder = ps_strdup(folder);
            spool->key = ps_secret_random();
            spool->writer = ps_seal_writer_new(spool->disk, spool->out, spool->key, (ps_slice){0});
            return PS_OK;
        }
        close_file(spool);
        if (!first.code)
            ps_error_save(&first, st);
    }
    (void)ps_error_raise(&first);
    return ps_wrap(first.code, "no temporary file can be made (TMPDIR says where)");
}

ps_status ps_spool_step(ps_spool *spool)
{
    if (spool->pending.len < PS_SPOOL_MEMORY)
        return PS_OK;
    ps_status st = spool->out < 0 ? open_file(spool) : PS_OK;
    if (st)
        return st;
    PS_REQUIRE(!spool->reader);
    st = ps_seal_writer_write(spool->writer, spool->pending.data, spool->pending.len);
    if (st)
        return ps_wrap(st, "temporary file in %s (TMPDIR says where)", spool->folder);
    spool->written += spool->pending.len;
    ps_buf_clear(&spool->pending);
    return PS_OK;
}

/* What is in hand of the file is written, too, before it is read. */
ps_status ps_spool_rewind(void *state)
{
    ps_spool *spool = state;
    spool->read = 0;
    if (!spool->writer || spool->reader)
        return PS_OK;
    ps_status st = ps_seal_writer_finish(spool->writer);
    if (!st)
        st = ps_seal_reader_new(spool->disk, spool->in, spool->key, (ps_slice){0}, &spool->reader);
    return st ? ps_wrap(st, "temporary file in %s (TMPDIR says where)", spool->folder) : PS_OK;
}

static ps_status read_file(ps_spool *spool, void *out, size_t len, size_t *got)
{
    PS_REQUIRE(spool->reader && spool->read < spool->written);
    uint64_t left = spool->written - spool->read;
    if (len > left)
        len = (size_t)left;
    ps_status st = ps_seal_reader_read(spool->reader, spool->read, out, len, got);
    if (!st && *got == 0)
        st = ps_fail(PS_IO, "byte %llu of %llu is gone", (unsigned long long)spool->read,
                     (unsigned long long)spool->written);
    return st ? ps_wrap(st, "temporary file in %s", spool->folder) : PS_OK;
}

ps_status ps_spool_read(void *state, void *out, size_t len, size_t *got)
{
    ps_spool *spool = state;
    ps_status st = PS_OK;
    if (spool->read < spool->written) {
        st = read_file(spool, out, len, got);
    } else {
        size_t at = (size_t)(spool->read - spool->written), left = spool->pending.len - at;
        PS_REQUIRE(at <= spool->pending.len);
        *got = len < left ? len : left;
        if (*got)
            memcpy(out, spool->pending.data + at, *got);
    }
    if (!st)
        spool->read += *got;
    return st;
}

void ps_spool_free(ps_spool *spool)
{
    ps_seal_reader_free(&spool->reader);
    ps_seal_writer_free(&spool->writer);
    ps_secret_free(&spool->key);
    close_file(spool);
    ps_buf_free(&spool->pending);
    ps_free(&spool->folder);
}
