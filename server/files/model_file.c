#include "server/files/model_file.h"

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/loop/loop.h"
#include "common/security/identity.h"
#include "server/files/lineage.h"
#include "server/files/model_header.h"
#include "server/files/model_merge.h"
#include "server/files/model_numbers.h"
#include "server/files/model_tensors.h"

#include <stdio.h>

/* ---- reading a file's header ---- */

/* *file stays open behind the header. */
static ps_status open_header(const ps_stored_files *files, const char *path, int *file,
                             ps_model_header *out)
{
    ps_status st = ps_stored_file_open(files, path, file);
    if (st)
        return st;
    st = ps_model_header_read(files->disk, *file, out);
    if (st)
        files->disk->close(files->disk->state, *file);
    return st;
}

/* ---- store: from parameters to a file ---- */

/* What is written beside the tensors. */
typedef struct about {
    const char *config;
    const char *forms; /* that tensors are in, as the metadata says it; "": all float32 */
    const ps_safetensors *origin; /* the model that the job began from; NULL: none */
} about;

/* What stands in the metadata of every model in words of its own. */
static bool is_ours(const char *key)
{
    return !strcmp(key, "format") || !strcmp(key, PS_MODEL_FILE_CONFIG) ||
           !strcmp(key, PS_MODEL_META_FORMS);
}

/* Ours, and what else the model had from which the job began: its tokenizer, say. */
static size_t metadata_of(const about *a, ps_safetensors_pair **out)
{
    size_t n = 0, others = a->origin ? a->origin->n_metadata : 0;
    ps_safetensors_pair *pairs = ps_alloc_array(3 + others, sizeof *pairs);
    pairs[n++] = (ps_safetensors_pair){"format", "pt"};
    pairs[n++] = (ps_safetensors_pair){PS_MODEL_FILE_CONFIG, a->config};
    if (*a->forms)
        pairs[n++] = (ps_safetensors_pair){PS_MODEL_META_FORMS, a->forms};
    for (size_t i = 0; i < others; i++) {
        const ps_safetensors_pair *pair = &a->origin->metadata[i];
        if (!is_ours(pair->key))
            pairs[n++] = *pair;
    }
    *out = pairs;
    return n;
}

/* The tensors: the store's, or, with a merge, those of the model that the job has trained a part
 * of. */
typedef struct content {
    ps_param_store *store;
    ps_model_merge *merge; /* NULL: all of it was trained */
    ps_model_form *forms;  /* [n]: how each is stored */
    size_t n;
} content;

static void take_merged(content *c)
{
    const ps_model_form *tensors = ps_model_merge_tensors(c->merge, &c->n);
    c->forms = ps_alloc_array(c->n + 1, sizeof *c->forms);
    memcpy(c->forms, tensors, c->n * sizeof *tensors);
}

static ps_status open_content(const ps_stored_files *files, ps_param_store *store,
                              const ps_model_trained *from, content *out)
{
    *out = (content){.store = store};
    if (!ps_spec_train_partly(from->spec->train)) {
        out->n = ps_param_store_placement(store)->n_tensors;
        out->forms = ps_model_tensors_of(ps_param_store_placement(store));
        return PS_OK;
    }
    ps_status st = ps_model_merge_open(files, from->spec, from->origin, store, &out->merge);
    if (!st)
        take_merged(out);
    return st;
}

static void close_content(content *c)
{
    ps_free(&c->forms);
    ps_model_merge_close(&c->merge);
}

typedef struct writing {
    const content *content;
    const about *about;
    ps_digest *digest; /* of all that goes to the file: */
    ps_safetensors_sink file;
} writing;

static ps_status sink_write(void *state, const void *data, size_t len)
{
    const writing *w = state;
    ps_digest_add(w->digest, data, len);
    return w->file.write(w->file.state, data, len);
}

static ps_status write_tensors(void *user, ps_safetensors_sink file)
{
    writing *w = user;
    const ps_safetensors_sink sink = {sink_write, w};
    w->file = file;
    about a = *w->about;
    const content *c = w->content;
    size_t n = c->n;
    const ps_model_form *forms = c->forms;
    ps_safetensors_tensor *tensors = ps_alloc_array(n, sizeof *tensors);
    for (size_t i = 0; i < n; i++)
        tensors[i] = ps_model_form_stored(&forms[i]);
    ps_buf in_forms = PS_BUF_EMPTY;
    ps_model_forms_format(forms, n, &in_forms);
    a.forms = ps_buf_cstr(&in_forms);
    ps_safetensors_pair *metadata = NULL;
    size_t n_metadata = metadata_of(&a, &metadata);
    ps_safetensors_writer *writer = NULL;
    ps_status st = ps_safetensors_writer_new(tensors, n, metadata, n_metadata, sink, &writer);
    if (!st)
        st = c->merge ? ps_model_merge_write(c->merge, writer)
                      : ps_model_tensors_write(c->store, writer);
    if (!st)
        st = ps_safetensors_writer_finish(&writer);
    ps_safetensors_writer_free(&writer);
    ps_buf_free(&in_forms);
    ps_free(&metadata);
    ps_free(&tensors);
    return st;
}

