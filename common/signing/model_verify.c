/* Happy path: the bundle says what was signed and by whom; whose it is, and that he may, is looked
 * at first, then his signature, then what it is about: and not before is a file of the folder
 * touched. Every file is one of the list, and every one of the list is there, with these bytes. */
#include "common/signing/model_sign.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/ecdsa.h"
#include "common/signing/bundle.h"
#include "common/signing/folder.h"
#include "common/signing/model_files.h"
#include "common/signing/slsa.h"
#include "common/signing/statement.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the signature ---- */

static ps_status key_of(const ps_model_verifying *request, const ps_bundle *b,
                        struct evp_pkey_st **key, ps_model_signed *out)
{
    ps_status st = ps_ecdsa_key_read(request->public_key, key);
    if (st)
        return st;
    ps_ecdsa_key_hint(*key, out->key);
    if (b->method == PS_BUNDLE_KEY && b->hint.len && !ps_slice_is(ps_buf_slice(&b->hint), out->key))
        return ps_fail(PS_UNAUTHENTICATED, "it is signed by another key than %s",
                       request->public_key);
    return PS_OK;
}

static ps_status signer_of(const ps_model_verifying *request, const ps_bundle *b,
                           struct evp_pkey_st **key, ps_model_signed *out)
{
    ps_signer signer = {0};
    if (b->method == PS_BUNDLE_KEY)
        return ps_fail(PS_UNAUTHENTICATED, "it is signed by a key without a certificate: say which "
                                           "you trust, with --public-key");
    if (b->method == PS_BUNDLE_SIGSTORE)
        return ps_fail(PS_UNAUTHENTICATED, "it is signed by way of Sigstore, whose log psctl does "
                                           "not ask; model-signing checks such a signature");
    ps_status st = ps_signer_check(&request->trust, b->certificates, b->n_certificates, &signer);
    if (st)
        return st;
    ps_identity_format(&signer.identity, out->signer);
    out->not_after = signer.not_after;
    *key = signer.key;
    return PS_OK;
}

static ps_status check_signature(const ps_model_verifying *request, const ps_bundle *b,
                                 ps_model_signed *out)
{
    struct evp_pkey_st *key = NULL;
    ps_buf message = PS_BUF_EMPTY;
    ps_status st =
        request->public_key ? key_of(request, b, &key, out) : signer_of(request, b, &key, out);
    if (!st) {
        ps_bundle_signed(ps_buf_slice(&b->payload), &message);
        st = ps_ecdsa_verify(key, ps_buf_slice(&message), ps_buf_slice(&b->signature));
    }
    ps_buf_free(&message);
    ps_ecdsa_key_free(&key);
    return st;
}

/* ---- the files ---- */

static ps_status not_signed(const ps_folder *folder, const char *path)
{
    return ps_fail(PS_CORRUPT, "%s/%s is not signed; --ignore %s says that it need not be",
                   folder->path, path, path);
}

/* Of a shard: the file ends where the last one does. */
static ps_status check_size(const ps_folder *folder, const ps_folder_file *file,
                            const ps_resource *last)
{
    return last->end && file->bytes != last->end
               ? ps_fail(PS_CORRUPT, "%s/%s has %" PRIu64 " bytes, and %" PRIu64 " are signed",
                         folder->path, file->path, file->bytes, last->end)
               : PS_OK;
}

/* Both are sorted by path. */
static ps_status compare(const ps_folder *folder, const ps_resource *sorted, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && !strcmp(sorted[i].path, sorted[i + 1].path))
            continue; /* not its last shard */
        int order = at < folder->n_files ? strcmp(folder->files[at].path, sorted[i].path) : 1;
        if (order < 0)
            return not_signed(folder, folder->files[at].path);
        if (order > 0)
            return ps_fail(PS_CORRUPT, "%s/%s is signed, and is not there", folder->path,
                           sorted[i].path);
        ps_status st = check_size(folder, &folder->files[at++], &sorted[i]);
        if (st)
            return st;
    }
    return at < folder->n_files ? not_signed(folder, folder->files[at].path) : PS_OK;
}

