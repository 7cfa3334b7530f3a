/* bench_sealed_disk: what sealing costs a file on a real disk, and what another key costs many
 * files.
 *
 * A file of so many MiB (a checkpoint of GPT-2 124M with adamw has 1424) is written whole and on
 * disk, by pieces of 16 MiB, plain and sealed in turn: the ratio of the best of each. Then so many
 * small sealed files get another key: seconds, and the bytes that were written, which are those of
 * FILE.key alone.
 *
 *     bench_sealed_disk [FOLDER [MiB [FILES]]]     # default: . 1424 10000
 */
#include "common/base/mem.h"
#include "common/base/whole_file.h"
#include "common/seal/sealed_disk.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { PIECE = 16 << 20, ROUNDS = 3 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- a disk that counts ---- */

typedef struct counted {
    ps_disk disk;
    uint64_t written;
} counted;

static ps_status count_write(void *state, int file, const void *data, size_t len, size_t *written)
{
    ps_status st = ps_disk_system.write(NULL, file, data, len, written);
    ((counted *)state)->written += st ? 0 : *written;
    return st;
}

static ps_sealed_form identity(void *user, const char *path, ps_buf *aad)
{
    const char *dot = strrchr(path, '.');
    if (dot && (!strcmp(dot, ".tmp") || !strcmp(dot, ".plain")))
        return PS_SEALED_NONE;
    ps_buf_printf(aad, "bench %s", path);
    (void)user;
    return PS_SEALED_STREAM;
}

static ps_sealed_disk *open_disk(counted *below, int current, int previous)
{
    ps_secret *kek = ps_secret_new();
    memset(ps_secret_bytes(kek), current, PS_SECRET_BYTES);
    ps_keyring *ring = ps_keyring_new(&kek);
    if (previous) {
        ps_secret *old = ps_secret_new();
        memset(ps_secret_bytes(old), previous, PS_SECRET_BYTES);
        if (ps_keyring_add(ring, &old))
            ps_secret_free(&old);
    }
    below->disk = ps_disk_system;
    below->disk.write = count_write;
    below->disk.state = below;
    return ps_sealed_disk_new(
        &(ps_sealed_disk_conf){.disk = &below->disk, .ring = ring, .identity = identity});
}

/* ---- one large file ---- */

static ps_status write_file(const ps_disk *disk, const char *path, const uint8_t *piece, size_t mib,
                            double *best)
{
    char *temporary = ps_asprintf("%s.tmp", path);
    ps_whole_file *file = NULL;
    double start = now();
    ps_status st = ps_whole_file_open(disk, temporary, path, &file);
    for (size_t i = 0; !st && i < mib; i += 16) {
        size_t n = mib - i < 16 ? (mib - i) << 20 : PIECE;
        st = ps_disk_write_all(disk, ps_whole_file_handle(file), piece, n);
    }
    if (!st)
        st = ps_whole_file_place(&file, path, true);
    ps_whole_file_drop(&file);
    double took = now() - start;
    *best = *best && *best < took ? *best : took;
    if (!st)
        st = disk->unlink(disk->state, path);
    ps_free(&temporary);
    return st;
}

static ps_status large(const char *folder, size_t mib)
{
    counted below = {0};
    ps_sealed_disk *sealed = open_disk(&below, 1, 0);
    char *plain = ps_asprintf("%s/bench.plain", folder), *path = ps_asprintf("%s/bench", folder);
    uint8_t *piece = ps_alloc(PIECE);
    memset(piece, 1, PIECE);
    double as_it_is = 0, best = 0;
    ps_status st = PS_OK;
    for (int i = 0; !st && i < ROUNDS; i++) {
        st = write_file(&ps_disk_system, plain, piece, mib, &as_it_is);
        if (!st)
            st = write_file(ps_sealed_disk_row(sealed), path, piece, mib, &best);
    }
    if (!st)
        printf("a file of %zu MiB: %.2f s plain, %.2f s sealed, ratio %.2f (goal 1.15)\n", mib,
               as_it_is, best, best / as_it_is);
    ps_sealed_disk_free(&sealed);
    ps_free(&piece);
    ps_free(&plain);
    ps_free(&path);
    return st;
}

/* ---- many small ones ---- */

static ps_status each_file(const ps_disk *disk, ps_sealed_disk *sealed, const char *folder,
                           size_t n, int what)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < n; i++) {
        char *path = ps_asprintf("%s/f%zu", folder, i);
        bool changed = true;
        if (what == 0)
            st = ps_whole_file_save(disk, path, ps_slice_str("a small artifact"));
        else if (what == 1)
            st = ps_sealed_disk_rewrap(sealed, path, &changed);
        else
            st = disk->unlink(disk->state, path);
        if (!st && !changed)
            st = ps_fail(PS_INTERNAL, "%s was not wrapped anew", path);
        ps_free(&path);
    }
    return st;
}

static ps_status many(const char *folder, size_t n)
{
    counted below = {0};
    ps_sealed_disk *sealed = open_disk(&below, 1, 0);
    ps_status st = each_file(ps_sealed_disk_row(sealed), sealed, folder, n, 0);
    ps_sealed_disk_free(&sealed);
    below.written = 0;
    sealed = open_disk(&below, 2, 1);
    double start = now();
    if (!st)
        st = each_file(ps_sealed_disk_row(sealed), sealed, folder, n, 1);
    double took = now() - start;
    if (!st)
        printf(
            "another key for %zu files: %.1f s, %.2f ms each; %.0f bytes written each, none of a "
            "file\n",
            n, took, 1e3 * took / (double)n, (double)below.written / (double)n);
    if (!st)
        st = each_file(ps_sealed_disk_row(sealed), sealed, folder, n, 2);
    ps_sealed_disk_free(&sealed);
    return st;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    size_t mib = argc > 2 ? strtoul(argv[2], NULL, 10) : 1424;
    size_t files = argc > 3 ? strtoul(argv[3], NULL, 10) : 10000;
    ps_status st = mib ? large(folder, mib) : PS_OK;
    if (!st && files)
        st = many(folder, files);
    if (st)
        fprintf(stderr, "bench_sealed_disk: %s\n", ps_error_message());
    return st ? 1 : 0;
}