static void set_tensors(ps_model_record *record, const content *c)
{
    ps_buf text = PS_BUF_EMPTY;
    record->tensors = ps_alloc_array(c->n, sizeof *record->tensors);
    record->n_tensors = c->n;
    for (size_t i = 0; i < c->n; i++) {
        const ps_model_form *t = &c->forms[i];
        record->tensors[i].name = ps_strdup(t->name);
        record->tensors[i].rank = t->n_dims;
        record->tensors[i].form = t->form;
        memcpy(record->tensors[i].shape, t->shape, t->n_dims * sizeof *t->shape);
        record->parameters += ps_model_form_numbers(t);
        record->tensor_bytes += ps_model_form_bytes(t);
    }
    ps_model_forms_list(c->forms, c->n, &text);
    record->forms = ps_strdup(ps_buf_cstr(&text));
    ps_buf_free(&text);
}

ps_stored_place ps_model_place(const char *name)
{
    return ps_stored_place_new("models", name, ".safetensors");
}

/* With the lock. The complete file at place->incoming becomes the version that the record
 * describes.
 */
static ps_status add(const ps_stored_files *files, const ps_stored_place *place,
                     ps_model_record *record)
{
    ps_stored_files_require_locked();
    PS_REQUIRE(record->path && record->lineage && record->n_tensors > 0);
    ps_status st = ps_catalog_model_add(files->catalog, record);
    return st ? st : ps_stored_file_move(files, place);
}

/* The same, and it becomes the model. A crash in between leaves a version that is not the model's,
 * which ps_stored_files_collect finds. */
static ps_status publish(const ps_stored_files *files, const ps_stored_place *place,
                         ps_model_record *record)
{
    ps_status st = add(files, place, record);
    return st ? st : ps_catalog_model_publish(files->catalog, record->name, record->path);
}

/* With the lock. */
static ps_status check_free(const ps_stored_files *files, const char *name)
{
    ps_stored_files_require_locked();
    ps_model_record *old = NULL;
    ps_status st = ps_catalog_model_get(files->catalog, name, &old);
    if (st)
        return st == PS_NOT_FOUND ? PS_OK : st;
    ps_model_record_free(&old);
    return ps_fail(PS_ALREADY_EXISTS, "it exists; say that it is to be replaced");
}

/* With the lock. Who may was looked at when the job was submitted, or the file began to come; since
 * then somebody else may have made a model of that name. */
ps_status ps_model_file_check_owner(const ps_stored_files *files, const char *name,
                                    const char *owner)
{
    ps_stored_files_require_locked();
    ps_identity who = {.role = PS_ROLE_SUBMITTER};
    ps_model_record *old = NULL;
    ps_status st = ps_catalog_model_get(files->catalog, name, &old);
    if (st)
        return st == PS_NOT_FOUND ? PS_OK : st;
    bool others = *old->owner && strcmp(old->owner, owner) != 0;
    if (others && (ps_identity_parse(ps_slice_str(owner), &who) || who.role != PS_ROLE_ADMIN))
        st = ps_fail(PS_PERMISSION_DENIED,
                     "it is there by now and belongs to %s; only its owner and an admin may "
                     "replace or delete it",
                     old->owner);
    ps_model_record_free(&old);
    return st;
}

/* Afterwards the version of before, or this one if it did not become the model, is collected. */
static ps_status become(const ps_stored_files *files, const ps_stored_place *place, bool replaces,
                        ps_model_record *record)
{
    ps_stored_files_lock();
    ps_status st = replaces ? ps_model_file_check_owner(files, record->name, record->owner)
                            : check_free(files, record->name);
    if (!st)
        st = publish(files, place, record);
    ps_stored_files_unlock();
    ps_stored_files_collect(files);
    return st;
}

/* As a version that no name means. */
static ps_status keep(const ps_stored_files *files, const ps_stored_place *place,
                      ps_model_record *record, char **version)
{
    ps_stored_files_lock();
    ps_status st = add(files, place, record);
    ps_stored_files_unlock();
    if (!st)
        *version = ps_strdup(record->path);
    return st;
}

