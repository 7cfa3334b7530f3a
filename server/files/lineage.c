/* Happy path: the job's row says who, when, with which file and data; the store says who pushed;
 * the records of the models before say what those were. A stage of a job begins from a version that
 * the stage before drafted: its record is taken up, as one with this one's. What fails is the
 * catalog, or reading a parent's file. */
#include "server/files/lineage.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/json/json.h"
#include "common/loop/loop.h"
#include "server/files/lineage_parts.h"

#include <stdio.h>
#include <string.h>

static ps_status add_piece(void *digest, const void *bytes, size_t len)
{
    ps_digest_add(digest, bytes, len);
    return PS_OK;
}

ps_status ps_lineage_digest_open(const ps_disk *disk, int file, char out[PS_DIGEST_TEXT])
{
    ps_loop_require_off();
    ps_digest *digest = ps_digest_new();
    ps_status st = disk->seek(disk->state, file, 0);
    if (!st)
        st = ps_disk_pour(disk, file, UINT64_MAX, add_piece, digest);
    ps_digest_end(&digest, out);
    return st;
}

ps_status ps_lineage_digest(const ps_stored_files *files, const char *path,
                            char out[PS_DIGEST_TEXT])
{
    int file;
    ps_loop_require_off();
    ps_status st = ps_stored_file_open(files, path, &file);
    if (st)
        return st;
    st = ps_lineage_digest_open(files->disk, file, out);
    files->disk->close(files->disk->state, file);
    return st;
}

/* ---- the models before ---- */

/* A version that is there as long as the job is. */
typedef struct before {
    const char *as, *name, *version;
    char sha256[PS_DIGEST_TEXT];
    char *lineage; /* its record; "" or NULL: it has none */
} before;

/* Its digest stands in its record; of a psd that kept none it is computed. */
static ps_status find(const ps_stored_files *files, const char *known, before *b)
{
    ps_status st = ps_catalog_model_lineage(files->catalog, b->version, &b->lineage);
    if (st)
        return st;
    ps_lineage_sha256(b->lineage, b->sha256);
    if (*b->sha256)
        return PS_OK;
    if (!known)
        return ps_lineage_digest(files, b->version, b->sha256);
    (void)snprintf(b->sha256, sizeof b->sha256, "%s", known);
    return PS_OK;
}

/* A version that is damaged, or gone, is no reason to lose what was made of it. */
static ps_status look_up(const ps_stored_files *files, const char *known, before *b)
{
    ps_status st = find(files, known, b);
    if (st != PS_NOT_FOUND && st != PS_CORRUPT)
        return st;
    ps_log_warning("files", "model=%s version=%s is told without its digest: %s", b->name,
                   b->version, ps_error_message());
    *b->sha256 = '\0';
    return PS_OK;
}

static void put_before(ps_json_writer *w, const before *b)
{
    ps_json_object(w);
    ps_json_put_string(w, "as", b->as);
    ps_json_put_string(w, "name", b->name);
    ps_json_put_string(w, "version", b->version);
    ps_json_put_string(w, "sha256", *b->sha256 ? b->sha256 : NULL);
    ps_json_object_end(w);
}

static ps_status put_other(const ps_stored_files *files, const ps_job_model *model,
                           ps_json_writer *w)
{
    before b = {.as = "other", .name = model->name, .version = model->version};
    ps_status st = look_up(files, NULL, &b);
    if (!st)
        put_before(w, &b);
    ps_free(&b.lineage);
    return st;
}

/* The model that the job works on or begins from; as NULL: none. */
static before parent_of(const ps_lineage_from *from)
{
    const ps_job_file *job = from->job;
    if (!job)
        return (before){
            .as = from->base ? "parent" : NULL, .name = from->base, .version = from->base_version};
    const char *name =
        *job->spec->initialize_from ? job->spec->initialize_from : job->spec->model_name;
    bool any = *job->version && *name;
    return (before){.as = any ? "parent" : NULL, .name = name, .version = job->version};
}

/* began_from and ancestors. Of a later stage of the job they are those of the stage before. */
static ps_status put_models(const ps_stored_files *files, const ps_lineage_from *from,
                            const before *parent, bool stage, ps_json_writer *w)
{
    ps_status st = PS_OK;
    ps_json_key(w, "began_from");
    ps_json_array(w);
    if (stage)
        ps_lineage_copy_list(parent->lineage, "began_from", PS_LINEAGE_ANCESTORS, w);
    else if (parent->as)
        put_before(w, parent);
    for (size_t i = 0; !st && !stage && from->job && i < from->job->n_others; i++)
        st = put_other(files, &from->job->others[i], w);
    ps_json_array_end(w);
    ps_json_key(w, "ancestors");
    ps_json_array(w);
    size_t left = PS_LINEAGE_ANCESTORS;
    if (parent->lineage && !stage)
        left -= ps_lineage_copy_list(parent->lineage, "began_from", left, w);
    if (parent->lineage)
        (void)ps_lineage_copy_list(parent->lineage, "ancestors", left, w);
    ps_json_array_end(w);
    return st;
}

