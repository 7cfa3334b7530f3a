/* Signing: the folder is listed, hashed, put into a statement, signed and written; and, where there
 * is a psd-provenance.json, again, in SLSA's words. Both files are there whole or not at all: they
 * get their names when both are written. */
#include "common/signing/model_sign.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/require.h"
#include "common/security/signing_key.h"
#include "common/signing/bundle.h"
#include "common/signing/folder.h"
#include "common/signing/model_files.h"
#include "common/signing/slsa.h"
#include "common/signing/statement.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What model-signing leaves out, too, of a folder that is a repository: so that its check of such a
 * one passes. psctl's own asks for it (ps_model_verifying.ignored). */
static const char *const repository[] = {".git", ".gitattributes", ".github", ".gitignore", NULL};

/* ---- what is signed ---- */

static bool has_empty(const ps_folder *folder)
{
    for (size_t i = 0; i < folder->n_files; i++)
        if (!folder->files[i].bytes)
            return true;
    return false;
}

/* Shards do not say that an empty file is there. */
static ps_status check_shards(const ps_model_signing *request, const ps_folder *folder)
{
    return request->shard_size && has_empty(folder)
               ? ps_fail(PS_INVALID_ARGUMENT,
                         "%s: has an empty file, which shards do not sign; leave --shard-size out",
                         request->folder)
               : PS_OK;
}

static size_t pieces_of(const ps_folder_file *file, uint64_t size)
{
    return size ? (size_t)((file->bytes + size - 1) / size) : 1;
}

static ps_status list_resources(const ps_folder *folder, ps_manifest *m)
{
    size_t n = 0;
    for (size_t i = 0; i < folder->n_files; i++)
        n += pieces_of(&folder->files[i], m->shard_size);
    if (!n || n > PS_MANIFEST_FILES_MOST)
        return n ? ps_fail(PS_INVALID_ARGUMENT, "%s: %zu pieces, at most %d; take larger shards",
                           folder->path, n, PS_MANIFEST_FILES_MOST)
                 : ps_fail(PS_INVALID_ARGUMENT, "%s: has no file to sign", folder->path);
    m->resources = ps_alloc_array(n, sizeof *m->resources);
    for (size_t i = 0; i < folder->n_files; i++) {
        const ps_folder_file *file = &folder->files[i];
        for (size_t k = 0; k < pieces_of(file, m->shard_size); k++) {
            ps_resource *r = &m->resources[m->n_resources++];
            *r = (ps_resource){.path = ps_strdup(file->path), .begin = k * m->shard_size};
            uint64_t end = r->begin + m->shard_size;
            if (m->shard_size)
                r->end = end < file->bytes ? end : file->bytes;
        }
    }
    return PS_OK;
}

/* model-signing knows nothing of another signature in the folder, unless it is told; slsa: its path
 * below the folder, or NULL. */
static void put_ignored(ps_manifest *m, const char *slsa)
{
    size_t n = sizeof repository / sizeof *repository;
    m->ignored = ps_alloc_array(n + 1, sizeof *m->ignored);
    for (size_t i = 0; i + 1 < n; i++)
        m->ignored[i] = ps_strdup(repository[i]);
    m->ignored[n - 1] = slsa ? ps_strdup(slsa) : NULL;
}

static ps_status make_manifest(const ps_model_signing *request, const ps_folder *folder,
                               const char *slsa, ps_manifest *m)
{
    m->name = ps_model_folder_name(request->folder);
    put_ignored(m, slsa);
    m->shard_size = request->shard_size;
    ps_status st = check_shards(request, folder);
    if (!st)
        st = list_resources(folder, m);
    if (!st)
        st = ps_folder_digest(folder, m->resources, m->n_resources);
    if (!st)
        ps_manifest_settle(m);
    return st;
}

/* ---- whose it is ---- */

/* Of the statement that is in it. */
static ps_status fill_bundle(const ps_signing_key *key, ps_bundle *b, ps_model_signed *out)
{
    ps_buf message = PS_BUF_EMPTY;
    b->method = ps_signing_key_certificates(key) ? PS_BUNDLE_CERTIFICATE : PS_BUNDLE_KEY;
    ps_status st = PS_OK;
    if (b->method == PS_BUNDLE_KEY) {
        ps_signing_key_hint(key, out->key);
        ps_buf_puts(&b->hint, out->key);
    } else {
        st = ps_signing_key_chain(key, b->certificates, PS_BUNDLE_CERTIFICATES, &b->n_certificates);
        ps_identity_format(ps_signing_key_identity(key), out->signer);
        out->not_after = ps_signing_key_not_after(key);
    }
    ps_bundle_signed(ps_buf_slice(&b->payload), &message);
    if (!st)
        st = ps_signing_key_sign(key, ps_buf_slice(&message), &b->signature);
    ps_buf_free(&message);
    return st;
}

