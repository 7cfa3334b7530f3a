/* Happy path: begun with the store, marked by each checkpoint, moved among the artifacts at the
 * end. Fails where the disk does. */
#include "server/runs/lifecycle_record.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/files/artifact_file.h"
#include "server/params/recording.h"

#include <string.h>

static const char mark[8] = {'P', 'S', 'D', 'R', 'E', 'C', 'R', 'D'};
enum { MARK = 4 + 4 + 8 + 8 + sizeof mark }; /* sketch, every, budget, position, mark */

/* Below data_dir. */
static char *path_of(uint64_t job_id)
{
    return ps_asprintf("records/%llu", (unsigned long long)job_id);
}

static char *full_path(const ps_lifecycle *l, uint64_t job_id)
{
    char *path = path_of(job_id), *full = ps_stored_file_full(&l->conf.files, path);
    ps_free(&path);
    return full;
}

static ps_status record(const ps_lifecycle *l, uint64_t job_id, ps_param_store *store,
                        ps_record_options options)
{
    char *path = full_path(l, job_id);
    options.disk = l->conf.files.disk;
    options.path = path;
    ps_status st = ps_param_store_record(store, &options);
    ps_free(&path);
    return st;
}

ps_status ps_lifecycle_record_begin(const ps_lifecycle *l, uint64_t job_id, const ps_job_spec *spec,
                                    ps_param_store *store)
{
    if (!spec->record || !spec->record->influence)
        return PS_OK;
    const ps_spec_record_influence *influence = spec->record->influence;
    return record(l, job_id, store,
                  (ps_record_options){.sketch = (uint32_t)influence->sketch,
                                      .every = (uint32_t)influence->every,
                                      .budget = influence->budget});
}

void ps_lifecycle_record_mark(ps_param_store *store, ps_buf *progress)
{
    ps_record *r = ps_param_store_recorder(store);
    if (!r)
        return;
    const ps_record_options options = ps_record_settings(r);
    ps_buf_put_u32le(progress, options.sketch);
    ps_buf_put_u32le(progress, options.every);
    ps_buf_put_u64le(progress, options.budget);
    ps_buf_put_u64le(progress, options.position);
    ps_buf_append(progress, mark, sizeof mark);
}

void ps_lifecycle_record_restore(const ps_lifecycle *l, uint64_t job_id, ps_param_store *store,
                                 ps_restored *restored)
{
    ps_buf *progress = &restored->progress;
    if (progress->len < MARK ||
        memcmp(progress->data + progress->len - sizeof mark, mark, sizeof mark) != 0)
        return;
    progress->len -= MARK;
    ps_cursor c = ps_cursor_of(ps_slice_of(progress->data + progress->len, MARK));
    ps_record_options options = {0};
    options.sketch = ps_read_u32le(&c);
    options.every = ps_read_u32le(&c);
    options.budget = ps_read_u64le(&c);
    options.position = ps_read_u64le(&c);
    if (record(l, job_id, store, options))
        ps_buf_printf(&restored->note, "%sis not recorded any more: %s",
                      restored->note.len ? "; " : "", ps_error_message());
}

ps_status ps_lifecycle_record_finish(const ps_lifecycle *l, uint64_t job_id, ps_param_store *store)
{
    ps_record *r = ps_param_store_recorder(store);
    if (!r || ps_record_is_taken(r))
        return PS_OK;
    uint64_t bytes = ps_record_position(r);
    char *path = path_of(job_id);
    ps_status st = ps_record_sync(r);
    if (!st)
        st = ps_artifact_file_adopt_own(&l->conf.files, path, job_id, PS_INFLUENCE_FILE, bytes);
    if (!st)
        ps_record_take(r);
    ps_free(&path);
    return st ? ps_wrap(st, "%s", PS_INFLUENCE_FILE) : PS_OK;
}

void ps_lifecycle_record_remove(const ps_lifecycle *l, uint64_t job_id)
{
    ps_loop_require_off();
    const ps_disk *disk = l->conf.files.disk;
    char *path = full_path(l, job_id);
    ps_status st = disk->unlink(disk->state, path);
    if (st && st != PS_NOT_FOUND)
        ps_log_warning("record", "job %llu has ended: %s", (unsigned long long)job_id,
                       ps_error_message());
    ps_free(&path);
}
