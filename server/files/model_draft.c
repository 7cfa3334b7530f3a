/* The file is written from front to back: the header, then one tensor after the other, as words out
 * of the store or as bytes out of the parent's file. A tensor is never held as a whole. Words are
 * whatever workers have pushed: a tensor that is not there, or says a number that is not finite, is
 * no model, as one that comes over the border is none (model_numbers.h). */
#include "server/files/model_draft.h"

#include "common/base/mem.h"
#include "common/compress/store_plan.h"
#include "common/loop/loop.h"
#include "common/model/form_stream.h"
#include "server/catalog/models.h"
#include "server/files/lineage.h"
#include "server/files/model_file.h"
#include "server/files/model_header.h"
#include "server/files/model_numbers.h"
#include "server/params/export.h"

#include <string.h>

enum { COPY_BYTES = 1 << 20 };

typedef struct writing {
    const ps_stored_files *files;
    ps_param_store *store;
    const ps_plan *plan;
    int parent;
    ps_safetensors_sink file;
    ps_model_header header; /* the parent's */
    ps_digest *digest;
    ps_safetensors_writer *writer;
    ps_form_stream *numbers;     /* of the words */
    const ps_model_form *stored; /* the tensor at hand */
    uint64_t left;               /* bytes of the tensor at hand */
    uint8_t *copy;
} writing;

void ps_model_draft_free(ps_model_draft *draft)
{
    ps_free(&draft->version);
}

static ps_status sink_write(void *state, const void *data, size_t len)
{
    const writing *w = state;
    ps_digest_add(w->digest, data, len);
    return w->file.write(w->file.state, data, len);
}

/* The last word may have more bytes than the tensor. */
static ps_status take_words(void *state, const float *values, size_t count)
{
    writing *w = state;
    size_t n = count * sizeof *values;
    n = n < w->left ? n : (size_t)w->left;
    w->left -= n;
    ps_status st = ps_form_stream_feed(w->numbers, ps_slice_of(values, n));
    return st ? st : ps_safetensors_writer_data(w->writer, values, n);
}

static ps_status check_numbers(void *user, const ps_model_form *tensor, uint64_t first,
                               const float *values, size_t n)
{
    const writing *w = user;
    return ps_model_numbers_look(w->stored, tensor, first, values, n);
}

/* A task that is done, and whose bytes have not come. */
static ps_status check_pushed(ps_param_store *store, uint32_t id)
{
    const ps_param_tensor *t = &ps_param_store_placement(store)->tensors[id];
    for (uint32_t s = 0; s < t->n_shards; s++)
        for (uint32_t b = 0; b < t->shards[s].blocks; b++)
            if (ps_param_store_block_version(store, id, s, b) == 0)
                return ps_fail(PS_INVALID_ARGUMENT,
                               "tensor %s: a worker says that it is solved, and has not pushed it",
                               t->name);
    return PS_OK;
}

static ps_status write_words(writing *w, const ps_model_form *stored)
{
    uint32_t id;
    const ps_model_form as_stored = ps_model_form_as_stored(stored); /* none are held */
    ps_status st = ps_placement_find(ps_param_store_placement(w->store), stored->name, &id);
    if (!st)
        st = check_pushed(w->store, id);
    w->stored = stored;
    if (!st)
        st = ps_form_stream_begin(w->numbers, &as_stored);
    return st ? st : ps_param_export(w->store, id, (ps_param_sink){take_words, w});
}

static ps_status copy_bytes(writing *w, uint64_t at)
{
    const ps_disk *disk = w->files->disk;
    ps_status st = disk->seek(disk->state, w->parent, at);
    while (!st && w->left) {
        size_t n = w->left < COPY_BYTES ? (size_t)w->left : COPY_BYTES;
        st = ps_disk_read_full(disk, w->parent, w->copy, n);
        if (!st)
            st = ps_safetensors_writer_data(w->writer, w->copy, n);
        w->left -= n;
    }
    return st;
}