static ps_status write_file(const ps_stored_files *files, const ps_stored_place *place,
                            const content *c, const about *a, ps_model_record *record,
                            char sha256[PS_DIGEST_TEXT])
{
    writing w = {.content = c, .about = a, .digest = ps_digest_new()};
    ps_status st = ps_stored_file_write(files, place, write_tensors, &w, &record->bytes);
    ps_digest_end(&w.digest, sha256);
    return st;
}

ps_status ps_model_file_write(const ps_stored_files *files, const ps_stored_place *place,
                              ps_model_merge *merge, const char *config)
{
    content c = {.merge = merge};
    const about a = {.config = config, .origin = ps_model_merge_origin(merge)};
    writing w = {.content = &c, .about = &a, .digest = ps_digest_new()};
    char sha256[PS_DIGEST_TEXT]; /* of no use: whoever adopts the file reads it again */
    take_merged(&c);
    ps_status st = ps_stored_file_write(files, place, write_tensors, &w, NULL);
    ps_digest_end(&w.digest, sha256);
    ps_free(&c.forms);
    return st;
}

static ps_status write_and_place(const ps_stored_files *files, const content *c, const about *a,
                                 const ps_model_trained *from, ps_model_record *record)
{
    char sha256[PS_DIGEST_TEXT], **draft = from->draft;
    ps_stored_place place = ps_model_place(record->name);
    const ps_lineage_from origin = {
        .job = from->job, .store = c->store, .checkpoint = from->checkpoint};
    record->path = ps_strdup(place.path);
    ps_status st = write_file(files, &place, c, a, record, sha256);
    if (!st) {
        st = ps_lineage_write(files, record, sha256, &origin);
        if (st)
            ps_stored_file_remove(files, place.incoming);
    }
    if (!st) {
        st = draft ? keep(files, &place, record, draft) : become(files, &place, true, record);
        if (st)
            ps_stored_file_remove(files, place.incoming);
    }
    ps_stored_place_free(&place);
    return st;
}

/* The header of the model that the job began from, or of that which taught it the same tokens, for
 * its metadata; NULL: there is none. Its version is the job's, and stays as long as the job does; a
 * damaged file is no reason to lose what was trained. */
static ps_status origin_of(const ps_stored_files *files, const ps_model_trained *from,
                           ps_model_header *out)
{
    int file;
    const ps_job_spec *spec = from->spec;
    bool taught = !*spec->initialize_from && spec->distil && *spec->model->tokenizer;
    const char *name = taught ? ps_job_spec_teacher(spec) : spec->initialize_from;
    if (!*name)
        return PS_OK;
    ps_status st =
        ps_model_file_open(files, name, taught ? from->teacher : from->origin, &file, NULL);
    if (!st) {
        st = ps_model_header_read(files->disk, file, out);
        files->disk->close(files->disk->state, file);
    }
    if (st != PS_NOT_FOUND && st != PS_CORRUPT)
        return st ? ps_wrap(st, "model %s", name) : PS_OK;
    ps_log_warning("runs", "model=%s goes without the tokenizer that it may have had: %s",
                   spec->name, ps_error_message());
    return PS_OK;
}

static ps_model_record *describe_trained(const ps_stored_files *files, const content *c,
                                         const ps_model_trained *from,
                                         const ps_job_outcome *outcome)
{
    ps_buf config = PS_BUF_EMPTY;
    if (*from->settled)
        ps_buf_puts(&config, from->settled);
    else
        ps_spec_model_format(from->spec->model, &config);
    ps_model_record *record = ps_new(ps_model_record);
    record->name = ps_strdup(from->spec->name);
    record->config = ps_strdup(ps_buf_cstr(&config));
    record->job_id = from->job_id;
    record->owner = ps_strdup(from->owner);
    record->created_ms = ps_clock_wall_ms(&files->clock);
    record->has_test = outcome->has_test;
    record->test_loss = outcome->test_loss;
    record->test_metrics = outcome->test_metrics;
    set_tensors(record, c);
    ps_buf_free(&config);
    return record;
}

ps_status ps_model_file_store(const ps_stored_files *files, ps_param_store *store,
                              const ps_model_trained *from, const ps_job_outcome *outcome)
{
    ps_loop_require_off();
    content c;
    ps_status st = open_content(files, store, from, &c);
    if (st)
        return ps_wrap(st, "model %s", from->spec->name);
    ps_model_record *record = describe_trained(files, &c, from, outcome);
    ps_model_header origin = {0};
    st = origin_of(files, from, &origin);
    if (!st)
        st = write_and_place(files, &c, &(about){.config = record->config, .origin = origin.file},
                             from, record);
    ps_model_header_free(&origin);
    close_content(&c);
    if (st)
        st = ps_wrap(st, "model %s", record->name);
    ps_model_record_free(&record);
    return st;
}

/* ---- adopt: an imported file ---- */

