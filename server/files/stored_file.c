/* Happy path: a rename and an fsync of the folder. The rename is undone when the folder cannot be
 * synced, so that a failed call changes nothing. */
#include "server/files/stored_file.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/rng.h"
#include "common/base/text.h"
#include "common/base/whole_file.h"
#include "common/loop/loop.h"
#include "server/catalog/models.h"

#include <string.h>

/* One for the process, as there is one catalog: changes of rows are rare. */
static ps_mutex rows = PS_MUTEX_INITIALIZER;

void ps_stored_files_lock(void)
{
    ps_mutex_lock(&rows);
}

void ps_stored_files_unlock(void)
{
    ps_mutex_unlock(&rows);
}

bool ps_stored_files_are_locked(void)
{
    return ps_mutex_is_held(&rows);
}

char *ps_stored_file_full(const ps_stored_files *files, const char *path)
{
    return ps_asprintf("%s/%s", files->data_dir, path);
}

static ps_status rename_durably(const ps_disk *disk, const char *from, const char *to,
                                const char *folder)
{
    ps_status st = disk->rename(disk->state, from, to);
    if (st)
        return st;
    st = disk->sync_folder(disk->state, folder);
    if (!st)
        return PS_OK;
    ps_error error;
    ps_error_save(&error, st);
    (void)!disk->rename(disk->state, to, from);
    return ps_error_raise(&error);
}

ps_stored_place ps_stored_place_new(const char *folder, const char *stem, const char *suffix)
{
    unsigned long long name = ps_rng_entropy();
    return (ps_stored_place){
        .incoming = ps_asprintf("%s/" PS_STORED_INCOMING "%s.%016llx", folder, stem, name),
        .path = ps_asprintf("%s/%s.%016llx%s", folder, stem, name, suffix)};
}

void ps_stored_place_free(ps_stored_place *place)
{
    ps_free(&place->incoming);
    ps_free(&place->path);
}

typedef struct file_sink {
    const ps_disk *disk;
    int file;
    uint64_t bytes;
} file_sink;

static ps_status sink_write(void *state, const void *data, size_t len)
{
    file_sink *sink = state;
    sink->bytes += len;
    return ps_disk_write_all(sink->disk, sink->file, data, len);
}

ps_status ps_stored_file_write(const ps_stored_files *files, const ps_stored_place *place,
                               ps_status (*fill)(void *user, ps_safetensors_sink sink), void *user,
                               uint64_t *bytes)
{
    ps_loop_require_off();
    char *full = ps_stored_file_full(files, place->incoming);
    char *name = ps_stored_file_full(files, place->path);
    ps_whole_file *file = NULL;
    ps_status st = ps_whole_file_open(files->disk, full, name, &file);
    if (!st) {
        file_sink sink = {.disk = files->disk, .file = ps_whole_file_handle(file)};
        st = fill(user, (ps_safetensors_sink){sink_write, &sink});
        st = st ? ps_wrap(st, "%s", full) : ps_whole_file_keep(&file);
        ps_whole_file_drop(&file);
        if (!st && bytes)
            *bytes = sink.bytes;
    }
    ps_free(&name);
    ps_free(&full);
    return st;
}

ps_status ps_stored_file_move(const ps_stored_files *files, const ps_stored_place *place)
{
    ps_loop_require_off();
    ps_stored_files_require_locked();
    char *from = ps_stored_file_full(files, place->incoming);
    char *to = ps_stored_file_full(files, place->path);
    char *folder = ps_stored_file_full(files, place->path);
    char *slash = strrchr(folder, '/');
    PS_REQUIRE(slash > folder + strlen(files->data_dir)); /* in a folder of its own kind */
    *slash = '\0';
    ps_status st = rename_durably(files->disk, from, to, folder);
    ps_free(&from);
    ps_free(&to);
    ps_free(&folder);
    return st;
}

ps_status ps_stored_file_open(const ps_stored_files *files, const char *path, int *file)
{
    ps_loop_require_off();
    char *full = ps_stored_file_full(files, path);
    ps_status st = files->disk->open(files->disk->state, full, PS_DISK_READ, file);
    ps_free(&full);
    return st;
}

bool ps_stored_file_remove(const ps_stored_files *files, const char *path)
{
    ps_loop_require_off();
    char *full = ps_stored_file_full(files, path);
    ps_error before; /* of the caller, who is perhaps about to tell it */
    ps_error_save(&before, PS_UNKNOWN);
    ps_status st = files->disk->unlink(files->disk->state, full);
    bool gone = !st || st == PS_NOT_FOUND;
    if (!gone)
        ps_log_warning("files", "no longer needed, but stays: %s", ps_error_message());
    (void)ps_error_raise(&before);
    ps_free(&full);
    return gone;
}

/* ---- versions that nobody needs ---- */

/* With the lock. */
static ps_status collect_all(const ps_stored_files *files)
{
    ps_stored_files_require_locked();
    char *path = ps_strdup("");
    ps_status st = PS_OK;
    while (!st) {
        char *next = NULL;
        st = ps_catalog_model_unused(files->catalog, path, &next);
        ps_free(&path);
        path = next;
        if (!st && ps_stored_file_remove(files, path))
            st = ps_catalog_model_forget(files->catalog, path);
    }
    ps_free(&path);
    return st == PS_END ? PS_OK : st;
}

void ps_stored_files_collect(const ps_stored_files *files)
{
    ps_loop_require_off();
    ps_error before;
    ps_error_save(&before, PS_UNKNOWN);
    ps_stored_files_lock();
    ps_status st = collect_all(files);
    ps_stored_files_unlock();
    if (st)
        ps_log_warning("files", "models that are no longer needed stay: %s", ps_error_message());
    (void)ps_error_raise(&before);
}

/* ---- after a crash ---- */

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

/* Files that the catalog does not know are somebody's to look at. */
static ps_status look_at_stranger(const ps_stored_files *files, const char *path)
{
    bool known = true;
    ps_status st = ps_catalog_model_known(files->catalog, path, &known);
    if (!st && !known)
        ps_log_warning("files", "%s/%s is no model's: import it, or remove it", files->data_dir,
                       path);
    return st;
}

/* full: data_dir/FOLDER/NAME. */
static ps_status sweep_one(void *user, const char *full)
{
    const ps_stored_files *files = user;
    const char *path = full + strlen(files->data_dir) + 1, *name = strrchr(path, '/') + 1;
    if (begins(name, PS_STORED_INCOMING)) {
        ps_log_notice("files", "removed %s, which psd had not finished to write", path);
        (void)ps_stored_file_remove(files, path);
        return PS_OK;
    }
    return begins(path, "models/") && ps_text_ends(name, ".safetensors")
               ? look_at_stranger(files, path)
               : PS_OK;
}

static ps_status sweep(const ps_stored_files *files, const char *folder)
{
    char *full = ps_stored_file_full(files, folder);
    ps_status st = ps_disk_each(files->disk, full, sweep_one, (void *)(uintptr_t)files);
    ps_free(&full);
    return st;
}

ps_status ps_stored_files_sweep(const ps_stored_files *files)
{
    ps_stored_files_collect(files);
    ps_status st = sweep(files, "models");
    return st ? st : sweep(files, "artifacts");
}
