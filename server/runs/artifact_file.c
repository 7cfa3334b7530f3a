/* Happy path: the file is placed, the row put, the file of the row before removed. */
#include "server/runs/artifact_file.h"

#include "common/base/mem.h"

#include <string.h>

bool ps_artifact_name_ok(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);
    return len >= 1 && len <= 64 && name[0] != '.' && strspn(name, allowed) == len;
}

/* With the lock. */
static ps_status replace(const ps_stored_files *files, const char *incoming,
                         ps_artifact_record *record)
{
    ps_artifact_record *old = NULL;
    if (ps_catalog_artifact_get(files->catalog, record->job_id, record->name, &old))
        old = NULL;
    char *stem = ps_asprintf("%llu", (unsigned long long)record->job_id);
    ps_status st = ps_stored_file_place(files, incoming, "artifacts", stem, "", &record->path);
    ps_free(&stem);
    if (!st) {
        st = ps_catalog_artifact_put(files->catalog, record);
        if (st)
            ps_stored_file_remove(files, record->path);
        else if (old)
            ps_stored_file_remove(files, old->path);
    }
    ps_artifact_record_free(&old);
    return st;
}

ps_status ps_artifact_file_adopt(const ps_stored_files *files, const char *incoming,
                                 uint64_t job_id, const char *name, uint64_t bytes,
                                 ps_artifact_record **out)
{
    ps_artifact_record *record = ps_new(ps_artifact_record);
    *record = (ps_artifact_record){.job_id = job_id,
                                   .name = ps_strdup(name),
                                   .bytes = bytes,
                                   .created_ms = ps_clock_wall_ms(&files->clock)};
    ps_stored_files_lock();
    ps_status st = replace(files, incoming, record);
    ps_stored_files_unlock();
    if (st) {
        ps_artifact_record_free(&record);
        return ps_wrap(st, "artifact %s", name);
    }
    *out = record;
    return PS_OK;
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
