/* The tensors go through as they are exported, in the writer's order. A write that fails leaves
 * nothing behind; the configuration comes first, so that whoever has the tensors has both. */
#include "server/files/adapter_file.h"

#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "common/json/json.h"
#include "common/loop/loop.h"
#include "common/model/hf_rows.h"
#include "common/model/peft.h"
#include "common/security/digest.h"
#include "server/files/artifact_file.h"
#include "server/files/lineage.h"
#include "server/files/model_file.h"
#include "server/params/export.h"

#include <string.h>

typedef struct writing {
    ps_param_store *store;
    const ps_job_spec *spec;
    const char *sha256; /* of the file of the model that it is for */
} writing;

static ps_status write_config(void *user, ps_safetensors_sink sink)
{
    const writing *w = user;
    ps_buf json = PS_BUF_EMPTY;
    ps_peft_config_format(w->spec->model, w->spec->train->lora, w->spec->initialize_from, &json);
    ps_status st = sink.write(sink.state, json.data, json.len);
    ps_buf_free(&json);
    return st;
}

static ps_status write_numbers(void *state, const float *values, size_t n)
{
    return ps_safetensors_writer_data(state, values, n * sizeof *values);
}

typedef struct gathering {
    float *numbers;
    size_t n;
} gathering;

static ps_status gather_numbers(void *state, const float *values, size_t n)
{
    gathering *g = state;
    memcpy(g->numbers + g->n, values, n * sizeof *values);
    g->n += n;
    return PS_OK;
}

/* Rows of a product that PEFT's model has in another order; an adapter's are few and short. */
static ps_status export_rows(const writing *w, uint32_t tensor, const ps_lm_tensor *rows,
                             ps_safetensors_writer *writer)
{
    const ps_param_tensor *t = &ps_param_store_placement(w->store)->tensors[tensor];
    size_t rank = (size_t)t->shape[1], all = (size_t)t->shape[0] * rank;
    gathering ours = {.numbers = ps_try_alloc_raw(all * sizeof(float))};
    float *theirs = ps_try_alloc_raw(all * sizeof *theirs);
    ps_status st = ours.numbers && theirs
                       ? ps_param_export(w->store, tensor, (ps_param_sink){gather_numbers, &ours})
                       : ps_fail(PS_NO_MEMORY, "no memory for the rows of tensor %s", t->name);
    if (!st) {
        ps_hf_rows_out(rows, ours.numbers, rank * sizeof *theirs, theirs);
        st = write_numbers(writer, theirs, all);
    }
    ps_free(&ours.numbers);
    ps_free(&theirs);
    return st;
}

static ps_status export_all(const writing *w, size_t n, ps_safetensors_writer *writer)
{
    const ps_placement *placement = ps_param_store_placement(w->store);
    ps_lm_tensor *layout = NULL;
    size_t n_layout = 0;
    ps_status st = PS_OK;
    ps_lm_layout(w->spec->model, &layout, &n_layout);
    for (size_t i = 0; !st && i < n; i++) {
        uint32_t tensor = (uint32_t)ps_safetensors_writer_order(writer, i);
        const ps_lm_tensor *rows = ps_peft_rows(layout, n_layout, placement->tensors[tensor].name);
        st = rows ? export_rows(w, tensor, rows, writer)
                  : ps_param_export(w->store, tensor, (ps_param_sink){write_numbers, writer});
    }
    ps_free(&layout);
    return st;
}

static void describe(const writing *w, ps_buf *json)
{
    ps_json_writer out = ps_json_writer_to(json);
    ps_json_object(&out);
    ps_json_put_string(&out, "model", w->spec->initialize_from);
    ps_json_put_string(&out, "sha256", w->sha256);
    ps_json_object_end(&out);
}

static ps_status write_tensors(void *user, ps_safetensors_sink sink)
{
    const writing *w = user;
    const ps_placement *placement = ps_param_store_placement(w->store);
    size_t n = placement->n_tensors;
    char(*names)[PS_PEFT_NAME] = ps_alloc_array(n + 1, sizeof *names);
    ps_safetensors_tensor *tensors = ps_alloc_array(n + 1, sizeof *tensors);
    for (size_t i = 0; i < n; i++) {
        const ps_param_tensor *t = &placement->tensors[i];
        ps_peft_name(w->spec->model, t->name, names[i]);
        tensors[i] = (ps_safetensors_tensor){
            .name = names[i], .dtype = PS_SAFETENSORS_F32, .n_dims = t->rank};
        memcpy(tensors[i].shape, t->shape, t->rank * sizeof *t->shape);
    }
    ps_buf json = PS_BUF_EMPTY;
    describe(w, &json);
    const ps_safetensors_pair metadata[] = {{"format", "pt"},
                                            {PS_ADAPTER_META, ps_buf_cstr(&json)}};
    ps_safetensors_writer *writer = NULL;
    ps_status st = ps_safetensors_writer_new(tensors, n, metadata, 2, sink, &writer);
    if (!st)
        st = export_all(w, n, writer);
    if (!st)
        st = ps_safetensors_writer_finish(&writer);
    ps_safetensors_writer_free(&writer);
    ps_buf_free(&json);
    ps_free(&tensors);
    ps_free(&names);
    return st;
}

static ps_status digest_base(const ps_stored_files *files, const char *name, const char *version,
                             char out[PS_DIGEST_TEXT])
{
    int file;
    ps_status st = ps_model_file_open(files, name, version, &file, NULL);
    if (st)
        return ps_wrap(st, "model %s", name);
    st = ps_lineage_digest_open(files->disk, file, out);
    files->disk->close(files->disk->state, file);
    return st;
}

ps_status ps_adapter_file_store(const ps_stored_files *files, ps_param_store *store,
                                uint64_t job_id, const ps_job_spec *spec, const char *version)
{
    ps_loop_require_off();
    char sha256[PS_DIGEST_TEXT];
    writing w = {.store = store, .spec = spec, .sha256 = sha256};
    ps_status st = digest_base(files, spec->initialize_from, version, sha256);
    if (!st)
        st = ps_artifact_file_make(files, job_id, PS_PEFT_CONFIG, write_config, &w);
    return st ? st : ps_artifact_file_make(files, job_id, PS_PEFT_FILE, write_tensors, &w);
}
