/* The sums go through as they are read, a piece at a time, into a file that becomes the artifact
 * when it is whole. A write that fails leaves nothing behind. */
#include "server/files/calibration_file.h"

#include "common/base/mem.h"
#include "common/compress/calibration.h"
#include "common/compress/store_plan.h"
#include "common/loop/loop.h"
#include "server/files/artifact_file.h"
#include "server/params/export.h"

#include <stdio.h>

typedef struct writing {
    ps_param_store *store;
    const char *about;
    /* one of each for a tensor: */
    ps_safetensors_tensor *tensors;
    char (*names)[PS_CALIBRATION_NAME];
    uint32_t *ids; /* in the store */
    size_t n;
} writing;

static void add(writing *w, const char *in_store, const char *name)
{
    uint32_t id;
    const ps_placement *placement = ps_param_store_placement(w->store);
    if (ps_placement_find(placement, in_store, &id))
        return;
    (void)snprintf(w->names[w->n], sizeof *w->names, "%s", name);
    ps_safetensors_tensor *t = &w->tensors[w->n];
    *t = (ps_safetensors_tensor){
        .name = w->names[w->n], .dtype = PS_SAFETENSORS_F32, .n_dims = placement->tensors[id].rank};
    ps_placement_model_shape(&placement->tensors[id], t->shape);
    w->ids[w->n++] = id;
}

/* As many inputs as there are sums, in the order of the plan's, of which all are in one window. */
static void find_tensors(writing *w)
{
    size_t most = ps_param_store_placement(w->store)->n_tensors;
    w->tensors = ps_alloc_array(most + 1, sizeof *w->tensors);
    w->names = ps_alloc_array(most + 1, sizeof *w->names);
    w->ids = ps_alloc_array(most + 1, sizeof *w->ids);
    add(w, PS_TOKENS_NAME, PS_CALIBRATION_TOKENS);
    for (size_t i = 0, before = 0; before != w->n; i++) {
        char from[PS_SUM_NAME], to[PS_CALIBRATION_NAME];
        before = w->n;
        for (int held_out = 0; held_out < 2; held_out++)
            add(w, ps_plan_sum_name(i, held_out, from), ps_calibration_name(i, held_out, to));
    }
}

static ps_status put(void *state, const float *values, size_t count)
{
    return ps_safetensors_writer_data(state, values, count * sizeof *values);
}

static ps_status write_tensors(void *user, ps_safetensors_sink sink)
{
    writing *w = user;
    const ps_safetensors_pair metadata = {PS_CALIBRATION_META, w->about};
    ps_safetensors_writer *writer = NULL;
    ps_status st = ps_safetensors_writer_new(w->tensors, w->n, &metadata, 1, sink, &writer);
    for (size_t i = 0; !st && i < w->n; i++)
        st = ps_param_export(w->store, w->ids[ps_safetensors_writer_order(writer, i)],
                             (ps_param_sink){put, writer});
    if (!st)
        st = ps_safetensors_writer_finish(&writer);
    ps_safetensors_writer_free(&writer);
    return st;
}

ps_status ps_calibration_file_store(const ps_stored_files *files, ps_param_store *store,
                                    uint64_t job_id, const char *about)
{
    ps_loop_require_off();
    writing w = {.store = store, .about = about};
    find_tensors(&w);
    ps_status st = ps_artifact_file_make(files, job_id, PS_CALIBRATION_FILE, write_tensors, &w);
    ps_free(&w.tensors);
    ps_free(&w.names);
    ps_free(&w.ids);
    return st;
}
