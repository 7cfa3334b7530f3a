/* Values come in pieces that end where blocks or column blocks do, and those are whole groups of a
 * form; so each piece is encoded by itself. */
#include "server/files/model_tensors.h"

#include "common/base/mem.h"
#include "common/loop/loop.h"
#include "server/params/export.h"
#include "server/params/tensor_form.h"

#include <string.h>

ps_model_form *ps_model_tensors_of(const ps_placement *placement)
{
    ps_model_form *out = ps_alloc_array(placement->n_tensors, sizeof *out);
    for (size_t i = 0; i < placement->n_tensors; i++) {
        const ps_param_tensor *t = &placement->tensors[i];
        out[i] = (ps_model_form){
            .name = t->name, .form = t->form, .n_dims = t->rank, .transposed = t->transposed};
        ps_placement_model_shape(t, out[i].shape);
    }
    return out;
}

typedef struct writing {
    ps_safetensors_writer *writer;
    const ps_param_tensor *tensor;
    uint8_t *blocks; /* of a piece */
    size_t room;
} writing;

static ps_status write_values(void *state, const float *values, size_t n)
{
    const writing *w = state;
    return ps_safetensors_writer_data(w->writer, values, n * sizeof *values);
}

static ps_status write_blocks(void *state, const float *values, size_t n)
{
    writing *w = state;
    size_t bytes = 0;
    ps_status st = ps_tensor_form_bytes(w->tensor, values, n, &bytes);
    if (st)
        return st;
    if (bytes > w->room) {
        w->blocks = ps_realloc(w->blocks, bytes); /* less than the piece is */
        w->room = bytes;
    }
    ps_tensor_form_encode(w->tensor, values, n, w->blocks);
    return ps_safetensors_writer_data(w->writer, w->blocks, bytes);
}

ps_status ps_model_tensors_write(ps_param_store *store, ps_safetensors_writer *writer)
{
    ps_loop_require_off();
    const ps_placement *placement = ps_param_store_placement(store);
    writing w = {.writer = writer};
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < placement->n_tensors; i++) {
        size_t id = ps_safetensors_writer_order(writer, i);
        w.tensor = &placement->tensors[id];
        st = ps_param_export(store, (uint32_t)id,
                             (ps_param_sink){w.tensor->form.row ? write_blocks : write_values, &w});
    }
    ps_free(&w.blocks);
    return st;
}
