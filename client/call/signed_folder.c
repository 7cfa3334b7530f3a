/* The folder grows in another one beside the name that it will have; what fails removes both. */
#include "client/call/signed_folder.h"

#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/whole_file.h"
#include "common/security/signing_key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ps_signed_folder {
    char *path;  /* that it gets, */
    char *outer; /* and beside it, for a while, */
    char *inner; /* in which it is */
    const ps_signer_files *signer;
    ps_unfinished *unfinished;
};

void ps_signed_folder_drop(ps_signed_folder **folder)
{
    ps_signed_folder *f = *folder;
    ps_error before;
    if (!f)
        return;
    ps_error_save(&before, PS_UNKNOWN);
    if (f->outer)
        ps_unfinished_remove(f->outer);
    (void)ps_error_raise(&before);
    ps_free(&f->path);
    ps_free(&f->outer);
    ps_free(&f->inner);
    ps_free(folder);
}

/* Of mode 0777 without the umask, as other folders are. */
static ps_status make_outer(ps_signed_folder *f)
{
    char *name = ps_asprintf("%s.XXXXXX", f->path);
    ps_unfinished_hold(f->unfinished);
    bool made = mkdtemp(name) != NULL;
    int error = errno;
    ps_unfinished_go_on(f->unfinished, made ? name : NULL);
    if (!made) {
        ps_status st = ps_fail_errno(error, "%s", f->path);
        ps_free(&name);
        return st;
    }
    f->outer = name;
    const char *slash = strrchr(f->path, '/');
    f->inner = ps_asprintf("%s/%s", name, slash ? slash + 1 : f->path);
    return PS_OK;
}

static ps_status check_key(const ps_signer_files *signer)
{
    ps_signing_key *key = NULL;
    ps_status st = ps_signing_key_read(signer->key, signer->certificate, &key);
    ps_signing_key_free(&key);
    return st;
}

ps_status ps_signed_folder_begin(const char *path, bool inside, const ps_signer_files *signer,
                                 ps_unfinished *unfinished, ps_signed_folder **out)
{
    struct stat there;
    ps_status st = check_key(signer);
    if (!st && lstat(path, &there) == 0)
        st = ps_fail(PS_ALREADY_EXISTS,
                     "%s is there already; a signed export is a folder of its own: take another "
                     "name, --to FOLDER",
                     path);
    if (st)
        return st;
    ps_signed_folder *f = ps_new(ps_signed_folder);
    f->signer = signer;
    f->unfinished = unfinished;
    f->path = ps_strdup(path);
    for (size_t len = strlen(f->path); len > 1 && f->path[len - 1] == '/'; len--)
        f->path[len - 1] = '\0';
    st = make_outer(f);
    if (!st && inside && mkdir(f->inner, 0777))
        st = ps_fail_errno(errno, "%s", f->inner);
    if (st)
        ps_signed_folder_drop(&f);
    else
        *out = f;
    return st;
}

const char *ps_signed_folder_path(const ps_signed_folder *f)
{
    return f->inner;
}

static ps_status write_lineage(const ps_signed_folder *f, const char *lineage, const ps_disk *disk,
                               const char *ending)
{
    char *path = ps_asprintf("%s/" PS_MODEL_PROVENANCE "%s", f->inner, ending);
    ps_status st =
        ps_new_file_save(path, ps_slice_str(lineage), &(ps_new_file_options){.disk = disk});
    ps_free(&path);
    return st;
}

ps_status ps_signed_folder_finish(ps_signed_folder **folder, const char *lineage,
                                  const ps_disk *disk, const char *ending, ps_model_signed *out)
{
    ps_signed_folder *f = *folder;
    const ps_model_signing request = {
        .folder = f->inner, .key = f->signer->key, .certificate = f->signer->certificate};
    ps_status st = *lineage ? write_lineage(f, lineage, disk, ending) : PS_OK;
    if (!st)
        st = ps_model_sign(&request, out);
    ps_unfinished_hold(f->unfinished);
    if (!st)
        st = ps_whole_file_name(&ps_disk_system, f->inner, f->path, false);
    ps_unfinished_go_on(f->unfinished, f->outer);
    ps_signed_folder_drop(folder);
    return st;
}