/* ---- the files ---- */

typedef struct signing {
    const ps_model_signing *request;
    ps_signing_key *key;
    ps_folder folder;
    ps_manifest manifest;
    char *path, *slsa;        /* of the two files */
    ps_new_file *file, *more; /* until they have their names; more: NULL: there is no second */
    ps_model_signed *out;
} signing;

/* Frees the statement. */
static ps_status write_bundle(signing *s, const char *path, ps_buf *statement, ps_new_file **file)
{
    ps_bundle bundle = {.payload = *statement};
    ps_buf text = PS_BUF_EMPTY;
    *statement = PS_BUF_EMPTY;
    ps_status st = fill_bundle(s->key, &bundle, s->out);
    if (!st)
        ps_bundle_write(&bundle, &text);
    if (!st && text.len > PS_BUNDLE_MOST)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s: its signature would have more than %d MiB", path,
                     PS_BUNDLE_MOST >> 20);
    if (!st)
        st = ps_new_file_open(path, &(ps_new_file_options){.force = s->request->force}, file);
    if (!st)
        st = ps_new_file_write(*file, text.data, text.len);
    ps_buf_free(&text);
    ps_bundle_free(&bundle);
    return st;
}

static ps_status write_slsa(signing *s)
{
    ps_buf record = PS_BUF_EMPTY, statement = PS_BUF_EMPTY;
    char *path = ps_asprintf("%s/" PS_MODEL_PROVENANCE, s->request->folder);
    ps_status st = ps_disk_read_file(&ps_disk_system, path, PS_BUNDLE_MOST, &record);
    if (!st && (st = ps_slsa_write(&s->manifest, ps_buf_slice(&record), &statement)))
        st = ps_wrap(st, "%s", s->request->folder);
    if (!st)
        st = write_bundle(s, s->slsa, &statement, &s->more);
    ps_free(&path);
    ps_buf_free(&record);
    ps_buf_free(&statement);
    return st;
}

/* One from a signature before, of a folder that had a psd-provenance.json. */
static ps_status remove_slsa(const signing *s)
{
    struct stat there;
    if (lstat(s->slsa, &there))
        return PS_OK;
    if (!s->request->force)
        return ps_fail(PS_ALREADY_EXISTS, "%s is there already; --force removes it", s->slsa);
    return unlink(s->slsa) ? ps_fail_errno(errno, "%s", s->slsa) : PS_OK;
}

/* Beside a stream there is no second file. */
static ps_status write_files(signing *s)
{
    ps_buf statement = PS_BUF_EMPTY;
    ps_statement_write(&s->manifest, &statement);
    ps_status st = write_bundle(s, s->path, &statement, &s->file);
    if (!st && ps_new_file_temporary(s->file))
        st = ps_folder_find(&s->folder, PS_MODEL_PROVENANCE) ? write_slsa(s) : remove_slsa(s);
    s->out->slsa = s->more != NULL;
    if (!st && s->more)
        st = ps_new_file_finish(&s->more);
    return st ? st : ps_new_file_finish(&s->file);
}

static ps_status sign_folder(signing *s)
{
    char **without = NULL, *slsa = NULL;
    ps_status st = ps_model_left_out(s->request->folder, s->path, repository, &without);
    if (!st)
        st = ps_folder_list(s->request->folder, (const char *const *)without, &s->folder);
    if (!st && ps_folder_find(&s->folder, PS_MODEL_PROVENANCE))
        st = ps_model_below(s->request->folder, s->slsa, &slsa);
    if (!st)
        st = make_manifest(s->request, &s->folder, slsa, &s->manifest);
    if (!st)
        st = write_files(s);
    if (!st)
        ps_model_signed_count(&s->folder, &s->manifest, s->out);
    ps_model_left_out_free(&without);
    ps_free(&slsa);
    return st;
}

ps_status ps_model_sign(const ps_model_signing *request, ps_model_signed *out)
{
    PS_REQUIRE(request->folder && request->key);
    signing s = {.request = request, .out = out};
    *out = (ps_model_signed){0};
    s.path = ps_model_signature_path(request->folder, request->signature);
    s.slsa = ps_model_slsa_path(s.path);
    ps_status st = ps_signing_key_read(request->key, request->certificate, &s.key);
    if (!st)
        st = sign_folder(&s);
    ps_new_file_drop(&s.more);
    ps_new_file_drop(&s.file);
    ps_manifest_free(&s.manifest);
    ps_folder_free(&s.folder);
    ps_signing_key_free(&s.key);
    ps_free(&s.path);
    ps_free(&s.slsa);
    return st;
}
