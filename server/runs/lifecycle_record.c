/* Happy path: begun with the store, marked by each checkpoint, moved among the artifacts at the
 * end. Fails where the disk does. */
#include "server/runs/lifecycle_record.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/files/artifact_file.h"
#include "server/files/losses_file.h"
#include "server/files/noise_file.h"
#include "server/params/recording.h"
#include "server/params/waypoints.h"
#include "server/record/record_file.h"
#include "server/sched/task_result.h"

#include <string.h>

static const char mark[8] = {'P', 'S', 'D', 'R', 'E', 'C', 'R', 'D'};
enum {
    INFLUENCE = 1,
    LOSSES = 2,
    NOISE = 4,
    ENDED = 8,            /* the file of INFLUENCE, before the training */
    END = 8 + sizeof mark /* length of what is before, mark */
};

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

/* Else no worker could say what it has measured. shape: of sketches; NULL: there are none. */
static ps_status check_reports(const ps_placement *placement, const ps_sketch *shape)
{
    size_t units = 0;
    for (size_t t = 0; t < placement->n_tensors; t++)
        units += placement->tensors[t].n_shards;
    size_t most = ps_loss_report_most(units, shape ? ps_loss_gradient_bytes(shape) : 0);
    if (most <= PS_RESULT_REPORT)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "record.loss_changes: a report on %zu column blocks may have %zu bytes, at most "
                   "%d; make record.influence.sketch or column_blocks smaller",
                   units, most, PS_RESULT_REPORT);
}

static ps_status keep_losses(ps_param_store *store, ps_spec_record_losses of)
{
    ps_record *r = ps_param_store_recorder(store);
    const ps_sketch *shape = r ? ps_record_shape(r) : NULL;
    ps_status st = check_reports(ps_param_store_placement(store), shape);
    if (st)
        return st;
    ps_param_store_measure(store, of.tolerance, shape);
    return ps_waypoints_start(store, (uint64_t)of.every, of.memory);
}

ps_status ps_lifecycle_record_begin(const ps_lifecycle *l, uint64_t job_id, const ps_job_spec *spec,
                                    ps_param_store *store)
{
    const ps_spec_record *wanted = spec->record;
    ps_status st = PS_OK;
    if (wanted && wanted->influence)
        st = record(l, job_id, store,
                    (ps_record_options){.sketch = (uint32_t)wanted->influence->sketch,
                                        .every = (uint32_t)wanted->influence->every,
                                        .budget = wanted->influence->budget});
    if (!st && wanted && wanted->loss_changes)
        st = keep_losses(store, *wanted->loss_changes);
    if (!st && wanted && wanted->noise_scale)
        st = ps_param_store_measure_noise(store);
    return st;
}

/* ---- checkpoints ---- */

static void mark_influence(const ps_record_options *options, ps_buf *out)
{
    ps_buf_put_u32le(out, options->sketch);
    ps_buf_put_u32le(out, options->every);
    ps_buf_put_u64le(out, options->budget);
    ps_buf_put_u64le(out, options->position);
}

static void mark_losses(ps_param_store *store, ps_buf *out)
{
    uint64_t steps, memory;
    ps_waypoints_settings(store, &steps, &memory);
    ps_buf_put_u64le(out, steps);
    ps_buf_put_u64le(out, memory);
    ps_buf_put_f64le(out, ps_losses_tolerance(ps_param_store_losses(store)));
    ps_losses_save(ps_param_store_losses(store), out);
}

void ps_lifecycle_record_mark(ps_param_store *store, ps_buf *progress)
{
    ps_record *influence = ps_param_store_recorder(store);
    bool losses = ps_param_store_losses(store);
    ps_noise *noise = ps_param_store_noise(store);
    ps_record_options options = {0};
    size_t start = progress->len;
    if (!influence && !losses && !noise)
        return;
    if (influence)
        options = ps_record_settings(influence);
    ps_buf_put_u32le(progress, (influence ? INFLUENCE : 0) | (losses ? LOSSES : 0) |
                                   (noise ? NOISE : 0) | (options.ended ? ENDED : 0));
    if (influence)
        mark_influence(&options, progress);
    if (losses)
        mark_losses(store, progress);
    if (noise)
        ps_noise_save(noise, progress);
    ps_buf_put_u64le(progress, progress->len - start);
    ps_buf_append(progress, mark, sizeof mark);
}

static ps_status restore_influence(const ps_lifecycle *l, uint64_t job_id, ps_param_store *store,
                                   bool ended, ps_cursor *c)
{
    ps_record_options options = {.ended = ended};
    options.sketch = ps_read_u32le(c);
    options.every = ps_read_u32le(c);
    options.budget = ps_read_u64le(c);
    options.position = ps_read_u64le(c);
    if (c->failed || options.every == 0 || options.position == 0 ||
        options.sketch > PS_SKETCH_SIZE_MAX)
        return ps_fail(PS_CORRUPT, "the checkpoint's word of it is damaged");
    return record(l, job_id, store, options);
}

static ps_status restore_losses(ps_param_store *store, ps_cursor *c)
{
    ps_spec_record_losses of = {0};
    of.every = (int64_t)ps_read_u64le(c);
    of.memory = ps_read_u64le(c);
    of.tolerance = ps_read_f64le(c);
    if (c->failed || of.every <= 0 || !(of.tolerance > 0))
        return ps_fail(PS_CORRUPT, "the checkpoint's word of its losses is damaged");
    ps_status st = keep_losses(store, of);
    return st ? st : ps_losses_load(ps_param_store_losses(store), c);
}

