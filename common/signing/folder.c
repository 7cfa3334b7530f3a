/* Happy path: folders are gone through one after the other, names sorted at the end; then threads
 * take one resource after the other, and hash it in pieces. A link is never followed, neither when
 * files are listed nor when they are opened: it might lead out of the folder, and elsewhere for who
 * checks than for who signs. */
#include "common/signing/folder.h"

#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/base/require.h"
#include "common/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MOST = 32, PIECE = 1 << 20 };

void ps_folder_free(ps_folder *f)
{
    for (size_t i = 0; i < f->n_files; i++)
        free(f->files[i].path);
    free(f->files);
    free(f->path);
    *f = (ps_folder){0};
}

/* ---- listing ---- */

typedef struct listing {
    ps_folder *folder;
    const char *const *without;
    size_t capacity;
} listing;

static bool left_out(const listing *l, const char *path)
{
    for (const char *const *one = l->without; one && *one; one++)
        if (!strcmp(*one, path))
            return true;
    return false;
}

static ps_status add_file(listing *l, const char *path, uint64_t bytes)
{
    ps_folder *f = l->folder;
    if (f->n_files == PS_MANIFEST_FILES_MOST)
        return ps_fail(PS_INVALID_ARGUMENT, "%s: more than %d files", f->path,
                       PS_MANIFEST_FILES_MOST);
    if (f->n_files == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        f->files = ps_realloc(f->files, l->capacity * sizeof *f->files);
    }
    f->files[f->n_files++] = (ps_folder_file){.path = ps_strdup(path), .bytes = bytes};
    return PS_OK;
}

static ps_status list_folder(listing *l, const char *below, unsigned depth);

static ps_status look_at(listing *l, const char *path, unsigned depth)
{
    struct stat s;
    if (left_out(l, path))
        return PS_OK;
    ps_status st = ps_manifest_check_path(path, strlen(path));
    if (st)
        return ps_wrap(st, "%s", l->folder->path);
    char *full = ps_asprintf("%s/%s", l->folder->path, path);
    if (lstat(full, &s))
        st = ps_fail_errno(errno, "%s", full);
    else if (S_ISDIR(s.st_mode))
        st = list_folder(l, path, depth + 1);
    else if (S_ISREG(s.st_mode))
        st = add_file(l, path, (uint64_t)s.st_size);
    else
        st = ps_fail(PS_INVALID_ARGUMENT, "%s is %s: a signed model has files and folders alone",
                     full, S_ISLNK(s.st_mode) ? "a symbolic link" : "neither file nor folder");
    ps_free(&full);
    return st;
}

/* below "": the folder itself. */
static ps_status list_folder(listing *l, const char *below, unsigned depth)
{
    char *full = ps_asprintf("%s/%s", l->folder->path, below);
    DIR *dir = depth <= DEPTH_MOST ? opendir(full) : NULL;
    ps_status st = PS_OK;
    if (!dir)
        st = depth > DEPTH_MOST ? ps_fail(PS_INVALID_ARGUMENT, "%s: folders are nested too deeply",
                                          l->folder->path)
                                : ps_fail_errno(errno, "%s", *below ? full : l->folder->path);
    const struct dirent *entry;
    while (!st && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        char *path = *below ? ps_asprintf("%s/%s", below, entry->d_name) : ps_strdup(entry->d_name);
        st = look_at(l, path, depth);
        ps_free(&path);
    }
    if (dir)
        closedir(dir);
    ps_free(&full);
    return st;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const ps_folder_file *)a)->path, ((const ps_folder_file *)b)->path);
}

ps_status ps_folder_list(const char *path, const char *const *without, ps_folder *out)
{
    PS_REQUIRE(path && *path);
    *out = (ps_folder){.path = ps_strdup(path)};
    listing l = {.folder = out, .without = without};
    ps_status st = list_folder(&l, "", 0);
    if (st)
        ps_folder_free(out);
    else if (out->n_files)
        qsort(out->files, out->n_files, sizeof *out->files, by_path);
    return st;
}

const ps_folder_file *ps_folder_find(const ps_folder *f, const char *path)
{
    const ps_folder_file wanted = {.path = (char *)(uintptr_t)path}; /* only read */
    return f->n_files ? bsearch(&wanted, f->files, f->n_files, sizeof *f->files, by_path) : NULL;
}

/* ---- digests ---- */

typedef struct hashing {
    const ps_folder *folder;
    ps_resource *resources;
    size_t n;
    atomic_size_t next;
    atomic_bool failed;
    ps_error error; /* the first: of the thread that has set failed */
} hashing;

static ps_status read_piece(int file, uint8_t *to, size_t len, uint64_t at, size_t *got)
{
    ssize_t n;
    do
        n = pread(file, to, len, (off_t)at);
    while (n < 0 && errno == EINTR);
    *got = n > 0 ? (size_t)n : 0;
    return n < 0 ? ps_fail_errno(errno, "read") : PS_OK;
}

/* Up to end; 0: to the end of the file. */
static ps_status digest_range(int file, uint8_t *piece, ps_resource *r)
{
    ps_digest *digest = ps_digest_new();
    uint64_t at = r->begin;
    size_t got = 1;
    ps_status st = PS_OK;
    while (!st && got && (!r->end || at < r->end)) {
        size_t len = r->end && r->end - at < PIECE ? (size_t)(r->end - at) : PIECE;
        st = read_piece(file, piece, len, at, &got);
        ps_digest_add(digest, piece, got);
        at += got;
    }
    ps_digest_end(&digest, r->sha256);
    if (!st && r->end && at != r->end)
        st = ps_fail(PS_CORRUPT, "it ends at byte %" PRIu64 ", before byte %" PRIu64, at, r->end);
    return st;
}

static ps_status digest_resource(const ps_folder *folder, uint8_t *piece, ps_resource *r)
{
    char *full = ps_asprintf("%s/%s", folder->path, r->path);
    int file = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ps_status st = file < 0 ? ps_fail_errno(errno, "%s", full) : digest_range(file, piece, r);
    if (st && file >= 0)
        st = ps_wrap(st, "%s", full);
    if (file >= 0)
        close(file);
    ps_free(&full);
    return st;
}

static void digest_some(void *state)
{
    hashing *h = state;
    uint8_t *piece = ps_alloc(PIECE);
    size_t i;
    while (!atomic_load(&h->failed) && (i = atomic_fetch_add(&h->next, 1)) < h->n) {
        ps_status st = digest_resource(h->folder, piece, &h->resources[i]);
        if (st && !atomic_exchange(&h->failed, true))
            ps_error_save(&h->error, st);
    }
    ps_free(&piece);
}

ps_status ps_folder_digest(const ps_folder *folder, ps_resource *resources, size_t n)
{
    hashing h = {.folder = folder, .resources = resources, .n = n};
    if (n)
        ps_parallel_run(n, digest_some, &h);
    return h.error.code ? ps_error_raise(&h.error) : PS_OK;
}