static ps_status changed(const ps_folder *folder, const ps_resource *r)
{
    return r->end ? ps_fail(PS_CORRUPT,
                            "%s/%s is not what was signed, in bytes %" PRIu64 " to %" PRIu64,
                            folder->path, r->path, r->begin, r->end)
                  : ps_fail(PS_CORRUPT, "%s/%s is not what was signed", folder->path, r->path);
}

static ps_status check_digests(const ps_folder *folder, const ps_resource *sorted, size_t n)
{
    ps_resource *found = ps_alloc_array(n, sizeof *found);
    memcpy(found, sorted, n * sizeof *found);
    ps_status st = ps_folder_digest(folder, found, n);
    for (size_t i = 0; !st && i < n; i++)
        if (strcmp(found[i].sha256, sorted[i].sha256) != 0)
            st = changed(folder, &sorted[i]);
    ps_free(&found);
    return st;
}

static ps_status check_files(const ps_folder *folder, const ps_manifest *m)
{
    ps_resource *sorted = ps_manifest_by_place(m); /* the order of ps_folder_list, too */
    ps_status st = compare(folder, sorted, m->n_resources);
    if (!st)
        st = check_digests(folder, sorted, m->n_resources);
    ps_free(&sorted);
    return st;
}

static ps_status check_folder(const ps_model_verifying *request, const char *signature,
                              const ps_manifest *m, ps_model_signed *out)
{
    ps_folder folder = {0};
    char **without = NULL;
    ps_status st = ps_model_left_out(request->folder, signature, request->ignored, &without);
    if (!st)
        st = ps_folder_list(request->folder, (const char *const *)without, &folder);
    if (!st)
        st = check_files(&folder, m);
    if (!st)
        ps_model_signed_count(&folder, m, out);
    ps_folder_free(&folder);
    ps_model_left_out_free(&without);
    return st;
}

/* ---- in SLSA's words ---- */

/* Of the same signer, about the same model. */
static ps_status check_slsa_bundle(const ps_model_verifying *request, const ps_bundle *b,
                                   const ps_manifest *m, const ps_model_signed *model)
{
    ps_model_signed own = {0};
    ps_manifest subject = {0};
    ps_status st = check_signature(request, b, &own);
    if (!st && (strcmp(own.signer, model->signer) != 0 || strcmp(own.key, model->key) != 0))
        st = ps_fail(PS_UNAUTHENTICATED, "it is signed by %s, and the model by %s", own.signer,
                     model->signer);
    if (!st)
        st = ps_statement_read_head(ps_buf_slice(&b->payload), PS_SLSA_PREDICATE, &subject);
    if (!st && (strcmp(subject.root, m->root) != 0 || strcmp(subject.name, m->name) != 0))
        st = ps_fail(PS_CORRUPT, "it is about another model, %s", subject.root);
    ps_manifest_free(&subject);
    return st;
}

/* It need not be there; what is there must be right. */
static ps_status check_slsa(const ps_model_verifying *request, const char *signature,
                            const ps_manifest *m, ps_model_signed *out)
{
    char *path = ps_model_slsa_path(signature);
    ps_bundle bundle = {0};
    struct stat there;
    ps_status st = PS_OK;
    out->slsa = lstat(path, &there) == 0;
    if (out->slsa) {
        st = ps_model_read_bundle(path, &bundle);
        if (!st && (st = check_slsa_bundle(request, &bundle, m, out)))
            st = ps_wrap(st, "%s", path);
    }
    ps_bundle_free(&bundle);
    ps_free(&path);
    return st;
}

ps_status ps_model_verify(const ps_model_verifying *request, ps_model_signed *out)
{
    PS_REQUIRE(request->folder && (request->public_key || request->trust.ca));
    ps_bundle bundle = {0};
    ps_manifest manifest = {0};
    char *path = ps_model_signature_path(request->folder, request->signature);
    *out = (ps_model_signed){0};
    ps_status st = ps_model_read_bundle(path, &bundle);
    if (!st) {
        st = check_signature(request, &bundle, out);
        if (!st)
            st = ps_statement_read(ps_buf_slice(&bundle.payload), &manifest);
        if (st)
            st = ps_wrap(st, "%s", path);
    }
    if (!st)
        st = check_slsa(request, path, &manifest, out);
    if (!st)
        st = check_folder(request, path, &manifest, out);
    ps_manifest_free(&manifest);
    ps_bundle_free(&bundle);
    ps_free(&path);
    return st;
}
