/* Writing: temporary file, everything in it, fsync, rename, fsync of the folder, manifest, and only
 * then is the oldest removed. Whatever fails before the rename costs the temporary file only; what
 * fails after it leaves the new one beside the old ones. Loading: newest first, down to one that is
 * good. */
#include "server/durable/checkpoint.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "server/durable/checkpoint_file.h"
#include "server/durable/manifest.h"

#include <inttypes.h>
#include <stdio.h>

#define PREFIX    "checkpoint-"
#define TEMPORARY "checkpoint.tmp"

/* The numbers of the checkpoints in a folder. */
typedef struct numbers {
    uint64_t *list; /* descending once sorted */
    size_t n, capacity;
} numbers;

static void collect(void *user, const char *name)
{
    numbers *found = user;
    uint64_t number;
    char again[64];
    if (sscanf(name, PREFIX "%" SCNu64, &number) != 1)
        return;
    (void)snprintf(again, sizeof again, PREFIX "%" PRIu64, number);
    if (strcmp(again, name) != 0)
        return;
    if (found->n == found->capacity) {
        found->capacity = found->capacity ? 2 * found->capacity : 16;
        found->list = ps_realloc(found->list, found->capacity * sizeof *found->list);
    }
    found->list[found->n++] = number;
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x > y ? -1 : x < y;
}

static ps_status find_numbers(const ps_disk *disk, const char *folder, numbers *out)
{
    ps_status st = disk->list(disk->state, folder, collect, out);
    if (out->n)
        qsort(out->list, out->n, sizeof *out->list, descending);
    return st;
}

static char *path_of(const char *folder, uint64_t number)
{
    return ps_asprintf("%s/" PREFIX "%" PRIu64, folder, number);
}

/* ---- writing ---- */

static ps_status check_space(const ps_disk *disk, const char *folder, const ps_param_store *store)
{
    uint64_t have, need = ps_checkpoint_file_estimate(store);
    ps_status st = disk->free_space(disk->state, folder, &have);
    if (!st && have < need)
        st = ps_fail(PS_NO_SPACE,
                     "a checkpoint of %" PRIu64 " MB, %" PRIu64 " MB are free: make room, or move "
                     "data_dir to a larger disk",
                     need >> 20, have >> 20);
    return st;
}

typedef struct writing {
    const ps_disk *disk;
    ps_param_store *store;
    ps_checkpoint_progress progress;
    void *user;
    ps_checkpoint_info *info;
} writing;

static ps_status write_snapshot(const writing *w, int file)
{
    ps_snapshot *snapshot;
    ps_status st = ps_snapshot_begin(w->store, w->progress, w->user, &snapshot);
    if (st)
        return st;
    const ps_snapshot_small *small = ps_snapshot_small_state(snapshot);
    w->info->version = small->version;
    w->info->pause_ns = small->pause_ns;
    st = ps_checkpoint_file_write(w->disk, file, w->store, snapshot, &w->info->bytes);
    ps_error error;
    ps_error_save(&error, st);
    ps_snapshot_end(&snapshot);
    return st ? ps_error_raise(&error) : PS_OK;
}

static ps_status write_temporary(const writing *w, const char *path)
{
    const ps_disk *disk = w->disk;
    ps_status st = disk->unlink(disk->state, path); /* of a crash */
    if (st && st != PS_NOT_FOUND)
        return st;
    int file;
    st = disk->open(disk->state, path, PS_DISK_CREATE, &file);
    if (st)
        return st;
    st = write_snapshot(w, file);
    if (!st)
        st = disk->fsync(disk->state, file);
    disk->close(disk->state, file);
    return st;
}

static ps_status publish(const writing *w, const char *folder, const char *temporary)
{
    char *path = path_of(folder, w->info->number);
    ps_status st = write_temporary(w, temporary);
    st = ps_disk_publish(w->disk, st, true, temporary, path, folder);
    free(path);
    return st;
}

/* What the folder has now, and what is known of it, newest first. */
static void list_kept(ps_manifest *manifest, const numbers *found, size_t keep,
                      const ps_checkpoint_info *info)
{
    ps_manifest before = *manifest;
    manifest->n = 1;
    manifest->entries[0] = (ps_manifest_entry){info->number, info->version, info->bytes};
    for (size_t i = 0; i + 1 < keep && i < found->n; i++)
        for (size_t j = 0; j < before.n; j++)
            if (before.entries[j].number == found->list[i])
                manifest->entries[manifest->n++] = before.entries[j];
}

static void remove_old(const ps_disk *disk, const char *folder, const numbers *found, size_t keep)
{
    for (size_t i = keep - 1; i < found->n; i++) {
        char *path = path_of(folder, found->list[i]);
        if (disk->unlink(disk->state, path))
            ps_log_warning("checkpoint", "an old one stays: %s", ps_error_message());
        free(path);
    }
}

static ps_status write_next(const writing *w, const char *folder, size_t keep, const numbers *found)
{
    char *temporary = ps_asprintf("%s/" TEMPORARY, folder);
    char *manifest_path = ps_asprintf("%s/manifest", folder);
    ps_manifest manifest = {0};
    ps_status st = ps_manifest_read(w->disk, manifest_path, &manifest);
    if (st == PS_NOT_FOUND || st == PS_CORRUPT)
        st = PS_OK; /* it is written anew */
    w->info->number = 1 + (found->n ? found->list[0] : 0);
    if (manifest.n && manifest.entries[0].number >= w->info->number)
        w->info->number = manifest.entries[0].number + 1;
    if (!st)
        st = check_space(w->disk, folder, w->store);
    if (!st)
        st = publish(w, folder, temporary);
    if (!st) {
        list_kept(&manifest, found, keep, w->info);
        st = ps_manifest_write(w->disk, manifest_path, &manifest);
    }
    if (!st)
        remove_old(w->disk, folder, found, keep);
    free(manifest_path);
    free(temporary);
    return st;
}