static ps_status write_tensor(writing *w, const ps_plan_tensor *tensor)
{
    const ps_safetensors_tensor *from = ps_safetensors_find(w->header.file, tensor->stored.name);
    w->left = tensor->bytes;
    if (!ps_plan_solves(tensor)) {
        if (from && from->dtype == PS_SAFETENSORS_F32 && from->end - from->begin == w->left)
            return copy_bytes(w, w->header.file->data_start + from->begin);
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s: it is not float32 in the model's file",
                       tensor->stored.name);
    }
    return write_words(w, &tensor->stored);
}

/* The forms, and what else the parent had: its architecture, unless some of it was removed, and its
 * tokenizer. */
static size_t metadata_of(const writing *w, const char *forms, ps_safetensors_pair **out)
{
    const ps_safetensors *parent = w->header.file;
    size_t n = 0;
    ps_safetensors_pair *pairs = ps_alloc_array(1 + parent->n_metadata, sizeof *pairs);
    if (*forms)
        pairs[n++] = (ps_safetensors_pair){PS_MODEL_META_FORMS, forms};
    for (size_t i = 0; i < parent->n_metadata; i++)
        if (strcmp(parent->metadata[i].key, PS_MODEL_META_FORMS) != 0) {
            bool section = !strcmp(parent->metadata[i].key, PS_MODEL_FILE_CONFIG);
            pairs[n] = parent->metadata[i];
            if (section && w->plan->config)
                pairs[n].value = w->plan->config;
            n++;
        }
    *out = pairs;
    return n;
}

static ps_status write_tensors(writing *w)
{
    size_t n = w->plan->n_tensors;
    ps_model_form *forms = ps_alloc_array(n + 1, sizeof *forms);
    ps_safetensors_tensor *stored = ps_alloc_array(n + 1, sizeof *stored);
    for (size_t i = 0; i < n; i++) {
        forms[i] = w->plan->tensors[i].stored;
        stored[i] = ps_model_form_stored(&forms[i]);
    }
    ps_buf text = PS_BUF_EMPTY;
    ps_model_forms_format(forms, n, &text);
    ps_safetensors_pair *metadata = NULL;
    size_t n_metadata = metadata_of(w, ps_buf_cstr(&text), &metadata);
    ps_status st = ps_safetensors_writer_new(stored, n, metadata, n_metadata,
                                             (ps_safetensors_sink){sink_write, w}, &w->writer);
    for (size_t i = 0; !st && i < n; i++)
        st = write_tensor(w, &w->plan->tensors[ps_safetensors_writer_order(w->writer, i)]);
    if (!st)
        st = ps_safetensors_writer_finish(&w->writer);
    ps_safetensors_writer_free(&w->writer);
    ps_free(&metadata);
    ps_buf_free(&text);
    ps_free(&stored);
    ps_free(&forms);
    return st;
}

static ps_status fill(void *user, ps_safetensors_sink sink)
{
    writing *w = user;
    w->file = sink;
    w->numbers = ps_form_stream_new((ps_form_sink){check_numbers, w});
    ps_status st = write_tensors(w);
    ps_form_stream_free(&w->numbers);
    return st;
}

static ps_status write_file(writing *w, const ps_stored_place *place, ps_model_draft *out)
{
    w->digest = ps_digest_new();
    ps_status st = ps_stored_file_write(w->files, place, fill, w, &out->bytes);
    ps_digest_end(&w->digest, out->sha256);
    return st;
}

static ps_model_record *describe(const ps_stored_files *files, uint64_t job_id,
                                 const ps_job_file *job, uint64_t bytes)
{
    const ps_plan *plan = job->plan;
    ps_model_form *forms = ps_alloc_array(plan->n_tensors + 1, sizeof *forms);
    ps_buf list = PS_BUF_EMPTY;
    ps_model_record *r = ps_new(ps_model_record);
    r->name = ps_strdup(job->spec->name);
    r->config = ps_strdup(plan->config ? plan->config : job->config);
    r->owner = ps_strdup(job->owner);
    r->job_id = job_id;
    r->created_ms = ps_clock_wall_ms(&files->clock);
    r->bytes = bytes;
    r->parameters = plan->parameters;
    r->tensor_bytes = plan->data;
    r->tensors = ps_alloc_array(plan->n_tensors + 1, sizeof *r->tensors);
    for (int coded = 0; coded < 2; coded++) /* in the file's order: wider elements first */
        for (size_t i = 0; i < plan->n_tensors; i++) {
            const ps_model_form *t = &plan->tensors[i].stored;
            if ((t->form.row != NULL) != coded)
                continue;
            forms[r->n_tensors] = *t;
            ps_model_tensor *to = &r->tensors[r->n_tensors++];
            *to = (ps_model_tensor){.name = ps_strdup(t->name), .rank = t->n_dims, .form = t->form};
            memcpy(to->shape, t->shape, t->n_dims * sizeof *t->shape);
        }
    ps_model_forms_list(forms, plan->n_tensors, &list);
    r->forms = ps_strdup(ps_buf_cstr(&list));
    ps_buf_free(&list);
    ps_free(&forms);
    return r;
}

