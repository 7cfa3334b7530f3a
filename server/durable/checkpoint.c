/* Writing: a whole file with everything in it, the manifest, and only then is the oldest removed.
 * What fails after the file has its name leaves the new one beside the old ones. Loading is in
 * checkpoint_load.c. */
#include "server/durable/checkpoint.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/whole_file.h"
#include "common/loop/loop.h"
#include "server/durable/checkpoint_file.h"
#include "server/durable/checkpoint_folder.h"
#include "server/durable/manifest.h"
#include "server/params/recording.h"

#include <inttypes.h>
#include <stdio.h>

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
    if (!st && ps_param_store_recorder(w->store)) /* what the progress says of it is there */
        st = ps_record_sync(ps_param_store_recorder(w->store));
    ps_error error;
    ps_error_save(&error, st);
    ps_snapshot_end(&snapshot);
    return st ? ps_error_raise(&error) : PS_OK;
}

static ps_status write_file(const writing *w, const char *folder)
{
    char *temporary = ps_asprintf("%s/" PS_CHECKPOINT_TEMPORARY, folder);
    char *path = ps_checkpoint_path(folder, w->info->number);
    ps_whole_file *file = NULL;
    ps_status st = ps_whole_file_open(w->disk, temporary, path, &file);
    if (!st)
        st = write_snapshot(w, ps_whole_file_handle(file));
    if (!st)
        st = ps_whole_file_place(&file, path, true);
    ps_whole_file_drop(&file);
    free(path);
    free(temporary);
    return st;
}

/* What the folder has now, and what is known of it, newest first. */
static void list_kept(ps_manifest *manifest, const ps_checkpoint_numbers *found, size_t keep,
                      const ps_checkpoint_info *info)
{
    PS_REQUIRE(keep >= 1 && keep <= PS_MANIFEST_MAX);
    ps_manifest before = *manifest;
    manifest->n = 1;
    manifest->entries[0] = (ps_manifest_entry){info->number, info->version, info->bytes};
    for (size_t i = 0; i + 1 < keep && i < found->n; i++)
        for (size_t j = 0; j < before.n; j++)
            if (before.entries[j].number == found->list[i])
                manifest->entries[manifest->n++] = before.entries[j];
    PS_REQUIRE(manifest->n <= keep); /* a manifest has a number once */
}

static void remove_old(const ps_disk *disk, const char *folder, const ps_checkpoint_numbers *found,
                       size_t keep)
{
    PS_REQUIRE(keep >= 1); /* the one that was just written */
    for (size_t i = keep - 1; i < found->n; i++) {
        char *path = ps_checkpoint_path(folder, found->list[i]);
        if (disk->unlink(disk->state, path))
            ps_log_warning("checkpoint", "an old one stays: %s", ps_error_message());
        free(path);
    }
}

/* One that was never used, also not by a checkpoint that is gone or damaged. */
static ps_status next_number(const ps_checkpoint_found *found, const ps_manifest *manifest,
                             uint64_t *out)
{
    const uint64_t newest[] = {found->good.n ? found->good.list[0] : 0,
                               found->damaged.n ? found->damaged.list[0] : 0,
                               manifest->n ? manifest->entries[0].number : 0};
    uint64_t most = 0;
    for (size_t i = 0; i < sizeof newest / sizeof *newest; i++)
        most = newest[i] > most ? newest[i] : most;
    if (most == UINT64_MAX)
        return ps_fail(PS_CORRUPT,
                       "no number is left after " PS_CHECKPOINT_PREFIX "%" PRIu64
                       ", which is not psd's: move it away, and the manifest if it names it",
                       most);
    *out = most + 1;
    return PS_OK;
}

static ps_status write_next(const writing *w, const char *folder, size_t keep,
                            const ps_checkpoint_found *found)
{
    char *manifest_path = ps_asprintf("%s/manifest", folder);
    ps_manifest manifest = {0};
    ps_status st = ps_manifest_read(w->disk, manifest_path, &manifest);
    if (st == PS_NOT_FOUND || st == PS_CORRUPT)
        st = PS_OK; /* it is written anew */
    if (!st)
        st = next_number(found, &manifest, &w->info->number);
    if (!st)
        st = check_space(w->disk, folder, w->store);
    if (!st)
        st = write_file(w, folder);
    if (!st) {
        list_kept(&manifest, &found->good, keep, w->info);
        st = ps_manifest_write(w->disk, manifest_path, &manifest);
    }
    if (!st)
        remove_old(w->disk, folder, &found->good, keep);
    free(manifest_path);
    return st;
}

