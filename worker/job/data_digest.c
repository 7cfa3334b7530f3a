#include "worker/job/data_digest.h"

#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"
#include "common/format/regular_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KNOWN = 32, PATH_BYTES = 512, PIECE = 1 << 18 };

/* What a file was when it was read. */
typedef struct stamp {
    dev_t device;
    ino_t number;
    off_t size;
    struct timespec changed, written;
} stamp;

typedef struct known {
    char path[PATH_BYTES];
    stamp stamp;
    char sha256[PS_DIGEST_TEXT];
} known;

static ps_mutex lock = PS_MUTEX_INITIALIZER;
static known files[KNOWN];
static size_t next; /* that is forgotten for a new one */

static bool same(const stamp *a, const stamp *b)
{
    return a->device == b->device && a->number == b->number && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
           a->written.tv_sec == b->written.tv_sec && a->written.tv_nsec == b->written.tv_nsec;
}

static stamp stamp_of(int file)
{
    struct stat s;
    if (fstat(file, &s))
        return (stamp){.size = -1};
    return (stamp){.device = s.st_dev,
                   .number = s.st_ino,
                   .size = s.st_size,
                   .changed = s.st_ctim,
                   .written = s.st_mtim};
}

static bool look_up(const char *path, const stamp *now, char *out)
{
    bool found = false;
    ps_mutex_lock(&lock);
    for (size_t i = 0; !found && i < KNOWN; i++) {
        found = !strcmp(files[i].path, path) && same(&files[i].stamp, now);
        if (found)
            memcpy(out, files[i].sha256, PS_DIGEST_TEXT);
    }
    ps_mutex_unlock(&lock);
    return found;
}

static void remember(const char *path, const stamp *now, const char *sha256)
{
    if (strlen(path) >= PATH_BYTES)
        return;
    ps_mutex_lock(&lock);
    known *k = &files[next++ % KNOWN];
    (void)snprintf(k->path, sizeof k->path, "%s", path);
    k->stamp = *now;
    memcpy(k->sha256, sha256, PS_DIGEST_TEXT);
    ps_mutex_unlock(&lock);
}

static ps_status read_all(int file, const char *path, uint64_t size, char *out)
{
    uint8_t *piece = ps_alloc(PIECE);
    ps_digest *digest = ps_digest_new();
    ps_status st = PS_OK;
    for (uint64_t at = 0; !st && at < size; at += PIECE) {
        size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
        st = ps_regular_read(file, path, at, piece, n);
        if (!st)
            ps_digest_add(digest, piece, n);
    }
    ps_digest_end(&digest, out);
    ps_free(&piece);
    return st;
}

ps_status ps_data_digest(const char *path, char out[PS_DIGEST_TEXT])
{
    int file = -1;
    uint64_t size = 0;
    PS_REQUIRE(path && *path);
    *out = 0;
    ps_status st = ps_regular_open(path, &file, &size);
    if (st)
        return st;
    const stamp now = stamp_of(file);
    if (size <= PS_DATA_DIGEST_MAX && !look_up(path, &now, out)) {
        st = read_all(file, path, size, out);
        const stamp after = stamp_of(file); /* written to meanwhile: it is neither */
        if (!st && same(&now, &after))
            remember(path, &now, out);
        if (st)
            *out = 0;
    }
    close(file);
    return st;
}