static ps_status restore_noise(ps_param_store *store, ps_slice saved)
{
    ps_status st = ps_param_store_measure_noise(store);
    ps_cursor c = ps_cursor_of(saved);
    if (!st)
        ps_noise_load(ps_param_store_noise(store), &c);
    return st;
}

/* What is between progress and mark; *bytes points into progress, which is shorter by it. */
static bool take_mark(ps_buf *progress, ps_slice *bytes)
{
    if (progress->len < END ||
        memcmp(progress->data + progress->len - sizeof mark, mark, sizeof mark) != 0)
        return false;
    ps_cursor end = ps_cursor_of(ps_slice_of(progress->data + progress->len - END, 8));
    uint64_t len = ps_read_u64le(&end);
    if (len > progress->len - END)
        return false;
    progress->len -= END + (size_t)len;
    *bytes = ps_slice_of(progress->data + progress->len, (size_t)len);
    return true;
}

static void note(ps_restored *restored, const char *what, ps_status st)
{
    if (st)
        ps_buf_printf(&restored->note, "%s%s is not recorded any more: %s",
                      restored->note.len ? "; " : "", what, ps_error_message());
}

/* Losses cannot do without the sketches that they were begun with; the noise, at the end, can. */
void ps_lifecycle_record_restore(const ps_lifecycle *l, uint64_t job_id, ps_param_store *store,
                                 ps_restored *restored)
{
    ps_slice bytes;
    if (!take_mark(&restored->progress, &bytes))
        return;
    ps_cursor c = ps_cursor_of(bytes);
    uint32_t parts = ps_read_u32le(&c);
    bool ended = parts & ENDED;
    ps_status st = parts & INFLUENCE ? restore_influence(l, job_id, store, ended, &c) : PS_OK;
    if (!st && parts & LOSSES)
        st = restore_losses(store, &c);
    note(restored, "the training", st);
    if (parts & NOISE && bytes.len >= PS_NOISE_SAVED)
        note(restored, "its noise",
             restore_noise(store,
                           ps_slice_of(bytes.data + bytes.len - PS_NOISE_SAVED, PS_NOISE_SAVED)));
}

/* ---- the end ---- */

static ps_status move_record(const ps_lifecycle *l, uint64_t job_id, uint64_t bytes)
{
    ps_stored_place place = ps_artifact_place(job_id);
    ps_free(&place.incoming); /* it has been written by and by */
    place.incoming = path_of(job_id);
    ps_status st =
        ps_artifact_file_adopt_own(&l->conf.files, &place, job_id, PS_INFLUENCE_FILE, bytes);
    ps_stored_place_free(&place);
    return st;
}

typedef struct copying {
    const ps_disk *disk;
    int from;
    uint64_t bytes;
} copying;

static ps_status fill_copy(void *user, ps_safetensors_sink sink)
{
    const copying *c = user;
    return ps_disk_pour(c->disk, c->from, c->bytes, sink.write, sink.state);
}

/* On a disk that seals, what grew is sealed in another way, and as something else, than what stays.
 * The record itself goes with the job. */
static ps_status copy_record(const ps_lifecycle *l, uint64_t job_id, uint64_t bytes)
{
    char *path = path_of(job_id);
    copying c = {.disk = l->conf.files.disk, .bytes = bytes};
    ps_status st = ps_stored_file_open(&l->conf.files, path, &c.from);
    if (!st) {
        st = ps_artifact_file_make(&l->conf.files, job_id, PS_INFLUENCE_FILE, fill_copy, &c);
        c.disk->close(c.disk->state, c.from);
    }
    ps_free(&path);
    return st;
}

static ps_status finish_influence(const ps_lifecycle *l, uint64_t job_id, ps_param_store *store)
{
    ps_record *r = ps_param_store_recorder(store);
    if (!r || ps_record_is_taken(r))
        return PS_OK;
    ps_status st = ps_record_sync(r);
    if (!st)
        st = l->conf.files.disk->create_for ? copy_record(l, job_id, ps_record_position(r))
                                            : move_record(l, job_id, ps_record_position(r));
    if (!st)
        ps_record_take(r);
    return st ? ps_wrap(st, "%s", PS_INFLUENCE_FILE) : PS_OK;
}

ps_status ps_lifecycle_record_finish(const ps_lifecycle *l, uint64_t job_id, ps_param_store *store)
{
    ps_status st = PS_OK;
    if (ps_param_store_losses(store))
        st = ps_losses_file_store(&l->conf.files, job_id, store);
    if (!st && ps_param_store_noise(store)) {
        ps_noise_scale scale;
        ps_noise_get(ps_param_store_noise(store), &scale);
        st = ps_noise_file_store(&l->conf.files, job_id, &scale);
    }
    return st ? st : finish_influence(l, job_id, store);
}

void ps_lifecycle_record_remove(const ps_lifecycle *l, uint64_t job_id)
{
    ps_loop_require_off();
    char *path = full_path(l, job_id);
    ps_status st = ps_record_file_remove(l->conf.files.disk, path);
    if (st)
        ps_log_warning("record", "job %llu has ended: %s", (unsigned long long)job_id,
                       ps_error_message());
    ps_free(&path);
}