ps_status ps_checkpoint_write(const ps_disk *disk, const char *folder, ps_param_store *store,
                              unsigned keep, ps_checkpoint_progress progress, void *user,
                              ps_checkpoint_info *out)
{
    ps_loop_require_off();
    ps_checkpoint_info info = {0};
    writing w = {disk, store, progress, user, &info};
    if (keep == 0)
        keep = PS_CHECKPOINT_KEEP;
    if (keep > PS_MANIFEST_MAX)
        keep = PS_MANIFEST_MAX;
    ps_checkpoint_found found = {0};
    ps_status st = ps_disk_mkdir_if_missing(disk, folder);
    if (!st)
        st = ps_checkpoint_find(disk, folder, &found);
    if (!st)
        st = write_next(&w, folder, keep, &found);
    ps_checkpoint_found_free(&found);
    if (st)
        return ps_wrap(st, "checkpoint in %s", folder);
    if (out)
        *out = info;
    return PS_OK;
}

/* One whose manifest is damaged counts when the next checkpoint has written it anew. */
ps_status ps_checkpoint_bytes(const ps_disk *disk, const char *folder, uint64_t *bytes)
{
    ps_loop_require_off();
    char *path = ps_asprintf("%s/manifest", folder);
    ps_manifest manifest = {0};
    ps_status st = ps_manifest_read(disk, path, &manifest);
    for (size_t i = 0; !st && i < manifest.n; i++)
        *bytes += manifest.entries[i].bytes;
    free(path);
    return st == PS_NOT_FOUND || st == PS_CORRUPT ? PS_OK : st;
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

static void remove_numbers(const ps_disk *disk, const char *folder,
                           const ps_checkpoint_numbers *numbers, const char *end, ps_error *error)
{
    for (size_t i = 0; i < numbers->n; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, PS_CHECKPOINT_PREFIX "%" PRIu64 "%s", numbers->list[i],
                       end);
        remove_one(disk, folder, name, error);
    }
}

static void say_damaged(const char *folder, const ps_checkpoint_found *found, bool kept)
{
    if (found->damaged.n && kept)
        ps_log_notice("checkpoint", "%s: %zu damaged ones stay until somebody removes them", folder,
                      found->damaged.n);
    else if (found->damaged.n)
        ps_log_notice("checkpoint", "%s: %zu damaged ones go with the others", folder,
                      found->damaged.n);
}

static ps_status remove_all(const ps_disk *disk, const char *folder,
                            const ps_checkpoint_found *found, bool keep_damaged)
{
    ps_error error = {0};
    /* the manifest first: what is left then is no loss that anybody should be told of */
    remove_one(disk, folder, "manifest", &error);
    remove_one(disk, folder, PS_CHECKPOINT_TEMPORARY, &error);
    remove_one(disk, folder, "manifest.tmp", &error);
    remove_numbers(disk, folder, &found->good, "", &error);
    say_damaged(folder, found, keep_damaged);
    if (!keep_damaged)
        remove_numbers(disk, folder, &found->damaged, PS_CHECKPOINT_DAMAGED, &error);
    if (!error.code && !(keep_damaged && found->damaged.n))
        ps_error_save(&error, disk->rmdir(disk->state, folder));
    return error.code ? ps_error_raise(&error) : PS_OK;
}

ps_status ps_checkpoint_delete(const ps_disk *disk, const char *folder, bool keep_damaged)
{
    ps_checkpoint_found found = {0};
    ps_status st = ps_checkpoint_find(disk, folder, &found);
    if (!st)
        st = remove_all(disk, folder, &found, keep_damaged);
    ps_checkpoint_found_free(&found);
    return st == PS_NOT_FOUND ? PS_OK : st;
}
