/* Happy path: one new file that gets its name at the end; or, of several, each its own in a folder
 * that does, as soon as the next begins. */
#include "common/model/gguf_files.h"

#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/require.h"
#include "common/model/gguf_parts.h"
#include "common/model/out_folder.h"

struct ps_gguf_files {
    ps_new_file *file; /* at hand; NULL: all are whole */
    /* of several: */
    ps_out_folder *folder; /* NULL: it is one */
    const ps_disk *disk;
    char *stem, *first; /* of their names; the path of the first */
    size_t at, n;
    uint64_t bytes; /* of those before */
};

static ps_status open_part(ps_gguf_files *f)
{
    char suffix[PS_GGUF_PART_SUFFIX];
    ps_gguf_part_suffix(f->at, f->n, suffix);
    char *name = ps_asprintf("%s%s", f->stem, suffix);
    char *path = ps_out_folder_file(f->folder, name);
    ps_status st =
        ps_new_file_open(path, &(ps_new_file_options){.force = true, .disk = f->disk}, &f->file);
    if (!f->first) /* to its reader it has no ending (age_disk.h) */
        f->first = ps_asprintf("%s/%s", ps_out_folder_unnamed(f->folder), name);
    ps_free(&name);
    ps_free(&path);
    return st;
}

ps_status ps_gguf_files_open(const ps_model_out_options *options, size_t n, ps_gguf_files **out)
{
    PS_REQUIRE(n >= 1 && (n == 1 || options->split) && (!options->split || options->name));
    ps_gguf_files *f = ps_new(ps_gguf_files);
    *f = (ps_gguf_files){.disk = options->disk, .n = n};
    ps_status st = PS_OK;
    if (!options->split) {
        st = ps_new_file_open(options->path,
                              &(ps_new_file_options){.force = options->force, .disk = f->disk},
                              &f->file);
    } else {
        f->stem = ps_strdup(options->name);
        st = ps_out_folder_open(options, &f->folder);
        if (!st)
            ps_out_folder_takes_parts_away(f->folder, f->stem, ".gguf");
        if (!st)
            st = open_part(f);
    }
    if (st)
        ps_gguf_files_drop(&f);
    else
        *out = f;
    return st;
}

ps_status ps_gguf_files_write(ps_gguf_files *f, const void *data, size_t len)
{
    return ps_new_file_write(f->file, data, len);
}

static ps_status end_part(ps_gguf_files *f)
{
    f->bytes += ps_new_file_bytes(f->file);
    f->at++;
    return ps_new_file_finish(&f->file);
}

ps_status ps_gguf_files_next(ps_gguf_files *f)
{
    PS_REQUIRE(f->folder && f->at + 1 < f->n);
    ps_status st = end_part(f);
    return st ? st : open_part(f);
}

ps_status ps_gguf_files_end(ps_gguf_files *f)
{
    PS_REQUIRE(!f->folder || f->at + 1 == f->n);
    return f->folder ? end_part(f) : ps_new_file_end(f->file);
}

const char *ps_gguf_files_unnamed(const ps_gguf_files *f)
{
    return f->folder ? ps_out_folder_unnamed(f->folder) : ps_new_file_temporary(f->file);
}

const char *ps_gguf_files_first(const ps_gguf_files *f)
{
    return f->folder ? f->first : ps_new_file_temporary(f->file);
}

ps_status ps_gguf_files_finish(ps_gguf_files **files, uint64_t *bytes)
{
    ps_gguf_files *f = *files;
    *bytes = f->folder ? f->bytes : ps_new_file_bytes(f->file);
    ps_status st = f->folder ? ps_out_folder_finish(&f->folder) : ps_new_file_finish(&f->file);
    ps_gguf_files_drop(files);
    return st;
}

void ps_gguf_files_drop(ps_gguf_files **files)
{
    ps_gguf_files *f = *files;
    if (!f)
        return;
    ps_new_file_drop(&f->file);
    ps_out_folder_drop(&f->folder);
    ps_free(&f->stem);
    ps_free(&f->first);
    ps_free(files);
}