/* The file that is whole at place->incoming becomes a version. */
static ps_status add(const ps_stored_files *files, const ps_stored_place *place,
                     ps_model_record *record)
{
    ps_stored_files_lock();
    ps_status st = ps_catalog_model_add(files->catalog, record);
    if (!st)
        st = ps_stored_file_move(files, place);
    ps_stored_files_unlock();
    return st;
}

static ps_status write_and_add(writing *w, uint64_t job_id, const ps_job_file *job,
                               ps_model_draft *out)
{
    ps_stored_place place = ps_model_place(job->spec->name);
    ps_status st = write_file(w, &place, out);
    if (!st) {
        ps_model_record *record = describe(w->files, job_id, job, out->bytes);
        const ps_lineage_from from = {
            .job = job, .store = w->store, .parent_sha256 = out->parent_sha256};
        record->path = ps_strdup(place.path);
        st = ps_lineage_write(w->files, record, out->sha256, &from);
        if (!st)
            st = add(w->files, &place, record);
        if (st)
            ps_stored_file_remove(w->files, place.incoming);
        else
            out->version = ps_strdup(record->path);
        ps_model_record_free(&record);
    }
    ps_stored_place_free(&place);
    return st;
}

ps_status ps_model_draft_write(const ps_stored_files *files, ps_param_store *store, uint64_t job_id,
                               const ps_job_file *job, ps_model_draft *out)
{
    ps_loop_require_off();
    PS_REQUIRE(job->plan);
    writing w = {.files = files, .store = store, .plan = job->plan};
    *out = (ps_model_draft){0};
    w.copy = ps_try_alloc_raw(COPY_BYTES);
    if (!w.copy)
        return ps_fail(PS_NO_MEMORY, "a buffer of 1 MiB");
    ps_status st = ps_model_file_open(files, job->spec->model_name, job->version, &w.parent, NULL);
    if (!st) {
        st = ps_model_header_read(files->disk, w.parent, &w.header);
        if (!st)
            st = ps_lineage_digest_open(files->disk, w.parent, out->parent_sha256);
        st = st ? ps_wrap(st, "model %s", job->spec->model_name)
                : write_and_add(&w, job_id, job, out);
        files->disk->close(files->disk->state, w.parent);
        ps_model_header_free(&w.header);
    }
    ps_free(&w.copy);
    return st ? ps_wrap(st, "model %s", job->spec->name) : PS_OK;
}

ps_status ps_model_draft_publish(const ps_stored_files *files, const ps_job_file *job,
                                 const ps_job_outcome *outcome)
{
    ps_loop_require_off();
    PS_REQUIRE(outcome->draft);
    const char *name = job->spec->name;
    ps_status st = ps_lineage_renew(files, outcome->draft);
    if (st)
        return ps_wrap(st, "model %s", name);
    ps_stored_files_lock();
    st = ps_model_file_check_owner(files, name, job->owner);
    if (!st && outcome->has_test)
        st = ps_catalog_model_tested(files->catalog, outcome->draft, outcome->test_loss,
                                     &outcome->test_metrics);
    if (!st)
        st = ps_catalog_model_publish(files->catalog, name, outcome->draft);
    ps_stored_files_unlock();
    ps_stored_files_collect(files);
    return st ? ps_wrap(st, "model %s", name) : PS_OK;
}
