/* load: a stored model into the parameters of a job. Happy path: the file is read from front to
 * back, tensor by tensor, as their data lie; those in a form are decoded on the way, and one that
 * the job has transposed is held as a whole. It fails when the tensors are not the job's. */
#include "common/arch/arch.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/loop/loop.h"
#include "server/files/model_file.h"
#include "server/files/model_header.h"
#include "server/files/model_numbers.h"
#include "server/params/export.h"

typedef struct loading {
    ps_param_store *store;
    bool some;                   /* of the file's tensors it has only some */
    bool passed;                 /* the one at hand it has not */
    const ps_model_form *tensor; /* that id is of; NULL: none yet */
    uint32_t id;
    float *turned; /* of one that the store has transposed: all of it, as it is there */
} loading;

/* May the file lack it, and it begins as it does in a new model? */
static bool is_added(const ps_spec_model *model, const char *name)
{
    return model && ps_spec_model_is_encoder(model) &&
           ps_arch_is_added(ps_arch_find(model->architecture), name);
}

static ps_status check_shape(const ps_param_tensor *have, const ps_model_form *stored)
{
    if (!stored)
        return ps_fail(PS_FAILED_PRECONDITION, "it has no tensor %s", have->name);
    uint64_t shape[PS_PARAM_DIMS_MAX];
    ps_placement_model_shape(have, shape);
    if (stored->n_dims != have->rank ||
        memcmp(stored->shape, shape, have->rank * sizeof *shape) != 0)
        return ps_fail(PS_FAILED_PRECONDITION, "tensor %s has another shape there", have->name);
    return PS_OK;
}

static ps_status check_shapes(const ps_placement *placement, const ps_model_header *header,
                              const ps_spec_model *model, bool some)
{
    size_t added = 0;
    for (size_t i = 0; i < placement->n_tensors; i++) {
        const ps_param_tensor *t = &placement->tensors[i];
        const ps_model_form *stored =
            ps_model_form_find(header->tensors, header->file->n_tensors, t->name);
        bool new = !stored &&is_added(model, t->name);
        ps_status st = new ? PS_OK : check_shape(t, stored);
        if (st)
            return st;
        added += new;
    }
    if (header->file->n_tensors != placement->n_tensors - added && !some)
        return ps_fail(PS_FAILED_PRECONDITION, "it has %zu tensors, the job %zu",
                       header->file->n_tensors, placement->n_tensors);
    return PS_OK;
}

static const ps_param_tensor *tensor_of(const loading *l)
{
    return &ps_param_store_placement(l->store)->tensors[l->id];
}

static ps_status begin_tensor(loading *l, const ps_model_form *tensor)
{
    ps_status st = ps_placement_find(ps_param_store_placement(l->store), tensor->name, &l->id);
    l->tensor = tensor;
    ps_free(&l->turned);
    l->passed = l->some && st == PS_NOT_FOUND;
    if (l->passed)
        return PS_OK;
    if (st || !tensor_of(l)->transposed)
        return st;
    l->turned = ps_try_alloc_raw((size_t)ps_model_form_numbers(tensor) * sizeof *l->turned);
    return l->turned ? PS_OK
                     : ps_fail(PS_NO_MEMORY, "tensor %s: no memory to transpose it", tensor->name);
}

static ps_status import(const loading *l, uint64_t first, const float *values, uint64_t n)
{
    return ps_param_import(l->store, l->id, first, (const ps_wire_float *)(const void *)values, n);
}

/* The model's [in, out] becomes the store's [out, in]. */
static ps_status turn(const loading *l, uint64_t first, const float *values, size_t n)
{
    const ps_param_tensor *t = tensor_of(l);
    PS_REQUIRE(l->turned && first + n <= t->rows * t->columns);
    for (size_t i = 0; i < n; i++)
        l->turned[(first + i) % t->rows * t->columns + (first + i) / t->rows] = values[i];
    bool whole = first + n == t->rows * t->columns;
    return whole ? import(l, 0, l->turned, t->rows * t->columns) : PS_OK;
}

static ps_status put(void *user, const ps_model_form *tensor, uint64_t first, const float *values,
                     size_t n)
{
    loading *l = user;
    ps_status st = l->tensor == tensor ? PS_OK : begin_tensor(l, tensor);
    if (st || l->passed)
        return st;
    return l->turned ? turn(l, first, values, n) : import(l, first, values, n);
}

/* Those who read the job's log see that it is not the very parent that is trained. */
static void remark_forms(const char *name, const ps_model_header *header, ps_buf *remark)
{
    size_t at = 0;
    while (at < header->file->n_tensors && !header->tensors[at].form.row)
        at++;
    if (at == header->file->n_tensors)
        return;
    ps_buf_printf(remark, "model %s is stored as ", name);
    ps_model_forms_list(header->tensors, header->file->n_tensors, remark);
    ps_buf_puts(remark, "; its numbers were decoded to float32 for training");
}

static ps_status load(const ps_stored_files *files, const char *name, const char *version,
                      const ps_spec_model *model, ps_param_store *store, bool some, ps_buf *remark)
{
    ps_loop_require_off();
    int file;
    ps_model_header header = {0};
    loading into = {.store = store, .some = some};
    ps_status st = ps_model_file_open(files, name, version, &file, NULL);
    if (st)
        return ps_wrap(st, "model %s", name);
    st = ps_model_header_read(files->disk, file, &header);
    if (!st)
        st = check_shapes(ps_param_store_placement(store), &header, model, some);
    if (!st)
        st = ps_model_numbers_read(files->disk, file, &header, (ps_form_sink){put, &into});
    ps_free(&into.turned);
    if (!st)
        remark_forms(name, &header, remark);
    files->disk->close(files->disk->state, file);
    ps_model_header_free(&header);
    return st ? ps_wrap(st, "model %s", name) : PS_OK;
}

ps_status ps_model_file_load(const ps_stored_files *files, const char *name, const char *version,
                             const ps_spec_model *model, ps_param_store *store, ps_buf *remark)
{
    return load(files, name, version, model, store, false, remark);
}

ps_status ps_model_file_load_some(const ps_stored_files *files, const char *name,
                                  const char *version, const ps_spec_model *model,
                                  ps_param_store *store, ps_buf *remark)
{
    return load(files, name, version, model, store, true, remark);
}