ps_status ps_checkpoint_write(const ps_disk *disk, const char *folder, ps_param_store *store,
                              unsigned keep, ps_checkpoint_progress progress, void *user,
                              ps_checkpoint_info *out)
{
    ps_checkpoint_info info = {0};
    writing w = {disk, store, progress, user, &info};
    if (keep == 0)
        keep = PS_CHECKPOINT_KEEP;
    if (keep > PS_MANIFEST_MAX)
        keep = PS_MANIFEST_MAX;
    numbers found = {0};
    ps_status st = ps_disk_mkdir_if_missing(disk, folder);
    if (!st)
        st = find_numbers(disk, folder, &found);
    if (!st)
        st = write_next(&w, folder, keep, &found);
    free(found.list);
    if (st)
        return ps_wrap(st, "checkpoint in %s", folder);
    if (out)
        *out = info;
    return PS_OK;
}

/* ---- loading ---- */

/* A checkpoint that the manifest has and the folder has not is as bad as a damaged one. */
static uint32_t count_lost(const ps_disk *disk, const char *folder, const numbers *found)
{
    char *path = ps_asprintf("%s/manifest", folder);
    ps_manifest manifest = {0};
    ps_status st = ps_manifest_read(disk, path, &manifest);
    if (st && st != PS_NOT_FOUND)
        ps_log_warning("checkpoint", "going on without the manifest: %s", ps_error_message());
    free(path);
    uint64_t newest = found->n ? found->list[0] : 0;
    uint32_t lost = 0;
    for (size_t i = 0; !st && i < manifest.n; i++) {
        if (manifest.entries[i].number <= newest)
            continue;
        lost++;
        ps_log_error("checkpoint", "%s/" PREFIX "%" PRIu64 " is gone", folder,
                     manifest.entries[i].number);
    }
    return lost;
}

static ps_status load_newest(const ps_disk *disk, const char *folder, const numbers *found,
                             uint64_t push_bytes, ps_param_store **store, ps_buf *progress,
                             ps_checkpoint_info *info)
{
    ps_error first = {0};
    for (size_t i = 0; i < found->n; i++) {
        char *path = path_of(folder, found->list[i]);
        ps_status st = ps_checkpoint_load_file(disk, path, push_bytes, store, progress);
        free(path);
        if (!st) {
            info->number = found->list[i];
            info->version = ps_param_store_version(*store);
            return PS_OK;
        }
        if (st == PS_NO_MEMORY)
            return st;
        ps_log_error("checkpoint", "not usable, trying the one before: %s", ps_error_message());
        if (!first.code)
            ps_error_save(&first, st);
        info->damaged++;
    }
    (void)ps_error_raise(&first);
    return ps_wrap(PS_CORRUPT, "none of %zu checkpoints is good, the newest", found->n);
}

ps_status ps_checkpoint_load(const ps_disk *disk, const char *folder, uint64_t push_bytes,
                             ps_param_store **store, ps_buf *progress, ps_checkpoint_info *out)
{
    numbers found = {0};
    ps_checkpoint_info info = {0};
    ps_status st = find_numbers(disk, folder, &found);
    if (!st) {
        info.damaged = count_lost(disk, folder, &found);
        if (found.n)
            st = load_newest(disk, folder, &found, push_bytes, store, progress, &info);
        else if (info.damaged)
            st = ps_fail(PS_CORRUPT, "%s: the manifest has checkpoints, the folder none", folder);
        else
            st = ps_fail(PS_NOT_FOUND, "%s: no checkpoint", folder);
    }
    free(found.list);
    if (!st && out)
        *out = info;
    return st;
}

/* ---- removing ---- */

static void remove_one(const ps_disk *disk, const char *folder, const char *name, ps_error *error)
{
    char *path = ps_asprintf("%s/%s", folder, name);
    ps_status st = disk->unlink(disk->state, path);
    if (st && st != PS_NOT_FOUND)
        ps_error_save(error, st);
    free(path);
}

ps_status ps_checkpoint_delete(const ps_disk *disk, const char *folder)
{
    numbers found = {0};
    ps_error error = {0};
    ps_status st = find_numbers(disk, folder, &found);
    if (st == PS_NOT_FOUND)
        return PS_OK;
    if (!st) {
        /* the manifest first: what is left then is no loss that anybody should be told of */
        remove_one(disk, folder, "manifest", &error);
        remove_one(disk, folder, TEMPORARY, &error);
        remove_one(disk, folder, "manifest.tmp", &error);
        for (size_t i = 0; i < found.n; i++) {
            char name[64];
            (void)snprintf(name, sizeof name, PREFIX "%" PRIu64, found.list[i]);
            remove_one(disk, folder, name, &error);
        }
        if (!error.code)
            ps_error_save(&error, disk->rmdir(disk->state, folder));
        if (error.code)
            st = ps_error_raise(&error);
    }
    free(found.list);
    return st;
}
