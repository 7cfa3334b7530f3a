/* The tensors go through as they are made, a piece at a time, into a file that becomes the artifact
 * when it is whole. A write that fails leaves nothing behind. */
#include "server/files/moments_file.h"

#include "common/base/half.h"
#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "common/json/json.h"
#include "common/loop/loop.h"
#include "server/catalog/models.h"
#include "server/files/artifact_file.h"
#include "server/params/export.h"

#include <string.h>

enum { PIECE = 4096 }; /* numbers */

typedef struct writing {
    ps_param_store *store;
    const ps_moments_about *about;
} writing;

/* The numbers of a tensor that the store has transposed, as the model has them. */
typedef struct turning {
    const ps_param_tensor *tensor;
    float *all;
    uint64_t done;
} turning;

static ps_status turn(void *state, const float *values, size_t count)
{
    turning *t = state;
    uint64_t rows = t->tensor->rows, columns = t->tensor->columns;
    for (size_t i = 0; i < count; i++, t->done++)
        t->all[t->done % columns * rows + t->done / columns] = values[i];
    return PS_OK;
}

static ps_status put_halves(void *state, const float *values, size_t count)
{
    uint16_t halves[PIECE];
    ps_status st = PS_OK;
    for (size_t done = 0, n; done < count && !st; done += n) {
        n = count - done < PIECE ? count - done : PIECE;
        for (size_t i = 0; i < n; i++)
            halves[i] = ps_bf16_of(values[done + i]);
        st = ps_safetensors_writer_data(state, halves, n * sizeof *halves);
    }
    return st;
}

static ps_safetensors_tensor *tensors_of(const ps_placement *placement)
{
    ps_safetensors_tensor *out = ps_alloc_array(placement->n_tensors, sizeof *out);
    for (size_t i = 0; i < placement->n_tensors; i++) {
        const ps_param_tensor *t = &placement->tensors[i];
        out[i].name = t->name;
        out[i].dtype = PS_SAFETENSORS_BF16;
        out[i].n_dims = t->rank;
        ps_placement_model_shape(t, out[i].shape);
    }
    return out;
}

static void describe(const ps_moments_about *about, ps_buf *json)
{
    ps_json_writer w = ps_json_writer_to(json);
    ps_json_object(&w);
    ps_json_put_string(&w, "optimizer", about->optimizer);
    ps_json_put_double(&w, "rows", about->rows);
    ps_json_put_int(&w, "sequence_length", about->sequence_length);
    ps_json_put_string(&w, "model", about->model);
    ps_json_object_end(&w);
}

static ps_status write_tensor(ps_param_store *store, uint32_t id, ps_safetensors_writer *writer)
{
    const ps_param_tensor *t = &ps_param_store_placement(store)->tensors[id];
    if (!t->transposed)
        return ps_param_export_moments(store, id, (ps_param_sink){put_halves, writer});
    uint64_t n = t->rows * t->columns;
    turning all = {.tensor = t, .all = ps_try_alloc_raw((size_t)n * sizeof *all.all)};
    if (!all.all)
        return ps_fail(PS_NO_MEMORY, "tensor %s: no memory to transpose it", t->name);
    ps_status st = ps_param_export_moments(store, id, (ps_param_sink){turn, &all});
    if (!st)
        st = put_halves(writer, all.all, (size_t)n);
    ps_free(&all.all);
    return st;
}

static ps_status write_tensors(void *user, ps_safetensors_sink sink)
{
    writing *w = user;
    const ps_placement *placement = ps_param_store_placement(w->store);
    ps_safetensors_tensor *tensors = tensors_of(placement);
    ps_buf json = PS_BUF_EMPTY;
    describe(w->about, &json);
    const ps_safetensors_pair metadata = {PS_MOMENTS_META, ps_buf_cstr(&json)};
    ps_safetensors_writer *writer = NULL;
    ps_status st =
        ps_safetensors_writer_new(tensors, placement->n_tensors, &metadata, 1, sink, &writer);
    for (size_t i = 0; !st && i < placement->n_tensors; i++)
        st = write_tensor(w->store, (uint32_t)ps_safetensors_writer_order(writer, i), writer);
    if (!st)
        st = ps_safetensors_writer_finish(&writer);
    ps_safetensors_writer_free(&writer);
    ps_buf_free(&json);
    ps_free(&tensors);
    return st;
}

ps_status ps_moments_file_store(const ps_stored_files *files, ps_param_store *store,
                                const ps_moments_about *about)
{
    ps_loop_require_off();
    writing w = {.store = store, .about = about};
    return ps_artifact_file_make(files, about->job_id, PS_MOMENTS_FILE, write_tensors, &w);
}

ps_status ps_moments_file_open(const ps_stored_files *files, const char *model, const char *version,
                               int *file, char **which)
{
    ps_model_record *record = NULL;
    ps_status st = ps_catalog_model_version(files->catalog, model, version, &record);
    if (st)
        return st;
    st = record->job_id ? ps_artifact_file_open(files, record->job_id, PS_MOMENTS_FILE, file)
                        : PS_NOT_FOUND;
    if (st == PS_NOT_FOUND)
        st = ps_fail(PS_NOT_FOUND,
                     "model %s has no moments; they are kept by a training with "
                     "train.keep_moments: true",
                     model);
    if (!st)
        *which = ps_strdup(record->path);
    ps_model_record_free(&record);
    return st;
}