/* ---- the whole ---- */

static void put_model(const ps_model_record *r, const char *sha256, ps_json_writer *w)
{
    ps_json_key(w, "model");
    ps_json_object(w);
    ps_json_put_string(w, "name", r->name);
    ps_json_put_string(w, "version", r->path);
    ps_json_put_string(w, "sha256", sha256);
    ps_json_put_uint(w, "bytes", r->bytes);
    ps_json_put_uint(w, "parameters", r->parameters);
    ps_json_put_string(w, "forms", r->forms ? r->forms : "float32");
    ps_json_put_string(w, "config", r->config);
    ps_json_put_string(w, "owner", r->owner);
    ps_json_put_int(w, "created_ms", r->created_ms);
    ps_json_object_end(w);
}

static ps_status get_job(const ps_stored_files *files, uint64_t id, ps_job_record **out)
{
    ps_status st = id ? ps_catalog_job_get(files->catalog, id, out) : PS_OK;
    return st == PS_NOT_FOUND ? PS_OK : st; /* a test's */
}

static void put_store(const ps_stored_files *files, const ps_lineage_from *from,
                      const char *earlier, ps_json_writer *w)
{
    ps_lineage_put_contributors(files->host, from->store, earlier, w);
    if (from->store)
        ps_json_put_uint(w, "updates", ps_param_store_version(from->store));
    if (from->checkpoint)
        ps_json_put_uint(w, "checkpoint", from->checkpoint);
}

ps_status ps_lineage_write(const ps_stored_files *files, ps_model_record *record,
                           const char *sha256, const ps_lineage_from *from)
{
    ps_loop_require_off();
    PS_REQUIRE(record->path && !record->lineage && strlen(sha256) == PS_DIGEST_TEXT - 1);
    ps_buf text = PS_BUF_EMPTY;
    ps_job_record *job = NULL;
    before parent = parent_of(from);
    ps_status st = get_job(files, record->job_id, &job);
    if (!st && parent.as)
        st = look_up(files, from->parent_sha256, &parent);
    if (st)
        goto out;
    bool stage =
        parent.lineage && record->job_id && ps_lineage_job(parent.lineage) == record->job_id;
    ps_json_writer w = ps_json_writer_to(&text);
    ps_json_object(&w);
    ps_json_put_string(&w, "format", PS_LINEAGE_FORMAT);
    ps_lineage_put_host(files->host, &w);
    put_model(record, sha256, &w);
    ps_lineage_put_job(job, record, &w);
    st = put_models(files, from, &parent, stage, &w);
    ps_lineage_put_data(files->host, job, &w);
    put_store(files, from, stage ? parent.lineage : "", &w);
    ps_lineage_put_audit(files->host, &w);
    ps_json_object_end(&w);
    if (!st)
        record->lineage = ps_strdup(ps_buf_cstr(&text));
out:
    ps_buf_free(&text);
    ps_job_record_free(&job);
    ps_free(&parent.lineage);
    return st ? ps_wrap(st, "lineage of model '%s'", record->name) : PS_OK;
}

static ps_status renew(const ps_stored_files *files, const char *old, const ps_job_record *job,
                       ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    ps_json_object(&w);
    ps_status st = ps_lineage_copy_others(old, &w);
    ps_lineage_put_data(files->host, job, &w);
    ps_lineage_put_audit(files->host, &w);
    ps_json_object_end(&w);
    return st;
}

ps_status ps_lineage_renew(const ps_stored_files *files, const char *version)
{
    ps_loop_require_off();
    char *old = NULL;
    ps_job_record *job = NULL;
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_catalog_model_lineage(files->catalog, version, &old);
    if (!st)
        st = get_job(files, ps_lineage_job(old), &job);
    if (!st && *old && job) {
        st = renew(files, old, job, &text);
        if (!st)
            st = ps_catalog_model_set_lineage(files->catalog, version, ps_buf_cstr(&text));
    }
    ps_buf_free(&text);
    ps_job_record_free(&job);
    ps_free(&old);
    return st;
}
