/* Happy path: the file is placed, the row put, the file of the row before removed. A crash on the
 * way leaves the one that has no row on the list of the doomed. */
#include "server/files/artifact_file.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/loop/loop.h"
#include "server/catalog/removal.h"

#include <string.h>

static void remove_doomed(const ps_stored_files *files, const char *path)
{
    ps_error before; /* of the caller, who is perhaps about to tell it */
    ps_error_save(&before, PS_UNKNOWN);
    if (ps_stored_file_remove(files, path) && ps_catalog_doomed_gone(files->catalog, path))
        ps_log_warning("files", "%s: %s", path, ps_error_message());
    (void)ps_error_raise(&before);
}

ps_stored_place ps_artifact_place(uint64_t job_id)
{
    char *stem = ps_asprintf("%llu", (unsigned long long)job_id);
    ps_stored_place place = ps_stored_place_new("artifacts", stem, "");
    ps_free(&stem);
    return place;
}

/* With the lock. Doomed is the file that has no row: first the new one, then the old one. */
static ps_status replace(const ps_stored_files *files, const ps_stored_place *place,
                         ps_artifact_record *record)
{
    ps_stored_files_require_locked();
    PS_REQUIRE(!record->path);
    ps_artifact_record *old = NULL;
    if (ps_catalog_artifact_get(files->catalog, record->job_id, record->name, &old))
        old = NULL;
    record->path = ps_strdup(place->path);
    ps_status st = ps_catalog_doom(files->catalog, record->path);
    if (!st)
        st = ps_stored_file_move(files, place);
    if (!st)
        st = ps_catalog_artifact_put(files->catalog, record);
    if (st)
        remove_doomed(files, record->path);
    else if (old)
        remove_doomed(files, old->path);
    ps_artifact_record_free(&old);
    return st;
}

static ps_status adopt(const ps_stored_files *files, const ps_stored_place *place, uint64_t job_id,
                       const char *name, uint64_t bytes, bool own, ps_artifact_record **out)
{
    ps_loop_require_off();
    ps_artifact_record *record = ps_new(ps_artifact_record);
    *record = (ps_artifact_record){.job_id = job_id,
                                   .name = ps_strdup(name),
                                   .bytes = bytes,
                                   .own = own,
                                   .created_ms = ps_clock_wall_ms(&files->clock)};
    ps_stored_files_lock();
    ps_status st = replace(files, place, record);
    ps_stored_files_unlock();
    if (st) {
        ps_artifact_record_free(&record);
        return ps_wrap(st, "artifact %s", name);
    }
    *out = record;
    return PS_OK;
}

ps_status ps_artifact_file_adopt(const ps_stored_files *files, const ps_stored_place *place,
                                 uint64_t job_id, const char *name, uint64_t bytes,
                                 ps_artifact_record **out)
{
    return adopt(files, place, job_id, name, bytes, false, out);
}

ps_status ps_artifact_file_adopt_own(const ps_stored_files *files, const ps_stored_place *place,
                                     uint64_t job_id, const char *name, uint64_t bytes)
{
    ps_artifact_record *record = NULL;
    ps_status st = adopt(files, place, job_id, name, bytes, true, &record);
    ps_artifact_record_free(&record);
    return st;
}

ps_status ps_artifact_file_make(const ps_stored_files *files, uint64_t job_id, const char *name,
                                ps_status (*fill)(void *user, ps_safetensors_sink sink), void *user)
{
    ps_loop_require_off();
    ps_stored_place place = ps_artifact_place(job_id);
    uint64_t bytes;
    ps_status st = ps_stored_file_write(files, &place, fill, user, &bytes);
    if (st)
        st = ps_wrap(st, "%s", name);
    else if ((st = ps_artifact_file_adopt_own(files, &place, job_id, name, bytes)))
        ps_stored_file_remove(files, place.incoming);
    ps_stored_place_free(&place);
    return st;
}

ps_status ps_artifact_file_open(const ps_stored_files *files, uint64_t job_id, const char *name,
                                int *file)
{
    ps_artifact_record *record = NULL;
    ps_stored_files_lock();
    ps_status st = ps_catalog_artifact_get(files->catalog, job_id, name, &record);
    if (!st)
        st = ps_stored_file_open(files, record->path, file);
    ps_stored_files_unlock();
    ps_artifact_record_free(&record);
    return st;
}