static ps_status copy_tensors(const ps_model_header *header, ps_model_record *record)
{
    size_t n = header->file->n_tensors;
    ps_buf forms = PS_BUF_EMPTY;
    record->tensors = ps_try_alloc((n ? n : 1) * sizeof *record->tensors);
    if (!record->tensors)
        return ps_fail(PS_NO_MEMORY, "%zu tensors", n);
    for (size_t i = 0; i < n; i++) {
        const ps_model_form *from = &header->tensors[i];
        ps_model_tensor *to = &record->tensors[record->n_tensors++];
        *to = (ps_model_tensor){
            .name = ps_strdup(from->name), .rank = from->n_dims, .form = from->form};
        memcpy(to->shape, from->shape, from->n_dims * sizeof *from->shape);
        record->parameters += ps_model_form_numbers(from);
    }
    if (!n)
        return ps_fail(PS_INVALID_ARGUMENT, "a file without tensors is no model");
    ps_model_forms_list(header->tensors, n, &forms);
    record->forms = ps_strdup(ps_buf_cstr(&forms));
    record->tensor_bytes = header->file->data_bytes;
    ps_buf_free(&forms);
    return PS_OK;
}

static ps_status choose_config(const ps_safetensors *file, const char *config, char **out)
{
    if (!*config)
        config = ps_safetensors_metadata(file, PS_MODEL_FILE_CONFIG);
    if (!config)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "the file does not say its architecture (metadata '%s'): give it, as "
                       "{architecture: mlp, layers: [784, 10]}, or the folder with its config.json",
                       PS_MODEL_FILE_CONFIG);
    ps_spec_model *model = NULL;
    ps_status st = ps_spec_model_parse(ps_slice_str(config), "model", &model);
    if (st)
        return st;
    ps_buf text = PS_BUF_EMPTY;
    ps_spec_model_format(model, &text);
    *out = ps_strdup(ps_buf_cstr(&text));
    ps_buf_free(&text);
    ps_spec_model_free(&model);
    return PS_OK;
}

static ps_status describe_file(const ps_stored_files *files, const char *incoming,
                               const char *config, ps_model_record *record)
{
    int file;
    ps_model_header header = {0};
    ps_status st = open_header(files, incoming, &file, &header);
    if (st) /* what is wrong with it is wrong with the request */
        return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
    record->bytes = header.file->data_start + header.file->data_bytes;
    st = choose_config(header.file, config, &record->config);
    if (!st)
        st = copy_tensors(&header, record);
    if (!st)
        st = ps_model_numbers_check(files->disk, file, &header);
    files->disk->close(files->disk->state, file);
    ps_model_header_free(&header);
    return st;
}

ps_status ps_model_file_adopt(const ps_stored_files *files, const ps_stored_place *place,
                              const char *name, const char *config, const char *owner,
                              bool replaces, const ps_lineage_from *from, ps_model_record **out)
{
    ps_loop_require_off();
    PS_REQUIRE(!from->job);
    if (!ps_job_spec_name_ok(name))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "model name: 1 to 64 of a-z, 0-9, '.', '_', '-', first a letter or digit");
    char sha256[PS_DIGEST_TEXT];
    ps_model_record *record = ps_new(ps_model_record);
    record->name = ps_strdup(name);
    record->owner = ps_strdup(owner);
    record->created_ms = ps_clock_wall_ms(&files->clock);
    record->path = ps_strdup(place->path);
    record->parent = ps_strdup(from->base ? from->base : "");
    record->parent_version = ps_strdup(from->base ? from->base_version : "");
    ps_status st = describe_file(files, place->incoming, config, record);
    if (!st)
        st = ps_lineage_digest(files, place->incoming, sha256);
    if (!st)
        st = ps_lineage_write(files, record, sha256, from);
    if (!st)
        st = become(files, place, replaces, record);
    if (st) {
        ps_model_record_free(&record);
        return ps_wrap(st, "model %s", name);
    }
    *out = record;
    return PS_OK;
}

ps_status ps_model_file_open(const ps_stored_files *files, const char *name, const char *version,
                             int *file, char **opened)
{
    ps_model_record *record = NULL;
    ps_stored_files_lock();
    ps_status st = ps_catalog_model_version(files->catalog, name, version, &record);
    if (!st)
        st = ps_stored_file_open(files, record->path, file);
    ps_stored_files_unlock();
    if (!st && opened)
        *opened = ps_strdup(record->path);
    ps_model_record_free(&record);
    return st;
}

ps_status ps_model_file_delete(const ps_stored_files *files, const char *name)
{
    ps_stored_files_lock();
    ps_status st = ps_catalog_model_delete(files->catalog, name);
    ps_stored_files_unlock();
    ps_stored_files_collect(files);
    return st;
}
