#include "common/signing/model_files.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *ps_model_signature_path(const char *folder, const char *signature)
{
    return signature ? ps_strdup(signature) : ps_asprintf("%s/" PS_MODEL_SIGNATURE, folder);
}

char *ps_model_slsa_path(const char *signature)
{
    static const char ending[] = ".sig";
    size_t len = strlen(signature);
    return ps_asprintf("%.*s" PS_MODEL_SLSA,
                       (int)(ps_text_ends(signature, ending) ? len - strlen(ending) : len),
                       signature);
}

char *ps_model_folder_name(const char *folder)
{
    char *full = realpath(folder, NULL);
    const char *slash = full ? strrchr(full, '/') : NULL;
    char *name = ps_strdup(slash && slash[1] ? slash + 1 : "model");
    free(full);
    return name;
}

ps_status ps_model_below(const char *folder, const char *file, char **out)
{
    *out = NULL;
    char *parent = ps_disk_folder_of(file), *whole = realpath(folder, NULL);
    char *in = realpath(parent, NULL);
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    ps_status st = PS_OK;
    size_t len = whole ? strlen(whole) : 0;
    if (!whole || !in)
        st = ps_fail_errno(errno, "%s", whole ? parent : folder);
    else if (!strncmp(in, whole, len) && (!in[len] || in[len] == '/'))
        *out = in[len] ? ps_asprintf("%s/%s", in + len + 1, base) : ps_strdup(base);
    free(whole);
    free(in);
    ps_free(&parent);
    return st;
}

/* One that is a link says elsewhere what it is, and is written elsewhere. */
static ps_status check_file(const char *signature)
{
    struct stat about;
    if (lstat(signature, &about) || S_ISREG(about.st_mode))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT, "%s is %s: a signature in the folder is a file", signature,
                   S_ISLNK(about.st_mode)   ? "a symbolic link"
                   : S_ISDIR(about.st_mode) ? "a folder"
                                            : "neither file nor folder");
}

static ps_status check_files(const char *signature)
{
    char *slsa = ps_model_slsa_path(signature);
    ps_status st = check_file(signature);
    if (!st)
        st = check_file(slsa);
    ps_free(&slsa);
    return st;
}

ps_status ps_model_left_out(const char *folder, const char *signature, const char *const *names,
                            char ***out)
{
    size_t n = 0;
    char *own = NULL;
    ps_status st = ps_model_below(folder, signature, &own);
    if (!st && own)
        st = check_files(signature);
    if (st) {
        ps_free(&own);
        return st;
    }
    while (names && names[n])
        n++;
    char **list = ps_alloc_array(n + 3, sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = ps_strdup(names[i]);
    list[n] = own;
    list[n + 1] = own ? ps_model_slsa_path(own) : NULL;
    *out = list;
    return PS_OK;
}

void ps_model_left_out_free(char ***names)
{
    for (char **name = *names; name && *name; name++)
        free(*name);
    ps_free(names);
}

void ps_model_signed_count(const ps_folder *folder, const ps_manifest *manifest,
                           ps_model_signed *out)
{
    memcpy(out->root, manifest->root, sizeof out->root);
    out->files = folder->n_files;
    out->bytes = 0;
    for (size_t i = 0; i < folder->n_files; i++)
        out->bytes += folder->files[i].bytes;
    out->shards = manifest->shard_size > 0;
    out->provenance = ps_folder_find(folder, PS_MODEL_PROVENANCE) != NULL;
}

ps_status ps_model_read_bundle(const char *path, ps_bundle *out)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_disk_read_file(&ps_disk_system, path, PS_BUNDLE_MOST, &text);
    if (st == PS_RESOURCE_EXHAUSTED)
        st = ps_fail(PS_CORRUPT, "%s: more than %d MiB: no signature is so long", path,
                     PS_BUNDLE_MOST >> 20);
    else if (!st && (st = ps_bundle_read(ps_buf_slice(&text), out)))
        st = ps_wrap(st, "%s", path);
    ps_buf_free(&text);
    return st;
}

ps_status ps_model_read_slsa(const char *folder, ps_buf *out)
{
    ps_bundle bundle = {0};
    char *signature = ps_model_signature_path(folder, NULL), *path = ps_model_slsa_path(signature);
    ps_status st = ps_model_read_bundle(path, &bundle);
    if (!st)
        ps_buf_append(out, bundle.payload.data, bundle.payload.len);
    ps_bundle_free(&bundle);
    ps_free(&path);
    ps_free(&signature);
    return st;
}
