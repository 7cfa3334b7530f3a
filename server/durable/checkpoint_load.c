/* Newest first, down to one that is good.
 *
 * A damaged one takes another name and stays; the one before it is tried. Everything else that can
 * go wrong (an error of the disk, no memory, no descriptor left) says nothing about the file: then
 * nothing is changed, no older one is taken, and the caller may come again. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/durable/checkpoint.h"
#include "server/durable/checkpoint_folder.h"
#include "server/durable/manifest.h"

#include <inttypes.h>

typedef struct loading {
    const ps_disk *disk;
    const char *folder;
    const ps_param_host *host;
    ps_checkpoint_found found;
    ps_manifest manifest;
    bool listed;     /* there is a manifest, a good one or not */
    ps_error newest; /* what is wrong with the newest of those that are damaged */
    ps_checkpoint_info info;
} loading;

static ps_status read_manifest(loading *l)
{
    char *path = ps_asprintf("%s/manifest", l->folder);
    ps_status st = ps_manifest_read(l->disk, path, &l->manifest);
    ps_free(&path);
    l->listed = st != PS_NOT_FOUND;
    if (st == PS_CORRUPT)
        ps_log_warning("checkpoint", "going on without the manifest: %s", ps_error_message());
    return st == PS_NOT_FOUND || st == PS_CORRUPT ? PS_OK : st;
}

/* A checkpoint that the manifest has and the folder has not is as bad as a damaged one. */
static void count_lost(loading *l)
{
    uint64_t newest = l->found.good.n ? l->found.good.list[0] : 0;
    for (size_t i = 0; i < l->manifest.n; i++) {
        uint64_t number = l->manifest.entries[i].number;
        if (number <= newest)
            continue;
        l->info.damaged++;
        if (!ps_checkpoint_is_damaged(&l->found, number))
            ps_log_error("checkpoint", "%s/" PS_CHECKPOINT_PREFIX "%" PRIu64 " is gone", l->folder,
                         number);
    }
}

/* The line names both, and what is tried next. */
static ps_status set_aside(loading *l, size_t i, const char *why)
{
    PS_REQUIRE(i < l->found.good.n);
    char *path = ps_checkpoint_path(l->folder, l->found.good.list[i]);
    char *to = ps_asprintf("%s" PS_CHECKPOINT_DAMAGED, path);
    char *before =
        i + 1 < l->found.good.n ? ps_checkpoint_path(l->folder, l->found.good.list[i + 1]) : NULL;
    ps_status st = l->disk->rename_new(l->disk->state, path, to);
    if (st)
        st = ps_wrap(st, "%s is damaged, and cannot be kept as %s", path, to);
    else
        ps_log_error("checkpoint", "damaged: %s; kept as %s; %s%s", why, to,
                     before ? "trying " : "there is none before it", before ? before : "");
    ps_free(&before);
    ps_free(&to);
    ps_free(&path);
    return st;
}

static ps_status load_one(const loading *l, uint64_t number, ps_param_store **store,
                          ps_buf *progress)
{
    char *path = ps_checkpoint_path(l->folder, number);
    ps_status st = ps_checkpoint_load_file(l->disk, path, l->host, store, progress);
    ps_free(&path);
    return st == PS_NOT_FOUND ? ps_wrap(PS_IO, "it was in the folder a moment ago") : st;
}

static ps_status load_newest(loading *l, ps_param_store **store, ps_buf *progress)
{
    const ps_checkpoint_numbers *good = &l->found.good;
    for (size_t i = 0; i < good->n; i++) {
        ps_error error;
        ps_status st = load_one(l, good->list[i], store, progress);
        if (!st) {
            PS_REQUIRE(*store);
            l->info.number = good->list[i];
            l->info.version = ps_param_store_version(*store);
        }
        if (st != PS_CORRUPT)
            return st;
        ps_error_save(&error, st);
        st = set_aside(l, i, error.message);
        if (st)
            return st;
        if (!l->newest.code)
            l->newest = error;
        l->info.damaged++;
    }
    (void)ps_error_raise(&l->newest);
    return ps_wrap(PS_CORRUPT,
                   "none of %zu checkpoints is good (they are kept, with names that end "
                   "in " PS_CHECKPOINT_DAMAGED "), the newest",
                   good->n);
}

static ps_status load(loading *l, ps_param_store **store, ps_buf *progress)
{
    ps_status st = ps_checkpoint_find(l->disk, l->folder, &l->found);
    if (!st)
        st = read_manifest(l);
    if (st)
        return st;
    count_lost(l);
    if (l->found.good.n)
        return load_newest(l, store, progress);
    if (l->found.damaged.n)
        return ps_fail(PS_CORRUPT,
                       "%s: no checkpoint is good (they are kept, with names that end "
                       "in " PS_CHECKPOINT_DAMAGED ")",
                       l->folder);
    return l->listed
               ? ps_fail(PS_CORRUPT, "%s: the manifest has checkpoints, the folder none", l->folder)
               : ps_fail(PS_NOT_FOUND, "%s: no checkpoint", l->folder);
}

ps_status ps_checkpoint_set_aside(const ps_disk *disk, const char *folder, const char *why)
{
    loading *l = ps_new(loading);
    *l = (loading){.disk = disk, .folder = folder};
    ps_status st = ps_checkpoint_find(disk, folder, &l->found);
    if (!st && l->found.good.n) {
        char *path = ps_checkpoint_path(folder, l->found.good.list[0]);
        char *said = ps_asprintf("%s: %s", path, why);
        st = set_aside(l, 0, said);
        ps_free(&said);
        ps_free(&path);
    }
    ps_checkpoint_found_free(&l->found);
    ps_free(&l);
    return st;
}

ps_status ps_checkpoint_load(const ps_disk *disk, const char *folder, const ps_param_host *host,
                             ps_param_store **store, ps_buf *progress, ps_checkpoint_info *out)
{
    loading *l = ps_new(loading); /* its errors are large */
    *l = (loading){.disk = disk, .folder = folder, .host = host};
    ps_status st = load(l, store, progress);
    ps_checkpoint_found_free(&l->found);
    if (!st && out)
        *out = l->info;
    ps_free(&l);
    return st;
}
