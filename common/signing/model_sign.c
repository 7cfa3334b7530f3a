/* Signing: the folder is listed, hashed, put into a statement, signed and
 * written. The file is there whole or not at all. */
#include "common/signing/model_sign.h"

#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/require.h"
#include "common/security/signing_key.h"
#include "common/signing/bundle.h"
#include "common/signing/folder.h"
#include "common/signing/model_files.h"
#include "common/signing/statement.h"

#include <string.h>

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

static void put_ignored(ps_manifest *m)
{
    size_t n = sizeof repository / sizeof *repository;
    m->ignored = ps_alloc_array(n, sizeof *m->ignored);
    for (size_t i = 0; i + 1 < n; i++)
        m->ignored[i] = ps_strdup(repository[i]);
}

static ps_status make_manifest(const ps_model_signing *request, const ps_folder *folder,
                               ps_manifest *m)
{
    m->name = ps_model_folder_name(request->folder);
    put_ignored(m);
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

static ps_status fill_bundle(const ps_signing_key *key, const ps_manifest *m, ps_bundle *b,
                             ps_model_signed *out)
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
    ps_statement_write(m, &b->payload);
    ps_bundle_signed(ps_buf_slice(&b->payload), &message);
    if (!st)
        st = ps_signing_key_sign(key, ps_buf_slice(&message), &b->signature);
    ps_buf_free(&message);
    return st;
}

static ps_status write_bundle(const ps_model_signing *request, const char *path,
                              const ps_manifest *m, const ps_signing_key *key, ps_model_signed *out)
{
    ps_bundle bundle = {0};
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = fill_bundle(key, m, &bundle, out);
    if (!st)
        ps_bundle_write(&bundle, &text);
    if (!st && text.len > PS_BUNDLE_MOST)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s: its signature would have more than %d MiB", path,
                     PS_BUNDLE_MOST >> 20);
    if (!st)
        st = ps_new_file_save(path, ps_buf_slice(&text),
                              &(ps_new_file_options){.force = request->force});
    ps_buf_free(&text);
    ps_bundle_free(&bundle);
    return st;
}

ps_status ps_model_sign(const ps_model_signing *request, ps_model_signed *out)
{
    PS_REQUIRE(request->folder && request->key);
    ps_signing_key *key = NULL;
    ps_folder folder = {0};
    ps_manifest manifest = {0};
    char *path = ps_model_signature_path(request->folder, request->signature), **without = NULL;
    *out = (ps_model_signed){0};
    ps_status st = ps_signing_key_read(request->key, request->certificate, &key);
    if (!st)
        st = ps_model_left_out(request->folder, path, repository, &without);
    if (!st)
        st = ps_folder_list(request->folder, (const char *const *)without, &folder);
    if (!st)
        st = make_manifest(request, &folder, &manifest);
    if (!st)
        st = write_bundle(request, path, &manifest, key, out);
    if (!st)
        ps_model_signed_count(&folder, &manifest, out);
    ps_manifest_free(&manifest);
    ps_folder_free(&folder);
    ps_model_left_out_free(&without);
    ps_signing_key_free(&key);
    ps_free(&path);
    return st;
}
